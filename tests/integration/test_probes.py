"""A stolen key that tries what it can reach: what triage, and remediate once more, let a rule give it."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from msgspec.structs import replace

from bedrock_remediator.aws.ledger.items import FIRST_ROW, grant_item
from bedrock_remediator.aws.ledger.read import Known
from bedrock_remediator.aws.ledger.write import ConflictError, HabitsChangedError, Ledger
from bedrock_remediator.core.grant import DiagnosisKind, Outcome, Sighting, State
from bedrock_remediator.core.suspicion import Habits, ProbeLimits, Trait
from bedrock_remediator.settings import Mode
from tests.builders import records as make
from tests.builders.aws import FakeIam, FakeProfiles, policy, profile, statement
from tests.builders.clocks import StoppedClock
from tests.builders.grants import first_seen
from tests.builders.remediation import SETTINGS, World, nova
from tests.builders.triage import Service

if TYPE_CHECKING:
    from mypy_boto3_iam import IAMClient

RULE = {"name": "any", "effect": "auto", "principals": ["arn:aws:iam::*:role/**"], "profiles": ["*"]}
PROFILES = [profile(f"us.amazon.nova-{number}-v1:0") for number in range(12)]
LIMITS = ProbeLimits(profiles=3, grants_a_day=2)

Denials = Callable[..., dict[str, Any]]


@pytest.fixture
def service(ledger: Ledger, clock: StoppedClock) -> Service:
    """Triage in mode auto, with a rule that allows everything."""
    service = Service(ledger, clock)
    service.mode = Mode.AUTO
    service.profiles = FakeProfiles(*PROFILES)
    service.rules(RULE)
    return service


@pytest.fixture
def denial(clock: StoppedClock) -> Denials:
    """Makes denials of one of the profiles, each an event of its own."""

    def build(number: int = 0, **record: Any) -> dict[str, Any]:
        fields = {
            "eventID": f"event-{number}-{clock.now()}",
            "eventTime": f"{clock.now():%Y-%m-%dT%H:%M:%SZ}",
            "requestParameters": {"modelId": PROFILES[number].id},
            "errorMessage": make.message(resource=PROFILES[number].arn),
        }
        return make.event(make.record(**fields | record))

    return build


def code(service: Service, number: int) -> str:
    """Why the row of a profile stands where it stands."""
    return service.row(f"profile#{PROFILES[number].arn}").reason_code


def test_many_models_at_once_are_asked_about(service: Service, denial: Denials) -> None:
    """None of a batch of a dozen is granted; those that are asked about say why, and are alerts."""
    assert service.handle(*map(denial, range(12))) == {"pending": 5, "beyond_bounds": 7}
    row = service.row(f"profile#{PROFILES[0].arn}")
    assert (row.state, row.decision, row.reason_code, row.rule) == (State.PENDING, Outcome.ASK, "probing", "any")
    assert "denied 12 different models or profiles within 60 minutes" in row.reason


def test_one_model_after_the_other_is_asked_about_in_the_end(service: Service, denial: Denials) -> None:
    """From the one on that is too many; an hour later the rule is believed again."""
    codes = []
    for number in range(11):
        service.handle(denial(number))
        codes.append(code(service, number))
        service.clock.time += timedelta(minutes=1)
    assert codes == ["rule_auto"] * 8 + ["probing"] * 3
    service.clock.time += timedelta(hours=2)
    service.handle(denial(11))
    assert code(service, 11) == "rule_auto"


def test_refused_models_count_too(service: Service, denial: Denials) -> None:
    """A key that tries models which nobody can grant tries out what it can reach."""
    scp = "with an explicit deny in a service control policy"
    refused = [denial(each, errorMessage=make.message(resource=PROFILES[each].arn, why=scp)) for each in range(1, 9)]
    assert service.handle(*refused) == {"reported": 8}
    service.handle(denial(0))
    assert code(service, 0) == "probing"


def test_a_principals_grants_of_a_day_are_bounded(service: Service, denial: Denials) -> None:
    """Whichever rules make them; a person decides about the rest, and the next day begins anew."""
    service.probes = LIMITS
    for number in range(3):
        service.handle(denial(number))
        service.clock.time += timedelta(hours=2)
    assert [code(service, number) for number in range(3)] == ["rule_auto", "rule_auto", "principal_cap_reached"]
    service.clock.time += timedelta(days=1)
    service.handle(denial(3))
    assert code(service, 3) == "rule_auto"


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ({"sourceIPAddress": "203.0.113.9"}, "new_address"),
        ({"userAgent": "aws-cli/2.15"}, "new_client"),
        ({"userAgent": "Boto3/1.99"}, "rule_auto"),
        ({"sourceIPAddress": None, "userAgent": None}, "rule_auto"),
    ],
)
def test_a_caller_that_is_new_asks(service: Service, denial: Denials, record: dict[str, Any], expected: str) -> None:
    """It is granted what it was denied first, then compared; asking once does not make it known."""
    service.handle(denial(0))
    assert code(service, 0) == "rule_auto"
    for number in (1, 2):
        service.handle(denial(number, **record))
        assert code(service, number) == expected


def test_an_address_is_known_after_a_day(service: Service, denial: Denials) -> None:
    """It was asked about when it was new."""
    service.handle(denial(0), denial(1, sourceIPAddress="203.0.113.9"))
    service.clock.time += timedelta(days=1)
    service.handle(denial(2, sourceIPAddress="203.0.113.9"))
    assert [code(service, number) for number in range(3)] == ["rule_auto", "new_address", "rule_auto"]


def test_a_principal_made_anew_is_not_the_one_that_is_known(service: Service, denial: Denials) -> None:
    """It has the name, the address and the client of one that was granted what it asked for, and a person decides."""
    service.handle(denial(0))
    anew = make.role_identity(principalId="AROAEXAMPLEROLE000002:web-1")
    service.handle(denial(1, userIdentity=anew))
    assert code(service, 1) == "new_principal"
    service.clock.time += timedelta(hours=23)
    service.handle(denial(2, userIdentity=anew))
    assert code(service, 2) == "new_principal"
    service.clock.time += timedelta(hours=1)
    service.handle(denial(3, userIdentity=anew))
    assert code(service, 3) == "rule_auto"


def test_a_rule_that_names_its_networks_expects_the_address(service: Service, denial: Denials) -> None:
    """Calls from there apply, and calls from elsewhere ask."""
    service.rules(RULE | {"source_ips": ["192.0.2.0/24"]})
    service.handle(denial(0), denial(1, sourceIPAddress="192.0.2.99"), denial(2, sourceIPAddress="203.0.113.9"))
    assert [code(service, number) for number in range(3)] == ["rule_auto", "rule_auto", "outside_source_ips"]


def test_backfilled_and_unreadable_events_teach_nothing(service: Service, denial: Denials) -> None:
    """Else whoever can put in an event could vouch for an address."""
    forged = denial(1, errorMessage=make.message("arn:aws:iam::444455556666:user/other"))
    service.handle(denial(0) | {"origin": "backfill"}, forged)
    assert service.ledger.habits(make.ROLE).revision == 0


def test_a_quarantined_principal_is_never_asked_about(service: Service, denial: Denials) -> None:
    """Whether the message or its policies tell of it: an alert, and nothing else, whatever the rules say."""
    name = "AWSCompromisedKeyQuarantineV3"
    quarantine = f"arn:aws:iam::aws:policy/{name}"
    why = f"with an explicit deny in an identity-based policy: {quarantine}"  # aws-facts §2
    service.handle(denial(0, errorMessage=make.message(resource=PROFILES[0].arn, why=why)))
    service.iam.holdings = FakeIam(policy(statement("*", Effect="Deny"), name=name, arn=quarantine)).holdings
    service.handle(*map(denial, range(1, 4)))
    rows = service.ledger.with_counters(make.ROLE, FIRST_ROW).grants
    assert {(row.state, row.diagnosis, row.reason_code) for row in rows} == {
        (State.REPORTED, DiagnosisKind.LEAKED_KEY, "quarantined")
    }


def test_a_count_that_moved_meanwhile_is_read_again(service: Service, denial: Denials) -> None:
    """Two batches about one principal at once: the second decides by what the first has written."""
    service.probes = LIMITS
    service.handle(denial(0))
    ask = service.ledger.known

    def meanwhile(*keys: Any) -> Known:
        service.ledger.known = ask  # type: ignore[method-assign]
        found = ask(*keys)
        service.handle(denial(1))
        return found

    service.ledger.known = meanwhile  # type: ignore[method-assign, assignment]
    service.handle(denial(2))
    assert [code(service, number) for number in range(3)] == ["rule_auto", "rule_auto", "principal_cap_reached"]


def test_a_count_that_never_holds_still_is_left_to_the_queue(
    service: Service, denial: Denials, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After some tries the message is delivered again."""

    def conflict(*_: Any, **__: Any) -> None:
        raise HabitsChangedError(make.ROLE, "habits")

    monkeypatch.setattr(service.ledger, "open", conflict)
    with pytest.raises(AssertionError):
        service.handle(denial(0))
    assert issubclass(HabitsChangedError, ConflictError)


@pytest.fixture
def iam(aws: None) -> "IAMClient":
    """IAM, empty."""
    return boto3.client("iam")


class TestRemediate:
    """A row that says a rule approved it is held against the principal's other rows."""

    @pytest.fixture
    def world(self, iam: "IAMClient", ledger: Ledger) -> World:
        """A world in mode auto, whose rule allows everything."""
        return World(iam, ledger, replace(SETTINGS, probes=LIMITS))

    def test_more_grants_than_a_day_has_are_asked_about(self, world: World) -> None:
        """However many rows somebody wrote into the ledger, and however they date them."""
        role = world.role()
        long_ago = world.clock.now() - timedelta(days=9)
        dated = {"created_at": long_ago, "sighting": Sighting(event_id="e", time=long_ago)}
        states = [
            (row.state, row.reason_code) for row in (world.grant(role, nova(number), **dated) for number in range(4))
        ]
        assert states == [(State.ACTIVE, "rule_auto")] * 2 + [(State.PENDING, "principal_cap_reached")] * 2

    def test_a_row_that_says_it_is_being_applied_is_held_against_them_too(self, world: World) -> None:
        """Unless IAM shows that it has been written: then what came after it does not take it away."""
        role = world.role()
        long_ago = world.clock.now() - timedelta(days=9)
        dated = {"created_at": long_ago, "sighting": Sighting(event_id="e", time=long_ago)}
        stood = [world.grant(role, nova(number), **dated) for number in range(2)]
        before = world.policies(role)
        forged = world.put(world.row(role, nova(2), state=State.APPLYING, **dated))
        done = world.remediate(forged)
        assert done
        assert (done.state, done.reason_code) == (State.FAILED, "principal_cap_reached")
        assert world.policies(role) == before
        world.settings = replace(world.settings, probes=replace(LIMITS, grants_a_day=1))
        again = replace(stood[0], state=State.APPLYING, version=stood[0].version + 1)
        boto3.client("dynamodb").put_item(TableName="ledger", Item=grant_item(again))
        done = world.remediate(again)
        assert done
        assert done.state is State.ACTIVE

    def test_rows_of_many_models_are_asked_about(self, world: World) -> None:
        """When they wait for their turn together, none is applied."""
        role = world.role()
        rows = [world.approved(role, nova(number)) for number in range(4)]
        done = [world.remediate(row) for row in rows]
        assert {(row.state, row.reason_code) for row in done if row} == {(State.PENDING, "probing")}
        assert not world.policies(role)

    def test_what_was_refused_for_good_is_counted_too(self, world: World) -> None:
        """Garbage ids leave no request, and what is known of the principal tells of them."""
        role = world.role()
        garbage = tuple(Trait(f"vendor.model-{number}", world.clock.now()) for number in range(9))
        row = world.row(role)
        known = Habits(pk=role.arn, principal_id=row.principal_id, targets=garbage, revision=1)
        world.ledger.open(row, first_seen(row), habits=known)
        done = world.remediate(row)
        assert done
        assert (done.state, done.reason_code) == (State.PENDING, "probing")
        assert not world.policies(role)

    def test_what_a_person_approved_is_applied(self, world: World) -> None:
        """A person has looked."""
        role = world.role()
        rows = [world.approved(role, nova(number), decision=Outcome.ASK) for number in range(4)]
        world.approvals.genuine = {row.key for row in rows}
        assert [done.state for row in rows if (done := world.remediate(row))] == [State.ACTIVE] * 4


def test_times_are_those_of_the_calls(service: Service, denial: Denials) -> None:
    """A backlog of an old hour that comes at once is no probe of now; and no clock can be ahead of this one."""
    for number in range(10):
        time: datetime = service.clock.now() - timedelta(hours=2 * number)
        service.handle(denial(number, eventTime=f"{time:%Y-%m-%dT%H:%M:%SZ}"))
    assert {code(service, number) for number in range(9)} == {"rule_auto"}
    service.handle(denial(10, eventTime=f"{service.clock.now() + timedelta(days=300):%Y-%m-%dT%H:%M:%SZ}"))
    assert max(trait.at for trait in service.ledger.habits(make.ROLE).targets) == service.clock.now()
