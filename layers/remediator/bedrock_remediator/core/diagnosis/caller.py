"""Whose denial it is: callers that cannot be given a policy here, and where the policy goes instead."""

from collections.abc import Callable
from typing import Final

from bedrock_remediator.core.denial import OTHER_ACCOUNT, Denial, Layer, Unreadable
from bedrock_remediator.core.diagnosis import Diagnosis, not_fixable
from bedrock_remediator.core.enrolment import Enrolment
from bedrock_remediator.core.grant import DiagnosisKind


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
