"""The buttons under a message in Slack. Each carries the row's key and version, no token: who presses it counts."""

from collections.abc import Iterable
from typing import Final

from slack_sdk.models.blocks import ActionsBlock, ButtonElement, ConfirmObject, InteractiveElement, Option
from slack_sdk.models.blocks import StaticSelectElement as Choice

from bedrock_remediator.core.approval import Button, Verb, possible
from bedrock_remediator.core.durations import Length
from bedrock_remediator.core.grant import Grant
from bedrock_remediator.notices.mrkdwn import escaped
from bedrock_remediator.notices.notice import who
from bedrock_remediator.notices.slack_blocks import plain_text
from bedrock_remediator.notices.untrusted_text import confirmed

DECISION: Final = "decision"
"""The block that holds the buttons."""

LENGTH: Final = "length"
"""The choice of how long, among them."""


def actions(grant: Grant, lengths: Iterable[Length], page: str | None) -> list[ActionsBlock]:
    """The choice of how long, the buttons, the link to the page: what of them there is, in one block or none."""
    lengths = tuple(lengths)
    elements: list[InteractiveElement] = []
    chosen = next((length for length in lengths if length.chosen), None)
    length = chosen.value if chosen else ""
    button = lengths and Button(pk=grant.pk, sk=grant.sk, version=grant.version, length=length).value
    if button:
        verbs = possible(grant)
        if Verb.APPROVE in verbs:
            elements += [_lengths(lengths, chosen), _approve(grant, button)]
        if Verb.REJECT in verbs:
            elements.append(_reject(grant, button))
    if page:
        elements.append(ButtonElement(text=plain_text("Open the page"), action_id="page", url=page))
    return [ActionsBlock(elements=elements, block_id=DECISION)] if elements else []


def _lengths(lengths: Iterable[Length], chosen: Length | None) -> Choice:
    options = {length: Option(value=length.value, text=plain_text(length.words)) for length in lengths}
    return Choice(
        action_id=LENGTH,
        placeholder=plain_text("How long"),
        options=list(options.values()),
        initial_option=options[chosen] if chosen else None,
    )


def _approve(grant: Grant, value: str) -> ButtonElement:
    return ButtonElement(
        text=plain_text("Approve"),
        action_id=Verb.APPROVE,
        value=value,
        style="primary",
        confirm=_confirm("Approve?", f"{_named(grant)} will be allowed to call {_called(grant)}.", "Approve"),
    )


def _reject(grant: Grant, value: str) -> ButtonElement:
    return ButtonElement(
        text=plain_text("Reject"),
        action_id=Verb.REJECT,
        value=value,
        style="danger",
        confirm=_confirm("Reject?", f"{_named(grant)} will not be allowed to call {_called(grant)}.", "Reject"),
    )


def _named(grant: Grant) -> str:
    return escaped(who(grant), 100)


def _called(grant: Grant) -> str:
    return escaped(grant.model_id, 100) if grant.model_id and confirmed(grant) else "the model"


def _confirm(title: str, text: str, yes: str) -> ConfirmObject:
    return ConfirmObject(
        title=plain_text(title), text=plain_text(text), confirm=plain_text(yes), deny=plain_text("Cancel")
    )
