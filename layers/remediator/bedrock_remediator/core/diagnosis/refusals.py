"""What the record alone decides, without a single call: by its message, and by whose denial it is.

Some callers cannot be given a policy here; then the advice says where the policy goes instead.
"""

from collections.abc import Callable
from typing import Final

from bedrock_remediator.core.accounts import Enrolment
from bedrock_remediator.core.cloudtrail import OTHER_ACCOUNT, Caller, Denial, Unreadable
from bedrock_remediator.core.diagnosis import Diagnosis, not_fixable
from bedrock_remediator.core.grant import DiagnosisKind
from bedrock_remediator.core.layers import LAYERS, Effect, Layer
from bedrock_remediator.core.policy_grammar import INVOKE_ACTIONS

QUARANTINE: Final = frozenset(
    {"AWSCompromisedKeyQuarantine", "AWSCompromisedKeyQuarantineV2", "AWSCompromisedKeyQuarantineV3"}
)
"""AWS managed policies that AWS attaches to a principal whose access key was found in public."""


def from_unreadable(record: Unreadable) -> Diagnosis:
    """What cannot be read is recorded, and never granted."""
    return Diagnosis(kind=DiagnosisKind.UNKNOWN, code=record.code, reason=record.reason, layer=Layer.UNKNOWN)


def from_message(denial: Denial) -> Diagnosis | None:
    """What the message alone decides: leaked keys, layers and refusals that no identity policy can put right."""
    if denial.policy_arn and is_quarantine(denial):
        return quarantined(denial.caller, denial.policy_arn)
    layer = LAYERS[denial.layer]
    if layer.fixable is False:
        return not_fixable(denial, layer.code, f"No identity policy can help: {layer.advice}.")
    if denial.effect is Effect.EXPLICIT:
        where = f" ({denial.policy_arn})" if denial.policy_arn else ""
        which = (
            "an identity-based policy" if denial.layer is Layer.IDENTITY else "a policy that the message does not name"
        )
        reason = f"An explicit deny in {which}{where} forbids it, and a deny wins over any grant."
        return not_fixable(denial, "explicit_deny", reason)
    if denial.action not in INVOKE_ACTIONS:
        reason = f"{denial.action} is not one of the actions that this service grants."
        return not_fixable(denial, "other_action", reason)
    return None


def is_quarantine(denial: Denial) -> bool:
    """Whether the message names the policy by which AWS blocks a leaked key."""
    return denial.policy_arn is not None and denial.policy_arn.rpartition("/")[2] in QUARANTINE


def quarantined(caller: Caller, policy: str) -> Diagnosis:
    """A leaked key: an alert, and never a request."""
    return Diagnosis(
        kind=DiagnosisKind.LEAKED_KEY,
        code="quarantined",
        reason=f"AWS has quarantined {_who(caller)} ({policy}) because an access key of it was found in public. "
        "Treat its keys as stolen: rotate them, and look at what they were used for.",
        layer=Layer.IDENTITY,
    )


def _who(caller: Caller) -> str:
    return f"{caller.principal.kind} {caller.principal.name}" if caller.principal else f"a caller of type {caller.type}"


def from_stranger(denial: Denial | Unreadable) -> Diagnosis | None:
    """Whoever calls from another account gets no policy here, whatever the message says."""
    contradicts = isinstance(denial, Unreadable) and denial.code == "identity_mismatch"
    if denial.caller.type != OTHER_ACCOUNT or denial.caller.account == denial.account or contradicts:
        return None
    reason = f"Account {denial.caller.account} made the call: its own administrators give its principals rights."
    return Diagnosis(kind=DiagnosisKind.NOT_FIXABLE, code="other_account", reason=reason, layer=Layer.UNKNOWN)


def from_account(denial: Denial, enrolment: Enrolment) -> Diagnosis | None:
    """An account that is not enrolled is not looked into."""
    if enrolment.covers(denial.account):
        return None
    reason = f"Account {denial.account} is not enrolled with this service, so nothing can be read or granted there."
    return not_fixable(denial, "account_not_enrolled", reason)


def from_missing_role(denial: Denial, role_arn: str) -> Diagnosis:
    """An account that is enrolled, and whose role cannot be assumed: nothing is known of the principal."""
    reason = f"The role {role_arn} cannot be assumed, so nothing can be read or granted in account {denial.account}."
    return not_fixable(denial, "member_role_missing", reason)


def from_refused_lookup(answer: str) -> Diagnosis:
    """AWS did not tell what is the matter; `answer` says what it said instead, as a sentence without its end."""
    reason = f"{answer}, so nothing could be found out about the call."
    return Diagnosis(kind=DiagnosisKind.UNKNOWN, code="lookup_refused", reason=reason)


def from_caller(denial: Denial, grantable: Callable[[str], bool]) -> Diagnosis | None:
    """Callers that cannot be given a policy here: what to do instead.

    `grantable` tells whether an IAM ARN is one that the operator lets this service change.
    """
    caller, principal = denial.caller, denial.caller.principal
    if principal is None:
        code, reason = _CALLERS.get(
            caller.type, ("caller_without_policy", f"A caller of type {caller.type} has no policy.")
        )
        return not_fixable(denial, code, reason)
    if principal.identity_center:
        reason = (
            f"The role {principal.name} belongs to an IAM Identity Center permission set, and AWS lets nobody change "
            "it in the account: add the policy to the permission set."
        )
        return not_fixable(denial, "permission_set", reason)
    if principal.service_owned:
        reason = f"{principal.name} is a service-linked role: only the AWS service that owns it can change it."
        return not_fixable(denial, "service_linked_role", reason)
    if not grantable(principal.arn):
        reason = f"{principal.arn} is not among the principals that this service may change (GrantablePrincipals)."
        return not_fixable(denial, "principal_not_grantable", reason)
    return None


_CALLERS: Final = {
    "Root": (
        "root_user",
        "The account's root user has every right in the account; only an organization's policy stops it.",
    ),
    "FederatedUser": (
        "federated_user",
        "A federated user has what both the IAM user who called GetFederationToken and the session policy allow.",
    ),
    "IdentityCenterUser": (
        "identity_center_user",
        "An Identity Center user's rights come from a permission set: add the policy there.",
    ),
    "AWSService": ("aws_service", "An AWS service made the call on its own behalf: see that service's documentation."),
    OTHER_ACCOUNT: (
        "other_account",
        "Another account made the call: its own administrators give its principals rights.",
    ),
}
