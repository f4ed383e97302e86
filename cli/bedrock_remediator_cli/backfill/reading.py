"""Where past denials are read from: LookupEvents (`looked_up`), Athena (`query`, `run`), files (`from_folder`, …).

CloudTrail's LookupEvents has the last ninety days of one account and region, two requests a second. Athena asks the
table of an organization's trail. The trail's own files are `.json.gz`, plain JSON or JSON lines, in a folder or under a
prefix of S3. `period` and `moment` read the period that a person names: `7d`, `36h`, or a moment.
"""

import gzip
import io
import json
import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, Protocol

import click
import msgspec
from msgspec import Struct

from bedrock_remediator.clock import Clock
from bedrock_remediator.core.cloudtrail import INVOCATIONS
from bedrock_remediator.core.durations import WITHOUT_END, parse_length
from bedrock_remediator_cli.backfill.pace import Pace
from bedrock_remediator_cli.trouble import EnvironmentTrouble


def moment(text: str, now: datetime, option: str) -> datetime:
    """A moment: so long before now (`90m`, `36h`, `7d`), or ISO 8601, in UTC unless it says otherwise.

    Raises:
        click.BadParameter: It is neither.
    """
    try:
        length = None if text == WITHOUT_END else parse_length(text)
    except ValueError:
        length = None
    if length is not None:
        return now - length
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise click.BadParameter(
            f"{text!r} is no period and no time: write 7d, 36h or 2026-11-19T00:00:00Z", param_hint=option
        ) from None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)


def period(since: str, until: str | None, now: datetime) -> tuple[datetime, datetime]:
    """The two ends.

    Raises:
        click.BadParameter: One is no moment, or the period ends before it begins.
    """
    first = moment(since, now, "--since")
    last = moment(until, now, "--until") if until else now
    if first >= last:
        raise click.BadParameter("the period ends before it begins", param_hint="--until")
    return first, last


KEPT_FOR: Final = timedelta(days=90)
SECONDS_BETWEEN: Final = 0.55
"""AWS allows two requests a second in an account and region, and others may look too."""

_EVENTS_A_PAGE: Final = 50


class CloudTrail(Protocol):
    """What is asked of CloudTrail."""

    def lookup_events(self, **arguments: Any) -> Mapping[str, Any]:
        """A page of events, the newest first."""
        ...


def looked_up(
    client: CloudTrail, pace: Pace, since: datetime, until: datetime, advance: Callable[[], None]
) -> Iterator[bytes]:
    """The records of the four invocation operations, refused or not: no lookup can ask for errors alone.

    Args:
        client: CloudTrail's, in the region.
        pace: Of all lookups.
        since: The earliest time.
        until: The latest time.
        advance: Told of each page.

    Raises:
        botocore.exceptions.ClientError: AWS refused.
    """
    for name in INVOCATIONS:
        token: dict[str, str] = {}
        while True:
            page = pace.call(
                client.lookup_events,
                LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": name}],
                StartTime=since,
                EndTime=until,
                MaxResults=_EVENTS_A_PAGE,
                **token,
            )
            advance()
            for event in page.get("Events", ()):
                yield event["CloudTrailEvent"].encode()
            if not page.get("NextToken"):
                break
            token = {"NextToken": page["NextToken"]}


_NAME: Final = re.compile(r"[A-Za-z0-9_]{1,128}(\.[A-Za-z0-9_]{1,128}){0,2}")
_SECONDS: Final = 2.0
_LONGEST: Final = 1800.0
_PAGE: Final = 1000
_COLUMNS: Final = (
    ("eventID", "eventid"),
    ("sharedEventID", "sharedeventid"),
    ("eventTime", "eventtime"),
    ("eventSource", "eventsource"),
    ("eventName", "eventname"),
    ("awsRegion", "awsregion"),
    ("sourceIPAddress", "sourceipaddress"),
    ("userAgent", "useragent"),
    ("errorCode", "errorcode"),
    ("errorMessage", "errormessage"),
    ("requestParameters", "requestparameters"),
    ("recipientAccountId", "recipientaccountid"),
    ("identity_type", "useridentity.type"),
    ("identity_principal_id", "useridentity.principalid"),
    ("identity_arn", "useridentity.arn"),
    ("identity_account", "useridentity.accountid"),
    ("issuer_arn", "useridentity.sessioncontext.sessionissuer.arn"),
)
_IDENTITY: Final = {
    "type": "identity_type",
    "principalId": "identity_principal_id",
    "arn": "identity_arn",
    "accountId": "identity_account",
}


class Athena(Protocol):
    """What is asked of Athena."""

    def start_query_execution(self, **arguments: Any) -> Mapping[str, Any]:
        """Begin a query."""
        ...

    def get_query_execution(self, **arguments: Any) -> Mapping[str, Any]:
        """How it stands."""
        ...

    def get_query_results(self, **arguments: Any) -> Mapping[str, Any]:
        """A page of its rows."""
        ...


class Place(Struct, frozen=True, kw_only=True):
    """Where a query runs: the workgroup and database, and where results go if the workgroup does not say."""

    workgroup: str
    database: str
    output: str | None = None


def query(table: str, since: datetime, until: datetime) -> str:
    """The query, for a table as CloudTrail's console makes it.

    Raises:
        EnvironmentTrouble: The table's name is none.
    """
    if not _NAME.fullmatch(table):
        raise EnvironmentTrouble(f"{table!r} is no table's name: write TABLE or DATABASE.TABLE")
    columns = ",\n  ".join(f'{column} AS "{name}"' for name, column in _COLUMNS)
    names = ", ".join(f"'{name}'" for name in INVOCATIONS)
    return (
        f"SELECT\n  {columns}\n"
        f"FROM {table}\n"
        f"WHERE eventsource = 'bedrock.amazonaws.com'\n"
        f"  AND eventname IN ({names})\n"
        f"  AND (errorcode LIKE 'AccessDenied%' OR (errorcode = 'ResourceNotFoundException'"
        f" AND errormessage LIKE '%Access denied%'))\n"
        f"  AND eventtime BETWEEN '{_moment(since)}' AND '{_moment(until)}'\n"
        f"ORDER BY eventtime"
    )


def run(client: Athena, text: str, place: Place, clock: Clock) -> Iterator[bytes]:
    """Run the query, wait for it, and read its rows as records.

    Raises:
        EnvironmentTrouble: It failed, or takes longer than half an hour.
        botocore.exceptions.ClientError: Athena refused.
    """
    more: dict[str, Any] = {"ResultConfiguration": {"OutputLocation": place.output}} if place.output else {}
    identifier = client.start_query_execution(
        QueryString=text, WorkGroup=place.workgroup, QueryExecutionContext={"Database": place.database}, **more
    )["QueryExecutionId"]
    _wait(client, identifier, clock)
    token: dict[str, str] = {}
    headed = False
    while True:
        page = client.get_query_results(QueryExecutionId=identifier, MaxResults=_PAGE, **token)
        # The first row of the first page names the columns; their order is ours, their case may be Athena's.
        for row in page["ResultSet"]["Rows"][0 if headed else 1 :]:
            names = (name for name, _ in _COLUMNS)
            yield _record(dict(zip(names, (cell.get("VarCharValue") for cell in row["Data"]), strict=False)))
        headed = True
        if not page.get("NextToken"):
            return
        token = {"NextToken": page["NextToken"]}


def _wait(client: Athena, identifier: str, clock: Clock) -> None:
    waited = 0.0
    while waited < _LONGEST:
        status = client.get_query_execution(QueryExecutionId=identifier)["QueryExecution"]["Status"]
        if status["State"] == "SUCCEEDED":
            return
        if status["State"] in {"FAILED", "CANCELLED"}:
            reason = status.get("StateChangeReason", status["State"])
            raise EnvironmentTrouble(f"Athena's query {identifier} failed: {reason}")
        clock.sleep(_SECONDS)
        waited += _SECONDS
    raise EnvironmentTrouble(f"Athena's query {identifier} has not ended after half an hour.")


def _record(row: Mapping[str, str | None]) -> bytes:
    """The record that a row was made of, as far as the service reads it."""
    identity: dict[str, Any] = {name: row[column] for name, column in _IDENTITY.items() if row.get(column)}
    plain = {name: value for name, value in row.items() if value is not None and "_" not in name}
    issuer = row.get("issuer_arn")
    if issuer:
        identity["sessionContext"] = {"sessionIssuer": {"arn": issuer}}
    parameters = plain.pop("requestParameters", None)
    return json.dumps({"userIdentity": identity, **plain, "requestParameters": _parameters(parameters)}).encode()


def _parameters(text: str | None) -> Any:
    """The request's parameters, which the table holds as JSON text."""
    try:
        return json.loads(text) if text else None
    except ValueError:
        return None


def _moment(time: datetime) -> str:
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


LARGEST: Final = 512 * 1024 * 1024
"""Bytes of one file, unpacked. CloudTrail's have some megabytes."""

_SUFFIXES: Final = (".json.gz", ".json", ".jsonl", ".jsonl.gz")
_DAY: Final = re.compile(r"/(\d{4})/(\d{2})/(\d{2})/")
_UNREADABLE: Final = (msgspec.DecodeError, RecursionError)
_LAG: Final = timedelta(days=1)


class _File(Struct):
    records: list[msgspec.Raw] | None = msgspec.field(default=None, name="Records")
    detail: msgspec.Raw = msgspec.Raw()


_files = msgspec.json.Decoder(_File)
_lists = msgspec.json.Decoder(list[msgspec.Raw])


class S3(Protocol):
    """What is asked of S3."""

    def list_objects_v2(self, **arguments: Any) -> Mapping[str, Any]:
        """A page of keys."""
        ...

    def get_object(self, **arguments: Any) -> Mapping[str, Any]:
        """An object."""
        ...


def from_folder(path: Path, advance: Callable[[], None]) -> Iterator[bytes]:
    """The records of a file, or of every file of CloudTrail's kinds in a folder and below it.

    Raises:
        EnvironmentTrouble: There is none, or one cannot be read.
    """
    files = sorted(each for each in path.rglob("*") if each.name.endswith(_SUFFIXES)) if path.is_dir() else [path]
    if not files:
        raise EnvironmentTrouble(f"{path} holds no file that ends in {', '.join(_SUFFIXES)}.")
    for file in files:
        try:
            content = file.read_bytes()
        except OSError as error:
            raise EnvironmentTrouble(f"{file} cannot be read: {error.strerror}") from error
        yield from records_of(content, str(file))
        advance()


def from_bucket(client: S3, address: str, since: datetime, advance: Callable[[], None]) -> Iterator[bytes]:
    """The records under `s3://BUCKET/PREFIX`. Keys of days before `since` are not read: CloudTrail's name their day.

    Raises:
        EnvironmentTrouble: The address is none, or an object is no file of CloudTrail's.
        botocore.exceptions.ClientError: S3 refused.
    """
    bucket, _, prefix = address.removeprefix("s3://").partition("/")
    if not bucket:
        raise EnvironmentTrouble(f"{address} names no bucket: write s3://BUCKET/PREFIX")
    token: dict[str, str] = {}
    while True:
        page = client.list_objects_v2(Bucket=bucket, Prefix=prefix, **token)
        for each in page.get("Contents", ()):
            key = each["Key"]
            if key.endswith(_SUFFIXES) and not _before(key, since):
                body = client.get_object(Bucket=bucket, Key=key)["Body"].read(LARGEST + 1)
                yield from records_of(body, f"s3://{bucket}/{key}")
                advance()
        if not page.get("IsTruncated"):
            return
        token = {"ContinuationToken": page["NextContinuationToken"]}


def records_of(content: bytes, name: str) -> Iterator[bytes]:
    """The records in a file's bytes, packed or not; `name` is what an error calls it.

    Raises:
        EnvironmentTrouble: It is no JSON, or too large.
    """
    text = _unpacked(content, name)
    try:
        yield from _of_value(text)
    except _UNREADABLE:
        try:
            for line in text.splitlines():
                if line.strip():
                    yield from _of_value(line)
        except _UNREADABLE as error:
            raise EnvironmentTrouble(f"{name} is neither a file of CloudTrail's nor JSON lines: {error}") from error


def _of_value(text: bytes) -> Iterator[bytes]:
    """The records of one JSON value: a file's `Records`, a list, an EventBridge event, or a record itself."""
    if text.lstrip()[:1] == b"[":
        for each in _lists.decode(text):
            yield from _of_value(bytes(each))
        return
    file = _files.decode(text)
    if file.records is not None:
        yield from map(bytes, file.records)
    else:
        yield bytes(file.detail) or text


def _unpacked(content: bytes, name: str) -> bytes:
    if content[:2] == b"\x1f\x8b":
        try:
            with gzip.GzipFile(fileobj=io.BytesIO(content)) as file:
                content = file.read(LARGEST + 1)
        except (OSError, EOFError, zlib.error) as error:
            raise EnvironmentTrouble(f"{name} cannot be unpacked: {error}") from error
    if len(content) > LARGEST:
        raise EnvironmentTrouble(f"{name} has more than {LARGEST} bytes.")
    return content


def _before(key: str, since: datetime) -> bool:
    """Whether a key names a day whose records are all earlier; a file may hold some of the day before it."""
    found = _DAY.search(key)
    return found is not None and "-".join(found.groups()) < f"{since - _LAG:%Y-%m-%d}"
