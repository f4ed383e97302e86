"""SQS: visibility, redelivery, dead-letter queues, and FIFO's groups and deduplication, by the virtual clock.

A stand-in of its own because moto's works out every attribute of a queue for each message: with a few hundred
messages that is most of a run's time.
"""

import hashlib
import json
import uuid
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, Final

from msgspec import Struct

from sandbox.calls import ApiError, Call
from sandbox.intrinsics import TemplateError
from sandbox.template import Stack

DEDUPLICATION_SECONDS: Final = 300
MESSAGE_LIMIT: Final = 1_048_576
VISIBILITY_LIMIT: Final = 43_200
_BATCH_LIMIT: Final = 10
_DEFAULT_VISIBILITY: Final = 30
SERVICE: Final = "AIDAEXAMPLESENDER"
"""The SenderId of what an AWS service sends by a queue's policy."""

Seconds = Callable[[], float]
"""The time, in seconds since 1970."""


class DeadLetter(Struct, frozen=True, kw_only=True):
    """A message that nothing will handle any more.

    `queue` is the logical id of the queue that holds it, `body` its content (parsed where it is JSON), `attributes`
    the message's own: name -> text.
    """

    queue: str
    body: Any
    attributes: dict[str, str] = {}


class Message(Struct, kw_only=True):
    """A message in a queue; times are in seconds since 1970.

    `sender` is its SenderId (§7.14); `source` the ARN of the queue that SQS moved it from, in a dead-letter queue.
    """

    id: str
    body: str
    sent_at: float
    visible_at: float
    sequence: int
    group: str | None = None
    deduplication: str | None = None
    attributes: dict[str, str] = {}
    sender: str = SERVICE
    source: str | None = None
    received: int = 0
    first_received_at: float | None = None


class Queue:
    """One queue of the stack.

    Args:
        logical_id: Its logical id in the template.
        arn: Its ARN.
        properties: Its properties in the template.
        now: The time.
    """

    def __init__(self, logical_id: str, arn: str, properties: Mapping[str, Any], now: Seconds) -> None:
        self.logical_id = logical_id
        self.arn = arn
        self.name = arn.rpartition(":")[2]
        self.fifo = properties.get("FifoQueue") in {True, "true"}
        self.visibility_timeout = int(properties.get("VisibilityTimeout", _DEFAULT_VISIBILITY))
        self._content_based = properties.get("ContentBasedDeduplication") in {True, "true"}
        self._by_group = properties.get("DeduplicationScope") == "messageGroup"
        self._delay = int(properties.get("DelaySeconds", 0))
        self._now = now
        self._sent = 0
        self._messages: dict[str, Message] = {}
        self._known: dict[tuple[str | None, str], float] = {}
        self._dead_letters: Queue | None = None
        self._most_receives = 0

    def redrive_to(self, queue: "Queue", most_receives: int) -> None:
        """Send a message to another queue once it was received so often and came back."""
        self._dead_letters = queue
        self._most_receives = most_receives

    def send(  # noqa: PLR0913 - all that SQS keeps of a message
        self,
        body: str,
        *,
        group: str | None = None,
        deduplication: str | None = None,
        attributes: Mapping[str, str] | None = None,
        sender: str = SERVICE,
        sent_at: float | None = None,
        source: str | None = None,
    ) -> Message:
        """Put a message in; in a FIFO queue, one that is a duplicate counts as sent and is not kept.

        It is sent now, unless it is said that it was sent before the time began that the clock tells.

        Raises:
            ApiError: It lacks its group or its deduplication id, or is too large.
        """
        if self.fifo and group is None:
            raise ApiError("MissingParameter", "The request must contain the parameter MessageGroupId.")
        if self.fifo and deduplication is None and not self._content_based:
            raise ApiError("InvalidParameterValue", "The queue needs a MessageDeduplicationId.")
        if len(body.encode()) > MESSAGE_LIMIT:
            raise ApiError("InvalidParameterValue", f"Message must be shorter than {MESSAGE_LIMIT} bytes.")
        self._sent += 1
        now = self._now()
        message = Message(
            id=str(uuid.uuid5(uuid.NAMESPACE_URL, f"{self.arn}/{self._sent}")),
            body=body,
            sent_at=now if sent_at is None else min(now, sent_at),
            visible_at=now + self._delay,
            sequence=self._sent,
            group=group,
            deduplication=deduplication or hashlib.sha256(body.encode()).hexdigest(),
            attributes=dict(attributes or {}),
            sender=sender,
            source=source,
        )
        if not self._is_duplicate(message):
            self._messages[message.id] = message
        return message

    def _is_duplicate(self, message: Message) -> bool:
        if not self.fifo:
            return False
        key = (message.group if self._by_group else None, message.deduplication or "")
        known_at = self._known.get(key)
        if known_at is not None and message.sent_at - known_at < DEDUPLICATION_SECONDS:
            return True
        self._known[key] = message.sent_at
        return False

    def receive(self, count: int) -> list[Message]:
        """Take up to `count` messages, out of sight until they are deleted or their visibility timeout ends.

        A group of a FIFO queue waits while one of its messages is out of sight.
        """
        now = self._now()
        taken: list[Message] = []
        worn_out: list[Message] = []
        waiting: set[str | None] = set()
        for message in self._messages.values():
            if len(taken) == count:
                break
            if message.visible_at > now:
                waiting |= {message.group} if self.fifo else set()
            elif not self.fifo or message.group not in waiting:
                (worn_out if self._is_worn_out(message) else taken).append(message)
        for message in taken:
            message.received += 1
            message.first_received_at = message.first_received_at or now
            message.visible_at = now + self.visibility_timeout
        self.delete(worn_out)
        for message in worn_out:
            self._set_aside(message)
        return taken

    def _is_worn_out(self, message: Message) -> bool:
        return self._dead_letters is not None and message.received >= self._most_receives

    def _set_aside(self, message: Message) -> None:
        if self._dead_letters is not None:
            self._dead_letters.send(
                message.body,
                group=message.group,
                deduplication=message.id,
                attributes=message.attributes,
                sender=message.sender,
                sent_at=message.sent_at,
                source=self.arn,
            )

    def delete(self, messages: Iterable[Message]) -> None:
        """Take messages out for good."""
        for message in messages:
            self._messages.pop(message.id, None)

    def out(self) -> list[Message]:
        """The messages that were received and have not come back."""
        now = self._now()
        return [each for each in self._messages.values() if each.received and each.visible_at > now]

    def put_off(self, receipt: str, seconds: float) -> None:
        """Let a message that was received come back in so many seconds from now.

        Raises:
            ApiError: It is gone, or was received again since; or SQS takes no such time.
        """
        if not 0 <= seconds <= VISIBILITY_LIMIT:
            raise ApiError("InvalidParameterValue", f"VisibilityTimeout must be from 0 to {VISIBILITY_LIMIT} seconds.")
        self._received(receipt).visible_at = self._now() + seconds

    def forget(self, receipt: str) -> None:
        """Take out a message that was received.

        Raises:
            ApiError: It is gone, or was received again since.
        """
        self.delete([self._received(receipt)])

    def _received(self, receipt: str) -> Message:
        identifier, _, received = receipt.rpartition("#")
        message = self._messages.get(identifier)
        if message is None or str(message.received) != received:
            raise ApiError("ReceiptHandleIsInvalid", "The specified receipt handle is not valid.")
        return message

    def next_visible(self) -> float | None:
        """When the next message that is out of sight comes back; None if there is none."""
        now = self._now()
        return min((each.visible_at for each in self._messages.values() if each.visible_at > now), default=None)

    def __len__(self) -> int:
        return len(self._messages)

    def dead_letters(self) -> list[DeadLetter]:
        """Everything in the queue, as dead letters."""
        return [
            DeadLetter(queue=self.logical_id, body=_content(each.body), attributes=each.attributes)
            for each in self._messages.values()
        ]


class Queues:
    """The stack's queues by ARN, and SQS's answers to those who send to them."""

    def __init__(self, stack: Stack, now: Seconds) -> None:
        described = stack.of_type("AWS::SQS::Queue")
        self.by_arn = {stack.arn(name): Queue(name, stack.arn(name), described[name], now) for name in described}
        for name, properties in described.items():
            redrive = properties.get("RedrivePolicy")
            if redrive:
                aside = self.by_arn[redrive["deadLetterTargetArn"]]
                allowed = described[aside.logical_id].get("RedriveAllowPolicy", {})
                if allowed.get("redrivePermission", "allowAll") != "allowAll":
                    raise TemplateError(f"{name}: {aside.logical_id} lets no queue redrive into it")
                self.by_arn[stack.arn(name)].redrive_to(aside, int(redrive["maxReceiveCount"]))
        self._by_name = {queue.name: queue for queue in self.by_arn.values()}
        self.answers: Mapping[str, Callable[[Call], Mapping[str, Any]]] = {
            "SendMessage": self._send,
            "SendMessageBatch": self._send_batch,
            "ChangeMessageVisibility": self._put_off,
            "ChangeMessageVisibilityBatch": self._put_off_batch,
            "ReceiveMessage": self._receive,
            "DeleteMessageBatch": self._delete_batch,
        }

    def without_reader(self, read: Collection[str]) -> list[Queue]:
        """The queues whose ARN is not among those that are read: there a message stays until a person comes."""
        return [queue for arn, queue in self.by_arn.items() if arn not in read]

    def _queue(self, call: Call) -> Queue:
        name = call.parameters["QueueUrl"].rpartition("/")[2]
        if name not in self._by_name:
            raise ApiError("QueueDoesNotExist", "The specified queue does not exist.")
        return self._by_name[name]

    def _send(self, call: Call) -> Mapping[str, Any]:
        return _sent(self._queue(call), call.parameters, _sender(call))

    def _put_off(self, call: Call) -> Mapping[str, Any]:
        self._queue(call).put_off(call.parameters["ReceiptHandle"], int(call.parameters["VisibilityTimeout"]))
        return {}

    def _put_off_batch(self, call: Call) -> Mapping[str, Any]:
        queue, entries = self._queue(call), _entries(call)
        for entry in entries:
            queue.put_off(entry["ReceiptHandle"], int(entry["VisibilityTimeout"]))
        return {"Successful": [{"Id": entry["Id"]} for entry in entries], "Failed": []}

    def _receive(self, call: Call) -> Mapping[str, Any]:
        """What a person takes, with the attributes that were asked for."""
        queue, most = self._queue(call), int(call.parameters.get("MaxNumberOfMessages", 1))
        if not 1 <= most <= _BATCH_LIMIT:
            raise ApiError("InvalidParameterValue", f"MaxNumberOfMessages must be from 1 to {_BATCH_LIMIT}.")
        taken = queue.receive(most)
        if not taken:
            return {}
        hidden = int(call.parameters.get("VisibilityTimeout", queue.visibility_timeout))
        for message in taken:
            queue.put_off(receipt(message), hidden)
        return {"Messages": [_described(message, call.parameters) for message in taken]}

    def _delete_batch(self, call: Call) -> Mapping[str, Any]:
        queue, entries = self._queue(call), _entries(call)
        for entry in entries:
            queue.forget(entry["ReceiptHandle"])
        return {"Successful": [{"Id": entry["Id"]} for entry in entries], "Failed": []}

    def _send_batch(self, call: Call) -> Mapping[str, Any]:
        queue, entries = self._queue(call), _entries(call)
        if sum(len(entry["MessageBody"].encode()) for entry in entries) > MESSAGE_LIMIT:
            raise ApiError("BatchRequestTooLong", f"The messages are together longer than {MESSAGE_LIMIT} bytes.")
        return {
            "Successful": [{"Id": entry["Id"], **_sent(queue, entry, _sender(call))} for entry in entries],
            "Failed": [],
        }


def _entries(call: Call) -> list[Mapping[str, Any]]:
    """The entries of a batch, which SQS takes or refuses together."""
    entries: list[Mapping[str, Any]] = call.parameters["Entries"]
    if not entries:
        raise ApiError("EmptyBatchRequest", "The batch has no entries.")
    if len(entries) > _BATCH_LIMIT:
        raise ApiError("TooManyEntriesInBatchRequest", f"The batch has more than {_BATCH_LIMIT} entries.")
    if len({entry["Id"] for entry in entries}) < len(entries):
        raise ApiError("BatchEntryIdsNotDistinct", "Two entries have the same Id.")
    return entries


def _sender(call: Call) -> str:
    """Whoever calls is a session of a role: a function's, or a person's."""
    return f"AROAEXAMPLE:{call.caller or 'person'}"


def _sent(queue: Queue, given: Mapping[str, Any], sender: str) -> dict[str, Any]:
    attributes = given.get("MessageAttributes") or {}
    message = queue.send(
        given["MessageBody"],
        group=given.get("MessageGroupId"),
        deduplication=given.get("MessageDeduplicationId"),
        attributes={name: str(value.get("StringValue", "")) for name, value in sorted(attributes.items())},
        sender=sender,
    )
    return {"MessageId": message.id, "MD5OfMessageBody": digest(message.body)}


def receipt(message: Message) -> str:
    """The handle of a message as it was received last."""
    return f"{message.id}#{message.received}"


def _described(message: Message, asked: Mapping[str, Any]) -> dict[str, Any]:
    system = {*asked.get("MessageSystemAttributeNames", ()), *asked.get("AttributeNames", ())}
    own = set(asked.get("MessageAttributeNames", ()))
    known = {
        "SentTimestamp": str(round(message.sent_at * 1000)),
        "SenderId": message.sender,
        "ApproximateReceiveCount": str(message.received),
        "DeadLetterQueueSourceArn": message.source,
        "MessageGroupId": message.group,
    }
    return {
        "MessageId": message.id,
        "ReceiptHandle": receipt(message),
        "Body": message.body,
        "MD5OfBody": digest(message.body),
        "Attributes": {name: value for name, value in known.items() if value is not None and system & {"All", name}},
        "MessageAttributes": {
            name: {"StringValue": value, "DataType": "String"}
            for name, value in message.attributes.items()
            if own & {"All", ".*", name}
        },
    }


def digest(body: str) -> str:
    """A body's MD5, as SQS gives it along."""
    return hashlib.md5(body.encode(), usedforsecurity=False).hexdigest()


def _content(body: str) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return body
