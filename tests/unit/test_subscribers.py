"""Whether anybody hears the topics."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from bedrock_remediator.aws.errors import RetryableError
from bedrock_remediator.aws.messaging import Subscriptions
from bedrock_remediator.flows.upkeep.chores.subscribers import Subscribers, Topic

ARN = "arn:aws:sns:us-east-1:123456789012:approvals"
MAIL = "approvers@example.com"
QUEUE = "arn:aws:sqs:us-east-1:123456789012:slack"


class Sns:
    """SNS, with these subscriptions of every topic, one a page."""

    def __init__(self, *subscriptions: tuple[str, str]) -> None:
        self.pages = [[{"Endpoint": endpoint, "SubscriptionArn": arn}] for endpoint, arn in subscriptions] or [[]]

    def list_subscriptions_by_topic(self, **arguments: Any) -> dict[str, Any]:
        """A page."""
        place = int(arguments.get("NextToken", "0"))
        more = {"NextToken": str(place + 1)} if place + 1 < len(self.pages) else {}
        return {"Subscriptions": self.pages[place], **more}


def missing(client: Any, address: str | None = MAIL) -> list[str]:
    """What the chore finds."""
    return Subscribers(Subscriptions(client), [Topic(ARN, "approvals", address)]).missing(lambda: True)


@pytest.mark.parametrize(
    ("subscriptions", "address", "said"),
    [
        ([(MAIL, f"{ARN}:1")], MAIL, None),
        ([(QUEUE, f"{ARN}:1"), (MAIL, f"{ARN}:2")], MAIL, None),
        ([(QUEUE, f"{ARN}:1")], None, None),
        ([], MAIL, "no confirmed subscription"),
        ([], None, "no confirmed subscription"),
        ([(MAIL, "PendingConfirmation")], MAIL, "no confirmed subscription"),
        ([(MAIL, "Deleted")], MAIL, "no confirmed subscription"),
        ([(QUEUE, f"{ARN}:1")], MAIL, "was unsubscribed by the link in a mail"),
        ([(QUEUE, f"{ARN}:1"), (MAIL, "PendingConfirmation")], MAIL, "not confirmed"),
    ],
)
def test_a_topic_is_heard_by_somebody_and_by_the_stacks_own_address(
    subscriptions: list[tuple[str, str]], address: str | None, said: str | None
) -> None:
    """One that waits for confirmation hears nothing; Slack's queue does not stand for the mailbox."""
    found = missing(Sns(*subscriptions), address)
    assert len(found) == (said is not None)
    assert said is None or said in found[0]


def test_what_sns_does_not_answer_is_looked_for_in_the_next_round() -> None:
    """Nothing is said of a topic that cannot be looked at, and the chore fails."""

    class Throttled:
        def list_subscriptions_by_topic(self, **_: Any) -> dict[str, Any]:
            raise ClientError({"Error": {"Code": "Throttling"}}, "ListSubscriptionsByTopic")

    with pytest.raises(RetryableError):
        missing(Throttled())


def test_without_time_nothing_is_looked_for() -> None:
    """The next round does."""
    chore = Subscribers(Subscriptions(Sns()), [Topic(ARN, "approvals")])  # type: ignore[arg-type]  # stands for a client
    assert chore.run(lambda: False) == {"missing": 0}
