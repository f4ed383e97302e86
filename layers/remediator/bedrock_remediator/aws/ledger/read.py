"""Finding what the ledger holds: of a principal, and of a state.

Every read but that of the index `due`, which DynamoDB does not offer so, is consistent: what a decision rests on must
not be older than the last write.

Whoever holds a principal's key can have as many rows of advice, counters and markers of notices written for it as they
call models that there are not. So a query that is about something else passes over them, or ends after some pages.
"""

import itertools
import logging
import secrets
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import Struct

from bedrock_remediator.aws.errors import RetryableError, passing_trouble
from bedrock_remediator.aws.ledger.items import (
    BEGINNING,
    FIRST_MARKER,
    FIRST_PROFILE,
    FIRST_ROW,
    HABITS,
    NEVER,
    PAST_LAST_COUNTER,
    PAST_LAST_ROW,
    SEEN_PREFIX,
    USAGE,
    Due,
    Item,
    Seen,
    Sightings,
    due_key,
    key,
    marshal,
    read_due,
    read_grant,
    read_habits,
    read_seen,
    read_usage,
)
from bedrock_remediator.clock import Clock, SystemClock
from bedrock_remediator.core.grant import Grant, State
from bedrock_remediator.core.suspicion import Habits
from bedrock_remediator.core.usage import Usage

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import QueryOutputTypeDef


PAGE: Final = 300
"""How many items of a principal a query reads before it looks whether all of them are asked for."""

_COUNTER_PAGES: Final = 3
"""Of how many megabytes of a principal's counters those of a row are sorted out."""


class Background(Struct, frozen=True):
    """A principal's requests and grants, and what is known of it; read when it is asked for."""

    pk: str
    items: list[Item]

    @property
    def grants(self) -> list[Grant]:
        """Every row that is a grant, or was or may become one, kept ones included: no advice, and nothing archived."""
        return [read_grant(item) for item in self.items if _is_row(item)]

    @property
    def habits(self) -> Habits:
        """What is known of the principal: nothing, at revision 0, where it was never denied anything."""
        return next((read_habits(item) for item in self.items if item["sk"]["S"] == HABITS), Habits(pk=self.pk))


class GrantWithCounters(Struct, frozen=True):
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
        """The rows of the principal, this one included, without the archived ones."""
        return [read_grant(item) for item in self.items if _is_row(item)]

    @property
    def denials(self) -> Sightings:
        """How often the denials that belong to the row were seen; copies are not counted."""
        return _sightings(item for item in self.items if is_counter(item) and _belongs(item, self.sk))


class LedgerQueries:
    """The ledger's queries. Every method raises `RetryableError` on throttling."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client = client
        self._table = table

    def grants(self, pk: str) -> list[Grant]:
        """Every row of a principal that is a grant, or was or may become one; see `Background.grants`."""
        return self.background(pk).grants

    def background(self, pk: str) -> Background:
        """A principal's requests and grants, and what is known of it: one query, where they are not hundreds."""
        return Background(pk, list(self._requests(pk)))

    def with_counters(self, pk: str, sk: str) -> GrantWithCounters:
        """One row with the principal's others and the row's counters: one query, where the principal has no more.

        Of one that has more, there are all its requests and grants, some of its advice, and the row's counters among
        the first megabytes of them: then a denial may have been seen more often than is told.
        """
        found, complete = self.rows_and_counters(pk)
        if not complete:
            found = [*found, *self.itself(pk, sk), *self._requests(pk), *self._counters_of(pk, sk)]
        return _grant_with_counters(sk, found)

    def rows_and_counters(self, pk: str) -> tuple[list[Item], bool]:
        """The first of a principal's rows and counters, and whether they are all: one query of one page."""
        page = self._ask(
            **_between(pk, FIRST_ROW, PAST_LAST_COUNTER),
            FilterExpression="attribute_exists(#state) OR attribute_exists(#row)",
            ExpressionAttributeNames={"#state": "state", "#row": "row"},
            Limit=PAGE,
        )
        return page["Items"], "LastEvaluatedKey" not in page

    def itself(self, pk: str, sk: str) -> list[Item]:
        """The item with that key, if there is one."""
        return self._ask(**_between(pk, sk, sk))["Items"]

    def requests_and_counters(self, pk: str) -> list[Item]:
        """A principal's requests and grants, and the first of its counters: one query more than its grants take."""
        counters = self._ask(**_between(pk, SEEN_PREFIX, PAST_LAST_COUNTER), Limit=PAGE)["Items"]
        return [*self._requests(pk), *filter(is_counter, counters)]

    def denials(self, pk: str, sk: str) -> Sightings:
        """How often the denials that belong to this row were seen, copies not counted."""
        return _sightings(self._counters_of(pk, sk))

    def due(
        self, state: State, before: datetime | None = None, *, after: datetime | None = None, behind: Due | None = None
    ) -> Iterator[Due]:
        """The rows in a state by the time that `items.due_at` gives them, the earliest first.

        They come a page at a time, as they are asked for, from an index that may lag behind by a moment: read the
        row before acting on it.

        Args:
            state: The state.
            before: The latest time to look for, None for all.
            after: The earliest time to look for, None for all.
            behind: Where an earlier walk ended: what it came by is passed over.
        """
        start: dict[str, Any] = {"ExclusiveStartKey": due_key(state, behind)} if behind else {}
        first, last = after or BEGINNING, before or NEVER
        entries = self._pages(
            IndexName="due",
            ConsistentRead=False,
            **start,
            KeyConditionExpression="#state = :state AND due_at BETWEEN :first AND :last",
            ExpressionAttributeNames={"#state": "state"},
            ExpressionAttributeValues={
                ":state": marshal(state.value),
                ":first": marshal(first),
                ":last": marshal(max(first, last)),
            },
        )
        return map(read_due, entries)

    def _requests(self, pk: str) -> Iterator[Item]:
        """The habits, and the rows that are no advice; what is left of the markers after a page is passed over."""
        stretch: dict[str, Any] = _between(pk, HABITS, PAST_LAST_ROW)
        while True:
            answer = self._ask(
                **stretch,
                FilterExpression="attribute_exists(#state) OR attribute_exists(#revision)",
                ExpressionAttributeNames={"#state": "state", "#revision": "revision"},
                Limit=PAGE,
            )
            yield from answer["Items"]
            last = answer.get("LastEvaluatedKey")
            if last is None:
                return
            if FIRST_MARKER <= last["sk"]["S"] < FIRST_PROFILE:
                stretch = _between(pk, FIRST_PROFILE, PAST_LAST_ROW)
            else:
                stretch["ExclusiveStartKey"] = last

    def _counters_of(self, pk: str, sk: str) -> Iterator[Item]:
        """The counters of a row, among the first megabytes of its principal's."""
        pages = self._pages(
            most=_COUNTER_PAGES,
            **_between(pk, SEEN_PREFIX, PAST_LAST_COUNTER, row=sk),
            FilterExpression="#row = :row",
            ExpressionAttributeNames={"#row": "row"},
        )
        return (item for item in pages if is_counter(item))

    def _pages(self, *, most: int | None = None, **query: Any) -> Iterator[Item]:
        """The items of every page, or of the first ones."""
        for _ in range(most) if most else itertools.count():
            answer = self._ask(**query)
            yield from answer["Items"]
            if "LastEvaluatedKey" not in answer:
                return
            query["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    def _ask(self, **query: Any) -> "QueryOutputTypeDef":
        with passing_trouble("reading items"):
            return self._client.query(TableName=self._table, **{"ConsistentRead": True, **query})


class GrantsWithCounters:
    """What is known about a batch of rows: one query a row, and what a principal's rows have in common read once.

    Of a principal with hundreds of items there are its requests and grants, and the row's counters among the first of
    them: then a denial may have been seen more often than is told.
    """

    def __init__(self, ledger: LedgerQueries) -> None:
        self._ledger = ledger
        self._common: dict[str, list[Item]] = {}

    def of(self, pk: str, sk: str) -> GrantWithCounters:
        """One row as it is now, with the principal's others and the row's counters as they were in this batch."""
        if pk not in self._common:
            found, complete = self._ledger.rows_and_counters(pk)
            self._common[pk] = found if complete else self._ledger.requests_and_counters(pk)
            if complete:
                return _grant_with_counters(sk, found)
        others = [item for item in self._common[pk] if item["sk"]["S"] != sk]
        return _grant_with_counters(sk, [*others, *self._ledger.itself(pk, sk)])


def _grant_with_counters(sk: str, items: Iterable[Item]) -> GrantWithCounters:
    return GrantWithCounters(sk, list({item["sk"]["S"]: item for item in items}.values()))


def _belongs(counter: Item, sk: str) -> bool:
    return bool(counter["row"]["S"] == sk)


def is_counter(item: Item) -> bool:
    """Whether an item is a counter."""
    return str(item["sk"]["S"]).startswith(SEEN_PREFIX)


def _is_row(item: Item) -> bool:
    return not is_counter(item) and item["sk"]["S"] != HABITS


def _between(pk: str, first: str, last: str, **values: str) -> dict[str, Any]:
    """The condition for the items of a principal whose sk lies between two; `values` are others of the query's."""
    values = {"pk": pk, "first": first, "last": last, **values}
    return {
        "KeyConditionExpression": "pk = :pk AND sk BETWEEN :first AND :last",
        "ExpressionAttributeValues": {f":{name}": marshal(value) for name, value in values.items()},
    }


def _sightings(items: Iterable[Item]) -> Sightings:
    counters = [read_seen(item) for item in items]
    return Sightings(
        count=sum(seen.count for seen in counters),
        first_at=min((seen.first_at for seen in counters), default=None),
        last_at=max((seen.last_at for seen in counters), default=None),
    )


logger = logging.getLogger(__name__)

_BATCH: Final = 100
TRIES: Final = 4
_FIRST_WAIT: Final = 0.05


class Known(Struct, frozen=True):
    """What was read of the ledger at once.

    `seen` are counters by (pk, fingerprint), those that are not there left out, `rows` rows by (pk, sk), None for one
    that is not there, `habits` and `usage` those of principals by pk.
    """

    seen: dict[tuple[str, str], Seen]
    rows: dict[tuple[str, str], Grant | None]
    habits: dict[str, Habits]
    usage: dict[str, Usage]


class LedgerReader(LedgerQueries):
    """What the ledger holds. Every method raises `RetryableError` on throttling."""

    def __init__(self, client: "DynamoDBClient", table: str, clock: Clock | None = None) -> None:
        super().__init__(client, table)
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

    def usage(self, pk: str) -> Usage:
        """What a principal has used of its bounds: nothing, at revision 0, where nobody was told of it lately."""
        with passing_trouble("reading what a principal has used of its bounds"):
            answer = self._client.get_item(TableName=self._table, Key=key(pk, USAGE), ConsistentRead=True)
        return read_usage(answer["Item"]) if "Item" in answer else Usage(pk=pk)

    def rows(self, keys: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Grant]:
        """The rows of these (pk, sk); what is not there is left out."""
        return {grant.key: grant for grant in map(read_grant, self._items(keys))}

    def seen(self, keys: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Seen]:
        """The counters of these (pk, fingerprint); what is not there is left out."""
        items = self._items((pk, SEEN_PREFIX + fingerprint) for pk, fingerprint in keys)
        return {seen.key: seen for seen in map(read_seen, items)}

    def known(self, counters: Iterable[tuple[str, str]], rows: Iterable[tuple[str, str]]) -> Known:
        """The counters of these (pk, fingerprint), what else is kept of their principals, and these rows, at once.

        What cannot be read is left out, so that it stands in nobody's way but his who reads it by itself.
        """
        seen = [(pk, SEEN_PREFIX + fingerprint) for pk, fingerprint in counters]
        principals = dict.fromkeys(pk for pk, _ in seen)
        known = Known(
            {},
            dict.fromkeys(rows),
            {pk: Habits(pk=pk) for pk in principals},
            {pk: Usage(pk=pk) for pk in principals},
        )
        kept = ((pk, sk) for pk in principals for sk in (HABITS, USAGE))
        for item in self._items([*seen, *kept, *known.rows]):
            pk, sk = item["pk"]["S"], item["sk"]["S"]
            try:
                if is_counter(item):
                    counter = read_seen(item)
                    known.seen[counter.key] = counter
                elif sk == HABITS:
                    known.habits[pk] = read_habits(item)
                elif sk == USAGE:
                    known.usage[pk] = read_usage(item)
                else:
                    known.rows[pk, sk] = read_grant(item)
            except msgspec.ValidationError:
                logger.exception("an item of the ledger cannot be read", extra={"pk": pk, "sk": sk})
                known.rows.pop((pk, sk), None)
                if sk == HABITS:
                    del known.habits[pk]
                elif sk == USAGE:
                    del known.usage[pk]
        return known

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
