"""A change of the ledger, as the Pipe delivers it: what is to be looked at, never what is to be believed."""

from typing import Self

import msgspec
from msgspec import Struct

from bedrock_remediator.core.grant import Grant, State


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
