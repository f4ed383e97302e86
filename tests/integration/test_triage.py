"""Triage on a real ledger: what is written for new denials, repeats, copies, and under each configuration."""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from bedrock_remediator.aws.errors import NotEnrolledError, RetryableError, RoleMissingError
from bedrock_remediator.aws.ledger.items import FIRST_ROW
from bedrock_remediator.aws.ledger.write import ConflictError, Ledger
from bedrock_remediator.core.allowlist import Allowlist
from bedrock_remediator.core.grant import DiagnosisKind, Grant, Outcome, State
from bedrock_remediator.settings import Mode
from tests.builders import records as make
from tests.builders.aws import FakeIam, FakeProfiles, policy, profile, statement
from tests.builders.clocks import StoppedClock
from tests.builders.triage import SK, US, Service

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

RULE = {
    "name": "nova",
    "effect": "auto",
    "principals": ["arn:aws:iam::*:role/service/llm-*"],
    "profiles": ["us.amazon.nova-*"],
    "expires_after": "30d",
    "max_grants_per_day": 1,
}


@pytest.fixture
def service(ledger: Ledger, clock: StoppedClock) -> Service:
    """Triage on the empty ledger."""
    return Service(ledger, clock)


@pytest.fixture
def denial(clock: StoppedClock) -> Callable[..., dict[str, Any]]:
    """Makes denials five minutes old, each an event of its own."""
    number = 0

    def build(minutes: float = -5, **record: Any) -> dict[str, Any]:
        nonlocal number
        number += 1
        time = f"{clock.now() + timedelta(minutes=minutes):%Y-%m-%dT%H:%M:%SZ}"
        return make.event(make.record(**{"eventID": f"event-{number}", "eventTime": time} | record))

    return build


Denials = Callable[..., dict[str, Any]]


def test_a_new_denial_is_pending_with_everything_a_person_needs(service: Service, denial: Denials) -> None:
    """In mode approve, a missing grant becomes a request with its diagnosis, its complete set and its reason."""
    assert service.handle(denial()) == {"pending": 1}
    row = service.row()
    assert (row.state, row.version, row.decision, row.reason_code) == (State.PENDING, 1, Outcome.ASK, "mode_approve")
    assert (row.principal, row.principal_id) == (make.ROLE, "AROAEXAMPLEROLE000001")
    assert (row.profile, row.model_id, row.resources, row.allowed) == (US.arn, US.id, US.resources, (make.model(),))
    assert row.sighting.message == make.message()
    assert (row.simulated_at, row.expires_at) == (service.clock.now(), None)
    assert service.ledger.denials(make.ROLE, SK).count == 1


def test_repeats_are_counted_and_not_looked_into(service: Service, denial: Denials) -> None:
    """A batch of repeats is counted in one write, and neither IAM nor Bedrock is asked again."""
    service.handle(denial())
    service.iam.asked.clear()
    service.profiles.asked.clear()
    assert service.handle(*(denial() for _ in range(40))) == {"repeat": 40}
    assert service.ledger.denials(make.ROLE, SK).count == 41
    assert service.iam.asked == service.profiles.asked == []
    assert service.row().version == 1


def test_copies_are_not_counted(service: Service, denial: Denials) -> None:
    """The same eventID again, or another with the same sharedEventID, is a copy: in the batch and later."""
    first = denial(sharedEventID="shared-1")
    assert service.handle(first, first, denial(sharedEventID="shared-1")) == {"pending": 3}
    assert service.handle(first) == {"copy": 1}
    assert service.ledger.denials(make.ROLE, SK).count == 1


def test_both_actions_of_a_profile_are_one_request(service: Service, denial: Denials) -> None:
    """The other invocation action on the same profile is the same grant."""
    service.handle(denial())
    other = make.message().replace(make.ACTION, "bedrock:InvokeModel")
    assert service.handle(denial(errorMessage=other)) == {"repeat": 1}


def test_another_denial_of_the_same_profile_joins_its_row(service: Service, denial: Denials) -> None:
    """A routed model's denial that turns out to be the profile's is counted with it, and once linked costs nothing."""
    service.handle(denial())
    routed = make.message(resource=make.model("us-west-2"))
    assert service.handle(denial(errorMessage=routed)) == {"repeat": 1}
    service.iam.asked.clear()
    assert service.handle(denial(errorMessage=routed)) == {"repeat": 1}
    assert service.iam.asked == []
    assert service.ledger.denials(make.ROLE, SK).count == 3


def test_a_model_on_demand_has_a_row_of_its_own(service: Service, denial: Denials) -> None:
    """A model called directly is filed under the model, not under a profile."""
    service.iam = FakeIam()
    service.profiles = FakeProfiles(models={make.MODEL_ID: ["ON_DEMAND"]})
    called = {"modelId": make.MODEL_ID}
    service.handle(denial(errorMessage=make.message(resource=make.model()), requestParameters=called))
    row = service.row(f"model#{make.model()}")
    assert (row.state, row.profile, row.resources) == (State.PENDING, None, (make.model(),))


def test_a_rule_approves_by_itself_within_its_cap(service: Service, denial: Denials) -> None:
    """In mode auto a matching rule writes an approved row with its end; over the day's cap a person is asked."""
    service.mode = Mode.AUTO
    service.rules(RULE)
    assert service.handle(denial()) == {"approved": 1}
    row = service.row()
    assert (row.decision, row.reason_code) == (Outcome.AUTO, "rule_auto")
    assert (row.expires_at, row.grant_seconds) == (service.clock.now() + timedelta(days=30), 30 * 86400)
    other = profile("us.amazon.nova-pro-v1:0")
    service.profiles = FakeProfiles(US, other)
    assert service.handle(denial(errorMessage=make.message(resource=other.arn))) == {"pending": 1}
    assert service.row(f"profile#{other.arn}").reason_code == "cap_reached"


def test_the_default_length_is_the_stacks(service: Service, denial: Denials) -> None:
    """Where no rule says how long, the stack's default does; a request has no end before it is approved."""
    service.default_grant_days = 7
    service.handle(denial())
    assert (service.row().grant_seconds, service.row().expires_at) == (7 * 86400, None)


def test_mode_observe_reports_what_it_would_do(service: Service, denial: Denials) -> None:
    """In mode observe the row says what would be granted, and nothing waits for anybody."""
    service.mode = Mode.OBSERVE
    assert service.handle(denial()) == {"reported": 1}
    row = service.row()
    assert (row.decision, row.reason_code, row.resources) == (Outcome.REPORT, "mode_observe", US.resources)


def test_a_never_rule_reports(service: Service, denial: Denials) -> None:
    """What a rule forbids is reported with the rule, and the simulator is not asked."""
    service.mode = Mode.AUTO
    service.rules({"name": "no", "effect": "never", "principals": ["arn:aws:iam::*:role/**"]}, RULE)
    service.handle(denial())
    assert (service.row().state, service.row().reason_code, service.row().rule) == (State.REPORTED, "rule_never", "no")
    assert "simulate" not in service.iam.asked


def test_paused_asks(service: Service, denial: Denials) -> None:
    """While grants are paused, a rule does not apply by itself."""
    service.mode, service.paused = Mode.AUTO, True
    service.rules(RULE)
    service.handle(denial())
    assert (service.row().state, service.row().reason_code) == (State.PENDING, "paused")


def test_a_backfilled_event_that_was_delivered_is_a_copy(service: Service, denial: Denials) -> None:
    """What CloudTrail delivered and a person puts in again is not counted twice; what is new is."""
    delivered = denial()
    service.handle(delivered)
    service.handle(delivered | {"origin": "backfill"})
    assert service.ledger.denials(*service.row().key).count == 1
    service.handle(denial() | {"origin": "backfill"})
    assert service.ledger.denials(*service.row().key).count == 2


def test_a_backfilled_event_never_applies_by_itself(service: Service, denial: Denials) -> None:
    """An event that an operator sent again is asked about even where a rule would approve."""
    service.mode = Mode.AUTO
    service.rules(RULE)
    service.handle(denial() | {"origin": "backfill"})
    assert (service.row().state, service.row().reason_code) == (State.PENDING, "backfill")


def test_a_grant_that_cannot_help_is_advice(service: Service, denial: Denials) -> None:
    """What the simulator proves useless is reported, and nobody is asked: an SCP stops a destination."""
    service.iam.stopped = lambda _, resource: "us-west-2" in resource
    service.handle(denial())
    row = service.row(f"advice#not_fixable#{US.arn}#certainly_no_help")
    assert (row.state, row.reason_code, row.diagnosis) == (
        State.REPORTED,
        "certainly_no_help",
        DiagnosisKind.NOT_FIXABLE,
    )


def test_a_simulator_without_an_answer_stops_nothing(service: Service, denial: Denials) -> None:
    """Where the simulator cannot be asked, the request stands, marked as not simulated."""
    service.iam.answers = RetryableError("busy")
    service.handle(denial())
    assert (service.row().state, service.row().simulated_at) == (State.PENDING, None)


def test_advice_rests_and_comes_back_doubled(service: Service, denial: Denials) -> None:
    """A reported denial only counts for a day, then is looked into and reported anew, and rests twice as long."""
    refused = make.message(why="with an explicit deny in a service control policy")
    sk = f"advice#not_fixable#{US.arn}#scp"
    service.handle(denial(errorMessage=refused))
    service.clock.time += timedelta(hours=23)
    assert service.handle(denial(errorMessage=refused)) == {"repeat": 1}
    service.clock.time += timedelta(hours=2)
    assert service.handle(denial(errorMessage=refused)) == {"reported": 1}
    row = service.row(sk)
    assert (row.version, row.cool_down_until) == (2, service.clock.now() + timedelta(hours=48))
    assert service.ledger.denials(make.ROLE, sk).count == 3


def test_two_reasons_for_one_resource_are_two_pieces_of_advice(service: Service, denial: Denials) -> None:
    """A resting piece of advice does not swallow another one about the same resource."""
    why = "with an explicit deny in a {} policy"
    service.handle(denial(errorMessage=make.message(why=why.format("service control"))))
    second = denial(errorMessage=make.message(why=why.format("session")))
    assert service.handle(second) == {"reported": 1}
    rows = service.ledger.with_counters(make.ROLE, FIRST_ROW).grants
    assert {row.reason_code for row in rows} == {"scp", "session_policy"}


def test_another_configuration_ends_the_rest(service: Service, denial: Denials) -> None:
    """A change of mode or allowlist ends a finished row's cool-down; an unreadable allowlist does not."""
    service.mode = Mode.OBSERVE
    service.handle(denial())
    service.allowlist = Allowlist(rules=(), problems=("main: not readable",))
    assert service.handle(denial()) == {"repeat": 1}
    service.allowlist = Allowlist(rules=(), problems=())
    assert service.handle(denial()) == {"repeat": 1}
    service.mode = Mode.APPROVE
    assert service.handle(denial()) == {"pending": 1}
    assert service.row().version == 2


def test_no_rule_is_asked_about_what_no_grant_can_change(service: Service, denial: Denials) -> None:
    """The allowlist is not read for such a refusal, and a change of it does not report the refusal once more."""
    scp = make.message(why="with an explicit deny in a service control policy")
    service.read = lambda: pytest.fail("the allowlist was read")  # type: ignore[method-assign]
    assert service.handle(denial(errorMessage=scp)) == {"reported": 1}
    assert service.handle(denial(errorMessage=scp)) == {"repeat": 1}
    service.mode = Mode.AUTO
    assert service.handle(denial(errorMessage=scp)) == {"reported": 1}


def activate(service: Service, at: datetime) -> Grant:
    """Move the row through to active."""
    row = service.row()
    for state, changes in (
        (State.APPROVED, {}),
        (State.APPLYING, {}),
        (State.ACTIVE, {"applied_at": at}),
    ):
        after = row.moved(state, at=at, by="test", reason="test", **changes)
        service.ledger.move(row, after)
        row = after
    return row


def test_denials_from_before_the_grant_settled_only_count(service: Service, denial: Denials) -> None:
    """CloudTrail is late: a denial up to ten minutes after the grant took effect is old news."""
    service.handle(denial())
    activate(service, service.clock.now())
    service.iam.asked.clear()
    assert service.handle(denial(minutes=9)) == {"repeat": 1}
    assert service.iam.asked == []


def test_a_later_denial_of_an_active_grant_is_reported_once(service: Service, denial: Denials) -> None:
    """Calls that are denied despite the grant give one notice and a mark on the grant, and then only count."""
    service.handle(denial())
    activate(service, service.clock.now())
    service.iam.holdings = FakeIam(policy(statement(list(US.resources)))).holdings
    assert service.handle(denial(minutes=11)) == {"blocked": 1}
    advice = service.row(f"advice#already_allowed#{US.arn}#denied_despite_grant")
    assert (advice.state, advice.reason_code) == (State.REPORTED, "denied_despite_grant")
    grant = service.row()
    assert (grant.state, grant.blocked_by) == (State.ACTIVE, "denied_despite_grant")
    assert service.handle(denial(minutes=12), denial(minutes=13)) == {"repeat": 2}
    assert service.ledger.denials(make.ROLE, SK).count == 4
    assert service.row(advice.sk) == advice


def test_a_grant_that_lost_its_effect_is_reported(service: Service, denial: Denials) -> None:
    """Where the policies lack again what was granted, the advice says so."""
    service.handle(denial())
    activate(service, service.clock.now())
    assert service.handle(denial(minutes=11)) == {"blocked": 1}
    assert service.row(f"advice#missing_grant#{US.arn}#denied_despite_grant").reason_code == "denied_despite_grant"
    assert service.row().blocked_by == "denied_despite_grant"


def test_a_denial_of_the_action_that_was_left_out_says_so(service: Service, denial: Denials) -> None:
    """The grant is of the action that helped then; to decide about both anew it must be revoked."""
    service.handle(denial())
    activate(service, service.clock.now())
    grant = service.row()
    service.ledger.update(grant, replace(grant, actions=("bedrock:InvokeModel",)))
    assert service.handle(denial(minutes=11)) == {"blocked": 1}
    advice = service.row(f"advice#missing_grant#{US.arn}#denied_despite_grant")
    assert "gives bedrock:InvokeModel alone" in advice.reason


def test_what_holds_no_event_is_refused_with_its_reason(service: Service, denial: Denials) -> None:
    """A message that is no event goes to the dead letters with its reason, and the rest of the batch is handled."""
    summary = service.triage().handle({"1": "{", "2": json.dumps(denial()), "3": "[]"})
    assert dict(summary.counts) == {"refused": 2, "pending": 1}
    assert [body for body, _ in service.refused] == ["{", "[]"]
    assert all(reason for _, reason in service.refused)


def test_what_cannot_even_be_refused_holds_up_nobody(service: Service, denial: Denials) -> None:
    """Where the dead letters take nothing, that message alone comes again, and the rest of the batch is handled."""

    def gone() -> None:
        raise RetryableError("the queue does not answer")

    service.on_refusal = gone
    summary = service.triage().handle({"1": "{", "2": json.dumps(denial())})
    assert (dict(summary.counts), summary.failed) == ({"pending": 1}, {"1"})


def test_what_there_is_no_time_for_comes_again(service: Service, denial: Denials) -> None:
    """Where AWS is slow, what is done stays done, and only the rest of the batch is delivered again."""
    other = denial(errorMessage=make.message(why="with an explicit deny in a service control policy"))
    time = iter([True, True, True, False])
    summary = service.triage().handle({"1": json.dumps(denial()), "2": json.dumps(other)}, lambda: next(time))
    assert (dict(summary.counts), summary.failed) == ({"pending": 1}, {"2"})
    late = service.triage().handle({"3": json.dumps(other)}, lambda: False)
    assert (late.counts, late.failed) == ({}, {"3"})


def test_a_message_is_refused_when_the_rest_is_done(service: Service, denial: Denials) -> None:
    """So a batch that is cut off half-way refuses its messages once, when it comes again."""
    before: list[str] = []
    service.on_refusal = lambda: before.extend(
        row.sk for row in service.ledger.with_counters(make.ROLE, FIRST_ROW).grants
    )
    service.triage().handle({"1": "{", "2": json.dumps(denial())})
    assert before == [SK]


@pytest.mark.parametrize("broken", ["the row", "its counter"])
def test_an_item_that_nobody_can_read_holds_up_nobody(
    service: Service, dynamodb: "DynamoDBClient", denial: Denials, broken: str
) -> None:
    """Where somebody has spoilt an item of the ledger, its own denials alone come again."""
    service.handle(denial())
    (counter,) = (item for item in dynamodb.scan(TableName="ledger")["Items"] if item["sk"]["S"].startswith("seen#"))
    spoilt = counter if broken == "its counter" else {"pk": counter["pk"], "sk": counter["row"]}
    dynamodb.put_item(TableName="ledger", Item={"pk": spoilt["pk"], "sk": spoilt["sk"], "state": {"N": "1"}})
    other = denial(errorMessage=make.message(why="with an explicit deny in a service control policy"))
    summary = service.triage().handle({"1": json.dumps(denial()), "2": json.dumps(other)})
    assert (dict(summary.counts), summary.failed) == ({"reported": 1}, {"1"})


def test_an_unreadable_record_is_in_the_ledger_with_its_text(service: Service, denial: Denials) -> None:
    """A message of no known form is recorded under its caller, with its text."""
    service.handle(denial(errorMessage="<b>Nobody knows this</b>"))
    (row,) = service.ledger.with_counters(make.ROLE, FIRST_ROW).grants
    assert (row.state, row.diagnosis, row.reason_code) == (State.REPORTED, DiagnosisKind.UNKNOWN, "message_unreadable")
    assert row.sighting.message == "<b>Nobody knows this</b>"
    assert row.resources == ()


def test_a_role_known_by_its_session_alone_is_filed_under_its_true_path(service: Service, denial: Denials) -> None:
    """Where the record does not tell the role's path, IAM does, so that both kinds of record meet in one row."""
    service.iam.path = "/service/"
    service.handle(denial(userIdentity=make.role_identity(sessionContext=None)))
    assert service.row().principal == make.ROLE
    assert service.handle(denial()) == {"repeat": 1}


@pytest.mark.parametrize("code", ["account_not_enrolled", "member_role_missing"])
def test_an_account_out_of_reach_is_advice_though_the_roles_path_is_unknown(
    service: Service, denial: Denials, code: str
) -> None:
    """The look for the path fails there too, and must not send the message round and round."""
    service.home, missing = "444455556666", code == "member_role_missing"
    service.enrolled = ("*",) if missing else ()
    service.iam.trouble = RoleMissingError(make.ACCOUNT, "arn:of:role") if missing else NotEnrolledError(make.ACCOUNT)
    summary = service.triage().handle({"1": json.dumps(denial(userIdentity=make.role_identity(sessionContext=None)))})
    assert not summary.failed
    assert [row.reason_code for row in summary.opened] == [code]


def test_a_role_that_is_deployed_ends_the_rest(service: Service, denial: Denials) -> None:
    """Denials are only counted while the role is missing; the first one after that is looked into."""
    service.home, service.enrolled = "444455556666", ("*",)
    service.iam.trouble = RoleMissingError(make.ACCOUNT, "arn:of:role")
    assert service.handle(denial()) == {"reported": 1}
    assert service.handle(denial()) == {"repeat": 1}
    service.iam.trouble = None
    service.reached.add(make.ACCOUNT)
    assert service.handle(denial()) == {"pending": 1}


def test_trouble_with_one_denial_fails_only_its_messages(service: Service, denial: Denials) -> None:
    """When AWS fails for one principal, its messages are delivered again, and the others are handled."""
    user = denial(
        userIdentity=make.user_identity(),
        errorMessage=make.message(make.USER, why="with an explicit deny in a session policy"),
    )

    def broken(*_: Any) -> None:
        raise RuntimeError("boom")

    service.iam.identity = broken  # type: ignore[method-assign, assignment]
    unlocated = denial(userIdentity=make.role_identity(sessionContext=None))
    service.iam.principal = broken  # type: ignore[method-assign, assignment]
    messages = {"1": json.dumps(denial()), "2": json.dumps(user), "3": json.dumps(unlocated)}
    summary = service.triage().handle(messages)
    assert summary.failed == {"1", "3"}
    assert dict(summary.counts) == {"reported": 1}


def test_two_batches_at_once_open_one_row(service: Service, denial: Denials) -> None:
    """When another batch opens the row first, this one reads again and counts."""
    first, second = denial(), denial()
    simulate = service.iam.simulate

    def meanwhile(*args: Any, **kwargs: Any) -> Any:
        service.iam.simulate = simulate  # type: ignore[method-assign]
        service.handle(first)
        return simulate(*args, **kwargs)

    service.iam.simulate = meanwhile  # type: ignore[method-assign]
    assert service.handle(second) == {"repeat": 1}
    assert service.row().version == 1
    assert service.ledger.denials(make.ROLE, SK).count == 2


def test_a_row_that_never_holds_still_is_left_to_the_queue(
    service: Service, denial: Denials, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After some conflicts in a row the message is delivered again rather than tried for ever."""

    def conflict(*_: Any, **__: Any) -> None:
        raise ConflictError(make.ROLE, SK)

    monkeypatch.setattr(service.ledger, "open", conflict)
    assert service.triage().handle({"1": json.dumps(denial())}).failed == {"1"}


def test_a_finished_grant_is_asked_about_anew(service: Service, denial: Denials) -> None:
    """A revoked grant has no cool-down: the next denial opens the row again, the old one in the archive."""
    service.handle(denial())
    row = activate(service, service.clock.now())
    for state in (State.REVOKING, State.REVOKED):
        after = row.moved(state, at=service.clock.now(), by="test", reason="test")
        service.ledger.move(row, after)
        row = after
    assert service.handle(denial(minutes=20)) == {"pending": 1}
    assert service.row().version == row.version + 1
    assert service.row() == replace(service.row(), state=State.PENDING)
