"""From CloudTrail's records to the events that the service takes: which are denials, and the envelope round them."""

import uuid
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Final

import msgspec
from msgspec import Struct

from bedrock_remediator.core.cloudtrail import INVOCATIONS

DETAIL_TYPE: Final = "AWS API Call via CloudTrail"
ORIGIN: Final = "backfill"
"""Marks an event that a person put in: it never applies by itself, whatever a rule says."""

_SOURCE: Final = "bedrock.amazonaws.com"


class _Identity(Struct):
    account: str | None = msgspec.field(default=None, name="accountId")


class _Record(Struct):
    """What tells a denial from other records."""

    identity: _Identity | None = msgspec.field(default=None, name="userIdentity")
    time: datetime | None = msgspec.field(default=None, name="eventTime")
    source: str | None = msgspec.field(default=None, name="eventSource")
    name: str | None = msgspec.field(default=None, name="eventName")
    region: str | None = msgspec.field(default=None, name="awsRegion")
    error_code: str | None = msgspec.field(default=None, name="errorCode")
    error_message: str | None = msgspec.field(default=None, name="errorMessage")
    id: str | None = msgspec.field(default=None, name="eventID")
    recipient: str | None = msgspec.field(default=None, name="recipientAccountId")


class _Envelope(Struct, rename={"detail_type": "detail-type"}):
    version: str
    id: str
    detail_type: str
    source: str
    account: str | None
    time: str
    region: str
    resources: list[str]
    detail: msgspec.Raw
    origin: str


class PastDenial(Struct, frozen=True, kw_only=True):
    """A denial as it is put through the queue: `id` is the event's, `body` the whole event as JSON."""

    id: str
    time: datetime
    body: str


_records = msgspec.json.Decoder(_Record)
_encoder = msgspec.json.Encoder()


def denials(records: Iterable[bytes], since: datetime, until: datetime) -> Iterator[PastDenial]:
    """The denials among records (JSON each), those of the time between; each event once, in the order they come.

    A denial is what the stack's rule matches: one of the four invocation operations, refused.
    """
    known: set[str] = set()
    for raw in records:
        denial = _denial(raw)
        if denial and since <= denial.time <= until and denial.id not in known:
            known.add(denial.id)
            yield denial


def _denial(raw: bytes) -> PastDenial | None:
    try:
        record, text = _records.decode(raw), raw.decode()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None  # no text, or not even the fields that tell a denial have their types
    if record.source != _SOURCE or record.name not in INVOCATIONS or not _refused(record):
        return None
    if record.time is None or record.time.tzinfo is None or not record.region:
        return None
    identifier = record.id or str(uuid.uuid5(uuid.NAMESPACE_URL, text))
    envelope = _Envelope(
        version="0",
        id=identifier,
        detail_type=DETAIL_TYPE,
        source="aws.bedrock",
        account=record.recipient or (record.identity.account if record.identity else None),
        time=record.time.isoformat().replace("+00:00", "Z"),
        region=record.region,
        resources=[],
        detail=msgspec.Raw(raw),
        origin=ORIGIN,
    )
    return PastDenial(id=identifier, time=record.time, body=_encoder.encode(envelope).decode())


def _refused(record: _Record) -> bool:
    """Whether the rule of the stack matches its error (docs/aws-facts.md §1.4)."""
    code = record.error_code or ""
    return code.startswith("AccessDenied") or (
        code == "ResourceNotFoundException" and "Access denied" in (record.error_message or "")
    )
