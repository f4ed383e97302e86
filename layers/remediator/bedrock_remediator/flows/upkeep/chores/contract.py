"""What a chore is, and how it goes through rows: within its time, and past a row that makes trouble."""

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Any, Final, Protocol

from msgspec.structs import replace

from bedrock_remediator.aws.errors import RetryableError
from bedrock_remediator.aws.ledger.items import Due
from bedrock_remediator.aws.ledger.write import ConflictError
from bedrock_remediator.core.grant import Grant, State
from bedrock_remediator.core.waiting import BY
from bedrock_remediator.flows.current_rows import CurrentRows

logger = logging.getLogger(__name__)

HasTime = Callable[[], bool]
"""Whether there is time for one more row, or principal."""

Tally = Counter[str]
"""What a chore did -> how often. `failed` stands for what it could not do."""

FAILED: Final = "failed"
OVERTAKEN: Final = "overtaken"


class Chore(Protocol):
    """One of upkeep's chores. Run again at once it finds nothing left to do."""

    name: str

    def run(self, has_time: HasTime, /) -> Tally:
        """Do what is due, as far as the time goes; the rest waits for the next run.

        Raises:
            RetryableError: AWS does not answer at the moment.
        """
        ...


class Rows(CurrentRows, Protocol):
    """What a chore that goes through rows asks of the ledger."""

    def due(self, state: State, before: datetime | None = None, *, after: datetime | None = None) -> Iterator[Due]:
        """The rows in a state, by when something is due for them."""
        ...

    def move(self, before: Grant, after: Grant) -> None:
        """Take a row to its next state."""
        ...

    def update(self, before: Grant, after: Grant) -> None:
        """Note something on a row."""
        ...


def step(row: Grant, to: State, at: datetime, code: str, reason: str, **changes: Any) -> Grant:
    """The row in its next state, taken there by upkeep, with the reason in its history and on itself."""
    return replace(row.moved(to, at=at, by=BY, reason=reason), reason_code=code, reason=reason, **changes)


def tend(rows: Iterable[Grant], act: Callable[[Grant], str | None], has_time: HasTime) -> Tally:
    """Act on each row: one that makes trouble is counted, and holds up no other.

    Args:
        rows: The rows.
        act: Does it, and says what it did in a word; None for nothing.
        has_time: Whether there is time for one more.

    Raises:
        RetryableError: AWS does not answer at the moment, so there is no use in going on.
    """
    tally: Tally = Counter()
    for row in rows:
        if not has_time():
            break
        try:
            done = act(row)
        except ConflictError:
            done = OVERTAKEN
        except RetryableError:
            raise
        except Exception:
            logger.exception("a row could not be tended", extra={"pk": row.pk, "sk": row.sk})
            done = FAILED
        if done:
            tally[done] += 1
    return tally
