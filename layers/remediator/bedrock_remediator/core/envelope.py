"""An EventBridge event with a CloudTrail record in it, as its bytes say it: typed, and nothing of it judged.

Shapes: docs/aws-facts.md §1. Every field may be missing or null. Of an event whose fields have unexpected types, the
strings are kept, so that it can be written down.
"""

from datetime import datetime
from typing import Any, Final

import msgspec
from msgspec import Struct


class RecordError(ValueError):
    """The bytes are no CloudTrail record in an EventBridge envelope: there is nothing in them to write down."""


class Issuer(Struct):
    """The role behind a session."""

    arn: str | None = None


class SessionContext(Struct):
    """What is told of a session."""

    issuer: Issuer | None = msgspec.field(default=None, name="sessionIssuer")
    source_identity: str | None = msgspec.field(default=None, name="sourceIdentity")


# Fields stand in the order in which AWS writes them: the decoder looks for the next one first.
class Identity(Struct):
    """Who called."""

    type: str | None = None
    principal_id: str | None = msgspec.field(default=None, name="principalId")
    arn: str | None = None
    account: str | None = msgspec.field(default=None, name="accountId")
    session: SessionContext | None = msgspec.field(default=None, name="sessionContext")


class Parameters(Struct):
    """What a call asked for, as far as it is looked at."""

    model_id: Any = msgspec.field(default=None, name="modelId")


# The client wrote them, so they may be anything, and a record is read whatever they are.
AnyParameters = Parameters | list[Any] | str | float | bool | None


class Record(Struct):
    """The record of a call, as far as it is looked at."""

    identity: Identity | None = msgspec.field(default=None, name="userIdentity")
    event_time: datetime | None = msgspec.field(default=None, name="eventTime")
    event_name: str | None = msgspec.field(default=None, name="eventName")
    region: str | None = msgspec.field(default=None, name="awsRegion")
    source_ip: str | None = msgspec.field(default=None, name="sourceIPAddress")
    user_agent: str | None = msgspec.field(default=None, name="userAgent")
    error_message: str | None = msgspec.field(default=None, name="errorMessage")
    parameters: AnyParameters = msgspec.field(default=None, name="requestParameters")
    event_id: str | None = msgspec.field(default=None, name="eventID")
    recipient: str | None = msgspec.field(default=None, name="recipientAccountId")
    shared_event_id: str | None = msgspec.field(default=None, name="sharedEventID")
    vpc_endpoint: str | None = msgspec.field(default=None, name="vpcEndpointId")
    vpc_endpoint_account: str | None = msgspec.field(default=None, name="vpcEndpointAccountId")


class Envelope(Struct, kw_only=True):
    """What EventBridge puts around a record. `origin` is this project's own word on events that were sent again."""

    id: str = ""
    account: str | None = None
    region: str | None = None
    detail: Record
    origin: str | None = None
    malformed: str | None = None


_envelopes = msgspec.json.Decoder(Envelope)
_LONG: Final = 8192
_LONGEST: Final = 1100
"""More than CloudTrail's 1 KB, so that a message that was cut here is known as cut."""
_UNDECODABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def decode(body: bytes | str) -> Envelope:
    """Decode one event; `malformed` says what did not fit where it was salvaged.

    Raises:
        RecordError: It is not JSON, or not an event with a CloudTrail record in it.
    """
    try:
        envelope = _envelopes.decode(body)
    except _UNDECODABLE as error:
        envelope = _salvage(body, str(error))
    if len(body) > _LONG:
        _cut(envelope)
    return envelope


def _cut(envelope: Envelope) -> None:
    """Cut what is longer than AWS writes it, since an item of the ledger holds 400 KB at most."""
    record = envelope.detail
    for part, names in (
        (envelope, ("id", "account", "region", "malformed")),
        (record, ("event_id", "shared_event_id", "region", "recipient", "source_ip", "error_message", "user_agent")),
        (record.identity, ("type", "principal_id", "account")),
    ):
        for name in names:
            if value := getattr(part, name, None):
                setattr(part, name, value[:_LONGEST])


def _salvage(body: bytes | str, error: str) -> Envelope:
    """What can be kept of an event whose fields have unexpected types: the strings among them."""
    try:
        event = msgspec.json.decode(body)
    except _UNDECODABLE as undecodable:
        raise RecordError(f"not JSON: {undecodable}") from undecodable
    detail = event.get("detail") if isinstance(event, dict) else None
    if not isinstance(detail, dict):
        raise RecordError(f"not an event with a CloudTrail record: {error}")
    identity = _strings(detail.get("userIdentity"))
    record = _strings(detail)
    return Envelope(
        detail=Record(
            event_name=record.get("eventName"),
            event_time=_time(record.get("eventTime")),
            event_id=record.get("eventID"),
            shared_event_id=record.get("sharedEventID"),
            region=record.get("awsRegion"),
            source_ip=record.get("sourceIPAddress"),
            user_agent=record.get("userAgent"),
            error_message=record.get("errorMessage"),
            recipient=record.get("recipientAccountId"),
            vpc_endpoint=record.get("vpcEndpointId"),
            vpc_endpoint_account=record.get("vpcEndpointAccountId"),
            identity=Identity(
                type=identity.get("type"),
                arn=identity.get("arn"),
                account=identity.get("accountId"),
                principal_id=identity.get("principalId"),
            ),
        ),
        id=_strings(event).get("id", ""),
        account=_strings(event).get("account"),
        region=_strings(event).get("region"),
        malformed=f"The record has a field of an unexpected type ({error}).",
    )


def _strings(value: Any) -> dict[str, str]:
    return {key: item for key, item in value.items() if isinstance(item, str)} if isinstance(value, dict) else {}


def _time(text: str | None) -> datetime | None:
    try:
        return msgspec.convert(text, datetime)
    except msgspec.ValidationError:
        return None
