"""Credentials in member accounts: of one role in each, assumed when it is first needed and again before they expire."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from botocore.exceptions import ClientError
from msgspec import Struct

from bedrock_remediator.aws.cache import AgedCache
from bedrock_remediator.aws.errors import RetryableError, RoleMissingError, error_code, passing_trouble
from bedrock_remediator.clock import Clock

if TYPE_CHECKING:
    from mypy_boto3_sts import STSClient

_SESSION_NAME: Final = "bedrock-access-remediator"
_LASTING: Final = timedelta(hours=1)
"""All that AWS gives to a role that is assumed with another role's credentials."""
_RENEWED_BEFORE: Final = timedelta(minutes=10)
"""Longer than any function runs, so that none is left with credentials that end under its hands."""

_ACCOUNTS_KEPT: Final = 256
_REFUSED_FOR: Final = timedelta(minutes=1)
"""A storm of denials in an account without the role costs a call a minute, not one a denial."""
_SPARED_FOR: Final = timedelta(seconds=10)
"""botocore has tried for long by then: whoever asks next for the account must not wait as long again, and hold up all
others of its batch."""


class Credentials(Struct, frozen=True):
    """What a role's session signs its calls with."""

    access_key: str
    secret_key: str
    token: str
    expires: datetime

    @property
    def keys(self) -> dict[str, str]:
        """As boto3 takes them for a client."""
        return {
            "aws_access_key_id": self.access_key,
            "aws_secret_access_key": self.secret_key,
            "aws_session_token": self.token,
        }


class MemberCredentials:
    """Credentials by account; one account's trouble is not felt in another.

    Args:
        sts: Makes the client for STS when it is first needed.
        role_arn: The ARN of the role to assume in an account.
        clock: Tells when credentials are to be renewed.
    """

    def __init__(self, sts: "Callable[[], STSClient]", role_arn: Callable[[str], str], clock: Clock) -> None:
        self._sts = sts
        self._role_arn = role_arn
        self._clock = clock
        self._known: dict[str, Credentials] = {}
        self._refused: AgedCache[str, str] = AgedCache(_ACCOUNTS_KEPT, _REFUSED_FOR, clock)
        self._spared: AgedCache[str, str] = AgedCache(_ACCOUNTS_KEPT, _SPARED_FOR, clock)

    def of(self, account: str) -> Credentials:
        """The credentials in an account: the same ones until they are renewed.

        Raises:
            RoleMissingError: The role cannot be assumed, or could not a moment ago.
            RetryableError: STS does not answer at the moment, or the account is spared.
            botocore.exceptions.ClientError: STS refuses for another reason.
        """
        throttled = self._spared.get(account)
        if throttled is not None:
            raise RetryableError(f"account {account} is spared for a moment: {throttled}")
        known = self._known.get(account)
        if known is not None and self._clock.now() < known.expires - _RENEWED_BEFORE:
            return known
        refused = self._refused.get(account)
        if refused is not None:
            raise RoleMissingError(account, refused)
        made = self._assumed(account)
        self.forget(account)
        if len(self._known) >= _ACCOUNTS_KEPT:
            del self._known[next(iter(self._known))]
        self._known[account] = made
        return made

    def forget(self, account: str) -> None:
        """Assume the role anew the next time: AWS does not take what it gave any more."""
        self._known.pop(account, None)

    def spare(self, account: str, reason: str) -> None:
        """Leave an account alone for a moment, since it throttles."""
        self._spared.put(account, reason)

    def _assumed(self, account: str) -> Credentials:
        arn = self._role_arn(account)
        with passing_trouble(f"assuming {arn}"):
            try:
                answer = self._sts().assume_role(
                    RoleArn=arn, RoleSessionName=_SESSION_NAME, DurationSeconds=int(_LASTING.total_seconds())
                )
            except ClientError as error:
                # The same answer for a role that does not exist, and for one that trusts others.
                if error_code(error) == "AccessDenied":
                    self._refused.put(account, arn)
                    raise RoleMissingError(account, arn) from error
                raise
        given = answer["Credentials"]
        return Credentials(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"], given["Expiration"])
