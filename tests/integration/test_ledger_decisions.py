"""What a person's decision writes, and the index by which rows of a state are found."""

from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.stub import ANY, Stubber
from msgspec.structs import replace

from bedrock_remediator.aws.errors import RetryableError
from bedrock_remediator.aws.ledger.items import NEVER, grant_item
from bedrock_remediator.aws.ledger.write import APPROVE_ATTRIBUTES, DECISION_ATTRIBUTES, ConflictError, Ledger
from bedrock_remediator.core.approval import Verb, decide
from bedrock_remediator.core.grant import Grant, IllegalTransitionError, State
from tests.builders.clocks import StoppedClock
from tests.builders.decisions import ANYTHING, BOB, answer, stepped, waiting
from tests.builders.grants import NOON, first_seen

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

ROW = waiting()
APPROVED = decide(ROW, answer(length=timedelta(days=1), reason="Fine."), ANYTHING, NOON)


def kept(ledger: Ledger, row: Grant = ROW) -> Grant:
    """The row, in the ledger."""
    ledger.open(row, first_seen(row, fingerprint=row.sk))
    return row


class TestDeciding:
    """One write, on the condition that nobody was first."""

    def test_writes_the_decision(self, ledger: Ledger) -> None:
        """The row is as the decision makes it."""
        ledger.decide(kept(ledger), APPROVED)
        assert ledger.grant(*ROW.key) == APPROVED

    def test_comes_once(self, ledger: Ledger) -> None:
        """Who comes second is told, and changes nothing."""
        ledger.decide(kept(ledger), APPROVED)
        with pytest.raises(ConflictError):
            ledger.decide(ROW, decide(ROW, answer(Verb.REJECT, approver=BOB), ANYTHING, NOON))
        assert ledger.grant(*ROW.key) == APPROVED

    def test_that_got_through_unheard_counts_as_done(self, ledger: Ledger) -> None:
        """Only the answer was lost, and the same write was sent again."""
        ledger.decide(kept(ledger), APPROVED)
        ledger.decide(ROW, APPROVED)

    def test_about_nothing_conflicts(self, ledger: Ledger) -> None:
        """There is no such row."""
        with pytest.raises(ConflictError):
            ledger.decide(ROW, APPROVED)

    @pytest.mark.parametrize("changes", [{"resources": ()}, {"principal_id": "AROAX"}, {"blocked_by": "x"}])
    def test_changes_nothing_else(self, ledger: Ledger, changes: dict[str, Any]) -> None:
        """Not even what the role of approve would let through."""
        with pytest.raises(ValueError, match=f"may not change .*{next(iter(changes))}"):
            ledger.decide(kept(ledger), replace(APPROVED, **changes))
        assert ledger.grant(*ROW.key) == ROW

    def test_follows_the_state_machine(self, ledger: Ledger) -> None:
        """As every other step."""
        with pytest.raises(IllegalTransitionError):
            ledger.decide(ROW, replace(APPROVED, state=State.ACTIVE))
        with pytest.raises(ValueError, match="one version"):
            ledger.decide(ROW, replace(APPROVED, version=5))


class TestAskingForALink:
    """A note on the row, and nothing else."""

    def test_writes_when(self, ledger: Ledger) -> None:
        """State and version stay."""
        row = kept(ledger)
        ledger.ask_for_link(row, replace(row, link_asked_at=NOON))
        assert ledger.grant(*ROW.key) == replace(row, link_asked_at=NOON)

    def test_comes_once(self, ledger: Ledger) -> None:
        """Of two at once, and not about a row that has moved."""
        row = kept(ledger)
        ledger.ask_for_link(row, replace(row, link_asked_at=NOON))
        with pytest.raises(ConflictError):
            ledger.ask_for_link(row, replace(row, link_asked_at=NOON + timedelta(seconds=1)))
        ledger.decide(row, APPROVED)
        with pytest.raises(ConflictError):
            ledger.ask_for_link(row, replace(row, link_asked_at=NOON + timedelta(hours=2)))

    def test_changes_nothing_else(self, ledger: Ledger) -> None:
        """It is no decision."""
        row = kept(ledger)
        with pytest.raises(ValueError, match="may not change"):
            ledger.ask_for_link(row, replace(row, link_asked_at=NOON, expires_at=NOON))
        assert ledger.grant(*ROW.key) == ROW


class TestTheRequest:
    """What DynamoDB is asked, since IAM judges by that."""

    @pytest.fixture
    def client(self, aws: None) -> "DynamoDBClient":
        """A client that answers only what it is told to."""
        return boto3.client("dynamodb")

    @pytest.fixture
    def stubber(self, client: "DynamoDBClient") -> Iterator[Stubber]:
        """What tells it."""
        with Stubber(client) as stubber:
            yield stubber
            stubber.assert_no_pending_responses()

    @pytest.fixture
    def stubbed(self, client: "DynamoDBClient", clock: StoppedClock) -> Ledger:
        """A ledger over that client."""
        return Ledger(client, "ledger", clock)

    def test_names_no_other_attribute_and_asks_for_none_back(
        self, stubbed: Ledger, client: "DynamoDBClient", stubber: Stubber
    ) -> None:
        """Otherwise the condition on dynamodb:Attributes refuses it."""
        asked: dict[str, Any] = {}
        client.meta.events.register(
            "provide-client-params.dynamodb.UpdateItem", lambda params, **_: asked.update(params)
        )
        for write, after, allowed in (
            (stubbed.decide, APPROVED, DECISION_ATTRIBUTES),
            (stubbed.ask_for_link, replace(ROW, link_asked_at=NOON), APPROVE_ATTRIBUTES),
        ):
            stubber.add_response("update_item", {})
            write(ROW, after)
            names = set(asked["ExpressionAttributeNames"].values()) | set(asked["Key"])
            assert names <= allowed
            assert not {name for name in asked if name.startswith("ReturnValues")}

    def test_is_repeated_while_the_row_is_busy(self, stubbed: Ledger, stubber: Stubber, clock: StoppedClock) -> None:
        """Triage's transactions touch the same item."""
        stubber.add_client_error("update_item", "TransactionConflictException", http_status_code=400)
        stubber.add_response("update_item", {})
        stubbed.decide(ROW, APPROVED)
        assert len(clock.waits) == 1

    def test_may_be_refused_for_other_reasons(self, stubbed: Ledger, stubber: Stubber) -> None:
        """Which are not a lost race."""
        stubber.add_client_error("update_item", "AccessDeniedException", http_status_code=400)
        with pytest.raises(ClientError, match="AccessDenied"):
            stubbed.decide(ROW, APPROVED)
        stubber.add_client_error("update_item", "ThrottlingException", http_status_code=400)
        with pytest.raises(RetryableError):
            stubbed.decide(ROW, APPROVED)

    def test_of_the_index_goes_on_to_the_last_page(self, stubbed: Ledger, stubber: Stubber) -> None:
        """A page a time, as it is asked for, and not consistent, which an index cannot be."""
        key = {"pk": {"S": "a"}, "sk": {"S": "b"}}
        entry = {**key, "state": {"S": "pending"}, "due_at": {"S": "2026-11-20T12:00:00Z"}}
        query = {
            "TableName": "ledger",
            "IndexName": "due",
            "ConsistentRead": False,
            "KeyConditionExpression": ANY,
            "ExpressionAttributeNames": ANY,
            "ExpressionAttributeValues": ANY,
        }
        stubber.add_response("query", {"Items": [entry], "LastEvaluatedKey": key}, query)
        found = stubbed.due(State.PENDING)
        assert next(found).key == ("a", "b")
        stubber.add_response("query", {"Items": [entry]}, {**query, "ExclusiveStartKey": key})
        assert len(list(found)) == 1


class TestDue:
    """Rows of a state by time."""

    def test_come_in_order_within_the_times(self, ledger: Ledger) -> None:
        """The earliest first, both ends included."""
        for minutes in (5, 1, 3):
            kept(ledger, waiting(sk=f"profile#{minutes}", updated_at=NOON + timedelta(minutes=minutes)))

        def found(before: int | None, after: int | None = None) -> list[str]:
            first = NOON + timedelta(minutes=after) if after is not None else None
            last = NOON + timedelta(minutes=before) if before is not None else None
            return [entry.sk for entry in ledger.due(State.PENDING, last, after=first)]

        assert found(None) == ["profile#1", "profile#3", "profile#5"]
        assert found(3) == ["profile#1", "profile#3"]
        assert found(None, 3) == ["profile#3", "profile#5"]
        assert found(2, 2) == found(0) == found(1, 4) == []

    def test_has_every_row_with_a_state(self, ledger: Ledger) -> None:
        """Grants without end come last; counters and archived rows are not there."""
        row = kept(ledger)
        steps = (State.APPROVED, State.APPLYING, State.ACTIVE)
        for state in steps:
            after = stepped(row, state)
            ledger.move(row, after)
            row = after
        (entry,) = ledger.due(State.ACTIVE)
        assert (entry.key, entry.due_at) == (row.key, NEVER)
        assert all(list(ledger.due(state)) == [] for state in State if state is not State.ACTIVE)
        assert grant_item(row)["due_at"] == {"S": "9999-12-31T23:59:59Z"}
