"""Grants that failed for a reason that passes: approve them again as they were.

What was approved has not changed, so a rule's grant is decided again by remediation, and a person's still has the
signature under exactly this; see core/approval_statement.py. People were told of the failure, and are told when it is
over.
"""

from bedrock_remediator.clock import Clock
from bedrock_remediator.core.grant import Grant, State
from bedrock_remediator.core.waiting import RETRIED_FOR, pause, retry_due
from bedrock_remediator.flows.current_rows import current
from bedrock_remediator.flows.upkeep.chores.contract import HasTime, Rows, Tally, step, tend


class Failures:
    """Tries again. Nothing while the stack is paused or only observes (`granting` is False)."""

    name = "retry"

    def __init__(self, ledger: Rows, clock: Clock, *, granting: bool) -> None:
        self._ledger = ledger
        self._clock = clock
        self._granting = granting

    def run(self, has_time: HasTime) -> Tally:
        """See `Chore.run`."""
        if not self._granting:
            return Tally()
        now = self._clock.now()
        failed = self._ledger.due(State.FAILED, now - pause(0), after=now - RETRIED_FOR)
        return tend(current(self._ledger, failed, has_time), self._retry, has_time)

    def _retry(self, row: Grant) -> str | None:
        now = self._clock.now()
        if not retry_due(row, now):
            return None
        reason = "It failed for a reason that may have passed, and is tried again."
        self._ledger.move(row, step(row, State.APPROVED, now, "tried_again", reason, cool_down_until=None))
        return "retried"
