"""Publishing to SNS, as moto plays it, with queues that listen."""

import json
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from bedrock_remediator.aws.errors import RetryableError
from bedrock_remediator.aws.messaging import Publisher
from tests.builders.remediation import RunningClock


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


ARN = "arn:aws:sns:us-east-1:123456789012:notices"


@pytest.mark.parametrize("times", [3, 4])
def test_a_throttled_notice_is_sent_again_for_some_seconds(aws: None, times: int) -> None:
    """It has certainly not gone out. If that does not end, it is left to the next delivery."""
    client, clock = boto3.client("sns"), RunningClock()
    with Stubber(client) as stubber:
        for _ in range(times):
            stubber.add_client_error("publish", "Throttled", http_status_code=429)
        stubber.add_response("publish", {"MessageId": "m"})
        publisher = Publisher(client, clock)
        if times == 3:
            assert publisher.publish(ARN, "x", {"default": "x"}) == "m"
        else:
            with pytest.raises(RetryableError):
                publisher.publish(ARN, "x", {"default": "x"})
    assert clock.waits == [0.5, 1.0, 2.0]


def test_a_notice_that_may_have_gone_out_is_not_sent_again_at_once(aws: None) -> None:
    """After a server error nobody knows: who sends it again must be able to say so in it."""
    client, clock = boto3.client("sns"), RunningClock()
    with Stubber(client) as stubber:
        stubber.add_client_error("publish", "InternalError", http_status_code=500)
        with pytest.raises(RetryableError):
            Publisher(client, clock).publish(ARN, "x", {"default": "x"})
    assert clock.waits == []
