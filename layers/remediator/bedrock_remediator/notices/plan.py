"""The policy that a notice shows: before and after, and the grant alone to paste, where that is good advice.

For a role that Identity Center made from a permission set the policy goes into the set, never to the role. A permission
set has one inline policy, so the statements of several documents come together in one; its owner adds them to those
that are there.
"""

import json
import re
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from typing import Final

from msgspec.structs import replace

from bedrock_remediator.core.diagnosis import GRANTABLE, defeats_a_control
from bedrock_remediator.core.grant import STANDING, Grant, State
from bedrock_remediator.core.policy import INVOKE_ACTIONS, Entitlement, compile_policies, entitlement
from bedrock_remediator.notices.advice import permission_set, principal_of
from bedrock_remediator.notices.notice import Plan
from bedrock_remediator.notices.snippets import Snippets, snippets

_INSTANCE: Final = "arn:aws:sso:::instance/INSTANCE_ID"
_SET: Final = "arn:aws:sso:::permissionSet/INSTANCE_ID/PERMISSION_SET_ID"


def permission_set_snippets(name: str, documents: Sequence[str]) -> Snippets:
    """Write policies as parts of a permission set.

    Args:
        name: The permission set's name.
        documents: Policy documents as JSON texts.
    """
    statements = [statement for document in documents for statement in json.loads(document)["Statement"]]
    policy = json.dumps({"Version": "2012-10-17", "Statement": statements}, indent=2)
    # JSON is an expression in Terraform and a value in YAML, but for what Terraform takes for a template.
    expression = re.sub(r"([$%])(?=\{)", r"\1\1", policy)
    # A label of Terraform's begins with no digit.
    label = re.sub(r"^(?=\d)", "_", re.sub(r"[^A-Za-z0-9_]", "_", name))
    return Snippets(
        json=policy + "\n",
        terraform=(
            f'resource "aws_ssoadmin_permission_set_inline_policy" "{label}" {{\n'
            f'  instance_arn       = "{_INSTANCE}"\n'
            f'  permission_set_arn = "{_SET}"\n'
            f"  inline_policy = jsonencode({_shifted(expression, 2)})\n"
            "}\n"
        ),
        cloudformation=(
            "Resources:\n"
            f"  {''.join(re.findall('[A-Za-z0-9]+', name)) or 'PermissionSet'}:\n"
            "    Type: AWS::SSO::PermissionSet\n"
            "    Properties:\n"
            f"      InstanceArn: {_INSTANCE}\n"
            f"      Name: {json.dumps(name)}\n"
            f"      InlinePolicy: {_shifted(policy, 8)}\n"
        ),
    )


def _shifted(code: str, columns: int) -> str:
    """All lines but the first, further in."""
    return code.replace("\n", "\n" + " " * columns)


_FOR_THE_OWNER: Final = frozenset({"permission_set", "principal_not_grantable"})
"""Denials that this service may not repair, and the owner of the principal can, by the same policy."""

_NOTHING_TO_GRANT: Final = frozenset({"rule_never", "profile_id_needed"})

_WITHHELD: Final = frozenset(
    {
        "approval_unverified",
        "approval_used",
        "certainly_no_help",
        "model_missing",
        "model_needs_profile",
        "principal_missing",
        "principal_recreated",
        "profile_missing",
        "row_inconsistent",
    }
)
"""Reasons for which nobody should make the grant by hand either."""

_PASTABLE: Final = frozenset({State.PENDING, State.ACTIVE, State.FAILED, State.LAPSED, State.REPORTED})
"""Not what a person has rejected, what does not help, or what was taken away."""


def plan(grant: Grant, rows: Callable[[], Iterable[Grant]], extra_actions: Sequence[str]) -> Plan:
    """What the grant means for its principal's policy.

    Args:
        grant: The row.
        rows: Reads all rows of the principal, this one included or not; called only where they matter.
        extra_actions: The actions that the stack grants beside invoking.

    Returns:
        The documents; an empty plan where a grant is not the answer, or its documents cannot be made.
    """
    if not _thinkable(grant):
        return Plan()
    alone = _entitlement(grant)
    try:
        own = compile_policies([alone], extra_actions)
        before, after = _change(grant, alone, rows, extra_actions)
    except ValueError:
        # A notice without a policy is better than none: remediation refuses such a row, and says why.
        return Plan()
    return Plan(before=before, after=after, own=own, snippets=_snippets(grant, own) if _pastable(grant) else None)


def _snippets(grant: Grant, own: Sequence[str]) -> Snippets:
    name = permission_set(grant)
    return permission_set_snippets(name, own) if name else snippets(grant.principal or "", own)


def _thinkable(grant: Grant) -> bool:
    if not grant.resources or principal_of(grant) is None or grant.reason_code in _NOTHING_TO_GRANT:
        return False
    return grant.diagnosis in GRANTABLE or grant.reason_code in _FOR_THE_OWNER


def _pastable(grant: Grant) -> bool:
    control = defeats_a_control(grant.diagnosis, grant.profile, grant.candidates, grant.evidence)
    return grant.state in _PASTABLE and not control and grant.reason_code not in _WITHHELD


def _change(
    grant: Grant, alone: Entitlement, rows: Callable[[], Iterable[Grant]], extra_actions: Sequence[str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Before and after, for the states in which the policy changes, has changed or would change."""
    would = grant.state is State.REPORTED and grant.reason_code == "mode_observe"
    if not would and grant.state not in (State.PENDING, State.ACTIVE, State.REVOKED):
        return (), ()
    others = [entitlement(row) for row in rows() if _stands_beside(row, grant)]
    without = compile_policies(others, extra_actions)
    both = compile_policies([*others, alone], extra_actions)
    return (both, without) if grant.state is State.REVOKED else (without, both)


def _entitlement(grant: Grant) -> Entitlement:
    """What the grant gives; what the owner of a principal is told to grant gives both actions."""
    given = entitlement(_with_end(grant))
    return replace(given, actions=INVOKE_ACTIONS) if grant.reason_code in _FOR_THE_OWNER else given


def _with_end(grant: Grant) -> Grant:
    """The grant with the end it would have if it were made when the row was written."""
    if grant.expires_at or not grant.grant_seconds:
        return grant
    return replace(grant, expires_at=grant.updated_at + timedelta(seconds=grant.grant_seconds))


def _stands_beside(row: Grant, grant: Grant) -> bool:
    return row.state in STANDING and row.key != grant.key and row.principal_id == grant.principal_id
