"""Records that come late, and advice that grows old: what is only counted, and what is looked into again."""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from bedrock_remediator.aws.errors import RetryableError
from bedrock_remediator.aws.ledger.write import Ledger
from bedrock_remediator.core.grant import DiagnosisKind, Grant, State
from bedrock_remediator.settings import Mode
from tests.builders import records as make
from tests.builders.aws import FakeIam, FakeProfiles, application_profile, policy, profile, statement
from tests.builders.clocks import StoppedClock
from tests.builders.triage import SK, US, Service

GLOBAL = profile("global.amazon.nova-2-lite-v1:0", regions=("us-east-1", "us-west-2", "eu-central-1"))
HERE, WEST = make.model(), make.model("us-west-2")
Denials = Callable[..., dict[str, Any]]


@pytest.fixture
def service(ledger: Ledger, clock: StoppedClock) -> Service:
    """Triage on the empty ledger."""
    return Service(ledger, clock)


@pytest.fixture
def denial(clock: StoppedClock) -> Denials:
    """Makes denials of a call at some minutes from now, each an event of its own."""
    number = 0

    def build(resource: str | None = US.arn, minutes: float = -5, **record: Any) -> dict[str, Any]:
        nonlocal number
        number += 1
        time = f"{clock.now() + timedelta(minutes=minutes):%Y-%m-%dT%H:%M:%SZ}"
        given = {"eventID": f"event-{number}", "eventTime": time, "errorMessage": make.message(resource=resource)}
        return make.event(make.record(**given | record))

    return build


def moved(service: Service, *states: State, at: datetime) -> Grant:
    """The grant's row taken through these states."""
    row = service.row()
    for state in states:
        after = row.moved(state, at=at, by="test", reason="test", **({"applied_at": at} if state == "active" else {}))
        service.ledger.move(row, after)
        row = after
    return row


def granted(service: Service, denial: Denials) -> None:
    """The profile is granted, and the principal's policies show it."""
    service.handle(denial())
    moved(service, State.APPROVED, State.APPLYING, State.ACTIVE, at=service.clock.now())
    service.iam = FakeIam(policy(statement(list(US.resources))))


def keys(service: Service) -> set[str]:
    """The keys of the principal's rows."""
    return {row.sk for row in service.rows()}


@pytest.mark.parametrize("resource", [HERE, WEST, make.model("us-east-2")])
@pytest.mark.parametrize("called", [US.id, US.arn, None])
def test_a_late_record_of_another_model_is_counted_for_the_grant(
    service: Service, denial: Denials, resource: str, called: str | None
) -> None:
    """A profile is denied one model at a time (facts §3.4), and CloudTrail is late (§1.9): no new row, no notice."""
    granted(service, denial)
    before = service.row()
    late = denial(resource, minutes=9, requestParameters={"modelId": called} if called else None)
    assert service.handle(late) == {"repeat": 1}
    assert (keys(service), service.row()) == ({SK}, before)
    assert service.ledger.denials(make.ROLE, SK).count == 2
    assert service.handle(late) == {"copy": 1}


@pytest.mark.parametrize("profiles", [(US, GLOBAL), (US, GLOBAL, application_profile())])
def test_a_late_record_that_names_no_profile_belongs_to_the_grant_that_explains_it(
    service: Service, denial: Denials, profiles: tuple[Any, ...]
) -> None:
    """Where several held profiles serve the model, and one of them was granted just now, that is what it was about."""
    service.profiles = FakeProfiles(*profiles)
    granted(service, denial)
    held = [arn for each in profiles for arn in each.resources]
    service.iam = FakeIam(policy(statement(held)))
    assert service.handle(denial(WEST, minutes=5, requestParameters=None)) == {"repeat": 1}
    assert keys(service) == {SK}


def test_a_late_record_of_a_profile_that_was_not_granted_is_told(service: Service, denial: Denials) -> None:
    """What the principal's own policies allow by now is advice, though a grant of another profile is young."""
    service.profiles = FakeProfiles(US, GLOBAL)
    granted(service, denial)
    service.iam = FakeIam(policy(statement([*US.resources, *GLOBAL.resources])))
    assert service.handle(denial(WEST, requestParameters={"modelId": GLOBAL.id})) == {"reported": 1}
    assert keys(service) == {SK, f"advice#already_allowed#{WEST}#already_allowed"}


@pytest.mark.parametrize("state", [State.PENDING, State.APPROVED, State.APPLYING])
def test_a_denial_of_what_is_allowed_meanwhile_is_counted_for_the_request(
    service: Service, denial: Denials, state: State
) -> None:
    """While the request for the profile is under way, what its policies show already is no news."""
    service.handle(denial())
    path = [State.APPROVED, State.APPLYING]
    moved(service, *path[: {State.PENDING: 0, State.APPROVED: 1, State.APPLYING: 2}[state]], at=service.clock.now())
    service.iam = FakeIam(policy(statement(list(US.resources))))
    assert service.handle(denial(WEST)) == {"repeat": 1}
    assert keys(service) == {SK}


def test_another_model_that_is_denied_after_the_grant_has_settled_is_told_of_the_grant(
    service: Service, denial: Denials
) -> None:
    """Eleven minutes on it is no late record: something else refuses, and the grant is marked."""
    granted(service, denial)
    assert service.handle(denial(WEST, minutes=11)) == {"blocked": 1}
    assert service.row().blocked_by == "denied_despite_grant"
    assert keys(service) == {SK, f"advice#already_allowed#{WEST}#denied_despite_grant"}
    assert service.handle(denial(HERE, minutes=12)) == {"repeat": 1}


def test_a_late_record_swallows_nothing_once_the_grant_is_revoked(service: Service, denial: Denials) -> None:
    """The same denial after the revocation opens a request at once."""
    granted(service, denial)
    service.handle(denial(WEST, minutes=9))
    moved(service, State.REVOKING, State.REVOKED, at=service.clock.now())
    service.iam = FakeIam(policy(statement(HERE)))
    assert service.handle(denial(WEST, minutes=20)) == {"pending": 1}
    assert service.row().state is State.PENDING


def revoked(service: Service, minutes: float, by: str, **changes: Any) -> None:
    """The grant is revoked some minutes from now, and the principal's policies show it."""
    at = service.clock.now() + timedelta(minutes=minutes)
    row = service.row()
    revoking = row.moved(State.REVOKING, at=at, by=by, reason="test", **changes)
    service.ledger.move(row, revoking)
    service.ledger.move(revoking, revoking.moved(State.REVOKED, at=at + timedelta(seconds=5), by="test", reason="test"))
    service.iam = FakeIam(policy(statement(HERE)))


@pytest.mark.parametrize("resource", [US.arn, WEST])
@pytest.mark.parametrize("minutes", [-4, 29])
def test_a_late_record_opens_nothing_once_a_person_has_revoked(
    service: Service, denial: Denials, resource: str, minutes: float
) -> None:
    """A call of before the revocation says nothing of what follows (facts §1.9): nobody is asked, no rule applies."""
    granted(service, denial)
    revoked(service, 30, "alice", decided_at=service.clock.now() + timedelta(minutes=30))
    assert service.handle(denial(resource, minutes=minutes)) == {"repeat": 1}
    assert (keys(service), service.row().state) == ({SK}, State.REVOKED)
    assert service.ledger.denials(make.ROLE, SK).count == 2
    assert service.handle(denial(resource, minutes=30)) == {"pending": 1}


def test_a_call_after_the_end_of_a_grant_is_a_new_question(service: Service, denial: Denials) -> None:
    """Upkeep takes an ended grant out within the hour: what is denied between the end and then is no late record."""
    granted(service, denial)
    revoked(service, 50, "upkeep", expires_at=service.clock.now() + timedelta(minutes=20))
    assert service.handle(denial(minutes=19)) == {"repeat": 1}
    assert service.handle(denial(minutes=20)) == {"pending": 1}


def test_a_call_after_somebody_took_the_policy_away_is_a_new_question(service: Service, denial: Denials) -> None:
    """Nobody knows since when the policy that upkeep misses was gone: only what came before the grant is late."""
    granted(service, denial)
    revoked(service, 50, "upkeep")
    assert service.handle(denial(minutes=9)) == {"repeat": 1}
    assert service.handle(denial(minutes=20)) == {"pending": 1}


def test_what_was_never_in_force_put_nothing_right(service: Service, denial: Denials) -> None:
    """A revoked row of which it is not known when it was applied answers no call made since the request."""
    granted(service, denial)
    revoked(service, 50, "upkeep", applied_at=None)
    assert service.handle(denial(minutes=0)) == {"pending": 1}


def after(service: Service, **time: float) -> None:
    """Let time pass."""
    service.clock.time += timedelta(**time)


def test_advice_about_a_principals_policies_is_looked_into_again(service: Service, denial: Denials) -> None:
    """The owner took the policy away that allowed the call: within the hour repeats count, after it people hear."""
    service.iam = FakeIam(policy(statement(list(US.resources))))
    assert service.handle(denial()) == {"reported": 1}
    service.iam = FakeIam(policy(statement(HERE)))
    after(service, minutes=59)
    assert service.handle(denial()) == {"repeat": 1}
    assert service.iam.asked == []
    after(service, minutes=1)
    assert service.handle(denial()) == {"pending": 1}
    assert service.ledger.denials(make.ROLE, SK).count == 3


BOUNDARY = policy(statement("arn:aws:s3:::none"), name="boundary")


@pytest.mark.parametrize(
    ("holds", "code"),
    [
        ({"policies": [statement(list(US.resources))]}, "already_allowed"),
        ({"boundary": BOUNDARY}, "boundary"),
        ({"policies": [statement(list(US.resources), Effect="Deny")]}, "explicit_deny"),
        ({"stopped": lambda _, resource: "us-west-2" in resource}, "certainly_no_help"),
        ({"exists": False}, "principal_missing"),
    ],
)
def test_people_hear_only_of_another_answer(
    service: Service, denial: Denials, holds: dict[str, Any], code: str
) -> None:
    """Once an hour it is looked into, silently while the answer stands; when the owner has acted, it is told."""

    def iam() -> FakeIam:
        given = {name: value for name, value in holds.items() if name != "policies"}
        return FakeIam(policy(*holds["policies"]) if "policies" in holds else policy(statement(HERE)), **given)

    service.iam = iam()
    assert service.handle(denial()) == {"reported": 1}
    (row,) = service.rows()
    assert row.cause is not None
    assert (row.state, row.cause.code, row.version) == (State.REPORTED, code, 1)
    for _ in range(3):
        after(service, hours=1)
        service.iam = iam()
        assert service.handle(denial()) == {"repeat": 1}
        assert service.iam.asked
        service.iam = iam()
        assert service.handle(denial()) == {"repeat": 1}
        assert service.iam.asked == []
    assert [(each.key, each.version) for each in service.rows()] == [(row.key, 1)]
    service.iam = FakeIam(policy(statement(HERE)))
    after(service, hours=1)
    assert service.handle(denial()) == {"pending": 1}


def test_an_answer_that_changes_in_observe_mode_is_told_on_the_same_row(service: Service, denial: Denials) -> None:
    """Where a condition was in the way and is gone, the row says what is the matter now."""
    service.mode = Mode.OBSERVE
    guarded = statement(list(US.resources), Condition={"StringEquals": {"bedrock:GuardrailIdentifier": "g"}})
    service.iam = FakeIam(policy(guarded))
    assert service.handle(denial()) == {"reported": 1}
    assert service.row().diagnosis is DiagnosisKind.CONDITIONAL_ALLOW
    after(service, hours=1)
    assert service.handle(denial()) == {"repeat": 1}
    service.iam = FakeIam(policy(statement(HERE)))
    assert service.handle(denial()) == {"repeat": 1}
    after(service, hours=1)
    assert service.handle(denial()) == {"reported": 1}
    assert (service.row().diagnosis, service.row().version) == (DiagnosisKind.MISSING_GRANT, 2)


@pytest.mark.parametrize("words", ["a service control policy", "a session policy", "a permissions boundary"])
def test_what_the_message_alone_decides_is_never_looked_into(service: Service, denial: Denials, words: str) -> None:
    """The same message has the same answer: only another one is looked into, and a repeat stays one write."""
    message = make.message(why=f"with an explicit deny in {words}")
    service.handle(denial(errorMessage=message))
    after(service, hours=2)
    assert service.handle(denial(errorMessage=message)) == {"repeat": 1}
    assert service.iam.asked == service.profiles.asked == []
    assert service.rows()[0].looked_at is None


def test_a_look_that_fails_in_passing_is_made_again(service: Service, denial: Denials) -> None:
    """Throttling is no answer: the message comes again, and the row is still due for a look."""
    service.iam = FakeIam(policy(statement(list(US.resources))))
    service.handle(denial())
    after(service, hours=1)
    service.iam = FakeIam(trouble=RetryableError("throttled"))
    event = json.dumps(denial())
    assert service.triage().handle({"1": event}).failed == {"1"}
    service.iam = FakeIam(policy(statement(HERE)))
    assert dict(service.triage().handle({"1": event}).counts) == {"pending": 1}
