"""Which approvals still count, by what remediate remembers of each key."""

from datetime import datetime, timedelta

import pytest
from msgspec.structs import replace

from bedrock_remediator.core.approval import LONGEST_WAIT, Use, after_revocation, after_step, stale, stands, used
from bedrock_remediator.core.grant import Grant, Outcome, State
from tests.builders.grants import NOON, pending_grant

LATER = NOON + timedelta(minutes=5)
ROW = pending_grant(
    state=State.APPROVED,
    decision=Outcome.ASK,
    version=4,
    decided_at=NOON,
    decided_version=4,
    approval="c2lnbmVk",
)


def use(outcome: State, at: datetime = NOON, version: int = 4, since: datetime | None = None) -> Use:
    """What is remembered."""
    return Use(decided_at=at, decided_version=version, outcome=outcome, since=since)


def moved(row: Grant, to: State, code: str = "any") -> Grant:
    """The row after a step."""
    return replace(row, state=to, version=row.version + 1, updated_at=LATER, reason_code=code)


@pytest.mark.parametrize(
    ("known", "is_used", "stands_now"),
    [
        (None, False, False),
        (use(State.APPLYING), False, True),
        (use(State.ACTIVE), False, True),
        (use(State.APPROVED), False, False),
        (use(State.REVOKED), True, False),
        (use(State.FAILED), True, False),
        (use(State.PENDING), True, False),
        (use(State.ACTIVE, version=5), True, False),
        (use(State.ACTIVE, at=LATER, version=2), True, False),
        (use(State.REVOKED, version=3), False, False),
        (use(State.REVOKED, at=NOON - timedelta(seconds=1), version=90), False, False),
    ],
)
def test_an_approval_counts_once(known: Use | None, *, is_used: bool, stands_now: bool) -> None:
    """Until its grant has ended or a later one was taken up; later is who was decided later, whatever the version."""
    assert used(known, ROW) is is_used
    assert stands(known, ROW) is stands_now


def test_a_row_that_shows_no_approval_has_used_none() -> None:
    """Its signature cannot be verified either."""
    assert not used(use(State.REVOKED), replace(ROW, decided_at=None))
    assert not stands(use(State.ACTIVE), replace(ROW, decided_version=None))


@pytest.mark.parametrize(
    ("known", "age", "too_old"),
    [
        (None, LONGEST_WAIT, False),
        (None, LONGEST_WAIT + timedelta(seconds=1), True),
        (use(State.REVOKED, version=3), timedelta(hours=25), True),
        (use(State.ACTIVE), timedelta(days=500), False),
        (use(State.APPLYING), timedelta(days=2), False),
        (use(State.APPROVED, since=NOON + timedelta(days=9)), timedelta(days=10), False),
        (use(State.APPROVED, since=NOON + timedelta(days=9)), timedelta(days=10, seconds=1), True),
        (use(State.APPROVED), timedelta(hours=25), True),
    ],
)
def test_an_approval_is_taken_up_in_a_day(known: Use | None, age: timedelta, *, too_old: bool) -> None:
    """Whatever the row says of its last change; what stands may be repaired, and what failed tried again for a day."""
    assert stale(known, replace(ROW, updated_at=NOON + age), NOON + age) is too_old


def test_a_row_without_a_decision_is_as_old_as_its_last_change() -> None:
    """It has no signature, and is refused for that."""
    assert stale(None, replace(ROW, decided_at=None), NOON + timedelta(hours=25))


@pytest.mark.parametrize("to", [State.APPLYING, State.ACTIVE, State.PENDING, State.LAPSED, State.FAILED])
def test_a_step_is_remembered_with_the_approval_that_the_row_shows(to: State) -> None:
    """By the time and the version that are signed."""
    assert after_step(None, ROW, moved(ROW, to)) == use(to)
    assert after_step(use(State.REVOKED, version=2), ROW, moved(ROW, to)) == use(to)


def test_a_failure_that_passes_leaves_the_approval_open_for_a_day_since_the_first() -> None:
    """However often it is tried again; once the grant has stood, a new day begins."""
    first = after_step(use(State.APPLYING), ROW, moved(ROW, State.FAILED, "iam_refused"))
    assert first == use(State.APPROVED, since=LATER)
    again = after_step(first, ROW, moved(ROW, State.APPLYING))
    assert again == use(State.APPLYING, since=LATER)
    much_later = replace(moved(ROW, State.FAILED, "iam_refused"), updated_at=LATER + timedelta(hours=9))
    assert after_step(again, ROW, much_later) == use(State.APPROVED, since=LATER)
    assert after_step(None, ROW, moved(ROW, State.FAILED, "iam_refused")) == use(State.APPROVED, since=LATER)
    assert after_step(again, ROW, moved(ROW, State.ACTIVE)) == use(State.ACTIVE)


@pytest.mark.parametrize("known", [use(State.REVOKED), use(State.ACTIVE, version=7)])
def test_a_row_put_back_changes_nothing_that_is_remembered(known: Use) -> None:
    """It fails, and what was remembered stays."""
    assert after_step(known, ROW, moved(ROW, State.FAILED)) == known
    assert after_step(known, replace(ROW, decided_at=None), moved(ROW, State.FAILED)) == known


@pytest.mark.parametrize("known", [None, use(State.ACTIVE), use(State.APPROVED)])
def test_a_revocation_ends_all_that_was_decided_before_it(known: Use | None) -> None:
    """Whatever the row says, since whoever can write it could make it say anything."""
    row = replace(ROW, state=State.REVOKING, version=6, decision=Outcome.AUTO, decided_at=None, approval=None)
    assert after_revocation(known, row, LATER) == use(State.REVOKED, at=LATER, version=6)
    assert after_revocation(use(State.ACTIVE, at=LATER, version=9), row, NOON) == use(State.REVOKED, LATER, 9)


def test_a_kept_grant_that_is_revoked_ends_its_own_approval_alone() -> None:
    """The one that stands in its place stays; where a person revoked it, it shows none, and everything ends."""
    kept = replace(ROW, sk=f"kept#{ROW.sk}", state=State.REVOKING)
    newer = use(State.ACTIVE, at=LATER, version=9)
    assert after_revocation(newer, kept, LATER) == newer
    assert after_revocation(use(State.ACTIVE), kept, LATER) == use(State.REVOKED)
    assert after_revocation(None, kept, LATER) == use(State.REVOKED)
    assert after_revocation(newer, replace(kept, approval=None), LATER) == use(State.REVOKED, at=LATER, version=9)
    assert after_revocation(None, replace(kept, decided_at=None), LATER) == use(State.REVOKED, at=LATER, version=4)
