"""What every conditional write of the ledger has in common: patience, and what a false condition means."""

from collections.abc import Callable, Sequence
from typing import Final

from botocore.exceptions import ClientError

from bedrock_remediator.aws import expressions
from bedrock_remediator.aws.errors import BusyError, error_code, passing_trouble
from bedrock_remediator.aws.ledger_items import Item
from bedrock_remediator.aws.ledger_reads import TRIES, LedgerReader
from bedrock_remediator.core.grant import TRANSITIONS, Grant, IllegalTransitionError

FAILED: Final = "ConditionalCheckFailed"
"""DynamoDB's word for a condition that is false: of a write in a transaction, and the beginning of an error's code."""


class ConflictError(Exception):
    """The ledger is no longer as the writer saw it: read again, decide again. `key` is (pk, sk) of the item."""

    def __init__(self, pk: str, sk: str) -> None:
        super().__init__(f"{sk} of {pk} is no longer as it was read")
        self.key = (pk, sk)


def check_step(before: Grant, after: Grant) -> None:
    """Make sure that one row is the next step of the other.

    Raises:
        IllegalTransitionError: The state machine has no such arrow.
        ValueError: The key changes, or the version does not move by one.
    """
    if after.state not in TRANSITIONS[before.state]:
        raise IllegalTransitionError(f"{before.state} -> {after.state}")
    if after.key != before.key or after.version != before.version + 1:
        raise ValueError("a row keeps its key and moves by one version")


class LedgerWriter(LedgerReader):
    """The ledger's reads, and how one item is written on a condition."""

    def _change(self, before: Item, after: Item, guard: Sequence[str]) -> None:
        found = self._conditional(
            lambda: self._client.update_item(
                TableName=self._table,
                Key={"pk": before["pk"], "sk": before["sk"]},
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
                **expressions.update(before, after, guard),
            )
        )
        if found is not None and not expressions.already_made(found, before, after, guard):
            raise ConflictError(before["pk"]["S"], before["sk"]["S"])

    def _conditional(self, write: Callable[[], object]) -> Item | None:
        """Try to write one item; None if it was written, else the item that stood in the way ({} for none)."""
        try:
            self._patiently(write)
        except ClientError as error:
            if error_code(error) != f"{FAILED}Exception":
                raise
            found: Item = error.response.get("Item", {})  # type: ignore[assignment]  # the stubs do not know it
            return found
        return None

    def _patiently(self, write: Callable[[], object]) -> None:
        """Write; where an item is busy in another transaction, again after some fractions of a second."""
        tried = 0
        while True:
            try:
                with passing_trouble("writing to the ledger"):
                    write()
            except BusyError:
                if tried == TRIES - 1:
                    raise
                self._wait(tried)
                tried += 1
            else:
                return
