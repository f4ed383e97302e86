"""Orphans: policies of ours that no row of the ledger accounts for. They are reported, and never deleted.

Nothing follows from a row that is missing: a ledger that was lost, or restored from a day before, must not take
everybody's access away. They are looked for in the service's own account, in the member accounts that are enrolled by
their ids, and in every other one that has a grant; one that cannot be looked at holds up no other.
"""

import itertools
import logging
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Final, Protocol

from bedrock_remediator.aws.errors import NotEnrolledError, RetryableError, RoleMissingError
from bedrock_remediator.aws.iam_policies import ManagedPolicy, RefusedError
from bedrock_remediator.aws.ledger.items import Due
from bedrock_remediator.core.accounts import EVERY_ACCOUNT, Enrolment
from bedrock_remediator.core.arn import ArnError, Principal
from bedrock_remediator.core.grant import State
from bedrock_remediator.flows.placement.managed import LEDGER_TAG, MARK, PATH
from bedrock_remediator.flows.upkeep.chores.contract import HasTime, Tally

logger = logging.getLogger(__name__)

_STATES: Final = (State.APPROVED, State.APPLYING, State.ACTIVE, State.REVOKING)
"""In the order that rows go through them, so that one that moves meanwhile is not missed."""

_NAME: Final = re.compile(r"(role|user)\.(.+)\.\d+")
_MOST_LOOKED_AT: Final = 100

Name = tuple[str, str, str]
"""Account, kind and name of a principal."""


class Index(Protocol):
    """What is asked of the ledger."""

    def due(self, state: State, before: datetime | None = None, *, after: datetime | None = None) -> Iterator[Due]:
        """The rows in a state."""
        ...


class Policies(Protocol):
    """What is asked of IAM."""

    def under(self, path: str) -> Iterator[str]:
        """The ARNs of the policies under a path."""
        ...

    def find(self, arn: str) -> ManagedPolicy | None:
        """The policy, with its tags."""
        ...


class Orphans:
    """Finds policies without rows.

    Args:
        index: The ledger's index.
        policies: Gives the policies of an account.
        ledger: The name of the table: another deployment's policies are its own.
        enrolment: The accounts that the service works in.
    """

    name = "orphans"

    def __init__(self, index: Index, policies: Callable[[str], Policies], ledger: str, enrolment: Enrolment) -> None:
        self._index = index
        self._policies = policies
        self._ledger = ledger
        self._enrolment = enrolment

    def run(self, has_time: HasTime) -> Tally:
        """See `Chore.run`."""
        found = self.found(has_time)
        if found:
            logger.warning("policies without rows", extra={"policies": found})
        return Counter({"found": len(found)})

    def found(self, has_time: HasTime) -> list[str]:
        """The ARNs of policies of ours whose principal has no grant that stands, or is about to or did just now.

        Raises:
            RetryableError: The service's own account does not answer at the moment.
        """
        accounted = {name for state in _STATES for entry in self._index.due(state) if (name := _principal(entry.pk))}
        found = self._in_account(self._enrolment.home, accounted, has_time)
        for account in self._members(accounted):
            try:
                found += self._in_account(account, accounted, has_time)
            except (NotEnrolledError, RefusedError, RetryableError, RoleMissingError) as error:
                logger.warning("no look for policies there", extra={"account": account, "reason": str(error)})
        return found

    def _members(self, accounted: Iterable[Name]) -> list[str]:
        """The other accounts, in order."""
        known = {*self._enrolment.accounts, *(account for account, _, _ in accounted)}
        return sorted(known - {self._enrolment.home, EVERY_ACCOUNT})

    def _in_account(self, account: str, accounted: set[Name], has_time: HasTime) -> list[str]:
        if not has_time():
            return []
        policies = self._policies(account)
        suspects = (arn for arn in policies.under(PATH) if _holder(arn) not in accounted)
        looked_at = itertools.islice(suspects, _MOST_LOOKED_AT)
        return [arn for arn in itertools.takewhile(lambda _: has_time(), looked_at) if self._is_ours(policies, arn)]

    def _is_ours(self, policies: Policies, arn: str) -> bool:
        policy = policies.find(arn)
        return policy is not None and {**MARK, LEDGER_TAG: self._ledger}.items() <= policy.tags.items()


def _principal(pk: str) -> Name | None:
    try:
        principal = Principal.parse(pk)
    except ArnError:
        return None
    return principal.account, principal.kind, principal.name


def _holder(arn: str) -> Name | None:
    """Whom a policy is for, by its ARN; None if it is not named as this service names them."""
    found = _NAME.fullmatch(arn.rpartition("/")[2])
    return (arn.split(":")[4], found[1], found[2]) if found else None
