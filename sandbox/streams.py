"""DynamoDB Streams: reads a table's changes in order, and hands them on in batches that may be retried and split."""

import hashlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from moto.dynamodb.models import dynamodb_backends
from msgspec import Struct

from sandbox.clock import VirtualClock
from sandbox.filters import passes

_LONGEST_WAIT: Final = 60.0

Record = Mapping[str, Any]


class DeliveryError(Exception):
    """A consumer could not take a batch."""


class TableStream:
    """The stream of one table.

    Args:
        table_arn: The table's ARN.
        stream_arn: The stream's ARN.
        clock: Virtual time, for the records' own.
    """

    def __init__(self, table_arn: str, stream_arn: str, clock: VirtualClock) -> None:
        _, _, _, self._region, self._account, resource = table_arn.split(":", 5)
        self._table = resource.removeprefix("table/")
        self.arn = stream_arn
        self._clock = clock
        self._records: list[Record] = []

    def read(self, position: int, count: int) -> Sequence[Record]:
        """Up to `count` records from a position on."""
        shard = dynamodb_backends[self._account][self._region].get_table(self._table).stream_shard
        if shard is not None:
            # Copied as they come: the time of a change is when it is first seen here.
            self._records += [self._record(item.record) for item in shard.items[len(self._records) :]]
        return self._records[position : position + count]

    def _record(self, record: Mapping[str, Any]) -> Record:
        change = record["dynamodb"]
        number = change["SequenceNumber"]
        return {
            "eventID": hashlib.md5(number.encode(), usedforsecurity=False).hexdigest(),
            "eventName": record["eventName"],
            "eventVersion": "1.1",
            "eventSource": "aws:dynamodb",
            "awsRegion": self._region,
            "dynamodb": {**change, "ApproximateCreationDateTime": int(self._clock.now().timestamp())},
            "eventSourceARN": self.arn,
        }


def sequence_number(record: Record) -> str:
    """A stream record's place in its shard."""
    number: str = record["dynamodb"]["SequenceNumber"]
    return number


class Batch(Struct, frozen=True):
    """Records that are to be delivered, and how often that failed."""

    records: tuple[Record, ...]
    attempts: int = 0


class Reading(Struct, frozen=True, kw_only=True):
    """How a consumer reads a stream: the settings of an event-source mapping or a pipe.

    `retries` and `age` (seconds) are None where there is no limit; `bisect` splits a batch that fails as a whole.
    """

    batch_size: int
    patterns: tuple[Any, ...]
    retries: int | None
    age: int | None
    bisect: bool


class StreamConsumer:
    """Follows a stream from its beginning.

    Args:
        stream: The stream.
        reading: Batch size, filters and what to do about failures.
        deliver: Takes a batch; gives the sequence numbers that failed, or raises DeliveryError for all of it.
        give_up: Told of records that were tried often enough.
        clock: Virtual time; a retry waits.
    """

    def __init__(
        self,
        stream: TableStream,
        reading: Reading,
        deliver: Callable[[Sequence[Record]], Collection[str]],
        give_up: Callable[[Sequence[Record], str, int], None],
        clock: VirtualClock,
    ) -> None:
        self._stream = stream
        self._reading = reading
        self._deliver = deliver
        self._give_up = give_up
        self._clock = clock
        self._position = 0
        self._work: list[Batch] = []

    def rewind(self) -> None:
        """Begin at the beginning of the stream again."""
        self._position = 0

    def step(self) -> bool:
        """Deliver the next batch; whether there was one."""
        if not self._work:
            self._work = list(self._next())
        if not self._work:
            return False
        batch = self._work.pop(0)
        if self._too_old(batch):
            self._give_up(batch.records, "RecordAgeExceeded", batch.attempts)
            return True
        try:
            failed = set(self._deliver(batch.records))
        except DeliveryError:
            self._work[:0] = self._again(batch)
            return True
        first = next((index for index, record in enumerate(batch.records) if sequence_number(record) in failed), None)
        if first is not None:
            self._work[:0] = self._retry(Batch(batch.records[first:], batch.attempts))
        return True

    def _next(self) -> Iterator[Batch]:
        taken: list[Record] = []
        while len(taken) < self._reading.batch_size:
            records = self._stream.read(self._position, self._reading.batch_size)
            if not records:
                break
            for record in records:
                self._position += 1
                if passes(self._reading.patterns, record):
                    taken.append(record)
                if len(taken) == self._reading.batch_size:
                    break
        if taken:
            yield Batch(tuple(taken))

    def _too_old(self, batch: Batch) -> bool:
        if self._reading.age is None or self._reading.age < 0:
            return False
        made = datetime.fromtimestamp(
            batch.records[0]["dynamodb"]["ApproximateCreationDateTime"], self._clock.now().tzinfo
        )
        return (self._clock.now() - made).total_seconds() > self._reading.age

    def _again(self, batch: Batch) -> list[Batch]:
        if self._reading.bisect and len(batch.records) > 1:
            # Splitting is no retry, and each half has its own.
            middle = len(batch.records) // 2
            return [Batch(batch.records[:middle], batch.attempts), Batch(batch.records[middle:], batch.attempts)]
        return self._retry(batch)

    def _retry(self, batch: Batch) -> list[Batch]:
        if self._reading.retries is not None and 0 <= self._reading.retries <= batch.attempts:
            self._give_up(batch.records, "RetryAttemptsExhausted", batch.attempts)
            return []
        self._clock.advance(min(2.0**batch.attempts, _LONGEST_WAIT))
        return [Batch(batch.records, batch.attempts + 1)]
