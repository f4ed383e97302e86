"""Requests that wait while mode, parameters or rules change: upkeep decides about them again."""

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import boto3
import pytest
from msgspec.structs import replace

from bedrock_remediator.aws.errors import RetryableError, RoleMissingError
from bedrock_remediator.aws.iam import IamReader
from bedrock_remediator.aws.ledger.items import grant_item
from bedrock_remediator.aws.ledger.write import Cap, CapReachedError, ConflictError, UpkeepLedger
from bedrock_remediator.core.accounts import Enrolment
from bedrock_remediator.core.allowlist import Allowlist, parse
from bedrock_remediator.core.arn import Principal
from bedrock_remediator.core.grant import Cause, Event, Grant, Outcome, State
from bedrock_remediator.flows.configuration import basis
from bedrock_remediator.flows.subjects import Subjects
from bedrock_remediator.flows.upkeep.chores.contract import Tally
from bedrock_remediator.flows.upkeep.chores.reconsideration import Reconsideration
from bedrock_remediator.settings import Mode
from tests.builders.clocks import StoppedClock
from tests.builders.grants import ACCOUNT, NOON, PROFILE, ROLE, pending_grant
from tests.builders.remediation import SETTINGS, FakeAllowlist, FakeProfiles

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

HOUR: Final = timedelta(hours=1)
OTHER: Final = PROFILE.replace("nova-2-lite", "nova-pro")
CAUSE: Final = Cause(code="missing_grant", reason="4 ARNs are missing.")
NOBODY: Final = "version: 1\nrules: []"


def rule(effect: str, more: str = "") -> str:
    """An allowlist of one rule about every principal and the profile."""
    return (
        f"version: 1\nrules: [{{name: nova, effect: {effect}, principals: ['arn:aws:iam::*:role/**'], "
        f"profiles: ['us.amazon.nova-*']{more}}}]"
    )


class FakeTags:
    """Principals and their tags."""

    def __init__(self) -> None:
        self.known: dict[str, dict[str, str]] = {}
        self.trouble: dict[str, Exception] = {}
        self.asked = 0

    def tags(self, principal: Principal) -> dict[str, str]:
        """By its ARN."""
        self.asked += 1
        if principal.account in self.trouble:
            raise self.trouble[principal.account]
        return self.known.get(principal.arn, {})


class Waiting:
    """A ledger with requests in it, and a configuration to change."""

    def __init__(self, dynamodb: "DynamoDBClient", clock: StoppedClock) -> None:
        self.ledger = UpkeepLedger(dynamodb, "ledger", clock)
        self.clock = clock
        self.allowlist = FakeAllowlist(NOBODY)
        self.settings = SETTINGS
        self.tags = FakeTags()
        self.profiles = FakeProfiles()
        self._dynamodb = dynamodb

    @property
    def today(self) -> str:
        """The digest of the configuration."""
        return basis(self.settings, self.allowlist.read())

    def ask(self, **changes: Any) -> Grant:
        """A request that was asked under the configuration as it is."""
        first = Event(at=NOON, state=State.PENDING, by="triage", reason="No rule is about it.")
        made = {"history": (first,), "cause": CAUSE, "basis": self.today, "reason": f"{CAUSE.reason} No rule."}
        row = pending_grant(**made | changes)
        self._dynamodb.put_item(TableName="ledger", Item=grant_item(row))
        return row

    def allow(self, text: str) -> None:
        """Another allowlist."""
        self.allowlist.allowlist = parse({"main": text})

    def run(self, most: int = 200, has_time: Callable[[], bool] = lambda: True) -> Tally:
        """Decide again, an hour after noon."""
        self.clock.time = NOON + HOUR
        subjects = Subjects(self.profiles, Enrolment(ACCOUNT))
        chore = Reconsideration(self.ledger, self.allowlist, self.tags, subjects, self.settings, self.clock, most)
        return chore.run(has_time)

    def now(self, row: Grant) -> Grant:
        """The row as it is."""
        found = self.ledger.grant(*row.key)
        assert found
        return found


@pytest.fixture
def waiting(dynamodb: "DynamoDBClient", clock: StoppedClock) -> Waiting:
    """Nothing waits, in mode auto without rules."""
    return Waiting(dynamodb, clock)


def test_as_long_as_nothing_changes_nothing_is_decided(waiting: Waiting) -> None:
    """A round costs the reading of what waits."""
    row = waiting.ask()
    assert waiting.run() == {}
    assert waiting.now(row) == row


def test_a_new_rule_applies_to_what_waits(waiting: Waiting) -> None:
    """It is approved as triage would have: by the rule, for its length; what a person decided once is over."""
    row = waiting.ask(decided_by="alice", decided_at=NOON, decided_version=1, approval="old", grant_seconds=60)
    waiting.allow(rule("auto", ", expires_after: 30d"))
    assert waiting.run() == {"approved": 1}
    after = waiting.now(row)
    reason = f"{CAUSE.reason} The rule 'nova' allows this grant."
    assert (after.state, after.version, after.decision, after.rule) == (State.APPROVED, 2, Outcome.AUTO, "nova")
    assert (after.reason_code, after.reason, after.basis) == ("rule_auto", reason, waiting.today)
    assert (after.grant_seconds, after.expires_at) == (30 * 86400, NOON + HOUR + timedelta(days=30))
    assert (after.decided_by, after.decided_at, after.approval, after.decision_reason) == (None, None, None, None)
    assert after.history[-1] == Event(at=NOON + HOUR, state=State.APPROVED, by="upkeep", reason=reason)
    assert waiting.run() == {}


def test_a_rule_without_length_takes_the_stacks(waiting: Waiting) -> None:
    """As for a new denial."""
    row = waiting.ask()
    waiting.settings = replace(SETTINGS, default_grant_days=7)
    waiting.allow(rule("auto"))
    waiting.run()
    assert waiting.now(row).expires_at == NOON + HOUR + timedelta(days=7)


def test_a_rule_that_says_never_ends_it(waiting: Waiting) -> None:
    """With its reason, and a rest in which repeats only count, until the rules change again."""
    row = waiting.ask()
    waiting.allow(rule("never"))
    assert waiting.run() == {"rejected": 1}
    after = waiting.now(row)
    assert (after.state, after.reason_code, after.basis) == (State.REJECTED, "rule_never", waiting.today)
    assert after.reason == "The rule 'nova' forbids this grant."
    assert after.cool_down_until == NOON + 25 * HOUR
    assert after.decided_by is None


def test_in_mode_observe_nobody_is_asked(waiting: Waiting) -> None:
    """What waits lapses."""
    row = waiting.ask()
    waiting.settings = replace(SETTINGS, mode=Mode.OBSERVE)
    assert waiting.run() == {"lapsed": 1}
    assert (waiting.now(row).state, waiting.now(row).reason_code) == (State.LAPSED, "mode_observe")


def test_who_is_no_longer_grantable_is_not_asked_about(waiting: Waiting) -> None:
    """An approval could only fail."""
    row = waiting.ask()
    waiting.settings = replace(SETTINGS, grantable_principals=("arn:aws:iam::123456789012:role/other-*",))
    assert waiting.run() == {"lapsed": 1}
    assert waiting.now(row).reason_code == "principal_not_grantable"


def test_what_is_still_asked_is_told_in_todays_words(waiting: Waiting) -> None:
    """Under the same version, so that the link in the mail still decides, and nobody is told a second time."""
    row = waiting.ask()
    waiting.settings = replace(SETTINGS, mode=Mode.APPROVE, default_grant_days=1)
    assert waiting.run() == {"still_asked": 1}
    after = waiting.now(row)
    assert (after.state, after.version, after.updated_at) == (State.PENDING, 1, row.updated_at)
    assert (after.reason_code, after.grant_seconds, after.basis) == ("mode_approve", 86400, waiting.today)
    assert after.reason.startswith(f"{CAUSE.reason} The mode is approve")
    assert waiting.run() == {}


def test_the_end_of_a_pause_applies_what_rules_allow(waiting: Waiting) -> None:
    """What was asked because of the pause alone."""
    waiting.allow(rule("auto"))
    waiting.settings = replace(SETTINGS, paused=True)
    row = waiting.ask(reason_code="paused")
    assert waiting.run() == {}
    waiting.settings = SETTINGS
    assert waiting.run() == {"approved": 1}
    assert waiting.now(row).rule == "nova"


def test_rules_may_ask_for_tags(waiting: Waiting) -> None:
    """IAM is asked for them, and only then."""
    row = waiting.ask()
    waiting.allow(rule("auto", ", principal_tags: {team: [ml]}"))
    assert waiting.run() == {"still_asked": 1}
    waiting.tags.known[ROLE] = {"team": "ml"}
    waiting.allow(rule("auto", ", principal_tags: {team: [ml, data]}"))
    assert waiting.run() == {"approved": 1}
    assert (waiting.now(row).state, waiting.tags.asked) == (State.APPROVED, 2)


def test_an_allowlist_that_cannot_be_read_decides_nothing(waiting: Waiting) -> None:
    """What cannot be read may hold the rule that forbids it."""
    row = waiting.ask()
    waiting.allowlist.allowlist = Allowlist(rules=parse({"main": rule("never")}).rules, problems=("main: not fetched",))
    assert waiting.run() == {"allowlist_unreadable": 1}
    assert waiting.now(row) == row


def test_a_rules_limit_holds_for_what_waited_too(waiting: Waiting) -> None:
    """Each counts against the day's limit; the rest still waits, and says why."""
    rows = [waiting.ask(pk=f"{ROLE}-{number}", principal=f"{ROLE}-{number}") for number in range(3)]
    waiting.allow(rule("auto", ", max_grants_per_day: 2"))
    assert waiting.run() == {"approved": 2, "still_asked": 1}
    assert sorted(waiting.now(row).reason_code for row in rows) == ["cap_reached", "rule_auto", "rule_auto"]
    assert waiting.run() == {}


def test_what_is_unusual_waits_for_a_person(waiting: Waiting) -> None:
    """A principal that tried three models is not given them by a rule written afterwards."""
    for number in range(3):
        waiting.ask(sk=f"profile#{number}", profile=OTHER.replace("nova-pro", f"nova-{number}"))
    waiting.allow(rule("auto"))
    assert waiting.run() == {"still_asked": 3}
    found = waiting.ledger.grant(ROLE, "profile#1")
    assert found
    assert (found.state, found.reason_code) == (State.PENDING, "unusual")


def test_a_run_decides_about_so_many(waiting: Waiting) -> None:
    """The next one goes on; those that were decided do not count again."""
    for number in range(5):
        waiting.ask(pk=f"{ROLE}-{number}", principal=f"{ROLE}-{number}")
    waiting.allow(rule("never"))
    assert [waiting.run(2) for _ in range(3)] == [{"rejected": 2}, {"rejected": 2}, {"rejected": 1}]


def test_a_run_ends_in_time(waiting: Waiting) -> None:
    """Before the next row."""
    waiting.ask()
    waiting.allow(rule("never"))
    assert waiting.run(has_time=lambda: False) == {}


def test_who_decides_meanwhile_wins(waiting: Waiting, monkeypatch: pytest.MonkeyPatch) -> None:
    """The row is no longer as it was read."""
    row = waiting.ask()
    read = waiting.ledger.rows([row.key])
    rejected = row.moved(State.REJECTED, at=NOON, by="alice", reason="no")
    waiting.ledger.move(row, rejected)
    due = list(waiting.ledger.due(State.REJECTED))
    monkeypatch.setattr(waiting.ledger, "due", lambda *_: iter(due))
    monkeypatch.setattr(waiting.ledger, "rows", lambda _: read)
    for text in (rule("auto"), rule("never"), rule("ask"), rule("auto", ", max_grants_per_day: 9")):
        waiting.allow(text)
        assert waiting.run() == {"overtaken": 1}
    assert waiting.now(row) == rejected


class TestApproving:
    """The write behind it."""

    CAP: Final = Cap(name="rule:nova", day="2026-11-20", limit=1)

    def test_row_and_limit_move_together(self, waiting: Waiting) -> None:
        """Where the limit is used up, the row stays."""
        rows = [waiting.ask(sk=f"profile#{number}") for number in range(2)]
        first, second = (row.moved(State.APPROVED, at=NOON, by="upkeep", reason="rule") for row in rows)
        waiting.ledger.approve(rows[0], first, self.CAP)
        with pytest.raises(CapReachedError):
            waiting.ledger.approve(rows[1], second, self.CAP)
        assert [waiting.now(row).state for row in rows] == [State.APPROVED, State.PENDING]

    def test_a_row_that_moved_spends_nothing(self, waiting: Waiting) -> None:
        """The limit is for grants that were made."""
        row = waiting.ask()
        other = waiting.ask(sk="profile#other")
        approved = row.moved(State.APPROVED, at=NOON, by="upkeep", reason="rule")
        waiting.ledger.move(row, row.moved(State.REJECTED, at=NOON, by="alice", reason="no"))
        with pytest.raises(ConflictError):
            waiting.ledger.approve(row, approved, self.CAP)
        waiting.ledger.approve(other, other.moved(State.APPROVED, at=NOON, by="upkeep", reason="rule"), self.CAP)

    def test_no_limit_at_all_grants_nothing(self, waiting: Waiting) -> None:
        """A rule may say zero."""
        row = waiting.ask()
        with pytest.raises(CapReachedError):
            waiting.ledger.approve(
                row, row.moved(State.APPROVED, at=NOON, by="upkeep", reason="rule"), replace(self.CAP, limit=0)
            )


def test_tags_are_read_with_one_call(aws: None) -> None:
    """A principal that does not exist has none."""
    iam = boto3.client("iam")
    iam.create_role(
        RoleName="llm-app", Path="/service/", AssumeRolePolicyDocument="{}", Tags=[{"Key": "team", "Value": "ml"}]
    )
    reader = IamReader(lambda _: iam)
    assert reader.tags(Principal.parse(ROLE)) == {"team": "ml"}
    assert reader.tags(Principal.parse(f"{ROLE}-gone")) == {}


def test_an_account_in_trouble_holds_up_no_other(waiting: Waiting) -> None:
    """One does not answer, and is asked once a run; one is out of reach, which is no failure. Both stay as they are."""
    accounts = {"111122223333": RetryableError("busy"), "444455556666": RoleMissingError("444455556666", "arn:of:role")}
    waiting.tags.trouble = dict(accounts)
    waiting.settings = replace(SETTINGS, grantable_principals=("arn:aws:iam::*:role/*",))
    theirs = [
        waiting.ask(pk=f"arn:aws:iam::{account}:role/{name}", account=account) for account in accounts for name in "ab"
    ]
    row = waiting.ask()
    waiting.tags.known[row.pk] = {"team": "ml"}
    waiting.allow(rule("auto", ", principal_tags: {team: [ml]}"))
    assert waiting.run() == {"approved": 1, "failed": 2, "out_of_reach": 2}
    assert [waiting.now(each) for each in theirs] == theirs
    assert waiting.tags.asked == 4
