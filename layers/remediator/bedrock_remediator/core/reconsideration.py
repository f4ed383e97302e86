"""Deciding again about a request that waits, when mode, parameters or rules are no longer those it was asked under.

What is decided upon is what triage found then. So an automatic decision is a promise that remediation holds against
AWS, the rules and the clock once more before it writes anything.
"""

from collections.abc import Iterable
from typing import Final

import msgspec

from bedrock_remediator.core.allowlist import Allowlist, Subject
from bedrock_remediator.core.arn import BedrockResource
from bedrock_remediator.core.decision import Decision, decide
from bedrock_remediator.core.diagnosis import Diagnosis
from bedrock_remediator.core.grant import Cause, Grant, Outcome
from bedrock_remediator.core.habits import Habits
from bedrock_remediator.core.opening import told
from bedrock_remediator.core.profile import Profile
from bedrock_remediator.core.risk import RiskKind, risks

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
