"""IAM's account authorization details: every principal and policy of the account, in pages."""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final
from urllib.parse import quote

from moto.iam.models import Group as MotoGroup
from moto.iam.models import ManagedPolicy

from sandbox.calls import Call
from sandbox.population import MADE, Directory, Entity, default_document

_PAGE: Final = 100
_LISTS: Final = {
    "User": "UserDetailList",
    "Group": "GroupDetailList",
    "Role": "RoleDetailList",
    "LocalManagedPolicy": "Policies",
    "AWSManagedPolicy": "Policies",
}


class Inventory:
    """Answers GetAccountAuthorizationDetails and GetAccountSummary, on the account's directory."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self.answers: Mapping[str, Callable[[Call], Mapping[str, Any]]] = {
            "GetAccountAuthorizationDetails": self._details,
            "GetAccountSummary": self._summary,
        }

    def _details(self, call: Call) -> Mapping[str, Any]:
        wanted = call.parameters.get("Filter") or list(_LISTS)
        every = [(_LISTS[kind], detail) for kind in wanted for detail in self._of(kind)]
        start = int(call.parameters.get("Marker", "0"))
        end = start + call.parameters.get("MaxItems", _PAGE)
        page: dict[str, Any] = {name: [] for name in _LISTS.values()}
        for name, detail in every[start:end]:
            page[name].append(detail)
        more = end < len(every)
        return page | {"IsTruncated": more} | ({"Marker": str(end)} if more else {})

    def _summary(self, _: Call) -> Mapping[str, Any]:
        backend = self._directory.backend
        return {"SummaryMap": {"Roles": len(backend.roles), "Users": len(backend.users)}}

    def _of(self, kind: str) -> Iterator[dict[str, Any]]:
        backend = self._directory.backend
        if kind == "Role":
            yield from (self._principal("Role", role) for role in backend.roles.values())
        elif kind == "User":
            for user in backend.users.values():
                groups = [group.name for group in self._directory.groups_of(user)]
                yield self._principal("User", user) | {"GroupList": groups}
        elif kind == "Group":
            yield from (_held("Group", group) for group in backend.groups.values())
        else:
            of_aws = kind == "AWSManagedPolicy"
            for arn, policy in backend.managed_policies.items():
                if (":iam::aws:" in arn) is of_aws and (not of_aws or self._used(arn)):
                    yield _policy(policy)

    def _used(self, arn: str) -> bool:
        backend = self._directory.backend
        holders: list[Any] = [*backend.roles.values(), *backend.users.values(), *backend.groups.values()]
        return any(arn in holder.managed_policies for holder in holders)

    def _principal(self, kind: str, entity: Entity) -> dict[str, Any]:
        detail = _held(kind, entity)
        boundary = self._directory.boundary(entity)
        if boundary is not None:
            detail["PermissionsBoundary"] = {
                "PermissionsBoundaryType": "Policy",
                "PermissionsBoundaryArn": boundary.arn,
            }
        tags: Any = getattr(entity, "tags", None) or []
        return detail | {"Tags": list(tags.values() if isinstance(tags, dict) else tags)}


def _text(document: Any) -> str:
    """A document as IAM writes it; moto keeps some as text and some as values."""
    return document if isinstance(document, str) else json.dumps(document)


def _held(kind: str, holder: Entity | MotoGroup) -> dict[str, Any]:
    return {
        f"{kind}Name": holder.name,
        f"{kind}Id": holder.id,
        "Arn": holder.arn,
        "Path": holder.path,
        "CreateDate": MADE,
        f"{kind}PolicyList": [
            {"PolicyName": name, "PolicyDocument": quote(_text(document))} for name, document in holder.policies.items()
        ],
        "AttachedManagedPolicies": [
            {"PolicyName": policy.name, "PolicyArn": arn} for arn, policy in holder.managed_policies.items()
        ],
    }


def _policy(policy: ManagedPolicy) -> dict[str, Any]:
    version = {
        "Document": quote(json.dumps(default_document(policy))),
        "VersionId": policy.default_version_id,
        "IsDefaultVersion": True,
    }
    return {
        "PolicyName": policy.name,
        "PolicyId": policy.id,
        "Arn": policy.arn,
        "Path": policy.path,
        "DefaultVersionId": policy.default_version_id,
        "PolicyVersionList": [version],
    }
