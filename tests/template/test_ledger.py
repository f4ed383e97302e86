import json
from typing import Any

import pytest
from moto.events.models import EventPattern

from bedrock_remediator.core.grant import State
from sandbox.template import Stack

TO_REMEDIATE = {State.APPROVED, State.REVOKING}
TO_NOTIFY = set(State) - TO_REMEDIATE - {State.APPLYING}


def record(state: str | None, name: str = "MODIFY", **more: Any) -> dict[str, Any]:
    """A record of the ledger's stream; without a state it is a counter or a marker."""
    image: dict[str, Any] = {"pk": {"S": "p"}, "sk": {"S": "profile#a"}, "group": {"S": "g"}, **more}
    if state:
        image["state"] = {"S": state}
    keys = {"pk": image["pk"], "sk": image["sk"]}
    change = {"Keys": keys} if name == "REMOVE" else {"Keys": keys, "NewImage": image}
    if name == "REMOVE":
        change["OldImage"] = image
    return {"eventID": "e1", "eventName": name, "dynamodb": change}


def passes(criteria: dict[str, Any], given: Any) -> bool:
    """Whether one of the filters lets the record through; EventBridge's patterns and these are the same language."""
    patterns = [json.dumps(json.loads(each["Pattern"])) for each in criteria["Filters"]]
    return any(EventPattern.load(each).matches_event(given) for each in patterns)


def notify_mapping(stack: Stack) -> dict[str, Any]:
    """Notify's place on the stream."""
    (mapping,) = [
        dict(each)
        for each in stack.of_type("AWS::Lambda::EventSourceMapping").values()
        if each["FunctionName"] == stack.ref("NotifyFunction")
    ]
    return mapping


def test_the_ledger_outlives_the_stack(stack: Stack) -> None:
    """Neither a deletion nor a replacement takes it away."""
    resource = stack.resources["Ledger"]
    assert (resource["DeletionPolicy"], resource["UpdateReplacePolicy"]) == ("Retain", "Retain")
    assert stack.properties("Ledger")["DeletionProtectionEnabled"] is True


def test_the_ledger_has_its_keys_index_and_stream(stack: Stack) -> None:
    """As the code expects them."""
    table = stack.properties("Ledger")
    assert {each["AttributeName"]: each["KeyType"] for each in table["KeySchema"]} == {"pk": "HASH", "sk": "RANGE"}
    (index,) = table["GlobalSecondaryIndexes"]
    assert index["IndexName"] == "due"
    assert {each["AttributeName"]: each["KeyType"] for each in index["KeySchema"]} == {
        "state": "HASH",
        "due_at": "RANGE",
    }
    assert index["Projection"] == {"ProjectionType": "KEYS_ONLY"}
    assert {each["AttributeType"] for each in table["AttributeDefinitions"]} == {"S"}
    assert table["StreamSpecification"] == {"StreamViewType": "NEW_AND_OLD_IMAGES"}
    assert table["TimeToLiveSpecification"] == {"AttributeName": "expires", "Enabled": True}


def test_the_ledger_is_on_demand_recoverable_and_encrypted(stack: Stack) -> None:
    """Without a capacity to plan, with 35 days of backups."""
    table = stack.properties("Ledger")
    assert table["BillingMode"] == "PAY_PER_REQUEST"
    assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert table["SSESpecification"] == {"SSEEnabled": True}


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("name", ["INSERT", "MODIFY"])
def test_the_pipe_takes_approved_and_revoking_rows(stack: Stack, state: State, name: str) -> None:
    """Those, and no other state."""
    criteria = stack.properties("LedgerPipe")["SourceParameters"]["FilterCriteria"]
    assert passes(criteria, record(state, name)) is (state in TO_REMEDIATE)


@pytest.mark.parametrize("state", State)
def test_the_pipe_takes_a_row_that_upkeep_has_driven_again(stack: Stack, state: State) -> None:
    """One that was left in `applying`, too."""
    criteria = stack.properties("LedgerPipe")["SourceParameters"]["FilterCriteria"]
    taken = passes(criteria, record(state, attempt={"N": "1"}))
    assert taken is (state in TO_REMEDIATE | {State.APPLYING})


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("name", ["INSERT", "MODIFY"])
def test_notify_is_woken_by_what_people_hear_of(stack: Stack, state: State, name: str) -> None:
    """Every state but the three in which remediate is at work."""
    assert passes(notify_mapping(stack)["FilterCriteria"], record(state, name)) is (state in TO_NOTIFY)


@pytest.mark.parametrize("given", [record(None), record(None, "INSERT"), record("approved", "REMOVE")])
def test_counters_markers_and_removals_wake_nobody(stack: Stack, given: dict[str, Any]) -> None:
    """Items without a state, and rows that are gone."""
    assert not passes(stack.properties("LedgerPipe")["SourceParameters"]["FilterCriteria"], given)
    assert not passes(notify_mapping(stack)["FilterCriteria"], given)


def test_the_pipe_keeps_a_principals_changes_in_order(stack: Stack) -> None:
    """The row's message group, one message a stream record, the whole record as the body."""
    pipe = stack.properties("LedgerPipe")
    assert pipe["Source"] == stack.attribute("Ledger", "StreamArn")
    assert pipe["Target"] == stack.arn("Remediations")
    assert pipe["RoleArn"] == stack.arn("PipeRole")
    assert pipe["TargetParameters"] == {
        "SqsQueueParameters": {
            "MessageGroupId": "$.dynamodb.NewImage.group.S",
            "MessageDeduplicationId": "$.eventID",
        }
    }
    assert "ParallelizationFactor" not in pipe["SourceParameters"]["DynamoDBStreamParameters"]


def test_the_pipe_gives_up_late_and_says_so(stack: Stack) -> None:
    """It begins with the oldest record, splits a failing batch, and sets aside what it cannot deliver."""
    source = stack.properties("LedgerPipe")["SourceParameters"]["DynamoDBStreamParameters"]
    assert source == {
        "StartingPosition": "TRIM_HORIZON",
        "BatchSize": 10,
        "MaximumRetryAttempts": 100,
        "MaximumRecordAgeInSeconds": 21600,
        "OnPartialBatchItemFailure": "AUTOMATIC_BISECT",
        "DeadLetterConfig": {"Arn": stack.arn("PipeDeadLetters")},
    }


def test_notify_gives_up_late_and_says_so(stack: Stack) -> None:
    """It begins with the oldest record, repeats only what failed, and sets aside what it cannot handle."""
    mapping = notify_mapping(stack)
    assert mapping["EventSourceArn"] == stack.attribute("Ledger", "StreamArn")
    assert mapping["StartingPosition"] == "TRIM_HORIZON"
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert mapping["BisectBatchOnFunctionError"] is True
    assert mapping["MaximumRetryAttempts"] == 20
    assert mapping["MaximumRecordAgeInSeconds"] == 21600
    assert mapping["DestinationConfig"] == {"OnFailure": {"Destination": stack.arn("NotifyDeadLetters")}}


def test_the_stream_has_two_readers(stack: Stack) -> None:
    """A shard should have no more."""
    stream = stack.attribute("Ledger", "StreamArn")
    mappings = [
        each for each in stack.of_type("AWS::Lambda::EventSourceMapping").values() if each["EventSourceArn"] == stream
    ]
    pipes = [each for each in stack.of_type("AWS::Pipes::Pipe").values() if each["Source"] == stream]
    assert len(mappings) + len(pipes) == 2
