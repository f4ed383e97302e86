"""What the ledger makes of DynamoDB's refusals: who is told to read again, and what is left to the queue."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from botocore.stub import ANY, Stubber

from bedrock_remediator.aws.ledger.write import Cap, CapReachedError, ConflictError, Ledger, RetryableError
from bedrock_remediator.core.grant import State
from tests.builders.clocks import StoppedClock
from tests.builders.grants import NOON, ROLE, first_seen, pending_grant, seen_again

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

GRANT = pending_grant()
SEEN = first_seen(GRANT)
CAP = Cap(name="rule:nova", day="2026-11-20", limit=5)


@pytest.fixture
def client(aws: None) -> "DynamoDBClient":
    """A client that answers only what it is told to."""
    return boto3.client("dynamodb")


@pytest.fixture
def stubber(client: "DynamoDBClient") -> Iterator[Stubber]:
    """What tells it."""
    with Stubber(client) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


@pytest.fixture
def ledger(client: "DynamoDBClient", clock: StoppedClock) -> Ledger:
    """A ledger over that client."""
    return Ledger(client, "ledger", clock)


def cancel(stubber: Stubber, *reasons: str) -> None:
    """Let the next transaction be cancelled, for one reason an item."""
    stubber.add_client_error(
        "transact_write_items",
        "TransactionCanceledException",
        http_status_code=400,
        modeled_fields={"CancellationReasons": [{"Code": reason} for reason in reasons]},
    )


@pytest.mark.parametrize(
    ("reasons", "meaning"),
    [
        (("ConditionalCheckFailed", "None", "None"), ConflictError),
        (("None", "ConditionalCheckFailed", "None"), ConflictError),
        (("None", "None", "ConditionalCheckFailed"), CapReachedError),
        (("ConditionalCheckFailed", "ConditionalCheckFailed", "ConditionalCheckFailed"), ConflictError),
        (("None", "ConditionalCheckFailed", "ConditionalCheckFailed"), ConflictError),
        (("ConditionalCheckFailed", "TransactionConflict", "None"), ConflictError),
        (("None", "TransactionConflict", "ConditionalCheckFailed"), CapReachedError),
    ],
)
def test_a_void_transaction_is_told_apart_by_place(
    ledger: Ledger, stubber: Stubber, reasons: tuple[str, ...], meaning: type[Exception]
) -> None:
    """The place of a false condition says what it means, and a row that has changed weighs more than a cap."""
    cancel(stubber, *reasons)
    with pytest.raises(meaning):
        ledger.open(GRANT, SEEN, cap=CAP)


def test_a_conflict_names_its_item(ledger: Ledger, stubber: Stubber) -> None:
    """The error carries the key of what has changed: the row's, or the counter's."""
    cancel(stubber, "None", "ConditionalCheckFailed")
    with pytest.raises(ConflictError) as conflict:
        ledger.open(GRANT, SEEN)
    assert conflict.value.key == (ROLE, "seen#f1")


@pytest.mark.parametrize("reason", ["TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"])
def test_a_busy_item_is_tried_again(ledger: Ledger, stubber: Stubber, clock: StoppedClock, reason: str) -> None:
    """Another transaction on the same item is no change of state: a moment later the write goes through."""
    for _ in range(2):
        cancel(stubber, "None", "None", reason)
    stubber.add_response("transact_write_items", {})
    ledger.open(GRANT, SEEN, cap=CAP)
    assert len(clock.waits) == 2


def test_an_item_that_stays_busy_is_left_to_the_queue(ledger: Ledger, stubber: Stubber, clock: StoppedClock) -> None:
    """After some tries within a second the message is to be delivered again."""
    for _ in range(4):
        cancel(stubber, "None", "TransactionConflict")
    with pytest.raises(RetryableError):
        ledger.open(GRANT, SEEN)
    assert 0 < sum(clock.waits) < 1


def test_a_single_write_waits_for_a_transaction_too(ledger: Ledger, stubber: Stubber) -> None:
    """A write of one item that meets a transaction on it is tried again."""
    stubber.add_client_error("update_item", "TransactionConflictException", http_status_code=400)
    stubber.add_response("update_item", {})
    ledger.move(GRANT, GRANT.moved(State.APPROVED, at=NOON, by="alice", reason="approved"))


def test_a_transaction_void_for_another_reason_is_an_error(ledger: Ledger, stubber: Stubber) -> None:
    """What neither reading nor waiting can help is not hidden: it is a mistake of ours."""
    cancel(stubber, "ValidationError", "None")
    with pytest.raises(ClientError):
        ledger.open(GRANT, SEEN)


@pytest.mark.parametrize(
    ("code", "status"),
    [("ProvisionedThroughputExceededException", 400), ("ThrottlingException", 400), ("SomethingNew", 503)],
)
def test_throttling_is_left_to_the_queue(ledger: Ledger, stubber: Stubber, code: str, status: int) -> None:
    """It was tried again by then; nothing has been decided, so nothing is a conflict."""
    stubber.add_client_error("update_item", code, http_status_code=status)
    with pytest.raises(RetryableError):
        ledger.count(SEEN, seen_again(SEEN, "e2"))


def test_a_refusal_for_good_goes_through(ledger: Ledger, stubber: Stubber) -> None:
    """A missing right, say, is neither a conflict nor passing."""
    for operation in ("put_item", "transact_write_items"):
        stubber.add_client_error(operation, "AccessDeniedException", http_status_code=400)
    with pytest.raises(ClientError):
        ledger.claim_notice(GRANT)
    with pytest.raises(ClientError):
        ledger.open(GRANT, SEEN)


def test_no_answer_is_left_to_the_queue(ledger: Ledger, client: "DynamoDBClient") -> None:
    """A connection that cannot be made is passing trouble."""

    def unreachable(**_: Any) -> None:
        raise EndpointConnectionError(endpoint_url="https://dynamodb.us-east-1.amazonaws.com")

    client.meta.events.register("before-send.dynamodb", unreachable)
    with pytest.raises(RetryableError):
        ledger.grant(ROLE, "profile#1")


def test_a_marker_that_vanished_meanwhile_may_have_been_sent(ledger: Ledger, stubber: Stubber) -> None:
    """Where nothing tells whether the notice went out, it may have."""
    stubber.add_client_error("put_item", "ConditionalCheckFailedException", http_status_code=400)
    stubber.add_response("get_item", {})
    assert ledger.claim_notice(GRANT) == "maybe_sent"


def test_what_a_read_leaves_is_asked_for_again(ledger: Ledger, stubber: Stubber, clock: StoppedClock) -> None:
    """DynamoDB may answer a part: the rest is read before anything is decided on it."""
    keys = [{"pk": {"S": ROLE}, "sk": {"S": f"seen#f{number}"}} for number in range(2)]
    counter = {"row": {"S": "r"}, "count": {"N": "1"}, "event_ids": {"L": []}, "revision": {"N": "1"}}
    times = {"first_at": {"S": "2026-11-20T12:00:00Z"}, "last_at": {"S": "2026-11-20T12:00:00Z"}}
    for number, left in enumerate(({"ledger": {"Keys": [keys[1]]}}, {})):
        stubber.add_response(
            "batch_get_item",
            {"Responses": {"ledger": [keys[number] | counter | times]}, "UnprocessedKeys": left},
            {"RequestItems": {"ledger": {"Keys": keys[number:], "ConsistentRead": True}}},
        )
    assert set(ledger.seen([(ROLE, "f0"), (ROLE, "f1")])) == {(ROLE, "f0"), (ROLE, "f1")}
    assert len(clock.waits) == 1


def test_a_read_that_gets_nowhere_is_left_to_the_queue(ledger: Ledger, stubber: Stubber) -> None:
    """An unread counter is not a counter that does not exist."""
    key = {"pk": {"S": ROLE}, "sk": {"S": "profile#1"}}
    for _ in range(4):
        stubber.add_response(
            "batch_get_item",
            {"Responses": {}, "UnprocessedKeys": {"ledger": {"Keys": [key]}}},
            {"RequestItems": ANY},
        )
    with pytest.raises(RetryableError):
        ledger.rows([(ROLE, "profile#1")])
