import gzip
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from bedrock_remediator.core import cloudtrail
from bedrock_remediator.core.cloudtrail import Denial
from bedrock_remediator_cli.backfill import reading, sending
from bedrock_remediator_cli.backfill.pace import Pace
from bedrock_remediator_cli.backfill.reading import period
from bedrock_remediator_cli.backfill.records import PastDenial, denials
from bedrock_remediator_cli.trouble import EnvironmentTrouble
from tests.builders import records as make
from tests.builders.clocks import StoppedClock

SINCE = datetime(2026, 11, 16, tzinfo=UTC)
UNTIL = datetime(2026, 11, 26, tzinfo=UTC)


def packed(**changes: Any) -> bytes:
    """A record as bytes."""
    return json.dumps(make.record(**{"eventTime": "2026-11-20T10:00:00Z"} | changes)).encode()


def ids(records: list[bytes]) -> list[str]:
    """The ids of the denials among records."""
    return [each.id for each in denials(records, SINCE, UNTIL)]


def test_a_denial_is_wrapped_as_eventbridge_would_and_marked() -> None:
    """The service reads the same denial from the envelope, and that a person put it in."""
    (found,) = denials([packed(eventID="e-1")], SINCE, UNTIL)
    read = cloudtrail.read(found.body)
    assert isinstance(read, Denial)
    assert (read.event_id, read.backfill, read.certain) == ("e-1", True, True)
    assert json.loads(found.body)["detail"] == json.loads(packed(eventID="e-1"))


@pytest.mark.parametrize(
    "changes",
    [
        {"errorCode": None},
        {"errorCode": "ThrottlingException"},
        {"errorCode": "ResourceNotFoundException", "errorMessage": "no such model"},
        {"eventName": "ListInferenceProfiles"},
        {"eventSource": "s3.amazonaws.com"},
        {"eventTime": "2026-11-01T00:00:00Z"},
        {"eventTime": "2026-11-26T00:00:01Z"},
        {"awsRegion": None},
        {"eventName": 7},
    ],
)
def test_other_records_are_left_out(changes: dict[str, Any]) -> None:
    """What the rule would not match, or lies outside the period, is no denial to put through."""
    assert ids([packed(**changes)]) == []


def test_every_event_comes_once() -> None:
    """Two copies of an event are one; both names of the error count."""
    records = [packed(eventID="a"), packed(eventID="a"), packed(eventID="b", errorCode="AccessDeniedException")]
    assert ids(records) == ["a", "b"]


def test_files_of_every_form_are_read(tmp_path: Path) -> None:
    """Packed files of CloudTrail, lists, JSON lines and EventBridge's events, in folders of folders."""
    log = b'{"Records": [%s, %s]}' % (packed(eventID="a"), packed(eventID="b"))
    (tmp_path / "2026").mkdir()
    (tmp_path / "2026" / "a.json.gz").write_bytes(gzip.compress(log))
    (tmp_path / "c.json").write_bytes(b"[%s]" % packed(eventID="c"))
    (tmp_path / "d.jsonl").write_bytes(packed(eventID="d") + b"\n\n" + packed(eventID="e"))
    (tmp_path / "f.json").write_text(json.dumps(make.event(json.loads(packed(eventID="f")))))
    (tmp_path / "notes.txt").write_text("nothing")
    steps: list[None] = []
    found = list(reading.from_folder(tmp_path, lambda: steps.append(None)))
    assert (ids(found), len(steps)) == (["a", "b", "c", "d", "e", "f"], 4)


def test_records_that_are_no_text_are_left_out() -> None:
    """Bytes that are no UTF-8, and nesting without end, are no denials and stop nothing."""
    spoiled = packed(eventID="x").replace(b"Amazon", b"\xff\xfe").replace(b"userAgent", b"\xffAgent")
    nested = b'{"requestParameters": ' + b"[" * 50_000 + b"]" * 50_000 + b"}"
    assert ids([spoiled, nested, packed(eventID="y")]) == ["y"]


@pytest.mark.parametrize(
    ("name", "content"), [("a.json", b"{"), ("b.json", b"[" * 50_000), ("a.json.gz", b"\x1f\x8bnothing")]
)
def test_files_that_cannot_be_read_are_named(tmp_path: Path, name: str, content: bytes) -> None:
    """A broken file ends the command with its name."""
    (tmp_path / name).write_bytes(content)
    with pytest.raises(EnvironmentTrouble, match=name):
        list(reading.from_folder(tmp_path, lambda: None))
    (tmp_path / name).unlink()
    with pytest.raises(EnvironmentTrouble, match="holds no file"):
        list(reading.from_folder(tmp_path, lambda: None))


class Bucket:
    """A bucket of CloudTrail's, with two pages of keys."""

    def __init__(self, objects: Mapping[str, bytes]) -> None:
        self.objects = objects
        self.fetched: list[str] = []

    def list_objects_v2(self, **arguments: Any) -> Mapping[str, Any]:
        """A page of one key."""
        keys = sorted(key for key in self.objects if key.startswith(arguments["Prefix"]))
        start = int(arguments.get("ContinuationToken", 0))
        page = {"Contents": [{"Key": key} for key in keys[start : start + 1]], "IsTruncated": start + 1 < len(keys)}
        return page | {"NextContinuationToken": str(start + 1)}

    def get_object(self, **arguments: Any) -> Mapping[str, Any]:
        """An object."""
        import io  # noqa: PLC0415 - for this answer

        self.fetched.append(arguments["Key"])
        return {"Body": io.BytesIO(self.objects[arguments["Key"]])}


def test_a_bucket_is_read_by_days() -> None:
    """Keys of days long before the period are not fetched."""
    trail = "AWSLogs/123456789012/CloudTrail/us-east-1"
    log = b'{"Records": [%s]}'
    bucket = Bucket(
        {
            f"{trail}/2026/11/10/a.json.gz": log % packed(eventID="a"),
            f"{trail}/2026/11/15/b.json.gz": log % packed(eventID="b"),
            f"{trail}/2026/11/20/c.json.gz": gzip.compress(log % packed(eventID="c")),
            "AWSLogs/123456789012/CloudTrail-Digest/2026/11/20/d.json.gz": b"{}",
        }
    )
    found = list(reading.from_bucket(bucket, f"s3://logs/{trail}/", SINCE, lambda: None))
    assert (ids(found), len(bucket.fetched)) == (["b", "c"], 2)
    with pytest.raises(EnvironmentTrouble, match="names no bucket"):
        list(reading.from_bucket(bucket, "s3:///x", SINCE, lambda: None))


class Throttled:
    """CloudTrail's event history, too busy for the first calls."""

    def __init__(self, clock: StoppedClock, busy: int = 0) -> None:
        self.clock = clock
        self.busy = busy
        self.times: list[datetime] = []

    def lookup_events(self, **arguments: Any) -> Mapping[str, Any]:
        """A page of one event, three pages a name."""
        self.times.append(self.clock.now())
        if len(self.times) <= self.busy:
            raise ClientError({"Error": {"Code": "ThrottlingException"}}, "LookupEvents")
        start = int(arguments.get("NextToken", 0))
        name = arguments["LookupAttributes"][0]["AttributeValue"]
        event = {"CloudTrailEvent": packed(eventID=f"{name}-{start}", eventName=name).decode()}
        return {"Events": [event]} | ({"NextToken": str(start + 1)} if start < 2 else {})


def test_lookups_keep_to_two_a_second() -> None:
    """Every page of all four operations is read, no faster than CloudTrail allows."""
    clock = StoppedClock(UNTIL)
    trail = Throttled(clock)
    found = list(reading.looked_up(trail, Pace(clock, reading.SECONDS_BETWEEN), SINCE, UNTIL, lambda: None))
    assert len(ids(found)) == len(trail.times) == 12
    assert (len(clock.waits), min(clock.waits) >= 0.5) == (11, True)


def test_a_busy_cloudtrail_is_waited_for_and_given_up() -> None:
    """Throttling is met with longer and longer waits, and after six of them with the error."""
    clock = StoppedClock(UNTIL)
    found = reading.looked_up(Throttled(clock, busy=3), Pace(clock, 0.5), SINCE, UNTIL, lambda: None)
    assert len(list(found)) == 12
    assert [wait for wait in clock.waits if wait != 0.5] == [2, 4, 8]
    with pytest.raises(ClientError, match="ThrottlingException"):
        list(reading.looked_up(Throttled(clock, busy=99), Pace(clock, 0.5), SINCE, UNTIL, lambda: None))


class Query:
    """Athena, with one row on each of two pages."""

    def __init__(self, *states: str) -> None:
        self.states = list(states)
        self.given: dict[str, Any] = {}

    def start_query_execution(self, **arguments: Any) -> Mapping[str, Any]:
        """Begin."""
        self.given = arguments
        return {"QueryExecutionId": "q-1"}

    def get_query_execution(self, **_: Any) -> Mapping[str, Any]:
        """The next state."""
        status = {"State": self.states.pop(0), "StateChangeReason": "no such table"}
        return {"QueryExecution": {"Status": status}}

    def get_query_results(self, **arguments: Any) -> Mapping[str, Any]:
        """A page."""
        first = "NextToken" not in arguments
        record = make.record(eventTime="2026-11-20T10:00:00Z", eventID="a" if first else "b")
        identity = record["userIdentity"]
        issuer = identity.get("sessionContext", {}).get("sessionIssuer", {}).get("arn")
        own = {
            "identity_type": identity["type"],
            "identity_principal_id": identity["principalId"],
            "identity_arn": identity["arn"],
            "identity_account": identity["accountId"],
            "issuer_arn": issuer,
            "requestParameters": json.dumps(record.get("requestParameters")),
        }
        cells = [own.get(name, record.get(name)) for name, _ in reading._COLUMNS]
        row = {"Data": [{"VarCharValue": cell} if cell is not None else {} for cell in cells]}
        heading = {"Data": [{"VarCharValue": name.lower()} for name, _ in reading._COLUMNS]}
        rows = [heading, row] if first else [row]
        return {"ResultSet": {"Rows": rows}} | ({"NextToken": "2"} if first else {})


def test_athenas_rows_become_records() -> None:
    """The query is run where it is asked to, waited for, and its rows read as the records they were."""
    client = Query("QUEUED", "RUNNING", "SUCCEEDED")
    text = reading.query("logs.trail", SINCE, UNTIL)
    place = reading.Place(workgroup="ops", database="logs", output="s3://results/")
    found = list(reading.run(client, text, place, StoppedClock(UNTIL)))
    assert ids(found) == ["a", "b"]
    assert (client.given["WorkGroup"], client.given["QueryString"]) == ("ops", text)
    (first, _) = denials(found, SINCE, UNTIL)
    read = cloudtrail.read(first.body)
    assert isinstance(read, Denial)
    assert (read.caller.principal is not None, read.certain) == (True, True)


def test_a_query_that_fails_says_why() -> None:
    """Athena's own reason is passed on; a table's name cannot carry anything else."""
    place = reading.Place(workgroup="ops", database="logs")
    with pytest.raises(EnvironmentTrouble, match="no such table"):
        list(reading.run(Query("FAILED"), "SELECT 1", place, StoppedClock(UNTIL)))
    with pytest.raises(EnvironmentTrouble, match="no table's name"):
        reading.query("trail; DROP TABLE x", SINCE, UNTIL)


class BusyQueue:
    """A queue that refuses some messages."""

    def __init__(self, *answers: list[dict[str, Any]]) -> None:
        self.answers = list(answers)
        self.batches: list[int] = []

    def send_message_batch(self, **arguments: Any) -> Mapping[str, Any]:
        """Take a batch, but for those that the next answer names."""
        self.batches.append(len(arguments["Entries"]))
        return {"Failed": self.answers.pop(0) if self.answers else []}


def past(number: int) -> PastDenial:
    """A denial to send."""
    return PastDenial(id=f"e-{number}", time=SINCE, body="{}")


def test_sending_tries_again_what_was_too_much() -> None:
    """Ten at a time; what the queue could not take at the moment is sent again, what is wrong is told."""
    queue = BusyQueue(
        [
            {"Id": "0", "Code": "InternalError", "SenderFault": False},
            {"Id": "3", "Code": "InvalidMessageContents", "SenderFault": True},
        ]
    )
    steps: list[int] = []
    sent = sending.send(queue, "url", [past(number) for number in range(12)], StoppedClock(UNTIL), steps.append)
    assert (sent.count, dict(sent.refused)) == (11, {"e-3": "InvalidMessageContents: "})
    assert (queue.batches, steps) == ([10, 1, 2], [10, 2])


def test_large_denials_go_in_small_batches() -> None:
    """A batch stays below what SQS takes at once."""
    queue = BusyQueue()
    large = [PastDenial(id=str(number), time=SINCE, body="x" * 100_000) for number in range(3)]
    assert sending.send(queue, "url", large, StoppedClock(UNTIL), lambda _: None).count == 3
    assert queue.batches == [2, 1]


def test_periods_are_what_people_write() -> None:
    """A length before now or a moment; a period that ends before it begins is refused."""
    assert period("7d", None, UNTIL) == (UNTIL - timedelta(days=7), UNTIL)
    assert period("2026-11-20", "36h", UNTIL) == (datetime(2026, 11, 20, tzinfo=UTC), UNTIL - timedelta(hours=36))
    for since, until in (("1h", "2h"), ("none", None), ("last week", None)):
        with pytest.raises(Exception, match=r"period|ends before"):
            period(since, until, UNTIL)
