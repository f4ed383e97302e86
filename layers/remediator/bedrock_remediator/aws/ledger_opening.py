"""What triage writes: rows, each with the counter of the denial that opened it, and what is counted afterwards."""

from typing import Any, Final

from bedrock_remediator.aws import expressions
from bedrock_remediator.aws.ledger_items import (
    HABITS,
    USAGE,
    Cap,
    Seen,
    advice_end,
    archive_item,
    grant_item,
    habits_item,
    marshal,
    seen_item,
    usage_item,
)
from bedrock_remediator.aws.ledger_writes import CapReachedError, ConflictError, LedgerWriter
from bedrock_remediator.core.grant import FINISHED, Grant, IllegalTransitionError, State
from bedrock_remediator.core.habits import Habits
from bedrock_remediator.core.usage import Usage

INITIAL: Final = frozenset({State.REPORTED, State.PENDING, State.APPROVED})
"""The states in which a row may begin, or begin again."""


class HabitsChangedError(ConflictError):
    """Something else about the principal was written meanwhile; nothing was written, and nothing else is in the way."""


class UsageChangedError(ConflictError):
    """What the principal has used of its bounds was written meanwhile, and nothing else is in the way."""


class OpeningLedger(LedgerWriter):
    """How rows are opened and denials counted."""

    # What the transaction enforces:
    #
    #   no row ---------------------------------------------+--> reported | pending | approved
    #   reported | revoked | rejected | lapsed |            |
    #   rolled_back | failed, as read ----> archive#… ------+
    #
    #   together with    no counter | seen#… at revision n, as read --> seen#… at revision 1 | n + 1
    #   and, with a cap  no counter | cap#… below its limit          --> cap#… one higher
    #   and, with habits no habits | habits at revision n, as read   --> habits at revision 1 | n + 1
    #   and, with usage  no bounds | bounds at revision n, as read   --> bounds at revision 1 | n + 1
    #
    # A row that another batch opened meanwhile, a counter that moved on or a cap that is used up voids all of it: a
    # denial is counted once, and for the row that it opened.
    def open(  # noqa: PLR0913 - one an item
        self,
        grant: Grant,
        seen: Seen,
        *,
        cap: Cap | None = None,
        replaces: Grant | None = None,
        habits: Habits | None = None,
        usage: Usage | None = None,
    ) -> None:
        """Write a row, the counter of the denial that opened it, and one more in the day's cap: all or nothing.

        Args:
            grant: The row, in a state in which a row may begin; its version is above that of the row it replaces.
            seen: The counter as it shall be: a new one with revision 1, or the one read with its revision plus one.
            cap: The limit that an automatic grant counts against.
            replaces: The finished row under the same key, as read; it goes to the archive.
            habits: What is known of the principal from now on: as read, with its revision plus one.
            usage: What it has used of its bounds from now on: likewise.

        Raises:
            ConflictError: The row or the counter is no longer as it was read.
            CapReachedError: The cap is used up, and row and counter did not stand in the way.
            HabitsChangedError: The habits are no longer as they were read, and nothing else stood in the way.
            UsageChangedError: The usage is not, and neither do the habits stand in the way.
            IllegalTransitionError: No row may begin in that state, or none may replace a row in that state.
            ValueError: The keys or the versions do not go together.
        """
        _check_opening(grant, seen, replaces)
        if cap and cap.limit < 1:
            raise CapReachedError(cap)
        counter = seen_item(seen, advice_end(grant))
        writes = [self._put(grant_item(grant), _as_read(replaces)), self._put(counter, _one_revision_back(seen))]
        voided_by: list[Exception] = [ConflictError(*grant.key), ConflictError(seen.pk, counter["sk"]["S"])]
        if cap:
            writes.append(self._spend(cap))
            voided_by.append(CapReachedError(cap))
        if habits:
            writes.append(self._put(habits_item(habits), _one_revision_back(habits)))
            voided_by.append(HabitsChangedError(habits.pk, HABITS))
        if usage:
            writes.append(self._put(usage_item(usage, self._clock.now()), _one_revision_back(usage)))
            voided_by.append(UsageChangedError(usage.pk, USAGE))
        if replaces:
            writes.append(self._put(archive_item(replaces), {}))
        self._patiently(lambda: self._transact(writes, voided_by))

    # What the write enforces:
    #
    #   no counter --> seen#… at revision 1
    #
    #   and, with usage  no bounds | bounds at revision n, as read   --> bounds at revision 1 | n + 1
    def link(self, seen: Seen, row: Grant | None = None, usage: Usage | None = None) -> None:
        """Write the first counter of a denial that belongs to a row which is there already (another action, say).

        Args:
            seen: The counter.
            row: The row, whose end the counter has, too.
            usage: What the principal has used of its bounds from now on, where such a denial takes from them.

        Raises:
            ConflictError: There is such a counter already: count in it.
            UsageChangedError: The usage is no longer as it was read, and nothing else stood in the way.
        """
        if seen.revision != 1:
            raise ValueError("a first counter has revision 1")
        item = seen_item(seen, advice_end(row) if row else None)
        if usage:
            writes = [
                self._put(item, {"ConditionExpression": expressions.ABSENT}),
                self._put(usage_item(usage, self._clock.now()), _one_revision_back(usage)),
            ]
            voided_by = (ConflictError(seen.pk, item["sk"]["S"]), UsageChangedError(usage.pk, USAGE))
            self._patiently(lambda: self._transact(writes, voided_by))
            return
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


def _one_revision_back(item: Seen | Habits | Usage) -> dict[str, Any]:
    if item.revision == 1:
        return {"ConditionExpression": expressions.ABSENT}
    return expressions.unchanged({"revision": marshal(item.revision - 1)}, ("revision",))
