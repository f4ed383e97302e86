"""The e-mail: plain text in 72 columns, from what happened down to what to paste."""

import difflib
import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from bedrock_remediator.core.durations import words
from bedrock_remediator.core.grant import DiagnosisKind, Grant, State
from bedrock_remediator.core.layers import LAYERS
from bedrock_remediator.core.waiting import remark_of
from bedrock_remediator.notices import wording
from bedrock_remediator.notices.advice import destinations, next_steps, permission_set, verified
from bedrock_remediator.notices.by_hand import POLICY_FILE, commands, console
from bedrock_remediator.notices.notice import ASKING, Notice, Occasion, account, last_step, who
from bedrock_remediator.notices.subject import headline
from bedrock_remediator.notices.untrusted_text import (
    WIDTH,
    caller_words,
    confirmed,
    indented,
    known_names,
    numbered,
    quoted,
    section,
    sentence,
    statement_lines,
    table,
    unlinked,
    utc,
    visible,
    wrapped,
)

Row = tuple[str, str | Sequence[str]]

_REASON_LENGTH: Final = 1000
_KEY_LENGTH: Final = 512
_ACCOUNT_LENGTH: Final = 96
_LISTED: Final = 40
_PARAGRAPH_LENGTH: Final = 4096
_NEW_LINK: Final = (
    "Its page says what became of the request, and what can be done about it now. Whoever asked has not seen it: if it "
    "was none of you, ignore it."
)


def text(notice: Notice, *, leave_out: frozenset[str] = frozenset()) -> str:
    """The whole e-mail, printable ASCII and line feeds.

    Args:
        notice: What to tell.
        leave_out: Names of parts (`policy`, `snippets`, `statement`) to leave out for their size; a line says so.
    """
    if notice.occasion is Occasion.LINK:
        return _joined(_opening(notice), _summary(notice), _decide(notice), _granted(notice), _footer(notice))
    return _joined(
        _opening(notice),
        _summary(notice),
        _decide(notice),
        section("Why", *_why(notice.grant)),
        _granted(notice),
        section("What to do next", numbered([_unlinked(notice.grant, step) for step in next_steps(notice.grant)])),
        _caller(notice.grant),
        _statement(notice.grant, leave_out),
        _policy(notice, leave_out),
        _snippets(notice, leave_out),
        _by_hand(notice),
        _footer(notice),
    )


def _unlinked(grant: Grant, text: str) -> str:
    """Text in which somebody else's words may stand: no mail client makes a link of anything in it."""
    return unlinked(visible(text, _PARAGRAPH_LENGTH), known_names(grant))


def _table(grant: Grant, rows: Sequence[Row]) -> list[str]:
    """A table in which nothing becomes a link."""
    told = [
        (label, _unlinked(grant, value) if isinstance(value, str) else [_unlinked(grant, each) for each in value])
        for label, value in rows
    ]
    return table(told)


def _joined(*parts: list[str]) -> str:
    return "\n".join(line.rstrip() for part in parts for line in part) + "\n"


_MORE_FOLDED: Final = (
    "There are many notices: of its kind this is the last one in this hour (UTC) that is sent by itself. A digest "
    "tells of the others when the hour is over. Requests are always sent."
)


def _opening(notice: Notice) -> list[str]:
    grant = notice.grant
    called = grant.model_id if grant.model_id and confirmed(grant) else "a Bedrock model"
    told = f"{who(grant)} was denied {called} in {grant.region}. {_outcome(notice)}"
    duplicate = "This may be a duplicate: an earlier attempt to send it was cut off."
    return [
        headline(notice).upper(),
        "=" * WIDTH,
        *(wrapped(duplicate) if notice.may_be_duplicate else ()),
        *(wrapped(_MORE_FOLDED) if notice.more_folded else ()),
        *wrapped(_unlinked(grant, told[0].upper() + told[1:])),
    ]


def _outcome(notice: Notice) -> str:
    special: str | None = None
    if notice.occasion is Occasion.ADVICE:
        special = wording.REPORTS.get(notice.grant.reason_code)
    elif notice.occasion in ASKING:
        special = wording.REQUESTS.get(notice.grant.diagnosis)
    elif notice.occasion is Occasion.GRANTED:
        special = wording.GRANTS.get(notice.grant.reason_code)
    return special or wording.OUTCOMES[notice.occasion]


def _summary(notice: Notice) -> list[str]:
    grant = notice.grant
    rows: list[Row] = [
        ("Who", (who(grant), grant.principal or "")),
        ("Account", visible(account(grant), _ACCOUNT_LENGTH)),
        ("Region", grant.region),
        ("Call", grant.sighting.action or ""),
        ("Model id", (grant.model_id or "") if confirmed(grant) else ""),
        ("From", visible(grant.sighting.source_ip or "", 64)),
        ("Denied", _denied(notice)),
        ("Refused by", LAYERS[grant.layer].name + (wording.EFFECTS[grant.effect] if grant.effect else "")),
        ("Policy", grant.denying_policy or ""),
        ("Lapses", utc(notice.lapses_at) if notice.lapses_at else ""),
    ]
    return ["", *_table(grant, rows)]


def _decide(notice: Notice) -> list[str]:
    """The way to the page. The address stays on one line, however long it is, or it could not be opened."""
    if not notice.link:
        return []
    title, told = "Decide", "Look at the request, and approve or reject it, on this page."
    if notice.occasion is Occasion.LINK:
        title, told = "The new link", _NEW_LINK
    return [*section(title, wrapped(f"{told} Keep the address to yourself:")), "", notice.link]


def _denied(notice: Notice) -> tuple[str, ...]:
    """How often, since when."""
    denials = notice.denials
    if denials is None:
        return (utc(notice.grant.sighting.time),)
    if denials.count == 1:
        return (f"once, {utc(denials.first_at)}",)
    return (f"{denials.count:,} times", f"first {utc(denials.first_at)}", f"last  {utc(denials.last_at)}")


def _why(grant: Grant) -> tuple[list[str], list[str]]:
    decided = f"by rule {grant.rule}" if grant.rule else grant.decision
    rows: list[Row] = [
        ("Diagnosis", f"{grant.diagnosis}: {wording.DIAGNOSES[grant.diagnosis]}"),
        ("Decision", f"{decided} ({grant.reason_code})"),
    ]
    if remark := remark_of(grant):
        found = sentence(remark.reason, _REASON_LENGTH)
        rows.append(("Found", (f"{sentence(remark.code, 64)}, {utc(remark.at)}", found)))
    if step := last_step(grant):
        why = sentence(step.reason, _REASON_LENGTH)
        rows.append(("Last step", (f"{step.state} by {sentence(step.by, 128)}, {utc(step.at)}", why)))
    return wrapped(_unlinked(grant, sentence(grant.reason, _REASON_LENGTH))), _table(grant, rows)


def _granted(notice: Notice) -> list[str]:
    """What is granted, or would be: actions, ARNs, the condition and the end."""
    grant = notice.grant
    if not notice.plan.own:
        return []
    rows: list[Row] = [
        ("Actions", notice.plan.actions),
        ("Profile", grant.profile or ""),
        ("Models", [arn + (" (allowed already)" if arn in grant.allowed else "") for arn in grant.models[:_LISTED]]),
        ("Routes to", destinations(grant)),
        ("Condition", _condition(notice)),
        ("Ends", _end(notice)),
    ]
    if grant.state is State.ACTIVE:
        added = grant.written.added if grant.written else ()
        rows += [("Verified", verified(grant)), ("Written", _written(grant)), ("Added there", added)]
    return section(_granted_title(grant), _table(grant, rows))


def _granted_title(grant: Grant) -> str:
    return wording.GRANT_TITLES.get(grant.state, "What was asked for")


def _condition(notice: Notice) -> str:
    if not notice.grant.profile:
        return "none: the model is granted for direct calls"
    if notice.in_place:
        return "none, where the ARNs join a statement of the principal's own: the models can be called directly too"
    return "models only through this profile: bedrock:InferenceProfileArn is the profile's ARN"


def _end(notice: Notice) -> str:
    grant = notice.grant
    if grant.expires_at:
        return f"{utc(grant.expires_at)}, by itself"
    if grant.grant_seconds:
        return f"{words(timedelta(seconds=grant.grant_seconds))} after it is granted, by itself"
    return "not by itself"


def _written(grant: Grant) -> tuple[str, ...]:
    return (f"{grant.written.strategy} policy", *grant.written.policies) if grant.written else ()


def _statement(grant: Grant, leave_out: frozenset[str]) -> list[str]:
    lines = [] if "statement" in leave_out else statement_lines(grant)
    return section("The statement that decided", indented("\n".join(lines))) if lines else []


def _policy(notice: Notice, leave_out: frozenset[str]) -> list[str]:
    plan = notice.plan
    title = wording.PLAN_TITLES.get(notice.occasion, "The policy before and after")
    if plan.before == plan.after:
        return []
    if not plan.before and plan.after == plan.own and plan.snippets and not notice.in_place:
        only = "The principal has no other grant of this service, so its policy here is the JSON below."
        return section(title, wrapped(only))
    if not plan.after:
        return section(title, wrapped("This was the principal's last grant of this service: its policy is gone."))
    if "policy" in leave_out:
        return section(title, wrapped("Too long for an e-mail."))
    lines: list[str] = []
    for place in range(max(len(plan.before), len(plan.after))):
        before, after = (_pretty(side, place) for side in (plan.before, plan.after))
        number = f" (policy {place + 1})" if place else ""
        lines += difflib.unified_diff(before, after, f"before{number}", f"after{number}", lineterm="", n=4)
    return section(title, wrapped(_whose_policy(notice)), indented("\n".join(lines)))


def _whose_policy(notice: Notice) -> str:
    if notice.in_place:
        return (
            "These ARNs go into the principal's own policy that grants the model already; written as a policy of its "
            "own, the grants are:"
        )
    return "The policy that this service keeps for the principal, made from all of its grants:"


def _pretty(documents: Sequence[str], place: int) -> list[str]:
    return json.dumps(json.loads(documents[place]), indent=2).splitlines() if place < len(documents) else []


def _snippets(notice: Notice, leave_out: frozenset[str]) -> list[str]:
    snippets = notice.plan.snippets
    if snippets is None:
        return []
    title = "To paste into your own code: this grant alone"
    if "snippets" in leave_out:
        return section(title, wrapped("Too long for an e-mail."))
    forms = (("JSON", snippets.json), ("Terraform", snippets.terraform), ("CloudFormation", snippets.cloudformation))
    return section(title, *([f"* {name}", "", *indented(code)] for name, code in forms))


def _by_hand(notice: Notice) -> list[str]:
    grant = notice.grant
    ready = commands(grant, notice.plan, notice.strategy)
    if grant.state is State.ACTIVE or not ready:
        return []
    title = "By hand, with the AWS CLI"
    if grant.diagnosis is DiagnosisKind.LEAKED_KEY:
        return section(title, indented("\n".join(ready)))
    save = f"Save the JSON above as {POLICY_FILE}"
    if len(notice.plan.own) > 1:
        save += f", its second policy as {POLICY_FILE.replace('.json', '-2.json')} and so on"
    if permission_set(grant):
        save += ", add to it what the first command shows (the second one overwrites it)"
    return section(
        title,
        wrapped(f"{save}, look it over, and run:"),
        indented("\n".join(ready)),
        wrapped(_unlinked(grant, console(grant, notice.strategy))),
    )


def _caller(grant: Grant) -> list[str]:
    words = caller_words(grant)
    if not words:
        return []
    warning = (
        "Nobody has checked this. The caller can write whatever it wishes here; follow no link and no instruction in "
        "it."
    )
    lines = [
        line for name, said in words.items() for line in quoted(wording.CALLER_LABELS[name], said, known_names(grant))
    ]
    return section("As sent by the caller", wrapped(warning), lines)


def _footer(notice: Notice) -> list[str]:
    grant = notice.grant
    rows: list[Row] = [
        ("Request", notice.request_id),
        ("Ledger row", (visible(grant.pk, _KEY_LENGTH), visible(grant.sk, _KEY_LENGTH))),
        ("", f"version {grant.version}, {grant.state}"),
        ("CloudTrail", f"event {visible(grant.sighting.event_id, 64)}"),
    ]
    return ["", "-" * WIDTH, *_table(grant, rows), "", "Sent by bedrock-access-remediator."]
