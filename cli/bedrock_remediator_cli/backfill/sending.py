"""Puts past denials through the deployed queue, ten at a time."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, Protocol

from msgspec import Struct

from bedrock_remediator.clock import Clock
from bedrock_remediator_cli.backfill.records import PastDenial
from bedrock_remediator_cli.sqs_batches import batches, reason

_TRIES: Final = 4


class Queue(Protocol):
    """What is asked of SQS."""

    def send_message_batch(self, **arguments: Any) -> Mapping[str, Any]:
        """Send some messages."""
        ...


class Sent(Struct, frozen=True, kw_only=True):
    """How many went through, and the events that the queue would not take, each with its reason."""

    count: int
    refused: Mapping[str, str]


def send(client: Queue, url: str, denials: Iterable[PastDenial], clock: Clock, advance: Callable[[int], None]) -> Sent:
    """Send them all. What the queue does not take for a moment is tried again.

    Sending an event twice does no harm: triage knows events by their ids, and counts each once.

    Raises:
        botocore.exceptions.ClientError: The queue refused a whole batch.
    """
    count, refused = 0, dict[str, str]()
    for batch in batches(denials):
        left = batch
        for tried in range(_TRIES):
            if tried:
                clock.sleep(2.0**tried)
            failed = _failed(client, url, left)
            count += len(left) - len(failed)
            refused |= {left[place].id: reason for place, (reason, final) in failed.items() if final}
            left = [left[place] for place, (_, final) in failed.items() if not final]
            if not left:
                break
        refused |= {each.id: "the queue was too busy" for each in left}
        advance(len(batch))
    return Sent(count=count, refused=refused)


def _failed(client: Queue, url: str, batch: Sequence[PastDenial]) -> dict[int, tuple[str, bool]]:
    """Send a batch: the place of each message that was not taken -> why, and whether trying again is in vain."""
    entries = [{"Id": str(place), "MessageBody": denial.body} for place, denial in enumerate(batch)]
    answer = client.send_message_batch(QueueUrl=url, Entries=entries)
    return {int(each["Id"]): (reason(each), bool(each.get("SenderFault"))) for each in answer.get("Failed", ())}
