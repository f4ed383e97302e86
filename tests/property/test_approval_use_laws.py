"""An approval counts once, whatever rows are put back in whatever order."""

from datetime import timedelta
from typing import Final

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from bedrock_remediator.core.approval import Use, after_revocation, after_step, stale, used
from bedrock_remediator.core.grant import Grant, Outcome, State
from bedrock_remediator.core.waiting import PASSING
from tests.builders.grants import NOON, pending_grant

ENDS: Final = (State.PENDING, State.LAPSED, State.FAILED, State.ROLLED_BACK, State.REVOKED)
STEPS: Final = (State.APPLYING, State.ACTIVE, *ENDS)


@st.composite
def rows(draw: st.DrawFn) -> Grant:
    """A row that shows one of a few genuine approvals, with everything else as somebody likes it."""
    number = draw(st.integers(1, 4))
    return pending_grant(
        state=draw(st.sampled_from([State.APPROVED, State.APPLYING, State.ACTIVE, State.REVOKING])),
        decision=Outcome.ASK,
        version=number + draw(st.integers(0, 9)),
        decided_version=number,
        decided_at=NOON + timedelta(seconds=draw(st.sampled_from([number, 5 - number]))),
        updated_at=NOON + timedelta(days=draw(st.integers(0, 400))),
        approval=draw(st.sampled_from([None, "c2lnbmVk"])),
    )


def stepped(use: Use | None, row: Grant, to: State, code: str) -> Use | None:
    """What remediate does about a row, if the approval that it shows still counts: else the row fails."""
    if to is State.REVOKED:
        return after_revocation(use, row, NOON + timedelta(minutes=1))
    if used(use, row):
        to, code = State.FAILED, "approval_used"
    return after_step(use, row, replace(row, state=to, reason_code=code))


CODES = st.sampled_from(["any", *sorted(PASSING)])
HISTORIES = st.lists(st.tuples(rows(), st.sampled_from(STEPS), CODES), max_size=12)


@given(HISTORIES)
def test_what_is_used_stays_used(history: list[tuple[Grant, State, str]]) -> None:
    """No later step, and no row that is put back, makes an approval count again."""
    use: Use | None = None
    ended: list[Grant] = []
    for row, to, code in history:
        use = stepped(use, row, to, code)
        ended = [*ended, row] if used(use, row) else ended
        assert all(used(use, each) for each in ended)


@given(HISTORIES, rows(), st.sampled_from(ENDS))
def test_what_has_ended_is_used_and_so_is_all_before_it(
    history: list[tuple[Grant, State, str]], row: Grant, end: State
) -> None:
    """By the time that is signed, and by the version within a second."""
    use: Use | None = None
    for before, to, code in history:
        use = stepped(use, before, to, code)
    after = stepped(use, row, end, "any")
    assert used(after, row)
    assert row.decided_at
    for seconds in range(10):
        earlier = replace(row, decided_at=row.decided_at - timedelta(seconds=seconds), decided_version=1)
        assert used(after, earlier) or (seconds == 0 and row.decided_version == 1 and used(after, row))


@given(HISTORIES, rows(), st.integers(1, 400))
def test_what_was_never_taken_up_grows_old_by_what_is_signed(
    history: list[tuple[Grant, State, str]], row: Grant, days: int
) -> None:
    """Whenever the row says that it changed last."""
    use: Use | None = None
    for before, to, code in history:
        use = stepped(use, before, to, code)
    assert row.decided_at
    unknown = replace(row, decided_at=row.decided_at + timedelta(minutes=2))
    assert not used(use, unknown)
    assert stale(use, unknown, NOON + timedelta(days=days, minutes=3))
