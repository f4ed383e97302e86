"""Who is at the page: whoever holds the link, or whom the identity provider has signed in."""

from typing import Final, Protocol

from msgspec import Struct

from bedrock_remediator.core.approval import Approver
from bedrock_remediator.flows.web.http import Request, Response

BY_LINK: Final = "link"


class Visitor(Struct, frozen=True, kw_only=True):
    """Somebody at the page.

    `approver` is who they are, None where they have to type a name. `name` is what the page calls them. `session` is
    what their forms are bound to, so that a form of one person is none of another's.
    """

    session: str
    approver: Approver | None = None
    name: str | None = None


class Gate(Protocol):
    """Decides whom the page is shown to, and who has sent a form."""

    def greet(self, request: Request) -> Visitor | Response:
        """Whoever asks for a page; or where to send the browser first."""
        ...

    def recognise(self, request: Request) -> Visitor | None:
        """Whoever sends a form; None if that is nobody, or nobody any more."""
        ...

    @property
    def sign_out_cookies(self) -> tuple[str, ...]:
        """The cookies by which the browser forgets who was at the page."""
        ...


class LinkGate:
    """Whoever holds the link may decide; the name is typed, and recorded as unverified."""

    def greet(self, _request: Request, /) -> Visitor | Response:
        """Anybody."""
        return Visitor(session=BY_LINK)

    def recognise(self, _request: Request, /) -> Visitor | None:
        """Anybody."""
        return Visitor(session=BY_LINK)

    @property
    def sign_out_cookies(self) -> tuple[str, ...]:
        """None: nobody is signed in."""
        return ()
