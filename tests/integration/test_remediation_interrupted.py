"""A function that dies leaves nothing half done: the next delivery ends as the first would have.

Every write of a scenario, to IAM and to the ledger, is once the last thing that the function did before it died. (To
die before a write is to die after the one before it.)
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import boto3
import msgspec
import pytest
from msgspec.structs import replace

from bedrock_remediator.aws.ledger import Ledger
from bedrock_remediator.core.arn import Principal
from bedrock_remediator.core.grant import Grant, State
from bedrock_remediator.settings import Strategy
from tests.builders.grants import MODELS
from tests.builders.remediation import World, nova, wide

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_iam import IAMClient

READS = ("Get", "List", "Query", "BatchGet", "Simulate")
MOST_WRITES = 40


class Death(BaseException):
    """The function's environment is gone."""


class Deaths:
    """Kills the function after a number of writes."""

    def __init__(self, *clients: Any) -> None:
        self.left = MOST_WRITES
        for client in clients:
            client.meta.events.register("after-call", self._write)

    def _write(self, model: Any, **_: Any) -> None:
        if model.name.startswith(READS):
            return
        self.left -= 1
        if self.left == 0:
            raise Death

    @contextmanager
    def after(self, writes: int) -> Iterator[None]:
        """Die after that many writes inside."""
        self.left = writes
        try:
            yield
        finally:
            self.left = MOST_WRITES


@pytest.fixture
def iam(aws: None) -> "IAMClient":
    """IAM, empty."""
    return boto3.client("iam")


@pytest.fixture
def world(iam: "IAMClient", ledger: Ledger) -> World:
    """A world in mode auto."""
    return World(iam, ledger)


@pytest.fixture
def deaths(iam: "IAMClient", dynamodb: "DynamoDBClient") -> Deaths:
    """Deaths after writes to IAM and to the ledger."""
    return Deaths(iam, dynamodb)


Scenario = Callable[[World, Principal], Grant]
"""Prepares a principal and its rows; the row whose change is delivered."""


def first_grant(world: World, principal: Principal) -> Grant:
    """The principal's first grant."""
    return world.approved(principal)


def second_grant(world: World, principal: Principal) -> Grant:
    """A grant beside another."""
    world.grant(principal, nova(1))
    return world.approved(principal)


def more_than_one_policy_holds(world: World, principal: Principal) -> Grant:
    """A grant that makes a second managed policy necessary."""
    world.grant(principal, wide(1))
    return world.approved(principal, wide(2))


def useless_grant(world: World, principal: Principal) -> Grant:
    """A grant beside another, which an SCP makes useless."""
    row = second_grant(world, principal)
    denied = {"decision": "explicitDeny", "organizations": False}
    world.simulator.overrule = lambda _action, resource: denied if resource == MODELS[1] else None
    return row


def revoked(world: World, row: Grant) -> Grant:
    """The row in revoking."""
    revoking = row.moved(State.REVOKING, at=world.clock.now(), by="alice", reason="not needed")
    world.ledger.move(row, revoking)
    return revoking


def first_of_two_revoked(world: World, principal: Principal) -> Grant:
    """A revocation that leaves another grant."""
    row = world.grant(principal)
    world.grant(principal, nova(1))
    return revoked(world, row)


def last_revoked(world: World, principal: Principal) -> Grant:
    """A revocation that leaves none."""
    first = world.grant(principal, nova(1))
    world.grant(principal)
    world.revoke(first)
    return revoked(world, world.stored(world.row(principal)))


def prepared(world: World, principal: Principal, scenario: Scenario) -> Grant:
    """The row of a scenario; the principal has a policy that grants the model, for the sake of in-place."""
    base = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Action": ["bedrock:InvokeModel", "bedrock:InvokeModelWithResponseStream"],
                "Resource": [MODELS[0], *(nova(number).models[0] for number in range(3))],
            }
        ],
    }
    made = world.iam.create_policy(PolicyName=f"app-{principal.name}", PolicyDocument=json.dumps(base))
    world.iam.attach_role_policy(RoleName=principal.name, PolicyArn=made["Policy"]["Arn"])
    return scenario(world, principal)


def ending(world: World, principal: Principal, row: Grant) -> str:
    """All that is left in the end, without the principal's name and the times.

    How many versions a policy of our own has is not part of it: the next one is written over them.
    """
    stored = world.stored(row)
    versions = {}
    for policy in world.iam.list_policies(Scope="Local")["Policies"]:
        if principal.name in policy["PolicyName"]:
            found = world.iam.list_policy_versions(PolicyArn=policy["Arn"])["Versions"]
            theirs = policy["PolicyName"].startswith("app-")
            versions[policy["PolicyName"]] = (policy["AttachmentCount"], len(found) if theirs else None)
    left = {
        "state": stored.state,
        "version": stored.version,
        "reason_code": stored.reason_code,
        "verification": stored.verification,
        "written": stored.written,
        "policies": world.policies(principal),
        "versions": versions,
    }
    return json.dumps(msgspec.to_builtins(left), sort_keys=True, indent=1).replace(principal.name, "NAME")


ANYWHERE = [first_grant, second_grant, useless_grant, first_of_two_revoked, last_revoked]


@pytest.mark.parametrize(
    ("scenario", "strategy"),
    [
        *((scenario, strategy) for scenario in ANYWHERE for strategy in Strategy),
        (more_than_one_policy_holds, Strategy.MANAGED),
    ],
)
def test_a_death_after_any_write_changes_no_ending(
    world: World, deaths: Deaths, scenario: Scenario, strategy: Strategy
) -> None:
    """Whatever was the last write, the next delivery ends as one that was never interrupted."""
    world.settings = replace(world.settings, strategy=strategy)
    principal = world.role("app-0")
    row = prepared(world, principal, scenario)
    with deaths.after(MOST_WRITES):
        world.remediate(row)
        writes = MOST_WRITES - deaths.left
    expected = ending(world, principal, row)
    assert writes > 1
    for dies_after in range(1, writes + 1):
        principal = world.role(f"app-{dies_after}")
        world.simulator.overrule = lambda _action, _resource: None
        row = prepared(world, principal, scenario)
        with deaths.after(dies_after), pytest.raises(Death):
            world.remediate(row)
        world.remediate(row)
        assert ending(world, principal, row) == expected, f"after {dies_after} of {writes} writes"
