"""CloudTrail: a trail of the account, and the records that LookupEvents gives back."""

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from sandbox.calls import ApiError, Call
from sandbox.world import World

_PAGE: Final = 50
_NAME: Final = "account-trail"


class Trail:
    """The account's one trail, which logs every management event of every region.

    Attributes:
        records: What it recorded; the newest is looked up first.
    """

    def __init__(self, world: World) -> None:
        self.records: list[Mapping[str, Any]] = []
        self._arn = f"arn:{world.partition}:cloudtrail:{world.region}:{world.account}:trail/{_NAME}"
        self._region = world.region
        self.answers: Mapping[str, Callable[[Call], Mapping[str, Any]]] = {
            "LookupEvents": self._lookup,
            "DescribeTrails": self._trails,
            "GetTrailStatus": lambda _: {"IsLogging": True},
            "GetEventSelectors": self._selectors,
        }

    def _trails(self, _: Call) -> Mapping[str, Any]:
        trail = {"Name": _NAME, "TrailARN": self._arn, "HomeRegion": self._region, "IsMultiRegionTrail": True}
        return {"trailList": [trail]}

    def _selectors(self, _: Call) -> Mapping[str, Any]:
        selector = {"ReadWriteType": "All", "IncludeManagementEvents": True, "DataResources": []}
        return {"TrailARN": self._arn, "EventSelectors": [selector]}

    def _lookup(self, call: Call) -> Mapping[str, Any]:
        attributes = call.parameters.get("LookupAttributes", [])
        if len(attributes) > 1:
            raise ApiError("InvalidLookupAttributesException", "You can only use one attribute.")
        found = [record for record in self._between(call) if _fits(record, attributes)]
        found.sort(key=lambda record: str(record["eventTime"]), reverse=True)
        start = int(call.parameters.get("NextToken", "0"))
        end = start + call.parameters.get("MaxResults", _PAGE)
        page = {"Events": [_event(record) for record in found[start:end]]}
        return page | ({"NextToken": str(end)} if end < len(found) else {})

    def _between(self, call: Call) -> Iterator[Mapping[str, Any]]:
        first, last = (_moment(call.parameters.get(name)) for name in ("StartTime", "EndTime"))
        for record in self.records:
            time = _moment(record["eventTime"])
            if record["awsRegion"] == call.region and (not first or time >= first) and (not last or time <= last):
                yield record


def _fits(record: Mapping[str, Any], attributes: list[Mapping[str, str]]) -> bool:
    fields = {"EventName": "eventName", "EventSource": "eventSource", "EventId": "eventID"}
    return all(record.get(fields[each["AttributeKey"]]) == each["AttributeValue"] for each in attributes)


def _event(record: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "EventId": record.get("eventID"),
        "EventName": record.get("eventName"),
        "EventSource": record.get("eventSource"),
        "EventTime": _moment(record["eventTime"]),
        "ReadOnly": "true",
        "CloudTrailEvent": json.dumps(record),
    }


def _moment(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    moment = datetime.fromisoformat(value)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
