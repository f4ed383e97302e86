"""Orphans: policies of ours that no row of the ledger accounts for. They are reported, and never deleted.

Nothing follows from a row that is missing: a ledger that was lost, or restored from a day before, must not take
everybody's access away.
"""

import itertools
import logging
import re
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from typing import Final, Protocol

from bedrock_remediator.aws.iam_policies import ManagedPolicy
from bedrock_remediator.aws.ledger_items import Due
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
    """Finds policies without rows. `ledger` is the name of the table: another deployment's policies are its own."""

    name = "orphans"

    def __init__(self, index: Index, policies: Policies, ledger: str) -> None:
        self._index = index
        self._policies = policies
        self._ledger = ledger

    def run(self, has_time: HasTime) -> Tally:
        """See `Chore.run`."""
        found = self.found(has_time)
        if found:
            logger.warning("policies without rows", extra={"policies": found})
        return Counter({"found": len(found)})

    def found(self, has_time: HasTime) -> list[str]:
        """The ARNs of policies of ours whose principal has no grant that stands, or is about to or did just now.

        Raises:
            RetryableError: AWS does not answer at the moment.
        """
        accounted = {name for state in _STATES for entry in self._index.due(state) if (name := _principal(entry.pk))}
        suspects = (arn for arn in self._policies.under(PATH) if _holder(arn) not in accounted)
        looked_at = itertools.islice(suspects, _MOST_LOOKED_AT)
        return [arn for arn in itertools.takewhile(lambda _: has_time(), looked_at) if self._is_ours(arn)]

    def _is_ours(self, arn: str) -> bool:
        policy = self._policies.find(arn)
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
