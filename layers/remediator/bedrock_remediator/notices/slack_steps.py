"""What a thread in Slack is told: who did what to a row, when and why; and what upkeep has noticed about it."""

from collections.abc import Mapping, Sequence
from typing import Final

from msgspec import Struct
from slack_sdk.models.blocks import Block

from bedrock_remediator.core.grant import Event, Grant, State, Via
from bedrock_remediator.core.waiting import remark_of, reminded
from bedrock_remediator.notices.mrkdwn import code, moment, person
from bedrock_remediator.notices.notice import who
from bedrock_remediator.notices.slack_blocks import DUPLICATE, Words, as_json, section, sentence, small
from bedrock_remediator.notices.untrusted_text import known_names, unlinked

_STEPS_SHOWN: Final = 6

_DONE: Final[Mapping[State, str]] = {
    State.PENDING: "Asked",
    State.APPROVED: "Approved",
    State.ACTIVE: "Granted",
    State.REVOKING: "To be revoked, said",
    State.REVOKED: "Revoked",
    State.REJECTED: "Rejected",
    State.LAPSED: "Lapsed",
    State.ROLLED_BACK: "Rolled back",
    State.FAILED: "Failed",
    State.REPORTED: "Denied again, reported",
}
_UNSAID: Final = frozenset({State.APPLYING})
"""Steps that take seconds: the next one tells."""


class Aside(Struct, frozen=True):
    """Something to say once about a row that has not moved; `loud` where the channel must hear it too."""

    name: str
    words: Words
    loud: bool


def reply(grant: Grant, steps: Sequence[Event], *, may_be_duplicate: bool) -> Words | None:
    """What the message's thread is told of the steps that followed; None where they are not worth a word."""
    told = [step for step in steps if step.state not in _UNSAID]
    if not told:
        return None
    blocks = [block for step in told for block in (section(_step(grant, step)), small(step.reason))]
    if may_be_duplicate:
        blocks.append(small(DUPLICATE))
    return Words(", then ".join(_DONE[step.state] for step in told), as_json(blocks))


def aside(grant: Grant, *, may_be_duplicate: bool) -> Aside | None:
    """What the thread is told of a row that has not moved: that it waits, or what upkeep has found about it."""
    if reminded(grant) and grant.reminded_at:
        name, loud = f"reminded {grant.reminded_at.isoformat()}", True
        blocks = [section(f"*Still waiting for a decision*, since {moment(grant.updated_at)}.")]
        text = "Still waiting for a decision"
    elif remark := remark_of(grant):
        name, loud = f"{remark.code} {remark.at.isoformat()}", False
        blocks = [section(f"*Noticed* {moment(remark.at)}"), sentence(remark.reason, known_names(grant))]
        text = "Noticed something about this grant"
    else:
        return None
    shown: list[Block] = [*blocks, *([small(DUPLICATE)] if may_be_duplicate else ())]
    return Aside(name, Words(f"{text}: {code(who(grant))}", as_json(shown)), loud)


def steps_so_far(grant: Grant) -> list[Block]:
    """Who did what when, but for how it began, which the message itself tells."""
    steps = [step for step in grant.history[1:] if step.state not in _UNSAID][-_STEPS_SHOWN:]
    return [section("\n".join(_step(grant, step) for step in steps))] if steps else []


def who_did(grant: Grant, name: str) -> str:
    """Who took a step of the row: only an id that Slack itself has vouched for shows as one of its users."""
    by_slack = grant.decided_via is Via.SLACK and name == grant.decided_by
    return person(name) if by_slack else code(unlinked(name), 128)


def _step(grant: Grant, step: Event) -> str:
    return f"*{_DONE[step.state]}* by {who_did(grant, step.by)}, {moment(step.at)}"
