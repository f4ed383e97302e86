from collections.abc import Callable, Mapping
from typing import Any

import pytest

from sandbox.template import Stack

OPERATOR = "arn:aws:iam::111122223333:role/team/operator"
WORK = {"Denials": "TriageFunction", "Remediations": "RemediateFunction", "SlackMessages": "SlackFunction"}
TRIES = {"Denials": 5, "Remediations": 5, "SlackMessages": 20}
DEAD_LETTERS = {
    "RuleDeadLetters",
    "DenialsDeadLetters",
    "PipeDeadLetters",
    "RemediationsDeadLetters",
    "NotifyDeadLetters",
    "SlackDeadLetters",
    "UpkeepDeadLetters",
}


def statements(stack: Stack, policy: str) -> dict[str, Mapping[str, Any]]:
    """A queue policy's statements by their Sid."""
    return {each["Sid"]: each for each in stack.properties(policy)["PolicyDocument"]["Statement"]}


def test_these_are_the_queues(stack: Stack, whole: Stack) -> None:
    """For work, and a dead-letter queue for every place where something can be given up; Slack's only with Slack."""
    assert set(whole.of_type("AWS::SQS::Queue")) == {*WORK, *DEAD_LETTERS}
    assert set(stack.of_type("AWS::SQS::Queue")) == {*WORK, *DEAD_LETTERS} - {"SlackMessages", "SlackDeadLetters"}


@pytest.mark.parametrize("queue", sorted({*WORK, *DEAD_LETTERS}))
def test_every_queue_is_encrypted_by_sqs_itself(whole: Stack, queue: str) -> None:
    """SSE-SQS, under which EventBridge and SNS can send too."""
    properties = whole.properties(queue)
    assert properties["SqsManagedSseEnabled"] is True
    assert "KmsMasterKeyId" not in properties


@pytest.mark.parametrize(("queue", "function"), WORK.items())
def test_messages_stay_hidden_while_they_are_worked_on(whole: Stack, queue: str, function: str) -> None:
    """Six times the function's timeout, and the batching window beside."""
    (mapping,) = [
        each
        for each in whole.of_type("AWS::Lambda::EventSourceMapping").values()
        if each["EventSourceArn"] == whole.arn(queue)
    ]
    window = mapping.get("MaximumBatchingWindowInSeconds", 0)
    needed = 6 * whole.properties(function)["Timeout"] + window
    assert whole.properties(queue)["VisibilityTimeout"] >= needed


@pytest.mark.parametrize("queue", WORK)
def test_a_message_that_fails_too_often_moves_to_the_dead_letters(whole: Stack, queue: str) -> None:
    """Each work queue has its own, of its own kind. Slack's is tried more often: a pause that it asks for counts."""
    name = f"{queue.removesuffix('Messages')}DeadLetters"
    properties, dead_letters = whole.properties(queue), whole.properties(name)
    assert properties["RedrivePolicy"] == {"deadLetterTargetArn": whole.arn(name), "maxReceiveCount": TRIES[queue]}
    assert properties.get("FifoQueue") == dead_letters.get("FifoQueue")


@pytest.mark.parametrize("queue", sorted(DEAD_LETTERS))
def test_dead_letters_are_kept_for_two_weeks(whole: Stack, queue: str) -> None:
    """As long as SQS can."""
    assert whole.properties(queue)["MessageRetentionPeriod"] == 14 * 86400


def test_remediations_are_in_order_per_principal_only(stack: Stack) -> None:
    """The FIFO queue counts and deduplicates per message group."""
    properties = stack.properties("Remediations")
    assert properties["FifoQueue"] is True
    assert properties["DeduplicationScope"] == "messageGroup"
    assert properties["FifoThroughputLimit"] == "perMessageGroupId"


@pytest.mark.parametrize("queue", ["Denials", "RuleDeadLetters"])
def test_only_these_rules_may_send_for_eventbridge(stack: Stack, queue: str) -> None:
    """Another rule, or another account's, is not let in."""
    assert statements(stack, f"{queue}Policy")["RulesSend"] == {
        "Sid": "RulesSend",
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": stack.arn(queue),
        "Condition": {"ArnEquals": {"aws:SourceArn": [stack.arn("DenialRule"), stack.arn("ForwardedDenialRule")]}},
    }


@pytest.mark.parametrize("queue", sorted({*WORK, *DEAD_LETTERS}))
def test_queues_take_tls_only(whole: Stack, queue: str) -> None:
    """Every action over plain HTTP is denied."""
    assert statements(whole, f"{queue}Policy")["OnlyOverTls"] == {
        "Sid": "OnlyOverTls",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "sqs:*",
        "Resource": whole.arn(queue),
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }


def test_without_operators_nobody_but_the_rule_sends_denials(stack: Stack) -> None:
    """A made-up denial cannot be sent, whatever identity policies allow."""
    found = statements(stack, "DenialsPolicy")
    assert set(found) == {"RulesSend", "NobodyElseSends", "OnlyOverTls"}
    assert found["NobodyElseSends"] == {
        "Sid": "NobodyElseSends",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "sqs:SendMessage",
        "Resource": stack.arn("Denials"),
        "Condition": {"BoolIfExists": {"aws:PrincipalIsAWSService": "false"}},
    }


def test_operators_may_send_denials(deploy: Callable[..., Stack]) -> None:
    """They are allowed, and left out of the Deny."""
    stack = deploy(OperatorRoleArns=OPERATOR)
    found = statements(stack, "DenialsPolicy")
    assert found["OperatorsSend"] == {
        "Sid": "OperatorsSend",
        "Effect": "Allow",
        "Principal": {"AWS": [OPERATOR]},
        "Action": "sqs:SendMessage",
        "Resource": stack.arn("Denials"),
    }
    assert found["NobodyElseSends"]["Condition"] == {
        "BoolIfExists": {"aws:PrincipalIsAWSService": "false"},
        "ArnNotEquals": {"aws:PrincipalArn": [OPERATOR]},
    }


@pytest.mark.parametrize(("operators", "others"), [("", []), (f"{OPERATOR},{OPERATOR}2", [OPERATOR, f"{OPERATOR}2"])])
def test_remediate_takes_work_from_the_pipe_and_operators_alone(
    deploy: Callable[..., Stack], operators: str, others: list[str]
) -> None:
    """Whoever may call sqs:* elsewhere in the account cannot give it work."""
    stack = deploy(OperatorRoleArns=operators)
    assert statements(stack, "RemediationsPolicy")["OnlyThePipeAndOperatorsSend"] == {
        "Sid": "OnlyThePipeAndOperatorsSend",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "sqs:SendMessage",
        "Resource": stack.arn("Remediations"),
        "Condition": {"ArnNotEquals": {"aws:PrincipalArn": [stack.arn("PipeRole"), *others]}},
    }


SENDERS = {
    "RuleDeadLetters": (),
    "DenialsDeadLetters": ("TriageRole",),
    "PipeDeadLetters": ("PipeRole",),
    "RemediationsDeadLetters": (),
    "NotifyDeadLetters": ("NotifyRole",),
    "SlackDeadLetters": (),
    "UpkeepDeadLetters": ("UpkeepRole", "UpkeepScheduleRole"),
}
"""The roles that set something aside there; services come in by a permission of their own, and SQS without any."""


@pytest.mark.parametrize("queue", sorted(DEAD_LETTERS))
def test_nobody_puts_anything_among_the_dead_letters(whole: Stack, queue: str) -> None:
    """What lies there is redriven as if it had been lost: an identity policy with sqs:* must not be enough."""
    condition: dict[str, Any] = {"BoolIfExists": {"aws:PrincipalIsAWSService": "false"}}
    if SENDERS[queue]:
        condition["ArnNotEquals"] = {"aws:PrincipalArn": [whole.arn(role) for role in SENDERS[queue]]}
    assert statements(whole, f"{queue}Policy")["NobodyElseSends"] == {
        "Sid": "NobodyElseSends",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "sqs:SendMessage",
        "Resource": whole.arn(queue),
        "Condition": condition,
    }


def test_no_queue_of_anybodys_redrives_into_these(whole: Stack) -> None:
    """SQS moves worn-out messages without asking the policy (§7.13): nobody may name these as dead-letter queue.

    Those that have a source of the stack's own would have to name it, and it names them: AWS knows no such circle.
    """
    open_to_sources = {
        name for name, queue in whole.of_type("AWS::SQS::Queue").items() if "RedriveAllowPolicy" not in queue
    }
    assert open_to_sources == {"DenialsDeadLetters", "RemediationsDeadLetters", "SlackDeadLetters"}
    allowed = [each.get("RedriveAllowPolicy") for each in whole.of_type("AWS::SQS::Queue").values()]
    assert all(each in (None, {"redrivePermission": "denyAll"}) for each in allowed)


@pytest.mark.parametrize("queue", sorted({*WORK, *DEAD_LETTERS}))
def test_only_a_deployment_changes_a_queue(whole: Stack, queue: str) -> None:
    """Where deployers are named, they and the root user alone: who changes its policy could let itself in."""
    root = "arn:aws:iam::111122223333:root"
    deployers = ["arn:aws:iam::111122223333:role/deployer", "arn:aws:iam::111122223333:role/pipeline/deployer"]
    assert statements(whole, f"{queue}Policy")["OnlyADeploymentChangesIt"] == {
        "Sid": "OnlyADeploymentChangesIt",
        "Effect": "Deny",
        "Principal": "*",
        "Action": ["sqs:AddPermission", "sqs:DeleteQueue", "sqs:RemovePermission", "sqs:SetQueueAttributes"],
        "Resource": whole.arn(queue),
        "Condition": {"ArnNotEquals": {"aws:PrincipalArn": [root, *deployers]}},
    }


@pytest.mark.parametrize("queue", ["SlackMessages", "SlackDeadLetters"])
def test_slacks_queues_take_what_the_topics_send(whole: Stack, queue: str) -> None:
    """These two topics, and no other of anybody's."""
    assert statements(whole, f"{queue}Policy")["TopicsSend"] == {
        "Sid": "TopicsSend",
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": whole.arn(queue),
        "Condition": {"ArnEquals": {"aws:SourceArn": [whole.arn("Approvals"), whole.arn("Notices")]}},
    }


@pytest.mark.parametrize(("operators", "others"), [("", []), (f"{OPERATOR},{OPERATOR}2", [OPERATOR, f"{OPERATOR}2"])])
def test_nobody_else_has_slack_say_something(
    deploy: Callable[..., Stack], everything: Mapping[str, str], operators: str, others: list[str]
) -> None:
    """Approve hands over clicks, and operators redrive; a notice that somebody made up cannot be sent."""
    stack = deploy(**{**everything, "OperatorRoleArns": operators})
    found = statements(stack, "SlackMessagesPolicy")
    assert set(found) == {"TopicsSend", "NobodyElseSends", "OnlyADeploymentChangesIt", "OnlyOverTls"}
    assert found["NobodyElseSends"] == {
        "Sid": "NobodyElseSends",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "sqs:SendMessage",
        "Resource": stack.arn("SlackMessages"),
        "Condition": {
            "BoolIfExists": {"aws:PrincipalIsAWSService": "false"},
            "ArnNotEquals": {"aws:PrincipalArn": [stack.arn("ApproveRole"), *others]},
        },
    }
