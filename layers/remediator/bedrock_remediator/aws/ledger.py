"""The ledger: one DynamoDB table, in which every grant is a row that moves from state to state.

Every write is conditional on what the writer saw. A false condition is a `ConflictError` (or, for a day's limit,
`CapReachedError`): read again and decide again. Trouble that passes is a `RetryableError`: let the queue deliver the
work again. A write that went through although its answer was lost counts as done when botocore sends it again.

    ledger = Ledger(clients.dynamodb, "ledger")
    row = ledger.grant(pk, sk)
    ledger.move(row, row.moved(State.APPLYING, at=now, by="remediate", reason="approved by rule x"))
"""

from typing import TYPE_CHECKING

from bedrock_remediator.aws import expressions
from bedrock_remediator.aws.errors import RetryableError
from bedrock_remediator.aws.ledger_decisions import DecisionLedger
from bedrock_remediator.aws.ledger_items import (
    Cap,
    Seen,
    Sightings,
    grant_item,
    marshal,
)
from bedrock_remediator.aws.ledger_notices import NoticeClaim, NoticeLedger
from bedrock_remediator.aws.ledger_opening import HabitsChangedError, OpeningLedger, UsageChangedError
from bedrock_remediator.aws.ledger_writes import CapReachedError, ConflictError, check_step
from bedrock_remediator.core.grant import Grant, State, kept_copy

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

__all__ = [
    "Cap",
    "CapReachedError",
    "ConflictError",
    "HabitsChangedError",
    "Ledger",
    "NoticeClaim",
    "RetryableError",
    "Seen",
    "Sightings",
    "UsageChangedError",
]


class Ledger(OpeningLedger, DecisionLedger, NoticeLedger):
    """The ledger's reads and its conditional writes.

    A write raises `RetryableError` on throttling, and after some tries where an item is busy in another transaction.
    """

    # What the write enforces: the row is in the state and at the version that the writer read, and the step is one of
    #
    #   pending --> approved | rejected | lapsed                  approved --> applying | pending | lapsed | failed
    #   applying --> active | rolled_back | failed                active --> revoking | approved | pending
    #   revoking --> revoked                                      failed --> approved
    #
    #   state s at version n, as read --> state t at version n + 1
    #
    # Whoever comes second finds the version gone and does nothing, so every step is taken once.
    def move(self, before: Grant, after: Grant, *also: "TransactWriteItemTypeDef") -> None:
        """Take a row to its next state (`before.moved(…)`), with whatever else changes.

        What `before` and `after` have in common is not written: a remark that somebody made meanwhile stays.

        Args:
            before: The row as read.
            after: Its next state.
            also: What is written together with it: all or nothing.

        Raises:
            ConflictError: The row is not in that state at that version any more.
            IllegalTransitionError: The state machine has no such arrow.
            ValueError: The key changes, or the version does not move by one.
        """
        check_step(before, after)
        if not also:
            self._change(grant_item(before), grant_item(after), guard=("state", "version"))
            return
        voided_by = [ConflictError(*before.key)] * (1 + len(also))
        self._patiently(lambda: self._transact([self._step(before, after), *also], voided_by))

    # What the write enforces:
    #
    #   state s at version n, as read --> state s at version n, with a remark where there was the one that was read
    #
    # The attributes that change must be as they were read too, so that no remark is lost under another.
    def update(self, before: Grant, after: Grant) -> None:
        """Note something on a row that keeps its state and version: `blocked_by`, `cool_down_until`, `attempt`, ….

        Raises:
            ConflictError: The row, or what was to be changed on it, is no longer as it was read.
            ValueError: The key, the state or the version changes.
        """
        if (after.key, after.state, after.version) != (before.key, before.state, before.version):
            raise ValueError("a remark changes neither a row's key nor its state nor its version")
        was, becomes = grant_item(before), grant_item(after)
        changed = expressions.changed_names(was, becomes)
        if changed:
            self._change(was, becomes, guard=("state", "version", *changed))

    # What the transaction enforces:
    #
    #   state s at version n, as read --> pending | approved at version n + 1, with nothing in force of its own
    #
    #   together with    no kept#… | kept#… revoked --> kept#…, active: what was in force, and stays so
    #
    # Another change of the row, or a copy that still stands, voids both.
    def keep(self, before: Grant, after: Grant, *also: "TransactWriteItemTypeDef") -> None:
        """Take a row to its next state, in which it asks for something else, and keep what stood as a row of its own.

        Args:
            before: The row as read, whose grant is in force.
            after: Its next state (`before.moved(…)`), less what says that it is in force (`written`, say).
            also: What is written together with it: all or nothing.

        Raises:
            ConflictError: The row is no longer as it was read, or another grant is still kept for it.
            IllegalTransitionError: The state machine has no such arrow.
            ValueError: The key changes, the version does not move by one, or the row is itself a kept one.
        """
        check_step(before, after)
        if before.kept:
            raise ValueError("of a kept grant nothing else is kept")
        copy = kept_copy(before)
        gone = {
            "ConditionExpression": f"{expressions.ABSENT} OR #state = :revoked",
            "ExpressionAttributeNames": {"#state": "state"},
            "ExpressionAttributeValues": {":revoked": marshal(State.REVOKED.value)},
        }
        writes = [self._step(before, after), self._put(grant_item(copy), gone), *also]
        voided_by = (ConflictError(*before.key), ConflictError(*copy.key), *([ConflictError(*before.key)] * len(also)))
        self._patiently(lambda: self._transact(writes, voided_by))
