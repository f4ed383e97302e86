"""One run: reads what was given, sets the sandbox up, and lets it work.

An event is one of EventBridge's own, or a CloudTrail record, which gets the envelope that EventBridge has.
"""

import json
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from sandbox.buses import BY_CLOUDTRAIL
from sandbox.documents import BadInputError, read_objects, read_text
from sandbox.stack import Options, Sandbox


def envelopes(value: Any, name: str) -> Iterator[dict[str, Any]]:
    """The events that an object holds.

    It is an EventBridge event, a CloudTrail record, a log file's `Records`, or the `Events` that `aws cloudtrail
    lookup-events` prints. A bare record is wrapped as CloudTrail hands it to EventBridge.

    Raises:
        BadInputError: It is none of these; `name` is what the message calls it.
    """
    if not isinstance(value, dict):
        raise BadInputError(f"{name}: an event is a JSON object, and this is {type(value).__name__}")
    if isinstance(value.get("Records"), list):
        for record in value["Records"]:
            yield from envelopes(record, name)
    elif isinstance(value.get("Events"), list):
        for found in value["Events"]:
            yield from envelopes(_looked_up(found, name), name)
    elif "CloudTrailEvent" in value:
        yield from envelopes(_looked_up(value, name), name)
    elif "detail-type" in value and "detail" in value:
        yield value
    elif "eventSource" in value and "eventName" in value:
        yield _wrapped(value)
    else:
        raise BadInputError(
            f"{name}: neither an EventBridge event, nor a CloudTrail record or log file, nor what lookup-events prints"
        )


def _looked_up(found: Any, name: str) -> Any:
    """The record in one event of `lookup-events`, which holds it as text."""
    text = found.get("CloudTrailEvent") if isinstance(found, dict) else None
    try:
        return json.loads(text) if isinstance(text, str) else found
    except ValueError as error:
        raise BadInputError(f"{name}: a CloudTrailEvent is no JSON ({error})") from error


def _wrapped(record: dict[str, Any]) -> dict[str, Any]:
    identity = record.get("userIdentity")
    account = record.get("recipientAccountId") or (identity.get("accountId") if isinstance(identity, dict) else None)
    return {
        "version": "0",
        "id": str(uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(record, sort_keys=True))),
        "detail-type": BY_CLOUDTRAIL,
        "source": f"aws.{str(record['eventSource']).partition('.')[0]}",
        "account": account,
        "time": record.get("eventTime"),
        "region": record.get("awsRegion"),
        "resources": [],
        "detail": record,
    }


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
