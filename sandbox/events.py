"""What counts as an event: EventBridge's own, or a CloudTrail record, which gets the envelope that EventBridge has."""

import json
import uuid
from collections.abc import Iterator
from typing import Any

from sandbox.buses import BY_CLOUDTRAIL
from sandbox.documents import BadInputError


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
