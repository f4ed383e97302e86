"""AWS Organizations, as far as the service asks it: what an account is called."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from sandbox.calls import ApiError, Call
from sandbox.world import World

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
