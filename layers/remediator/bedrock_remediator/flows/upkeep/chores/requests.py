"""Requests that wait for a person: remind once, at half of their time, and let them lapse at the end of it.

A reminder is a note on the row. The ledger's stream carries it to notify, which tells the approvers, once: so the
reminder has the same link as the request, and no function but notify writes to them.
"""

from datetime import timedelta

from msgspec.structs import replace

from bedrock_remediator.clock import Clock
from bedrock_remediator.core.grant import Grant, State
from bedrock_remediator.core.opening import cool_down
from bedrock_remediator.core.waiting import lapse_due, reminder_due
from bedrock_remediator.flows.current_rows import current
from bedrock_remediator.flows.upkeep.chores.contract import HasTime, Rows, Tally, step, tend


class Requests:
    """Reminds and lapses. `lasting` is how long a request waits for a person."""

    name = "requests"

    def __init__(self, ledger: Rows, clock: Clock, lasting: timedelta) -> None:
        self._ledger = ledger
        self._clock = clock
        self._lasting = lasting

    def run(self, has_time: HasTime) -> Tally:
        """See `Chore.run`."""
        waiting = self._ledger.due(State.PENDING, self._clock.now() - self._lasting / 2)
        return tend(current(self._ledger, waiting, has_time), self._tend, has_time)

    def _tend(self, row: Grant) -> str | None:
        now = self._clock.now()
        if lapse_due(row, self._lasting, now):
            hours = int(self._lasting.total_seconds() // 3600)
            reason = f"Nobody decided within {hours} hour{'' if hours == 1 else 's'}."
            rest = cool_down(row.cool_downs, now)
            self._ledger.move(row, step(row, State.LAPSED, now, "not_decided", reason, cool_down_until=rest))
            return "lapsed"
        if reminder_due(row, self._lasting, now):
            self._ledger.update(row, replace(row, reminded_at=now))
            return "reminded"
        return None
