from collections.abc import Callable, Mapping
from typing import Any

import pytest

from sandbox.template import Stack

ADMINISTRATOR = "arn:aws:iam::111122223333:role/security/administrator"
TOPICS = ["Approvals", "Notices"]
EVERY_TOPIC = [*TOPICS, "AmazonQ"]
AMAZON_Q = (
    "arn:aws:iam::111122223333:role/aws-service-role/management.chatbot.amazonaws.com/AWSServiceRoleForAWSChatbot"
)


def statements(stack: Stack, topic: str) -> dict[str, Mapping[str, Any]]:
    """A topic policy's statements by their Sid."""
    policy = stack.properties(f"{topic}Policy")
    assert policy["Topics"] == [stack.ref(topic)]
    return {each["Sid"]: each for each in policy["PolicyDocument"]["Statement"]}


def subscriptions(stack: Stack) -> dict[str, str]:
    """Topic -> the address that the stack subscribes."""
    names = {stack.ref(topic): topic for topic in TOPICS}
    found = stack.of_type("AWS::SNS::Subscription").values()
    assert {each["Protocol"] for each in found} <= {"email"}
    return {names[each["TopicArn"]]: each["Endpoint"] for each in found}


@pytest.mark.parametrize(
    ("parameters", "subscribed"),
    [
        ({}, {}),
        ({"NotificationEmail": "ops@example.com"}, {"Approvals": "ops@example.com", "Notices": "ops@example.com"}),
        ({"ApproverEmail": "ciso@example.com"}, {"Approvals": "ciso@example.com"}),
        (
            {"NotificationEmail": "ops@example.com", "ApproverEmail": "ciso@example.com"},
            {"Approvals": "ciso@example.com", "Notices": "ops@example.com"},
        ),
    ],
)
def test_addresses_are_subscribed(
    deploy: Callable[..., Stack], parameters: dict[str, str], subscribed: dict[str, str]
) -> None:
    """The one for notices hears of everything, unless another is to approve."""
    assert subscriptions(deploy(**parameters)) == subscribed


def test_these_are_the_topics(stack: Stack, whole: Stack) -> None:
    """Amazon Q's is there only where it is wanted."""
    assert sorted(stack.of_type("AWS::SNS::Topic")) == TOPICS
    assert sorted(whole.of_type("AWS::SNS::Topic")) == sorted(EVERY_TOPIC)


@pytest.mark.parametrize("topic", EVERY_TOPIC)
def test_topics_are_encrypted_with_a_key_that_alarms_may_use(whole: Stack, topic: str) -> None:
    """Under the AWS managed key no alarm would arrive."""
    stack = whole
    assert stack.properties(topic)["KmsMasterKeyId"] == stack.ref("TopicKey")
    grants = {each["Sid"]: each for each in stack.properties("TopicKey")["KeyPolicy"]["Statement"]}
    assert grants["AlarmsEncrypt"] == {
        "Sid": "AlarmsEncrypt",
        "Effect": "Allow",
        "Principal": {"Service": "cloudwatch.amazonaws.com"},
        "Action": ["kms:Decrypt", "kms:GenerateDataKey*"],
        "Resource": "*",
    }
    assert set(grants) == {"AccountAdministers", "AlarmsEncrypt"}
    assert grants["AccountAdministers"]["Principal"] == {"AWS": "arn:aws:iam::111122223333:root"}
    assert stack.properties("TopicKey")["EnableKeyRotation"] is True


@pytest.mark.parametrize("topic", EVERY_TOPIC)
def test_topics_take_tls_only(whole: Stack, topic: str) -> None:
    """Publishing and subscribing over plain HTTP are denied."""
    stack = whole
    assert statements(stack, topic)["OnlyOverTls"] == {
        "Sid": "OnlyOverTls",
        "Effect": "Deny",
        "Principal": "*",
        "Action": ["sns:Publish", "sns:Subscribe"],
        "Resource": stack.ref(topic),
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }


@pytest.mark.parametrize("topic", TOPICS)
@pytest.mark.parametrize("address", ["", "ops@example.com"])
@pytest.mark.parametrize("administrators", ["", ADMINISTRATOR, f"{ADMINISTRATOR},{ADMINISTRATOR}2"])
def test_only_administrators_subscribe(
    deploy: Callable[..., Stack], topic: str, address: str, administrators: str
) -> None:
    """Everyone else is denied, but for the parameter's own address; without administrators that is everyone."""
    stack = deploy(NotificationEmail=address, SubscribeAdministrators=administrators)
    nobody = "arn:aws:iam::111122223333:role/nobody/"
    condition = {"ArnNotEquals": {"aws:PrincipalArn": administrators.split(",") if administrators else nobody}}
    if address:
        condition["StringNotEquals"] = {"sns:Endpoint": [address]}
    assert statements(stack, topic)["OnlyAdministratorsSubscribe"] == {
        "Sid": "OnlyAdministratorsSubscribe",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "sns:Subscribe",
        "Resource": stack.ref(topic),
        "Condition": condition,
    }


def test_the_approvers_address_may_be_subscribed_to_approvals_only(deploy: Callable[..., Stack]) -> None:
    """Each topic's exception is the address that the stack subscribes to it."""
    stack = deploy(NotificationEmail="ops@example.com", ApproverEmail="ciso@example.com")
    excepted = {
        topic: statements(stack, topic)["OnlyAdministratorsSubscribe"]["Condition"]["StringNotEquals"]["sns:Endpoint"]
        for topic in TOPICS
    }
    assert excepted == {topic: [address] for topic, address in subscriptions(stack).items()}


@pytest.mark.parametrize("topic", TOPICS)
@pytest.mark.parametrize("address", ["", "ops@example.com"])
def test_slacks_queue_is_subscribed(
    deploy: Callable[..., Stack], everything: Mapping[str, str], topic: str, address: str
) -> None:
    """By the stack, to both topics, with SNS's own envelope and a place for what could not be delivered."""
    stack = deploy(**{**everything, "NotificationEmail": address, "ApproverEmail": ""})
    queue = stack.arn("SlackMessages")
    assert stack.properties(f"Slack{topic}Subscription") == {
        "TopicArn": stack.ref(topic),
        "Protocol": "sqs",
        "Endpoint": queue,
        "RedrivePolicy": {"deadLetterTargetArn": stack.arn("SlackDeadLetters")},
    }
    condition = statements(stack, topic)["OnlyAdministratorsSubscribe"]["Condition"]
    assert condition["StringNotEquals"] == {"sns:Endpoint": [address, queue] if address else [queue]}


@pytest.mark.parametrize("administrators", ["", ADMINISTRATOR, f"{ADMINISTRATOR},{ADMINISTRATOR}2"])
def test_amazon_q_subscribes_itself(
    deploy: Callable[..., Stack], everything: Mapping[str, str], administrators: str
) -> None:
    """By its service-linked role, when a channel is configured with the topic; only notify publishes there."""
    stack = deploy(**{**everything, "SubscribeAdministrators": administrators})
    found = statements(stack, "AmazonQ")
    assert set(found) == {
        "OnlyNotifyPublishes",
        "OnlyAmazonQAndAdministratorsSubscribe",
        "OnlyADeploymentChangesIt",
        "OnlyOverTls",
    }
    assert found["OnlyNotifyPublishes"]["Resource"] == stack.ref("AmazonQ")
    assert found["OnlyNotifyPublishes"]["Condition"] == {"ArnNotEquals": {"aws:PrincipalArn": stack.arn("NotifyRole")}}
    assert found["OnlyAmazonQAndAdministratorsSubscribe"] == {
        "Sid": "OnlyAmazonQAndAdministratorsSubscribe",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "sns:Subscribe",
        "Resource": stack.ref("AmazonQ"),
        "Condition": {
            "ArnNotEquals": {"aws:PrincipalArn": [AMAZON_Q, *(administrators.split(",") if administrators else [])]}
        },
    }


def test_only_notify_asks_for_approval(stack: Stack) -> None:
    """People act on what they read there."""
    found = statements(stack, "Approvals")
    assert found["OnlyNotifyPublishes"] == {
        "Sid": "OnlyNotifyPublishes",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "sns:Publish",
        "Resource": stack.ref("Approvals"),
        "Condition": {"ArnNotEquals": {"aws:PrincipalArn": stack.arn("NotifyRole")}},
    }
    assert set(found) == {"OnlyNotifyPublishes", "OnlyAdministratorsSubscribe", "OnlyOverTls"}


def test_this_accounts_alarms_publish_notices(stack: Stack) -> None:
    """And no other account's."""
    found = statements(stack, "Notices")
    assert found["AlarmsPublish"] == {
        "Sid": "AlarmsPublish",
        "Effect": "Allow",
        "Principal": {"Service": "cloudwatch.amazonaws.com"},
        "Action": "sns:Publish",
        "Resource": stack.ref("Notices"),
        "Condition": {
            "StringEquals": {"aws:SourceAccount": "111122223333"},
            "ArnLike": {"aws:SourceArn": "arn:aws:cloudwatch:us-east-1:111122223333:alarm:*"},
        },
    }
    assert set(found) == {
        "AlarmsPublish",
        "OnlyTheServiceAndAlarmsPublish",
        "OnlyAdministratorsSubscribe",
        "OnlyOverTls",
    }


def test_nobody_else_publishes_notices(stack: Stack) -> None:
    """They are mailed in the service's name; an alarm, which is no principal with an ARN, is not kept out."""
    assert statements(stack, "Notices")["OnlyTheServiceAndAlarmsPublish"] == {
        "Sid": "OnlyTheServiceAndAlarmsPublish",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "sns:Publish",
        "Resource": stack.ref("Notices"),
        "Condition": {
            "Null": {"aws:PrincipalArn": "false"},
            "BoolIfExists": {"aws:PrincipalIsAWSService": "false"},
            "ArnNotEquals": {"aws:PrincipalArn": [stack.arn("NotifyRole"), stack.arn("UpkeepRole")]},
        },
    }
