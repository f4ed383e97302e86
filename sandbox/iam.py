"""What moto's IAM leaves out: size and attachment limits, protected roles, unique names, and who uses a policy.

Limits and protections: docs/aws-facts.md §4. Each check runs before moto sees the call and raises what AWS would say.
"""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from moto.iam.models import ManagedPolicy

from sandbox.calls import ApiError, Call
from sandbox.population import Directory, Entity

MANAGED_LIMIT: Final = 6_144
INLINE_LIMITS: Final = {"user": 2_048, "role": 10_240, "group": 5_120}
ATTACHMENT_LIMITS: Final = {"user": 10, "role": 20, "group": 10}
POLICIES_PER_ACCOUNT: Final = 1_500
PROTECTED_PATHS: Final = ("/aws-reserved/", "/aws-service-role/")

_WHITE_SPACE = re.compile(r"\s")
_FORBIDDEN = re.compile(r"[^\t\n\r\x20-\xff]")
_CHANGES_A_ROLE: Final = frozenset(
    {
        "AttachRolePolicy",
        "DeleteRole",
        "DeleteRolePermissionsBoundary",
        "DeleteRolePolicy",
        "DetachRolePolicy",
        "PutRolePermissionsBoundary",
        "PutRolePolicy",
        "TagRole",
        "UntagRole",
        "UpdateAssumeRolePolicy",
        "UpdateRole",
    }
)


class IamRules:
    """Checks and answers for IAM calls, on the account's directory."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self.answers: Mapping[str, Callable[[Call], Mapping[str, Any]]] = {
            "GetPolicy": self._get_policy,
            "ListEntitiesForPolicy": self._list_entities,
        }

    def check(self, call: Call) -> bool:
        """Whether moto has anything left to do.

        Raises:
            ApiError: AWS would refuse the call.
        """
        operation, given = call.operation, call.parameters
        if operation in _CHANGES_A_ROLE:
            self._check_protection(given["RoleName"])
        if "PolicyDocument" in given:
            _check_text(given["PolicyDocument"])
        match operation:
            case "CreatePolicy":
                self._check_new_policy(given)
            case "CreatePolicyVersion":
                _check_managed_size(given["PolicyDocument"])
            case "PutRolePolicy" | "PutUserPolicy" | "PutGroupPolicy":
                self._check_inline_size(operation[3:-6].lower(), given)
            case "AttachRolePolicy" | "AttachUserPolicy" | "AttachGroupPolicy":
                return self._check_attachment(operation[6:-6].lower(), given)
            case "DeletePolicy":
                self._check_deletion(given["PolicyArn"])
        return True

    def _holder(self, kind: str, given: Mapping[str, Any]) -> Any:
        name = given[f"{kind.title()}Name"]
        return {"role": self._directory.role, "user": self._directory.user, "group": self._directory.group}[kind](name)

    def _check_protection(self, role_name: str) -> None:
        role = self._directory.role(role_name)
        if role is not None and role.path.startswith(PROTECTED_PATHS):
            raise ApiError(
                "UnmodifiableEntity",
                f"Cannot perform the operation on the protected role '{role_name}' - "
                "this role is only modifiable by AWS",
            )

    def _check_new_policy(self, given: Mapping[str, Any]) -> None:
        _check_managed_size(given["PolicyDocument"])
        own = [policy for arn, policy in self._directory.backend.managed_policies.items() if ":iam::aws:" not in arn]
        if any(policy.name.lower() == given["PolicyName"].lower() for policy in own):
            raise ApiError(
                "EntityAlreadyExists",
                f"A policy called {given['PolicyName']} already exists. Duplicate names are not allowed.",
                409,
            )
        if len(own) >= POLICIES_PER_ACCOUNT:
            raise ApiError("LimitExceeded", f"Cannot exceed quota for PoliciesPerAccount: {POLICIES_PER_ACCOUNT}", 409)

    def _check_inline_size(self, kind: str, given: Mapping[str, Any]) -> None:
        holder = self._holder(kind, given)
        if holder is None:
            return
        after = {**holder.policies, given["PolicyName"]: given["PolicyDocument"]}
        if sum(_size(text) for text in after.values()) > INLINE_LIMITS[kind]:
            raise ApiError(
                "LimitExceeded",
                f"Maximum policy size of {INLINE_LIMITS[kind]} bytes exceeded for {kind} {holder.name}",
                409,
            )

    def _check_attachment(self, kind: str, given: Mapping[str, Any]) -> bool:
        holder = self._holder(kind, given)
        if holder is None:
            return True
        if given["PolicyArn"] in holder.managed_policies:
            return False  # attaching twice is no error, and moto would count it twice
        if len(holder.managed_policies) >= ATTACHMENT_LIMITS[kind]:
            raise ApiError(
                "LimitExceeded", f"Cannot exceed quota for PoliciesPer{kind.title()}: {ATTACHMENT_LIMITS[kind]}", 409
            )
        return True

    def _check_deletion(self, arn: str) -> None:
        policy = self._directory.backend.managed_policies.get(arn)
        if policy is None:
            return
        if self._attached_to(arn) or self._bounded_by(arn):
            raise ApiError("DeleteConflict", "Cannot delete a policy attached to entities.", 409)
        if len(policy.versions) > 1:
            raise ApiError(
                "DeleteConflict",
                "This policy has more than one version. Before you delete a policy, you must delete the policy's "
                "versions. The default version is deleted with the policy.",
                409,
            )

    def _attached_to(self, arn: str) -> list[Any]:
        backend = self._directory.backend
        holders: list[Any] = [*backend.roles.values(), *backend.users.values(), *backend.groups.values()]
        return [holder for holder in holders if arn in holder.managed_policies]

    def _bounded_by(self, arn: str) -> list[Entity]:
        backend = self._directory.backend
        entities: list[Entity] = [*backend.roles.values(), *backend.users.values()]
        boundaries = ((entity, self._directory.boundary(entity)) for entity in entities)
        return [entity for entity, boundary in boundaries if boundary is not None and boundary.arn == arn]

    def _policy(self, arn: str) -> ManagedPolicy:
        policy = self._directory.backend.managed_policies.get(arn)
        if policy is None:
            raise ApiError("NoSuchEntity", f"Policy {arn} was not found.", 404)
        return policy

    def _get_policy(self, call: Call) -> Mapping[str, Any]:
        policy = self._policy(call.parameters["PolicyArn"])
        return {
            "Policy": {
                "PolicyName": policy.name,
                "PolicyId": policy.id,
                "Arn": policy.arn,
                "Path": policy.path,
                "DefaultVersionId": policy.default_version_id,
                "AttachmentCount": len(self._attached_to(policy.arn)),
                "PermissionsBoundaryUsageCount": len(self._bounded_by(policy.arn)),
                "IsAttachable": True,
                "CreateDate": policy.create_date,
                "UpdateDate": policy.update_date,
                "Tags": list(policy.tags.values()),
            }
        }

    def _list_entities(self, call: Call) -> Mapping[str, Any]:
        arn, usage = self._policy(call.parameters["PolicyArn"]).arn, call.parameters.get("PolicyUsageFilter")
        holders: dict[str, Any] = {}
        if usage != "PermissionsBoundary":
            holders |= {holder.arn: holder for holder in self._attached_to(arn)}
        if usage != "PermissionsPolicy":
            holders |= {entity.arn: entity for entity in self._bounded_by(arn)}
        return {
            f"Policy{kind}s": [
                {f"{kind}Name": holder.name, f"{kind}Id": holder.id}
                for holder_arn, holder in sorted(holders.items())
                if f":{kind.lower()}/" in holder_arn and call.parameters.get("EntityFilter", kind) == kind
            ]
            for kind in ("Group", "User", "Role")
        } | {"IsTruncated": False}


def _size(text: str | Mapping[str, Any]) -> int:
    """How IAM counts: characters, white space left out."""
    return len(_WHITE_SPACE.sub("", text if isinstance(text, str) else json.dumps(text)))


def _check_managed_size(text: str) -> None:
    if _size(text) > MANAGED_LIMIT:
        raise ApiError("LimitExceeded", f"Cannot exceed quota for PolicySize: {MANAGED_LIMIT}", 409)


def _check_text(text: str) -> None:
    if _FORBIDDEN.search(text):
        raise ApiError(
            "ValidationError", "The specified value for policyDocument is invalid: it holds other characters"
        )
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        raise ApiError("MalformedPolicyDocument", f"This policy contains invalid Json: {error}") from error
