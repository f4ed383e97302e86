"""The ledger's items: which attributes each kind has, and how values are written in DynamoDB's own JSON.

| item | pk | sk | attributes |
| --- | --- | --- | --- |
| grant | principal | `profile#…`, `model#…`, `advice#…`, `kept#…` | the fields of `Grant`, `group`, `due_at` |
| archive | principal | `archive#<sk>#<version>` | the grant as it was, its state under `archived_state` |
| counter | principal | `seen#<fingerprint>` | the fields of `Seen` |
| habits | principal | `habits` | the fields of `Habits` |
| usage | principal | `bounds` | the fields of `Usage`, `expires` |
| notice marker | `notice#<principal>` | `<sk>#<version>#<state>` | `status`: claimed or sent |
| cap | `cap#<name>` | day | `used`, `expires` |
| notices of an hour | `notices` | hour | `used`, how many of each kind, `expires` |
| digest marker | `digest` | day or hour | `status`: claimed or sent, `expires` |
| place | `upkeep` | chore | `place`: where it goes on |
| Slack message | `slack#<principal>` | `<sk>#<conversation>` | the fields of `SlackMessage` (aws/slack_messages.py) |

What notify and slack write has partition keys of its own, by which IAM keeps the two from everything else
(`dynamodb:LeadingKeys`): a principal's begin with `arn:` or `account/`.

Advice is deleted by DynamoDB after some weeks, and with it its counters, its markers and what is archived of it: they
have `expires`, too.

Only a grant's row has `state`, so that writes to the others wake nobody who listens to the table's stream.

Times are UTC to the second, `YYYY-MM-DDTHH:MM:SSZ`: they sort as text, which the index `due` relies on. (The
serialiser that comes with boto3 reads numbers as Decimal, which no field of a grant is.)
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec
from msgspec import Struct

from bedrock_remediator.core.grant import Grant, State
from bedrock_remediator.core.suspicion import Habits
from bedrock_remediator.core.usage import Usage
from bedrock_remediator.core.waiting import is_advice, remark_of, reminded

Item = dict[str, Any]
"""An item in DynamoDB's JSON: attribute name -> {type letter: value}."""

SEEN_PREFIX: Final = "seen#"
HABITS: Final = "habits"
"""The sk of what is known of a principal."""
USAGE: Final = "bounds"
"""The sk of what a principal has used of its bounds: no row's, and not between those of its requests."""
FIRST_ROW: Final = "advice#"
PAST_LAST_ROW: Final = "profile$"
"""Every row's sk lies between these two; the counters, which can be many, do not (`$` follows `#`). From `HABITS` on
there are no advice and no archive, of which there can be as many."""
FIRST_MARKER: Final = "notice#"
FIRST_PROFILE: Final = "profile#"
"""The markers of notices, as many as there are rows and states, lie between the rows of models and of profiles."""
PAST_LAST_COUNTER: Final = "seen$"
"""Every row's and every counter's sk lies between `FIRST_ROW` and this."""

_LONGEST_PARTITION_KEY: Final = 2048
_LONGEST_SORT_KEY: Final = 1024
"""DynamoDB's limits, in bytes."""

BEGINNING: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""Before anything that the index has."""
NEVER: Final = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
"""When a grant without end expires, to the index."""

_STUCK_AFTER: Final = timedelta(minutes=15)
_ADVICE_KEPT: Final = timedelta(days=30)
"""How long advice is kept after its cool-down, which is a week at most."""
_USAGE_KEPT: Final = timedelta(days=30)
_CAP_KEPT: Final = timedelta(days=3)


class Seen(Struct, frozen=True, kw_only=True):
    """How often one denial (a principal, a profile or resource, an action) was seen, and the row it belongs to.

    `row` is the sk of the grant, under the same pk. `event_ids` are the last 100 eventIDs and sharedEventIDs counted.
    `revision` is 1 in a new one and one more with each write: the ledger holds every write to it.
    """

    pk: str
    fingerprint: str
    row: str
    count: int
    event_ids: tuple[str, ...]
    first_at: datetime
    last_at: datetime
    revision: int = 1

    @property
    def key(self) -> tuple[str, str]:
        """What `Ledger.seen` finds it by: (pk, fingerprint)."""
        return self.pk, self.fingerprint


class Cap(Struct, frozen=True, kw_only=True):
    """A limit a day on what a name may grant: `name` is `rule:<rule>`, say, `day` is `YYYY-MM-DD` in UTC."""

    name: str
    day: str
    limit: int


class Due(Struct, frozen=True, kw_only=True):
    """A row in the index `due`: its key, and the time that it is sorted by there."""

    pk: str
    sk: str
    due_at: datetime

    @property
    def key(self) -> tuple[str, str]:
        """The row's primary key."""
        return self.pk, self.sk


class Sightings(Struct, frozen=True, kw_only=True):
    """How often a row's denials were seen, of all actions together; no times where none was."""

    count: int
    first_at: datetime | None
    last_at: datetime | None


def grant_item(grant: Grant) -> Item:
    """The row of a grant; that of advice with its end, after which DynamoDB deletes it."""
    return _item(_fields(grant) | {"group": grant.group, "due_at": due_at(grant)} | advice_end(grant))


def archive_item(grant: Grant) -> Item:
    """The copy of a finished row that is reopened. Without `state`, `group` and `due_at`, so that it wakes nobody."""
    fields = _fields(grant)
    fields |= {"sk": f"archive#{grant.sk}#{grant.version}", "archived_state": fields.pop("state")}
    return _item(fields | advice_end(grant))


def advice_end(grant: Grant) -> dict[str, int]:
    """When advice is deleted, in seconds since 1970, under the attribute's name; of anything else nothing."""
    if not is_advice(grant.sk):
        return {}
    return {"expires": int(((grant.cool_down_until or grant.updated_at) + _ADVICE_KEPT).timestamp())}


def seen_item(seen: Seen, end: Mapping[str, int] | None = None) -> Item:
    """The counter of one denial; one that belongs to advice with the end of it."""
    fields = _fields(seen)
    fields["sk"] = SEEN_PREFIX + fields.pop("fingerprint")
    return _item({**fields, **(end or {})})


def usage_item(usage: Usage, now: datetime) -> Item:
    """What a principal has used of its bounds."""
    return _item(_fields(usage) | {"sk": USAGE, "expires": int((now + _USAGE_KEPT).timestamp())})


def read_usage(item: Mapping[str, Any]) -> Usage:
    """What a principal has used of its bounds, of its item.

    Raises:
        msgspec.ValidationError: The item is none of these.
    """
    return msgspec.convert(_values(item), Usage)


def habits_item(habits: Habits) -> Item:
    """What is known of a principal."""
    return _item(_fields(habits) | {"sk": HABITS})


def read_habits(item: Mapping[str, Any]) -> Habits:
    """What is known of a principal, of its item.

    Raises:
        msgspec.ValidationError: The item is none of these.
    """
    return msgspec.convert(_values(item), Habits)


def read_grant(item: Mapping[str, Any]) -> Grant:
    """The grant of a row.

    Raises:
        msgspec.ValidationError: The item is not a grant's row.
    """
    return msgspec.convert(_values(item), Grant)


def read_seen(item: Mapping[str, Any]) -> Seen:
    """The counter in an item.

    Raises:
        msgspec.ValidationError: The item is not a counter.
    """
    fields = _values(item)
    return msgspec.convert(fields | {"fingerprint": str(fields.get("sk")).removeprefix(SEEN_PREFIX)}, Seen)


def due_key(state: State, entry: Due) -> Item:
    """The key of an entry in the index `due`."""
    return key(entry.pk, entry.sk) | {"state": marshal(state.value), "due_at": marshal(entry.due_at)}


def read_due(item: Mapping[str, Any]) -> Due:
    """An entry of the index `due`.

    Raises:
        msgspec.ValidationError: The item is none.
    """
    return msgspec.convert(_values(item), Due)


def due_at(grant: Grant) -> datetime:
    """The time by which the index `due` sorts the rows of one state.

    For a row that something can become of, when upkeep must look at it: stuck, expired (never, for a grant without
    end), or waiting for a person since then. For a finished one, when it ended: the digest and the API's lists ask
    for those. The counters, of which there are far more, have no state and so stay out of the index.
    """
    if grant.state in (State.APPROVED, State.APPLYING, State.REVOKING):
        return grant.updated_at + _STUCK_AFTER
    if grant.state is State.ACTIVE:
        return grant.expires_at or NEVER
    return grant.updated_at


def key(pk: str, sk: str) -> Item:
    """A primary key."""
    return {"pk": {"S": pk}, "sk": {"S": sk}}


def is_key(pk: str, sk: str) -> bool:
    """Whether DynamoDB takes it for a primary key: neither part is empty, or longer than it allows."""
    return 0 < len(pk.encode()) <= _LONGEST_PARTITION_KEY and 0 < len(sk.encode()) <= _LONGEST_SORT_KEY


def notice_key(grant: Grant, *, link: bool = False) -> Item:
    """The key of the marker that says whether the notice of this state of the row went out.

    A reminder, and a remark on a row, are notices of their own beside that of the state. So is a new link that was
    asked for, of which a row may have one beside any of these: `link` is for its marker.
    """
    pk, sk = f"notice#{grant.pk}", f"{grant.sk}#{grant.version}#{grant.state}"
    if link and grant.link_asked_at:
        return key(pk, f"{sk}#link#{instant(grant.link_asked_at)}")
    remark = remark_of(grant)
    if reminded(grant):
        sk += "#reminded"
    elif remark:
        sk += f"#{remark.code}#{instant(remark.at)}"
    return key(pk, sk)


def cap_key(cap: Cap) -> Item:
    """The key of a day's counter."""
    return key(f"cap#{cap.name}", cap.day)


def cap_expiry(cap: Cap) -> int:
    """When DynamoDB may delete the day's counter, in seconds since 1970: some days later, when nobody asks for it."""
    return int((datetime.strptime(cap.day, "%Y-%m-%d").replace(tzinfo=UTC) + _CAP_KEPT).timestamp())


def marshal(value: Any) -> dict[str, Any]:
    """A value in DynamoDB's JSON: text, a whole number, a truth, None, a time, or a list or mapping of them.

    Raises:
        TypeError: It is something else.
        ValueError: It is a time without a time zone.
    """
    kind: str
    content: Any
    match value:
        case str():
            kind, content = "S", value
        case bool():
            kind, content = "BOOL", value
        case int():
            kind, content = "N", str(value)
        case None:
            kind, content = "NULL", True
        case datetime():
            kind, content = "S", instant(value)
        case list() | tuple():
            kind, content = "L", [marshal(element) for element in value]
        case dict():
            kind, content = "M", _item(value)
        case _:
            raise TypeError(f"the ledger holds no {type(value).__name__}")
    return {kind: content}


def unmarshal(attribute: Mapping[str, Any]) -> Any:
    """The value that `marshal` wrote; times stay text.

    Raises:
        TypeError: It is of a type that `marshal` does not write.
    """
    ((kind, value),) = attribute.items()
    match kind:
        case "S" | "BOOL":
            return value
        case "N":
            return int(value)
        case "NULL":
            return None
        case "L":
            return [unmarshal(element) for element in value]
        case "M":
            return _values(value)
        case _:
            raise TypeError(f"the ledger holds no attribute of type {kind}")


def instant(time: datetime) -> str:
    """A time as the ledger writes it.

    Raises:
        ValueError: It has no time zone.
    """
    if time.tzinfo is None:
        raise ValueError(f"{time} has no time zone")
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _fields(value: Struct) -> dict[str, Any]:
    fields: dict[str, Any] = msgspec.to_builtins(value, builtin_types=(datetime,))
    return fields


def _item(fields: Mapping[str, Any]) -> Item:
    return {name: marshal(value) for name, value in fields.items()}


def _values(item: Mapping[str, Any]) -> dict[str, Any]:
    return {name: unmarshal(attribute) for name, attribute in item.items()}
