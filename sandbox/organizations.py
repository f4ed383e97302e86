"""AWS Organizations: what accounts are called, and the service control policies, attached to the root above them."""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from sandbox.calls import ApiError, Call
from sandbox.world import World

_ROOT: Final = "r-root"
_MANAGEMENT: Final = "444455556666"
_FULL: Final = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}


class OrganizationPolicies:
    """Answers for reading the policies above the account; without any in the world there is no organization."""

    def __init__(self, world: World) -> None:
        documents = {f"p-scp{number}": document for number, document in enumerate(world.scps, start=1)}
        self._account = world.account
        self._policies: Mapping[str, Any] = {"p-FullAWSAccess": _FULL, **documents} if documents else {}
        self.answers: Mapping[str, Callable[[Call], Mapping[str, Any]]] = {
            "DescribeOrganization": self._organization,
            "ListParents": self._parents,
            "ListPoliciesForTarget": self._attached,
            "DescribePolicy": self._policy,
        }

    def _organization(self, _: Call) -> Mapping[str, Any]:
        if not self._policies:
            raise ApiError("AWSOrganizationsNotInUseException", "Your account is not a member of an organization.")
        return {"Organization": {"Id": "o-exampleorg", "MasterAccountId": _MANAGEMENT}}

    def _parents(self, call: Call) -> Mapping[str, Any]:
        child = call.parameters["ChildId"]
        if child != self._account:
            raise ApiError("ChildNotFoundException", f"There is no {child}.")
        return {"Parents": [{"Id": _ROOT, "Type": "ROOT"}]}

    def _attached(self, call: Call) -> Mapping[str, Any]:
        names = list(self._policies) if call.parameters["TargetId"] == _ROOT else ["p-FullAWSAccess"]
        return {"Policies": [_summary(name) for name in names]}

    def _policy(self, call: Call) -> Mapping[str, Any]:
        name = call.parameters["PolicyId"]
        return {"Policy": {"PolicySummary": _summary(name), "Content": json.dumps(self._policies[name])}}


def _summary(name: str) -> dict[str, Any]:
    return {
        "Id": name,
        "Name": name.removeprefix("p-"),
        "Type": "SERVICE_CONTROL_POLICY",
        "AwsManaged": name == "p-FullAWSAccess",
    }


_JOINED: Final = datetime(2026, 1, 1, tzinfo=UTC)


class Directory:
    """Answers for the hub's organization. An account that has no name in the world is one that the hub may not see."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._organization = world.organization_of(world.account)
        self.answers: Mapping[str, Callable[[Call], Mapping[str, Any]]] = {"DescribeAccount": self._describe}

    def _describe(self, call: Call) -> Mapping[str, Any]:
        account = call.parameters["AccountId"]
        if self._organization is None:
            raise ApiError("AWSOrganizationsNotInUseException", "Your account is not a member of an organization.")
        if self._world.organization_of(account) != self._organization:
            raise ApiError("AccountNotFoundException", "You specified an account that doesn't exist.")
        name = self._world.everywhere[account].name
        if not name:
            raise ApiError("AccessDeniedException", "You don't have permissions to access this resource.")
        place = f"arn:{self._world.partition}:organizations::{call.account}"
        return {
            "Account": {
                "Id": account,
                "Arn": f"{place}:account/{self._organization}/{account}",
                "Email": f"{account}@example.com",
                "Name": name,
                "Status": "ACTIVE",
                "JoinedMethod": "CREATED",
                "JoinedTimestamp": _JOINED,
            }
        }
