"""The page of a request: GET shows it, and only POST decides, since mail and chat clients fetch what they are sent.

A POST counts when it comes from the page itself: the Origin header says so, and the form carries a seal that was made
for this link, this version of the row and this visitor. After a decision the browser is sent back to GET, where the
same link tells what happened.
"""

import hashlib
from collections.abc import Mapping
from datetime import timedelta
from http import HTTPStatus
from typing import Final

import msgspec
from msgspec import Struct

from bedrock_remediator.clock import Clock
from bedrock_remediator.core.approval import Answer, Approver, Verb
from bedrock_remediator.core.grant import State
from bedrock_remediator.core.lengths import parse_length
from bedrock_remediator.flows.approval.approval import (
    AlreadyDecided,
    Approval,
    Decided,
    LostRace,
    NotAllowed,
    NotFound,
    Result,
    View,
)
from bedrock_remediator.flows.approval.decision_log import log_decision
from bedrock_remediator.flows.links.links import LinkError, Links, Sealer, SealError, Ticket
from bedrock_remediator.flows.web.html import html, message_page
from bedrock_remediator.flows.web.http import BadRequestError, Request, Response
from bedrock_remediator.flows.web.visitors import Gate, Visitor
from bedrock_remediator.notices.web import messages
from bedrock_remediator.notices.web.page import Shown, page
from bedrock_remediator.notices.web.readable import moment

FORM_SALT: Final = "form/1"
FORM_LASTS: Final = timedelta(hours=8)
REVOKE_ALL: Final = "revoke_all"

_GRANTING: Final = frozenset({Verb.APPROVE, Verb.EXTEND})
_SAME_ORIGIN: Final = "same-origin"
_LOOK_ONLY: Final = "This link only shows the request. Decide in Slack, or by the link in the e-mail."


class Form(Struct, frozen=True, kw_only=True):
    """What the form shows: its seal, whether it asks for a name, and what was typed before, if anything."""

    csrf: str
    asks_name: bool
    name: str = ""
    reason: str = ""
    length: str = ""


class PageTerms(Struct, frozen=True, kw_only=True):
    """What the page says of the stack: where it writes grants, how long a request waits, and how people come in."""

    strategy: str
    lapses_after: timedelta
    by_link: bool


class _Seal(Struct, frozen=True, array_like=True):
    """What a form was made for: a link, a version of its row, a visitor."""

    link: str
    version: int
    session: str


class _Refused(Exception):  # noqa: N818 - not an error: the answer to a request that must not be followed
    """The request is answered by a page instead."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.status)
        self.response = response


class ApprovalPages:
    """Answers the two routes of a request's page.

    Args:
        approval: The use case.
        links: Reads the links.
        gate: Who is at the page.
        forms: Seals the forms.
        terms: What the page says of the stack.
        clock: Tells the time.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - its parts
        self,
        approval: Approval,
        links: Links,
        gate: Gate,
        forms: Sealer,
        terms: PageTerms,
        clock: Clock,
    ) -> None:
        self._approval = approval
        self._links = links
        self._gate = gate
        self._forms = forms
        self._terms = terms
        self._clock = clock

    def show(self, request: Request) -> Response:
        """Show a request, or what became of it. Changes nothing.

        Raises:
            RetryableError: AWS does not answer.
        """
        try:
            ticket = self._ticket(request)
            visitor = self._gate.greet(request)
            if isinstance(visitor, Response):
                return visitor
            return self._shown(request, visitor, self._view(ticket))
        except _Refused as refused:
            return refused.response

    def decide(self, request: Request) -> Response:
        """Take a decision from the page's form.

        Raises:
            RetryableError: AWS does not answer.
        """
        try:
            return self._decide(request)
        except _Refused as refused:
            return refused.response
        except BadRequestError as error:
            return message_page(messages.refused(str(error), error.status))

    def _decide(self, request: Request) -> Response:
        ticket = self._ticket(request)
        visitor, form, seal = self._form(request, ticket)
        try:
            approver = visitor.approver or Approver.by_link(form.get("name", ""))
            if form.get("decision") == REVOKE_ALL:
                return self._revoke_all(request, ticket, approver, form.get("reason"))
            answer = _answer(form, seal.version, approver)
        except ValueError as error:
            return self._shown(request, visitor, self._view(ticket), form, _sentence(error))
        result = self._approval.decide(ticket, answer)
        log_decision(answer.verb, approver, result)
        if isinstance(result, Decided):
            return Response.to(_address(request))
        return self._not_decided(request, result, visitor)

    def _form(self, request: Request, ticket: Ticket) -> tuple[Visitor, Mapping[str, str], "_Seal"]:
        """Who sent the form, what it holds, and what it was made for; only one of our own counts."""
        address = _address(request)
        if not _from_own_page(request):
            raise _Refused(message_page(messages.FOREIGN_FORM, address))
        visitor = self._gate.recognise(request)
        if visitor is None:
            raise _Refused(message_page(messages.SIGNED_OUT, address))
        if self._only_shows(ticket):
            raise _Refused(message_page(messages.ONLY_SHOWS, address, visitor.name))
        form = request.form()
        return visitor, form, self._seal(request, visitor, form)

    def _revoke_all(self, request: Request, ticket: Ticket, approver: Approver, reason: str | None) -> Response:
        results = self._approval.revoke_all(ticket, approver, reason)
        for result in results:
            log_decision(Verb.REVOKE, approver, result)
        done = sum(isinstance(result, Decided) for result in results)
        return message_page(messages.revoked_all(done, len(results) - done), _address(request))

    def _not_decided(self, request: Request, result: Result, visitor: Visitor) -> Response:
        match result:
            case AlreadyDecided() | LostRace():
                at = moment(result.at, self._clock.now())
                lost = isinstance(result, LostRace)
                message = messages.decided_before(result.by, at, result.state, lost=lost)
            case NotAllowed():
                message = messages.refused(result.reason)
            case NotFound():
                return message_page(messages.UNKNOWN_LINK)
            case _:
                message = messages.STALE_PAGE
        return message_page(message, _address(request), visitor.name)

    def _ticket(self, request: Request) -> Ticket:
        try:
            return self._links.read(request.parameters.get("token", ""))
        except LinkError as error:
            message = messages.EXPIRED_LINK if error.expired else messages.UNKNOWN_LINK
            raise _Refused(message_page(message)) from None

    def _view(self, ticket: Ticket) -> View:
        view = self._approval.show(ticket)
        if view is None:
            raise _Refused(message_page(messages.UNKNOWN_LINK))
        return view

    def _only_shows(self, ticket: Ticket) -> bool:
        """A link for reading decides only where its holder has signed in."""
        return ticket.look_only and self._terms.by_link

    def _shown(
        self,
        request: Request,
        visitor: Visitor,
        view: View,
        typed: Mapping[str, str] | None = None,
        problem: str | None = None,
    ) -> Response:
        grant, only_shows = view.grant, self._only_shows(view.ticket)
        acts = bool(view.verbs) and not only_shows
        shown = Shown(
            grant=grant,
            open=view.open,
            now=self._clock.now(),
            denials=view.denials,
            plan=view.plan,
            risks=view.risks,
            lengths=view.lengths,
            verbs=view.verbs if acts else frozenset(),
            replaced=view.replaced,
            request_id=view.request_id,
            strategy=self._terms.strategy,
            lapses_at=grant.updated_at + self._terms.lapses_after if grant.state is State.PENDING else None,
            standing=() if view.replaced or only_shows else view.standing,
        )
        typed = typed or {}
        seal = _Seal(link=_digest(request), version=grant.version, session=visitor.session)
        form = Form(
            csrf=self._forms.seal(msgspec.to_builtins(seal)),
            asks_name=visitor.approver is None,
            name=typed.get("name", ""),
            reason=typed.get("reason", ""),
            length=typed.get("length", ""),
        )
        return html(
            "request.html",
            HTTPStatus.BAD_REQUEST if problem else HTTPStatus.OK,
            page=page(shown),
            form=form,
            address=_address(request),
            visitor=visitor.name,
            problem=problem,
            notice=_LOOK_ONLY if only_shows and view.verbs else None,
        )

    def _seal(self, request: Request, visitor: Visitor, form: Mapping[str, str]) -> _Seal:
        """What the form was made for, which must be this link and this visitor."""
        address = _address(request)
        try:
            seal = msgspec.convert(self._forms.open(form.get("csrf", "")), _Seal)
        except (SealError, msgspec.ValidationError) as error:
            expired = isinstance(error, SealError) and error.expired
            message = messages.EXPIRED_FORM if expired else messages.FOREIGN_FORM
            raise _Refused(message_page(message, address, visitor.name)) from None
        if (seal.link, seal.session) != (_digest(request), visitor.session):
            raise _Refused(message_page(messages.FOREIGN_FORM, address, visitor.name))
        return seal


def _answer(form: Mapping[str, str], version: int, approver: Approver) -> Answer:
    """The decision in a form.

    Raises:
        ValueError: It holds none, or no length where one is needed.
    """
    try:
        verb = Verb(form.get("decision", ""))
    except ValueError as error:
        raise ValueError("choose what to do, by one of the buttons") from error
    length = parse_length(form.get("length", "")) if verb in _GRANTING else None
    return Answer(verb=verb, version=version, approver=approver, reason=form.get("reason"), length=length)


def _from_own_page(request: Request) -> bool:
    """Whether the browser says that the form was sent from a page of this origin.

    A page without referrer sends its own forms with `Origin: null`; then Sec-Fetch-Site, which no page can set, must
    say it. What is no browser sends neither, and has only the form's seal to show.
    """
    origin, site = request.headers.get("origin"), request.headers.get("sec-fetch-site")
    if site is not None:
        return site == _SAME_ORIGIN and origin in (None, "null", request.origin)
    return origin in (None, request.origin)


def _address(request: Request) -> str:
    return f"/request/{request.parameters.get('token', '')}"


def _digest(request: Request) -> str:
    return hashlib.sha256(request.parameters.get("token", "").encode()).hexdigest()[:32]


def _sentence(error: ValueError) -> str:
    text = str(error)
    return f"{text[:1].upper()}{text[1:]}."
