"""A small OpenID Connect provider on this machine: discovery, authorization code with PKCE, RSA signatures, keys.

It is as strict as a real one: a code is good once, for its redirect URI, its client and its verifier.
"""

import base64
import functools
import hashlib
import json
import secrets
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey

CLIENT_ID: Final = "bedrock-access"
CLIENT_SECRET: Final = "s3cret/with:odd+characters"
ISSUER: Final = "https://identity.example.com"
"""What the template takes; a provider on this machine stands for it."""
OIDC: Final = {
    "ApproverAuth": "oidc",
    "OidcIssuer": ISSUER,
    "OidcClientId": CLIENT_ID,
    "OidcClientSecretArn": "arn:aws:secretsmanager:us-east-1:123456789012:secret:client-AbCdEf",
    "OidcClaim": "groups",
    "OidcClaimValue": "approvers",
}
"""The stack's parameters, with the provider."""
OIDC_SECRETS: Final = {OIDC["OidcClientSecretArn"]: CLIENT_SECRET}
PERSON: Final = {"sub": "00u1a2b3", "email": "alice@example.com", "email_verified": True, "groups": ["approvers"]}


@functools.cache
def signing_key(name: str) -> RSAKey:
    """A key by its id; making one takes a while."""
    return RSAKey.generate_key(2048, {"kid": name, "use": "sig", "alg": "RS256"})


class Provider:
    """The provider; what tests change to see it misbehave are its public attributes.

    Attributes:
        person: The claims of whoever signs in next.
        changes: Claims of the ID token that are not as they should be; None leaves one out.
        key: The id of the key that signs; `published` are the ids of those that the provider shows.
        forge: Makes the ID token of its claims instead of signing it.
        discovery: What the discovery document says that is not so.
        secret: The client's secret; None for a public client.
        status: What the token endpoint answers with, if not 200.
        answers: Path -> what it answers there instead.
        redirect_uri: Where it sends browsers back to.
        asked: The paths that were asked for, in order.
    """

    def __init__(self, redirect_uri: str, now: Callable[[], datetime], *, secret: str | None = CLIENT_SECRET) -> None:
        self.issuer = ""
        self.person: Mapping[str, Any] = PERSON
        self.changes: Mapping[str, Any] = {}
        self.key = "first"
        self.published = ["first"]
        self.forge: Callable[[dict[str, Any]], str] | None = None
        self.discovery: Mapping[str, Any] = {}
        self.status = 200
        self.answers: Mapping[str, bytes] = {}
        self.asked: list[str] = []
        self.redirect_uri = redirect_uri
        self._now = now
        self.secret = secret
        self._codes: dict[str, dict[str, str]] = {}

    def authorize(self, query: Mapping[str, str]) -> str | None:
        """Where the browser goes with a code; None for a request that a provider shows an error page for."""
        wanted = {
            "client_id": CLIENT_ID,
            "redirect_uri": self.redirect_uri,
            "response_type": "code",
            "code_challenge_method": "S256",
        }
        if any(query.get(name) != value for name, value in wanted.items()) or "openid" not in query["scope"].split():
            return None
        code = secrets.token_urlsafe(16)
        self._codes[code] = dict(query)
        answer = {"code": code, "state": query["state"], "iss": self.issuer}
        return f"{self.redirect_uri}?{urlencode(answer)}"

    def token(self, form: Mapping[str, str], authorization: str) -> tuple[int, dict[str, Any]]:
        """What a code is worth."""
        begun = self._codes.pop(form.get("code", ""), None)
        if self._client(form, authorization) != (CLIENT_ID, self.secret):
            return 401, {"error": "invalid_client"}
        if begun is None or form.get("grant_type") != "authorization_code":
            return 400, {"error": "invalid_grant"}
        verifier = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        if base64.urlsafe_b64encode(verifier).rstrip(b"=").decode() != begun["code_challenge"]:
            return 400, {"error": "invalid_grant", "error_description": "PKCE"}
        if form.get("redirect_uri") != begun["redirect_uri"]:
            return 400, {"error": "invalid_grant", "error_description": "redirect_uri"}
        return self.status, {"access_token": "a", "token_type": "Bearer", "id_token": self._id_token(begun["nonce"])}

    def document(self) -> dict[str, Any]:
        """The discovery document."""
        endpoints = {
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
        }
        return {"issuer": self.issuer, **endpoints, **self.discovery}

    def keys(self) -> dict[str, Any]:
        """The keys that it shows."""
        return {"keys": [signing_key(name).as_dict(private=False) for name in self.published]}

    def _id_token(self, nonce: str) -> str:
        now = int(self._now().timestamp())
        claims = {"iss": self.issuer, "aud": CLIENT_ID, "iat": now, "exp": now + 300, "nonce": nonce, **self.person}
        claims = {name: value for name, value in (claims | dict(self.changes)).items() if value is not None}
        if self.forge:
            return self.forge(claims)
        return jwt.encode({"alg": "RS256", "kid": self.key}, claims, signing_key(self.key))

    @staticmethod
    def _client(form: Mapping[str, str], authorization: str) -> tuple[str | None, str | None]:
        if authorization.startswith("Basic "):
            name, _, secret = base64.b64decode(authorization.removeprefix("Basic ")).decode().partition(":")
            return unquote(name), unquote(secret)
        return form.get("client_id"), form.get("client_secret")


def unsigned(claims: dict[str, Any]) -> str:
    """A token that says it needs no signature."""
    parts = ({"alg": "none"}, claims)
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts) + "."


def signed_with_secret(claims: dict[str, Any]) -> str:
    """A token signed with what the client knows too."""
    key = OctKey.import_key(CLIENT_SECRET.ljust(32, "."), {"kid": "first"})
    return jwt.encode({"alg": "HS256", "kid": "first"}, claims, key)


def signed_by_another(claims: dict[str, Any]) -> str:
    """A token of somebody else's key under the name of the provider's."""
    return jwt.encode({"alg": "RS256", "kid": "first"}, claims, signing_key("another"))


@contextmanager
def running(provider: Provider) -> Iterator[Provider]:
    """Keep a provider up on a port of this machine."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            url = urlsplit(self.path)
            provider.asked.append(url.path)
            if url.path == "/authorize":
                location = provider.authorize(dict(parse_qsl(url.query)))
                self._send(302 if location else 400, {}, location)
            elif url.path == "/.well-known/openid-configuration":
                self._send(200, provider.document())
            else:
                self._send(200, provider.keys())

        def do_POST(self) -> None:
            provider.asked.append(self.path)
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            self._send(*provider.token(dict(parse_qsl(body)), self.headers.get("Authorization", "")))

        def _send(self, status: int, content: dict[str, Any], location: str | None = None) -> None:
            path = urlsplit(self.path).path
            body = provider.answers.get(path) or json.dumps(content).encode()
            self.send_response(status)
            if location:
                self.send_header("Location", location)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        provider.issuer = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield provider
        finally:
            server.shutdown()
            thread.join()
