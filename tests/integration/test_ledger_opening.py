"""Rows of the ledger begin: against DynamoDB as moto plays it."""

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from bedrock_remediator.aws.ledger.items import unmarshal
from bedrock_remediator.aws.ledger.read import Known
from bedrock_remediator.aws.ledger.write import Cap, CapReachedError, ConflictError, HabitsChangedError, Ledger
from bedrock_remediator.core.grant import Grant, IllegalTransitionError, State
from bedrock_remediator.core.suspicion import Habits, Trait
from bedrock_remediator.core.usage import Usage
from tests.builders.grants import NOON, ROLE, first_seen, pending_grant, seen_again

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

LATER = NOON + timedelta(hours=1)
CAP = Cap(name="rule:nova", day="2026-11-20", limit=2)


def profile_grant(number: int, **changes: Any) -> Grant:
    """The request of one of many profiles."""
    return pending_grant(sk=f"profile#{number}", **changes)


def items(client: "DynamoDBClient") -> dict[tuple[str, str], dict[str, Any]]:
    """Everything in the table, as plain values."""
    rows = [
        {name: unmarshal(attribute) for name, attribute in item.items()}
        for item in client.scan(TableName="ledger", ConsistentRead=True)["Items"]
    ]
    return {(row["pk"], row["sk"]): row for row in rows}


def stored(ledger: Ledger, grant: Grant) -> Grant:
    """The row as it is now."""
    found = ledger.grant(*grant.key)
    assert found
    return found


class TestOpening:
    """A row begins, together with the counter of the denial that opened it."""

    def test_writes_the_row_and_its_counter(self, ledger: Ledger) -> None:
        """A row that is opened can be read back, field by field, and so can its counter."""
        grant = pending_grant()
        ledger.open(grant, first_seen(grant))
        assert ledger.grant(*grant.key) == grant
        assert ledger.seen([(ROLE, "f1")]) == {(ROLE, "f1"): first_seen(grant)}

    def test_happens_once(self, ledger: Ledger) -> None:
        """Of two batches that open the same row the second is told, and counts nothing."""
        grant = pending_grant()
        ledger.open(grant, first_seen(grant))
        with pytest.raises(ConflictError) as conflict:
            ledger.open(grant, first_seen(grant, "f2"))
        assert conflict.value.key == grant.key
        assert not ledger.seen([(ROLE, "f2")])

    def test_names_the_counter_that_moved(self, ledger: Ledger, dynamodb: "DynamoDBClient") -> None:
        """A counter that somebody else has written voids the row too, and the error names the counter."""
        grant, other = profile_grant(1), profile_grant(2)
        ledger.open(grant, first_seen(grant))
        with pytest.raises(ConflictError) as conflict:
            ledger.open(other, first_seen(other))
        assert conflict.value.key == (ROLE, "seen#f1")
        assert (ROLE, other.sk) not in items(dynamodb)

    def test_counts_on_in_a_counter_that_was_there(self, ledger: Ledger) -> None:
        """A row may be opened by a denial that was seen before: its counter goes on, from the revision read."""
        advice = pending_grant(sk="advice#unknown#-", state=State.REPORTED)
        ledger.open(advice, first_seen(advice))
        grant = pending_grant()
        again = msgspec.structs.replace(seen_again(first_seen(advice), "e2"), row=grant.sk)
        ledger.open(grant, again)
        assert ledger.seen([(ROLE, "f1")])[ROLE, "f1"] == again

    @pytest.mark.parametrize("state", [State.APPLYING, State.ACTIVE, State.REVOKED, State.REJECTED])
    def test_begins_only_where_a_row_may_begin(self, ledger: Ledger, state: State) -> None:
        """No row begins in the middle of the state machine."""
        grant = pending_grant(state=state)
        with pytest.raises(IllegalTransitionError):
            ledger.open(grant, first_seen(grant))

    def test_refuses_a_counter_of_another_row(self, ledger: Ledger) -> None:
        """A counter is written with the row that it belongs to, or not at all."""
        with pytest.raises(ValueError, match="another row"):
            ledger.open(profile_grant(1), first_seen(profile_grant(2)))


class TestCap:
    """A rule's grants of a day are counted with the rows that they open."""

    def test_lets_as_many_through_as_it_allows(self, ledger: Ledger, dynamodb: "DynamoDBClient") -> None:
        """The grant after the last one allowed is refused whole: no row, no counter, no higher number."""
        for number in (1, 2):
            ledger.open(profile_grant(number), first_seen(profile_grant(number), f"f{number}"), cap=CAP)
        with pytest.raises(CapReachedError) as reached:
            ledger.open(profile_grant(3), first_seen(profile_grant(3), "f3"), cap=CAP)
        assert reached.value.cap == CAP
        everything = items(dynamodb)
        assert everything["cap#rule:nova", "2026-11-20"]["used"] == 2
        assert (ROLE, "profile#3") not in everything
        assert (ROLE, "seen#f3") not in everything

    def test_is_of_one_day(self, ledger: Ledger, dynamodb: "DynamoDBClient") -> None:
        """The next day counts from nothing, and yesterday's counter carries the time at which it may be deleted."""
        cap = msgspec.structs.replace(CAP, limit=1)
        ledger.open(profile_grant(1), first_seen(profile_grant(1), "f1"), cap=cap)
        ledger.open(
            profile_grant(2), first_seen(profile_grant(2), "f2"), cap=msgspec.structs.replace(cap, day="2026-11-21")
        )
        expires = items(dynamodb)["cap#rule:nova", "2026-11-20"]["expires"]
        assert NOON.timestamp() + 86400 < expires < NOON.timestamp() + 7 * 86400

    def test_of_nothing_allows_nothing(self, ledger: Ledger, dynamodb: "DynamoDBClient") -> None:
        """A limit of 0 refuses the first grant."""
        with pytest.raises(CapReachedError):
            ledger.open(pending_grant(), first_seen(pending_grant()), cap=msgspec.structs.replace(CAP, limit=0))
        assert not items(dynamodb)

    def test_is_not_asked_where_the_row_is_there_already(self, ledger: Ledger) -> None:
        """Where both the row and the cap stand in the way, the row is the reason: there is nothing to ask a person."""
        cap = msgspec.structs.replace(CAP, limit=1)
        grant = pending_grant()
        ledger.open(grant, first_seen(grant), cap=cap)
        with pytest.raises(ConflictError):
            ledger.open(grant, first_seen(grant), cap=cap)


class TestReopening:
    """A finished row begins anew."""

    def test_archives_what_it_replaces(self, ledger: Ledger, dynamodb: "DynamoDBClient") -> None:
        """A finished row that is opened anew is kept, without the attributes that anybody listens to or looks for."""
        old = pending_grant(state=State.LAPSED, version=4)
        new = pending_grant(version=5, updated_at=LATER)
        ledger.open(pending_grant(), first_seen(old))
        self.put(ledger, old)
        ledger.open(new, seen_again(first_seen(old), "e2"), replaces=old)
        assert stored(ledger, new) == new
        archived = items(dynamodb)[ROLE, f"archive#{old.sk}#4"]
        assert archived["archived_state"] == "lapsed"
        assert archived["resources"] == list(old.resources)
        assert not {"state", "due_at", "group"} & archived.keys()

    def test_happens_once(self, ledger: Ledger) -> None:
        """Of two batches that reopen the same row the second is told."""
        old = pending_grant(state=State.REPORTED)
        new = pending_grant(version=2)
        ledger.open(old, first_seen(old))
        ledger.open(new, seen_again(first_seen(old), "e2"), replaces=old)
        with pytest.raises(ConflictError) as conflict:
            ledger.open(new, first_seen(old, "f2"), replaces=old)
        assert conflict.value.key == new.key

    def test_needs_a_finished_row(self, ledger: Ledger) -> None:
        """A row that is still on its way is not replaced, whatever the writer thinks."""
        with pytest.raises(IllegalTransitionError):
            ledger.open(
                pending_grant(version=2), first_seen(pending_grant()), replaces=pending_grant(state=State.ACTIVE)
            )

    def test_needs_a_higher_version(self, ledger: Ledger) -> None:
        """The version goes on, since notices and the queue's messages are told apart by it."""
        old = pending_grant(state=State.REPORTED)
        with pytest.raises(ValueError, match="higher version"):
            ledger.open(pending_grant(), first_seen(old), replaces=old)

    @staticmethod
    def put(ledger: Ledger, grant: Grant) -> None:
        """Bring a pending row of version 1 to this one, by steps that the state machine has."""
        row = stored(ledger, grant)
        for state in (State.APPROVED, State.PENDING, State.LAPSED):
            after = row.moved(state, at=NOON, by="test", reason="on its way")
            ledger.move(row, after)
            row = after
        ledger.update(row, msgspec.structs.replace(grant, history=row.history))


class TestHabits:
    """What is known of a principal is written together with its rows."""

    def known(self, revision: int = 1) -> Habits:
        """A principal that called from one place."""
        traits = (Trait("192.0.2.1", NOON),)
        return Habits(pk=ROLE, addresses=traits, targets=(Trait("a", NOON),), granted=1, day="x", revision=revision)

    def test_are_read_with_the_counter(self, ledger: Ledger) -> None:
        """In one call; nothing is known of a principal that was never seen."""
        grant, seen = pending_grant(), first_seen(pending_grant())
        assert ledger.known([seen.key], []).habits == {ROLE: Habits(pk=ROLE)}
        ledger.open(grant, seen, habits=self.known())
        assert ledger.known([seen.key], []) == Known({seen.key: seen}, {}, {ROLE: self.known()}, {ROLE: Usage(pk=ROLE)})
        assert ledger.habits(ROLE) == self.known()
        assert ledger.grants(ROLE) == [grant]

    def test_of_two_who_read_the_same_one_is_told(self, ledger: Ledger) -> None:
        """So that no call goes uncounted, and the row is not written either."""
        ledger.open(profile_grant(1), first_seen(profile_grant(1)), habits=self.known())
        ledger.open(profile_grant(2), first_seen(profile_grant(2), "f2"), habits=self.known(2))
        for revision in (1, 2):
            with pytest.raises(HabitsChangedError) as conflict:
                ledger.open(profile_grant(3), first_seen(profile_grant(3), "f3"), habits=self.known(revision))
            assert conflict.value.key == (ROLE, "habits")
        assert ledger.grant(*profile_grant(3).key) is None
        assert ledger.habits(ROLE).revision == 2

    def test_a_row_that_is_there_comes_first(self, ledger: Ledger) -> None:
        """Where both are in the way there is nothing left to write."""
        ledger.open(profile_grant(1), first_seen(profile_grant(1)), habits=self.known())
        with pytest.raises(ConflictError) as conflict:
            ledger.open(profile_grant(1), first_seen(profile_grant(1), "f2"), habits=self.known())
        assert conflict.value.key == profile_grant(1).key

    def test_wake_nobody(self, ledger: Ledger, dynamodb: "DynamoDBClient") -> None:
        """The item has no state, so that neither the pipe nor notify takes it."""
        ledger.open(pending_grant(), first_seen(pending_grant()), habits=self.known())
        assert "state" not in items(dynamodb)[ROLE, "habits"]
