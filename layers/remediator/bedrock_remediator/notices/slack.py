"""The message in Slack: what it says of a row in each of its states.

Text that somebody else may have written stands in code style, or in plain text where it is a sentence, so that it
shows as it is (see notices/mrkdwn.py).
"""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Final

from msgspec import Struct
from slack_sdk.models.blocks import Block, HeaderBlock, PlainTextObject, SectionBlock

from bedrock_remediator.core.durations import LONGEST_PICKED, Length, words
from bedrock_remediator.core.grant import Grant, State
from bedrock_remediator.core.layers import LAYERS
from bedrock_remediator.notices import wording
from bedrock_remediator.notices.advice import next_steps
from bedrock_remediator.notices.mrkdwn import code, escaped, moment, paragraph
from bedrock_remediator.notices.notice import OCCASIONS, Notice, Occasion, Severity, account, occasion, who
from bedrock_remediator.notices.slack_actions import actions
from bedrock_remediator.notices.slack_blocks import (
    DUPLICATE,
    SECTION,
    SENTENCE,
    Words,
    as_json,
    mrkdwn,
    plain_text,
    section,
    sentence,
    small,
)
from bedrock_remediator.notices.slack_steps import steps_so_far
from bedrock_remediator.notices.subject import headline, subject
from bedrock_remediator.notices.untrusted_text import caller_words, confirmed, known_names, unlinked

_ARN: Final = 400
_LISTED: Final = 6

_MARKS: Final[Mapping[State, str]] = {
    State.PENDING: ":raised_hand:",
    State.APPROVED: ":hourglass_flowing_sand:",
    State.APPLYING: ":hourglass_flowing_sand:",
    State.ACTIVE: ":white_check_mark:",
    State.REVOKING: ":hourglass_flowing_sand:",
    State.REVOKED: ":wastebasket:",
    State.REJECTED: ":no_entry_sign:",
    State.LAPSED: ":zzz:",
    State.ROLLED_BACK: ":warning:",
    State.FAILED: ":warning:",
    State.REPORTED: ":information_source:",
}
_ALERT: Final = ":rotating_light:"

_ON_THE_WAY: Final[Mapping[State, Occasion]] = {
    State.APPROVED: Occasion.REQUESTED,
    State.APPLYING: Occasion.REQUESTED,
    State.REVOKING: Occasion.GRANTED,
}
"""States that no notice is about: a message that meets one of them goes on speaking of what came before."""

_PROGRESS: Final[Mapping[State, str]] = {
    State.APPROVED: "It is approved, and is about to be applied.",
    State.APPLYING: "It is approved, and is being applied and verified.",
    State.REVOKING: "It is about to be taken away again.",
}


class Card(Struct, frozen=True, kw_only=True):
    """What a message is made from: the notice, the address of its page if it has one, and what may be chosen.

    Without `lengths` there are no buttons: nobody may decide in Slack.
    """

    notice: Notice
    page: str | None = None
    lengths: tuple[Length, ...] = ()


def about(grant: Grant) -> Occasion:
    """What a message about the row speaks of, in whatever state it meets it, those that nobody is told of included."""
    return occasion(grant) or OCCASIONS.get(grant.state) or _ON_THE_WAY[grant.state]


def message(card: Card) -> Words:
    """The message of a row as it stands now.

    Raises:
        SlackObjectFormationError: A block breaks a rule of Slack's; none of ours does.
    """
    notice = card.notice
    grant = notice.grant
    blocks: Iterable[Block] = (
        HeaderBlock(text=PlainTextObject(text=f"{_mark(notice)} {headline(notice)}", emoji=True)),
        *([small(DUPLICATE)] if notice.may_be_duplicate else ()),
        section(_opening(notice)),
        SectionBlock(fields=[mrkdwn(f"*{label}*\n{value}") for label, value in _facts(notice)]),
        *_granted(notice),
        sentence(grant.reason, known_names(grant)),
        *_advice(notice),
        *_caller(grant),
        *steps_so_far(grant),
        *actions(grant, card.lengths, card.page),
        small(f"Request {notice.request_id}, version {grant.version}"),
    )
    return Words(escaped(subject(notice), SENTENCE), as_json(blocks))


def plain(title: str, text: str, *, may_be_duplicate: bool = False) -> Words:
    """A message that is about no row (an alarm, a digest): its text as it is."""
    blocks: list[Block] = [section(f"*{escaped(title, 200)}*")] if title else []
    if shown := paragraph(text, SECTION):
        blocks.append(SectionBlock(text=plain_text(shown)))
    if may_be_duplicate:
        blocks.append(small(DUPLICATE))
    return Words(escaped(title or text, 200) or "(empty)", as_json(blocks))


def _mark(notice: Notice) -> str:
    return _ALERT if notice.severity is Severity.ALERT else _MARKS[notice.grant.state]


def _opening(notice: Notice) -> str:
    grant = notice.grant
    called = code(grant.model_id) if grant.model_id and confirmed(grant) else "a Bedrock model"
    return f"{code(who(grant), 200)} was denied {called} in {code(grant.region, 64)}. {_outcome(notice)}"


def _outcome(notice: Notice) -> str:
    grant = notice.grant
    special = _PROGRESS.get(grant.state)
    if notice.occasion is Occasion.ADVICE:
        special = wording.REPORTS.get(grant.reason_code)
    elif grant.state is State.PENDING:
        special = wording.REQUESTS.get(grant.diagnosis)
    return special or wording.OUTCOMES[notice.occasion]


def _facts(notice: Notice) -> list[tuple[str, str]]:
    """At most ten, which is Slack's limit."""
    grant = notice.grant
    effect = wording.EFFECTS[grant.effect] if grant.effect else ""
    rows = [
        ("Who", code(grant.principal, _ARN) if grant.principal else "unknown"),
        ("Account", code(account(grant), 96)),
        ("Call", code(grant.sighting.action, 128) if grant.sighting.action else ""),
        ("From", code(unlinked(grant.sighting.source_ip, known_names(grant)), 64) if grant.sighting.source_ip else ""),
        ("Denied", _denied(notice)),
        ("Waits until", moment(notice.lapses_at) if notice.lapses_at else ""),
        ("Refused by", LAYERS[grant.layer].name + effect),
        ("Denying policy", code(grant.denying_policy, _ARN) if grant.denying_policy else ""),
        ("Diagnosis", wording.DIAGNOSES[grant.diagnosis]),
        ("Decided by rule", code(grant.rule, 128) if grant.rule else ""),
    ]
    return [row for row in rows if row[1]]


def _denied(notice: Notice) -> str:
    denials = notice.denials
    if denials is None:
        return moment(notice.grant.sighting.time)
    if denials.count == 1:
        return f"once, {moment(denials.first_at)}"
    return f"{denials.count:,} times, {moment(denials.first_at)} to {moment(denials.last_at)}"


def _granted(notice: Notice) -> list[Block]:
    grant, plan = notice.grant, notice.plan
    if not plan.own:
        return []
    title = wording.GRANT_TITLES.get(grant.state, "What was asked for")
    bound = "models only through this profile" if grant.profile else "the model, called directly"
    lines = [
        f"*{title}*",
        ", ".join(code(action, 64) for action in plan.actions[:_LISTED]),
        "on",
        *(code(arn, _ARN) for arn in grant.resources[:_LISTED]),
        *([f"and {len(grant.resources) - _LISTED} more"] if len(grant.resources) > _LISTED else ()),
        f"({bound}), {_end(grant)}",
    ]
    return [section("\n".join(lines))]


def _end(grant: Grant) -> str:
    if grant.expires_at:
        return f"until {moment(grant.expires_at)}"
    length = timedelta(seconds=grant.grant_seconds) if grant.grant_seconds else None
    if grant.state is State.PENDING and (length is None or length > LONGEST_PICKED):
        return "for as long as you choose"
    return f"for {words(length)}, unless another time is chosen" if length else "without end"


def _advice(notice: Notice) -> list[Block]:
    if notice.grant.state is State.PENDING:
        return []
    steps = [f"{place}. {step}" for place, step in enumerate(next_steps(notice.grant), 1)]
    text = paragraph(unlinked("\n".join(steps), known_names(notice.grant)), SECTION)
    return [section("*What to do next*"), SectionBlock(text=plain_text(text))] if text else []


def _caller(grant: Grant) -> list[Block]:
    words = caller_words(grant)
    if not words:
        return []
    lines = [
        f"{wording.CALLER_LABELS[name]}: {code(unlinked(said, known_names(grant)), 500)}"
        for name, said in words.items()
    ]
    return [section("\n".join(["*As sent by the caller* (nobody has checked this)", *lines]))]
