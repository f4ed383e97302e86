"""The page of a request: what it is about, what may be decided, and what became of it. Built from values alone."""

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from msgspec import Struct

from bedrock_remediator.core.approval import Verb
from bedrock_remediator.core.durations import Length
from bedrock_remediator.core.grant import DiagnosisKind, Event, Grant, State
from bedrock_remediator.core.suspicion import Risk
from bedrock_remediator.core.waiting import remark_of
from bedrock_remediator.notices import wording as notice_wording
from bedrock_remediator.notices.advice import before_deciding, destinations, next_steps, principal_of
from bedrock_remediator.notices.notice import Denials, Plan, who
from bedrock_remediator.notices.untrusted_text import caller_words, sentence, statement_lines, visible
from bedrock_remediator.notices.web import facts
from bedrock_remediator.notices.web.difference import Document, difference
from bedrock_remediator.notices.web.facts import Fact
from bedrock_remediator.notices.web.readable import Moment, distance, moment, readable
from bedrock_remediator.notices.web.wording import (
    ASKED,
    BRIEFLY,
    IN_MOTION,
    OUTCOMES,
    OUTCOMES_BY_CODE,
    PILLS,
    RELATIONS,
    STEPS,
    TONES,
)

_REASON_LENGTH: Final = 1000
_NAME_LENGTH: Final = 256
_MODEL_ID_LENGTH: Final = 256
_FUNCTIONS: Final = frozenset({"triage", "remediate", "upkeep"})


class Shown(Struct, frozen=True, kw_only=True):
    """All that a page is made from.

    `open` says that the version which the link names still waits for a decision; `verbs` what may be done with the
    row; `replaced` that the row has been opened anew since.
    `lapses_at` is when a waiting request lapses. `strategy` is where the stack writes grants. `standing` are the
    principal's active grants, which can be taken back together.
    """

    grant: Grant
    open: bool
    now: datetime
    denials: Denials | None = None
    plan: Plan = Plan()
    risks: tuple[Risk, ...] = ()
    lengths: tuple[Length, ...] = ()
    verbs: frozenset[Verb] = frozenset()
    replaced: bool = False
    request_id: str = ""
    strategy: str = "managed"
    lapses_at: datetime | None = None
    standing: tuple[Grant, ...] = ()


class Standing(Struct, frozen=True, kw_only=True):
    """One of the principal's active grants: what it lets call, and when it ends, if by itself."""

    model: str
    ends: Moment | None


class Step(Struct, frozen=True, kw_only=True):
    """One line of what happened. `person` says that a person did it."""

    what: str
    at: Moment
    by: str
    reason: str
    person: bool


class Ways(Struct, frozen=True, kw_only=True):
    """The two ways out where another id of the same model is granted already."""

    called: str
    granted: tuple[str, ...]
    routes: str


class Page(Struct, frozen=True, kw_only=True):
    """What the templates write out."""

    title: str
    tone: str
    pill: str
    kind: str
    name: str
    model: str
    relation: str
    brief: str
    sum: str
    open: bool
    superseded: bool
    outcome: str
    in_motion: bool
    lapses: Moment | None
    facts: tuple[Fact, ...]
    why: str
    checks: tuple[str, ...]
    risks: tuple[Risk, ...]
    conditional: bool
    ways: Ways | None
    granted_title: str
    granted: tuple[Fact, ...]
    policy: tuple[Document, ...]
    policy_of: str
    statement: str
    caller: tuple[tuple[str, str], ...]
    snippets: tuple[tuple[str, str], ...]
    about: tuple[Fact, ...]
    steps: tuple[Step, ...]
    since: tuple[str, ...]
    next_steps: tuple[str, ...]
    lengths: tuple[Length, ...]
    verbs: frozenset[Verb]
    standing: tuple[Standing, ...]


def page(shown: Shown) -> Page:
    """Everything that the page of a request says."""
    grant, plan, now = shown.grant, shown.plan, shown.now
    snippets = plan.snippets
    kind, name = _kind_and_name(grant)
    return Page(
        title=_title(shown),
        tone="plain" if shown.replaced else TONES.get(grant.state, "plain"),
        pill="Over" if shown.replaced else PILLS[grant.state],
        kind=kind,
        name=name,
        model=facts.called(grant),
        relation=ASKED if shown.replaced else RELATIONS.get(grant.state, ASKED),
        brief=f"{_seen(shown)} {BRIEFLY[grant.diagnosis]}",
        sum=_sum(grant) if plan.own else "",
        open=shown.open,
        superseded=shown.replaced or (grant.state is State.PENDING and not shown.open),
        outcome=OUTCOMES_BY_CODE.get((grant.state, grant.reason_code)) or OUTCOMES.get(grant.state, ""),
        in_motion=grant.state in IN_MOTION,
        lapses=moment(shown.lapses_at, now) if shown.lapses_at and shown.open else None,
        facts=facts.facts(grant, shown.denials, now),
        why=sentence(grant.reason, _REASON_LENGTH),
        checks=_checks(grant) if shown.open else (),
        risks=shown.risks if shown.open else (),
        conditional=grant.diagnosis is DiagnosisKind.CONDITIONAL_ALLOW,
        ways=_ways(grant) if shown.open else None,
        granted_title=notice_wording.GRANT_TITLES.get(grant.state, "What was asked for"),
        granted=facts.granted(grant, plan, now),
        policy=difference(plan.before, plan.after),
        policy_of=_policy_of(shown.strategy),
        statement="\n".join(statement_lines(grant)),
        caller=tuple((notice_wording.CALLER_LABELS[name], said) for name, said in caller_words(grant).items()),
        snippets=(
            (("Terraform", snippets.terraform), ("CloudFormation", snippets.cloudformation), ("JSON", snippets.json))
            if snippets
            else ()
        ),
        about=facts.about(grant, shown.request_id),
        steps=_steps(grant.history, now),
        since=() if shown.replaced else _since(grant),
        next_steps=() if shown.open or shown.replaced else _next_steps(grant),
        lengths=shown.lengths,
        verbs=shown.verbs,
        standing=_standing(shown),
    )


def _title(shown: Shown) -> str:
    grant = shown.grant
    if shown.open:
        return f"Let {who(grant)} call {facts.called(grant)}?"
    return f"{'Over' if shown.replaced else PILLS[grant.state]}: {who(grant)}, {facts.called(grant)}"


def _seen(shown: Shown) -> str:
    """How often, where and when, in a sentence."""
    grant, denials = shown.grant, shown.denials
    latest = denials.last_at if denials else grant.sighting.time
    where = f"in {visible(grant.region, _NAME_LENGTH)}"
    if denials is None or denials.count == 1:
        return f"Denied once {where}, {distance(latest, shown.now)}."
    return f"Denied {denials.count:,} times {where}, the last time {distance(latest, shown.now)}."


def _sum(grant: Grant) -> str:
    """What approving adds, in a sentence."""
    if grant.profile is None:
        return "Approving lets it call this one model directly."
    models = len(grant.models)
    return (
        f"Approving adds the profile and the {models} {'model' if models == 1 else 'models'} that it routes to, only "
        "through this profile."
    )


def _kind_and_name(grant: Grant) -> tuple[str, str]:
    principal = principal_of(grant)
    return (principal.kind, visible(principal.name, _NAME_LENGTH)) if principal else ("", who(grant))


def _checks(grant: Grant) -> tuple[str, ...]:
    """What the request's reason asks a person to look at before deciding."""
    return tuple(visible(step) for step in before_deciding(grant))


def _since(grant: Grant) -> tuple[str, ...]:
    """What was found about a grant while it stood."""
    remark = remark_of(grant)
    found = [sentence(remark.reason, _REASON_LENGTH)] if remark else []
    if grant.blocked_by is not None and grant.state is State.ACTIVE:
        code = visible(grant.blocked_by, _NAME_LENGTH)
        found.append(f"A call was denied again although the grant stands ({code}), so the grant is not enough.")
    return tuple(found)


def _next_steps(grant: Grant) -> tuple[str, ...]:
    moves = grant.state is State.PENDING or grant.state in IN_MOTION
    return () if moves else tuple(visible(step) for step in next_steps(grant))


def _ways(grant: Grant) -> Ways | None:
    if grant.diagnosis is not DiagnosisKind.WRONG_IDENTIFIER or not grant.candidates:
        return None
    return Ways(
        called=facts.called(grant),
        granted=tuple(visible(candidate, _MODEL_ID_LENGTH) for candidate in grant.candidates[:6]),
        routes=destinations(grant),
    )


def _standing(shown: Shown) -> tuple[Standing, ...]:
    """The active grants, unless this one is the only one: that has a button of its own."""
    if {grant.key for grant in shown.standing} <= {shown.grant.key}:
        return ()
    return tuple(
        Standing(model=facts.called(grant), ends=moment(grant.expires_at, shown.now) if grant.expires_at else None)
        for grant in shown.standing
    )


def _policy_of(strategy: str) -> str:
    if strategy == "in-place":
        return (
            "These ARNs go into the principal's own policy that grants the model already. Written as a policy of its "
            "own, its grants are:"
        )
    return "The policy that this service keeps for the principal, made from all of its grants:"


def _steps(history: Iterable[Event], now: datetime) -> tuple[Step, ...]:
    return tuple(
        Step(
            what=STEPS[event.state],
            at=moment(event.at, now),
            by=readable(event.by, _NAME_LENGTH),
            reason=readable(event.reason, _REASON_LENGTH),
            person=event.by not in _FUNCTIONS,
        )
        for event in history
    )
