"""The queue that works for Slack: what is put there beside the topics' notices, and when a message comes again."""

from typing import TYPE_CHECKING, Final

from bedrock_remediator.aws.errors import passing_trouble

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_sqs import SQSClient

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
