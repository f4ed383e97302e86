"""EventBridge Pipes: from the ledger's stream to a queue."""

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sandbox.authorization import Authorization
from sandbox.clock import VirtualClock
from sandbox.filters import criteria
from sandbox.intrinsics import TemplateError
from sandbox.mappings import gave_up
from sandbox.queues import Queue
from sandbox.requirements import Requirement
from sandbox.streams import DeliveryError, Reading, Record, StreamConsumer, TableStream
from sandbox.template import Stack


class Pipe:
    """A pipe of the template.

    Raises:
        TemplateError: It is not one that this sandbox knows, or its role is not allowed what it must do.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - everything that a pipe joins
        self,
        stack: Stack,
        name: str,
        streams: Mapping[str, TableStream],
        queues: Mapping[str, Queue],
        authorization: Authorization,
        clock: VirtualClock,
    ) -> None:
        properties = stack.properties(name)
        self._name = name
        self._role: str = properties["RoleArn"]
        self._authorization = authorization
        parameters = properties["SourceParameters"]
        source = parameters["DynamoDBStreamParameters"]
        target = properties.get("TargetParameters", {})
        if "InputTemplate" in target or "Enrichment" in properties:
            raise TemplateError(f"{name}: the sandbox knows neither InputTemplate nor Enrichment")
        self._queue = _one(queues, properties["Target"], name)
        self._addressing = target.get("SqsQueueParameters", {})
        self._aside = source.get("DeadLetterConfig", {}).get("Arn")
        self._queues = queues
        reads = ("dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator")
        authorization.need(self._role, reads, properties["Source"], name)
        authorization.need(self._role, ("dynamodb:ListStreams",), "*", name)
        self.consumer = StreamConsumer(
            _one(streams, properties["Source"], name),
            Reading(
                batch_size=source.get("BatchSize", 100),
                patterns=criteria(parameters, name),
                retries=source.get("MaximumRetryAttempts"),
                age=source.get("MaximumRecordAgeInSeconds"),
                bisect=source.get("OnPartialBatchItemFailure") == "AUTOMATIC_BISECT",
            ),
            self._deliver,
            self._give_up,
            clock,
        )

    def _deliver(self, records: Sequence[Record]) -> Collection[str]:
        if not self._authorization.allows(self._role, Requirement("sqs:SendMessage", self._queue.arn)):
            raise DeliveryError(f"{self._name} may not send to {self._queue.name}")
        for record in records:
            self._queue.send(
                json.dumps(record),
                group=self._read(record, "MessageGroupId"),
                deduplication=self._read(record, "MessageDeduplicationId"),
            )
        return ()

    def _read(self, record: Record, name: str) -> str | None:
        """A target parameter: text as it stands, or a path such as `$.dynamodb.NewImage.group.S` into the record."""
        source: str | None = self._addressing.get(name)
        if source is None or not source.startswith("$"):
            return source
        value: Any = record
        for part in source.split(".")[1:]:
            if not isinstance(value, Mapping) or part not in value:
                raise DeliveryError(f"{self._name}: no {source} in the record")
            value = value[part]
        return str(value)

    def _give_up(self, records: Sequence[Record], condition: str, attempts: int) -> None:
        if self._aside:
            self._queues[self._aside].send(json.dumps(gave_up(self._name, records, condition, attempts)))


def _one(known: Mapping[str, Any], arn: str, name: str) -> Any:
    if arn not in known:
        raise TemplateError(f"{name}: {arn} is not in this stack")
    return known[arn]
