"""The digest: once a day, what the ledger says of the last 24 hours, to the notices topic; nothing on a quiet day."""

from collections import Counter
from collections.abc import Mapping
from datetime import timedelta
from typing import Final, Protocol

from bedrock_remediator.aws.ledger.write import NoticeClaim
from bedrock_remediator.clock import Clock
from bedrock_remediator.flows.upkeep.chores.activity import ActivityReport
from bedrock_remediator.flows.upkeep.chores.contract import HasTime, Tally
from bedrock_remediator.notices import digest as notice

_DAY: Final = timedelta(days=1)


class Ledger(Protocol):
    """What is asked of the ledger."""

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
        activity: What became of grants in a day.
        clock: Tells the time.
    """

    name = "digest"

    def __init__(
        self, ledger: Ledger, publisher: Publisher, topic_arn: str, activity: ActivityReport, clock: Clock
    ) -> None:
        self._ledger = ledger
        self._publisher = publisher
        self._topic_arn = topic_arn
        self._activity = activity
        self._clock = clock

    def run(self, has_time: HasTime) -> Tally:
        """See `Chore.run`."""
        digest = self._activity.since(self._clock.now() - _DAY, has_time)
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
