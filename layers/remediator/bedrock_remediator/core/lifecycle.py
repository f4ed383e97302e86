"""The row that a denial opens, which denials belong to it, and when a row that waits is decided again.

`new_grant` makes the row of a denial. `is_repeat` says which later denials belong to it.

A request that waits is decided again when mode, parameters or rules are no longer those it was asked under. What is
decided upon is what triage found then. So an automatic decision is a promise that remediation holds against
AWS, the rules and the clock once more before it writes anything.
"""

import hashlib
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

import msgspec
from msgspec import Struct

from bedrock_remediator.core.allowlist import Allowlist
from bedrock_remediator.core.allowlist.rules import Subject
from bedrock_remediator.core.arn import Arn, BedrockResource
from bedrock_remediator.core.cloudtrail import Denial, Unreadable
from bedrock_remediator.core.decision import Decision, decide
from bedrock_remediator.core.diagnosis import Diagnosis
from bedrock_remediator.core.diagnosis.refusals import is_quarantine
from bedrock_remediator.core.grant import FINISHED, Cause, DiagnosisKind, Event, Grant, Outcome, Sighting, State
from bedrock_remediator.core.layers import Layer
from bedrock_remediator.core.profile import Profile
from bedrock_remediator.core.suspicion import Habits, RiskKind, risks
from bedrock_remediator.core.waiting import _ADVICE, SETTLING, cool_down

_ANSWER_HOLDS: Final = timedelta(hours=1)
_LONGEST_RESOURCE: Final = 600
_STATES: Final = {Outcome.AUTO: State.APPROVED, Outcome.ASK: State.PENDING, Outcome.REPORT: State.REPORTED}


def fingerprint(denial: Denial | Unreadable) -> str:
    """What makes two denials of one principal the same: only then is the second counted and not looked into.

    The two invocation actions of one profile count as one, since a grant holds both unless something stops one.
    """
    if denial.caller.folded:
        parts = _folded(denial)
    elif isinstance(denial, Unreadable):
        parts = ["unreadable", denial.code, denial.region, denial.message]
    else:
        named_profile = denial.resource is not None and denial.resource.is_profile
        parts = [
            "invoke" if denial.action.startswith("bedrock:InvokeModel") else denial.action,
            str(denial.resource or ""),
            "" if named_profile else denial.model_id or "",
            denial.region,
            denial.account,
            denial.layer.value,
            denial.effect.value if denial.effect else "",
            denial.policy_arn or "",
            "backfill" if denial.backfill else "",
        ]
    return hashlib.sha256("\0".join(parts).encode(errors="replace")).hexdigest()[:32]


def _folded(denial: Denial | Unreadable) -> list[str]:
    """What makes two denials of a folded caller the same: nothing that it can choose."""
    if isinstance(denial, Unreadable):
        return ["folded", denial.code, denial.region]
    return [
        "folded",
        str(denial.action.startswith("bedrock:InvokeModel")),
        denial.region,
        denial.layer.value,
        denial.effect.value if denial.effect else "",
        str(is_quarantine(denial)),
        "backfill" if denial.backfill else "",
    ]


def sort_key(denial: Denial | Unreadable, diagnosis: Diagnosis) -> str:
    """The row's sk: the profile or model that would be granted, or the advice that is given."""
    if diagnosis.grantable and diagnosis.profile:
        return f"profile#{diagnosis.profile.arn}"
    if diagnosis.grantable and diagnosis.model_arn:
        return f"model#{diagnosis.model_arn}"
    if denial.caller.folded:
        resource = "-"
    elif isinstance(denial, Unreadable):
        resource = hashlib.sha256(denial.message.encode(errors="replace")).hexdigest()[:16]
    else:
        resource = str(denial.resource or denial.model_id or "-")
        if len(resource) > _LONGEST_RESOURCE or not resource.isascii():
            resource = hashlib.sha256(resource.encode(errors="replace")).hexdigest()
    return f"{_ADVICE}{diagnosis.kind}#{resource}#{diagnosis.code}"


def grant_keys(diagnosis: Diagnosis) -> tuple[str, ...]:
    """The sk of the row that a grant of what was called has; several, where the record does not say which profile."""
    if diagnosis.model_arn:
        return (f"model#{diagnosis.model_arn}",)
    if diagnosis.profile is None:
        return ()
    own = Arn.parse(diagnosis.profile.arn)
    system = f"arn:{own.partition}:bedrock:{own.region}:{own.account}:inference-profile/"
    names = diagnosis.candidates or (diagnosis.profile.arn,)
    return tuple(f"profile#{name if name.startswith('arn:') else system + name}" for name in names)


def is_repeat(row: Grant, latest: datetime, basis: str, now: datetime) -> bool:
    """Whether a denial of this row is only counted: nothing about it is new.

    Args:
        row: The row that the denial belongs to.
        latest: The time of the latest call among the denials.
        basis: The digest of the configuration now.
        now: The time.
    """
    if row.state is State.REVOKED and latest < _ended(row):
        return True
    if row.state in FINISHED:
        resting = row.cool_down_until is not None and now < row.cool_down_until
        return resting and row.basis == basis
    if row.state is State.ACTIVE:
        settled = row.applied_at is None or latest <= row.applied_at + SETTLING
        return settled or row.blocked_by is not None
    return True


def _ended(row: Grant) -> datetime:
    """Until when a revoked grant surely worked: CloudTrail is late, and a call of before asks nothing about after.

    That is its own end, or the moment at which a person revoked it. Where upkeep found that it was gone, nobody knows
    since when: what is certain is that it put right the calls made before it took effect.
    """
    revoked = next((event.at for event in reversed(row.history) if event.state is State.REVOKING), row.updated_at)
    if row.expires_at and row.expires_at <= revoked:
        return row.expires_at
    if row.decided_at == revoked:
        return revoked
    return min(revoked, row.applied_at + SETTLING) if row.applied_at else row.created_at


def is_stale(row: Grant, now: datetime) -> bool:
    """Whether a row's answer may have changed since it was found: whoever owns what it is about can act on it.

    A repeat of it is then looked into, rather than counted, and so at most once an hour.
    """
    return row.state is State.REPORTED and now >= (row.looked_at or row.updated_at) + _ANSWER_HOLDS


def answers_as_before(row: Grant | None, diagnosis: Diagnosis) -> bool:
    """Whether the same is the matter as when the row was opened."""
    return row is None or row.cause is None or row.cause.code == diagnosis.code


class Circumstances(Struct, frozen=True, kw_only=True):
    """What else a new row holds.

    `principal` is the IAM ARN, None where there is none; `principal_id` the RoleId or UserId that IAM told, None
    where it was not asked; `basis` the digest of the configuration; `grant_for` how long the grant shall last, None
    for no end; `simulated` whether IAM's simulator was asked; `replaces` the finished row under the same key;
    `account_name` what a member account is called.
    """

    pk: str
    principal: str | None
    principal_id: str | None
    basis: str
    grant_for: timedelta | None
    simulated: bool
    replaces: Grant | None
    now: datetime
    account_name: str | None = None


def new_grant(
    denial: Denial | Unreadable, diagnosis: Diagnosis, decision: Decision, circumstances: Circumstances
) -> Grant:
    """The new row of a denial, in the state that the decision gives it."""
    now, replaces, grant_for = circumstances.now, circumstances.replaces, circumstances.grant_for
    state = _STATES[decision.outcome]
    read = denial if isinstance(denial, Denial) else None
    rests = replaces.cool_downs + 1 if replaces else 0
    expires = decision.outcome is Outcome.AUTO and grant_for is not None
    return Grant(
        pk=circumstances.pk,
        sk=sort_key(denial, diagnosis),
        state=state,
        version=replaces.version + 1 if replaces else 1,
        principal=circumstances.principal,
        principal_id=circumstances.principal_id,
        account=denial.account,
        account_name=circumstances.account_name,
        region=denial.region,
        diagnosis=diagnosis.kind,
        decision=decision.outcome,
        reason_code=decision.code,
        reason=told(diagnosis.reason, decision),
        created_at=now,
        updated_at=now,
        sighting=Sighting(
            event_id=denial.event_id,
            time=denial.time,
            action=read.action if read else None,
            resource=read.unallowed if read else None,
            source_ip=denial.source_ip,
            vpc_endpoint=denial.vpc_endpoint,
            vpc_endpoint_account=denial.vpc_endpoint_account,
            user_agent=denial.user_agent,
            session=denial.caller.session,
            source_identity=denial.caller.source_identity,
            message=denial.message,
        ),
        layer=diagnosis.layer or (read.layer if read else Layer.UNKNOWN),
        effect=read.effect if read else None,
        denying_policy=read.policy_arn if read else None,
        profile=_profile(denial, diagnosis),
        model_id=diagnosis.model_id,
        resources=diagnosis.resources,
        allowed=diagnosis.allowed,
        actions=diagnosis.actions or ((read.action,) if read else ()),
        candidates=diagnosis.candidates,
        evidence=diagnosis.evidence,
        rule=decision.rule,
        simulated_at=now if circumstances.simulated else None,
        expires_at=now + grant_for if expires and grant_for else None,
        grant_seconds=int(grant_for.total_seconds()) if grant_for else None,
        cool_down_until=cool_down(rests, now) if state is State.REPORTED else None,
        cool_downs=rests,
        basis=circumstances.basis,
        cause=Cause(
            code=diagnosis.code,
            reason=diagnosis.reason,
            ask_only=diagnosis.ask_only or bool(read and read.backfill),
        ),
        history=(Event(at=now, state=state, by="triage", reason=decision.reason),),
    )


def told(cause: str, decision: Decision) -> str:
    """What is the matter, and why that is done about it."""
    return cause if decision.reason == cause else f"{cause} {decision.reason}"


def _profile(denial: Denial | Unreadable, diagnosis: Diagnosis) -> str | None:
    """The profile's ARN: as AWS confirmed it, or in advice that asked AWS nothing, as the message names it."""
    if diagnosis.profile:
        return diagnosis.profile.arn
    unasked = diagnosis.kind in (DiagnosisKind.NOT_FIXABLE, DiagnosisKind.LEAKED_KEY)
    if not unasked or not isinstance(denial, Denial) or not denial.resource or not denial.resource.is_profile:
        return None
    arn = denial.resource.arn
    return str(arn) if (arn.account, arn.region) == (denial.account, denial.region) else None


_FOUND_SINCE: Final = frozenset(
    {"inputs_changed", "many_callers", "new_address", "new_client", "new_principal", "probing"}
)
"""Reasons that tell what a person must know to decide, and that no change of the configuration makes untrue."""

_USUAL: Final = frozenset({RiskKind.FIRST_REQUEST, RiskKind.MANY_GRANTS, RiskKind.OUTSIDE_SOURCE_IPS})
"""What is no reason to go on asking once a rule allows it: another day, or another rule, makes it untrue."""


def target(grant: Grant) -> Profile | str:
    """What a request asks for, as AWS described it when the request was opened: a profile, or a model's ARN.

    Raises:
        ArnError: The row names no profile and no model.
    """
    named = BedrockResource.parse(grant.profile or next(iter(grant.resources), ""))
    if not grant.profile:
        return str(named)
    application = named.kind == "application-inference-profile"
    return Profile(
        arn=str(named), id=named.id, type="APPLICATION" if application else "SYSTEM_DEFINED", models=grant.models
    )


def decide_again(grant: Grant, allowlist: Allowlist, subject: Subject, *, mode: str, paused: bool) -> Decision:
    """What the configuration says now about a request; whatever was a person's to judge stays so.

    Args:
        grant: The request.
        allowlist: The rules, read completely.
        subject: Who asks for what.
        mode: `observe`, `approve` or `auto`.
        paused: Whether grants are stopped.
    """
    cause = cause_of(grant)
    diagnosis = Diagnosis(
        kind=grant.diagnosis,
        code=cause.code,
        reason=cause.reason,
        grantable=True,
        ask_only=cause.ask_only,
    )
    return decide(mode=mode, paused=paused, diagnosis=diagnosis, allowlist=allowlist, subject=subject)


def unless_unusual(decision: Decision, grant: Grant, rows: Iterable[Grant], habits: Habits) -> Decision:
    """An automatic decision, or to ask all the same: what a person has been asked about and is unusual, stays theirs.

    Args:
        decision: What the configuration says.
        grant: The request.
        rows: The requests and grants of its principal, by which it is told what is unusual.
        habits: What else is known of its principal.
    """
    found = [risk for risk in risks(grant, rows, habits) if risk.kind not in _USUAL]
    if decision.outcome is not Outcome.AUTO or not found:
        return decision
    reason = f"{decision.reason} Something about the request is unusual, though, so a person decides: {found[0].text}"
    return msgspec.structs.replace(
        decision, outcome=Outcome.ASK, code="unusual", reason=reason, max_grants_per_day=None
    )


def asked_again(grant: Grant, decision: Decision, basis: str, grant_seconds: int | None) -> Grant:
    """The request as it goes on waiting, in the same state and version, with what it is asked for now.

    Args:
        grant: The request.
        decision: What was decided: to ask.
        basis: The digest of the configuration that it was decided under.
        grant_seconds: How long the grant lasts if nobody chooses another length; None for no end.
    """
    known = msgspec.structs.replace(grant, basis=basis, decision=Outcome.ASK, grant_seconds=grant_seconds)
    if grant.reason_code in _FOUND_SINCE or grant.cause is None:
        return known
    return msgspec.structs.replace(
        known, reason_code=decision.code, reason=told(grant.cause.reason, decision), rule=decision.rule
    )


def cause_of(grant: Grant) -> Cause:
    """What was diagnosed. A row that does not tell is one that a person must look at."""
    return grant.cause or Cause(code=grant.reason_code, reason=grant.reason, ask_only=True)
