"""Reading the ledger by keys; see aws/ledger_queries.py for what is found without.

Every read is consistent: what a decision rests on must not be older than the last write.
"""

import logging
import secrets
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import Struct

from bedrock_remediator.aws.errors import RetryableError, passing_trouble
from bedrock_remediator.aws.ledger_items import (
    HABITS,
    SEEN_PREFIX,
    USAGE,
    Item,
    Seen,
    key,
    read_grant,
    read_habits,
    read_seen,
    read_usage,
)
from bedrock_remediator.aws.ledger_queries import LedgerQueries, is_counter
from bedrock_remediator.clock import Clock, SystemClock
from bedrock_remediator.core.grant import Grant
from bedrock_remediator.core.habits import Habits
from bedrock_remediator.core.usage import Usage

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

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
