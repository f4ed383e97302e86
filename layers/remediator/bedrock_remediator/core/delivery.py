"""How a message came into the queue of denials, by what SQS itself says of it (docs/aws-facts.md §7.13, §7.14)."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final, Self

from msgspec import Struct

LATEST: Final = timedelta(hours=49)
"""A rule retries for a day, and so does the rule of another account or region before it; CloudTrail itself may lag."""
_ROLE_ID: Final = "AROA"


class Delivery(Struct, frozen=True):
    """Who sent a message, and when. `sender` is SQS's `SenderId`; both are None where SQS did not say."""

    sender: str | None = None
    sent_at: datetime | None = None

    @classmethod
    def read(cls, attributes: Mapping[str, str]) -> Self:
        """From a message's system attributes, `SenderId` and `SentTimestamp` (milliseconds)."""
        sent = attributes.get("SentTimestamp", "")
        return cls(
            sender=attributes.get("SenderId"),
            sent_at=datetime.fromtimestamp(int(sent) / 1000, UTC) if sent.isdecimal() else None,
        )

    def is_from_cloudtrail(self, called_at: datetime) -> bool:
        """Whether it can have come straight from CloudTrail, through a rule, of a call that was made then.

        A role has a session behind its id, and EventBridge delivers as a service: a role's message was put in by a
        person. One that was sent days after the call lay somewhere before, as in a dead-letter queue.
        """
        if self.sender is not None and self.sender.startswith(_ROLE_ID):
            return False
        return self.sent_at is None or self.sent_at - called_at <= LATEST
