"""Rows of the ledger change: against DynamoDB as moto plays it."""

from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec
import pytest

from bedrock_remediator.aws.ledger.write import ConflictError, Ledger
from bedrock_remediator.core.grant import Grant, IllegalTransitionError, State
from tests.builders.grants import NOON, first_seen, pending_grant

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

LATER = NOON + timedelta(hours=1)


def stored(ledger: Ledger, grant: Grant) -> Grant:
    """The row as it is now."""
    found = ledger.grant(*grant.key)
    assert found
    return found


class TestMoving:
    """A row moves from state to state."""

    def test_takes_the_next_step(self, ledger: Ledger) -> None:
        """A row moves to its next state with whatever else changes."""
        row = pending_grant()
        ledger.open(row, first_seen(row))
        after = row.moved(State.APPROVED, at=LATER, by="alice", reason="approved", expires_at=LATER)
        ledger.move(row, after)
        assert stored(ledger, row) == after

    def test_is_done_by_one(self, ledger: Ledger) -> None:
        """Of two who decide about a request the second is told, and the first decision stands."""
        row = pending_grant()
        ledger.open(row, first_seen(row))
        ledger.move(row, row.moved(State.APPROVED, at=LATER, by="alice", reason="approved"))
        with pytest.raises(ConflictError) as conflict:
            ledger.move(row, row.moved(State.REJECTED, at=LATER, by="bob", reason="rejected"))
        assert conflict.value.key == row.key
        assert stored(ledger, row).state is State.APPROVED

    def test_sent_again_counts_as_done(self, ledger: Ledger) -> None:
        """A step whose answer was lost is no conflict when it is sent again: the row is just as the writer wants it."""
        row = pending_grant()
        ledger.open(row, first_seen(row))
        after = row.moved(State.APPROVED, at=LATER, by="alice", reason="approved")
        ledger.move(row, after)
        ledger.move(row, after)
        assert stored(ledger, row) == after

    def test_of_a_row_that_is_gone_is_a_conflict(self, ledger: Ledger) -> None:
        """A move never makes a row."""
        row = pending_grant()
        with pytest.raises(ConflictError):
            ledger.move(row, row.moved(State.APPROVED, at=LATER, by="alice", reason="approved"))
        assert ledger.grant(*row.key) is None

    def test_keeps_a_remark_made_meanwhile(self, ledger: Ledger) -> None:
        """What neither reader changed nor knew of stays as it is."""
        row = pending_grant()
        ledger.open(row, first_seen(row))
        ledger.update(row, msgspec.structs.replace(row, blocked_by="an SCP"))
        ledger.move(row, row.moved(State.APPROVED, at=LATER, by="alice", reason="approved"))
        assert stored(ledger, row).blocked_by == "an SCP"

    def test_needs_an_arrow(self, ledger: Ledger) -> None:
        """A step that the state machine does not have is refused before anything is sent."""
        row = pending_grant(state=State.REVOKED)
        with pytest.raises(IllegalTransitionError):
            ledger.move(row, msgspec.structs.replace(row, state=State.ACTIVE, version=2))

    def test_moves_the_version_by_one(self, ledger: Ledger) -> None:
        """A step that skips a version, or keeps it, is a mistake of the writer."""
        row = pending_grant()
        after = row.moved(State.APPROVED, at=LATER, by="alice", reason="approved")
        with pytest.raises(ValueError, match="one version"):
            ledger.move(row, msgspec.structs.replace(after, version=3))

    def test_sets_when_upkeep_looks_at_it(self, ledger: Ledger, dynamodb: "DynamoDBClient") -> None:
        """The row is in the index `due` under its state, at the time when something can become of it or it ended."""
        row = pending_grant()
        ledger.open(row, first_seen(row))
        assert self.due(dynamodb) == {"pending": "2026-11-20T12:00:00Z"}
        approved = row.moved(State.APPROVED, at=LATER, by="alice", reason="approved")
        ledger.move(row, approved)
        assert self.due(dynamodb) == {"approved": "2026-11-20T13:15:00Z"}
        ledger.move(approved, approved.moved(State.LAPSED, at=LATER, by="remediate", reason="stale"))
        assert self.due(dynamodb) == {"lapsed": "2026-11-20T13:00:00Z"}

    @staticmethod
    def due(client: "DynamoDBClient") -> dict[str, str]:
        """State -> due_at of what the index holds."""
        found = client.scan(TableName="ledger", IndexName="due")["Items"]
        return {item["state"]["S"]: item["due_at"]["S"] for item in found}


class TestRemarks:
    """Something is noted on a row that stays where it is."""

    def test_leave_state_and_version(self, ledger: Ledger) -> None:
        """A remark changes what it is about and nothing else."""
        row = pending_grant()
        ledger.open(row, first_seen(row))
        after = msgspec.structs.replace(row, blocked_by="an SCP", cool_down_until=LATER, attempt=1)
        ledger.update(row, after)
        assert stored(ledger, row) == after

    def test_can_be_taken_back(self, ledger: Ledger) -> None:
        """A field that goes back to its default is removed."""
        row = pending_grant(blocked_by="an SCP")
        ledger.open(row, first_seen(row))
        ledger.update(row, msgspec.structs.replace(row, blocked_by=None))
        assert stored(ledger, row).blocked_by is None

    def test_do_not_overwrite_each_other(self, ledger: Ledger) -> None:
        """Of two different remarks about the same thing the second writer is told."""
        row = pending_grant()
        ledger.open(row, first_seen(row))
        ledger.update(row, msgspec.structs.replace(row, blocked_by="an SCP"))
        with pytest.raises(ConflictError):
            ledger.update(row, msgspec.structs.replace(row, blocked_by="the boundary"))
        assert stored(ledger, row).blocked_by == "an SCP"

    def test_about_different_things_both_stay(self, ledger: Ledger) -> None:
        """Two writers who read the same row and note different things both succeed."""
        row = pending_grant()
        ledger.open(row, first_seen(row))
        ledger.update(row, msgspec.structs.replace(row, blocked_by="an SCP"))
        ledger.update(row, msgspec.structs.replace(row, attempt=1))
        assert (stored(ledger, row).blocked_by, stored(ledger, row).attempt) == ("an SCP", 1)

    def test_come_too_late_for_a_row_that_moved(self, ledger: Ledger) -> None:
        """A remark is about the state that was read."""
        row = pending_grant()
        ledger.open(row, first_seen(row))
        ledger.move(row, row.moved(State.REJECTED, at=LATER, by="bob", reason="rejected"))
        with pytest.raises(ConflictError):
            ledger.update(row, msgspec.structs.replace(row, blocked_by="an SCP"))

    def test_that_say_nothing_are_not_sent(self, ledger: Ledger) -> None:
        """No change, no write: not even a row is needed."""
        ledger.update(pending_grant(), pending_grant())

    def test_cannot_move_the_row(self, ledger: Ledger) -> None:
        """State and version change by a move only."""
        row = pending_grant()
        with pytest.raises(ValueError, match="remark"):
            ledger.update(row, row.moved(State.APPROVED, at=LATER, by="alice", reason="approved"))
