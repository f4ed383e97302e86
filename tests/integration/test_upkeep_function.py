"""The upkeep function with its real handler: the ledger, IAM and the topic as moto plays them."""

import importlib.util
import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.sns.models import sns_backends
from msgspec.structs import replace

from bedrock_remediator.aws.ledger.items import grant_item
from bedrock_remediator.aws.ledger.write import Ledger
from bedrock_remediator.core.grant import Grant, Remark, State
from bedrock_remediator.flows.upkeep.upkeep import IncompleteError
from tests.builders.clocks import StoppedClock
from tests.builders.grants import NOON, pending_grant
from tests.builders.notices import blocked_by_scp

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

APP = Path(__file__).parents[2] / "functions" / "upkeep" / "app.py"
HOUR = timedelta(hours=1)
ENVIRONMENT = {
    "LEDGER_TABLE": "ledger",
    "MODE": "approve",
    "PAUSED": "false",
    "POLICY_STRATEGY": "managed",
    "ALLOWLIST_PATH": "/bedrock-access-remediator/allowlist",
    "ENROLLED_ACCOUNTS": "",
    "EXTRA_ACTIONS": "",
    "GRANTABLE_PRINCIPALS": "arn:aws:iam::*:role/*",
    "DEFAULT_GRANT_DAYS": "0",
    "PRINCIPAL_GRANTS_PER_DAY": "10",
    "PROBE_PROFILES": "8",
    "PROBE_WINDOW_MINUTES": "60",
    "UNKNOWN_CALLER_ASKS": "true",
    "APPROVAL_LAPSE_HOURS": "72",
    "NOTICES_PER_HOUR": "3",
    "AMAZON_Q_TOPIC_ARN": "",
    "APPROVALS_EMAIL": "",
    "NOTICES_EMAIL": "",
    "POWERTOOLS_SERVICE_NAME": "upkeep",
    "POWERTOOLS_METRICS_NAMESPACE": "BedrockAccessRemediator",
}


class Context:
    """What Lambda tells the function: where it is, and that there is time."""

    function_name = "upkeep"
    memory_limit_in_mb = 512
    invoked_function_arn = f"arn:aws:lambda:us-east-1:{DEFAULT_ACCOUNT_ID}:function:upkeep"
    aws_request_id = "request"

    def __init__(self, seconds: float = 290) -> None:
        self._seconds = seconds

    def get_remaining_time_in_millis(self) -> int:
        """As much as there is."""
        return int(self._seconds * 1000)


def heard(name: str) -> str:
    """A topic with a subscriber."""
    sns = boto3.client("sns")
    arn = sns.create_topic(Name=name)["TopicArn"]
    sns.subscribe(TopicArn=arn, Protocol="email", Endpoint="ops@example.com")
    return arn


@pytest.fixture
def topic(aws: None) -> str:
    """The notices topic, which somebody hears."""
    return heard("notices")


@pytest.fixture
def app(
    topic: str, dynamodb: "DynamoDBClient", clock: StoppedClock, monkeypatch: pytest.MonkeyPatch
) -> Iterator[ModuleType]:
    """The function's module, loaded as Lambda loads it, with a clock that stands at noon."""
    for name, value in {**ENVIRONMENT, "NOTICES_TOPIC_ARN": topic, "APPROVALS_TOPIC_ARN": heard("approvals")}.items():
        monkeypatch.setenv(name, value)
    spec = importlib.util.spec_from_file_location("upkeep_app", APP)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "clock", clock)
    yield module
    module._upkeep.cache_clear()


@pytest.fixture
def put(dynamodb: "DynamoDBClient") -> Callable[..., Grant]:
    """Put a row into the ledger as it is."""

    def row(**changes: Any) -> Grant:
        grant = pending_grant(**changes)
        dynamodb.put_item(TableName="ledger", Item=grant_item(grant))
        return grant

    return row


def sent(topic: str) -> list[tuple[str, dict[str, str], dict[str, Any]]]:
    """Subject, texts and attributes of what went to the topic."""
    found = sns_backends[DEFAULT_ACCOUNT_ID]["us-east-1"].topics[topic].sent_notifications
    return [(subject or "", json.loads(message), attributes or {}) for _, message, subject, attributes, _ in found]


Put = Callable[..., Grant]


def test_one_round_does_all_that_is_due_and_the_next_finds_nothing(
    app: ModuleType, put: Put, ledger: Ledger, clock: StoppedClock, capsys: pytest.CaptureFixture[str]
) -> None:
    """Time goes on, and each row meets what was to come."""
    rows = {
        "ends": put(sk="profile#ends", state=State.ACTIVE, expires_at=NOON + HOUR),
        "waits": put(sk="profile#waits"),
        "stuck": put(sk="profile#stuck", state=State.APPROVED),
        "failed": put(sk="profile#failed", state=State.FAILED, reason_code="iam_refused"),
    }
    quiet = {
        "expire": {},
        "redrive": {},
        "reconsider": {},
        "requests": {},
        "retry": {},
        "drift": {"principals": 1, "unsettled": 1},
        "orphans": {"found": 0},
        "subscribers": {"missing": 0},
        "storms": {},
    }
    # It was asked under another configuration, of which nothing is known.
    assert app.handler({"task": "upkeep"}, Context()) == quiet | {"reconsider": {"still_asked": 1}}
    clock.time = NOON + HOUR
    assert app.handler({"task": "upkeep"}, Context()) == quiet | {
        "expire": {"expired": 1},
        "redrive": {"redriven": 1},
        "retry": {"retried": 1},
        "drift": {},
    }
    metrics = [json.loads(line) for line in capsys.readouterr().out.splitlines() if "_aws" in line]
    assert metrics[-1]["Upkeep_expire_expired"] == [1]
    assert metrics[-1]["Upkeep_orphans_found"] == [0]
    assert metrics[-1]["Upkeep_drift_failed"] == [0]
    assert metrics[-1]["service"] == "upkeep"
    clock.time = NOON + 36 * HOUR
    done = app.handler({"task": "upkeep"}, Context())
    assert done["requests"] == {"reminded": 1}
    again = app.handler({"task": "upkeep"}, Context())
    assert {name: did for name, did in again.items() if did} == {
        "orphans": {"found": 0},
        "subscribers": {"missing": 0},
    }
    clock.time = NOON + 72 * HOUR
    app.handler({"task": "upkeep"}, Context())
    states = {name: row.state for name, old in rows.items() if (row := ledger.grant(*old.key))}
    assert states == {"ends": State.REVOKING, "waits": State.LAPSED, "stuck": State.APPROVED, "failed": State.APPROVED}


def test_a_chore_that_fails_makes_the_round_an_error_after_all_others_have_run(
    app: ModuleType, put: Put, ledger: Ledger, clock: StoppedClock, capsys: pytest.CaptureFixture[str]
) -> None:
    """So it is seen, and nothing has waited for it: even the first one, here."""
    row = put()
    clock.time = NOON + 72 * HOUR
    app._upkeep("upkeep", DEFAULT_ACCOUNT_ID)._chores[0]._ledger = None
    with pytest.raises(IncompleteError, match="failed: expire"):
        app.handler({"task": "upkeep"}, Context())
    found = ledger.grant(*row.key)
    assert found
    assert found.state is State.LAPSED
    metrics = [json.loads(line) for line in capsys.readouterr().out.splitlines() if "_aws" in line]
    assert metrics[-1]["Upkeep_expire_failed"] == [1]


def test_a_round_ends_before_its_time_is_up(app: ModuleType, put: Put, ledger: Ledger, clock: StoppedClock) -> None:
    """What is left is for the next."""
    row = put(state=State.ACTIVE, expires_at=NOON)
    clock.time = NOON + HOUR
    app.handler({"task": "upkeep"}, Context(seconds=19))
    found = ledger.grant(*row.key)
    assert found
    assert found.state is State.ACTIVE


def unsubscribe_everybody(topic: str) -> None:
    """What a mail scanner does that opens the link at a mail's end."""
    sns = boto3.client("sns")
    for each in sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]:
        sns.unsubscribe(SubscriptionArn=each["SubscriptionArn"])


def test_a_topic_that_nobody_hears_any_more_is_counted_for_the_alarm(
    app: ModuleType, topic: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every round; the log names the topic, and the digest does."""
    unsubscribe_everybody(topic)
    assert app.handler({"task": "upkeep"}, Context())["subscribers"] == {"missing": 1}
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["Upkeep_subscribers_missing"] for line in lines if "_aws" in line] == [[1]]
    assert app.handler({"task": "digest"}, Context()) == {"digest": {"sent": 1}}
    ((_, texts, attributes),) = sent(topic)
    assert "The topic notices has no confirmed subscription" in " ".join(texts["email"].split())
    assert attributes["severity"]["Value"] == "action"


class TestDigest:
    """The other schedule."""

    def test_a_days_digest_goes_out_once(
        self, app: ModuleType, put: Put, topic: str, clock: StoppedClock, dynamodb: "DynamoDBClient"
    ) -> None:
        """With all that happened in the day, and nothing from before."""
        old = NOON - timedelta(days=2)
        put(sk="profile#1", state=State.ACTIVE, applied_at=NOON, updated_at=NOON, expires_at=NOON + 2 * 24 * HOUR)
        put(sk="profile#2", state=State.ACTIVE, applied_at=old, updated_at=old)
        put(sk="profile#3", state=State.REJECTED, reason_code="no_rule")
        put(sk="profile#4", state=State.REJECTED, reason_code="no_rule", updated_at=old)
        put(sk="profile#5", state=State.REVOKED, reason_code="expired")
        put(sk="kept#profile#6", state=State.REVOKED, reason_code="replaced")
        put(sk="profile#7", updated_at=old)
        put(sk="profile#8", state=State.APPROVED, updated_at=old)
        remark = Remark(version=1, at=NOON, code="drift_recurs", reason="It does not stay so.")
        put(sk="profile#9", state=State.ACTIVE, applied_at=old, updated_at=old, remark=remark)
        put(sk="kept#profile#10", state=State.ACTIVE, applied_at=NOON)
        for number in range(3):
            row = replace(blocked_by_scp(), sk=f"advice#not_fixable#{number}")
            dynamodb.put_item(TableName="ledger", Item=grant_item(row))
        put(sk="profile#11", state=State.REPORTED, reason_code="mode_observe")
        clock.time = NOON + HOUR
        assert app.handler({"task": "digest"}, Context()) == {"digest": {"sent": 1}}
        assert app.handler({"task": "digest"}, Context()) == {"digest": {"sent_before": 1}}
        ((subject, texts, attributes),) = sent(topic)
        assert subject == "Bedrock access digest 2026-11-20: 1 granted, 1 refused, 1 waiting"
        assert attributes["event"]["Value"] == "digest"
        content = json.loads(texts["default"])
        assert content["counts"] == {
            "asked": 1,
            "granted": 1,
            "refused": 1,
            "revoked": 1,
            "expiring": 1,
            "drifted": 1,
            "late": 1,
        }
        assert content["reported"] == {"not_fixable": 3, "would_be_granted": 1}
        assert content["complete"] is True

    def test_the_next_day_has_its_own(self, app: ModuleType, put: Put, topic: str, clock: StoppedClock) -> None:
        """As long as something waits."""
        put()
        app.handler({"task": "digest"}, Context())
        clock.time = NOON + 24 * HOUR
        app.handler({"task": "digest"}, Context())
        assert len(sent(topic)) == 2

    def test_a_quiet_day_sends_nothing(self, app: ModuleType, topic: str) -> None:
        """Nobody reads mails that say nothing."""
        assert app.handler({"task": "digest"}, Context()) == {"digest": {"quiet": 1}}
        assert sent(topic) == []

    def test_policies_without_a_grant_are_in_it(self, app: ModuleType, topic: str) -> None:
        """They are left as they are."""
        boto3.client("iam").create_policy(
            PolicyName="role.gone.1",
            Path="/bedrock-access-remediator/",
            PolicyDocument=POLICY,
            Tags=[{"Key": "managed-by", "Value": "bedrock-access-remediator"}, {"Key": "ledger", "Value": "ledger"}],
        )
        assert app.handler({"task": "digest"}, Context()) == {"digest": {"sent": 1}}
        ((_, texts, _),) = sent(topic)
        assert "POLICIES WITHOUT A GRANT (1)" in texts["email"]

    def test_one_that_was_cut_off_is_sent_again_and_says_so(
        self, app: ModuleType, put: Put, topic: str, dynamodb: "DynamoDBClient"
    ) -> None:
        """Nobody knows whether the first went out."""
        put()
        app.handler({"task": "digest"}, Context())
        marker = {"pk": {"S": "digest"}, "sk": {"S": "2026-11-20"}, "status": {"S": "claimed"}}
        dynamodb.put_item(TableName="ledger", Item=marker)
        app.handler({"task": "digest"}, Context())
        assert ["This may be a duplicate" in texts["email"] for _, texts, _ in sent(topic)] == [False, True]


POLICY = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}]}
)
