"""The forms on the pages: each is sealed for one link, one version of its row and one visitor.

A form counts when it comes from the page itself: the Origin header says so, and the seal is one that the page made.
"""

import hashlib
from collections.abc import Mapping
from datetime import timedelta
from typing import Final

import msgspec
from msgspec import Struct

from bedrock_remediator.flows.links.links import Sealer, SealError
from bedrock_remediator.flows.web.html import message_page
from bedrock_remediator.flows.web.http import Request, Response
from bedrock_remediator.flows.web.visitors import Gate, Visitor
from bedrock_remediator.notices.web import messages

FORM_SALT: Final = "form/1"
FORM_LASTS: Final = timedelta(hours=8)

_SAME_ORIGIN: Final = "same-origin"


class Form(Struct, frozen=True, kw_only=True):
    """What the form shows: its seal, whether it asks for a name, and what was typed before, if anything."""

    csrf: str
    asks_name: bool
    name: str = ""
    reason: str = ""
    length: str = ""


class Refused(Exception):  # noqa: N818 - not an error: the answer to a request that must not be followed
    """The request is answered by a page instead."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.status)
        self.response = response


class _Seal(Struct, frozen=True, array_like=True):
    """What a form was made for: a link, a version of its row, a visitor."""

    link: str
    version: int
    session: str


class Forms:
    """Seals forms, and reads those that come back."""

    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer

    def seal(self, request: Request, version: int, visitor: Visitor) -> str:
        """The seal of a form for this link, this version of its row, and this visitor.

        Raises:
            RetryableError: The keys cannot be had at the moment.
        """
        seal = _Seal(link=_digest(request), version=version, session=visitor.session)
        return self._sealer.seal(msgspec.to_builtins(seal))

    def version(self, request: Request, visitor: Visitor, form: Mapping[str, str]) -> int:
        """The version that a form was made for, which must be one for this link and this visitor.

        Raises:
            Refused: It is none.
            RetryableError: The keys cannot be had at the moment.
        """
        back = address(request)
        try:
            seal = msgspec.convert(self._sealer.open(form.get("csrf", "")), _Seal)
        except (SealError, msgspec.ValidationError) as error:
            expired = isinstance(error, SealError) and error.expired
            message = messages.EXPIRED_FORM if expired else messages.FOREIGN_FORM
            raise Refused(message_page(message, back, visitor.name)) from None
        if (seal.link, seal.session) != (_digest(request), visitor.session):
            raise Refused(message_page(messages.FOREIGN_FORM, back, visitor.name))
        return seal.version


def sender(request: Request, gate: Gate) -> Visitor:
    """Who sent a form, which must come from a page of ours.

    Raises:
        Refused: It comes from elsewhere, or from nobody.
    """
    if not _from_own_page(request):
        raise Refused(message_page(messages.FOREIGN_FORM, address(request)))
    visitor = gate.recognise(request)
    if visitor is None:
        raise Refused(message_page(messages.SIGNED_OUT, address(request)))
    return visitor


def address(request: Request) -> str:
    """The path of the page that the request is about."""
    return f"/request/{token(request)}"


def token(request: Request) -> str:
    """The link's token."""
    return request.parameters.get("token", "")


def _from_own_page(request: Request) -> bool:
    """Whether the browser says that the form was sent from a page of this origin.

    A page without referrer sends its own forms with `Origin: null`; then Sec-Fetch-Site, which no page can set, must
    say it. What is no browser sends neither, and has only the form's seal to show.
    """
    origin, site = request.headers.get("origin"), request.headers.get("sec-fetch-site")
    if site is not None:
        return site == _SAME_ORIGIN and origin in (None, "null", request.origin)
    return origin in (None, request.origin)


def _digest(request: Request) -> str:
    return hashlib.sha256(token(request).encode()).hexdigest()[:32]
