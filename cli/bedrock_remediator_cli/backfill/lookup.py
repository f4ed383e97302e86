"""Records by CloudTrail's LookupEvents: the last ninety days of one account and region, two requests a second."""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

from bedrock_remediator.core.cloudtrail import INVOCATIONS
from bedrock_remediator_cli.backfill.pace import Pace

KEPT_FOR: Final = timedelta(days=90)
SECONDS_BETWEEN: Final = 0.55
"""AWS allows two requests a second in an account and region, and others may look too."""

_PAGE: Final = 50


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
                MaxResults=_PAGE,
                **token,
            )
            advance()
            for event in page.get("Events", ()):
                yield event["CloudTrailEvent"].encode()
            if not page.get("NextToken"):
                break
            token = {"NextToken": page["NextToken"]}
