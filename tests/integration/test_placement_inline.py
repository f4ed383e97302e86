"""The strategy `inline`, on moto's IAM (which has no quota: the service must keep to it by itself)."""

import json
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from msgspec.structs import replace

from bedrock_remediator.aws.errors import RetryableError
from bedrock_remediator.aws.ledger.write import Ledger
from bedrock_remediator.core.grant import State
from bedrock_remediator.core.waiting import SETTLING
from bedrock_remediator.flows.placement.inline import QUOTA, size
from bedrock_remediator.flows.remediation.remediation import RevocationError
from bedrock_remediator.settings import Strategy
from tests.builders.remediation import SETTINGS, World, nova

if TYPE_CHECKING:
    from mypy_boto3_iam import IAMClient

NAME = "bedrock-access-remediator"


def filler(length: int) -> str:
    """A policy of so many characters; the white space in it does not count."""
    document = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": ""}]}
    document["Statement"][0]["Resource"] = "arn:aws:s3:::" + "x" * (length - size(document) - 13)  # type: ignore[index]
    assert size(document) == length
    return json.dumps(document, indent=4)


@pytest.fixture
def iam(aws: None) -> "IAMClient":
    """IAM, empty."""
    return boto3.client("iam")


@pytest.fixture
def world(iam: "IAMClient", ledger: Ledger) -> World:
    """A world in mode auto whose stack writes inline policies."""
    return World(iam, ledger, replace(SETTINGS, strategy=Strategy.INLINE))


def test_grants_go_into_one_inline_policy(world: World) -> None:
    """Of a role or of a user."""
    for principal in (world.role(), world.user()):
        rows = [world.grant(principal, nova(number)) for number in range(2)]
        assert [row.state for row in rows] == [State.ACTIVE] * 2
        assert rows[0].written
        assert (rows[0].written.strategy, rows[0].written.policies) == ("inline", (NAME,))
        assert list(world.policies(principal)) == [NAME]
        assert all(world.allows(principal, row) for row in rows)


def test_the_last_revocation_removes_the_policy(world: World, iam: "IAMClient") -> None:
    """And leaves the principal's own."""
    for principal in (world.role(), world.user()):
        rows = [world.grant(principal, nova(number)) for number in range(2)]
        world.revoke(rows[0])
        assert world.allows(principal, rows[1])
        assert not world.allows(principal, rows[0])
        world.revoke(rows[1])
        assert world.policies(principal) == {}


def test_a_policy_gone_by_hand_is_looked_for_again(world: World, iam: "IAMClient") -> None:
    """IAM may not know yet what was written a moment ago; when it has settled, what is gone is gone."""
    role = world.role()
    row = world.grant(role)
    iam.delete_role_policy(RoleName=role.name, PolicyName=NAME)
    with pytest.raises(RetryableError, match="knows nothing yet"):
        world.revoke(row)
    world.clock.sleep(SETTLING.total_seconds())
    done = world.remediate(world.stored(row))
    assert done
    assert done.state is State.REVOKED


def test_the_same_document_is_not_written_again(world: World, iam: "IAMClient") -> None:
    """A repair that finds nothing to repair writes nothing."""
    active = world.grant(world.role())
    again = active.moved(State.APPROVED, at=world.clock.now(), by="upkeep", reason="drift")
    world.ledger.move(active, again)
    called: list[str] = []
    iam.meta.events.register("before-call.iam", lambda model, **_: called.append(model.name))
    assert world.remediate(again)
    assert "PutRolePolicy" not in called


@pytest.mark.parametrize("room", [900, 1200])
def test_the_quota_of_all_inline_policies_is_kept(world: World, iam: "IAMClient", room: int) -> None:
    """What others have written counts: the document is written as briefly as the room needs, or not at all."""
    user = world.user()
    iam.put_user_policy(UserName=user.name, PolicyName="base", PolicyDocument=filler(QUOTA["user"] - room))
    row = world.grant(user)
    total = sum(size(document) for document in world.policies(user).values())
    assert total <= QUOTA["user"]
    if row.state is State.FAILED:
        assert row.reason_code == "inline_quota_exceeded"
        assert str(room) in row.reason
        assert list(world.policies(user)) == ["base"]
    else:
        assert world.allows(user, row)
    assert (row.state is State.FAILED) is (room == 900)


def test_one_grant_too_many_fails_and_leaves_the_others(world: World) -> None:
    """A user has 2,048 characters; the grants that stand go on standing."""
    user = world.user()
    rows = [world.grant(user, nova(number)) for number in range(8)]
    states = [row.state for row in rows]
    assert State.ACTIVE in states
    assert states[-1] is State.FAILED
    assert {row.reason_code for row in rows if row.state is State.FAILED} == {"inline_quota_exceeded"}
    assert all(world.allows(user, row) for row in rows if row.state is State.ACTIVE)
    assert sum(size(document) for document in world.policies(user).values()) <= QUOTA["user"]


def test_a_foreign_policy_of_our_name_is_left_as_it_is(world: World, iam: "IAMClient") -> None:
    """It is told by its grammar."""
    role = world.role()
    iam.put_role_policy(RoleName=role.name, PolicyName=NAME, PolicyDocument=filler(200))
    before = world.policies(role)
    row = world.grant(role)
    assert (row.state, row.reason_code) == (State.FAILED, "policy_not_ours")
    assert world.policies(role) == before


def test_an_edited_policy_of_ours_is_not_called_revoked(world: World, iam: "IAMClient") -> None:
    """It may still grant what is to be taken away."""
    role = world.role()
    row = world.grant(role)
    iam.put_role_policy(RoleName=role.name, PolicyName=NAME, PolicyDocument=filler(200))
    with pytest.raises(RevocationError):
        world.revoke(row)
    assert world.stored(row).state is State.REVOKING


def test_a_principal_that_is_gone_needs_nothing_taken(world: World, iam: "IAMClient") -> None:
    """Its inline policies went with it."""
    role = world.role()
    row = world.grant(role)
    iam.delete_role_policy(RoleName=role.name, PolicyName=NAME)
    iam.delete_role(RoleName=role.name)
    done = world.revoke(row)
    assert done
    assert done.state is State.REVOKED


def test_a_grant_that_does_not_help_is_taken_back(world: World) -> None:
    """As under every strategy."""
    role = world.role()
    world.block()
    assert world.grant(role).state is State.ROLLED_BACK
    assert world.policies(role) == {}


def test_an_interrupted_grant_that_finds_a_foreign_policy_ends(world: World, iam: "IAMClient") -> None:
    """A first delivery died before it wrote anything; somebody else has taken the name since."""
    role = world.role()
    row = world.approved(role)

    def death(**_: Any) -> None:
        raise KeyboardInterrupt

    iam.meta.events.register("before-call.iam.PutRolePolicy", death)
    with pytest.raises(KeyboardInterrupt):
        world.remediate(row)
    iam.meta.events.unregister("before-call.iam.PutRolePolicy", death)
    iam.put_role_policy(RoleName=role.name, PolicyName=NAME, PolicyDocument=filler(200))
    done = world.remediate(row)
    assert done
    assert (done.state, done.reason_code) == (State.FAILED, "policy_not_ours")
