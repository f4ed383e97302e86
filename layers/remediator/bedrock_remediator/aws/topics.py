"""Publishing to SNS topics."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from bedrock_remediator.aws.errors import passing_trouble

if TYPE_CHECKING:
    from mypy_boto3_sns import SNSClient


class Publisher:
    """Publishes messages that read differently for each kind of subscriber."""

    def __init__(self, client: "SNSClient") -> None:
        self._client = client

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
            RetryableError: SNS is throttling or does not answer.
        """
        with passing_trouble("publishing a notice"):
            answer = self._client.publish(
                TopicArn=topic_arn,
                Subject=subject,
                Message=msgspec.json.encode(message).decode(),
                MessageStructure="json",
                MessageAttributes={
                    name: {"DataType": "String", "StringValue": value}
                    for name, value in (attributes or {}).items()
                    if value
                },
            )
        return answer["MessageId"]
