"""Counters, notice markers, and reading the ledger: against DynamoDB as moto plays it."""

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from bedrock_remediator.aws.ledger import read
from bedrock_remediator.aws.ledger.items import grant_item, seen_item
from bedrock_remediator.aws.ledger.read import Known
from bedrock_remediator.aws.ledger.write import ConflictError, Ledger, Sightings
from bedrock_remediator.core.grant import Grant, State
from bedrock_remediator.core.suspicion import Habits
from bedrock_remediator.core.usage import Usage
from tests.builders.grants import NOON, ROLE, first_seen, pending_grant, seen_again

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

TABLE = "ledger"
LATER = NOON + timedelta(hours=1)


def profile_grant(number: int, **changes: Any) -> Grant:
    """The request of one of many profiles."""
    return pending_grant(sk=f"profile#{number}", **changes)


class TestCounting:
    """Repeats are counted, each once."""

    def test_goes_on_from_what_was_read(self, ledger: Ledger) -> None:
        """A repeat is one more in the counter."""
        grant = pending_grant()
        before = first_seen(grant)
        ledger.open(grant, before)
        ledger.count(before, seen_again(before, "e2"))
        assert ledger.seen([before.key])[before.key].count == 2

    def test_loses_no_denial_to_another_batch(self, ledger: Ledger) -> None:
        """Of two batches that count from the same number the second is told, and reads again."""
        grant = pending_grant()
        before = first_seen(grant)
        ledger.open(grant, before)
        ledger.count(before, seen_again(before, "e2"))
        with pytest.raises(ConflictError):
            ledger.count(before, seen_again(before, "e3"))

    def test_sent_again_counts_once(self, ledger: Ledger) -> None:
        """A count whose answer was lost is neither a conflict nor counted twice."""
        grant = pending_grant()
        before = first_seen(grant)
        ledger.open(grant, before)
        for _ in range(2):
            ledger.count(before, seen_again(before, "e2"))
        assert ledger.seen([before.key])[before.key].count == 2

    def test_moves_by_one_revision(self, ledger: Ledger) -> None:
        """A counter that would skip a revision is a mistake of the writer."""
        before = first_seen(pending_grant())
        with pytest.raises(ValueError, match="one revision"):
            ledger.count(before, before)

    def test_of_another_action_belongs_to_the_same_row(self, ledger: Ledger) -> None:
        """A denial of another action on the same profile is linked to the row, and counted with it."""
        grant = pending_grant()
        ledger.open(grant, first_seen(grant))
        ledger.link(first_seen(grant, "f2", last_at=LATER, count=3))
        ledger.link(first_seen(profile_grant(2), "f3"))
        assert ledger.denials(*grant.key) == Sightings(count=4, first_at=NOON, last_at=LATER)

    def test_is_linked_once(self, ledger: Ledger) -> None:
        """A link that is there already is a conflict, unless it is the same one sent again."""
        grant = pending_grant()
        ledger.link(first_seen(grant))
        ledger.link(first_seen(grant))
        with pytest.raises(ConflictError) as conflict:
            ledger.link(first_seen(grant, event_ids=("e2",)))
        assert conflict.value.key == (ROLE, "seen#f1")

    def test_is_linked_from_the_beginning(self, ledger: Ledger) -> None:
        """A link is a first counter."""
        with pytest.raises(ValueError, match="revision 1"):
            ledger.link(first_seen(pending_grant(), revision=2))

    def test_of_a_row_never_denied_is_nothing(self, ledger: Ledger) -> None:
        """A row without counters has no sightings, and no times."""
        assert ledger.denials(ROLE, "profile#1") == Sightings(count=0, first_at=None, last_at=None)


class TestReading:
    """What was written is found, all of it and nothing else."""

    def test_finds_nothing_where_nothing_is(self, ledger: Ledger) -> None:
        """A row that is not there is None, and left out of a list."""
        assert ledger.grant(ROLE, "profile#1") is None
        assert ledger.rows([(ROLE, "profile#1")]) == {}
        assert ledger.seen([]) == {}

    def test_takes_counters_and_rows_together(self, ledger: Ledger) -> None:
        """One call for both; a counter that is not there is left out, and of a row that is not there it says so."""
        grant = pending_grant()
        seen = first_seen(grant)
        ledger.open(grant, seen)
        missing = (ROLE, "profile#none")
        known = ledger.known([seen.key, (ROLE, "none")], [grant.key, missing])
        assert known == Known(
            {seen.key: seen}, {grant.key: grant, missing: None}, {ROLE: Habits(pk=ROLE)}, {ROLE: Usage(pk=ROLE)}
        )

    def test_leaves_out_what_it_cannot_read(self, ledger: Ledger, dynamodb: "DynamoDBClient") -> None:
        """Of all that is read at once, an item that is no row, counter or habits is in nobody else's way."""
        grant = pending_grant()
        seen = first_seen(grant)
        ledger.open(grant, seen)
        broken = ["profile#broken", "seen#broken", "habits", "bounds"]
        for sk in broken:
            item: Any = {
                "pk": {"S": ROLE},
                "sk": {"S": sk},
                "count": {"S": "many"},
                "granted": {"S": "many"},
                "requests": {"S": "many"},
            }
            dynamodb.put_item(TableName=TABLE, Item=item)
        known = ledger.known([seen.key, (ROLE, "broken")], [grant.key, (ROLE, "profile#broken")])
        assert known == Known({seen.key: seen}, {grant.key: grant}, {}, {})

    def test_takes_a_row_with_all_that_is_told_of_it(self, ledger: Ledger) -> None:
        """Its principal's other rows and its own counters come with it; another row's counters do not."""
        grant, other = pending_grant(), profile_grant(2)
        ledger.open(grant, first_seen(grant, count=2))
        ledger.open(other, first_seen(other, "f2"))
        known = ledger.with_counters(*grant.key)
        assert known.grant == grant
        assert {row.key for row in known.grants} == {grant.key, other.key}
        assert known.denials == Sightings(count=2, first_at=NOON, last_at=NOON)
        assert ledger.with_counters(ROLE, "profile#none").grant is None

    def test_takes_the_same_key_twice(self, ledger: Ledger) -> None:
        """A key that is asked for twice is read once; DynamoDB refuses it twice in one call."""
        grant = pending_grant()
        ledger.open(grant, first_seen(grant))
        assert ledger.rows([grant.key, grant.key]) == {grant.key: grant}

    def test_reads_more_than_one_call_takes(self, ledger: Ledger) -> None:
        """More than a hundred counters are read all the same."""
        for number in range(130):
            ledger.link(first_seen(pending_grant(), f"f{number}"))
        assert len(ledger.seen((ROLE, f"f{number}") for number in range(130))) == 130

    def test_gives_every_request_of_a_principal_and_nothing_else(self, ledger: Ledger) -> None:
        """Advice, counters, markers, archived rows and other principals' rows are none of the principal's."""
        reported = pending_grant(sk="advice#unknown#-", state=State.REPORTED)
        model = pending_grant(sk="model#arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-2-lite-v1:0")
        profile = pending_grant()
        other = pending_grant(pk=f"{ROLE}-2")
        for number, grant in enumerate((reported, model, profile, other)):
            ledger.open(grant, first_seen(grant, f"f{number}"))
        ledger.claim_notice(profile)
        again = msgspec.structs.replace(reported, version=2)
        ledger.open(again, first_seen(again, "f9"), replaces=reported)
        assert sorted(ledger.grants(ROLE), key=lambda grant: grant.sk) == [model, profile]
        known = ledger.with_counters(ROLE, profile.sk)
        assert sorted(known.grants, key=lambda grant: grant.sk) == [again, model, profile]

    def test_reads_every_page(self, ledger: Ledger) -> None:
        """A principal with more than a megabyte of rows is read to the end: none of its grants may be forgotten."""
        long = "x" * 200_000
        for number in range(8):
            grant = profile_grant(number, reason=long)
            ledger.open(grant, first_seen(grant, f"f{number}"))
        assert len(ledger.grants(ROLE)) == 8


class TestAPrincipalOfThousands:
    """Whoever has its key can call models that there are not, a thousand times: each call leaves a row and its like."""

    MANY = 70
    PAGE = 30

    @pytest.fixture
    def asked(self, ledger: Ledger, dynamodb: "DynamoDBClient", monkeypatch: pytest.MonkeyPatch) -> "Asked":
        """The principal with three grants among it all, and what is asked of DynamoDB from then on."""
        monkeypatch.setattr(read, "PAGE", self.PAGE)
        for number in range(3):
            grant = profile_grant(number)
            known = Habits(pk=ROLE, revision=number + 1)
            ledger.open(grant, first_seen(grant, f"own-{number}"), habits=known)
            ledger.claim_notice(grant)
        advice = grant_item(pending_grant(state=State.REPORTED))
        counter = seen_item(first_seen(pending_grant(sk="advice#00")))
        _put(
            dynamodb,
            [
                item | {"sk": {"S": f"{prefix}{number:02}"}}
                for number in range(self.MANY)
                for prefix, item in (
                    ("advice#", advice),
                    ("archive#advice#", {"pk": advice["pk"]}),
                    ("notice#advice#", {"pk": advice["pk"]}),
                    ("seen#", counter),
                )
            ],
        )
        return Asked(ledger, monkeypatch)

    def test_its_advice_is_not_read_with_its_grants(self, ledger: Ledger, asked: "Asked") -> None:
        """Nor more than a page of the markers that lie between: two queries, however many there are."""
        background = ledger.background(ROLE)
        assert [grant.key for grant in background.grants] == [profile_grant(number).key for number in range(3)]
        assert background.habits.revision == 3
        assert asked.times == 2
        assert asked.read <= self.PAGE + 10
        assert not [sk for sk in asked.found if sk.startswith("advice#")]

    def test_a_row_of_it_is_shown_all_the_same(self, ledger: Ledger, asked: "Asked") -> None:
        """With all its grants, some of its advice, and its counters."""
        known = ledger.with_counters(ROLE, "advice#65")
        assert known.grant
        assert {profile_grant(number).key for number in range(3)} <= {row.key for row in known.grants}
        assert len(known.grants) == self.PAGE + 1 + 3
        assert known.denials.count == 0
        assert asked.times <= 6
        assert ledger.with_counters(ROLE, profile_grant(1).sk).denials.count == 1
        assert ledger.with_counters(ROLE, "advice#00").denials.count == self.MANY

    def test_of_too_many_counters_the_first_ones_count(self, ledger: Ledger, asked: "Asked") -> None:
        """So that each notice of a storm does not read all of the storm."""
        asked.most = 10
        assert ledger.denials(ROLE, "advice#00").count == 30


class Asked:
    """The queries that a ledger makes: how many, of how many items each at the `most`, and what they found."""

    def __init__(self, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
        self.times = self.read = self.most = 0
        self.found: list[str] = []
        self._query = ledger._client.query
        monkeypatch.setattr(ledger._client, "query", self.query)

    def query(self, **query: Any) -> Any:
        """Pass it on."""
        answer = self._query(**query | ({"Limit": self.most} if self.most else {}))
        self.times += 1
        self.read += answer["ScannedCount"]
        self.found += [item["sk"]["S"] for item in answer["Items"]]
        return answer


def _put(dynamodb: "DynamoDBClient", items: list[Any]) -> None:
    for at in range(0, len(items), 25):
        requests: list[Any] = [{"PutRequest": {"Item": each}} for each in items[at : at + 25]]
        dynamodb.batch_write_item(RequestItems={TABLE: requests})


class TestNotices:
    """A notice is sent once, as far as anybody can know."""

    def test_are_claimed_once(self, ledger: Ledger) -> None:
        """The first who asks sends; who asks before that is certain may send a duplicate; later nobody sends."""
        grant = pending_grant()
        assert ledger.claim_notice(grant) == "new"
        assert ledger.claim_notice(grant) == "maybe_sent"
        ledger.notice_sent(grant)
        assert ledger.claim_notice(grant) == "sent"

    def test_are_of_one_state_at_one_version(self, ledger: Ledger) -> None:
        """A row that comes back to a state has something new to say."""
        grant = pending_grant()
        ledger.claim_notice(grant)
        assert ledger.claim_notice(msgspec.structs.replace(grant, version=3)) == "new"
        assert ledger.claim_notice(msgspec.structs.replace(grant, state=State.LAPSED)) == "new"

    def test_wake_nobody(self, ledger: Ledger, dynamodb: "DynamoDBClient") -> None:
        """A marker has no state, so that it passes no filter of the table's stream."""
        ledger.claim_notice(pending_grant())
        assert all("state" not in item for item in dynamodb.scan(TableName="ledger")["Items"])
