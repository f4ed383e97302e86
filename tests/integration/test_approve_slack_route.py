"""Slack's route of the approve function: it is there with Slack's settings, and believes no one without a signature."""

import boto3
import pytest

from bedrock_remediator.aws.ledger.write import Ledger
from tests.builders.approve import ApproveStack
from tests.builders.clocks import StoppedClock
from tests.builders.decisions import waiting
from tests.builders.grants import first_seen


@pytest.fixture
def stack(monkeypatch: pytest.MonkeyPatch, ledger: Ledger, clock: StoppedClock) -> ApproveStack:
    """The function with Slack."""
    secrets = boto3.client("secretsmanager")
    settings = {
        "SLACK_SIGNING_SECRET_ARN": secrets.create_secret(Name="signing", SecretString="signing")["ARN"],
        "SLACK_TOKEN_SECRET_ARN": secrets.create_secret(Name="token", SecretString="xoxb-token")["ARN"],
        "SLACK_TEAM_ID": "T0000",
        "SLACK_APP_ID": "A0000",
        "SLACK_APPROVERS": "U0000",
        "SLACK_API_URL": "http://127.0.0.1:1/",
        "SLACK_QUEUE_URL": "https://sqs.us-east-1.amazonaws.com/123456789012/slack",
    }
    return ApproveStack(monkeypatch, clock, ledger, **settings)


def test_an_unsigned_click_is_refused(stack: ApproveStack, ledger: Ledger) -> None:
    """Twice the same: what the route needs is loaded with the first."""
    row = waiting()
    ledger.open(row, first_seen(row))
    for _ in range(2):
        assert stack.post("/slack/interactions", {"payload": "{}"}).status in {400, 401, 403}
    assert stack.row(row) == row
