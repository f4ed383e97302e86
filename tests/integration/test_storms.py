"""A storm of notices: some go out one by one, the rest is told in one digest, and nothing urgent waits."""

import json
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

import pytest
from msgspec.structs import replace

from bedrock_remediator.aws.ledger.items import grant_item, unmarshal
from bedrock_remediator.aws.ledger.write import UpkeepLedger
from bedrock_remediator.core.grant import DiagnosisKind, Grant
from bedrock_remediator.flows.links.links import Links
from bedrock_remediator.flows.notification.notification import Fate, Notification
from bedrock_remediator.flows.upkeep.chores.activity import ActivityReport
from bedrock_remediator.flows.upkeep.chores.storms import Storms
from bedrock_remediator.notices.notice import FOLDABLE
from bedrock_remediator.settings import LinkSettings, NotifySettings, Strategy
from sandbox.dynamodb import quickened
from tests.builders.clocks import StoppedClock
from tests.builders.decisions import FakeKeys
from tests.builders.grants import NOON
from tests.builders.notices import ALL, blocked_by_scp, leaked_key, requested

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

    from bedrock_remediator.aws.messaging import Publisher

BASE = "https://a1b2c3.execute-api.us-east-1.amazonaws.com"
SETTINGS = NotifySettings(
    ledger_table="ledger",
    strategy=Strategy.MANAGED,
    extra_actions=(),
    approvals_topic_arn="approvals",
    notices_topic_arn="notices",
    amazon_q_topic_arn="amazon-q",
    notices_an_hour=3,
    approval_url=BASE,
    links=LinkSettings(keys_secret_arn="arn:keys", lapse_hours=72),  # noqa: S106 - the name of a secret
)


class Stream:
    """Notify and upkeep on one ledger, by a clock that stands at noon; what they publish is kept."""

    def __init__(self, dynamodb: "DynamoDBClient", clock: StoppedClock) -> None:
        self.dynamodb = dynamodb
        self.clock = clock
        self.ledger = UpkeepLedger(dynamodb, "ledger", clock)
        self.sent: list[tuple[str, str, Mapping[str, str]]] = []

    def publish(self, topic: str, subject: str, message: Mapping[str, str], _: Any = None) -> str:
        """Keep it."""
        self.sent.append((topic, subject, message))
        return "id"

    def tell(self, row: Grant) -> Fate:
        """The row changes, and the stream says so."""
        self.dynamodb.put_item(TableName="ledger", Item=grant_item(row))
        links = Links(FakeKeys(), BASE, timedelta(hours=72), self.clock)
        publisher = cast("Publisher", self)
        notify = Notification(ledger=self.ledger, publisher=publisher, links=links, settings=SETTINGS, clock=self.clock)
        return notify.tell({"dynamodb": {"NewImage": grant_item(row)}})

    def refusals(self, number: int) -> list[Fate]:
        """As many refusals, each of another principal."""
        pks = [f"arn:aws:iam::123456789012:role/app-{self.clock.now():%H}-{each}" for each in range(number)]
        return [self.tell(replace(blocked_by_scp(), pk=pk, principal=pk)) for pk in pks]

    def upkeep(self) -> dict[str, int]:
        """A round of the chore."""
        activity = ActivityReport(self.ledger, lambda _: [], timedelta(hours=72), self.clock)
        chore = Storms(
            ledger=self.ledger,
            publisher=lambda: self,
            topic_arn="notices",
            activity=activity,
            singly=SETTINGS.notices_an_hour,
            clock=self.clock,
        )
        return dict(chore.run(lambda: True))

    def topics(self) -> list[str]:
        """Where it was sent, Amazon Q's topic left out."""
        return [topic for topic, _, _ in self.sent if topic != "amazon-q"]


@pytest.fixture
def stream(dynamodb: "DynamoDBClient", clock: StoppedClock) -> Iterator[Stream]:
    """A quiet hour."""
    with quickened():
        yield Stream(dynamodb, clock)


def test_what_is_too_much_for_an_hour_is_folded(stream: Stream) -> None:
    """The last that goes out says so; the chat gets no more than the mail."""
    assert stream.refusals(6) == [Fate.SENT] * 3 + [Fate.FOLDED] * 3
    assert len(stream.sent) == 6
    said = ["the last one in this hour" in " ".join(message.get("email", "").split()) for *_, message in stream.sent]
    assert said == [False, False, False, False, True, False]


def test_the_next_hour_begins_anew(stream: Stream) -> None:
    """And a folded notice is not sent then either."""
    stream.refusals(4)
    stream.clock.time += timedelta(hours=1)
    row = replace(blocked_by_scp(), pk="arn:aws:iam::123456789012:role/app-12-3")
    assert stream.tell(row) is Fate.SENT_BEFORE
    assert stream.refusals(1) == [Fate.SENT]


def test_requests_and_alerts_are_always_sent(stream: Stream) -> None:
    """And do not use up what others may."""
    stream.refusals(5)
    urgent = [requested(), ALL["reminded"](), leaked_key(), requested(sk="profile#x", reason_code="probing")]
    assert [stream.tell(row) for row in urgent] == [Fate.SENT] * 4
    counted = stream.ledger.notices_counted("0", "9")
    assert counted == {"2026-11-20T12": {"advice": 5}}


@pytest.mark.parametrize("event", sorted(FOLDABLE))
def test_everything_else_may_be_folded(stream: Stream, event: str) -> None:
    """Each kind is counted under its own name, which IAM lets notify write."""
    for _ in range(3):
        stream.ledger.count_notice("advice" if event == "advice" else "granted", "2026-11-20T12")
    assert stream.tell(ALL[event]()) is Fate.FOLDED
    (kinds,) = stream.ledger.notices_counted("0", "9").values()
    assert kinds[event] >= 1


def test_no_advice_displaces_the_word_of_a_grant(stream: Stream) -> None:
    """A hundred refusals use up an hour of advice; what was granted to others is told one by one all the same."""
    stream.refusals(100)
    assert stream.tell(ALL["granted"]()) is Fate.SENT


def test_of_one_caller_only_some_advice_is_sent(stream: Stream, monkeypatch: pytest.MonkeyPatch) -> None:
    """And it uses up no more of the hour than that: others are advised as if it were not there."""
    monkeypatch.setattr(f"{__name__}.SETTINGS", replace(SETTINGS, notices_an_hour=30))
    rows = [replace(blocked_by_scp(), sk=f"advice#not_fixable#{number}#scp") for number in range(30)]
    assert [stream.tell(row) for row in rows] == [Fate.SENT] * 3 + [Fate.FOLDED] * 27
    assert stream.refusals(27) == [Fate.SENT] * 27
    stream.clock.time += timedelta(hours=1)
    stream.sent.clear()
    assert stream.upkeep() == {"sent": 1}
    told = json.loads(stream.sent[0][2]["default"])["folded"]
    assert told == {"total": 57, "told_here": 27, "by_event": {"advice": 30, "advice_folded": 27}}


def test_the_same_alert_of_many_strangers_is_folded(stream: Stream) -> None:
    """The first go out at once; of leaked keys every principal's does, however many principals there are."""
    known = {"diagnosis": DiagnosisKind.UNKNOWN, "reason_code": "identity_mismatch", "account": "444455556666"}
    strange = replace(leaked_key(), principal=None, **known)
    rows = [replace(strange, pk=f"account/444455556666/AWSAccount/AIDA{number}") for number in range(60)]
    assert [stream.tell(row) for row in rows] == [Fate.SENT] * 3 + [Fate.FOLDED] * 57
    keys = [f"arn:aws:iam::123456789012:role/leaked-{number}" for number in range(20)]
    assert [stream.tell(replace(leaked_key(), pk=pk, principal=pk)) for pk in keys] == [Fate.SENT] * 20
    stream.clock.time += timedelta(hours=1)
    stream.sent.clear()
    assert stream.upkeep() == {"sent": 1}
    content = json.loads(stream.sent[0][2]["default"])
    assert (content["severity"], content["folded"]["told_here"]) == ("alert", 57)


def test_a_death_after_counting_folds_or_sends_again(stream: Stream, monkeypatch: pytest.MonkeyPatch) -> None:
    """Never neither: what was counted and not marked is counted again."""
    row = blocked_by_scp()
    with monkeypatch.context() as patched:
        patched.setattr(stream.ledger, "notice_sent", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            stream.tell(row)
    assert stream.tell(row) is Fate.SENT_AGAIN


def test_the_hour_is_told_when_it_is_over(stream: Stream) -> None:
    """Once, with how many of what there were, whether or not there is a daily digest."""
    stream.refusals(5)
    assert stream.tell(ALL["granted"]()) is Fate.SENT
    assert stream.upkeep() == {}
    stream.clock.time += timedelta(hours=1)
    stream.sent.clear()
    assert stream.upkeep() == {"sent": 1}
    assert stream.upkeep() == {}
    ((topic, subject, message),) = stream.sent
    assert (topic, subject) == (
        "notices",
        "Bedrock access: 2 notices folded into one (1 granted, 0 refused, 0 waiting)",
    )
    told = json.loads(message["default"])
    assert told["folded"] == {"total": 6, "told_here": 2, "by_event": {"advice": 5, "granted": 1}}
    assert told["reported"] == {"not_fixable": 5}
    assert "There were 6 notices, more than MaxNoticesPerHour (3) lets out one by one: 2 of them" in " ".join(
        message["email"].split()
    )


def test_a_quiet_hour_is_not_told(stream: Stream) -> None:
    """There was nothing that people have not heard."""
    stream.refusals(3)
    stream.clock.time += timedelta(hours=1)
    assert stream.upkeep() == {}


def test_several_hours_are_told_together(stream: Stream) -> None:
    """Where upkeep was away; and one that was told already is left out."""
    stream.refusals(5)
    stream.clock.time += timedelta(hours=1)
    stream.refusals(7)
    stream.clock.time += timedelta(hours=1)
    stream.sent.clear()
    assert stream.upkeep() == {"sent": 1}
    folded = json.loads(stream.sent[0][2]["default"])["folded"]
    assert folded == {"total": 12, "told_here": 6, "by_event": {"advice": 12}}


def test_a_round_that_died_is_made_up_for(stream: Stream, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut off before it was marked, it is sent again and says so; after that, it is not."""
    stream.refusals(5)
    stream.clock.time += timedelta(hours=1)
    for method, outcome in (("digest_sent", {"sent": 1}), ("put_place", {"sent_before": 1})):
        with monkeypatch.context() as patched:
            patched.setattr(stream.ledger, method, lambda *_: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                stream.upkeep()
        if method == "put_place":
            assert stream.upkeep() == outcome
    assert "may be a duplicate" in stream.sent[-1][2]["email"]


def test_counters_go_by_themselves(stream: Stream) -> None:
    """They have an end, which DynamoDB keeps to, and no state that would wake anybody."""
    stream.refusals(1)
    item = stream.dynamodb.get_item(TableName="ledger", Key={"pk": {"S": "notices"}, "sk": {"S": "2026-11-20T12"}})[
        "Item"
    ]
    ends = cast("int", unmarshal(item["expires"]))
    assert timedelta(seconds=ends - NOON.timestamp()) == timedelta(days=3)
    assert "state" not in item
