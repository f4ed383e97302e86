"""Whether anybody hears: each topic must have a confirmed subscription, and the address that the stack subscribed one.

Whoever opens the link at the end of SNS's mail unsubscribes the address, a mail scanner included, unless it was
confirmed with AuthenticateOnUnsubscribe (docs/aws-facts.md §7.16). Nobody would notice but for this.
"""

import logging
from collections import Counter
from collections.abc import Collection, Sequence
from typing import Protocol

from msgspec import Struct

from bedrock_remediator.flows.upkeep.chores.contract import HasTime, Tally

logger = logging.getLogger(__name__)


class Topic(Struct, frozen=True):
    """A topic, what people call it, and the e-mail address that the stack has subscribed to it, if any."""

    arn: str
    name: str
    address: str | None = None


class Confirmed(Protocol):
    """What is asked of SNS."""

    def confirmed(self, topic_arn: str) -> Collection[str]:
        """The endpoints whose subscription to a topic is confirmed."""
        ...


class Subscribers:
    """Looks who is subscribed.

    Args:
        subscriptions: SNS's.
        topics: The stack's.
    """

    name = "subscribers"

    def __init__(self, subscriptions: Confirmed, topics: Sequence[Topic]) -> None:
        self._subscriptions = subscriptions
        self._topics = topics

    def run(self, has_time: HasTime, /) -> Tally:
        """See `Chore.run`."""
        missing = self.missing(has_time)
        for sentence in missing:
            logger.error("nobody hears a topic", extra={"why": sentence})
        return Counter({"missing": len(missing)})

    def missing(self, has_time: HasTime) -> list[str]:
        """What is not heard, a sentence a topic."""
        return [sentence for topic in self._topics if has_time() and (sentence := self._missing(topic))]

    def _missing(self, topic: Topic) -> str | None:
        confirmed = self._subscriptions.confirmed(topic.arn)
        if not confirmed:
            return f"The topic {topic.name} has no confirmed subscription: nobody is told what goes there."
        if topic.address and topic.address not in confirmed:
            return (
                f"The address that the stack subscribed to the topic {topic.name} is not confirmed, or was unsubscribed"
                " by the link in a mail."
            )
        return None
