"""Links that are too old: what they were for is not lost to who may decide, and nobody else learns anything.

    signed in ---------> a fresh link, at once: it is the person who may decide, and the link only says about what
    by the link alone --> "send a new one" --> a note on the row --> notify --> a fresh link, to the approvers' mailbox

An expired link decides nothing and shows nothing. Who asks for a new one is told the same whatever the row says.
"""

import logging
from typing import Final

from msgspec.structs import replace

from bedrock_remediator.flows.approval.approval import Approval
from bedrock_remediator.flows.approval.forms import Forms, address, sender, token
from bedrock_remediator.flows.links.links import Links, Ticket
from bedrock_remediator.flows.web.html import message_page
from bedrock_remediator.flows.web.http import Request, Response
from bedrock_remediator.flows.web.visitors import Gate, Visitor
from bedrock_remediator.notices.web import messages

NEW_LINK: Final = "new_link"

logger = logging.getLogger(__name__)


class ExpiredLinks:
    """Answers for links that this stack has made, and that are too old.

    Args:
        approval: The use case.
        links: Reads what a link was for, and makes a fresh one.
        gate: Who is at the page.
        forms: Seals the form by which a new link is asked for.
    """

    def __init__(self, approval: Approval, links: Links, gate: Gate, forms: Forms) -> None:
        self._approval = approval
        self._links = links
        self._gate = gate
        self._forms = forms

    def show(self, request: Request) -> Response:
        """Say that the link has expired, and what can be done. Changes nothing.

        Raises:
            LinkError: It is no link of this stack's.
            RetryableError: AWS does not answer.
        """
        ticket = self._links.read_expired(token(request))
        visitor = self._gate.greet(request)
        return visitor if isinstance(visitor, Response) else self._page(request, visitor, ticket)

    def answer(self, request: Request) -> Response:
        """Take the wish for a new link; any other form comes too late.

        Raises:
            BadRequestError: It is no form.
            LinkError: It is no link of this stack's.
            Refused: It does not come from the page.
            RetryableError: AWS does not answer.
        """
        ticket = self._links.read_expired(token(request))
        visitor = sender(request, self._gate)
        form = request.form()
        if visitor.approver is not None or form.get("decision") != NEW_LINK:
            return self._page(request, visitor, ticket)
        self._forms.version(request, visitor, form)
        return self.ask(ticket)

    def ask(self, ticket: Ticket) -> Response:
        """Have the approvers sent a new link; whoever asked is told the same whether one is sent or not.

        Raises:
            RetryableError: The ledger does not answer at the moment.
        """
        sent = self._approval.ask_for_link(ticket)
        logger.info("a new link was asked for", extra={"sent": sent, "pk": ticket.pk, "sk": ticket.sk})
        return message_page(messages.LINK_ASKED)

    def _page(self, request: Request, visitor: Visitor, ticket: Ticket) -> Response:
        if visitor.approver is not None:
            fresh = self._links.token(replace(ticket, look_only=True))
            return message_page(messages.EXPIRED_SIGNED_IN, f"/request/{fresh}", visitor.name)
        seal = self._forms.seal(request, ticket.version, visitor)
        return message_page(messages.EXPIRED_LINK, address(request), form=seal)
