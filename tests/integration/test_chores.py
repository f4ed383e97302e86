"""Upkeep's chores about time, on a ledger in moto: what is due is done once, and a second run finds nothing to do."""

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from bedrock_remediator.aws.errors import RetryableError
from bedrock_remediator.aws.ledger.items import grant_item
from bedrock_remediator.aws.ledger.write import Ledger
from bedrock_remediator.core.grant import Event, Grant, State, Written, kept_copy
from bedrock_remediator.core.waiting import MOST_TRIES
from bedrock_remediator.flows.upkeep.chores.contract import Chore, Tally
from bedrock_remediator.flows.upkeep.chores.deadlines import Expiry, Failures, Requests, Stuck
from tests.builders.clocks import StoppedClock
from tests.builders.grants import NOON, ROLE, pending_grant

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

LASTING = timedelta(hours=72)
HOUR = timedelta(hours=1)
UNDER_WAY = (State.APPROVED, State.APPLYING, State.REVOKING)


class Setup:
    """A ledger, a clock, and rows put there as they are."""

    def __init__(self, ledger: Ledger, clock: StoppedClock, dynamodb: "DynamoDBClient") -> None:
        self.ledger = ledger
        self.clock = clock
        self._dynamodb = dynamodb

    def put(self, **changes: Any) -> Grant:
        """Put a row; without a name of its own, under the one key."""
        first = Event(at=NOON, state=changes.get("state", State.PENDING), by="triage", reason="opened")
        row = pending_grant(**{"history": (first,)} | changes)
        self._dynamodb.put_item(TableName="ledger", Item=grant_item(row))
        return row

    def put_broken(self, state: State, due_at: str) -> None:
        """Put something that is in the index and is no grant's row."""
        item = {"pk": ROLE, "sk": "profile#broken", "state": state.value, "due_at": due_at}
        self._dynamodb.put_item(TableName="ledger", Item={name: {"S": value} for name, value in item.items()})

    def now(self, row: Grant) -> Grant:
        """The row as it is in the ledger."""
        found = self.ledger.grant(*row.key)
        assert found
        return found

    def run(self, chore: Chore, after: timedelta, has_time: Callable[[], bool] = lambda: True) -> Tally:
        """Run a chore so long after noon."""
        self.clock.time = NOON + after
        return chore.run(has_time)


@pytest.fixture
def setup(ledger: Ledger, clock: StoppedClock, dynamodb: "DynamoDBClient") -> Setup:
    """An empty ledger."""
    return Setup(ledger, clock, dynamodb)


class TestExpiry:
    """Grants end."""

    @pytest.fixture
    def chore(self, setup: Setup) -> Expiry:
        """The chore."""
        return Expiry(setup.ledger, setup.clock)

    def test_a_grant_past_its_end_is_revoked(self, setup: Setup, chore: Expiry) -> None:
        """Not before, and once; one without end stays."""
        ending = setup.put(state=State.ACTIVE, expires_at=NOON + HOUR)
        endless = setup.put(state=State.ACTIVE, sk="profile#other")
        assert setup.run(chore, HOUR - timedelta(seconds=1)) == {}
        assert setup.run(chore, HOUR) == {"expired": 1}
        row = setup.now(ending)
        assert (row.state, row.version, row.reason_code) == (State.REVOKING, 2, "expired")
        assert row.history[-1] == Event(at=NOON + HOUR, state=State.REVOKING, by="upkeep", reason=row.reason)
        assert setup.now(endless) == endless
        assert setup.run(chore, HOUR) == {}

    def test_what_is_kept_ends_as_well(self, setup: Setup, chore: Expiry) -> None:
        """It is a grant like any other."""
        kept = kept_copy(pending_grant(state=State.ACTIVE, expires_at=NOON + HOUR))
        setup.put(**{name: getattr(kept, name) for name in ("sk", "state", "expires_at")})
        assert setup.run(chore, HOUR) == {"expired": 1}

    def test_an_entry_that_is_out_of_date_is_passed_by(
        self, setup: Setup, chore: Expiry, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The index lags behind: what counts is the row."""
        row = setup.put(state=State.ACTIVE, expires_at=NOON + HOUR)
        due = list(setup.ledger.due(State.ACTIVE))
        setup.put(state=State.ACTIVE, expires_at=NOON + 2 * HOUR)
        monkeypatch.setattr(setup.ledger, "due", lambda *_, **__: iter(due))
        assert setup.run(chore, HOUR) == {}
        assert setup.now(row).state is State.ACTIVE

    def test_a_row_that_moves_in_the_same_moment_is_left_to_the_other(
        self, setup: Setup, chore: Expiry, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Somebody has revoked it."""
        row = setup.put(state=State.ACTIVE, expires_at=NOON)
        revoking = row.moved(State.REVOKING, at=NOON, by="alice", reason="enough")
        due, read = list(setup.ledger.due(State.ACTIVE)), setup.ledger.rows([row.key])
        setup.ledger.move(row, revoking)
        monkeypatch.setattr(setup.ledger, "due", lambda *_, **__: iter(due))
        monkeypatch.setattr(setup.ledger, "rows", lambda _: read)
        assert setup.run(chore, HOUR) == {"overtaken": 1}
        assert setup.now(row) == revoking

    def test_one_row_that_cannot_be_read_holds_up_no_other(self, setup: Setup, chore: Expiry) -> None:
        """It stands in the log; the others end."""
        setup.put_broken(State.ACTIVE, "2026-11-20T11:00:00Z")
        row = setup.put(state=State.ACTIVE, expires_at=NOON)
        assert setup.run(chore, HOUR) == {"expired": 1}
        assert setup.now(row).state is State.REVOKING

    def test_what_there_is_no_time_for_waits(self, setup: Setup, chore: Expiry) -> None:
        """For the next run, which goes on with it."""
        for number in range(5):
            setup.put(state=State.ACTIVE, sk=f"profile#{number}", expires_at=NOON)
        looks = iter([True, True, True, False])
        assert setup.run(chore, HOUR, lambda: next(looks)) == {"expired": 2}
        assert setup.run(chore, HOUR) == {"expired": 3}

    def test_more_rows_than_one_read_takes(self, setup: Setup, chore: Expiry) -> None:
        """They are read a hundred at a time."""
        for number in range(101):
            setup.put(state=State.ACTIVE, sk=f"profile#{number}", expires_at=NOON)
        assert setup.run(chore, HOUR) == {"expired": 101}


class TestRequests:
    """Requests wait for a person, and not for ever."""

    @pytest.fixture
    def chore(self, setup: Setup) -> Requests:
        """The chore."""
        return Requests(setup.ledger, setup.clock, LASTING)

    def test_the_approvers_are_reminded_once_at_half_time(self, setup: Setup, chore: Requests) -> None:
        """A note on the row, which stays as it is: the stream carries it to notify."""
        request = setup.put()
        assert setup.run(chore, 36 * HOUR - timedelta(seconds=1)) == {}
        assert setup.run(chore, 36 * HOUR) == {"reminded": 1}
        assert setup.now(request) == replace(request, reminded_at=NOON + 36 * HOUR)
        assert setup.run(chore, 36 * HOUR) == {}
        assert setup.run(chore, 71 * HOUR) == {}

    def test_a_request_lapses_at_the_end(self, setup: Setup, chore: Requests) -> None:
        """Its repeats only count for a while then."""
        request = setup.put(reminded_at=NOON + 36 * HOUR)
        assert setup.run(chore, LASTING) == {"lapsed": 1}
        row = setup.now(request)
        assert (row.state, row.version, row.reason_code) == (State.LAPSED, 2, "not_decided")
        assert row.reason == "Nobody decided within 72 hours."
        assert row.cool_down_until == NOON + LASTING + 24 * HOUR
        assert setup.run(chore, LASTING) == {}

    def test_a_request_that_nobody_was_reminded_of_lapses_all_the_same(self, setup: Setup, chore: Requests) -> None:
        """Upkeep may have been away; the row says how long it waits."""
        setup.put()
        assert setup.run(chore, 2 * LASTING) == {"lapsed": 1}

    def test_a_request_that_asks_anew_waits_anew(self, setup: Setup, chore: Requests) -> None:
        """It was reminded of while it waited before."""
        row = setup.put(reminded_at=NOON - HOUR)
        assert setup.run(chore, 36 * HOUR) == {"reminded": 1}
        assert setup.now(row).reminded_at == NOON + 36 * HOUR

    def test_one_hour_is_singular(self, setup: Setup) -> None:
        """Also in the sentence."""
        row = setup.put()
        setup.run(Requests(setup.ledger, setup.clock, HOUR), HOUR)
        assert setup.now(row).reason == "Nobody decided within 1 hour."


class TestStuck:
    """Remediate should have finished it."""

    @pytest.fixture
    def chore(self, setup: Setup) -> Stuck:
        """The chore."""
        return Stuck(setup.ledger, setup.clock)

    @pytest.mark.parametrize("state", UNDER_WAY)
    def test_a_stuck_row_is_driven_again(self, setup: Setup, chore: Stuck, state: State) -> None:
        """A note changes it, so the stream carries it again; once a pause, however often upkeep runs."""
        row = setup.put(state=state)
        assert setup.run(chore, HOUR / 4 - timedelta(seconds=1)) == {}
        assert setup.run(chore, HOUR / 4) == {"redriven": 1}
        assert setup.now(row) == replace(row, attempt=1, driven_at=NOON + HOUR / 4)
        assert setup.run(chore, HOUR / 4) == {}
        assert setup.run(chore, HOUR * 3 / 4) == {"redriven": 1}
        assert setup.now(row).attempt == 2

    def test_it_fails_after_five_attempts(self, setup: Setup, chore: Stuck) -> None:
        """With the reason, and so that a person may approve it again."""
        row = setup.put(state=State.APPROVED)
        done = [setup.run(chore, timedelta(minutes=15 * quarter)) for quarter in range(1, 100)]
        assert sum(tally["redriven"] for tally in done) == MOST_TRIES
        assert sum(tally["given_up"] for tally in done) == 1
        failed = setup.now(row)
        assert (failed.state, failed.version, failed.reason_code) == (State.FAILED, 2, "not_applied")
        assert failed.cool_down_until == failed.updated_at + 24 * HOUR
        assert failed.updated_at - NOON < 24 * HOUR

    @pytest.mark.parametrize("state", UNDER_WAY)
    def test_what_may_stand_in_iam_is_never_given_up(self, setup: Setup, chore: Stuck, state: State) -> None:
        """A row must stand for it until remediate has taken it out: after a while it is tried once a day."""
        row = setup.put(state=state, written=Written(strategy="managed", policies=()))
        attempts = []
        for hours in range(1, 97):
            setup.run(chore, hours * HOUR)
            attempts.append(setup.now(row).attempt)
        assert setup.now(row).state is state
        assert attempts[23] == MOST_TRIES + 1
        assert attempts[-1] == MOST_TRIES + 4

    def test_a_row_that_moved_on_begins_anew(self, setup: Setup, chore: Stuck) -> None:
        """It was driven while it was approved; that it is being applied now is progress."""
        row = setup.put(state=State.APPLYING, attempt=5, driven_at=NOON - HOUR)
        setup.run(chore, HOUR / 4)
        assert setup.now(row).attempt == 1


class TestFailures:
    """Some failures pass."""

    @pytest.fixture
    def chore(self, setup: Setup) -> Failures:
        """The chore."""
        return Failures(setup.ledger, setup.clock, granting=True)

    def test_a_failure_in_passing_is_tried_again(self, setup: Setup, chore: Failures) -> None:
        """Approved as it was, signature included; remediation looks at it as if it were new."""
        failed = setup.put(
            state=State.FAILED, reason_code="check_refused", approval="signature", cool_down_until=NOON + 24 * HOUR
        )
        assert setup.run(chore, timedelta(minutes=14)) == {}
        assert setup.run(chore, timedelta(minutes=15)) == {"retried": 1}
        row = setup.now(failed)
        assert (row.state, row.version, row.reason_code) == (State.APPROVED, 2, "tried_again")
        assert (row.approval, row.cool_down_until) == ("signature", None)
        assert setup.run(chore, timedelta(minutes=15)) == {}

    def test_old_failures_and_final_ones_stay(self, setup: Setup, chore: Failures) -> None:
        """So do those of a day ago, whatever their reason."""
        setup.put(state=State.FAILED, reason_code="approval_unverified")
        assert setup.run(chore, HOUR) == {}
        setup.put(state=State.FAILED, reason_code="check_refused")
        assert setup.run(chore, 25 * HOUR) == {}

    def test_nothing_is_tried_while_nothing_is_granted(self, setup: Setup) -> None:
        """A paused stack would only ask about it."""
        setup.put(state=State.FAILED, reason_code="check_refused")
        assert setup.run(Failures(setup.ledger, setup.clock, granting=False), HOUR) == {}


class TestTrouble:
    """What goes wrong."""

    def test_when_dynamodb_does_not_answer_the_chore_ends(self, setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
        """There is no use in trying row after row."""
        setup.put(state=State.ACTIVE, expires_at=NOON)

        def busy(*_: object) -> None:
            raise RetryableError("busy")

        monkeypatch.setattr(setup.ledger, "move", busy)
        with pytest.raises(RetryableError):
            setup.run(Expiry(setup.ledger, setup.clock), HOUR)

    def test_what_is_wrong_with_one_row_is_counted(self, setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
        """And the next row is tended."""
        setup.put(state=State.ACTIVE, sk="profile#a", expires_at=NOON)
        other = setup.put(state=State.ACTIVE, sk="profile#b", expires_at=NOON)
        move = setup.ledger.move

        def faulty(before: Grant, after: Grant) -> None:
            if before.sk == "profile#a":
                raise RuntimeError("what is this?")
            move(before, after)

        monkeypatch.setattr(setup.ledger, "move", faulty)
        assert setup.run(Expiry(setup.ledger, setup.clock), HOUR) == {"failed": 1, "expired": 1}
        assert setup.now(other).state is State.REVOKING
