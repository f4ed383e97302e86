"""What is encrypted, and who outside is let in: of the main template and of every other stack beside it."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import pytest

from sandbox.template import Stack
from tests.builders.powers import Powers

ACCOUNT: Final = "111122223333"
STRANGERS: Final = (
    f"arn:aws:iam::{'9' * 12}:role/stranger",
    f"arn:aws:iam::{'9' * 12}:root",
    "anonymous",
    "lambda.amazonaws.com",
    "s3.amazonaws.com",
)
"""Whom nothing has to do with: other accounts, nobody in particular, services on somebody else's behalf."""

IN_TRANSIT: Final[Mapping[str, tuple[str, ...]]] = {
    "sqs": ("sqs:SendMessage", "sqs:ReceiveMessage", "sqs:DeleteMessage"),
    "sns": ("sns:Publish",),
}
"""By what content goes in and out."""

TRIED: Final[Mapping[str, tuple[str, ...]]] = {
    "sqs": ("sqs:SendMessage", "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:PurgeQueue", "sqs:SetQueueAttributes"),
    "sns": ("sns:Publish", "sns:Subscribe", "sns:SetTopicAttributes", "sns:AddPermission"),
    "kms": ("kms:Decrypt", "kms:GenerateMac", "kms:VerifyMac", "kms:PutKeyPolicy", "kms:CreateGrant"),
    "secretsmanager": ("secretsmanager:GetSecretValue", "secretsmanager:PutSecretValue"),
    "events": ("events:PutEvents", "events:PutRule"),
    "iam": ("sts:AssumeRole",),
    "dynamodb": ("dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:DeleteItem", "dynamodb:PutResourcePolicy"),
}


def of_types(stack: Stack, *types: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The resources of these types."""
    for kind in types:
        yield from stack.of_type(kind).items()


def test_everything_that_holds_something_is_encrypted(any_stack: Stack) -> None:
    """By SQS, by DynamoDB, by a key of the stack's own."""
    for name, queue in of_types(any_stack, "AWS::SQS::Queue"):
        assert queue.get("SqsManagedSseEnabled") is True or queue.get("KmsMasterKeyId"), name
    for name, topic in of_types(any_stack, "AWS::SNS::Topic"):
        assert topic["KmsMasterKeyId"] == any_stack.ref("TopicKey"), name
    for name, table in of_types(any_stack, "AWS::DynamoDB::Table"):
        assert table["SSESpecification"]["SSEEnabled"] is True, name
        assert table["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"] is True, name
    assert not any_stack.of_type("AWS::S3::Bucket")


def test_nothing_comes_in_without_tls(any_stack: Stack) -> None:
    """Every queue and every topic refuses plain HTTP to everybody, its owner included."""
    powers = Powers(any_stack)
    administrator = f"arn:aws:iam::{ACCOUNT}:role/administrator"
    for resource in powers.resources:
        service = resource.split(":")[2]
        if service in {"sqs", "sns"}:
            for action in IN_TRANSIT[service]:
                assert powers.denies(administrator, action, resource, aws_securetransport="false"), (resource, action)
    stated = {queue for policy in any_stack.of_type("AWS::SQS::QueuePolicy").values() for queue in policy["Queues"]}
    topics = {topic for policy in any_stack.of_type("AWS::SNS::TopicPolicy").values() for topic in policy["Topics"]}
    assert topics == {any_stack.ref(name) for name in any_stack.of_type("AWS::SNS::Topic")}
    assert stated == {any_stack.ref(name) for name in any_stack.of_type("AWS::SQS::Queue")}


@pytest.mark.parametrize("stranger", STRANGERS)
def test_no_stranger_is_let_in(any_stack: Stack, stranger: str, count: Callable[[str, int], None]) -> None:
    """By the policy of any queue, topic, key, secret, bus or role, whatever they try."""
    powers = Powers(any_stack)
    theirs: Any = {"aws_sourceaccount": "9" * 12, "aws_sourcearn": f"arn:aws:s3:::bucket-of-{'9' * 12}"}
    for resource in powers.resources:
        for action in TRIED[resource.split(":")[2]]:
            if action == "sts:AssumeRole" and stranger.endswith(".amazonaws.com"):
                continue  # which service may assume a role is test_roles.py's
            assert not powers.lets_in(stranger, action, resource, **theirs), (resource, action)
            count("questions asked for strangers", 1)


def test_the_http_api_is_the_only_way_in_from_the_internet(any_stack: Stack) -> None:
    """No function has an address of its own, nothing is public, and every permission is for the API."""
    for kind in ("AWS::Lambda::Url", "AWS::ElasticLoadBalancingV2::LoadBalancer", "AWS::ApiGateway::RestApi"):
        assert not any_stack.of_type(kind)
    for name, permission in of_types(any_stack, "AWS::Lambda::Permission"):
        assert permission["Principal"] == "apigateway.amazonaws.com", name
        assert permission["SourceArn"].split(":")[4] == ACCOUNT, name
    routes = {route["RouteKey"] for _, route in of_types(any_stack, "AWS::ApiGatewayV2::Route")}
    assert not {"$default", "ANY /{proxy+}"} & routes
    signed = {
        route["RouteKey"]
        for _, route in of_types(any_stack, "AWS::ApiGatewayV2::Route")
        if route.get("AuthorizationType") == "AWS_IAM"
    }
    assert signed == {key for key in routes if " /api" in key}
