"""The rows that the ledger's index names, as they are now, and past one that cannot be read."""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Final, Protocol

import msgspec

from bedrock_remediator.aws.ledger.items import Due
from bedrock_remediator.core.grant import Grant

logger = logging.getLogger(__name__)

_BATCH: Final = 100


class CurrentRows(Protocol):
    """What is asked of the ledger."""

    def grant(self, pk: str, sk: str) -> Grant | None:
        """One row."""
        ...

    def rows(self, keys: Iterable[tuple[str, str]]) -> Mapping[tuple[str, str], Grant]:
        """These rows."""
        ...


def current(ledger: CurrentRows, entries: Iterable[Due], go_on: Callable[[], bool] = lambda: True) -> Iterator[Grant]:
    """The rows that the index names, in its order; one that cannot be read is left out, and in the log.

    See `current_entries`.
    """
    return (row for _, row in current_entries(ledger, entries, go_on))


def current_entries(
    ledger: CurrentRows, entries: Iterable[Due], go_on: Callable[[], bool] = lambda: True
) -> Iterator[tuple[Due, Grant]]:
    """The same, each with its entry in the index.

    Args:
        ledger: The ledger.
        entries: What the index has.
        go_on: Whether to read on, asked before each batch.

    Raises:
        RetryableError: The ledger does not answer at the moment.
    """
    left = iter(entries)
    while go_on() and (batch := list(islice(left, _BATCH))):
        found = _read(ledger, [entry.key for entry in batch])
        yield from ((entry, found[entry.key]) for entry in batch if entry.key in found)


def _read(ledger: CurrentRows, keys: list[tuple[str, str]]) -> Mapping[tuple[str, str], Grant]:
    try:
        return ledger.rows(keys)
    except msgspec.ValidationError:
        # One of them is no grant's row: find out which, so that it holds up no other.
        return {key: row for key in keys if (row := _read_one(ledger, key))}


def _read_one(ledger: CurrentRows, key: tuple[str, str]) -> Grant | None:
    try:
        return ledger.grant(*key)
    except msgspec.ValidationError:
        logger.exception("a row cannot be read", extra={"pk": key[0], "sk": key[1]})
        return None
