"""Upkeep: the chores that nobody's denial or decision sets off.

Each chore reads the ledger, and moves rows or notes something on them, on the condition that they are as it read
them; what is to be done in IAM or told to people follows from the ledger's stream. So chores depend on nothing but
the ledger: one that fails does not stop the others, and a round that was cut off is made up for by the next.
"""

import logging
from collections.abc import Iterable, Sequence

from msgspec import Struct

from bedrock_remediator.flows.upkeep.chores.contract import FAILED, Chore, HasTime, Tally

logger = logging.getLogger(__name__)


class Round(Struct, frozen=True):
    """What a round of upkeep did: the name of each chore -> what it did how often."""

    tallies: dict[str, Tally]

    @property
    def failed(self) -> tuple[str, ...]:
        """The chores that failed, as a whole or on some rows."""
        return tuple(name for name, tally in self.tallies.items() if tally[FAILED])


class IncompleteError(Exception):
    """A round of upkeep in which chores failed; the others have run."""

    def __init__(self, chores: Sequence[str]) -> None:
        super().__init__(f"failed: {', '.join(chores)}")


class Upkeep:
    """Does chores, one after the other."""

    def __init__(self, chores: Iterable[Chore]) -> None:
        self._chores = tuple(chores)

    def run(self, has_time: HasTime) -> Round:
        """Do them all, as far as the time goes.

        Args:
            has_time: Whether there is time for one more row; a chore asks before each.
        """
        return Round({chore.name: self._do(chore, has_time) for chore in self._chores})

    def _do(self, chore: Chore, has_time: HasTime) -> Tally:
        try:
            tally = chore.run(has_time)
        except Exception:
            logger.exception("a chore failed", extra={"chore": chore.name})
            return Tally({FAILED: 1})
        logger.info("a chore is done", extra={"chore": chore.name, "did": dict(tally)})
        return tally
