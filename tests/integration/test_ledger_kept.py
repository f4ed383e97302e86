"""A grant that stays in force as a row of its own while its row asks for something else; and upkeep's own items."""

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from bedrock_remediator.aws.ledger.items import grant_item
from bedrock_remediator.aws.ledger.write import ConflictError, Ledger, UpkeepLedger
from bedrock_remediator.core.grant import Grant, IllegalTransitionError, Remark, State, Written, kept_copy, kept_key
from tests.builders.clocks import StoppedClock
from tests.builders.grants import NOON, pending_grant

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

WRITTEN = Written(strategy="managed", policies=("arn:aws:iam::123456789012:policy/x",))


@pytest.fixture
def active(dynamodb: "DynamoDBClient") -> Grant:
    """A grant in force, in the ledger."""
    row = pending_grant(
        state=State.ACTIVE, version=3, written=WRITTEN, expires_at=NOON + timedelta(days=1), approval="signature"
    )
    dynamodb.put_item(TableName="ledger", Item=grant_item(row))
    return row


def asking(row: Grant, to: State = State.PENDING) -> Grant:
    """The row as it asks for something else, with nothing of its own in force."""
    return replace(row.moved(to, at=NOON, by="upkeep", reason="more models"), written=None, expires_at=None)


class TestKeeping:
    """One transaction, two rows."""

    @pytest.mark.parametrize("to", [State.PENDING, State.APPROVED])
    def test_what_stood_stays_as_a_row_of_its_own(self, ledger: Ledger, active: Grant, to: State) -> None:
        """Active, with its own end, approval and what was written; the row itself waits."""
        ledger.keep(active, asking(active, to))
        kept = ledger.grant(active.pk, kept_key(active.sk))
        assert kept == kept_copy(active)
        assert ledger.grant(*active.key) == asking(active, to)
        assert {row.sk: row.state for row in ledger.grants(active.pk)} == {active.sk: to, f"kept#{active.sk}": "active"}
        assert kept is not None
        assert (kept.kept, kept.kept_for, kept.written) == (True, active.sk, WRITTEN)

    def test_the_copy_expires_on_its_own(self, ledger: Ledger, active: Grant) -> None:
        """The index has it by its own end."""
        ledger.keep(active, asking(active))
        assert [entry.sk for entry in ledger.due(State.ACTIVE, NOON + timedelta(days=1))] == [kept_key(active.sk)]

    def test_a_remark_that_was_made_meanwhile_stays(self, ledger: Ledger, active: Grant) -> None:
        """Only what changes is written."""
        ledger.update(active, replace(active, blocked_by="scp"))
        ledger.keep(active, asking(active))
        row = ledger.grant(*active.key)
        assert row
        assert row.blocked_by == "scp"

    def test_a_row_that_moved_meanwhile_voids_both(self, ledger: Ledger, active: Grant) -> None:
        """Nothing is kept for it."""
        revoking = active.moved(State.REVOKING, at=NOON, by="alice", reason="enough")
        ledger.move(active, revoking)
        with pytest.raises(ConflictError):
            ledger.keep(active, asking(active))
        assert ledger.grants(active.pk) == [revoking]

    def test_one_copy_at_a_time(self, ledger: Ledger, active: Grant, dynamodb: "DynamoDBClient") -> None:
        """What is still kept is not overwritten; what was revoked is."""
        kept = replace(kept_copy(active), version=1)
        dynamodb.put_item(TableName="ledger", Item=grant_item(kept))
        with pytest.raises(ConflictError) as conflict:
            ledger.keep(active, asking(active))
        assert conflict.value.key == kept.key
        assert ledger.grant(*active.key) == active
        dynamodb.put_item(TableName="ledger", Item=grant_item(replace(kept, state=State.REVOKED)))
        ledger.keep(active, asking(active))
        assert ledger.grant(*kept.key) == kept_copy(active)

    def test_only_a_step_of_the_same_row_is_taken(self, ledger: Ledger, active: Grant) -> None:
        """And of a kept grant nothing else is kept."""
        with pytest.raises(IllegalTransitionError):
            ledger.keep(active, replace(asking(active), state=State.LAPSED))
        with pytest.raises(ValueError, match="one version"):
            ledger.keep(active, replace(asking(active), version=9))
        kept = kept_copy(active)
        with pytest.raises(ValueError, match="nothing else is kept"):
            ledger.keep(kept, asking(kept))

    def test_a_remark_is_not_kept(self, active: Grant) -> None:
        """It was about the row."""
        remark = Remark(version=3, at=NOON, code="policy_drifted", reason="It is gone.")
        assert kept_copy(replace(active, remark=remark, blocked_by="scp")) == kept_copy(active)


class TestOwnItems:
    """What upkeep keeps for itself."""

    @pytest.fixture
    def ledger(self, dynamodb: "DynamoDBClient", clock: StoppedClock) -> UpkeepLedger:
        """The ledger, as upkeep uses it."""
        return UpkeepLedger(dynamodb, "ledger", clock)

    def test_a_chore_finds_its_place_again(self, ledger: UpkeepLedger) -> None:
        """Each its own; none at first."""
        assert ledger.place("drift") is None
        ledger.put_place("drift", "arn:aws:iam::123456789012:role/m")
        assert ledger.place("drift") == "arn:aws:iam::123456789012:role/m"
        assert ledger.place("orphans") is None

    def test_a_days_digest_is_sent_once(self, ledger: UpkeepLedger, dynamodb: "DynamoDBClient") -> None:
        """Who finds it claimed and not sent cannot know whether it went out; the marker goes by itself."""
        assert ledger.claim_digest("2026-11-20") == "new"
        assert ledger.claim_digest("2026-11-20") == "maybe_sent"
        ledger.digest_sent("2026-11-20")
        assert ledger.claim_digest("2026-11-20") == "sent"
        assert ledger.claim_digest("2026-11-21") == "new"
        items = dynamodb.scan(TableName="ledger")["Items"]
        assert {item["expires"]["N"] for item in items} == {"1795392000", "1795478400"}
        assert not any("state" in item for item in items)
