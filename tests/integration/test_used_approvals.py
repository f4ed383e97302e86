"""An approval is used once: what remediate remembers, and what it refuses, on moto."""

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError
from msgspec.structs import replace

from bedrock_remediator.aws.errors import RetryableError
from bedrock_remediator.aws.ledger.write import ConflictError, UpkeepLedger
from bedrock_remediator.core.approval import Use
from bedrock_remediator.core.arn import Principal
from bedrock_remediator.core.grant import Grant, Outcome, State, kept_key
from tests.builders.clocks import StoppedClock
from tests.builders.remediation import nova
from tests.builders.upkeep import Upkept

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


@pytest.fixture
def upkept(dynamodb: "DynamoDBClient", clock: StoppedClock) -> Upkept:
    """A world with nothing in it."""
    return Upkept(boto3.client("iam"), UpkeepLedger(dynamodb, "ledger", clock))


@pytest.fixture
def role(upkept: Upkept) -> Principal:
    """A role without policies."""
    return upkept.world.role()


def remembered(upkept: Upkept, row: Grant) -> Use | None:
    """What remediate remembers of the row's key."""
    return upkept.world.uses.last(row)


def put_back(upkept: Upkept, row: Grant, **changes: Any) -> Grant | None:
    """Write a row as it was, above the one that there is, and have remediate look at it."""
    now = upkept.ledger.grant(*row.key)
    fields = {
        "state": State.APPROVED,
        "version": (now.version if now else row.version) + 1,
        "updated_at": upkept.world.clock.now(),
        **changes,
    }
    again = replace(row, **fields)
    upkept.put(again)
    return upkept.world.remediate(again)


def allowed(upkept: Upkept, row: Grant) -> bool:
    """Whether the principal may do what the row says."""
    assert row.principal
    return upkept.world.allows(Principal.parse(row.principal), row)


@pytest.mark.parametrize("hours", [0, 23, 25])
def test_an_approval_counts_until_its_grant_is_revoked(upkept: Upkept, role: Principal, hours: int) -> None:
    """Put back then, it fails, and says why."""
    row = upkept.by_alice(role)
    assert remembered(upkept, row) == Use(
        decided_at=row.decided_at or upkept.world.clock.now(),
        decided_version=row.decided_version or 0,
        outcome=State.ACTIVE,
    )
    assert upkept.world.revoke(row)
    upkept.world.clock.time += timedelta(hours=hours)
    done = put_back(upkept, row, written=None)
    assert done
    assert (done.state, done.reason_code) == (
        (State.LAPSED, "stale_approval") if hours > 24 else (State.FAILED, "approval_used")
    )
    assert not allowed(upkept, row)


def test_a_standing_grant_is_repaired_however_old_its_approval_is(upkept: Upkept, role: Principal) -> None:
    """Its approval was taken up in time, and its grant has not ended."""
    row = upkept.by_alice(role)
    upkept.delete()
    assert upkept.upkeep(after=timedelta(days=200)) == {"repaired": 1}
    upkept.carry()
    assert upkept.now(row).state is State.ACTIVE
    assert allowed(upkept, row)


def test_what_was_never_taken_up_is_good_for_a_day_from_its_decision(upkept: Upkept, role: Principal) -> None:
    """By the time that is signed; the row's own may be anything."""
    row = upkept.by_alice(role)
    boto3.client("dynamodb").delete_item(TableName="used", Key={"pk": {"S": row.pk}, "sk": {"S": row.sk}})
    upkept.delete()
    upkept.world.clock.time += timedelta(hours=25)
    done = put_back(upkept, row, written=None)
    assert done
    assert (done.state, done.reason_code) == (State.LAPSED, "stale_approval")


@pytest.mark.parametrize(
    ("code", "change"),
    [
        ("paused", lambda it: it.set(paused=True)),
        ("principal_not_grantable", lambda it: it.set(grantable_principals=())),
    ],
)
def test_an_approval_that_was_refused_is_used(upkept: Upkept, role: Principal, code: str, change: Any) -> None:
    """Nobody can keep it for later, when a person has said no meanwhile."""
    world = upkept.world
    settings = world.settings
    change(upkept)
    refused = upkept.by_alice(role)
    assert (refused.reason_code, refused.state in (State.PENDING, State.FAILED)) == (code, True)
    world.settings = settings
    known = remembered(upkept, refused)
    assert known
    assert known.outcome is refused.state
    done = put_back(upkept, refused)
    assert done
    assert done.reason_code == "approval_used"
    assert not allowed(upkept, refused)


def test_after_an_extension_the_approval_before_it_is_used(upkept: Upkept, role: Principal) -> None:
    """So nobody gets the longer end back that a person has shortened."""
    first = upkept.by_alice(role, timedelta(days=300))
    upkept.world.clock.time += timedelta(hours=1)
    second = upkept.extend(first, timedelta(days=1))
    assert second.expires_at == second.decided_at + timedelta(days=1)  # type: ignore[operator]
    done = put_back(upkept, first)
    assert done
    assert (done.state, done.reason_code) == (State.FAILED, "approval_used")
    assert not allowed(upkept, first)


def test_a_row_that_was_lost_begins_anew(upkept: Upkept, role: Principal) -> None:
    """Its versions start again, and a later decision counts all the same; the earlier one does not."""
    row = upkept.by_alice(role)
    row = upkept.extend(row, timedelta(days=9))
    upkept.world.revoke(row)
    boto3.client("dynamodb").delete_item(TableName="ledger", Key={"pk": {"S": row.pk}, "sk": {"S": row.sk}})
    upkept.world.clock.time += timedelta(minutes=1)
    pending = replace(
        row,
        state=State.PENDING,
        version=1,
        history=(),
        decided_at=None,
        decided_version=None,
        approval=None,
        written=None,
    )
    upkept.put(pending)
    anew = upkept.approve(pending)
    assert (anew.state, anew.version) == (State.ACTIVE, 4)
    assert allowed(upkept, anew)
    done = put_back(upkept, row, version=row.version + 9)
    assert done
    assert done.reason_code == "approval_used"


def test_a_forged_approval_of_tomorrow_keeps_nobody_out(upkept: Upkept, role: Principal) -> None:
    """What cannot be verified is not remembered."""
    row = upkept.by_alice(role)
    upkept.world.revoke(row)
    tomorrow = upkept.world.clock.now() + timedelta(days=1)
    done = put_back(upkept, row, decided_at=tomorrow, decided_version=1, written=None)
    assert done
    assert done.reason_code == "approval_unverified"
    upkept.world.clock.time += timedelta(minutes=1)
    pending = replace(upkept.now(row), state=State.PENDING, decision=Outcome.ASK)
    upkept.put(pending)
    assert upkept.approve(pending).state is State.ACTIVE


def test_what_failed_in_passing_is_tried_again_with_the_same_approval(upkept: Upkept, role: Principal) -> None:
    """For a day, as upkeep does; then it is too old."""
    world = upkept.world
    row = upkept.by_alice(role)
    upkept.delete()
    world.clock.time += timedelta(days=30)

    def refuse(**_: Any) -> None:
        raise ClientError({"Error": {"Code": "LimitExceeded", "Message": "full"}}, "CreatePolicy")

    upkept.iam.meta.events.register("before-parameter-build.iam.CreatePolicy", refuse)
    failed = put_back(upkept, row)
    assert failed
    assert (failed.state, failed.reason_code) == (State.FAILED, "limit_exceeded")
    world.clock.time += timedelta(hours=5)
    assert put_back(upkept, failed).state is State.FAILED  # type: ignore[union-attr]
    upkept.iam.meta.events.unregister("before-parameter-build.iam.CreatePolicy", refuse)
    world.clock.time += timedelta(hours=20)
    late = put_back(upkept, upkept.now(row))
    assert late
    assert late.reason_code == "stale_approval"


def test_what_failed_for_good_is_used(upkept: Upkept, role: Principal) -> None:
    """It was tried, and a person must approve again."""
    row = upkept.by_alice(role)
    free = upkept.world.simulator.overrule
    upkept.world.block()
    upkept.delete()
    done = put_back(upkept, row, written=None, simulated_at=upkept.world.clock.now())
    assert done
    assert done.state is State.ROLLED_BACK
    upkept.world.simulator.overrule = free
    again = put_back(upkept, row, written=None)
    assert again
    assert again.reason_code == "approval_used"
    assert not allowed(upkept, row)


def test_a_grant_that_is_kept_uses_the_approval_of_its_row(upkept: Upkept, role: Principal) -> None:
    """It stands with it, and when it is taken back it is no good for the row either."""
    row = upkept.by_alice(role)
    upkept.route(4)
    assert upkept.upkeep() == {"asked": 1}
    kept = upkept.kept(row)
    assert kept
    known = remembered(upkept, kept)
    assert known
    assert (known, known.outcome) == (remembered(upkept, row), State.ACTIVE)
    upkept.world.revoke(kept)
    known = remembered(upkept, row)
    assert known
    assert known.outcome is State.REVOKED
    done = put_back(upkept, row)
    assert done
    assert done.reason_code == "approval_used"
    # What is kept stands as long as the policy shows it, and is never written anew.
    done = put_back(upkept, row, sk=kept_key(row.sk), version=9)
    assert done
    assert (done.state, done.reason_code) == (State.FAILED, "row_inconsistent")


def test_what_stands_in_place_of_a_kept_grant_outlives_it(upkept: Upkept, role: Principal) -> None:
    """Letting the old one go does not use up the new one's approval."""
    row = upkept.by_alice(role)
    upkept.route(4)
    upkept.upkeep()
    upkept.world.clock.time += timedelta(minutes=1)
    anew = upkept.approve(upkept.now(row))
    kept = upkept.kept(row)
    assert kept
    assert (anew.state, kept.state) == (State.ACTIVE, State.REVOKED)
    known = remembered(upkept, row)
    assert known
    assert (known.outcome, known.decided_version) == (State.ACTIVE, anew.decided_version)


def test_an_active_row_put_back_is_no_part_of_another_grant(upkept: Upkept, role: Principal) -> None:
    """Its signature is genuine, and used: the principal's policy is compiled without it."""
    row = upkept.by_alice(role)
    upkept.world.revoke(row)
    upkept.put(replace(row, version=upkept.now(row).version + 1))
    other = upkept.world.grant(role, nova(3))
    assert other.state is State.ACTIVE
    assert allowed(upkept, other)
    assert not allowed(upkept, row)


def test_two_at_once_take_an_approval_up_once(upkept: Upkept, role: Principal) -> None:
    """What is remembered must be as it was read, or neither the row moves nor the memory."""
    row = upkept.by_alice(role)
    known = remembered(upkept, row)
    assert known
    revoking = row.moved(State.REVOKING, at=upkept.world.clock.now(), by="test", reason="test")
    stale = replace(known, outcome=State.APPLYING)
    write = upkept.world.uses.put(row, replace(known, outcome=State.REVOKED), stale)
    with pytest.raises(ConflictError):
        upkept.ledger.move(row, revoking, write)
    assert (upkept.now(row), remembered(upkept, row)) == (row, known)
    with pytest.raises(ConflictError):
        upkept.ledger.move(row, revoking, upkept.world.uses.put(row, known, None))
    upkept.ledger.move(row, revoking, upkept.world.uses.put(row, replace(known, outcome=State.REVOKED), known))
    assert upkept.now(row).state is State.REVOKING


def test_a_memory_that_cannot_be_read_is_no_reason_to_grant(upkept: Upkept, role: Principal) -> None:
    """The message comes again."""
    row = upkept.by_alice(role)
    upkept.delete()

    def busy(**_: Any) -> None:
        raise ClientError({"Error": {"Code": "ThrottlingException", "Message": "slow down"}}, "GetItem")

    client = upkept.world.uses._client  # the one that reads the memory
    client.meta.events.register("before-parameter-build.dynamodb.GetItem", busy)
    with pytest.raises(RetryableError):
        put_back(upkept, row)
    assert not allowed(upkept, row)
