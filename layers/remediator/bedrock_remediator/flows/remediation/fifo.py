"""A batch from a FIFO queue: in its order, and what comes behind a failure of the same group waits for it."""

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any

logger = logging.getLogger(__name__)


def in_order(
    records: Iterable[Mapping[str, Any]], work: Callable[[str], None], has_time: Callable[[], bool]
) -> list[str]:
    """Work on the messages one after the other.

    A message that is said to be done is deleted, so one behind a failure of its group must count as failed too: it
    would overtake the other. What there is no time for is delivered again; the first is always tried.

    Args:
        records: Lambda's records of an SQS FIFO queue.
        work: Works on one body.
        has_time: Whether there is time for one more.

    Returns:
        The ids of the messages to deliver again.
    """
    again: list[str] = []
    stuck: set[str] = set()
    for place, record in enumerate(records):
        group = record["attributes"]["MessageGroupId"]
        if group not in stuck and (place == 0 or has_time()):
            try:
                work(record["body"])
            except Exception:
                logger.exception("a change could not be made; its group waits", extra={"group": group})
            else:
                continue
        stuck.add(group)
        again.append(record["messageId"])
    return again
