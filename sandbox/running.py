"""One run: reads what was given, sets the sandbox up, and lets it work."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from sandbox.documents import BadInputError, read_objects, read_text
from sandbox.events import envelopes
from sandbox.stack import Options, Sandbox

_LAG: Final = timedelta(minutes=15)
"""How long after the last call the run takes place: CloudTrail lags minutes behind."""


class Given(Struct, frozen=True):
    """One event, and the name of what it came from."""

    name: str
    event: dict[str, Any]

    @property
    def ids(self) -> frozenset[str]:
        """Every id by which the ledger may know it."""
        detail = self.event.get("detail")
        record = detail if isinstance(detail, dict) else {}
        found = (record.get("eventID"), record.get("sharedEventID"), self.event.get("id"))
        return frozenset(one for one in found if isinstance(one, str))


def read_events(paths: Iterable[Path]) -> list[Given]:
    """The events of the files, in their order.

    Raises:
        BadInputError: A file cannot be read, or holds something else.
    """
    return [given for path in paths for given in events_of(read_text(path), str(path), path.stem)]


def events_of(text: str, where: str, name: str) -> list[Given]:
    """The events in a text: one JSON value, an array, or JSON lines.

    Raises:
        BadInputError: It holds something else; `where` is what the message calls it.
    """
    return [Given(name, event) for value in read_objects(text, where) for event in envelopes(value, where)]


def read_allowlist(path: Path | None) -> dict[str, str]:
    """The allowlist's documents by name: a file is `main`, a directory's files go by their own names.

    Raises:
        BadInputError: It cannot be read.
    """
    if path is None:
        return {}
    if path.is_dir():
        return {file.stem: read_text(file) for file in sorted(path.iterdir()) if file.is_file()}
    return {"main": read_text(path)}


def read_time(text: str) -> datetime:
    """A time as a person writes it: ISO 8601, in UTC unless it says otherwise.

    Raises:
        BadInputError: It is none.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise BadInputError(f"{text!r} is no time: write it as 2026-11-23T09:00:00Z") from error
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)


def time_after(events: Sequence[Given]) -> datetime:
    """When a run takes place if nobody says: a quarter of an hour after the latest call."""
    times = [time for given in events if (time := _event_time(given.event)) is not None]
    return max(times) + _LAG if times else Options().now


def _event_time(event: Mapping[str, Any]) -> datetime | None:
    detail = event.get("detail")
    text = detail.get("eventTime") if isinstance(detail, dict) else None
    try:
        return read_time(str(text or event.get("time")))
    except BadInputError:
        return None


def handle(sandbox: Sandbox, events: Iterable[Given], decide: Callable[[], None] | None = None) -> list[Given]:
    """Put the events in and let the stack come to rest; gives those that no rule matched.

    `decide` answers what then waits for a person; after it the stack comes to rest again.
    """
    unmatched = [given for given in events if not sandbox.put(given.event)]
    sandbox.run()
    if decide is not None:
        decide()
        sandbox.run()
    return unmatched
