"""What is due by the clock: grants end, requests are reminded of and lapse, stuck rows are driven, failures retried.

A reminder is a note on the row. The ledger's stream carries it to notify, which tells the approvers, once: so the
reminder has the same link as the request, and no function but notify writes to them.

A note on a stuck row is a change of it, so the stream and the pipe carry it to remediate once more. Nothing is lost
where the first message is still under way: remediate finds its work done. What is given up says so and can be approved
again. A row of which anything may stand in IAM is never given up here, or nothing would tell any more that it stands: a
revocation is driven until it is done, and a grant until remediate has put it in force or taken it out.

A grant that failed for a reason that passes is approved again as it was: a rule's grant is decided again by
remediation, and a person's still has the signature under exactly this (core/signing.py).
"""

from datetime import timedelta
from itertools import chain
from typing import Final

from msgspec.structs import replace

from bedrock_remediator.clock import Clock
from bedrock_remediator.core.grant import Grant, State
from bedrock_remediator.core.waiting import (
    MOST_TRIES,
    RETRIED_FOR,
    cool_down,
    drives,
    expired,
    hopeless,
    lapse_due,
    pause,
    reminder_due,
    retry_due,
    stuck,
)
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
