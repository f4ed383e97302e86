"""A button in Slack was pressed: is it Slack that says so, is it ours, may this person decide, and what became of it.

    raw body --signature, age--> payload --team, app--> person --listed, or in a listed group--> button --> decision
                                                                                                             |
    whoever pressed it <-- slack function <-- its queue <-- what to tell them, and which message to renew ---+

Slack waits three seconds. What is done inside them is the decision; all talking to Slack is left to the queue. What
was pressed names a row and a version and is good for no more: the ledger's condition decides whether it still counts.
"""

import logging
from datetime import timedelta
from typing import Any, Final, Protocol

import msgspec
from msgspec import Struct

from bedrock_remediator.approval_settings import SlackApprovalSettings
from bedrock_remediator.aws.errors import RetryableError
from bedrock_remediator.core.approval import GRANTING, Answer, Approver, Button, Verb
from bedrock_remediator.core.durations import parse_length
from bedrock_remediator.flows.approval.results import (
    AlreadyDecided,
    Decided,
    LostRace,
    NotAllowed,
    Result,
    Stale,
    log_decision,
)
from bedrock_remediator.flows.links.links import Ticket
from bedrock_remediator.flows.slack.trust import SlackApprovers, SlackSignature
from bedrock_remediator.flows.slack.work import Click
from bedrock_remediator.flows.web.http import Request, Response
from bedrock_remediator.notices.mrkdwn import escaped, moment
from bedrock_remediator.notices.slack_actions import DECISION, LENGTH
from bedrock_remediator.notices.slack_steps import who_did

logger = logging.getLogger(__name__)

_VERBS: Final = frozenset({Verb.APPROVE, Verb.REJECT})
_CHOOSE: Final = "Nothing changed: choose in the message how long the grant shall last, and press the button again."
_PLAIN: Final = "text/plain; charset=utf-8"


class Decisions(Protocol):
    """Takes decisions."""

    def decide(self, ticket: Ticket, answer: Answer) -> Result:
        """Take one."""
        ...


class Outbox(Protocol):
    """Where work for the slack function goes."""

    def send(self, body: str) -> None:
        """Put it there."""
        ...


class _Named(Struct, frozen=True):
    id: str


class _User(Struct, frozen=True):
    id: str
    team_id: str | None = None


class _Action(Struct, frozen=True):
    action_id: str
    block_id: str | None = None
    value: str | None = None


class _State(Struct, frozen=True):
    values: dict[str, dict[str, Any]] = {}


class _Interaction(Struct, frozen=True):
    """The payload that Slack sends, as far as it is looked at."""

    type: str
    user: _User
    api_app_id: str | None = None
    team: _Named | None = None
    channel: _Named | None = None
    actions: tuple[_Action, ...] = ()
    state: _State | None = None

    @property
    def press(self) -> "_Press | None":
        """The button of ours that was pressed; None for a choice, a link, or anything else.

        Raises:
            ValueError: It is ours by its name, and not by what it carries.
        """
        ours = (each for each in self.actions if each.block_id == DECISION and each.action_id in _VERBS)
        action = next(ours, None)
        if self.type != "block_actions" or action is None:
            return None
        button = Button.read(action.value or "")
        length = self._chosen or button.length
        return _Press(Verb(action.action_id), button, parse_length(length) if length else None, bool(length))

    @property
    def _chosen(self) -> str | None:
        """How long the grant shall last, as it was chosen in the message."""
        chosen = (self.state.values if self.state else {}).get(DECISION, {}).get(LENGTH)
        option = chosen.get("selected_option") if isinstance(chosen, dict) else None
        value = option.get("value") if isinstance(option, dict) else None
        return value if isinstance(value, str) else None


class _Press(Struct, frozen=True):
    """`length_chosen` tells no end (`length` is None) from no choice."""

    verb: Verb
    button: Button
    length: timedelta | None
    length_chosen: bool


class SlackDecision:
    """Answers the route that Slack calls.

    Args:
        approval: Takes the decision.
        signature: Tells Slack from others.
        approvers: Knows who may decide.
        outbox: The slack function's queue.
        settings: Which team and app.
    """

    def __init__(
        self,
        approval: Decisions,
        signature: SlackSignature,
        approvers: SlackApprovers,
        outbox: Outbox,
        settings: SlackApprovalSettings,
    ) -> None:
        self._approval = approval
        self._signature = signature
        self._approvers = approvers
        self._outbox = outbox
        self._settings = settings

    def handle(self, request: Request) -> Response:
        """Answer one request: 200 for whatever our app in our team truly sent, whether or not it changed anything.

        401 for what Slack has not signed, or more than five minutes ago; 403 for another team or app; 503 where AWS
        does not answer, which Slack shows to the person.

        Raises:
            BadRequestError: The body is no form.
        """
        try:
            if not self._signature.genuine(request):
                return _said(401, "This is not signed by Slack.")
            return self._signed(request)
        except RetryableError:
            logger.exception("a decision in Slack could not be taken")
            return _said(503, "Try again in a moment.")

    def _signed(self, request: Request) -> Response:
        try:
            interaction = msgspec.json.decode(request.form().get("payload", ""), type=_Interaction)
            press = interaction.press
        except ValueError:
            return _said(400, "This cannot be read.")
        if not self._ours(interaction):
            logger.warning("a button was pressed in another team or app")
            return _said(403, "This comes from another team or app.")
        if press is None:
            return _said(200, "")
        user = interaction.user.id
        answer = self._approvers.refusal(user) or self._decide(press, user)
        channel = interaction.channel.id if interaction.channel else ""
        button = press.button
        return self._handed_over(Click(pk=button.pk, sk=button.sk, channel=channel, user=user, answer=answer or None))

    def _ours(self, interaction: _Interaction) -> bool:
        """Whether it is from our app and workspace, and a person of it: a shared channel has people of other teams."""
        team = interaction.team.id if interaction.team else None
        theirs = (interaction.api_app_id, team, interaction.user.team_id)
        return theirs == (self._settings.app_id, self._settings.team_id, self._settings.team_id)

    def _decide(self, press: _Press, user: str) -> str:
        """Decide; what to tell the person, empty where the message will tell everybody."""
        if press.verb in GRANTING and not press.length_chosen:
            return _CHOOSE
        button = press.button
        approver = Approver.by_slack(user, self._approvers.address(user) if press.verb in GRANTING else None)
        answer = Answer(verb=press.verb, version=button.version, approver=approver, length=press.length)
        result = self._approval.decide(Ticket(button.pk, button.sk, button.version), answer)
        log_decision(press.verb, approver, result)
        return _told(result)

    def _handed_over(self, click: Click) -> Response:
        try:
            self._outbox.send(click.body)
        except Exception:
            logger.exception("Slack's queue did not take what to tell")
            if click.answer:
                # Nothing else would tell them that nothing changed.
                return _said(503, "Nothing changed.")
        return _said(200, "")


def _told(result: Result) -> str:
    match result:
        case Decided():
            return ""
        case AlreadyDecided(grant, by, at) | LostRace(grant, by, at):
            return f"Nothing changed: {who_did(grant, by)} was first, {moment(at)}."
        case Stale():
            return "Nothing changed: the request is no longer as this message showed it. Look at the message again."
        case NotAllowed(_, _, reason):
            return f"Nothing changed. {escaped(reason, 300)}"
        case _:
            return "Nothing changed: there is no such request any more."


def _said(status: int, text: str) -> Response:
    return Response(status=status, body=text, content_type=_PLAIN)
