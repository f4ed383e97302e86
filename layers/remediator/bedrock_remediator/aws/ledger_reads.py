"""Reading the ledger.

Every read but that of the index `due`, which DynamoDB does not offer so, is consistent: what a decision rests on must
not be older than the last write.
"""

import logging
import secrets
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import Struct

from bedrock_remediator.aws.errors import RetryableError, passing_trouble
from bedrock_remediator.aws.ledger_items import (
    FIRST_ROW,
    HABITS,
    NEVER,
    PAST_LAST_COUNTER,
    PAST_LAST_ROW,
    SEEN_PREFIX,
    Due,
    Item,
    Seen,
    Sightings,
    key,
    marshal,
    read_due,
    read_grant,
    read_habits,
    read_seen,
)
from bedrock_remediator.clock import Clock, SystemClock
from bedrock_remediator.core.grant import Grant, State
from bedrock_remediator.core.habits import Habits

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

logger = logging.getLogger(__name__)

_BATCH: Final = 100
TRIES: Final = 4
_BEGINNING: Final = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_WAIT: Final = 0.05


class Known(Struct, frozen=True):
    """What was read of the ledger at once.

    `seen` are counters by (pk, fingerprint), those that are not there left out, `rows` rows by (pk, sk), None for one
    that is not there, and `habits` those of principals by pk.
    """

    seen: dict[tuple[str, str], Seen]
    rows: dict[tuple[str, str], Grant | None]
    habits: dict[str, Habits]


class Dossier(Struct, frozen=True):
    """What the ledger holds about the row with that sk, and about its principal; read when it is asked for.

    So a row that cannot be read stands only in the way of who wants it.
    """

    sk: str
    items: list[Item]

    @property
    def grant(self) -> Grant | None:
        """The row itself; None if there is none."""
        return next((read_grant(item) for item in self.items if item["sk"]["S"] == self.sk), None)

    @property
    def grants(self) -> list[Grant]:
        """Every row of the principal, this one included; the archived ones are left out."""
        return [read_grant(item) for item in self.items if not _is_counter(item)]

    @property
    def denials(self) -> Sightings:
        """How often the denials that belong to the row were seen; copies are not counted."""
        return _sightings(item for item in self.items if _is_counter(item))


class LedgerReader:
    """What the ledger holds. Every method raises `RetryableError` on throttling."""

    def __init__(self, client: "DynamoDBClient", table: str, clock: Clock | None = None) -> None:
        self._client = client
        self._table = table
        self._clock = clock or SystemClock()

    def grant(self, pk: str, sk: str) -> Grant | None:
        """One row."""
        with passing_trouble("reading a row"):
            answer = self._client.get_item(TableName=self._table, Key=key(pk, sk), ConsistentRead=True)
        return read_grant(answer["Item"]) if "Item" in answer else None

    def habits(self, pk: str) -> Habits:
        """What is known of a principal: nothing, at revision 0, where it was never denied anything."""
        with passing_trouble("reading a principal's habits"):
            answer = self._client.get_item(TableName=self._table, Key=key(pk, HABITS), ConsistentRead=True)
        return _habits(pk, answer.get("Item"))

    def grants(self, pk: str) -> list[Grant]:
        """Every row of a principal; the archived ones are left out."""
        rows = self._query(
            KeyConditionExpression="pk = :pk AND sk BETWEEN :first AND :last",
            FilterExpression="attribute_exists(#state)",
            ExpressionAttributeNames={"#state": "state"},
            ExpressionAttributeValues={
                ":pk": marshal(pk),
                ":first": marshal(FIRST_ROW),
                ":last": marshal(PAST_LAST_ROW),
            },
        )
        return [read_grant(item) for item in rows]

    def dossier(self, pk: str, sk: str) -> Dossier:
        """One row with the principal's others and the row's counters, by one query."""
        items = self._query(
            KeyConditionExpression="pk = :pk AND sk BETWEEN :first AND :last",
            FilterExpression="attribute_exists(#state) OR #row = :row",
            ExpressionAttributeNames={"#state": "state", "#row": "row"},
            ExpressionAttributeValues={
                ":pk": marshal(pk),
                ":first": marshal(FIRST_ROW),
                ":last": marshal(PAST_LAST_COUNTER),
                ":row": marshal(sk),
            },
        )
        return Dossier(sk, list(items))

    def rows(self, keys: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Grant]:
        """The rows of these (pk, sk); what is not there is left out."""
        return {grant.key: grant for grant in map(read_grant, self._items(keys))}

    def seen(self, keys: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Seen]:
        """The counters of these (pk, fingerprint); what is not there is left out."""
        items = self._items((pk, SEEN_PREFIX + fingerprint) for pk, fingerprint in keys)
        return {seen.key: seen for seen in map(read_seen, items)}

    def known(self, counters: Iterable[tuple[str, str]], rows: Iterable[tuple[str, str]]) -> Known:
        """The counters of these (pk, fingerprint), their principals' habits, and the rows of these (pk, sk), at once.

        What cannot be read is left out, so that it stands in nobody's way but his who reads it by itself.
        """
        seen = [(pk, SEEN_PREFIX + fingerprint) for pk, fingerprint in counters]
        known = Known({}, dict.fromkeys(rows), {pk: Habits(pk=pk) for pk, _ in seen})
        for item in self._items([*seen, *((pk, HABITS) for pk in known.habits), *known.rows]):
            pk, sk = item["pk"]["S"], item["sk"]["S"]
            try:
                if _is_counter(item):
                    counter = read_seen(item)
                    known.seen[counter.key] = counter
                elif sk == HABITS:
                    known.habits[pk] = read_habits(item)
                else:
                    known.rows[pk, sk] = read_grant(item)
            except msgspec.ValidationError:
                logger.exception("an item of the ledger cannot be read", extra={"pk": pk, "sk": sk})
                known.rows.pop((pk, sk), None)
                if sk == HABITS:
                    del known.habits[pk]
        return known

    def denials(self, pk: str, sk: str) -> Sightings:
        """How often the denials that belong to this row were seen; copies are not counted."""
        items = self._query(
            KeyConditionExpression="pk = :pk AND begins_with(sk, :seen)",
            FilterExpression="#row = :row",
            ExpressionAttributeNames={"#row": "row"},
            ExpressionAttributeValues={":pk": marshal(pk), ":seen": marshal(SEEN_PREFIX), ":row": marshal(sk)},
        )
        return _sightings(items)

    def due(self, state: State, before: datetime | None = None, *, after: datetime | None = None) -> Iterator[Due]:
        """The rows in a state by the time that `ledger_items.due_at` gives them, the earliest first.

        They come a page at a time, as they are asked for, from an index that may lag behind by a moment: read the
        row before acting on it.

        Args:
            state: The state.
            before: The latest time to look for, None for all.
            after: The earliest time to look for, None for all.
        """
        first, last = after or _BEGINNING, before or NEVER
        entries = self._query(
            consistent=False,
            IndexName="due",
            KeyConditionExpression="#state = :state AND due_at BETWEEN :first AND :last",
            ExpressionAttributeNames={"#state": "state"},
            ExpressionAttributeValues={
                ":state": marshal(state.value),
                ":first": marshal(first),
                ":last": marshal(max(first, last)),
            },
        )
        return map(read_due, entries)

    def _query(self, *, consistent: bool = True, **query: Any) -> Iterator[Item]:
        while True:
            with passing_trouble("reading items"):
                answer = self._client.query(TableName=self._table, ConsistentRead=consistent, **query)
            yield from answer["Items"]
            if "LastEvaluatedKey" not in answer:
                return
            query["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    def _items(self, keys: Iterable[tuple[str, str]]) -> Iterator[Item]:
        """The items under these keys, in no order: a hundred a call, and again what a call has left."""
        wanted = [key(pk, sk) for pk, sk in dict.fromkeys(keys)]
        left_empty = 0
        while wanted:
            with passing_trouble("reading items"):
                answer = self._client.batch_get_item(
                    RequestItems={self._table: {"Keys": wanted[:_BATCH], "ConsistentRead": True}}
                )
            found = answer["Responses"].get(self._table, [])
            yield from found
            unprocessed = answer.get("UnprocessedKeys", {}).get(self._table)
            left: list[Any] = list(unprocessed["Keys"]) if unprocessed else []
            wanted = left + wanted[_BATCH:]
            if left:
                left_empty = 0 if found else left_empty + 1
                if left_empty == TRIES:
                    raise RetryableError("reading items: DynamoDB is too busy to answer")
                self._wait(left_empty)

    def _wait(self, tried: int) -> None:
        """Wait longer each time, and not as long as the next function does."""
        self._clock.sleep(_FIRST_WAIT * 2**tried * (0.5 + secrets.randbelow(1000) / 1000))


def _habits(pk: str, item: Item | None) -> Habits:
    return read_habits(item) if item else Habits(pk=pk)


def _is_counter(item: Item) -> bool:
    return str(item["sk"]["S"]).startswith(SEEN_PREFIX)


def _sightings(items: Iterable[Item]) -> Sightings:
    counters = [read_seen(item) for item in items]
    return Sightings(
        count=sum(seen.count for seen in counters),
        first_at=min((seen.first_at for seen in counters), default=None),
        last_at=max((seen.last_at for seen in counters), default=None),
    )
