import json
from typing import Any

import pytest
from moto.events.models import EventPattern

from sandbox.template import Stack


def event(**detail: Any) -> dict[str, Any]:
    """A denial as EventBridge hands it on, with some fields of its record changed."""
    record: dict[str, Any] = {
        "eventSource": "bedrock.amazonaws.com",
        "eventName": "InvokeModel",
        "readOnly": True,
        "managementEvent": True,
        "errorCode": "AccessDenied",
        "errorMessage": "User: arn:aws:iam::111122223333:user/ann is not authorized to perform: bedrock:InvokeModel",
        "userIdentity": {"type": "IAMUser", "arn": "arn:aws:iam::111122223333:user/ann"},
    }
    return {"source": "aws.bedrock", "detail-type": "AWS API Call via CloudTrail", "detail": {**record, **detail}}


def matches(stack: Stack, given: Any) -> bool:
    """Whether the template's own pattern lets the event through."""
    pattern = json.dumps(stack.properties("DenialRule")["EventPattern"])
    return EventPattern.load(pattern).matches_event(given)


def test_the_rule_sees_read_only_management_events(stack: Stack) -> None:
    """A rule in any other state never sees InvokeModel, and the default bus is the only one CloudTrail delivers to."""
    rule = stack.properties("DenialRule")
    assert rule["State"] == "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS"
    assert "EventBusName" not in rule


@pytest.mark.parametrize("operation", ["InvokeModel", "InvokeModelWithResponseStream", "Converse", "ConverseStream"])
@pytest.mark.parametrize("code", ["AccessDenied", "AccessDeniedException"])
def test_denied_invocations_match(stack: Stack, operation: str, code: str) -> None:
    """All four operations, under both names of the error."""
    assert matches(stack, event(eventName=operation, errorCode=code))


@pytest.mark.parametrize(
    "identity",
    [
        {"type": "AssumedRole", "sessionContext": {"sessionIssuer": {"arn": "arn:aws:iam::111122223333:role/app"}}},
        {"type": "Root"},
        {"type": "IdentityCenterUser"},
        {"type": "AWSService", "invokedBy": "bedrock.amazonaws.com"},
    ],
)
def test_every_kind_of_caller_matches(stack: Stack, identity: dict[str, Any]) -> None:
    """The pattern asks for no field that some callers' records do not have."""
    assert matches(stack, event(userIdentity=identity))


def test_a_legacy_models_refusal_matches(stack: Stack) -> None:
    """It comes under another code, with the words that tell it from a model that does not exist."""
    message = "Access denied. This Model is marked by provider as Legacy and you have not been using it."
    assert matches(stack, event(errorCode="ResourceNotFoundException", errorMessage=message))


@pytest.mark.parametrize(
    "given",
    [
        event(errorCode="ResourceNotFoundException", errorMessage="Could not resolve the foundation model"),
        event(errorCode="ResourceNotFoundException"),
        event(errorCode="ThrottlingException", errorMessage="Access denied"),
        event(errorCode="ValidationException"),
        {**event(), "detail": {k: v for k, v in event()["detail"].items() if k != "errorCode"}},
        event(eventName="GetInferenceProfile"),
        event(eventName="ApplyGuardrail"),
        event(eventName="InvokeAgent"),
        event(eventSource="sagemaker.amazonaws.com"),
        {**event(), "source": "aws.sagemaker"},
        {**event(), "source": "my.application"},
        {**event(), "detail-type": "AWS Service Event via CloudTrail"},
    ],
)
def test_everything_else_does_not_match(stack: Stack, given: dict[str, Any]) -> None:
    """Successes, other errors, other operations (those this service makes included) and other sources."""
    assert not matches(stack, given)


def test_the_rule_hands_denials_to_their_queue(stack: Stack) -> None:
    """One target, retried for a day, with a place for what could not be delivered."""
    (target,) = stack.properties("DenialRule")["Targets"]
    assert target["Arn"] == stack.arn("Denials")
    assert target["DeadLetterConfig"] == {"Arn": stack.arn("RuleDeadLetters")}
    assert target["RetryPolicy"] == {"MaximumEventAgeInSeconds": 86400, "MaximumRetryAttempts": 185}
    assert "Input" not in target
    assert "InputTransformer" not in target
