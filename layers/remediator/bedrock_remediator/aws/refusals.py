"""The queue of refused messages: what triage was sent and nobody can read, each with the reason."""

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_sqs import SQSClient

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
