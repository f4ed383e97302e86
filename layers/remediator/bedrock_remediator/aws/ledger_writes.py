"""What all conditional writes of the ledger have in common: patience, and what a false condition means."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from bedrock_remediator.aws import expressions
from bedrock_remediator.aws.errors import BusyError, error_code, passing_trouble
from bedrock_remediator.aws.ledger_items import Cap, Item, cap_expiry, cap_key, grant_item, key, marshal
from bedrock_remediator.aws.ledger_reads import TRIES, LedgerReader
from bedrock_remediator.core.grant import TRANSITIONS, Grant, IllegalTransitionError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

FAILED: Final = "ConditionalCheckFailed"
"""DynamoDB's word for a condition that is false: of a write in a transaction, and the beginning of an error's code."""

_BUSY: Final = frozenset({"TransactionConflict", "ProvisionedThroughputExceeded", "ThrottlingError"})


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


class CapReachedError(Exception):
    """The day's limit is used up; nothing was written."""

    def __init__(self, cap: Cap) -> None:
        super().__init__(f"{cap.name} has used its {cap.limit} grants of {cap.day}")
        self.cap = cap


class LedgerWriter(LedgerReader):
    """The ledger's reads, and how items are written on conditions: one, or several together."""

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

    def _step(self, before: Grant, after: Grant) -> "TransactWriteItemTypeDef":
        """A row's step, as a part of a transaction."""
        becomes = expressions.update(grant_item(before), grant_item(after), ("state", "version"))
        return {"Update": {"TableName": self._table, "Key": key(*before.key), **becomes}}  # type: ignore[typeddict-item]

    def _put(self, item: Item, condition: dict[str, Any]) -> "TransactWriteItemTypeDef":
        return {"Put": {"TableName": self._table, "Item": item, **condition}}  # type: ignore[typeddict-item]

    def _spend(self, cap: Cap) -> "TransactWriteItemTypeDef":
        values = {":expires": cap_expiry(cap), ":limit": cap.limit, ":one": 1}
        return {
            "Update": {
                "TableName": self._table,
                "Key": cap_key(cap),
                "UpdateExpression": "SET #expires = :expires ADD #used :one",
                "ConditionExpression": "attribute_not_exists(#used) OR #used < :limit",
                "ExpressionAttributeNames": {"#expires": "expires", "#used": "used"},
                "ExpressionAttributeValues": {name: marshal(value) for name, value in values.items()},
            }
        }

    def _transact(self, writes: Sequence["TransactWriteItemTypeDef"], voided_by: Sequence[Exception]) -> None:
        """Write all or nothing; `voided_by` says what a false condition of the write in the same place means.

        botocore sends a token along, by which DynamoDB knows a request that is sent again.
        """
        try:
            self._client.transact_write_items(TransactItems=writes)
        except ClientError as error:
            if error_code(error) != "TransactionCanceledException":
                raise
            reasons = [reason.get("Code") for reason in error.response.get("CancellationReasons", [])]
            for reason, meaning in zip(reasons, voided_by, strict=False):
                if reason == FAILED:
                    raise meaning from error
            if _BUSY.intersection(reasons):
                raise BusyError(f"writing a row: {error}") from error
            raise
