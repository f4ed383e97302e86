"""Writing the ledger: one DynamoDB table, in which every grant is a row that moves from state to state.

Every write is conditional on what the writer saw. A false condition is a `ConflictError` (or, for a day's limit,
`CapReachedError`): read again and decide again. Trouble that passes is a `RetryableError`: let the queue deliver the
work again. A write that went through although its answer was lost counts as done when botocore sends it again.

    ledger = Ledger(clients.dynamodb, "ledger")
    row = ledger.grant(pk, sk)
    ledger.move(row, row.moved(State.APPLYING, at=now, by="remediate", reason="approved by rule x"))

Each function has the writes that it needs and no others: triage rows and counters, approve decisions, notify what it
has sent, upkeep reminders, digests and where a long walk goes on.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal

from botocore.exceptions import ClientError

from bedrock_remediator.aws.errors import BusyError, RetryableError, error_code, passing_trouble
from bedrock_remediator.aws.ledger import expressions
from bedrock_remediator.aws.ledger.items import (
    HABITS,
    USAGE,
    Cap,
    Item,
    Seen,
    Sightings,
    advice_end,
    archive_item,
    cap_expiry,
    cap_key,
    grant_item,
    habits_item,
    key,
    marshal,
    notice_key,
    seen_item,
    unmarshal,
    usage_item,
)
from bedrock_remediator.aws.ledger.read import TRIES, LedgerReader
from bedrock_remediator.core.grant import FINISHED, TRANSITIONS, Grant, IllegalTransitionError, State, kept_copy
from bedrock_remediator.core.suspicion import Habits
from bedrock_remediator.core.usage import Usage

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


DECISION_ATTRIBUTES: Final = frozenset(
    {
        "pk",
        "sk",
        "approval",
        "cool_down_until",
        "decided_at",
        "decided_by",
        "decided_version",
        "decided_via",
        "decision",
        "decision_reason",
        "due_at",
        "expires_at",
        "grant_seconds",
        "history",
        "reason",
        "reason_code",
        "rule",
        "state",
        "updated_at",
        "version",
    }
)
"""All that a person's decision names of a row in its UpdateItem."""

APPROVE_ATTRIBUTES: Final = DECISION_ATTRIBUTES | {"link_asked_at"}
"""All that approve names of a row; IAM holds it to these (dynamodb:Attributes)."""


class DecisionLedger(LedgerWriter):
    """The ledger for who decides: its reads, and a write that changes nothing but what a decision is made of."""

    # What the write enforces: as `move` does, and that nothing changes but what a decision is made of. A refused write
    # is not answered with the item, of which approve may not read every attribute that way: it is read instead.
    def decide(self, before: Grant, after: Grant) -> None:
        """Take a row where a person's decision takes it (see core/approval.py), and change nothing else of it.

        Raises:
            ConflictError: The row is not in that state at that version any more: somebody else was first.
            IllegalTransitionError: The state machine has no such arrow.
            ValueError: The key or something that a decision does not change changes, or the version not by one.
        """
        check_step(before, after)
        self._write(before, after, DECISION_ATTRIBUTES, ("state", "version"))

    # What the write enforces: the row is in the state and at the version that was read, and nobody has asked meanwhile.
    def ask_for_link(self, before: Grant, after: Grant) -> None:
        """Note on a row that somebody asked for a new link to it (`link_asked_at`), and change nothing else of it.

        Raises:
            ConflictError: The row is not as it was read any more.
            ValueError: Something else changes.
        """
        self._write(before, after, frozenset({"link_asked_at"}), ("state", "version", "link_asked_at"))

    def _write(self, before: Grant, after: Grant, allowed: frozenset[str], guard: tuple[str, ...]) -> None:
        was, becomes = grant_item(before), grant_item(after)
        changed = expressions.changed_names(was, becomes)
        if not allowed.issuperset(changed):
            raise ValueError(f"this may not change {sorted({*changed} - allowed)}")
        try:
            self._patiently(
                lambda: self._client.update_item(
                    TableName=self._table,
                    Key=key(*before.key),
                    **expressions.update(was, becomes, guard),
                )
            )
        except ClientError as error:
            if error_code(error) != f"{FAILED}Exception":
                raise
            found = self.grant(*before.key)
            if found is None or not expressions.already_made(grant_item(found), was, becomes, guard):
                raise ConflictError(*before.key) from error


NoticeClaim = Literal["new", "maybe_sent", "sent"]

NOTICES: Final = "notices"
"""The pk of the counters of notices; their sk is the hour, `YYYY-MM-DDTHH` in UTC, with whom it is about before."""

FOLDED: Final = "_folded"
"""Behind the name of a kind: that of its notices which were folded because one caller had set off too many."""

_LEAST_OF_ONE: Final = 3
_APART: Final = frozenset({"advice", "advice_folded", "alert_folded"})
"""What does not count among the notices of an hour: anybody who is denied something can cause these."""

_COUNTER_KEPT: Final = timedelta(days=3)


def hour_of(time: datetime) -> str:
    """The hour that a notice is counted in, in UTC."""
    return f"{time.astimezone(UTC):%Y-%m-%dT%H}"


def share_of_one(most: int) -> int:
    """How many notices of advice, or of one kind of alert, one caller may set off in an hour."""
    return max(most // 10, _LEAST_OF_ONE)


def folded(kinds: Mapping[str, int], most: int) -> int:
    """How many notices of an hour were not sent one by one, of so many of each kind.

    Args:
        kinds: How many there were, as `notices_counted` gives them.
        most: How many notices an hour may have, and beside them how many of advice.
    """
    others = sum(number for kind, number in kinds.items() if kind not in _APART)
    beyond = max(others - most, 0) + max(kinds.get("advice", 0) - most, 0)
    return beyond + sum(number for kind, number in kinds.items() if kind.endswith(FOLDED))


def beginning(hour: str) -> datetime:
    """When an hour begins."""
    return datetime.strptime(hour, "%Y-%m-%dT%H").replace(tzinfo=UTC)


class NoticeLedger(LedgerWriter):
    """The ledger for who tells people."""

    # What the write enforces:
    #
    #   no marker --> claimed --publish--> sent
    #
    # Who finds `claimed` cannot know whether its notice went out: the function before may have died on either side.
    def claim_notice(self, grant: Grant, *, link: bool = False) -> NoticeClaim:
        """Ask, before publishing, whether the notice of this state of the row is still to be sent.

        Args:
            grant: The row.
            link: Whether it is about the new link that was asked for.

        Returns:
            `new`: it was not sent; `maybe_sent`: somebody began to, send it and say so; `sent`: send nothing.
        """
        return self._claim(_marker(grant, link=link))

    def notice_sent(self, grant: Grant, *, link: bool = False) -> None:
        """Say that the notice went out; as `claim_notice`."""
        self._sent(_marker(grant, link=link))

    def _claim(self, marker: Item) -> NoticeClaim:
        written = self._conditional(
            lambda: self._client.put_item(
                TableName=self._table,
                Item=marker | {"status": marshal("claimed")},
                ConditionExpression=expressions.ABSENT,
            )
        )
        if written is None:
            return "new"
        # A refused write is not answered with the item: of a role held to attributes that is not documented.
        with passing_trouble("reading a notice's marker"):
            found = self._client.get_item(
                TableName=self._table, Key=key(marker["pk"]["S"], marker["sk"]["S"]), ConsistentRead=True
            )
        return "sent" if found.get("Item", {}).get("status") == marshal("sent") else "maybe_sent"

    def _sent(self, marker: Item) -> None:
        with passing_trouble("marking a notice as sent"):
            self._client.put_item(TableName=self._table, Item=marker | {"status": marshal("sent")})

    def count_notice(self, kind: str, hour: str) -> int:
        """Count one more notice that may be folded, and say how many there were in its hour.

        Advice is counted by itself, all other kinds together. A function that dies and begins again counts twice: too
        many are folded then, and none goes uncounted.

        Args:
            kind: What it is about, in one word, which is the name of an attribute.
            hour: As `hour_of` gives it.
        """
        return self._count(hour, hour, (kind,) if kind in _APART else ("used", kind))

    def count_notice_of_one(self, subject: str, hour: str) -> int:
        """Count one more notice about a subject, a caller that sets them off, and say how many its hour has had."""
        digest = hashlib.sha256(subject.encode(errors="backslashreplace")).hexdigest()[:32]
        return self._count(f"of#{digest}#{hour}", hour, ("used",))

    def _count(self, sk: str, hour: str, names: Sequence[str]) -> int:
        """Add one to each attribute, and give the first."""
        expires = int((beginning(hour) + _COUNTER_KEPT).timestamp())
        added = ", ".join(f"#{name} :one" for name in names)
        with passing_trouble("counting a notice"):
            answer = self._client.update_item(
                TableName=self._table,
                Key=key(NOTICES, sk),
                UpdateExpression=f"SET #expires = :expires ADD {added}",
                ExpressionAttributeNames={"#expires": "expires", **{f"#{name}": name for name in names}},
                ExpressionAttributeValues={":expires": marshal(expires), ":one": marshal(1)},
                ReturnValues="UPDATED_NEW",
            )
        return int(unmarshal(answer["Attributes"][names[0]]))

    def notices_counted(self, after: str, before: str) -> dict[str, dict[str, int]]:
        """The hours between two (neither included) with how many notices there were by kind, the earliest first."""
        items = self._pages(
            KeyConditionExpression="pk = :pk AND sk BETWEEN :after AND :before",
            ExpressionAttributeValues={":pk": marshal(NOTICES), ":after": marshal(after), ":before": marshal(before)},
        )
        hours = {item["sk"]["S"]: item for item in items}
        own = {"pk", "sk", "expires", "used"}
        return {
            hour: {name: int(unmarshal(value)) for name, value in sorted(item.items()) if name not in own}
            for hour, item in hours.items()
            if hour not in (after, before)
        }


def _marker(grant: Grant, *, link: bool) -> Item:
    """The marker of a notice; that of advice ends with it."""
    return notice_key(grant, link=link) | {name: marshal(value) for name, value in advice_end(grant).items()}


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


_DIGEST: Final = "digest"
_UPKEEP: Final = "upkeep"
_MARKER_KEPT: Final = timedelta(days=3)


class UpkeepLedger(Ledger):
    """The ledger as upkeep uses it. None of its own items has a `state`, so that they wake nobody."""

    def place(self, chore: str) -> str | None:
        """Where a chore goes on; None where it begins at the beginning."""
        with passing_trouble("reading a chore's place"):
            answer = self._client.get_item(TableName=self._table, Key=key(_UPKEEP, chore), ConsistentRead=True)
        return str(unmarshal(answer["Item"]["place"])) if "Item" in answer else None

    def put_place(self, chore: str, place: str) -> None:
        """Say where a chore goes on: `""` for the beginning."""
        item = key(_UPKEEP, chore) | {"place": marshal(place)}
        with passing_trouble("writing a chore's place"):
            self._client.put_item(TableName=self._table, Item=item)

    # What the transaction enforces:
    #
    #   pending at version n, as read --> approved at version n + 1
    #
    #   together with, for a cap    no counter | cap#… below its limit --> cap#… one higher
    def approve(self, before: Grant, after: Grant, cap: Cap | None) -> None:
        """Take a request where a rule takes it, and count the grant against the rule's limit: both or neither.

        Raises:
            ConflictError: The row is not in that state at that version any more.
            CapReachedError: The cap is used up, and nothing else stood in the way.
            IllegalTransitionError: The state machine has no such arrow.
            ValueError: The key changes, or the version does not move by one.
        """
        if cap is None:
            self.move(before, after)
            return
        check_step(before, after)
        if cap.limit < 1:
            raise CapReachedError(cap)
        writes = [self._step(before, after), self._spend(cap)]
        self._patiently(lambda: self._transact(writes, (ConflictError(*before.key), CapReachedError(cap))))

    def claim_digest(self, day: str) -> NoticeClaim:
        """Ask, before publishing, whether a day's digest is still to be sent: as `claim_notice`.

        `day` is `YYYY-MM-DD`; for an hour of which notices were folded, `YYYY-MM-DDTHH`.
        """
        return self._claim(_digest_marker(day))

    def digest_sent(self, day: str) -> None:
        """Say that it went out."""
        self._sent(_digest_marker(day))


def _digest_marker(day: str) -> Item:
    """The day's marker, which DynamoDB may delete when nobody asks for it any more."""
    kept_until = datetime.strptime(day[:10], "%Y-%m-%d").replace(tzinfo=UTC) + _MARKER_KEPT
    return key(_DIGEST, day) | {"expires": marshal(int(kept_until.timestamp()))}
