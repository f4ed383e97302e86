"""Signing in by OpenID Connect: the authorization code flow with PKCE.

    GET /request/{token} --no session--> cookie "sign-in", to the provider --> GET /signed-in?code&state
        state is the cookie's? code for an ID token, nonce is the cookie's? required claim? --> cookie "session", back

Both cookies are sealed by the stack, HttpOnly, Secure, SameSite=Lax and bound to this host. Nothing is kept here.
"""

import hmac
import logging
import secrets
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final, Protocol

import msgspec
from msgspec import Struct

from bedrock_remediator.aws.identity_provider import ProviderError
from bedrock_remediator.core.approval import Approver
from bedrock_remediator.flows.links.links import Sealer, SealError
from bedrock_remediator.flows.web.html import message_page
from bedrock_remediator.flows.web.http import Request, Response
from bedrock_remediator.flows.web.visitors import Visitor
from bedrock_remediator.notices.web.messages import NOT_AN_APPROVER, SIGN_IN_LOST, SIGN_IN_REFUSED

logger = logging.getLogger(__name__)

SESSION_LASTS: Final = timedelta(hours=1)
"""Who has left the approvers' group at the provider may decide for so long. Signing in again is a redirect or two."""
SIGN_IN_LASTS: Final = timedelta(minutes=10)
SESSION_SALT: Final = "session/1"
SIGN_IN_SALT: Final = "sign-in/1"
SESSION_COOKIE: Final = "__Host-session"
SIGN_IN_COOKIE: Final = "__Host-sign-in"
REDIRECT_PATH: Final = "/signed-in"


class Provider(Protocol):
    """What is asked of the identity provider."""

    @property
    def issuer(self) -> str:
        """Its name for itself."""
        ...

    def sign_in_url(self, *, redirect_uri: str, state: str, nonce: str, verifier: str) -> str:
        """Where the browser goes."""
        ...

    def claims(self, *, code: str, verifier: str, redirect_uri: str, nonce: str) -> Mapping[str, Any]:
        """What it says of the person, verified."""
        ...


class Membership(Struct, frozen=True):
    """The claim that a person must have: its name, and the value that it must be or hold."""

    claim: str
    value: str

    def holds(self, claims: Mapping[str, Any]) -> bool:
        """Whether the claims have it."""
        said = claims.get(self.claim)
        if isinstance(said, bool):
            return self.value == ("true" if said else "false")
        return self.value in (said if isinstance(said, list) else [said])


class _Session(Struct, frozen=True, array_like=True):
    """What the session's cookie holds: the name that is recorded, who that is elsewhere, and a name for the session."""

    name: str
    names: tuple[str, ...]
    id: str


class _Begun(Struct, frozen=True, array_like=True):
    """What the sign-in's cookie holds while the browser is at the provider."""

    state: str
    nonce: str
    verifier: str
    back: str


class SignInGate:
    """Lets in who has signed in at the provider and has the claim that approvers have.

    Args:
        provider: The identity provider.
        sessions: Seals the session's cookie.
        begun: Seals the cookie of a sign-in that has begun.
        membership: The claim that a person must have.
    """

    def __init__(
        self,
        provider: Provider,
        sessions: Sealer,
        begun: Sealer,
        membership: Membership,
    ) -> None:
        self._provider = provider
        self._sessions = sessions
        self._begun = begun
        self._membership = membership

    def greet(self, request: Request) -> Visitor | Response:
        """Who is signed in; everybody else is sent to the provider, and comes back to this page.

        Raises:
            RetryableError: The provider does not answer.
        """
        try:
            return self.recognise(request) or self._begin(request)
        except ProviderError as error:
            logger.warning("nobody can sign in", extra={"reason": str(error)})
            return message_page(SIGN_IN_REFUSED)

    def recognise(self, request: Request) -> Visitor | None:
        """Who is signed in."""
        try:
            said = self._sessions.open(request.cookies.get(SESSION_COOKIE, ""))
            session = msgspec.convert(said, _Session)
            approver = Approver.by_oidc(session.name, session.names)
        except (SealError, msgspec.ValidationError, ValueError):
            return None
        return Visitor(session=session.id, approver=approver, name=session.name)

    @property
    def sign_out_cookies(self) -> tuple[str, ...]:
        """Both, without content and without time left."""
        return tuple(_cookie(name, "", timedelta()) for name in (SESSION_COOKIE, SIGN_IN_COOKIE))

    def finish(self, request: Request) -> Response:
        """Answer the browser's return from the provider.

        Raises:
            RetryableError: The provider does not answer.
        """
        try:
            sealed = self._begun.open(request.cookies.get(SIGN_IN_COOKIE, ""))
            begun = msgspec.convert(sealed, _Begun)
        except (SealError, msgspec.ValidationError):
            return message_page(SIGN_IN_LOST)
        if not hmac.compare_digest(begun.state.encode(), request.query.get("state", "").encode()):
            return message_page(SIGN_IN_LOST, begun.back)
        try:
            claims = self._claims(request, begun)
            session = _session(claims)
        except ProviderError as error:
            logger.warning("a sign-in was refused", extra={"reason": str(error)})
            return message_page(SIGN_IN_REFUSED, begun.back)
        if not self._membership.holds(claims):
            logger.warning("a sign-in was refused", extra={"reason": "the required claim is missing"})
            return message_page(NOT_AN_APPROVER)
        cookie = _cookie(SESSION_COOKIE, self._sessions.seal(msgspec.to_builtins(session)), SESSION_LASTS)
        return Response.to(begun.back, cookies=(cookie, _cookie(SIGN_IN_COOKIE, "", timedelta())))

    def _begin(self, request: Request) -> Response:
        begun = _Begun(
            state=secrets.token_urlsafe(24),
            nonce=secrets.token_urlsafe(24),
            verifier=secrets.token_urlsafe(48),
            back=f"/request/{request.parameters['token']}",
        )
        url = self._provider.sign_in_url(
            redirect_uri=request.origin + REDIRECT_PATH,
            state=begun.state,
            nonce=begun.nonce,
            verifier=begun.verifier,
        )
        sealed = self._begun.seal(msgspec.to_builtins(begun))
        return Response.to(url, cookies=(_cookie(SIGN_IN_COOKIE, sealed, SIGN_IN_LASTS),))

    def _claims(self, request: Request, begun: _Begun) -> Mapping[str, Any]:
        # The provider that answers is the one that was asked (RFC 9207).
        if request.query.get("iss", self._provider.issuer) != self._provider.issuer:
            raise ProviderError("another provider answered")
        if "code" not in request.query:
            raise ProviderError(f"no code, but {request.query.get('error', 'nothing')[:64]!r}")
        return self._provider.claims(
            code=request.query["code"],
            verifier=begun.verifier,
            redirect_uri=request.origin + REDIRECT_PATH,
            nonce=begun.nonce,
        )


def _session(claims: Mapping[str, Any]) -> _Session:
    """Who signed in.

    Beside a name that the provider has not verified stands the subject, which is never anybody else's. `names` are
    compared with those that the denied call bears.
    """
    subject = str(claims["sub"])
    email, preferred = (claims.get(name) for name in ("email", "preferred_username"))
    names = tuple(each for each in (email, preferred) if isinstance(each, str) and each)
    person = next(iter(names), None)
    verified = person == email and claims.get("email_verified") is True
    subject_too = f"{person} (subject {subject})" if person else f"subject {subject}"
    name = person if person and verified else subject_too
    return _Session(name=name, names=(*names, subject), id=secrets.token_urlsafe(12))


def _cookie(name: str, value: str, lasting: timedelta) -> str:
    """A cookie of this host alone, that no script reads and no other site's form brings along."""
    age = int(lasting.total_seconds())
    return f"{name}={value}; Path=/; Max-Age={age}; Secure; HttpOnly; SameSite=Lax"
