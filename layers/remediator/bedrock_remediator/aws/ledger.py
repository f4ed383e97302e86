"""The ledger: one DynamoDB table, in which every grant is a row that moves from state to state.

Every write is conditional on what the writer saw. A false condition is a `ConflictError` (or, for a day's limit,
`CapReachedError`): read again and decide again. Trouble that passes is a `RetryableError`: let the queue deliver the
work again. A write that went through although its answer was lost counts as done when botocore sends it again.

    ledger = Ledger(clients.dynamodb, "ledger")
    row = ledger.grant(pk, sk)
    ledger.move(row, row.moved(State.APPLYING, at=now, by="remediate", reason="approved by rule x"))
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from bedrock_remediator.aws import expressions
from bedrock_remediator.aws.errors import BusyError, RetryableError, error_code
from bedrock_remediator.aws.ledger_decisions import DecisionLedger
from bedrock_remediator.aws.ledger_items import (
    HABITS,
    Cap,
    Item,
    Seen,
    Sightings,
    archive_item,
    cap_expiry,
    cap_key,
    grant_item,
    habits_item,
    key,
    marshal,
    seen_item,
)
from bedrock_remediator.aws.ledger_notices import NoticeClaim, NoticeLedger
from bedrock_remediator.aws.ledger_writes import FAILED, ConflictError, check_step
from bedrock_remediator.core.grant import FINISHED, Grant, IllegalTransitionError, State, kept_copy
from bedrock_remediator.core.habits import Habits

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
]

INITIAL: Final = frozenset({State.REPORTED, State.PENDING, State.APPROVED})
"""The states in which a row may begin, or begin again."""

_BUSY: Final = frozenset({"TransactionConflict", "ProvisionedThroughputExceeded", "ThrottlingError"})


class CapReachedError(Exception):
    """The day's limit is used up; nothing was written."""

    def __init__(self, cap: Cap) -> None:
        super().__init__(f"{cap.name} has used its {cap.limit} grants of {cap.day}")
        self.cap = cap


class HabitsChangedError(ConflictError):
    """Something else about the principal was written meanwhile; nothing was written, and nothing else is in the way."""


class Ledger(DecisionLedger, NoticeLedger):
    """The ledger's reads and its conditional writes.

    A write raises `RetryableError` on throttling, and after some tries where an item is busy in another transaction.
    """

    # What the transaction enforces:
    #
    #   no row ---------------------------------------------+--> reported | pending | approved
    #   reported | revoked | rejected | lapsed |            |
    #   rolled_back | failed, as read ----> archive#… ------+
    #
    #   together with    no counter | seen#… at revision n, as read --> seen#… at revision 1 | n + 1
    #   and, with a cap  no counter | cap#… below its limit          --> cap#… one higher
    #   and, with habits no habits | habits at revision n, as read   --> habits at revision 1 | n + 1
    #
    # A row that another batch opened meanwhile, a counter that moved on or a cap that is used up voids all of it: a
    # denial is counted once, and for the row that it opened.
    def open(
        self,
        grant: Grant,
        seen: Seen,
        *,
        cap: Cap | None = None,
        replaces: Grant | None = None,
        habits: Habits | None = None,
    ) -> None:
        """Write a row, the counter of the denial that opened it, and one more in the day's cap: all or nothing.

        Args:
            grant: The row, in a state in which a row may begin; its version is above that of the row it replaces.
            seen: The counter as it shall be: a new one with revision 1, or the one read with its revision plus one.
            cap: The limit that an automatic grant counts against.
            replaces: The finished row under the same key, as read; it goes to the archive.
            habits: What is known of the principal from now on: as read, with its revision plus one.

        Raises:
            ConflictError: The row or the counter is no longer as it was read.
            CapReachedError: The cap is used up, and row and counter did not stand in the way.
            HabitsChangedError: The habits are no longer as they were read, and nothing else stood in the way.
            IllegalTransitionError: No row may begin in that state, or none may replace a row in that state.
            ValueError: The keys or the versions do not go together.
        """
        _check_opening(grant, seen, replaces)
        if cap and cap.limit < 1:
            raise CapReachedError(cap)
        counter = seen_item(seen)
        writes = [self._put(grant_item(grant), _as_read(replaces)), self._put(counter, _one_revision_back(seen))]
        voided_by: list[Exception] = [ConflictError(*grant.key), ConflictError(seen.pk, counter["sk"]["S"])]
        if cap:
            writes.append(self._spend(cap))
            voided_by.append(CapReachedError(cap))
        if habits:
            writes.append(self._put(habits_item(habits), _one_revision_back(habits)))
            voided_by.append(HabitsChangedError(habits.pk, HABITS))
        if replaces:
            writes.append(self._put(archive_item(replaces), {}))
        self._patiently(lambda: self._transact(writes, voided_by))

    # What the write enforces:
    #
    #   no counter --> seen#… at revision 1
    def link(self, seen: Seen) -> None:
        """Write the first counter of a denial that belongs to a row which is there already (another action, say).

        Raises:
            ConflictError: There is such a counter already: count in it.
        """
        if seen.revision != 1:
            raise ValueError("a first counter has revision 1")
        item = seen_item(seen)
        found = self._conditional(
            lambda: self._client.put_item(
                TableName=self._table,
                Item=item,
                ConditionExpression=expressions.ABSENT,
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        )
        if found is not None and found != item:
            raise ConflictError(seen.pk, item["sk"]["S"])

    # What the write enforces:
    #
    #   seen#… at revision n, as read --> revision n + 1
    def count(self, before: Seen, after: Seen) -> None:
        """Count more denials.

        Raises:
            ConflictError: Another batch has counted meanwhile.
        """
        if after.key != before.key or after.revision != before.revision + 1:
            raise ValueError("a counter keeps its key and moves by one revision")
        self._change(seen_item(before), seen_item(after), guard=("revision",))

    # What the write enforces: the row is in the state and at the version that the writer read, and the step is one of
    #
    #   pending --> approved | rejected | lapsed                  approved --> applying | pending | lapsed | failed
    #   applying --> active | rolled_back | failed                active --> revoking | approved | pending
    #   revoking --> revoked                                      failed --> approved
    #
    #   state s at version n, as read --> state t at version n + 1
    #
    # Whoever comes second finds the version gone and does nothing, so every step is taken once.
    def move(self, before: Grant, after: Grant) -> None:
        """Take a row to its next state (`before.moved(…)`), with whatever else changes.

        What `before` and `after` have in common is not written: a remark that somebody made meanwhile stays.

        Raises:
            ConflictError: The row is not in that state at that version any more.
            IllegalTransitionError: The state machine has no such arrow.
            ValueError: The key changes, or the version does not move by one.
        """
        check_step(before, after)
        self._change(grant_item(before), grant_item(after), guard=("state", "version"))

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
    def keep(self, before: Grant, after: Grant) -> None:
        """Take a row to its next state, in which it asks for something else, and keep what stood as a row of its own.

        Args:
            before: The row as read, whose grant is in force.
            after: Its next state (`before.moved(…)`), less what says that it is in force (`written`, say).

        Raises:
            ConflictError: The row is no longer as it was read, or another grant is still kept for it.
            IllegalTransitionError: The state machine has no such arrow.
            ValueError: The key changes, the version does not move by one, or the row is itself a kept one.
        """
        check_step(before, after)
        if before.kept:
            raise ValueError("of a kept grant nothing else is kept")
        copy = kept_copy(before)
        becomes = expressions.update(grant_item(before), grant_item(after), ("state", "version"))
        gone = {
            "ConditionExpression": f"{expressions.ABSENT} OR #state = :revoked",
            "ExpressionAttributeNames": {"#state": "state"},
            "ExpressionAttributeValues": {":revoked": marshal(State.REVOKED.value)},
        }
        writes: list[TransactWriteItemTypeDef] = [
            {"Update": {"TableName": self._table, "Key": key(*before.key), **becomes}},  # type: ignore[typeddict-item]
            self._put(grant_item(copy), gone),
        ]
        voided_by = (ConflictError(*before.key), ConflictError(*copy.key))
        self._patiently(lambda: self._transact(writes, voided_by))

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


def _check_opening(grant: Grant, seen: Seen, replaces: Grant | None) -> None:
    if grant.state not in INITIAL or (replaces and replaces.state not in FINISHED):
        raise IllegalTransitionError(f"{replaces.state if replaces else 'nothing'} -> {grant.state}")
    if replaces and (grant.key != replaces.key or grant.version <= replaces.version):
        raise ValueError("a row that replaces another has its key and a higher version")
    if (seen.pk, seen.row) != grant.key:
        raise ValueError("the counter belongs to another row")


def _as_read(replaces: Grant | None) -> dict[str, Any]:
    if replaces is None:
        return {"ConditionExpression": expressions.ABSENT}
    return expressions.unchanged(grant_item(replaces), ("state", "version"))


def _one_revision_back(item: Seen | Habits) -> dict[str, Any]:
    if item.revision == 1:
        return {"ConditionExpression": expressions.ABSENT}
    return expressions.unchanged({"revision": marshal(item.revision - 1)}, ("revision",))
