"""The page of a request: GET shows it, and only POST decides, since mail and chat clients fetch what they are sent.

A POST counts when it comes from the page itself (see forms.py). After a decision the browser is sent back to GET, where
the same link tells what happened.
"""

from collections.abc import Mapping
from datetime import timedelta
from http import HTTPStatus
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from bedrock_remediator.clock import Clock
from bedrock_remediator.core.approval import GRANTING, REVOKE_ALL, Answer, Approver, Verb
from bedrock_remediator.core.durations import parse_length
from bedrock_remediator.core.grant import State
from bedrock_remediator.flows.approval.approval import Approval
from bedrock_remediator.flows.approval.expired import NEW_LINK, ExpiredLinks
from bedrock_remediator.flows.approval.forms import Form, Forms, Refused, address, sender, token
from bedrock_remediator.flows.approval.results import (
    AlreadyDecided,
    Decided,
    LostRace,
    NotAllowed,
    NotFound,
    Result,
    View,
    log_decision,
)
from bedrock_remediator.flows.links.links import LinkError, Links, Ticket
from bedrock_remediator.flows.web.html import html, message_page
from bedrock_remediator.flows.web.http import BadRequestError, Request, Response
from bedrock_remediator.flows.web.visitors import Gate, Visitor
from bedrock_remediator.notices.web import messages
from bedrock_remediator.notices.web.page import Shown, page
from bedrock_remediator.notices.web.readable import moment

SIGN_OUT: Final = "sign_out"
OLD_LINK: Final = (
    "This link was made for an earlier version of the request. By it you can see what became of that, and take a grant "
    "back. For anything else, let the approvers be sent a new link: it goes to their mailbox, and nowhere else."
)
_LOOK_ONLY: Final = "This link only shows the request. Decide in Slack, or by the link in the e-mail."


class PageTerms(Struct, frozen=True, kw_only=True):
    """What the page says of the stack: where it writes grants, how long a request waits, and how people come in."""

    strategy: str
    lapses_after: timedelta
    by_link: bool


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
        forms: Forms,
        terms: PageTerms,
        clock: Clock,
    ) -> None:
        self._approval = approval
        self._links = links
        self._gate = gate
        self._forms = forms
        self._expired = ExpiredLinks(approval, links, gate, forms)
        self._terms = terms
        self._clock = clock

    def show(self, request: Request) -> Response:
        """Show a request, or what became of it. Changes nothing.

        Raises:
            RetryableError: AWS does not answer.
        """
        try:
            ticket = self._links.read(token(request))
            visitor = self._gate.greet(request)
            if isinstance(visitor, Response):
                return visitor
            return self._shown(request, visitor, self._view(_held(ticket, visitor)))
        except LinkError as error:
            return self._expired.show(request) if error.expired else message_page(messages.UNKNOWN_LINK)
        except Refused as refused:
            return refused.response

    def decide(self, request: Request) -> Response:
        """Take a decision from the page's form.

        Raises:
            RetryableError: AWS does not answer.
        """
        try:
            try:
                ticket = self._links.read(token(request))
            except LinkError as error:
                return self._expired.answer(request) if error.expired else message_page(messages.UNKNOWN_LINK)
            return self._decide(request, ticket)
        except Refused as refused:
            return refused.response
        except BadRequestError as error:
            return message_page(messages.refused(str(error), error.status))

    def _decide(self, request: Request, ticket: Ticket) -> Response:
        visitor = sender(request, self._gate)
        if self._only_shows(ticket):
            return message_page(messages.ONLY_SHOWS, address(request), visitor.name)
        ticket = _held(ticket, visitor)
        form = request.form()
        version = self._forms.version(request, visitor, form)
        word = form.get("decision")
        if word == SIGN_OUT:
            return replace(message_page(messages.SIGNED_OUT_NOW), cookies=self._gate.sign_out_cookies)
        if word == NEW_LINK and ticket.bearer:
            return self._expired.ask(ticket)
        return self._decide_by(request, ticket, visitor, form, version)

    def _decide_by(
        self, request: Request, ticket: Ticket, visitor: Visitor, form: Mapping[str, str], version: int
    ) -> Response:
        try:
            approver = visitor.approver or Approver.by_link(form.get("name", ""))
            answer = _answer(form, version, approver)
        except ValueError as error:
            return self._shown(request, visitor, self._view(ticket), form, _sentence(error))
        if answer is None:
            return self._revoke_all(request, ticket, approver, form.get("reason"))
        result = self._approval.decide(ticket, answer)
        log_decision(answer.verb, approver, result)
        if isinstance(result, Decided):
            return Response.to(address(request))
        return self._not_decided(request, result, visitor)

    def _revoke_all(self, request: Request, ticket: Ticket, approver: Approver, reason: str | None) -> Response:
        results = self._approval.revoke_all(ticket, approver, reason)
        for result in results:
            log_decision(Verb.REVOKE, approver, result)
        done = sum(isinstance(result, Decided) for result in results)
        return message_page(messages.revoked_all(done, len(results) - done), address(request))

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
        return message_page(message, address(request), visitor.name)

    def _view(self, ticket: Ticket) -> View:
        view = self._approval.show(ticket)
        if view is None:
            raise Refused(message_page(messages.UNKNOWN_LINK))
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
        form = Form(
            csrf=self._forms.seal(request, grant.version, visitor),
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
            address=address(request),
            visitor=visitor.name,
            problem=problem,
            notice=_LOOK_ONLY if only_shows and view.verbs else None,
            old_link=OLD_LINK if view.old_link and not only_shows else None,
        )


def _held(ticket: Ticket, visitor: Visitor) -> Ticket:
    """The ticket of a link that somebody came with; of who has signed in, not the link tells who decides."""
    return replace(ticket, bearer=visitor.approver is None)


def _answer(form: Mapping[str, str], version: int, approver: Approver) -> Answer | None:
    """The decision in a form; None where it is to take back all grants of the principal.

    Raises:
        ValueError: It holds none, or no length where one is needed.
    """
    if form.get("decision") == REVOKE_ALL:
        return None
    try:
        verb = Verb(form.get("decision", ""))
    except ValueError as error:
        raise ValueError("choose what to do, by one of the buttons") from error
    if verb in GRANTING and not form.get("length"):
        raise ValueError("choose how long the grant shall last")
    length = parse_length(form["length"]) if verb in GRANTING else None
    return Answer(verb=verb, version=version, approver=approver, reason=form.get("reason"), length=length)


def _sentence(error: ValueError) -> str:
    text = str(error)
    return f"{text[:1].upper()}{text[1:]}."
