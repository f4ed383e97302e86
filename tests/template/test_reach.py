"""What arrives from other regions and accounts: the hub's bus, who may put something on it, and its rule."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from sandbox.evaluator import Ask, Source, evaluate
from sandbox.template import Stack

MEMBER = "444455556666"
ORGANIZATION = "o-exampleorgid"
FORWARDED = {
    "aws:principalarn": f"arn:aws:iam::{MEMBER}:role/bedrock-access-remediator-stack/forward",
    "aws:principalorgid": ORGANIZATION,
    "events:source": "aws.bedrock",
    "events:detail-type": "AWS API Call via CloudTrail",
    "events:eventbusinvocation": "true",
}
"""The condition keys of an event that a member account's rule sends on."""


@pytest.fixture(scope="module")
def hub(deploy: Callable[..., Stack]) -> Stack:
    """The hub of an organization."""
    return deploy(OrganizationId=ORGANIZATION, EnrolledAccounts="*")


def lets_in(hub: Stack, changes: dict[str, str | None]) -> bool:
    """Whether the bus takes an event with these condition keys changed; None takes a key away."""
    statement = hub.properties("ForwardedDenialsPolicy")["Statement"]
    document: dict[str, Any] = {"Version": "2012-10-17", "Statement": [statement]}
    context = {key: (value,) for key, value in (FORWARDED | changes).items() if value is not None}
    ask = Ask(
        action="events:PutEvents",
        resource=hub.arn("ForwardedDenials"),
        context=context,
        principal=(str(context["aws:principalarn"][0]),),
    )
    return evaluate([Source(id="bus", type="resource", document=document)], ask).allowed


def test_forwarded_denials_go_the_way_of_all_denials(stack: Stack) -> None:
    """The same pattern, state and target as the rule of the default bus, with the same place for what fails."""
    own, forwarded = stack.properties("DenialRule"), stack.properties("ForwardedDenialRule")
    assert forwarded["EventBusName"] == stack.ref("ForwardedDenials")
    for part in ("EventPattern", "State", "Targets"):
        assert forwarded[part] == own[part]


def test_two_hundred_accounts_fit(deploy: Callable[..., Stack], everything: Mapping[str, str]) -> None:
    """Into an environment (4 KB) and a role's inline policies (10,240 characters), with everything switched on."""
    accounts = ",".join(f"{number:012}" for number in range(200))
    stack = deploy(**{**everything, "EnrolledAccounts": accounts})
    for function in stack.of_type("AWS::Lambda::Function").values():
        assert sum(len(name) + len(str(value)) for name, value in environment(function).items()) < 4096 - 512
    for role in stack.of_type("AWS::IAM::Role").values():
        assert sum(len(json.dumps(each["PolicyDocument"])) for each in role["Policies"]) < 10_240


def environment(function: Mapping[str, Any]) -> Mapping[str, Any]:
    """A function's variables."""
    variables: Mapping[str, Any] = function["Environment"]["Variables"]
    return variables


def test_without_an_organization_no_other_account_gets_in(stack: Stack) -> None:
    """The bus is there for this account's other regions, and has no policy."""
    assert stack.arn("ForwardedDenials").endswith(":event-bus/bedrock-access-remediator")
    assert not stack.of_type("AWS::Events::EventBusPolicy")


@pytest.mark.parametrize("sent_on", ["true", None])
def test_the_organizations_rules_may_send_denials_on(hub: Stack, sent_on: str | None) -> None:
    """Whether or not EventBridge tells that a rule did it."""
    assert lets_in(hub, {"events:eventbusinvocation": sent_on})


@pytest.mark.parametrize(
    "changes",
    [
        {"aws:principalorgid": "o-anotherorgid"},
        {"aws:principalorgid": None},
        {"events:source": "my.application"},
        {"events:detail-type": "AWS Service Event via CloudTrail"},
        {"events:eventbusinvocation": "false"},
        {"aws:principalarn": f"arn:aws:iam::{MEMBER}:role/somebody"},
    ],
    ids=str,
)
def test_nobody_and_nothing_else_gets_in(hub: Stack, changes: dict[str, str | None]) -> None:
    """Another organization, another source, another kind of event, a call of PutEvents, another role."""
    assert not lets_in(hub, changes)
