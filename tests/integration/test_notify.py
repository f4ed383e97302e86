"""The notify function with its real handler: the ledger and the topics as moto plays them, queues that listen."""

import importlib.util
import json
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.sns.models import sns_backends
from msgspec.structs import replace

from bedrock_remediator.aws.errors import RetryableError
from bedrock_remediator.aws.ledger.items import grant_item
from bedrock_remediator.aws.ledger.write import Ledger, Seen
from bedrock_remediator.aws.messaging import Publisher
from bedrock_remediator.core.grant import Grant, State
from bedrock_remediator.flows.notification.notification import Change
from tests.builders.grants import NOON
from tests.builders.notices import ALL, blocked_by_scp, granted, requested

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

APP = Path(__file__).parents[2] / "functions" / "notify" / "app.py"
CONTEXT = SimpleNamespace(
    function_name="notify",
    memory_limit_in_mb=256,
    invoked_function_arn="arn:aws:lambda:us-east-1:123456789012:function:notify",
    aws_request_id="request",
)

Handle = Callable[..., list[str]]


class Topics:
    """The two topics, with what was published to them."""

    def __init__(self) -> None:
        sns = boto3.client("sns")
        self.approvals = sns.create_topic(Name="approvals")["TopicArn"]
        self.notices = sns.create_topic(Name="notices")["TopicArn"]

    def sent(self, topic: str) -> list[tuple[dict[str, str], str, dict[str, Any]]]:
        """Texts by protocol, subject and attributes of each message, in order."""
        found = sns_backends[DEFAULT_ACCOUNT_ID]["us-east-1"].topics[topic].sent_notifications
        return [(json.loads(message), subject or "", attributes or {}) for _, message, subject, attributes, _ in found]

    def subjects(self) -> list[str]:
        """All subjects, those of the approvals topic first."""
        return [subject for topic in (self.approvals, self.notices) for _, subject, _ in self.sent(topic)]


@pytest.fixture
def topics(aws: None) -> Topics:
    """The topics, with nothing sent."""
    return Topics()


@pytest.fixture
def app(topics: Topics, dynamodb: "DynamoDBClient", monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The function's module, loaded as Lambda loads it."""
    keys = boto3.client("secretsmanager").create_secret(Name="keys", SecretString=json.dumps({"key": "k" * 64}))
    environment = {
        "LEDGER_TABLE": "ledger",
        "POLICY_STRATEGY": "managed",
        "EXTRA_ACTIONS": "",
        "APPROVALS_TOPIC_ARN": topics.approvals,
        "NOTICES_TOPIC_ARN": topics.notices,
        "AMAZON_Q_TOPIC_ARN": "",
        "APPROVAL_URL": "https://a1b2c3.execute-api.us-east-1.amazonaws.com",
        "APPROVAL_KEYS_SECRET_ARN": keys["ARN"],
        "APPROVAL_LAPSE_HOURS": "72",
        "NOTICES_PER_HOUR": "100",
        "POWERTOOLS_SERVICE_NAME": "notify",
        "POWERTOOLS_METRICS_NAMESPACE": "BedrockAccessRemediator",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    spec = importlib.util.spec_from_file_location("notify_app", APP)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    module._notification.cache_clear()


@pytest.fixture
def handle(app: ModuleType) -> Handle:
    """Hand a batch to the function: rows as the stream shows them. The sequence numbers that failed come back."""

    def batch(*images: Grant | dict[str, Any]) -> list[str]:
        records = [
            {
                "eventName": "MODIFY",
                "dynamodb": {
                    "SequenceNumber": str(number),
                    "Keys": {},
                    "NewImage": grant_item(image) if isinstance(image, Grant) else image,
                },
            }
            for number, image in enumerate(images)
        ]
        answer = app.handler({"Records": records}, CONTEXT)
        return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]

    return batch


@pytest.fixture
def put(dynamodb: "DynamoDBClient") -> Callable[[Grant], Grant]:
    """Put a row into the ledger as it is, without asking how it got there."""

    def row(grant: Grant) -> Grant:
        dynamodb.put_item(TableName="ledger", Item=grant_item(grant))
        return grant

    return row


Put = Callable[[Grant], Grant]


@pytest.mark.parametrize("event", [event for event in ALL if event != "link"])
def test_each_change_goes_to_its_topic_once(event: str, handle: Handle, put: Put, topics: Topics) -> None:
    """Requests and reminders go to the approvers, all else to the notices; the second delivery sends nothing."""
    row = put(ALL[event]())
    assert handle(row) == []
    assert handle(row) == []
    (sent,) = topics.sent(topics.approvals if event in ("requested", "reminded") else topics.notices)
    assert len(topics.subjects()) == 1
    texts, _, attributes = sent
    assert attributes["event"]["Value"] == event
    assert set(texts) == {"default", "email", "https", "sqs", "lambda"}


def test_a_reminder_and_a_remark_are_notices_of_their_own(handle: Handle, put: Put, topics: Topics) -> None:
    """They come after that of the state, once each; a second remark on the same grant is told as well."""
    request, grant = put(requested()), put(granted(sk="profile#other"))
    assert handle(request, grant) == []
    reminded, drifted = put(ALL["reminded"]()), put(replace(ALL["drifted"](), sk=grant.sk))
    assert drifted.remark
    assert handle(reminded, drifted, reminded, drifted) == []
    later = replace(drifted.remark, at=NOON + timedelta(days=1))
    assert handle(put(replace(drifted, remark=later))) == []
    assert handle(put(replace(drifted, remark=None))) == []
    assert [attributes["event"]["Value"] for _, _, attributes in topics.sent(topics.approvals)] == [
        "requested",
        "reminded",
    ]
    assert [attributes["event"]["Value"] for _, _, attributes in topics.sent(topics.notices)] == [
        "granted",
        "drifted",
        "drifted",
    ]


def test_a_reminder_says_until_when_and_links_to_the_page(handle: Handle, put: Put, topics: Topics) -> None:
    """As the request did."""
    assert handle(put(ALL["reminded"]())) == []
    ((texts, subject, _),) = topics.sent(topics.approvals)
    assert subject.startswith("Reminder: Bedrock access requested: role llm-app")
    assert "Lapses       2026-11-23 12:00 UTC" in texts["email"]
    assert "/request/" in texts["email"]
    assert json.loads(texts["default"])["lapses_at"] == "2026-11-23T12:00:00Z"


def test_a_link_that_was_asked_for_goes_to_the_approvers_alone(handle: Handle, put: Put, topics: Topics) -> None:
    """Once each time that it is asked for; the grant is not announced again, and the link decides nowhere but there."""
    grant = put(granted())
    asked = replace(grant, link_asked_at=NOON + timedelta(days=9))
    assert handle(grant) == []
    assert handle(put(asked), put(asked)) == []
    assert handle(put(replace(asked, link_asked_at=NOON + timedelta(days=10)))) == []
    assert len(topics.sent(topics.notices)) == 1
    (texts, subject, attributes), _ = topics.sent(topics.approvals)
    assert subject.startswith("New link, Bedrock access: role llm-app")
    assert attributes["event"]["Value"] == "link"
    (link,) = re.findall(r"(?m)^https://\S+/request/\S+$", texts["email"])
    assert not any(link in text for name, text in texts.items() if name != "email")


def test_the_chat_is_not_told_of_a_link(
    app: ModuleType, handle: Handle, put: Put, topics: Topics, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing has happened that it should hear of; of the grant itself it is told."""
    chat = boto3.client("sns").create_topic(Name="chat")["TopicArn"]
    monkeypatch.setattr(app, "settings", replace(app.settings, amazon_q_topic_arn=chat))
    assert handle(put(ALL["link"]())) == []
    assert [len(topics.sent(topic)) for topic in (topics.approvals, topics.notices, chat)] == [1, 1, 1]


@pytest.mark.parametrize("state", [State.APPROVED, State.APPLYING, State.REVOKING])
def test_states_on_the_way_are_silent(state: State, handle: Handle, put: Put, topics: Topics) -> None:
    """Nobody hears of approved, applying and revoking, even if the filter lets one through."""
    assert handle(put(requested(state=state))) == []
    assert topics.subjects() == []


def test_items_that_are_no_rows_are_silent(handle: Handle, topics: Topics) -> None:
    """Counters and markers have no state, and a deleted item has no image."""
    assert handle({"pk": {"S": "p"}, "sk": {"S": "seen#x"}}, {}) == []
    assert topics.subjects() == []


def test_an_image_that_is_overtaken_says_nothing(handle: Handle, put: Put, topics: Topics) -> None:
    """A replay of yesterday's images sends nothing: the rows have moved on, or are gone."""
    put(granted())
    assert handle(requested(), granted(version=2), blocked_by_scp()) == []
    assert topics.subjects() == []


def test_the_row_is_believed_and_not_the_image(handle: Handle, put: Put, topics: Topics) -> None:
    """An image that claims more than the row holds changes nothing in the message."""
    put(requested())
    assert handle(requested(reason="Forged.", resources=())) == []
    assert "Forged." not in topics.sent(topics.approvals)[0][0]["email"]


def test_a_death_between_claim_and_mark_gives_a_copy_that_says_so(
    handle: Handle, put: Put, topics: Topics, ledger: Ledger
) -> None:
    """A notice that may have gone out is sent again, marked as a possible duplicate, and then not again."""
    row = put(requested())
    assert ledger.claim_notice(row) == "new"
    assert handle(row) == []
    assert handle(row) == []
    ((texts, _, _),) = topics.sent(topics.approvals)
    assert "This may be a duplicate" in texts["email"]
    assert json.loads(texts["sqs"])["may_be_duplicate"] is True


def test_a_notice_counts_the_denials_and_shows_the_standing_policy(
    handle: Handle, put: Put, topics: Topics, ledger: Ledger
) -> None:
    """How often and since when comes from the counters, the policy before from the other rows."""
    other = granted().profile or ""
    other = other.replace("us.amazon", "global.amazon")
    put(granted(sk=f"profile#{other}", profile=other, resources=(other,), expires_at=None))
    row = put(requested())
    ledger.link(Seen(pk=row.pk, fingerprint="f", row=row.sk, count=12, event_ids=("e",), first_at=NOON, last_at=NOON))
    assert handle(row) == []
    ((texts, _, _),) = topics.sent(topics.approvals)
    content = json.loads(texts["default"])
    assert content["denials"]["count"] == 12
    assert other in json.dumps(content["policy"]["before"])
    assert "12 times" in texts["email"]


def test_a_bad_row_holds_up_nobody_else(handle: Handle, put: Put, topics: Topics, dynamodb: "DynamoDBClient") -> None:
    """A row that cannot be read fails alone: the notices before and behind it go out, and only once."""
    bad = grant_item(blocked_by_scp()) | {"diagnosis": {"S": "nonsense"}}
    dynamodb.put_item(TableName="ledger", Item=bad)
    first, last = put(requested()), put(granted(sk="profile#other"))
    assert handle(first, bad, last) == ["1"]
    assert len(topics.subjects()) == 2
    assert handle(bad, last) == ["0"]
    assert len(topics.subjects()) == 2


def test_when_sns_is_throttling_the_rest_of_the_batch_waits(
    handle: Handle, put: Put, topics: Topics, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first that could not be sent is reported, and nothing behind it is tried."""
    tried: list[str] = []

    def refuse(_: Publisher, topic: str, subject: str, *__: Any) -> str:
        tried.append(subject)
        raise RetryableError("publishing a notice: Throttled")

    with monkeypatch.context() as patched:
        patched.setattr(Publisher, "publish", refuse)
        assert handle(put(requested()), put(granted(sk="profile#other"))) == ["0"]
    assert len(tried) == 1
    assert handle(requested(), granted(sk="profile#other")) == []
    assert len(topics.subjects()) == 2


def test_a_queue_gets_the_structured_text(app: ModuleType, handle: Handle, put: Put, topics: Topics) -> None:
    """A subscriber of the kind that programs use reads JSON, with the request's id and no token."""
    sqs = boto3.client("sqs")
    url = sqs.create_queue(QueueName="listener")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    boto3.client("sns").subscribe(
        TopicArn=topics.approvals, Protocol="sqs", Endpoint=arn, Attributes={"RawMessageDelivery": "true"}
    )
    handle(put(requested()))
    received = sqs.receive_message(QueueUrl=url, MessageAttributeNames=["All"])["Messages"][0]
    content = json.loads(received["Body"])
    assert (content["event"], content["request"]["version"]) == ("requested", 1)
    assert "token" not in received["Body"].lower()
    assert received["MessageAttributes"]["severity"]["StringValue"] == "action"


def test_a_missing_variable_stops_the_function_at_its_start(app: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """A broken deployment shows at once, with the variable's name."""
    monkeypatch.delenv("NOTICES_TOPIC_ARN")
    spec = importlib.util.spec_from_file_location("notify_app_broken", APP)
    assert spec is not None
    assert spec.loader is not None
    with pytest.raises(ValueError, match="NOTICES_TOPIC_ARN is not set"):
        spec.loader.exec_module(importlib.util.module_from_spec(spec))


def test_a_change_is_read_from_a_record() -> None:
    """Key, state and version, and nothing else."""
    record = {"dynamodb": {"NewImage": grant_item(requested())}}
    assert Change.read(record) == Change(requested().pk, requested().sk, "pending", 1)
