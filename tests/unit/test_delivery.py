from datetime import UTC, datetime, timedelta

import pytest

from bedrock_remediator.core.cloudtrail import Delivery

CALLED = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)
EVENTBRIDGE = "AIDAEXAMPLEOFAWSSOWN"


def attributes(sender: str, after: timedelta) -> dict[str, str]:
    """A message's system attributes, sent so long after the call."""
    return {"SenderId": sender, "SentTimestamp": str(round((CALLED + after).timestamp() * 1000))}


@pytest.mark.parametrize(
    ("sender", "after", "direct"),
    [
        (EVENTBRIDGE, timedelta(minutes=5), True),
        (EVENTBRIDGE, timedelta(hours=48), True),
        (EVENTBRIDGE, timedelta(hours=50), False),
        (EVENTBRIDGE, timedelta(minutes=-5), True),
        ("AROAEXAMPLEOPERATOR00:ann", timedelta(minutes=5), False),
        ("AROAEXAMPLEOPERATOR00", timedelta(minutes=5), False),
    ],
)
def test_what_a_person_sent_or_what_lay_for_days_is_not_from_cloudtrail(
    sender: str,
    after: timedelta,
    direct: bool,  # noqa: FBT001 - the expected value
) -> None:
    """EventBridge sends as a service and gives up after a day at each of two rules (aws-facts §7.14)."""
    assert Delivery.read(attributes(sender, after)).is_from_cloudtrail(CALLED) is direct


@pytest.mark.parametrize("said", [{}, {"SentTimestamp": "soon"}, {"SentTimestamp": ""}])
def test_what_sqs_does_not_say_is_held_against_nobody(said: dict[str, str]) -> None:
    """SQS always says both; without them a message is taken as it was before they were read."""
    assert Delivery.read(said) == Delivery()
    assert Delivery().is_from_cloudtrail(CALLED)
