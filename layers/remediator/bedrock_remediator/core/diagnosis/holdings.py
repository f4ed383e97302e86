"""What the principal's own policies make of the call, and what they lack."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from bedrock_remediator.core.denial import Caller, Denial, Effect, Layer
from bedrock_remediator.core.diagnosis import Diagnosis
from bedrock_remediator.core.diagnosis.message import QUARANTINE, quarantined
from bedrock_remediator.core.diagnosis.target import Target
from bedrock_remediator.core.evaluation import Finding, Holdings, Verdict
from bedrock_remediator.core.grant import DiagnosisKind
from bedrock_remediator.core.layers import LAYERS
from bedrock_remediator.core.policy_grammar import INVOKE_ACTIONS
from bedrock_remediator.core.profile import Profile
from bedrock_remediator.core.request_context import keys_of_resource


def contexts(target: Target, resource: str, known: Mapping[str, tuple[str, ...]]) -> Mapping[str, tuple[str, ...]]:
    """The condition keys of a call on one resource of the target, with what is known of the caller."""
    return {**known, **keys_of_resource(target.profile.arn if target.profile else None, resource)}


def from_quarantine(caller: Caller, holdings: Holdings) -> Diagnosis | None:
    """AWS's quarantine among the principal's policies: a leaked key, whatever else is the matter."""
    for policy in holdings.policies:
        if policy.name in QUARANTINE:
            return quarantined(caller, policy.arn or policy.name)
    return None


Findings = Mapping[tuple[str, str], Finding]
"""What the principal's policies say: (action, resource) -> finding."""


def from_holdings(denial: Denial, target: Target, findings: Findings, other_scopes: Sequence[str]) -> Diagnosis:
    """What the principal's policies make of the call, and what they lack.

    Args:
        denial: The denial.
        target: What the call needs.
        findings: For each invocation action and each resource of the target.
        other_scopes: Identifiers of profiles of the same model and another scope that the principal may invoke.
    """
    asked = {resource: findings[denial.action, resource] for resource in target.resources}
    for stopped in (_denied, _bounded):
        if found := next(filter(None, (stopped(denial, finding) for finding in asked.values())), None):
            return target.explain(found)
    actions = _grantable_actions(denial, target, findings)
    allowed = tuple(
        resource
        for resource in target.resources
        if all(findings[action, resource].verdict is Verdict.ALLOWED for action in actions)
    )
    conditional = next((item for item in asked.values() if item.verdict is Verdict.CONDITIONAL), None)
    if conditional is None and all(finding.verdict is Verdict.ALLOWED for finding in asked.values()):
        return replace(target.explain(_allowed(denial, target)), allowed=allowed, actions=actions)
    if conditional is not None:
        diagnosis = _conditional(denial, conditional)
    elif other_scopes and target.profile:
        diagnosis = _other_scope(denial, target.profile, other_scopes)
    else:
        diagnosis = _missing(denial, target, allowed)
    uncertain = target.ask_only or not _certainly_fixable(denial)
    code = diagnosis.code if diagnosis.ask_only or not uncertain else target.code or "layer_unknown"
    return replace(
        target.explain(diagnosis),
        code=code,
        reason=" ".join(filter(None, (diagnosis.reason, target.note))),
        allowed=allowed,
        actions=actions,
        grantable=True,
        ask_only=diagnosis.ask_only or uncertain,
    )


def _grantable_actions(denial: Denial, target: Target, findings: Findings) -> tuple[str, ...]:
    """The denied action, and the other one unless something stops it: only what is missing is granted."""
    return tuple(
        action
        for action in INVOKE_ACTIONS
        if action == denial.action or not any(findings[action, resource].final for resource in target.resources)
    )


def _certainly_fixable(denial: Denial) -> bool:
    """Whether the message surely says that an Allow is missing where a policy of the principal can give it."""
    return denial.certain and LAYERS[denial.layer].fixable is True and denial.effect is Effect.IMPLICIT


def _denied(denial: Denial, finding: Finding) -> Diagnosis | None:
    if finding.verdict is not Verdict.DENIED:
        return None
    where = f" in {finding.policy.name}" if finding.policy else ""
    layer = Layer.BOUNDARY if finding.boundary else Layer.IDENTITY
    return Diagnosis(
        kind=DiagnosisKind.NOT_FIXABLE,
        code="explicit_deny",
        reason=f"An explicit deny{where} forbids {denial.action} here, and a deny wins over any grant.",
        layer=layer,
        evidence=_statement(finding),
    )


def _bounded(denial: Denial, finding: Finding) -> Diagnosis | None:
    if finding.verdict is not Verdict.NOT_ALLOWED or not finding.boundary:
        return None
    reason = f"The principal's permissions boundary does not allow {denial.action}, and no policy can exceed it."
    return Diagnosis(kind=DiagnosisKind.NOT_FIXABLE, code="boundary", reason=reason, layer=Layer.BOUNDARY)


def _allowed(denial: Denial, target: Target) -> Diagnosis:
    if target.instead and target.profile:
        return Diagnosis(
            kind=DiagnosisKind.WRONG_IDENTIFIER,
            code="profile_id_needed",
            reason=f"The client names the model itself, which only inference profiles serve. Its policies allow "
            f"{target.profile.id} already: use {target.profile.client_model_id} as modelId.",
            layer=denial.layer,
        )
    return Diagnosis(
        kind=DiagnosisKind.ALREADY_ALLOWED,
        code="already_allowed",
        reason="The principal's policies allow the call already. The denial is older than the policy, or a session "
        "policy, a VPC endpoint policy or a policy of the organization stopped it.",
        layer=denial.layer,
    )


def _conditional(denial: Denial, finding: Finding) -> Diagnosis:
    where = f" in {finding.policy.name}" if finding.policy else ""
    return Diagnosis(
        kind=DiagnosisKind.CONDITIONAL_ALLOW,
        code="condition_not_met",
        reason=f"A statement{where} decides about the call under a condition that it did not meet. The condition may "
        "be a control put there on purpose (a required guardrail, a VPC endpoint); a grant without it would defeat it. "
        "Meet the condition in the client, or change the statement by hand.",
        layer=denial.layer,
        evidence=_statement(finding),
        ask_only=True,
    )


def _other_scope(denial: Denial, profile: Profile, others: Sequence[str]) -> Diagnosis:
    return Diagnosis(
        kind=DiagnosisKind.WRONG_IDENTIFIER,
        code="other_scope_granted",
        reason=f"The client called {profile.id}, and the principal is granted {', '.join(others)} of the same model. "
        f"Either use {others[0]} as modelId in the client, or grant {profile.id} too.",
        layer=denial.layer,
        candidates=tuple(others),
        ask_only=True,
    )


def _missing(denial: Denial, target: Target, allowed: Sequence[str]) -> Diagnosis:
    what, needed = target.profile.id if target.profile else target.model_id, len(target.resources)
    need = (
        f"A call of {what} needs {needed} ARNs in the policy"
        if needed > 1
        else f"A call of {what} needs its ARN in the policy"
    )
    missing = needed - len(allowed)
    some = f"{missing} of them are missing" if missing > 1 else "one of them is missing"
    lack = some if needed > 1 else "it is missing"
    instead = f" The client must use {target.model_id} as modelId." if target.instead else ""
    return Diagnosis(
        kind=DiagnosisKind.MISSING_GRANT,
        code="missing_grant",
        reason=f"{need}, and {lack}.{instead}",
        layer=denial.layer,
    )


def _statement(finding: Finding) -> str | None:
    return json.dumps(_plain(finding.statement), sort_keys=True) if finding.statement is not None else None


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value
