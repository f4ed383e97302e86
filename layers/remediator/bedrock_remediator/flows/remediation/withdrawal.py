"""Taking a grant out of IAM, so that the principal's other standing grants are left, to the letter.

`Change` is a change of the ledger, as the Pipe delivers it: what is to be looked at, never what is to be believed.
"""

import logging
from datetime import datetime
from typing import Protocol, Self

import msgspec
from msgspec import Struct

from bedrock_remediator.aws.errors import RetryableError
from bedrock_remediator.clock import Clock
from bedrock_remediator.core.grant import STANDING, Grant, State
from bedrock_remediator.core.waiting import SETTLING
from bedrock_remediator.flows.placement.choice import Placements
from bedrock_remediator.flows.placement.contract import Owner, PlacementError, Proof


class Change(Struct, frozen=True):
    """The key, state and version that a row had when it changed."""

    pk: str
    sk: str
    state: str
    version: int

    @classmethod
    def read(cls, body: str) -> Self:
        """Read a message: one record of the table's stream.

        Raises:
            ValueError: It is none, or not one of a row.
        """
        record = msgspec.json.decode(body)
        try:
            image = record["dynamodb"]["NewImage"]
            return cls(image["pk"]["S"], image["sk"]["S"], image["state"]["S"], int(image["version"]["N"]))
        except (KeyError, TypeError) as error:
            raise ValueError("not a record of a row's change") from error

    def is_work(self, row: Grant | None) -> bool:
        """Whether the row is still as it was, or is being applied because of this change by one who did not finish.

        Whatever else it is by now, another change tells of it, or told.
        """
        if row is None:
            return False
        if (row.state, row.version) == (self.state, self.version):
            return row.state in (State.APPROVED, State.APPLYING, State.REVOKING)
        return (self.state, self.version, row.state) == (State.APPROVED, row.version - 1, State.APPLYING)

    def was_overtaken(self, row: Grant) -> bool:
        """Whether the row was being applied because of this change, and has ended since as one that is not in force.

        Whoever was given the message before may have written the grant when somebody else ended the row, and have
        died before it was taken out.
        """
        applying = self.version + (self.state == State.APPROVED)
        begun = row.step(applying)
        return (
            self.state in (State.APPROVED, State.APPLYING)
            and row.state in (State.FAILED, State.ROLLED_BACK)
            and row.version > applying
            and begun is not None
            and begun.state is State.APPLYING
        )


logger = logging.getLogger(__name__)


class Rows(Protocol):
    """What is asked of the ledger."""

    def grants(self, pk: str) -> list[Grant]:
        """Every request and grant of a principal, read consistently."""
        ...


class Withdrawal:
    """Takes grants out. `proof` says whether a row that claims to stand can be believed."""

    def __init__(self, ledger: Rows, proof: Proof, placements: Placements, clock: Clock) -> None:
        self._ledger = ledger
        self._proof = proof
        self._placements = placements
        self._clock = clock

    def take(self, row: Grant, owner: Owner, written_at: datetime | None) -> None:
        """Take the grant out of IAM, which may not know yet what was written to the principal at that time.

        Raises:
            PlacementError: It cannot be taken out.
            RetryableError: Passing trouble, or nothing is there of what was written a moment ago.
        """
        there = self._placements.placement(row).withdraw(owner, row, self.standing(row, owner), self._proof)
        lately = written_at is not None and self._clock.now() - written_at < SETTLING
        if lately and not there and owner.id == row.principal_id:
            raise RetryableError(f"IAM knows nothing yet of what was written for {row.sk} of {row.pk}")

    def take_out(self, row: Grant, owner: Owner, written_at: datetime | None = None) -> None:
        """Leave IAM as the other standing grants say; as `take`, but what is not ours is left as it is.

        Raises:
            PlacementError: That cannot be done; the row must not end as if it were.
        """
        try:
            self.take(row, owner, written_at)
        except PlacementError as error:
            if not error.foreign:
                raise
            logger.warning("nothing of ours to take out", extra={"pk": row.pk, "sk": row.sk, "reason": error.reason})

    def standing(self, row: Grant, owner: Owner) -> list[Grant]:
        """The other grants in force, of the same principal (not of one of that name before it) and the same strategy.

        Read after the row was moved to applying, so that even two writers at once would each see the other's grant.
        """
        strategy = self._placements.strategy(row)
        return [
            other
            for other in self._ledger.grants(row.pk)
            if in_force(other)
            and other.key != row.key
            and owner.id is not None
            and other.principal_id == owner.id
            and self._placements.strategy(other) == strategy
        ]


def in_force(row: Grant) -> bool:
    """Whether a grant stands, or did until it was approved anew and waits for its turn."""
    if row.state in STANDING:
        return True
    return row.state is State.APPROVED and row.written is not None and bool(row.written.policies)
