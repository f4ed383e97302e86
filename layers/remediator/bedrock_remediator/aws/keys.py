"""The stack's keys and secrets: HMAC keys, which never leave KMS, and what Secrets Manager holds.

The KMS keys' policies say who may sign, and who may verify.
"""

import logging
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

import msgspec
from botocore.exceptions import BotoCoreError, ClientError
from msgspec import Struct

from bedrock_remediator.aws.cache import AgedCache
from bedrock_remediator.aws.errors import error_code, passing_trouble
from bedrock_remediator.clock import Clock

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_kms import KMSClient
    from mypy_boto3_secretsmanager import SecretsManagerClient


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


CACHED_FOR: Final = timedelta(minutes=5)
"""How long a secret is good for before it is read again."""
FRESH_FOR: Final = timedelta(seconds=10)
"""How long it is good for even to who asks for a fresh one: forged links must not become calls to AWS."""

_SECRETS_KEPT: Final = 16
_SHORTEST_KEY: Final = 16
_MOST_KEYS: Final = 8
_CURRENT: Final = "AWSCURRENT"
_PREVIOUS: Final = "AWSPREVIOUS"


class SecretError(Exception):
    """A secret does not hold what it should. Its text is in no message."""


class Secrets:
    """Reads secrets, and keeps some of them for some minutes.

    Args:
        client: Makes the Secrets Manager client when it is first needed.
        clock: Tells how old an answer is.
    """

    def __init__(self, client: "Callable[[], SecretsManagerClient]", clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._cache: AgedCache[tuple[str, str], tuple[str | None, datetime]] = AgedCache(
            _SECRETS_KEPT, CACHED_FOR, clock
        )

    def text(self, arn: str, *, fresh: bool = False) -> str:
        """The secret's text.

        Args:
            arn: Its ARN or name.
            fresh: Whether it may be some seconds old at most, rather than some minutes: after it was found wrong.

        Raises:
            RetryableError: Secrets Manager is throttling or does not answer.
            SecretError: It holds bytes, or nothing.
            botocore.exceptions.ClientError: It cannot be read.
        """
        text = self._staged(arn, _CURRENT, fresh=fresh)
        if not text:
            raise SecretError(f"{arn} holds no text")
        return text

    def previous(self, arn: str, *, fresh: bool = False) -> str | None:
        """The text that the secret had before it was last changed; None if it never was. Otherwise like `text`."""
        try:
            return self._staged(arn, _PREVIOUS, fresh=fresh)
        except ClientError as error:
            if error_code(error) != "ResourceNotFoundException":
                raise
            self._cache.put((arn, _PREVIOUS), (None, self._clock.now()))
            return None

    def _staged(self, arn: str, stage: str, *, fresh: bool) -> str | None:
        known = self._cache.get((arn, stage))
        if known is not None and not (fresh and self._clock.now() - known[1] >= FRESH_FOR):
            return known[0]
        with passing_trouble("reading a secret"):
            answer = self._client().get_secret_value(SecretId=arn, VersionStage=stage)
        text = answer.get("SecretString")
        self._cache.put((arn, stage), (text, self._clock.now()))
        return text


class _KeyDocument(Struct, forbid_unknown_fields=True):
    key: str | None = None
    keys: list[str] = []

    @property
    def all(self) -> tuple[str, ...]:
        return tuple(self.keys) if self.key is None else (self.key,)


class Keyring:
    """The keys that links and cookies are signed with: the newest signs, each of them verifies.

    The secret is a JSON object. `{"key": "…"}` is what the stack generates: changing it (`put-secret-value`) leaves
    the key before it accepted until it is changed once more. `{"keys": ["new", "old"]}` lists the accepted keys, and
    no other is, so a key that has leaked goes at once.
    """

    def __init__(self, secrets: Secrets, arn: str) -> None:
        self._secrets = secrets
        self._arn = arn

    def newest(self) -> str:
        """The key that signs. Raises what `keys` raises, and reads less."""
        return self._current(fresh=False).all[0]

    def keys(self, *, fresh: bool = False) -> tuple[str, ...]:
        """The keys, the newest first; at least one.

        Args:
            fresh: Whether they may be some seconds old at most: after something was signed with none of them.

        Raises:
            RetryableError: Secrets Manager is throttling or does not answer.
            SecretError: The secret does not hold keys.
            botocore.exceptions.ClientError: It cannot be read.
        """
        current = self._current(fresh=fresh)
        if current.key is None:
            return current.all
        # A value that was put right may have a broken one before it.
        previous = _read(self._secrets.previous(self._arn, fresh=fresh) or "")
        return tuple(dict.fromkeys((*current.all, *(previous.all if previous else ()))))

    def _current(self, *, fresh: bool) -> _KeyDocument:
        current = _read(self._secrets.text(self._arn, fresh=fresh))
        if current is None:
            raise SecretError(
                f'{self._arn} must hold {{"key": "..."}} or {{"keys": ["newest", ...]}}, '
                f"each key of {_SHORTEST_KEY} characters or more"
            )
        return current


def _read(text: str) -> _KeyDocument | None:
    """The keys in a secret; None where it does not hold keys in one of the two forms."""
    try:
        document = msgspec.json.decode(text, type=_KeyDocument)
    except (msgspec.DecodeError, UnicodeError):
        return None
    both = document.key is not None and bool(document.keys)
    long_enough = all(len(key) >= _SHORTEST_KEY for key in document.all)
    return document if not both and 1 <= len(document.all) <= _MOST_KEYS and long_enough else None
