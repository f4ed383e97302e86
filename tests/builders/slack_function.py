"""The slack function behind its queue, for tests: its real handler, topic and queue as moto plays them."""

import importlib.util
import json
from functools import cache
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.core.utils import unix_time_millis
from moto.sqs.models import sqs_backends

from bedrock_remediator.aws.clients import Clients
from bedrock_remediator.aws.messaging import Publisher
from bedrock_remediator.core.grant import Grant
from bedrock_remediator.notices.message import message
from bedrock_remediator.notices.subject import attributes, subject
from tests.builders.clocks import StoppedClock
from tests.builders.notices import notice_of
from tests.builders.slack import ALICE, CHANNEL, TOKEN, FakeSlack

APP = Path(__file__).parents[2] / "functions" / "slack" / "app.py"
MOST_RECEIVES = 5
PLENTY = 60_000


@cache
def clients() -> Clients:
    """The clients, made once: they hold nothing of a test, and making them takes longer than one."""
    return Clients("123456789012")


class SlackStack:
    """The topic, the queue that it fills, its dead letters, and the function with the poller that Lambda would be.

    `left` is what remains of the function's time, in milliseconds.

    Args:
        monkeypatch: Sets the function's environment and its clock.
        clock: The time that it goes by.
        slack: What it speaks to.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, clock: StoppedClock, slack: FakeSlack) -> None:
        self._sqs, self._sns = clients().sqs, clients().sns
        self.dead_url = self._sqs.create_queue(QueueName="slack-dead")["QueueUrl"]
        redrive = {"deadLetterTargetArn": self._arn(self.dead_url), "maxReceiveCount": MOST_RECEIVES}
        self.url = self._sqs.create_queue(
            QueueName="slack", Attributes={"RedrivePolicy": json.dumps(redrive), "VisibilityTimeout": "360"}
        )["QueueUrl"]
        self.topic = self._sns.create_topic(Name="notices")["TopicArn"]
        self._sns.subscribe(TopicArn=self.topic, Protocol="sqs", Endpoint=self._arn(self.url))
        self._publisher = Publisher(self._sns)
        self.left = PLENTY
        token = clients().secretsmanager.create_secret(Name="token", SecretString=TOKEN + "\n")
        self.token_arn = token["ARN"]
        environment = {
            "LEDGER_TABLE": "ledger",
            "POLICY_STRATEGY": "managed",
            "EXTRA_ACTIONS": "",
            "MAX_GRANT_DAYS": "30",
            "SLACK_API_URL": slack.url,
            "SLACK_TOKEN_SECRET_ARN": self.token_arn,
            "SLACK_CHANNEL_ID": CHANNEL,
            "SLACK_QUEUE_URL": self.url,
            "SLACK_APPROVERS": ALICE,
            "POWERTOOLS_SERVICE_NAME": "slack",
            "POWERTOOLS_METRICS_NAMESPACE": "BedrockAccessRemediator",
        }
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        self._app = _load()
        monkeypatch.setattr(self._app, "SystemClock", lambda: clock)
        monkeypatch.setattr(self._app, "Clients", lambda _: clients())

    def close(self) -> None:
        """Forget what the function keeps between its calls."""
        self._app._parts.cache_clear()

    def _arn(self, url: str) -> str:
        return self._sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]

    def publish(self, grant: Grant) -> None:
        """Publish the notice of a row, as notify does."""
        notice = notice_of(grant)
        self._publisher.publish(self.topic, subject(notice), message(notice), attributes(notice))

    def publish_text(self, text: str, title: str) -> None:
        """Publish something else, as CloudWatch does."""
        self._sns.publish(TopicArn=self.topic, Message=text, Subject=title)

    def send(self, body: str) -> None:
        """Put something into the queue, as approve does."""
        self._sqs.send_message(QueueUrl=self.url, MessageBody=body)

    def run(self) -> int:
        """Hand a batch to the function; how many of its messages failed."""
        found = self._sqs.receive_message(
            QueueUrl=self.url, MaxNumberOfMessages=10, AttributeNames=["ApproximateReceiveCount"]
        ).get("Messages", [])
        if not found:
            return 0
        records = [
            {
                "messageId": each["MessageId"],
                "receiptHandle": each["ReceiptHandle"],
                "body": each["Body"],
                "attributes": each["Attributes"],
            }
            for each in found
        ]
        context = SimpleNamespace(
            function_name="slack",
            memory_limit_in_mb=512,
            invoked_function_arn="arn:aws:lambda:us-east-1:123456789012:function:slack",
            aws_request_id="request",
            get_remaining_time_in_millis=lambda: self.left,
        )
        answer = self._app.handler({"Records": records}, context)
        failed = {each["itemIdentifier"] for each in answer["batchItemFailures"]}
        for each in found:
            if each["MessageId"] not in failed:
                self._sqs.delete_message(QueueUrl=self.url, ReceiptHandle=each["ReceiptHandle"])
        return len(failed)

    @property
    def _messages(self) -> list[Any]:
        backend = sqs_backends[DEFAULT_ACCOUNT_ID]["us-east-1"]
        return list(backend.queues["slack"]._messages)

    def waits(self) -> list[int]:
        """For how many seconds each message that was received is out of sight."""
        return [round((each.visible_at - unix_time_millis()) / 1000) for each in self._messages]

    def later(self) -> None:
        """Bring every message back into sight."""
        for each in self._messages:
            each.visible_at = 0

    def run_on(self, rounds: int = 20) -> int:
        """Run until nothing is left; how many rounds it took."""
        for taken in range(rounds):
            if not self.run() and not self._messages:
                return taken + 1
            self.later()
        return rounds

    def dead(self) -> list[str]:
        """The bodies of the dead letters."""
        found = self._sqs.receive_message(QueueUrl=self.dead_url, MaxNumberOfMessages=10).get("Messages", [])
        return [each["Body"] for each in found]


def _load() -> ModuleType:
    """The function's module, loaded as Lambda loads it."""
    spec = importlib.util.spec_from_file_location("slack_app", APP)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
