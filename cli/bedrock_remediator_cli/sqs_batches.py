"""Messages for SQS in the batches that it takes, and what it says of those that it did not take."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, Protocol, TypeVar

LARGEST_BATCH: Final = 10
_MOST_BYTES: Final = 240_000
"""Of a batch, some way below the quarter megabyte that SQS has always taken."""


class Message(Protocol):
    """What has a body to send."""

    @property
    def body(self) -> str:
        """The message's text."""
        ...


Sent = TypeVar("Sent", bound=Message)


def batches(messages: Iterable[Sent]) -> Iterator[list[Sent]]:
    """Ten at a time, or as many as are small enough together; one that is too large comes alone."""
    batch: list[Sent] = []
    size = 0
    for message in messages:
        length = len(message.body.encode())
        if batch and (len(batch) == LARGEST_BATCH or size + length > _MOST_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(message)
        size += length
    if batch:
        yield batch


def reason(failed: Mapping[str, Any]) -> str:
    """Why SQS did not take a message, from an entry of `Failed`."""
    return f"{failed['Code']}: {failed.get('Message', '')}"
