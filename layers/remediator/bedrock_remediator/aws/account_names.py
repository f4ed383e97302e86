"""What Organizations calls a member account. Nothing depends on it: without an answer people read the account's id."""

import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final, Protocol

from botocore.exceptions import BotoCoreError, ClientError

from bedrock_remediator.aws.cache import AgedCache
from bedrock_remediator.aws.errors import error_code
from bedrock_remediator.clock import Clock

logger = logging.getLogger(__name__)

_KEPT: Final = 1000
_AGE: Final = timedelta(hours=1)
_NOBODY: Final = ""
"""Stands for every account where Organizations answers none of this function's questions."""
_NOT_HERE: Final = frozenset({"AccessDeniedException", "AWSOrganizationsNotInUseException"})


class Organizations(Protocol):
    """The one call that is made."""

    def describe_account(self, *, AccountId: str) -> Any:  # noqa: N803 - AWS's own spelling
        """What Organizations knows of an account."""
        ...


class AccountNames:
    """Names of accounts, each remembered for an hour.

    Only the organization's management account and its delegated administrators may ask. Where this one may not, it is
    not asked again for an hour, whatever the account.

    Args:
        client: Makes the client when it is first needed.
        home: The service's own account, which nobody needs to be told of.
        clock: Tells how old an answer is.
        asks: Whether Organizations is asked at all: without member accounts there is nothing to ask.
    """

    def __init__(self, client: Callable[[], Organizations], home: str, clock: Clock, *, asks: bool) -> None:
        self._client = client
        self._home = home
        self._asks = asks
        self._known: AgedCache[str, str] = AgedCache(_KEPT, _AGE, clock)

    def __call__(self, account: str) -> str | None:
        """What a member account is called: its id where nobody says; None for the service's own account."""
        if account == self._home:
            return None
        if not self._asks:
            return account
        known = self._known.get(account) or (account if self._known.get(_NOBODY) else None)
        if known is None:
            known = self._asked(account)
        return known

    def _asked(self, account: str) -> str:
        try:
            name = str(self._client().describe_account(AccountId=account)["Account"].get("Name") or account)
        except ClientError as error:
            refused = error_code(error) in _NOT_HERE
            self._known.put(_NOBODY if refused else account, account)
            logger.info("no name for an account", extra={"account": account, "reason": error_code(error)})
            return account
        except BotoCoreError as error:
            logger.info("no name for an account", extra={"account": account, "reason": str(error)})
            return account
        self._known.put(account, name)
        return name
