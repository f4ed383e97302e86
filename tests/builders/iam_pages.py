"""IAM's account authorization details, made up as they are asked for: an account of any size in a page's memory."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final

ACCOUNT: Final = "123456789012"

Statements = Sequence[Mapping[str, Any]]
Held = Mapping[str, Sequence[str]] | Callable[[], Iterator[tuple[str, Sequence[str] | Statements]]]


class IamPages:
    """Stands for IAM's client.

    Args:
        policies: Managed policies by name.
        groups: Group -> its managed policies.
        users: User -> its groups.
        roles: Role -> its managed policies; or what gives each role with those, or with statements of its own.
        boundaries: Role -> the managed policy that is its boundary.
        linked: Service-linked roles.
    """

    def __init__(
        self,
        *,
        policies: Mapping[str, Statements],
        groups: Mapping[str, Sequence[str]] | None = None,
        users: Mapping[str, Sequence[str]] | None = None,
        roles: Held | None = None,
        boundaries: Mapping[str, str] | None = None,
        linked: Sequence[str] = (),
    ) -> None:
        self._policies = policies
        self._groups = groups or {}
        self._users = users or {}
        self._roles = roles or {}
        self._boundaries = boundaries or {}
        self._linked = linked
        self._open: dict[str, Iterator[tuple[str, dict[str, Any]]]] = {}
        self.most_at_once = 0

    def get_account_authorization_details(
        self,
        *,
        Filter: Sequence[Any],  # noqa: N803 - AWS's names
        MaxItems: int,  # noqa: N803
        Marker: str = "",  # noqa: N803
    ) -> Mapping[str, Any]:
        """A page."""
        self.most_at_once = max(self.most_at_once, MaxItems)
        key = Marker or ",".join(Filter)
        rest = self._open.pop(key, None) or (each for kind in Filter for each in self._of(kind))
        page: dict[str, Any] = {}
        taken = list(islice(rest, MaxItems))
        for name, detail in taken:
            page.setdefault(name, []).append(detail)
        more = len(taken) == MaxItems
        if more:
            self._open[key] = rest
        return page | {"IsTruncated": more} | ({"Marker": key} if more else {})

    def get_policy(self, *, PolicyArn: str) -> Mapping[str, Any]:  # noqa: N803
        """No policy is asked for by itself."""
        raise AssertionError(PolicyArn)

    def get_policy_version(self, *, PolicyArn: str, VersionId: str) -> Mapping[str, Any]:  # noqa: N803
        """No policy is asked for by itself."""
        raise AssertionError(PolicyArn, VersionId)

    def _of(self, kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
        if kind == "LocalManagedPolicy":
            for name, statements in self._policies.items():
                version = {"IsDefaultVersion": True, "Document": _document(statements)}
                yield "Policies", {"Arn": _policy(name), "PolicyName": name, "PolicyVersionList": [version]}
        elif kind == "Group":
            for name, held in self._groups.items():
                yield "GroupDetailList", {"GroupName": name, "AttachedManagedPolicies": _attached(held)}
        elif kind == "User":
            for name, groups in self._users.items():
                yield "UserDetailList", {"Arn": f"arn:aws:iam::{ACCOUNT}:user/{name}", "GroupList": groups}
        elif kind == "Role":
            yield from self._role_details()

    def _role_details(self) -> Iterator[tuple[str, dict[str, Any]]]:
        roles = self._roles() if callable(self._roles) else iter(self._roles.items())
        for name, held in roles:
            detail: dict[str, Any] = {"Arn": f"arn:aws:iam::{ACCOUNT}:role/{name}", "RoleName": name}
            names = [each for each in held if isinstance(each, str)]
            own = [each for each in held if not isinstance(each, str)]
            detail["AttachedManagedPolicies"] = _attached(names)
            if own:
                detail["RolePolicyList"] = [{"PolicyName": "own", "PolicyDocument": _document(own)}]
            if name in self._boundaries:
                detail["PermissionsBoundary"] = {"PermissionsBoundaryArn": _policy(self._boundaries[name])}
            yield "RoleDetailList", detail
        for name in self._linked:
            arn = f"arn:aws:iam::{ACCOUNT}:role/aws-service-role/bedrock.amazonaws.com/{name}"
            yield "RoleDetailList", {"Arn": arn, "RoleName": name, "AttachedManagedPolicies": _attached(["Models"])}


def _policy(name: str) -> str:
    return f"arn:aws:iam::{ACCOUNT}:policy/{name}"


def _attached(names: Sequence[str]) -> list[dict[str, str]]:
    return [{"PolicyName": name, "PolicyArn": _policy(name)} for name in names]


def _document(statements: Statements) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": [dict(each) for each in statements]}
