"""What the ledger says of the time since a moment: what a digest is made of."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from typing import Final

from bedrock_remediator.aws.ledger.items import Due
from bedrock_remediator.clock import Clock
from bedrock_remediator.core.grant import Grant, State
from bedrock_remediator.core.waiting import remark_of
from bedrock_remediator.flows.current_rows import current
from bedrock_remediator.flows.upkeep.chores.contract import HasTime, Rows
from bedrock_remediator.notices.digest import Digest

_SOON: Final = timedelta(days=3)
_REFUSED: Final = (State.REJECTED, State.LAPSED, State.FAILED, State.ROLLED_BACK)
_UNDER_WAY: Final = (State.APPROVED, State.APPLYING, State.REVOKING)


class ActivityReport:
    """Tells what became of grants.

    Args:
        ledger: The ledger.
        orphans: Finds policies without a grant.
        lasting: How long a request waits for a person.
        clock: Tells the time.
        unheard: Says which topics nobody hears.
    """

    def __init__(
        self,
        ledger: Rows,
        orphans: Callable[[HasTime], list[str]],
        lasting: timedelta,
        clock: Clock,
        unheard: Callable[[HasTime], list[str]] = lambda _: [],
    ) -> None:
        self._ledger = ledger
        self._orphans = orphans
        self._lasting = lasting
        self._clock = clock
        self._unheard = unheard

    def since(self, since: datetime, has_time: HasTime) -> Digest:
        """Of the time from then to now."""
        now = self._clock.now()
        standing = self._read(self._ledger.due(State.ACTIVE), {State.ACTIVE}, has_time)
        ended = [
            row
            for state in _REFUSED
            for row in self._read(self._ledger.due(state, after=since), {state}, has_time)
            if row.updated_at >= since
        ]
        revoked = self._read(self._ledger.due(State.REVOKED, after=since), {State.REVOKED}, has_time)
        late = [
            row for state in _UNDER_WAY for row in self._read(self._ledger.due(state, now), set(_UNDER_WAY), has_time)
        ]
        return Digest(
            since=since,
            until=now,
            lasting=self._lasting,
            granted=_in_order(row for row in standing if row.applied_at and row.applied_at >= since and not row.kept),
            refused=_in_order(ended),
            revoked=_in_order(row for row in revoked if row.reason_code != "replaced"),
            asked=_in_order(self._read(self._ledger.due(State.PENDING), {State.PENDING}, has_time)),
            expiring=tuple(row for row in standing if row.expires_at and now < row.expires_at <= now + _SOON),
            drifted=tuple(row for row in standing if remark_of(row)),
            late=tuple(late),
            reported=self._reported(since),
            orphans=tuple(self._orphans(has_time)),
            unheard=tuple(self._unheard(has_time)),
            complete=has_time(),
        )

    def _read(self, entries: Iterator[Due], states: set[State], has_time: HasTime) -> list[Grant]:
        return [row for row in current(self._ledger, entries, has_time) if row.state in states]

    def _reported(self, since: datetime) -> dict[str, int]:
        """How many denials were only reported, by diagnosis, which their keys tell; grants that only would be, too."""
        keys = (entry.sk.split("#") for entry in self._ledger.due(State.REPORTED, after=since))
        return dict(Counter(parts[1] if parts[0] == "advice" else "would_be_granted" for parts in keys))


def _in_order(rows: Iterable[Grant]) -> tuple[Grant, ...]:
    return tuple(sorted(rows, key=lambda row: (row.updated_at, row.key)))
