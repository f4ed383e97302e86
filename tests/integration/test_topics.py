"""Publishing to SNS, as moto plays it, with queues that listen."""

import json
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from bedrock_remediator.aws.errors import RetryableError
from bedrock_remediator.aws.topics import Publisher


@pytest.fixture
def topic(aws: None) -> tuple[str, str]:
    """A topic, and the address of a queue that is subscribed to it."""
    sns, sqs = boto3.client("sns"), boto3.client("sqs")
    arn = sns.create_topic(Name="notices")["TopicArn"]
    url = sqs.create_queue(QueueName="listener")["QueueUrl"]
    queue = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sns.subscribe(TopicArn=arn, Protocol="sqs", Endpoint=queue)
    return arn, url


def received(url: str) -> dict[str, Any]:
    """What the queue was sent."""
    messages = boto3.client("sqs").receive_message(QueueUrl=url)["Messages"]
    body: dict[str, Any] = json.loads(messages[0]["Body"])
    return body


def test_each_protocol_gets_its_own_text(topic: tuple[str, str]) -> None:
    """A queue gets the text meant for queues, with the subject and what subscriptions may filter on."""
    arn, url = topic
    message_id = Publisher(boto3.client("sns")).publish(
        arn, "Granted", {"default": "text", "sqs": '{"n": 1}'}, {"state": "active", "account": "123456789012"}
    )
    body = received(url)
    assert (body["MessageId"], body["Subject"], body["Message"]) == (message_id, "Granted", '{"n": 1}')
    assert body["MessageAttributes"]["state"] == {"Type": "String", "Value": "active"}


def test_an_empty_attribute_is_left_out(topic: tuple[str, str]) -> None:
    """SNS refuses a message that has one, and a notice must not be lost for it."""
    arn, url = topic
    Publisher(boto3.client("sns")).publish(arn, "Granted", {"default": "text"}, {"state": "active", "rule": ""})
    assert set(received(url)["MessageAttributes"]) == {"state"}


def test_throttling_is_left_to_the_stream(aws: None) -> None:
    """A notice that could not be sent now is sent with the next delivery."""
    client = boto3.client("sns")
    with Stubber(client) as stubber:
        stubber.add_client_error("publish", "Throttled", http_status_code=429)
        with pytest.raises(RetryableError):
            Publisher(client).publish("arn:aws:sns:us-east-1:123456789012:notices", "x", {"default": "x"})
