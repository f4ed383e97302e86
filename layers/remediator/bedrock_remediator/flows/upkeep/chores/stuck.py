"""Rows that remediate should have finished, and has not: drive them again, and give them up in the end.

A note on the row is a change of it, so the stream and the pipe carry it to remediate once more. Nothing is lost
where the first message is still under way: remediate finds its work done. What is given up says so and can be
approved again. A row of which anything may stand in IAM is never given up here, or nothing would tell any more that
it stands: a revocation is driven until it is done, and a grant until remediate has put it in force or taken it out.
"""

from itertools import chain
from typing import Final

from msgspec.structs import replace

from bedrock_remediator.clock import Clock
from bedrock_remediator.core.grant import Grant, State
from bedrock_remediator.core.opening import cool_down
from bedrock_remediator.core.waiting import MOST_TRIES, drives, hopeless, stuck
from bedrock_remediator.flows.current_rows import current
from bedrock_remediator.flows.upkeep.chores.contract import HasTime, Rows, Tally, step, tend

STATES: Final = (State.REVOKING, State.APPLYING, State.APPROVED)
"""The states that remediate takes rows out of: what takes away first, then what may be half written."""


class Stuck:
    """Drives stuck rows again."""

    name = "redrive"

    def __init__(self, ledger: Rows, clock: Clock) -> None:
        self._ledger = ledger
        self._clock = clock

    def run(self, has_time: HasTime) -> Tally:
        """See `Chore.run`."""
        late = chain.from_iterable(self._ledger.due(state, self._clock.now()) for state in STATES)
        return tend(current(self._ledger, late, has_time), self._tend, has_time)

    def _tend(self, row: Grant) -> str | None:
        now = self._clock.now()
        if not stuck(row, now):
            return None
        if hopeless(row):
            return self._give_up(row)
        self._ledger.update(row, replace(row, attempt=drives(row) + 1, driven_at=now))
        return "redriven"

    def _give_up(self, row: Grant) -> str:
        now = self._clock.now()
        hours = round((now - row.updated_at).total_seconds() / 3600)
        reason = (
            f"It was approved, and {MOST_TRIES} further attempts in {hours} hours have not applied it: see remediate's "
            "log and dead letters."
        )
        rest = cool_down(row.cool_downs, now)
        self._ledger.move(row, step(row, State.FAILED, now, "not_applied", reason, cool_down_until=rest))
        return "given_up"
