"""Storms: hours with more notices than are sent one by one. What was folded is told in one digest, soon after."""

from collections import Counter
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Final, Protocol

from msgspec.structs import replace

from bedrock_remediator.aws.ledger.write import beginning, folded, hour_of
from bedrock_remediator.clock import Clock
from bedrock_remediator.flows.upkeep.chores import digest
from bedrock_remediator.flows.upkeep.chores.activity import ActivityReport
from bedrock_remediator.flows.upkeep.chores.contract import HasTime, Tally
from bedrock_remediator.notices import digest as notice

_LONGEST_AGO: Final = timedelta(days=2)


class Ledger(digest.Ledger, Protocol):
    """What is asked of the ledger."""

    def place(self, chore: str) -> str | None:
        """Which hour was looked at last."""
        ...

    def put_place(self, chore: str, place: str) -> None:
        """Note which hour was looked at last."""
        ...

    def notices_counted(self, after: str, before: str) -> Mapping[str, Mapping[str, int]]:
        """How many notices there were of each kind, by hour."""
        ...


class Storms:
    """Tells what was folded.

    Args:
        ledger: The ledger.
        publisher: Gives what publishes the digest.
        topic_arn: To this topic.
        activity: What became of grants in the time of the storm.
        singly: How many notices of an hour are sent one by one.
        clock: Tells the time.
    """

    name = "storms"

    def __init__(  # noqa: PLR0913 - a use case is handed everything that it touches
        self,
        *,
        ledger: Ledger,
        publisher: Callable[[], digest.Publisher],
        topic_arn: str,
        activity: ActivityReport,
        singly: int,
        clock: Clock,
    ) -> None:
        self._ledger = ledger
        self._publisher = publisher
        self._topic_arn = topic_arn
        self._activity = activity
        self._singly = singly
        self._clock = clock

    def run(self, has_time: HasTime) -> Tally:
        """See `Chore.run`. The hour that is not over yet waits."""
        now = self._clock.now()
        before = hour_of(now)
        after = max(self._ledger.place(self.name) or "", hour_of(now - _LONGEST_AGO))
        hours = self._ledger.notices_counted(after, before)
        storms = {hour: kinds for hour, kinds in hours.items() if folded(kinds, self._singly)}
        told = self._tell(storms, has_time) if storms else Counter()
        if hours:
            self._ledger.put_place(self.name, max(hours))
        return told

    def _tell(self, storms: Mapping[str, Mapping[str, int]], has_time: HasTime) -> Tally:
        """Several hours, where upkeep was away, are told together."""
        claims = {hour: self._ledger.claim_digest(hour) for hour in storms}
        left = {hour: kinds for hour, kinds in storms.items() if claims[hour] != "sent"}
        if not left:
            return Counter({"sent_before": 1})
        counts: Counter[str] = Counter()
        for kinds in left.values():
            counts.update(kinds)
        beyond = sum(folded(kinds, self._singly) for kinds in left.values())
        told = notice.Folded(counts=counts, singly=self._singly, told_here=beyond)
        found = replace(self._activity.since(beginning(min(left)), has_time), folded=told)
        texts = notice.message(found, may_be_duplicate="maybe_sent" in claims.values())
        self._publisher().publish(self._topic_arn, notice.subject(found), texts, notice.attributes(found))
        for hour in left:
            self._ledger.digest_sent(hour)
        return Counter({"sent": 1})
