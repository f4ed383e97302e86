"""Expire: a grant that is past its end is taken out of the ledger's standing ones, and out of IAM by remediate.

IAM ends it by itself (`aws:CurrentTime` in its statements); this clears what is left of it.
"""

from bedrock_remediator.clock import Clock
from bedrock_remediator.core.grant import Grant, State
from bedrock_remediator.core.waiting import expired
from bedrock_remediator.flows.current_rows import current
from bedrock_remediator.flows.upkeep.chores.contract import HasTime, Rows, Tally, step, tend


class Expiry:
    """Revokes what is past its end."""

    name = "expire"

    def __init__(self, ledger: Rows, clock: Clock) -> None:
        self._ledger = ledger
        self._clock = clock

    def run(self, has_time: HasTime) -> Tally:
        """See `Chore.run`."""
        ended = self._ledger.due(State.ACTIVE, self._clock.now())
        return tend(current(self._ledger, ended, has_time), self._expire, has_time)

    def _expire(self, row: Grant) -> str | None:
        now = self._clock.now()
        if not expired(row, now):
            return None
        self._ledger.move(row, step(row, State.REVOKING, now, "expired", "The grant has reached its end."))
        return "expired"
