"""AWS Organizations: the service control policies of the world, attached to the root above the account."""

import json
from collections.abc import Callable, Mapping
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
