"""One principal's flood of different denials: what it costs is bounded, and others are served and told as if alone.

Invented model ids, refusals by a service control policy, text that cannot be read, alerts, and requests without end go
through triage's use case with its own readers of IAM and Bedrock, and through notify.
"""

import json
import time
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, cast

import pytest

from bedrock_remediator.aws.bedrock import ProfileReader
from bedrock_remediator.aws.iam import IamReader
from bedrock_remediator.aws.ledger.items import grant_item, unmarshal
from bedrock_remediator.aws.ledger.read import GrantsWithCounters
from bedrock_remediator.aws.ledger.write import Ledger, UpkeepLedger
from bedrock_remediator.core.accounts import Enrolment
from bedrock_remediator.core.grant import Grant, State
from bedrock_remediator.core.usage import Share, beyond_key
from bedrock_remediator.flows.links.links import Links
from bedrock_remediator.flows.notification.notification import Fate, Notification
from bedrock_remediator.flows.subjects import Subjects
from bedrock_remediator.flows.upkeep.chores.reconsideration import Reconsideration
from bedrock_remediator.notices import email
from bedrock_remediator.settings import LinkSettings, Mode, NotifySettings, PolicySettings, Strategy
from sandbox.dynamodb import quickened
from tests.builders import records as make
from tests.builders.clocks import StoppedClock
from tests.builders.counted_aws import CountedBedrock, CountedIam
from tests.builders.decisions import FakeKeys
from tests.builders.grants import first_seen, pending_grant
from tests.builders.notices import notice_of
from tests.builders.triage import Service

if TYPE_CHECKING:
    from mypy_boto3_bedrock import BedrockClient
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_iam import IAMClient

    from bedrock_remediator.aws.messaging import Publisher

Count = Callable[[str, int], None]
Event = dict[str, Any]

BATCH: Final = 100
REAL: Final = [f"us.amazon.nova-{number}-v1:0" for number in range(40)]
MALLORY: Final = f"arn:aws:iam::{make.ACCOUNT}:role/mallory"
NOTIFY: Final = NotifySettings(
    ledger_table="ledger",
    strategy=Strategy.MANAGED,
    extra_actions=(),
    approvals_topic_arn="approvals",
    notices_topic_arn="notices",
    amazon_q_topic_arn=None,
    notices_an_hour=100,
    approval_url="https://a1b2c3.execute-api.us-east-1.amazonaws.com",
    links=LinkSettings(keys_secret_arn="arn:keys", lapse_hours=72),  # noqa: S106 - the name of a secret
)


class Flooded:
    """Triage and notify on one ledger; `sent` is what was published, `fates` what became of notices by principal."""

    def __init__(self, dynamodb: "DynamoDBClient", ledger: Ledger, clock: StoppedClock) -> None:
        self.dynamodb = dynamodb
        self.clock = clock
        self.iam = CountedIam()
        self.bedrock = CountedBedrock(REAL)
        self.service = Service(ledger, clock)
        self.service.iam = IamReader(lambda _: cast("IAMClient", self.iam), clock)  # type: ignore[assignment]
        self.service.profiles = ProfileReader(  # type: ignore[assignment]
            lambda *_: cast("BedrockClient", self.bedrock), clock
        )
        self.triage = self.service.triage()
        self.sent: list[tuple[str, str, str]] = []
        self.fates: dict[str, Counter[Fate]] = {}
        self.counts: Counter[str] = Counter()

    def publish(self, topic: str, subject: str, _: Any, attributes: Mapping[str, str]) -> str:
        """Keep whom it is about."""
        self.sent.append((topic, subject, attributes["principal"]))
        return "id"

    def handle(self, *events: Event) -> None:
        """Triage them, in batches as SQS brings them, and tell of what was opened."""
        for start in range(0, len(events), BATCH):
            bodies = {str(at): json.dumps(each) for at, each in enumerate(events[start : start + BATCH])}
            summary = self.triage.handle(bodies)
            assert not summary.failed
            self.counts.update(summary.counts)
            self.tell(*summary.opened)

    def tell(self, *rows: Grant) -> None:
        """The stream says so, in batches of 25."""
        links = Links(FakeKeys(), NOTIFY.approval_url, timedelta(hours=72), self.clock)
        publisher, ledger = cast("Publisher", self), self.service.ledger
        notify = Notification(ledger=ledger, publisher=publisher, links=links, settings=NOTIFY, clock=self.clock)
        for start in range(0, len(rows), 25):
            notify.begin()
            for row in rows[start : start + 25]:
                fate = notify.tell({"dynamodb": {"NewImage": grant_item(row)}})
                self.fates.setdefault(row.pk, Counter())[fate] += 1

    def items(self, pk: str) -> list[dict[str, Any]]:
        """All that the ledger holds under a principal's key."""
        pages = self.dynamodb.get_paginator("query").paginate(
            TableName="ledger", KeyConditionExpression="pk = :pk", ExpressionAttributeValues={":pk": {"S": pk}}
        )
        return [item for page in pages for item in page["Items"]]

    def row(self, sk: str, pk: str = MALLORY) -> Grant:
        """A row."""
        row = self.service.ledger.grant(pk, sk)
        assert row is not None
        return row

    def told(self, pk: str) -> list[str]:
        """The subjects of what was sent about a principal."""
        return [subject for _, subject, principal in self.sent if principal == pk]


@pytest.fixture
def flooded(dynamodb: "DynamoDBClient", ledger: Ledger, clock: StoppedClock) -> Iterator[Flooded]:
    """Nothing has happened."""
    with quickened():
        yield Flooded(dynamodb, ledger, clock)


@pytest.fixture
def calls(dynamodb: "DynamoDBClient") -> Counter[str]:
    """Counts the ledger's calls by operation."""
    counted: Counter[str] = Counter()
    dynamodb.meta.events.register("before-call.dynamodb.*", lambda model, **_: counted.update([model.name]))
    return counted


def denial(name: str, number: int, called: str, why: str | None = None, **record: Any) -> Event:
    """A role's denied call of a profile."""
    session = f"arn:aws:sts::{make.ACCOUNT}:assumed-role/{name}/s"
    issuer = {"type": "Role", "arn": f"arn:aws:iam::{make.ACCOUNT}:role/{name}", "accountId": make.ACCOUNT}
    arn = f"arn:aws:bedrock:{make.REGION}:{make.ACCOUNT}:inference-profile/{called}"
    fields = {
        "userIdentity": make.role_identity(
            arn=session, principalId=f"AROA{name.upper()}:s", sessionContext={"sessionIssuer": issuer}
        ),
        "eventID": f"{name}-{number}",
        "eventTime": "2026-11-20T11:55:00Z",
        "errorMessage": make.message(session, arn, **({"why": why} if why else {})),
        "requestParameters": {"modelId": called},
    }
    return make.event(make.record(**fields | record))


SCP: Final = "with an explicit deny in a service control policy"


def junk(number: int) -> Event:
    """A model id that nobody has heard of."""
    return denial("mallory", number, f"us.acme.invented-{number}-v1:0")


KINDS: Final[dict[str, Callable[[int], Event]]] = {
    "invented profiles": junk,
    "invented models": lambda number: denial(
        "mallory",
        number,
        "x",
        errorMessage=make.message(
            f"arn:aws:sts::{make.ACCOUNT}:assumed-role/mallory/s", make.model(model_id=f"acme.invented-{number}")
        ),
        requestParameters=None,
    ),
    "refused by a service control policy": lambda number: denial("mallory", number, f"us.acme.x-{number}-v1:0", SCP),
    "text that cannot be read": lambda number: denial("mallory", number, "x", errorMessage=f"no such words {number}"),
    "one model by invented ids": lambda number: denial(
        "mallory",
        number,
        "x",
        errorMessage=make.message(f"arn:aws:sts::{make.ACCOUNT}:assumed-role/mallory/s", make.model()),
        requestParameters={"modelId": f"us.acme.invented-{number}"},
    ),
    "roles of which only the session is told": lambda number: denial(
        "mallory",
        number,
        f"us.acme.invented-{number}",
        userIdentity={
            "type": "AssumedRole",
            "principalId": "AROAMALLORY:s",
            "arn": f"arn:aws:sts::{make.ACCOUNT}:assumed-role/mallory/s",
            "accountId": make.ACCOUNT,
        },
    ),
}


def honest(number: int) -> Event:
    """A denial that a person is to decide about."""
    return denial(f"app-{number}", 0, REAL[number % len(REAL)])


def mixed(many: list[Event], few: list[Event]) -> list[Event]:
    """The few spread among the many."""
    step = max(len(many) // max(len(few), 1), 1)
    parts = [[*many[at * step : (at + 1) * step], each] for at, each in enumerate(few)]
    return [event for part in parts for event in part] + many[len(few) * step :]


@pytest.mark.parametrize(("flood", "others"), [(600, 20), pytest.param(10_000, 100, marks=pytest.mark.long)])
def test_a_flood_of_one_costs_others_nothing(  # noqa: PLR0917 - fixtures are arguments
    flood: int, others: int, flooded: Flooded, calls: Counter[str], clock: StoppedClock, count: Count
) -> None:
    """Reads, writes, notices, time and memory do not grow with it, and who is honest is served as if it were alone."""
    alone = Flooded(flooded.dynamodb, flooded.service.ledger, clock)
    alone.handle(*map(honest, range(others)))
    pks = [f"arn:aws:iam::{make.ACCOUNT}:role/app-{number}" for number in range(others)]
    expected = {pk: alone.items(pk) for pk in pks}
    for pk in pks:
        # With the markers of what was told of it, or nothing would be told again.
        for item in [*expected[pk], *flooded.items(f"notice#{pk}")]:
            flooded.dynamodb.delete_item(TableName="ledger", Key={"pk": item["pk"], "sk": item["sk"]})
    calls.clear()
    alone_sent = sorted(alone.sent)

    tracemalloc.start()
    began = time.process_time()
    flooded.handle(*mixed([junk(number) for number in range(flood)], list(map(honest, range(others)))))
    seconds, (_, peak) = time.process_time() - began, tracemalloc.get_traced_memory()
    tracemalloc.stop()

    batches = -(-(flood + others) // BATCH)
    assert {pk: flooded.items(pk) for pk in pks} == expected
    assert sorted(each for each in flooded.sent if each[2] != MALLORY) == alone_sent
    assert flooded.iam.of["mallory"] <= 5
    assert flooded.iam.asked.total() - flooded.iam.of["mallory"] == alone.iam.asked.total()
    assert flooded.bedrock.asked["ListInferenceProfiles"] <= 2
    assert flooded.bedrock.asked["GetInferenceProfile"] <= 8 + len(REAL)
    assert len(flooded.items(MALLORY)) <= 32
    assert len(flooded.told(MALLORY)) <= 9
    assert calls["TransactWriteItems"] == 8 + 1 + others
    assert calls["BatchGetItem"] <= 5 * batches
    assert flooded.counts["beyond_bounds"] == flood - 8
    counter = flooded.service.ledger.denials(MALLORY, beyond_key(Share.ADVICE))
    assert counter.count == flood - 8
    reads = sum(calls[name] for name in ("BatchGetItem", "GetItem", "Query"))
    for name, number in (
        ("calls of IAM for it", flooded.iam.of["mallory"]),
        ("calls of Bedrock for all", flooded.bedrock.asked.total()),
        ("reads of the ledger for all", reads),
        ("writes of the ledger for all", calls.total() - reads),
        ("items of the ledger for it", len(flooded.items(MALLORY))),
        ("notices about it", len(flooded.told(MALLORY))),
        ("CPU milliseconds", int(seconds * 1000)),
        ("kilobytes at the most", peak // 1024),
    ):
        count(f"one principal's flood of {flood:,} beside {others} of others: {name}", number)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_of_junk_is_bounded(flooded: Flooded, kind: str) -> None:
    """Whatever the caller varies: 120 ids in one load, and as many in the next, are some rows and a few reads."""
    flooded.handle(*(KINDS[kind](number) for number in range(120)))
    flooded.clock.time += timedelta(minutes=10)
    flooded.handle(*(KINDS[kind](number) for number in range(120, 240)))
    assert len(flooded.items(MALLORY)) <= 32
    assert len(flooded.told(MALLORY)) <= 9
    assert flooded.iam.asked.total() <= 12
    assert flooded.bedrock.asked.total() <= 24


def test_it_is_told_once_how_many_there_are(flooded: Flooded) -> None:
    """The row beyond the bound says so, in one message, and counts what comes in later loads without another."""
    flooded.handle(*(junk(number) for number in range(120)))
    row = flooded.row(beyond_key(Share.ADVICE))
    assert (row.state, row.reason_code) == (State.REPORTED, "too_many_targets")
    assert "100 different things within 60 minutes" in row.reason
    flooded.handle(*(junk(number) for number in range(200, 300)))
    assert len(flooded.told(MALLORY)) == 9
    assert flooded.service.ledger.denials(MALLORY, row.sk).count == 112 + 100


def test_junk_vanishes(flooded: Flooded) -> None:
    """All that it leaves has an end, which DynamoDB keeps to; what is granted or asked about has none."""
    flooded.handle(*(junk(number) for number in range(120)), honest(1))
    latest = (flooded.clock.now() + timedelta(days=60)).timestamp()
    kept = {item["sk"]["S"] for item in flooded.items(MALLORY) if "expires" not in item}
    assert kept == {"habits"}
    assert all(unmarshal(item["expires"]) < latest for item in flooded.items(MALLORY) if "expires" in item)
    rows = [item for item in flooded.items(f"arn:aws:iam::{make.ACCOUNT}:role/app-1") if "state" in item]
    assert rows
    assert not any("expires" in row for row in rows)


def test_after_the_window_it_is_looked_into_again(flooded: Flooded) -> None:
    """A mistake of an hour ago does not cost its owner the advice of now."""
    flooded.handle(*(junk(number) for number in range(30)))
    flooded.clock.time += timedelta(minutes=61)
    flooded.handle(junk(30))
    assert len(flooded.told(MALLORY)) == 10


def test_what_exists_is_looked_into_in_the_midst_of_it(flooded: Flooded) -> None:
    """Who calls things that there are not, and then one that there is, is asked about."""
    flooded.handle(*(junk(number) for number in range(150)), denial("mallory", 999, REAL[0]))
    assert flooded.row(f"profile#arn:aws:bedrock:{make.REGION}:{make.ACCOUNT}:inference-profile/{REAL[0]}").state is (
        State.PENDING
    )


@pytest.mark.parametrize("begins", [0, 150])
def test_a_leaked_key_is_an_alert_in_the_midst_of_it(flooded: Flooded, begins: int) -> None:
    """AWS's quarantine is seen though the key calls nothing that exists: before the bound, and minutes after it."""
    flooded.handle(*(junk(number) for number in range(begins)))
    flooded.iam.quarantined.add("mallory")
    flooded.clock.time += timedelta(minutes=5)
    flooded.handle(*(junk(number) for number in range(1000, 1150)))
    assert sum(subject.startswith("ALERT: LEAKED AWS KEY") for subject in flooded.told(MALLORY)) in range(1, 10)
    assert flooded.iam.asked.total() < 30


def test_no_flood_of_alerts_of_one_kind_holds_up_another(flooded: Flooded) -> None:
    """A principal about whom events lie without end is quarantined: people hear of it at once."""
    lies = [make.message(f"arn:aws:sts::1:x/{number}") for number in range(50)]
    flooded.handle(*(denial("mallory", number, "x", errorMessage=text) for number, text in enumerate(lies)))
    before = len(flooded.told(MALLORY))
    assert before == 9
    why = "with an explicit deny in an identity-based policy: arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantineV3"
    flooded.handle(denial("mallory", 999, REAL[0], why))
    (told,) = flooded.told(MALLORY)[before:]
    assert told.startswith("ALERT: LEAKED AWS KEY")


class TestRequests:
    """What waits for a person."""

    def test_are_bounded(self, flooded: Flooded) -> None:
        """Of forty profiles five are asked about, and one message tells of the others; the simulator is not asked."""
        flooded.handle(*(denial("mallory", number, name) for number, name in enumerate(REAL)))
        assert flooded.counts == {"pending": 5, "beyond_bounds": 35}
        row = flooded.row(beyond_key(Share.REQUESTS))
        assert (row.state, row.reason_code, row.resources) == (State.PENDING, "too_many_requests", ())
        assert len(row.candidates) == 20
        assert len(flooded.told(MALLORY)) == 6
        # Two regions are two questions; of what is beyond the bound none is asked.
        assert flooded.iam.asked["SimulatePrincipalPolicy"] <= 5 * 2
        assert flooded.iam.asked["GetRole"] == 1

    def test_are_named_as_they_come(self, flooded: Flooded) -> None:
        """The row that counts them says which, and nobody is told again."""
        flooded.handle(*(denial("mallory", number, name) for number, name in enumerate(REAL[:6])))
        sent = len(flooded.sent)
        flooded.handle(denial("mallory", 7, REAL[7]))
        row = flooded.row(beyond_key(Share.REQUESTS))
        assert row.candidates == (REAL[5], REAL[7])
        assert f"2 ({REAL[5]}, {REAL[7]})" in row.reason
        assert len(flooded.sent) == sent

    def test_are_opened_when_there_is_room(self, flooded: Flooded) -> None:
        """One that was counted opens a request of its own, once another has been decided."""
        flooded.handle(*(denial("mallory", number, name) for number, name in enumerate(REAL[:7])))
        sk = f"profile#arn:aws:bedrock:{make.REGION}:{make.ACCOUNT}:inference-profile/{REAL[0]}"
        row = flooded.row(sk)
        flooded.service.ledger.move(row, row.moved(State.REJECTED, at=flooded.clock.now(), by="bob", reason="no"))
        flooded.handle(denial("mallory", 100, REAL[6]), denial("mallory", 101, REAL[8]))
        assert flooded.row(sk.replace(REAL[0], REAL[6])).state is State.PENDING
        assert flooded.service.ledger.grant(MALLORY, sk.replace(REAL[0], REAL[8])) is None

    def test_of_others_are_not_held_up(self, flooded: Flooded) -> None:
        """Each principal has its own bound."""
        flooded.handle(*(denial("mallory", number, name) for number, name in enumerate(REAL)), honest(1))
        assert len(flooded.told(f"arn:aws:iam::{make.ACCOUNT}:role/app-1")) == 1

    def test_of_two_batches_at_once_keep_to_the_bound(self, flooded: Flooded, monkeypatch: pytest.MonkeyPatch) -> None:
        """Each write is held to what was read, and whoever was overtaken looks again."""
        first, second = flooded.service.triage(), flooded.service.triage()
        bodies = [json.dumps(denial("mallory", number, name)) for number, name in enumerate(REAL[:8])]
        settle = first._write  # in between, somebody else handles a batch

        def overtaken(*arguments: Any) -> Grant:
            monkeypatch.undo()
            assert not second.handle({str(at): body for at, body in enumerate(bodies[4:])}).failed
            return settle(*arguments)

        monkeypatch.setattr(first, "_write", overtaken)
        assert not first.handle({str(at): body for at, body in enumerate(bodies[:4])}).failed
        waiting = [row for row in flooded.service.ledger.grants(MALLORY) if row.state is State.PENDING]
        assert len(waiting) == 6


class TestNotices:
    """What one principal's notices cost."""

    def test_cost_a_query_each_beside_hundreds_of_rows(self, flooded: Flooded, calls: Counter[str]) -> None:
        """What its rows have in common is read once a batch; and each notice is of the row as it is now."""
        arns = [f"arn:aws:bedrock:{make.REGION}:{make.ACCOUNT}:inference-profile/{number:03}" for number in range(440)]
        rows = [pending_grant(pk=MALLORY, sk=f"profile#{arn}", principal=MALLORY, profile=arn) for arn in arns]
        for row in rows:
            flooded.dynamodb.put_item(TableName="ledger", Item=grant_item(row))
        calls.clear()
        flooded.tell(*rows[:200])
        assert flooded.fates[MALLORY] == {Fate.SENT: 200}
        assert calls["Query"] <= 200 + 8 * 5

    def test_show_what_stands_beside_hundreds_of_rows(self, flooded: Flooded) -> None:
        """The policy before and after has the grant that stands, wherever it is among the rows."""
        for number in range(320):
            row = pending_grant(pk=MALLORY, sk=f"profile#{number:03}", state=State.REJECTED, version=2)
            flooded.dynamodb.put_item(TableName="ledger", Item=grant_item(row))
        stands = pending_grant(pk=MALLORY, sk="profile#stands", state=State.ACTIVE, version=3)
        asked = pending_grant(pk=MALLORY, sk="profile#zzz")
        for row in (stands, asked):
            flooded.dynamodb.put_item(TableName="ledger", Item=grant_item(row))
        flooded.service.ledger.link(first_seen(asked, fingerprint="f", count=3))
        known = GrantsWithCounters(flooded.service.ledger).of(*asked.key)
        assert known.grant == asked
        assert stands in known.grants
        assert known.denials.count == 3

    def test_are_of_the_row_as_it_is_now(self, flooded: Flooded) -> None:
        """What moved on since the batch's first look is told by its own image, and not by this one."""
        first, second = (pending_grant(pk=MALLORY, sk=f"profile#{number}") for number in range(2))
        for row in (first, second):
            flooded.dynamodb.put_item(TableName="ledger", Item=grant_item(row))
        rows_with_counters = GrantsWithCounters(flooded.service.ledger)
        assert rows_with_counters.of(*first.key).grant == first
        moved = second.moved(State.REJECTED, at=flooded.clock.now(), by="bob", reason="no")
        flooded.service.ledger.move(second, moved)
        assert rows_with_counters.of(*second.key).grant == moved
        assert first in rows_with_counters.of(*second.key).grants

    def test_of_requests_that_are_too_many_say_what_to_do(self, flooded: Flooded) -> None:
        """Which they are, and that to reject this one rejects all of them."""
        flooded.handle(*(denial("mallory", number, name) for number, name in enumerate(REAL[:7])))
        row = flooded.row(beyond_key(Share.REQUESTS))
        assert flooded.told(MALLORY)[-1].startswith("Bedrock access requested many times: role mallory")
        assert flooded.sent[-1][0] == "approvals"
        mail = " ".join(email.text(notice_of(row)).split())
        assert f"{REAL[5]}, {REAL[6]}" in mail
        assert "To reject this rejects every request of the principal that waits" in mail

    def test_upkeep_leaves_the_row_that_counts_requests(self, flooded: Flooded) -> None:
        """It names nothing that a rule could be about."""
        flooded.handle(*(denial("mallory", number, name) for number, name in enumerate(REAL[:7])))
        ledger = UpkeepLedger(flooded.dynamodb, "ledger", flooded.clock)
        settings = PolicySettings(
            ledger_table="ledger",
            mode=Mode.AUTO,
            paused=False,
            strategy=Strategy.MANAGED,
            allowlist_path="/allowlist",
            extra_actions=(),
            grantable_principals=("arn:aws:iam::*:role/*",),
            default_grant_days=0,
        )
        flooded.service.rules(
            {"name": "any", "effect": "auto", "principals": ["arn:aws:iam::*:role/**"], "profiles": ["*"]}
        )
        subjects = Subjects(flooded.service.profiles, Enrolment(make.ACCOUNT))
        chore = Reconsideration(ledger, flooded.service, flooded.service.iam, subjects, settings, flooded.clock)  # type: ignore[arg-type]
        assert "failed" not in chore.run(lambda: True)
        assert flooded.row(beyond_key(Share.REQUESTS)).state is State.PENDING
