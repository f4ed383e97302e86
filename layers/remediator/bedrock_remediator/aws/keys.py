"""The KMS key that signs approvals: an HMAC key, which never leaves KMS. approve may sign with it, remediate verify."""

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


class ApprovalKey:
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
        with passing_trouble("signing an approval"):
            answer = self._kms().generate_mac(KeyId=self._key_id, MacAlgorithm=_ALGORITHM, Message=message)
        return answer["Mac"]

    def verify(self, message: bytes, mac: bytes) -> bool:
        """Whether this key made that MAC of the message. What KMS does not say yes to is not genuine.

        Raises:
            RetryableError: KMS is throttling or does not answer, so that it can be asked again.
        """
        if len(mac) != _MAC_LENGTH:
            return False
        try:
            with passing_trouble("verifying an approval"):
                answer = self._kms().verify_mac(KeyId=self._key_id, MacAlgorithm=_ALGORITHM, Message=message, Mac=mac)
        except ClientError as error:
            if error_code(error) != "KMSInvalidMacException":
                logger.exception("an approval cannot be verified, so it counts as none")
            return False
        except BotoCoreError:
            logger.exception("an approval cannot be verified, so it counts as none")
            return False
        return answer["MacValid"]
