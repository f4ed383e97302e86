"""Whether it is Slack that calls, and whether a person of Slack may decide."""

import logging
import re
from collections.abc import Iterable
from datetime import timedelta
from typing import Final, Protocol

from slack_sdk.signature import Clock as SlackClock
from slack_sdk.signature import SignatureVerifier

from bedrock_remediator.aws.cache import AgedCache
from bedrock_remediator.aws.errors import RetryableError
from bedrock_remediator.clock import Clock
from bedrock_remediator.flows.slack.api import SlackRefusedError, Tokens
from bedrock_remediator.flows.web.http import Request

logger = logging.getLogger(__name__)

MEMBERS_KEPT: Final = timedelta(minutes=1)
"""How long the members of a user group are remembered: who leaves it can decide for so long."""

NOT_LISTED: Final = "Nothing changed: you are not among the people who may decide here."
UNREADABLE: Final = (
    "Nothing changed: Slack does not say at the moment who is in the group that may decide. Try again, or use the link "
    "in the e-mail."
)
_USER: Final = re.compile(r"[UW][A-Z0-9]{2,20}")
_GROUPS_KEPT: Final = 16


class Groups(Protocol):
    """What is asked of Slack."""

    def members(self, group: str) -> frozenset[str]:
        """The users of a user group."""
        ...

    def address(self, user: str) -> str | None:
        """The verified e-mail address of a user."""
        ...


class _Time(SlackClock):
    """Slack's verifier goes by the clock that everything else goes by."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def now(self) -> float:
        return self._clock.now().timestamp()


class SlackSignature:
    """Checks that a request was signed with the app's secret, no more than five minutes ago.

    Args:
        secret: The signing secret.
        clock: Tells the time.
    """

    def __init__(self, secret: Tokens, clock: Clock) -> None:
        self._secret = secret
        self._clock = clock

    def genuine(self, request: Request) -> bool:
        """Whether it is Slack that sent the request's body.

        Raises:
            RetryableError: The secret cannot be had at the moment.
        """
        # The secret may have been changed since it was read; `fresh` is bounded, so forgeries cost no calls.
        return self._signed(request, self._secret()) or self._signed(request, self._secret(fresh=True))

    def _signed(self, request: Request, secret: str) -> bool:
        try:
            return SignatureVerifier(secret, _Time(self._clock)).is_valid_request(request.raw, dict(request.headers))
        except (TypeError, ValueError, OverflowError):
            # A time that is no number, a body that is no UTF-8, a signature that is no ASCII.
            return False


class SlackApprovers:
    """Knows who may decide: the users that are listed, and those in the groups that are listed.

    Args:
        listed: Ids of users (U…, W…) and of user groups (S…).
        groups: Tells who is in a group.
        clock: Tells how old an answer is.
    """

    def __init__(self, listed: Iterable[str], groups: Groups, clock: Clock) -> None:
        self._listed = frozenset(listed)
        self._groups = groups
        self._members: AgedCache[str, frozenset[str]] = AgedCache(_GROUPS_KEPT, MEMBERS_KEPT, clock)

    def refusal(self, user: str) -> str | None:
        """Why somebody may not decide, in a sentence for them; None if they may.

        A group that cannot be read lets nobody in.
        """
        if not _USER.fullmatch(user):
            return NOT_LISTED
        if user in self._listed:
            return None
        refusal = NOT_LISTED
        for group in sorted(each for each in self._listed if each.startswith("S")):
            try:
                if user in self._of(group):
                    return None
            except (RetryableError, SlackRefusedError):
                logger.exception("a user group of Slack cannot be read", extra={"group": group})
                refusal = UNREADABLE
        return refusal

    def address(self, user: str) -> str | None:
        """The verified address of somebody, to compare with whoever was denied; None where Slack does not tell it."""
        try:
            return self._groups.address(user)
        except (RetryableError, SlackRefusedError, KeyError, TypeError, AttributeError) as error:
            logger.warning("Slack does not tell an approver's address", extra={"user": user, "reason": str(error)})
            return None

    def _of(self, group: str) -> frozenset[str]:
        known = self._members.get(group)
        if known is None:
            known = self._groups.members(group)
            self._members.put(group, known)
        return known
