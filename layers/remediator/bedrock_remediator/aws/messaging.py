"""Sending: notices to SNS topics, work to the queue for Slack, and refusals to a queue of their own.

`Subscriptions` tells who is subscribed to the topics.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import msgspec

from bedrock_remediator.aws.errors import RetryableError, passing_trouble, surely_undone
from bedrock_remediator.clock import Clock, SystemClock

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sns.type_defs import MessageAttributeValueTypeDef
    from mypy_boto3_sqs import SQSClient


_PAUSES: Final = (0.5, 1.0, 2.0)
"""Seconds between tries of what SNS has certainly not sent."""


class Subscriptions:
    """Who is subscribed to topics."""

    def __init__(self, client: "SNSClient") -> None:
        self._client = client

    def confirmed(self, topic_arn: str) -> frozenset[str]:
        """The endpoints (addresses, ARNs) of a topic's confirmed subscriptions.

        Raises:
            RetryableError: SNS is throttling, or does not answer.
        """
        found: set[str] = set()
        token = ""
        while True:
            with passing_trouble("listing subscriptions"):
                page = (
                    self._client.list_subscriptions_by_topic(TopicArn=topic_arn, NextToken=token)
                    if token
                    else self._client.list_subscriptions_by_topic(TopicArn=topic_arn)
                )
            # One that waits to be confirmed has a word in the place of its ARN.
            found |= {each["Endpoint"] for each in page["Subscriptions"] if each["SubscriptionArn"].startswith("arn:")}
            token = page.get("NextToken", "")
            if not token:
                return frozenset(found)


class Publisher:
    """Publishes messages that read differently for each kind of subscriber.

    Args:
        client: SNS's. It must try once: what may have gone out is not to go out again without saying so.
        clock: What waits between tries.
    """

    def __init__(self, client: "SNSClient", clock: Clock | None = None) -> None:
        self._client = client
        self._clock = clock or SystemClock()

    def publish(
        self, topic_arn: str, subject: str, message: Mapping[str, str], attributes: Mapping[str, str] | None = None
    ) -> str:
        """Publish one message, and return the id that SNS gave it.

        Args:
            topic_arn: The topic.
            subject: The e-mail's subject: at most 100 printable ASCII characters.
            message: The text for each protocol (`email`, `sqs`, …); `default` must be among them.
            attributes: What subscriptions may filter on. SNS takes no empty one; an empty one is left out.

        Raises:
            RetryableError: SNS is throttling, or does not answer. The message may have gone out.
        """
        told: dict[str, MessageAttributeValueTypeDef] = {
            name: {"DataType": "String", "StringValue": value} for name, value in (attributes or {}).items() if value
        }

        def publish() -> str:
            with passing_trouble("publishing a notice"):
                return self._client.publish(
                    TopicArn=topic_arn,
                    Subject=subject,
                    Message=msgspec.json.encode(message).decode(),
                    MessageStructure="json",
                    MessageAttributes=told,
                )["MessageId"]

        for pause in _PAUSES:
            try:
                return publish()
            except RetryableError as error:
                if not surely_undone(error.__cause__):
                    raise
                self._clock.sleep(pause)
        return publish()


LONGEST: Final = 43_200
"""Seconds that SQS hides a message at most: twelve hours."""


class SlackQueue:
    """Puts work for the slack function into its queue, and puts work off.

    `client` makes the SQS client when it is first needed.
    """

    def __init__(self, client: "Callable[[], SQSClient]", url: str) -> None:
        self._client = client
        self._url = url

    def send(self, body: str) -> None:
        """Put work there.

        Raises:
            RetryableError: SQS is throttling or does not answer.
        """
        with passing_trouble("handing work to Slack's queue"):
            self._client().send_message(QueueUrl=self._url, MessageBody=body)

    def put_off(self, receipt: str, seconds: int) -> None:
        """Let a message that was received come again after some seconds; afterwards it counts as failed.

        Raises:
            RetryableError: SQS is throttling or does not answer.
        """
        with passing_trouble("putting off a message to Slack"):
            self._client().change_message_visibility(
                QueueUrl=self._url, ReceiptHandle=receipt, VisibilityTimeout=min(max(seconds, 0), LONGEST)
            )


_LONGEST_REASON: Final = 1024


class RefusedQueue:
    """Puts messages into the dead-letter queue themselves, so that each carries its reason and is not tried again.

    `client` makes the SQS client, which is seldom needed.
    """

    def __init__(self, client: "Callable[[], SQSClient]", url: str) -> None:
        self._client = client
        self._url = url

    def __call__(self, body: str, reason: str) -> None:
        """Put one there, its reason as the message attribute `reason`.

        Raises:
            botocore.exceptions.ClientError: The queue did not take it.
        """
        self._client().send_message(
            QueueUrl=self._url,
            MessageBody=body,
            MessageAttributes={"reason": {"DataType": "String", "StringValue": _plain(reason)}},
        )


def _plain(reason: str) -> str:
    """The reason in the characters that a message attribute may hold."""
    return reason.encode("ascii", "backslashreplace").decode()[:_LONGEST_REASON]
