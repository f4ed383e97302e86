"""The organization's identity provider, spoken to by OpenID Connect: the one adapter that is not AWS.

    discovery --> authorization endpoint (the browser goes there) --> code --> token endpoint --> ID token --> claims

What the provider says of itself is kept for an hour. Authlib words the requests of the flow and joserfc verifies the
token; both are loaded, with the cryptography that they bring, when the first person signs in.
"""

import json
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlsplit

from msgspec import Struct

from bedrock_remediator.aws.cache import AgedCache
from bedrock_remediator.aws.errors import RetryableError
from bedrock_remediator.clock import Clock

if TYPE_CHECKING:
    import urllib3
    from joserfc.jwk import KeySet

KEPT_FOR: Final = timedelta(hours=1)
FRESH_FOR: Final = timedelta(minutes=1)
"""How old the keys are at least before an unknown one makes them be read again: forged tokens must cost no calls."""

SCOPES: Final = "openid email profile"
_LARGEST: Final = 512 * 1024
_LEEWAY: Final = 60
_SERVER_ERROR: Final = 500
_OK: Final = 200
_LOOPBACK: Final = "127.0.0.1"

# Asymmetric ones only: with an HMAC the client's secret would be a key.
_ALGORITHMS: Final = (
    *(f"{family}{size}" for family in ("RS", "PS", "ES") for size in (256, 384, 512)),
    "EdDSA",
    "Ed25519",
)


class ProviderError(Exception):
    """The provider refused, or what it said does not hold. The message is for the log, never for a page."""


class Client(Struct, frozen=True, kw_only=True):
    """What this service is to the provider. `secret` gives the client's secret, None for a public client."""

    issuer: str
    client_id: str
    secret: Callable[[], str | None]


class Metadata(Struct, frozen=True, kw_only=True):
    """What the provider says of itself."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    token_endpoint_auth_methods_supported: tuple[str, ...] = ("client_secret_basic",)

    def authentication(self, secret: str | None) -> str:
        """How a client with that secret says who it is: `none`, `client_secret_basic` or `client_secret_post`."""
        if secret is None:
            return "none"
        basic = "client_secret_basic"
        return basic if basic in self.token_endpoint_auth_methods_supported else "client_secret_post"


class IdentityProvider:
    """One provider.

    Args:
        client: What this service is to it.
        clock: Tells the time, for the age of answers and of tokens.
        http: Makes the pool of connections when it is first needed.
    """

    def __init__(self, client: Client, clock: Clock, http: "Callable[[], urllib3.PoolManager] | None" = None) -> None:
        self._client = client
        self._clock = clock
        self._make_pool = http or _pool
        self._made: urllib3.PoolManager | None = None
        self._known: AgedCache[str, Any] = AgedCache(2, KEPT_FOR, clock)

    @property
    def issuer(self) -> str:
        """The provider's name for itself."""
        return self._client.issuer

    def sign_in_url(self, *, redirect_uri: str, state: str, nonce: str, verifier: str) -> str:
        """Where the browser goes to sign in, with the S256 challenge of the code verifier (RFC 7636).

        Raises:
            ProviderError: The provider does not say where.
            RetryableError: It does not answer.
        """
        from authlib.oauth2.rfc6749.parameters import prepare_grant_uri  # noqa: PLC0415 - only who signs in needs it
        from authlib.oauth2.rfc7636 import create_s256_code_challenge  # noqa: PLC0415 - likewise

        url: str = prepare_grant_uri(
            self._metadata().authorization_endpoint,
            self._client.client_id,
            "code",
            redirect_uri=redirect_uri,
            scope=SCOPES,
            state=state,
            nonce=nonce,
            code_challenge=create_s256_code_challenge(verifier),
            code_challenge_method="S256",
        )
        return url

    def claims(self, *, code: str, verifier: str, redirect_uri: str, nonce: str) -> Mapping[str, Any]:
        """What the provider says of the person who brought a code, verified.

        Raises:
            ProviderError: It does not take the code, or its ID token does not hold.
            RetryableError: It does not answer.
        """
        metadata = self._metadata()
        answer = self._redeemed(metadata, code=code, verifier=verifier, redirect_uri=redirect_uri)
        token = answer.get("id_token")
        if not isinstance(token, str):
            raise ProviderError("the token endpoint gave no ID token")
        return self._verified(token, metadata, nonce)

    def _redeemed(self, metadata: Metadata, *, code: str, verifier: str, redirect_uri: str) -> dict[str, Any]:
        """What the token endpoint gives for a code."""
        from authlib.oauth2.auth import ClientAuth  # noqa: PLC0415 - only who signs in needs it
        from authlib.oauth2.rfc6749.parameters import prepare_token_request  # noqa: PLC0415 - likewise

        client_id, secret = self._client.client_id, self._client.secret()
        method = metadata.authentication(secret)
        if method == "client_secret_basic":
            # RFC 6749 §2.3.1: both parts are form-encoded first, which Authlib leaves to its caller.
            client_id, secret = quote(client_id, safe=""), quote(secret or "", safe="")
        form = prepare_token_request("authorization_code", code=code, redirect_uri=redirect_uri, code_verifier=verifier)
        url, headers, body = ClientAuth(client_id, secret, method).prepare("POST", metadata.token_endpoint, {}, form)
        return self._json("POST", url, body=body, headers=headers)

    def _verified(self, token: str, metadata: Metadata, nonce: str) -> Mapping[str, Any]:
        from joserfc import jwt  # noqa: PLC0415 - only who signs in needs it
        from joserfc.errors import InvalidKeyIdError, JoseError  # noqa: PLC0415 - likewise

        try:
            try:
                claims = jwt.decode(token, self._keys(metadata), algorithms=_ALGORITHMS).claims
            except InvalidKeyIdError:
                claims = jwt.decode(token, self._keys(metadata, fresh=True), algorithms=_ALGORITHMS).claims
            jwt.JWTClaimsRegistry(
                now=int(self._clock.now().timestamp()),
                leeway=_LEEWAY,
                iss={"essential": True, "value": metadata.issuer},
                aud={"essential": True, "value": self._client.client_id},
                sub={"essential": True},
                exp={"essential": True},
                iat={"essential": True},
                nonce={"essential": True, "value": nonce},
            ).validate(claims)
        except (JoseError, ValueError) as error:
            raise ProviderError(f"the ID token does not hold: {type(error).__name__} {error}") from error
        self._require_for_us(claims)
        return claims

    def _require_for_us(self, claims: Mapping[str, Any]) -> None:
        """A token for several audiences must name us as the one it was issued to (OpenID Connect Core §3.1.3.7)."""
        several = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
        if (several or "azp" in claims) and claims.get("azp") != self._client.client_id:
            raise ProviderError("the ID token was issued to another client")

    def _metadata(self) -> Metadata:
        known: Metadata | None = self._known.get("metadata")
        if known is not None:
            return known
        said = self._json("GET", f"{self._client.issuer.rstrip('/')}/.well-known/openid-configuration")
        try:
            metadata = _metadata(said)
        except (KeyError, TypeError) as error:
            raise ProviderError(f"the discovery document lacks {error}") from error
        if metadata.issuer != self._client.issuer:
            raise ProviderError(f"the discovery document is of {metadata.issuer!r}")
        for endpoint in (metadata.authorization_endpoint, metadata.token_endpoint, metadata.jwks_uri):
            self._require_safe(endpoint)
        self._known.put("metadata", metadata)
        return metadata

    def _require_safe(self, endpoint: str) -> None:
        """TLS only; an issuer on this very machine, as a test has it, may do without."""
        url = urlsplit(endpoint)
        local = urlsplit(self._client.issuer).hostname == url.hostname == _LOOPBACK
        if url.scheme != "https" and not (local and url.scheme == "http"):
            raise ProviderError(f"{endpoint!r} is no https address")

    def _keys(self, metadata: Metadata, *, fresh: bool = False) -> "KeySet":
        from joserfc.errors import JoseError  # noqa: PLC0415 - only who signs in needs it
        from joserfc.jwk import KeySet  # noqa: PLC0415 - likewise

        known = self._known.get("keys")
        now = self._clock.now()
        if known is not None and not (fresh and now - known[1] >= FRESH_FOR):
            keys: KeySet = known[0]
            return keys
        said = self._json("GET", metadata.jwks_uri)
        try:
            keys = KeySet.import_key_set({"keys": said["keys"]})
        except (JoseError, KeyError, TypeError, ValueError) as error:
            raise ProviderError(f"the provider's keys cannot be read: {error}") from error
        self._known.put("keys", (keys, now))
        return keys

    def _json(
        self, method: str, url: str, *, body: str | None = None, headers: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        from urllib3.exceptions import HTTPError  # noqa: PLC0415 - only who signs in needs it

        sent = {"accept": "application/json", **(headers or {})}
        if body is not None:
            sent["content-type"] = "application/x-www-form-urlencoded"
        try:
            answer = self._http.request(
                method,
                url,
                body=body,
                headers=sent,
                redirect=False,
                preload_content=False,
            )
            try:
                content = answer.read(_LARGEST + 1)
            finally:
                answer.release_conn()
        except HTTPError as error:
            raise RetryableError(f"the identity provider does not answer: {type(error).__name__}") from error
        if answer.status >= _SERVER_ERROR:
            raise RetryableError(f"the identity provider answered {answer.status}")
        return _object(content, answer.status)

    @property
    def _http(self) -> "urllib3.PoolManager":
        if self._made is None:
            self._made = self._make_pool()
        return self._made


def _pool() -> "urllib3.PoolManager":
    import urllib3  # noqa: PLC0415 - only who signs in needs it

    return urllib3.PoolManager(
        num_pools=4, timeout=urllib3.Timeout(connect=3, read=5), retries=urllib3.Retry(1, redirect=False)
    )


def _object(content: bytes, status: int) -> dict[str, Any]:
    """The JSON object of an answer; of a refusal, its error code becomes the message."""
    try:
        value = json.loads(content) if len(content) <= _LARGEST else None
    except (ValueError, RecursionError):
        value = None
    if status != _OK:
        code = value.get("error") if isinstance(value, dict) else None
        raise ProviderError(f"the identity provider answered {status} ({str(code)[:64]})")
    if not isinstance(value, dict):
        raise ProviderError("the identity provider answered something else than a JSON object")
    return value


def _metadata(said: Mapping[str, Any]) -> Metadata:
    methods = said.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
    return Metadata(
        issuer=str(said["issuer"]),
        authorization_endpoint=str(said["authorization_endpoint"]),
        token_endpoint=str(said["token_endpoint"]),
        jwks_uri=str(said["jwks_uri"]),
        token_endpoint_auth_methods_supported=tuple(map(str, methods)),
    )
