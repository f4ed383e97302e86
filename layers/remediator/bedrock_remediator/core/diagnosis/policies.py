"""What the principal's own policies make of the call, and what they lack."""

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from bedrock_remediator.core.arn import Arn
from bedrock_remediator.core.cloudtrail import Caller, Denial
from bedrock_remediator.core.diagnosis import Diagnosis
from bedrock_remediator.core.diagnosis.refusals import QUARANTINE, quarantined
from bedrock_remediator.core.diagnosis.target import Target
from bedrock_remediator.core.grant import DiagnosisKind
from bedrock_remediator.core.iam.conditions import PROFILE_KEY, REGION_KEY, TIME_KEYS
from bedrock_remediator.core.iam.evaluation import Evaluator, Finding, Holdings, PolicyKind, Request, Verdict
from bedrock_remediator.core.iam.patterns import Truth, conjunction
from bedrock_remediator.core.layers import LAYERS, Effect, Layer
from bedrock_remediator.core.policy_grammar import INVOKE_ACTIONS
from bedrock_remediator.core.profile import Profile
from bedrock_remediator.core.request_context import Keys, keys_of_resource

_NAMED: Final = 6
_LISTED: Final = 20


def contexts(target: Target, resource: str, known: Keys) -> Mapping[str, tuple[str, ...]]:
    """The condition keys of a call on one resource of the target, with what is known of the caller."""
    return {**known, **keys_of_resource(target.profile.arn if target.profile else None, resource)}


def evaluated(target: Target, action: str, resource: str, policies: Evaluator, known: Keys) -> Finding:
    """What the principal's policies say of an action on one resource of the target.

    Whether AWS gives the key bedrock:InferenceProfileArn for the profile itself is not told (docs/aws-facts.md §3.5):
    what stops the call only if it does not is not certain to stop it.
    """
    context = contexts(target, resource, known)
    found = policies.evaluate(Request(action, resource, context))
    if not found.final or target.profile is None or resource != target.profile.arn:
        return found
    given = policies.evaluate(Request(action, resource, {**context, PROFILE_KEY: (resource,)}))
    if given.final:
        return found
    if found.verdict is not Verdict.DENIED:
        return given
    doubt = replace(found, verdict=Verdict.CONDITIONAL, keys=("bedrock:InferenceProfileArn",))
    return replace(given, may_deny=doubt) if given.verdict is Verdict.NOT_ALLOWED else doubt


def from_quarantine(caller: Caller, holdings: Holdings) -> Diagnosis | None:
    """AWS's quarantine among the principal's policies: a leaked key, whatever else is the matter."""
    for policy in holdings.policies:
        if policy.name in QUARANTINE:
            return quarantined(caller, policy.arn or policy.name)
    return None


Findings = Mapping[tuple[str, str], Finding]
"""What the principal's policies say: (action, resource) -> finding."""


class OtherProfiles(Struct, frozen=True):
    """Profiles of the same model that the principal may invoke.

    `held` certainly; `perhaps` under a condition that cannot be checked from here (on a tag of the profile, say).
    """

    held: tuple[Profile, ...] = ()
    perhaps: tuple[Profile, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.held or self.perhaps)


NO_OTHERS: Final = OtherProfiles()


def may_invoke(profile: Profile, action: str, policies: Evaluator, known: Keys) -> Truth:
    """Whether the principal's policies allow an action on every ARN that a profile needs."""
    target = Target(profile=profile)
    return conjunction(
        _allows(evaluated(target, action, arn, policies, known), itself=arn == profile.arn) for arn in profile.resources
    )


def _allows(finding: Finding, *, itself: bool) -> Truth:
    """Whether a finding, one about a profile `itself` or about one of its models, lets the call pass."""
    if finding.verdict is not Verdict.CONDITIONAL:
        return finding.verdict is Verdict.ALLOWED
    # Whether AWS gives the key bedrock:InferenceProfileArn for the profile itself is not told (docs/aws-facts.md §3.5).
    untold = itself and {key.lower() for key in finding.keys} == {PROFILE_KEY}
    return None if untold or not finding.unmet else False


def may_be_meant(target: Target, findings: Findings, action: str) -> bool:
    """Whether another profile of the same model may be what the principal is meant to call.

    Not if a policy names the called profile itself: then something of it is missing.
    """
    if target.profile is None:
        return True
    own = findings[action, target.profile.arn]
    return own.verdict is not Verdict.ALLOWED or not _names(own, target.profile.arn)


def _names(finding: Finding, arn: str) -> bool:
    """Whether the statement names the resource, with no wildcard in its id."""
    statement = finding.statement or {}
    found = statement.get("Resource", ())
    name = arn.rpartition("/")[2]
    return any(str(text).endswith(f"/{name}") for text in ([found] if isinstance(found, str) else found))


def from_policies(
    denial: Denial, target: Target, policies: Evaluator, known: Keys, listed: Callable[[], Iterable[Profile]]
) -> Diagnosis:
    """What is the matter with a call of a target, by all that the principal holds.

    Triage asks this of a denial, and remediate once more of a row that a rule approved.

    Args:
        denial: The denial.
        target: What the call needs.
        policies: The principal's.
        known: The condition keys that are certain for every call of the principal.
        listed: Gives every profile of the region, and is asked only where another one may be meant.
    """
    findings = {
        (action, resource): evaluated(target, action, resource, policies, known)
        for action in INVOKE_ACTIONS
        for resource in target.resources
    }
    diagnosis = from_holdings(denial, target, findings)
    if diagnosis.code == "explicit_deny":
        return denied_beside(diagnosis, _others(denial.action, target, policies, known, listed()))
    if not (diagnosis.grantable and may_be_meant(target, findings, denial.action)):
        return diagnosis
    profiles = tuple(listed())
    others = _others(denial.action, target, policies, known, profiles)
    if others:
        return from_holdings(denial, target, findings, others)
    # Nor is what its own denial would ask a person about granted along with another.
    actions = tuple(
        action
        for action in diagnosis.actions
        if action == denial.action or not _others(action, target, policies, known, profiles)
    )
    return replace(diagnosis, actions=actions)


def _others(action: str, target: Target, policies: Evaluator, known: Keys, listed: Iterable[Profile]) -> OtherProfiles:
    """The other profiles of the same model on which the principal may do so, application profiles among them."""
    called = target.profile.arn if target.profile else None
    models = target.profile.model_ids if target.profile else {target.model.id} if target.model else set()
    alike = [
        (other, may_invoke(other, action, policies, known))
        for other in listed
        if other.arn != called and other.model_ids == models
    ]
    return OtherProfiles(
        held=tuple(each for each, may in alike if may), perhaps=tuple(each for each, may in alike if may is None)
    )


def from_holdings(denial: Denial, target: Target, findings: Findings, others: OtherProfiles = NO_OTHERS) -> Diagnosis:
    """What the principal's policies make of the call, and what they lack.

    Args:
        denial: The denial.
        target: What the call needs.
        findings: For each invocation action and each resource of the target.
        others: Other profiles of the same model that the principal may invoke.
    """
    asked = {resource: findings[denial.action, resource] for resource in target.resources}
    for stopped in (_denied, _bounded):
        if found := next(filter(None, (stopped(denial, finding) for finding in asked.values())), None):
            return target.explain(found)
    # What is granted along with the denied action is only what is missing too, and what nothing stands in the way of.
    actions = tuple(
        action
        for action in INVOKE_ACTIONS
        if action == denial.action or _plainly_missing([findings[action, each] for each in target.resources])
    )
    allowed = tuple(resource for resource, finding in asked.items() if finding.verdict is Verdict.ALLOWED)
    if len(allowed) == len(asked):
        return replace(target.explain(_allowed(denial, target)), allowed=allowed, actions=actions)
    diagnosis = _in_the_way(denial, target, asked, others) or _missing(denial, target, allowed)
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


def _plainly_missing(findings: Sequence[Finding]) -> bool:
    """Whether an action is not allowed somewhere, and nowhere denied, bounded or under a condition."""
    return any(each.verdict is Verdict.NOT_ALLOWED for each in findings) and all(
        each.verdict is Verdict.ALLOWED
        or (each.verdict is Verdict.NOT_ALLOWED and not each.boundary and each.may_deny is None)
        for each in findings
    )


def _certainly_fixable(denial: Denial) -> bool:
    """Whether the message surely says that an Allow is missing where a policy of the principal can give it."""
    return denial.certain and LAYERS[denial.layer].fixable is True and denial.effect is Effect.IMPLICIT


def _in_the_way(
    denial: Denial, target: Target, asked: Mapping[str, Finding], others: OtherProfiles
) -> Diagnosis | None:
    """What on the principal's side speaks against a grant, so that a person must decide."""
    conditional = [(arn, each) for arn, each in asked.items() if each.verdict is Verdict.CONDITIONAL]
    # What surely keeps the call from passing says more than what may.
    place, finding = min(conditional, key=lambda each: not each[1].unmet, default=("", None))
    keys = {key.lower() for key in finding.keys} if finding else set()
    if others and (finding is None or keys == {PROFILE_KEY}) and not _hindered(asked):
        return _other_scope(denial, target, others, finding)
    diagnosis = None
    if finding is not None:
        diagnosis = _conditional(denial, place, finding, keys)
    elif hindrance := _hindered(asked):
        diagnosis = _may_be_denied(denial, hindrance)
    if diagnosis is None or not others.held:
        return diagnosis
    held = f" It may call the same model already, as {_labels(others.held)}."
    return replace(diagnosis, reason=diagnosis.reason + held, candidates=_identifiers(others.held))


def _hindered(asked: Mapping[str, Finding]) -> Finding | None:
    """A Deny that may apply to what is missing."""
    return next((each.may_deny for each in asked.values() if each.may_deny), None)


def _denied(denial: Denial, finding: Finding) -> Diagnosis | None:
    if finding.verdict is not Verdict.DENIED:
        return None
    layer = Layer.BOUNDARY if finding.boundary else Layer.IDENTITY
    return Diagnosis(
        kind=DiagnosisKind.NOT_FIXABLE,
        code="explicit_deny",
        reason=f"An explicit deny{_where(finding)} forbids {denial.action} here, and a deny wins over any grant.",
        layer=layer,
        evidence=_statement(finding),
    )


def _bounded(denial: Denial, finding: Finding) -> Diagnosis | None:
    if finding.verdict is not Verdict.NOT_ALLOWED or not finding.boundary:
        return None
    return Diagnosis(
        kind=DiagnosisKind.NOT_FIXABLE,
        code="boundary",
        reason=f"The principal's permissions boundary does not allow {denial.action}, and no policy can exceed it.",
        layer=Layer.BOUNDARY,
        evidence=_statement(finding),
    )


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


def _conditional(denial: Denial, resource: str, finding: Finding, keys: Collection[str]) -> Diagnosis:
    if finding.unmet and REGION_KEY in keys:
        code, reason = "region_not_allowed", _region(denial, resource, finding)
    elif finding.unmet and keys and TIME_KEYS.issuperset(keys):
        code, reason = "access_ended", _time(finding)
    elif (finding.statement or {}).get("Effect") == "Deny":
        return _may_be_denied(denial, finding)
    else:
        code, reason = "condition_not_met", _demand(finding)
    return Diagnosis(
        kind=DiagnosisKind.CONDITIONAL_ALLOW,
        code=code,
        reason=reason,
        layer=denial.layer,
        evidence=_statement(finding),
        ask_only=True,
    )


def _region(denial: Denial, resource: str, finding: Finding) -> str:
    region = Arn.parse(resource).region
    where = region or "every region that a global profile may route to"
    return (
        f"A statement{_where(finding)} allows {denial.action} by its condition on aws:RequestedRegion, and that leaves "
        f"out {where}. Such a condition is usually a decision on where data may go, which a grant would pass by. Call "
        "a profile that stays within those regions, or change the statement by hand."
    )


def _time(finding: Finding) -> str:
    return (
        f"A statement{_where(finding)} allows the call for a time only, and this is not within it. Whoever wrote it "
        "decided on that end, so a person decides whether the access goes on: change the statement, or grant it."
    )


def _demand(finding: Finding) -> str:
    on = f" on {', '.join(finding.keys)}" if finding.keys else ""
    return (
        f"A statement{_where(finding)} decides about the call under a condition{on} that it did not meet, or that "
        "cannot be checked from here. The condition may be a control put there on purpose (a required guardrail, a VPC "
        "endpoint); a grant without it would defeat it. Meet the condition in the client, or change the statement by "
        "hand."
    )


def _may_be_denied(denial: Denial, finding: Finding) -> Diagnosis:
    on = f" It depends on {', '.join(finding.keys)}, which cannot be known from here." if finding.keys else ""
    return Diagnosis(
        kind=DiagnosisKind.CONDITIONAL_ALLOW,
        code="deny_may_apply",
        reason=f"A Deny{_where(finding)} may forbid {denial.action} here whatever is granted.{on} Look "
        "at it before you grant anything: where it applies, a grant does not help.",
        layer=denial.layer,
        evidence=_statement(finding),
        ask_only=True,
    )


def denied_beside(diagnosis: Diagnosis, others: OtherProfiles) -> Diagnosis:
    """A Deny of what was called, with the other profiles of the same model that the principal may invoke."""
    if others.held:
        beside = f"The same model is allowed as {_labels(others.held)}: use that as modelId."
    elif others.perhaps:
        beside = f"The same model may be allowed as {_labels(others.perhaps)}, which cannot be checked from here."
    else:
        return diagnosis
    candidates = _identifiers(others.held or others.perhaps)
    return replace(diagnosis, reason=f"{diagnosis.reason} {beside}", candidates=candidates)


_HELD_AS: Final[Mapping[PolicyKind, str]] = {
    PolicyKind.INLINE: "an inline policy of the principal",
    PolicyKind.MANAGED: "a managed policy of the principal",
    PolicyKind.AWS_MANAGED: "an AWS managed policy of the principal",
    PolicyKind.GROUP: "a policy of one of the principal's groups",
}


def _where(finding: Finding) -> str:
    """The policy in which the statement is, by its name and by how the principal comes to hold it."""
    assert finding.policy is not None  # noqa: S101 - what denies, or hangs on a condition, stands in a policy
    held_as = "the permissions boundary" if finding.boundary else _HELD_AS[finding.policy.kind]
    return f" in {finding.policy.name}, {held_as},"


def _other_scope(denial: Denial, target: Target, others: OtherProfiles, finding: Finding | None) -> Diagnosis:
    called = target.profile.id if target.profile else target.model_id
    ways = [f"is granted {_labels(others.held)}"] if others.held else []
    if others.perhaps:
        ways.append(f"may be granted {_labels(others.perhaps)}, under a condition that cannot be checked from here,")
    first = (others.held or others.perhaps)[0].client_model_id
    return Diagnosis(
        kind=DiagnosisKind.WRONG_IDENTIFIER,
        code="other_scope_granted",
        reason=f"The client called {called}, and the principal {' and '.join(ways)} of the same model. "
        f"Either use {first} as modelId in the client, or grant {called} too.",
        layer=denial.layer,
        candidates=_identifiers((*others.held, *others.perhaps)),
        evidence=_statement(finding) if finding else None,
        ask_only=True,
    )


def _labels(profiles: Sequence[Profile]) -> str:
    more = len(profiles) - _NAMED
    return ", ".join(profile.label for profile in profiles[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def _identifiers(profiles: Sequence[Profile]) -> tuple[str, ...]:
    """What a client may pass: an account can have a thousand application profiles of one model."""
    return tuple(profile.client_model_id for profile in profiles[:_LISTED])


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
