"""How long rows wait before upkeep does something about them."""

from datetime import timedelta

import pytest
from msgspec.structs import replace

from bedrock_remediator.core.grant import Event, Grant, Remark, State, Written
from bedrock_remediator.core.waiting import (
    BY,
    MOST_TRIES,
    PASSING,
    drives,
    expired,
    failed_again,
    given_up,
    hopeless,
    lapse_due,
    link_asked,
    link_due,
    pause,
    remark_of,
    reminded,
    reminder_due,
    retries,
    retry_due,
    stuck,
)
from tests.builders.grants import NOON, pending_grant

DAY = timedelta(hours=24)
UNDER_WAY = (State.APPROVED, State.APPLYING, State.REVOKING)


def minutes(number: float) -> timedelta:
    """So many minutes."""
    return timedelta(minutes=number)


def failed(code: str = "check_refused", *approved_by: str) -> Grant:
    """A grant that failed at noon, after having been approved by these, each time in vain."""
    row = pending_grant(reason_code=code)
    for by in approved_by or ("alice",):
        row = row.moved(State.APPROVED, at=NOON, by=by, reason="approved")
        row = row.moved(State.FAILED, at=NOON, by="remediate", reason="failed")
    return row


@pytest.mark.parametrize("state", State)
def test_only_an_active_grant_expires(state: State) -> None:
    """From its last second on; one without end never does."""
    row = pending_grant(state=state, expires_at=NOON)
    assert expired(row, NOON) is (state is State.ACTIVE)
    assert not expired(row, NOON - timedelta(seconds=1))
    assert not expired(replace(row, expires_at=None), NOON)


@pytest.mark.parametrize("state", State)
def test_only_a_waiting_request_lapses_or_is_reminded_of(state: State) -> None:
    """At the end of its time, and at half of it."""
    row, waits = pending_grant(state=state), state is State.PENDING
    assert lapse_due(row, DAY, NOON + DAY) is waits
    assert not lapse_due(row, DAY, NOON + DAY - minutes(1))
    assert reminder_due(row, DAY, NOON + DAY / 2) is waits
    assert not reminder_due(row, DAY, NOON + DAY / 2 - minutes(1))


def test_a_request_is_reminded_of_once() -> None:
    """Until it waits anew: then the reminder of before does not count."""
    row = pending_grant(reminded_at=NOON + DAY / 2)
    assert reminded(row)
    assert not reminder_due(row, DAY, NOON + DAY)
    again = replace(row, updated_at=NOON + DAY)
    assert not reminded(again)
    assert reminder_due(again, DAY, NOON + 2 * DAY)


def test_a_reminder_is_over_when_the_request_is() -> None:
    """The mark stays on the row and means nothing in another state."""
    assert not reminded(pending_grant(state=State.REJECTED, reminded_at=NOON))


@pytest.mark.parametrize("state", State)
def test_rows_that_remediate_takes_further_are_stuck_after_a_quarter_of_an_hour(state: State) -> None:
    """No others ever are."""
    row = pending_grant(state=state)
    assert stuck(row, NOON + minutes(15)) is (state in UNDER_WAY)
    assert not stuck(row, NOON + minutes(14))


@pytest.mark.parametrize("state", UNDER_WAY)
def test_a_row_that_was_driven_gets_twice_as_long(state: State) -> None:
    """It may only be waiting in a long queue."""
    row = pending_grant(state=state, attempt=1, driven_at=NOON + minutes(15))
    assert not stuck(row, NOON + minutes(44))
    assert stuck(row, NOON + minutes(45))


def test_attempts_count_in_the_state_that_they_were_made_in() -> None:
    """A row that moved on is a new piece of work."""
    row = pending_grant(state=State.APPROVED, attempt=3, driven_at=NOON)
    assert drives(row) == 3
    assert drives(replace(row, state=State.APPLYING, updated_at=NOON + minutes(1))) == 0
    assert drives(replace(row, driven_at=None)) == 0


def test_a_grant_of_which_nothing_was_written_is_given_up() -> None:
    """After five tries, and by upkeep itself: there is nothing that anybody would have to take out."""
    row = pending_grant(state=State.APPROVED, attempt=MOST_TRIES, driven_at=NOON)
    assert hopeless(row)
    assert not hopeless(replace(row, attempt=MOST_TRIES - 1))


@pytest.mark.parametrize("state", [State.APPROVED, State.APPLYING, State.REVOKING])
def test_what_may_stand_in_iam_is_driven_until_it_does_not(state: State) -> None:
    """Once a day, whatever happens."""
    written = Written(strategy="managed", policies=())
    row = pending_grant(state=state, attempt=MOST_TRIES, driven_at=NOON, written=written)
    assert hopeless(row) is given_up(row) is False
    assert stuck(row, NOON + timedelta(hours=4))
    seldom = replace(row, attempt=MOST_TRIES + 1)
    assert not hopeless(seldom)
    assert given_up(seldom) is (state is not State.REVOKING)
    assert not stuck(seldom, NOON + timedelta(hours=23))
    assert stuck(seldom, NOON + timedelta(hours=24))


def test_a_row_that_moved_on_is_not_given_up() -> None:
    """It was driven in vain while it was approved; that it is being applied is progress."""
    row = pending_grant(state=State.APPLYING, attempt=MOST_TRIES + 1, driven_at=NOON, updated_at=NOON + minutes(1))
    assert not given_up(row)


def test_pauses_double_up_to_four_hours() -> None:
    """So five tries take less than a day, after which an approval is stale."""
    pauses = [pause(tried) for tried in range(7)]
    assert pauses == [minutes(15), minutes(30), minutes(60), minutes(120), minutes(240), minutes(240), minutes(240)]
    assert sum(pauses[: MOST_TRIES + 1], timedelta()) < DAY


@pytest.mark.parametrize("code", sorted(PASSING))
def test_what_failed_in_passing_is_tried_again(code: str) -> None:
    """After a quarter of an hour, and not after a day."""
    row = failed(code)
    assert not retry_due(row, NOON + minutes(14))
    assert retry_due(row, NOON + minutes(15))
    assert retry_due(row, NOON + DAY)
    assert not retry_due(row, NOON + DAY + minutes(1))


@pytest.mark.parametrize("code", ["approval_unverified", "principal_missing", "policy_not_ours", "not_applied"])
def test_what_failed_for_good_is_not(code: str) -> None:
    """A person approves it again, or nobody does."""
    assert not retry_due(failed(code), NOON + minutes(15))


def test_a_grant_past_its_end_is_not_tried_again() -> None:
    """It would end before it began."""
    row = replace(failed(), expires_at=NOON + minutes(10))
    assert not retry_due(row, NOON + minutes(15))
    assert retry_due(replace(row, expires_at=NOON + minutes(20)), NOON + minutes(15))
    assert not retry_due(pending_grant(reason_code="check_refused"), NOON + minutes(15))


def test_tries_are_counted_since_somebody_else_approved() -> None:
    """Five times, each time after a longer pause; a person's approval begins a new count."""
    assert [retries(failed("check_refused", "alice", *[BY] * times)) for times in range(4)] == [0, 1, 2, 3]
    assert retries(failed("check_refused", BY, "alice")) == 0
    twice = failed("check_refused", "alice", BY, BY)
    assert not retry_due(twice, NOON + minutes(59))
    assert retry_due(twice, NOON + minutes(60))
    assert not retry_due(failed("check_refused", "alice", *[BY] * MOST_TRIES), NOON + timedelta(hours=8))


def test_the_repair_of_a_standing_grant_is_no_retry() -> None:
    """Its failure is news."""
    row = replace(pending_grant(state=State.ACTIVE), history=(Event(at=NOON, state=State.ACTIVE, by="x", reason="y"),))
    row = row.moved(State.APPROVED, at=NOON, by=BY, reason="drift")
    row = row.moved(State.FAILED, at=NOON, by="remediate", reason="failed", reason_code="check_refused")
    assert retries(row) == 0
    assert not failed_again(row)


def test_a_failure_after_a_retry_is_no_news() -> None:
    """Unless it failed for another reason, which people have to know."""
    assert failed_again(failed("check_refused", "alice", BY))
    assert not failed_again(failed("check_refused", "alice"))
    assert not failed_again(failed("principal_missing", "alice", BY))
    assert not failed_again(failed("check_refused", "alice", BY).moved(State.APPROVED, at=NOON, by=BY, reason="again"))


def test_a_remark_is_about_one_version() -> None:
    """When the row moves, it is about the past."""
    row = pending_grant(state=State.ACTIVE, version=3)
    remark = Remark(version=3, at=NOON, code="policy_drifted", reason="It is gone.")
    assert remark_of(row) is None
    assert remark_of(replace(row, remark=remark)) == remark
    assert remark_of(replace(row, remark=remark, version=4)) is None


def test_a_new_link_is_sent_once_an_hour() -> None:
    """Whatever becomes of the row meanwhile; what was asked in an earlier state asks for nothing any more."""
    row = pending_grant()
    assert (link_due(row, NOON), link_asked(row)) == (True, False)
    asked = replace(row, link_asked_at=NOON + minutes(1))
    assert (link_due(asked, NOON + minutes(60)), link_asked(asked)) == (False, True)
    assert link_due(asked, NOON + minutes(61))
    moved = asked.moved(State.REJECTED, at=NOON + minutes(2), by="alice", reason="no")
    assert (link_due(moved, NOON + minutes(60)), link_asked(moved)) == (False, False)
