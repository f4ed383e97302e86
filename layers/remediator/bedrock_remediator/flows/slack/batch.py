"""A batch of Slack's queue: what fails comes again when Slack wants it, and nothing else is held up by it."""

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from bedrock_remediator.flows.slack.api import SlackBusyError
from bedrock_remediator.flows.slack.posting import Delivery, SlackHeldError

logger = logging.getLogger(__name__)

_FIRST_WAIT: Final = 30
_LONGEST_WAIT: Final = 900


def deliver(
    records: Iterable[Mapping[str, Any]],
    handle: Callable[[Delivery], object],
    put_off: Callable[[str, int], None],
    has_time: Callable[[], bool],
    holder: str,
) -> list[str]:
    """Work on the messages one after the other.

    When Slack asks for a pause, it gets it: whatever is left of the batch waits as long as Slack says. Other trouble
    waits half a minute, and twice as long each time, for a quarter of an hour at most.

    Args:
        records: Lambda's records of an SQS queue.
        handle: Works on one.
        put_off: Lets a message, by its receipt, come again after some seconds.
        has_time: Whether there is time for one more.
        holder: Who works on them: no two at one time have the same name.

    Returns:
        The ids of the messages to deliver again.
    """
    again: list[str] = []
    pause: int | None = None
    for place, record in enumerate(records):
        attempt = int(record["attributes"]["ApproximateReceiveCount"])
        if pause is not None:
            wait = pause
        elif not has_time():
            wait = 0
        else:
            try:
                handle(Delivery(body=record["body"], attempt=attempt, holder=f"{holder}.{place}"))
            except SlackBusyError as error:
                logger.warning("Slack wants a pause", extra={"seconds": error.seconds})
                wait = pause = error.seconds
            except SlackHeldError as error:
                wait = error.seconds
            except Exception:
                logger.exception("Slack could not be told", extra={"attempt": attempt})
                wait = min(_FIRST_WAIT * 2 ** min(attempt - 1, 16), _LONGEST_WAIT)
            else:
                continue
        again.append(record["messageId"])
        _put_off(put_off, record["receiptHandle"], wait)
    return again


def _put_off(put_off: Callable[[str, int], None], receipt: str, wait: int) -> None:
    try:
        put_off(receipt, wait)
    except Exception:
        # It comes again all the same, when the queue's own time for it is over.
        logger.exception("a message could not be put off")
