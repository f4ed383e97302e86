"""The stack's KMS keys that sign: HMAC keys, which never leave KMS. Their policies say who may sign, and who verify."""

import logging
from typing import TYPE_CHECKING, Final

from botocore.exceptions import BotoCoreError, ClientError

from bedrock_remediator.aws.errors import error_code, passing_trouble

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_kms import KMSClient

LONGEST_MESSAGE: Final = 4096
"""What KMS makes a MAC of, in bytes."""

_ALGORITHM: Final = "HMAC_SHA_256"
_MAC_LENGTH: Final = 32

logger = logging.getLogger(__name__)


class MacKey:
    """Signs and verifies with one key.

    Args:
        kms: Makes the KMS client when it is first needed.
        key_id: The key's id, ARN, or an alias of it.
    """

    def __init__(self, kms: "Callable[[], KMSClient]", key_id: str) -> None:
        self._kms = kms
        self._key_id = key_id

    def sign(self, message: bytes) -> bytes:
        """The MAC of a message of at most 4,096 bytes.

        Raises:
            RetryableError: KMS is throttling or does not answer.
            botocore.exceptions.ClientError: KMS refuses.
        """
        with passing_trouble("signing"):
            answer = self._kms().generate_mac(KeyId=self._key_id, MacAlgorithm=_ALGORITHM, Message=message)
        return answer["Mac"]

    def verify(self, message: bytes, mac: bytes) -> bool:
        """Whether this key made that MAC of the message.

        Raises:
            RetryableError: KMS is throttling or does not answer, so that it can be asked again.
            botocore.exceptions.ClientError: KMS refuses to say.
        """
        if len(mac) != _MAC_LENGTH:
            return False
        try:
            with passing_trouble("verifying"):
                answer = self._kms().verify_mac(KeyId=self._key_id, MacAlgorithm=_ALGORITHM, Message=message, Mac=mac)
        except ClientError as error:
            if error_code(error) == "KMSInvalidMacException":
                return False
            raise
        return answer["MacValid"]


class ApprovalKey(MacKey):
    """The key by which approve signs what a person has approved, and remediate tells it."""

    def verify(self, message: bytes, mac: bytes) -> bool:
        """Whether this key made that MAC of the message. What KMS does not say yes to is not genuine.

        Raises:
            RetryableError: KMS is throttling or does not answer, so that it can be asked again.
        """
        try:
            return super().verify(message, mac)
        except (ClientError, BotoCoreError):
            logger.exception("an approval cannot be verified, so it counts as none")
            return False
