"""An identity provider whose demands are not of our making: Authlib's server, with PKCE, behind the doors of our own.

What it says of its endpoints and how it is reached is that of `identity_provider.Provider`; what a request to sign in
must hold, which client may trade a code in, whether its verifier is the right one, and what is in an ID token is
Authlib's to say.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from authlib.oauth2 import AuthorizationServer, OAuth2Error, OAuth2Request
from authlib.oauth2.rfc6749 import ClientMixin, grants
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload
from authlib.oauth2.rfc6750 import BearerTokenGenerator
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oidc.core import OpenIDCode

from tests.builders.identity_provider import CLIENT_ID, Provider, signing_key


class _Request(OAuth2Request):
    """A request as Authlib takes it."""

    def __init__(self, method: str, fields: Mapping[str, str], headers: Mapping[str, str] | None = None) -> None:
        # Authlib takes nothing that came without TLS.
        super().__init__(method, "https://provider.example/", headers=dict(headers or {}))
        self.payload = BasicOAuth2Payload(dict(fields))

    @property
    def form(self) -> Mapping[str, str]:
        """The fields."""
        fields: Mapping[str, str] = self.payload.data
        return fields

    args = form


class _Client(ClientMixin):
    """The one client that is registered."""

    def __init__(self, provider: "AuthlibProvider") -> None:
        self._provider = provider

    def get_client_id(self) -> str:
        """Its name."""
        return CLIENT_ID

    def get_allowed_scope(self, scope: str) -> str:
        """What of these scopes it may have."""
        return " ".join(each for each in scope.split() if each in ("openid", "email", "profile"))

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        """Whether it is the registered one."""
        return redirect_uri == self._provider.redirect_uri

    def check_client_secret(self, client_secret: str) -> bool:
        """Whether it is its secret."""
        return client_secret == self._provider.secret

    def check_endpoint_auth_method(self, method: str, _endpoint: str) -> bool:
        """A public client has no secret, any other shows it."""
        return (method == "none") == (self._provider.secret is None)

    def check_response_type(self, response_type: str) -> bool:
        """The authorization code flow alone."""
        return response_type == "code"

    def check_grant_type(self, grant_type: str) -> bool:
        """Likewise."""
        return grant_type == "authorization_code"


class _Code:
    """An authorization code, with what it was given for."""

    def __init__(self, code: str, asked: Mapping[str, str], scope: str) -> None:
        self.code = code
        self.code_challenge = asked.get("code_challenge")
        self.code_challenge_method = asked.get("code_challenge_method")
        self._asked = asked
        self._scope = scope

    def get_redirect_uri(self) -> str:
        """Where the browser was sent with it."""
        return self._asked["redirect_uri"]

    def get_scope(self) -> str:
        """What was asked for."""
        return self._scope

    def get_nonce(self) -> str | None:
        """The nonce that the ID token must hold."""
        return self._asked.get("nonce")

    def get_auth_time(self) -> None:
        """Not told."""

    get_acr = get_amr = get_auth_time


class _Server(AuthorizationServer):
    """Authlib's server over requests of ours."""

    def __init__(self, provider: "AuthlibProvider") -> None:
        super().__init__()
        self._provider = provider
        self.codes: dict[str, _Code] = {}
        self.register_token_generator("default", BearerTokenGenerator(lambda **_: "access"))
        self.register_grant(_CodeGrant, [_IdToken(provider), CodeChallenge(required=True)])

    def query_client(self, client_id: str) -> _Client | None:
        """The client of that name."""
        return _Client(self._provider) if client_id == CLIENT_ID else None

    def save_token(self, _token: Mapping[str, Any], _request: _Request) -> None:
        """No access token is used."""

    def send_signal(self, *_: Any, **__: Any) -> None:
        """Nobody listens."""

    def create_oauth2_request(self, request: _Request) -> _Request:
        """It is one already."""
        return request

    def handle_response(self, status: int, payload: Any, headers: Any) -> tuple[int, Any, dict[str, str]]:
        """The answer in its parts."""
        return status, payload, dict(headers)


class _CodeGrant(grants.AuthorizationCodeGrant):
    TOKEN_ENDPOINT_AUTH_METHODS = ("client_secret_basic", "client_secret_post", "none")

    def save_authorization_code(self, code: str, request: _Request) -> None:
        self.server.codes[code] = _Code(code, request.payload.data, request.scope)

    def query_authorization_code(self, code: str, _client: _Client) -> _Code | None:
        found: _Code | None = self.server.codes.get(code)
        return found

    def delete_authorization_code(self, authorization_code: _Code) -> None:
        del self.server.codes[authorization_code.code]

    def authenticate_user(self, _authorization_code: _Code) -> str:
        return "somebody"


class _IdToken(OpenIDCode):
    def __init__(self, provider: "AuthlibProvider") -> None:
        super().__init__(require_nonce=True)
        self._provider = provider

    def exists_nonce(self, nonce: str, _request: _Request) -> bool:
        return any(code.get_nonce() == nonce for code in self._provider.server.codes.values())

    def resolve_client_private_key(self, _client: _Client) -> Any:
        return signing_key(self._provider.key)

    def get_encode_header(self, _client: _Client) -> dict[str, str]:
        return {"alg": "RS256", "kid": self._provider.key}

    def get_client_claims(self, _client: _Client) -> dict[str, Any]:
        now = int(self._provider.now().timestamp())
        return {"iss": self._provider.issuer, "iat": now, "exp": now + 300, "auth_time": now}

    def generate_user_info(self, _user: str, _scope: str) -> dict[str, Any]:
        return dict(self._provider.person)


class AuthlibProvider(Provider):
    """The provider; `refused` holds why it took no request, in Authlib's words."""

    def __init__(self, redirect_uri: str, now: Any, **settings: Any) -> None:
        super().__init__(redirect_uri, now, **settings)
        self.server = _Server(self)
        self.refused: list[str] = []

    def now(self) -> datetime:
        """The time that it goes by."""
        return self._now()

    def authorize(self, query: Mapping[str, str]) -> str | None:
        """Where the browser goes with a code, where Authlib takes the request."""
        request = _Request("GET", query)
        try:
            grant = self.server.get_consent_grant(request=request, end_user="somebody")
        except OAuth2Error as error:
            self.refused.append(error.error)
            return None
        _, _, headers = self.server.create_authorization_response(request, grant_user="somebody", grant=grant)
        return str(headers["Location"])

    def token(self, form: Mapping[str, str], authorization: str) -> tuple[int, dict[str, Any]]:
        """What a code is worth to Authlib."""
        headers = {"Authorization": authorization} if authorization else {}
        status, payload, _ = self.server.create_token_response(_Request("POST", form, headers))
        if status != 200:
            self.refused.append(payload["error"])
        return status, payload
