"""Lambda's event-source mappings: batches, filters, partial failures, and where a batch goes that keeps failing."""

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from sandbox.authorization import Authorization
from sandbox.clock import VirtualClock
from sandbox.filters import criteria, passes
from sandbox.interleaving import Interleaving
from sandbox.intrinsics import TemplateError
from sandbox.lambdas import Function, InvocationError
from sandbox.queues import Message, Queue, digest, receipt
from sandbox.streams import DeliveryError, Reading, Record, StreamConsumer, TableStream, sequence_number

_LARGEST_WITHOUT_WINDOW: Final = 10
_USUALLY_AT_ONCE: Final = 5
_TAKES_MESSAGES: Final = ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes")
_READS_STREAM: Final = ("dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator")


class QueueMapping:
    """A queue that invokes a function.

    Raises:
        TemplateError: AWS would refuse the mapping: its batch size, the queue's visibility timeout, the role.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - everything that a mapping joins
        self,
        name: str,
        properties: Mapping[str, Any],
        queue: Queue,
        function: Function,
        authorization: Authorization,
        turns: Interleaving | None = None,
    ) -> None:
        self.queue = queue
        self._function = function
        self._batch_size = int(properties.get("BatchSize", 10))
        self._patterns = criteria(properties, name)
        self._partial = _reports_failures(properties)
        self._turns = turns
        self._at_once = int(properties.get("ScalingConfig", {}).get("MaximumConcurrency", _USUALLY_AT_ONCE))
        window = int(properties.get("MaximumBatchingWindowInSeconds", 0))
        if self._batch_size > _LARGEST_WITHOUT_WINDOW and (queue.fifo or window < 1):
            raise TemplateError(f"{name}: a batch of {self._batch_size} needs a standard queue and a batching window")
        if queue.visibility_timeout < function.timeout:
            raise TemplateError(
                f"{name}: {queue.logical_id}'s visibility timeout is below {function.logical_id}'s timeout"
            )
        authorization.need(function.role, _TAKES_MESSAGES, queue.arn, name)

    @property
    def function(self) -> str:
        """The logical id of the function."""
        return self._function.logical_id

    def repeat(self) -> None:
        """Invoke the function with what it is working on at the moment; the answer deletes nothing."""
        out = self.queue.out()
        if out:
            self._invoke([out])

    def step(self) -> bool:
        """Invoke the function with what is in the queue, a batch or several at once; whether there was any."""
        batches = list(filter(None, (self.queue.receive(size) for size in self._sizes())))
        wanted = [batch for batch in map(self._filtered, batches) if batch]
        for batch, answer in zip(wanted, self._invoke(wanted), strict=True):
            failed = self._failed(batch, answer)
            self.queue.delete([message for message in batch if message.id not in failed])
        return bool(batches)

    def _sizes(self) -> list[int]:
        """How many messages to take, an invocation each. Lambda may always give fewer than the batch size."""
        if self._turns is None:
            return [self._batch_size]
        most = max(1, min(self._batch_size, len(self.queue) // 2))
        return [self._turns.random.randint(1, most) for _ in range(self._at_once)]

    def _filtered(self, batch: list[Message]) -> list[Message]:
        unwanted = [message for message in batch if not self._wants(self._record(message))]
        self.queue.delete(unwanted)
        return [message for message in batch if message not in unwanted]

    def _invoke(self, batches: Sequence[Sequence[Message]]) -> list[Any]:
        """An answer a batch, or the InvocationError."""
        events = [{"Records": [self._record(message) for message in batch]} for batch in batches]
        if self._turns is not None:
            return self._function.invoke_together(events, self._turns)
        answers: list[Any] = []
        for event in events:
            try:
                answers.append(self._function.invoke(event))
            except InvocationError as error:
                answers.append(error)
        return answers

    def _failed(self, batch: Sequence[Message], answer: Any) -> Collection[str]:
        """The ids of messages that stay in the queue, to come back when their visibility timeout ends."""
        everything = {message.id for message in batch}
        if isinstance(answer, InvocationError):
            return everything
        if not self._partial:
            return ()
        failed = failed_items(answer)
        return everything if failed is None or not failed <= everything else failed

    def _wants(self, record: Mapping[str, Any]) -> bool:
        if not self._patterns:
            return True
        try:
            body = json.loads(record["body"])
        except ValueError:
            body = record["body"]
        return passes(self._patterns, {**record, "body": body})

    def _record(self, message: Message) -> dict[str, Any]:
        attributes = {
            "ApproximateReceiveCount": str(message.received),
            "SentTimestamp": _milliseconds(message.sent_at),
            "SenderId": message.sender,
            "ApproximateFirstReceiveTimestamp": _milliseconds(message.first_received_at or message.sent_at),
        }
        if message.group is not None:
            attributes["MessageGroupId"] = message.group
            attributes["MessageDeduplicationId"] = message.deduplication or ""
            attributes["SequenceNumber"] = f"{message.sequence:020d}"
        return {
            "messageId": message.id,
            "receiptHandle": receipt(message),
            "body": message.body,
            "attributes": attributes,
            "messageAttributes": {
                name: {"stringValue": value, "stringListValues": [], "binaryListValues": [], "dataType": "String"}
                for name, value in message.attributes.items()
            },
            "md5OfBody": digest(message.body),
            "eventSource": "aws:sqs",
            "eventSourceARN": self.queue.arn,
            "awsRegion": self.queue.arn.split(":")[3],
        }


class StreamMapping:
    """A table's stream that invokes a function.

    Raises:
        TemplateError: The function's role may not read the stream or write to the on-failure destination.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - everything that a mapping joins
        self,
        name: str,
        properties: Mapping[str, Any],
        stream: TableStream,
        function: Function,
        queues: Mapping[str, Queue],
        authorization: Authorization,
        clock: VirtualClock,
    ) -> None:
        self._name = name
        self._function = function
        self._partial = _reports_failures(properties)
        destination = properties.get("DestinationConfig", {}).get("OnFailure", {}).get("Destination")
        self._aside = queues[destination] if destination else None
        authorization.need(function.role, _READS_STREAM, stream.arn, name)
        authorization.need(function.role, ("dynamodb:ListStreams",), "*", name)
        if self._aside is not None:
            authorization.need(function.role, ("sqs:SendMessage",), self._aside.arn, name)
        self.consumer = StreamConsumer(
            stream,
            Reading(
                batch_size=int(properties.get("BatchSize", 100)),
                patterns=criteria(properties, name),
                retries=properties.get("MaximumRetryAttempts"),
                age=properties.get("MaximumRecordAgeInSeconds"),
                bisect=bool(properties.get("BisectBatchOnFunctionError", False)),
            ),
            self._deliver,
            self._give_up,
            clock,
        )

    def _deliver(self, records: Sequence[Record]) -> Collection[str]:
        try:
            answer = self._function.invoke({"Records": list(records)})
        except InvocationError as error:
            raise DeliveryError(str(error)) from error
        failed = failed_items(answer) if self._partial else set()
        if failed is None or not failed <= {sequence_number(record) for record in records}:
            raise DeliveryError(f"{self._function.logical_id} answered {answer!r}")
        return failed

    def _give_up(self, records: Sequence[Record], condition: str, attempts: int) -> None:
        if self._aside is not None:
            self._aside.send(json.dumps(gave_up(self._function.arn, records, condition, attempts)))


def _milliseconds(seconds: float) -> str:
    return str(int(seconds * 1000))


def _reports_failures(properties: Mapping[str, Any]) -> bool:
    return "ReportBatchItemFailures" in properties.get("FunctionResponseTypes", [])


def failed_items(answer: Any) -> set[str] | None:
    """The identifiers under `batchItemFailures`; None where the answer has another form, which fails the batch."""
    if answer is None or answer == {}:
        return set()
    if not isinstance(answer, Mapping) or not isinstance(answer.get("batchItemFailures") or [], list):
        return None
    items = answer.get("batchItemFailures") or []
    identifiers = [item.get("itemIdentifier") if isinstance(item, Mapping) else None for item in items]
    return None if not all(identifiers) else {str(identifier) for identifier in identifiers}


def gave_up(consumer: str, records: Sequence[Record], condition: str, attempts: int) -> dict[str, Any]:
    """What an on-failure destination is told of stream records: where they are, not what they say."""
    return {
        "requestContext": {"functionArn": consumer, "condition": condition, "approximateInvokeCount": attempts + 1},
        "DDBStreamBatchInfo": {
            "startSequenceNumber": sequence_number(records[0]),
            "endSequenceNumber": sequence_number(records[-1]),
            "batchSize": len(records),
            "streamArn": records[0]["eventSourceARN"],
        },
    }
