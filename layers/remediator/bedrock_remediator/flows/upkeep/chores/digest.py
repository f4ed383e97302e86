"""The digest: once a day, what the ledger says of the last 24 hours, to the notices topic; nothing on a quiet day."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Final, Protocol

from bedrock_remediator.aws.ledger import NoticeClaim
from bedrock_remediator.aws.ledger_items import Due
from bedrock_remediator.clock import Clock
from bedrock_remediator.core.grant import Grant, State
from bedrock_remediator.core.waiting import remark_of
from bedrock_remediator.flows.upkeep.chores.contract import HasTime, Rows, Tally, current
from bedrock_remediator.notices import digest as notice

_DAY: Final = timedelta(days=1)
_SOON: Final = timedelta(days=3)
_REFUSED: Final = (State.REJECTED, State.LAPSED, State.FAILED, State.ROLLED_BACK)
_UNDER_WAY: Final = (State.APPROVED, State.APPLYING, State.REVOKING)


class Ledger(Rows, Protocol):
    """What is asked of the ledger beside rows."""

    def claim_digest(self, day: str) -> NoticeClaim:
        """Ask whether a day's digest is still to be sent."""
        ...

    def digest_sent(self, day: str) -> None:
        """Say that it went out."""
        ...


class Publisher(Protocol):
    """Where it goes."""

    def publish(
        self, topic_arn: str, subject: str, message: Mapping[str, str], attributes: Mapping[str, str] | None = None
    ) -> str:
        """Publish one message."""
        ...


class DailyDigest:
    """Tells of the last day.

    Args:
        ledger: The ledger.
        publisher: Publishes it.
        topic_arn: To this topic.
        orphans: Finds policies without a grant.
        lasting: How long a request waits for a person.
        clock: Tells the time.
    """

    name = "digest"

    def __init__(  # noqa: PLR0913 - a use case is handed everything that it touches
        self,
        *,
        ledger: Ledger,
        publisher: Publisher,
        topic_arn: str,
        orphans: Callable[[HasTime], list[str]],
        lasting: timedelta,
        clock: Clock,
    ) -> None:
        self._ledger = ledger
        self._publisher = publisher
        self._topic_arn = topic_arn
        self._orphans = orphans
        self._lasting = lasting
        self._clock = clock

    def run(self, has_time: HasTime) -> Tally:
        """See `Chore.run`."""
        digest = self._digest(has_time)
        if digest.empty:
            return Counter({"quiet": 1})
        day = f"{digest.until:%Y-%m-%d}"
        claim = self._ledger.claim_digest(day)
        if claim == "sent":
            return Counter({"sent_before": 1})
        texts = notice.message(digest, may_be_duplicate=claim == "maybe_sent")
        self._publisher.publish(self._topic_arn, notice.subject(digest), texts, notice.attributes(digest))
        self._ledger.digest_sent(day)
        return Counter({"sent": 1})

    def _digest(self, has_time: HasTime) -> notice.Digest:
        now = self._clock.now()
        since = now - _DAY
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
        return notice.Digest(
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
