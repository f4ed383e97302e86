"""Asking the simulator before a write, and after it until IAM has settled."""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from msgspec.structs import replace

from bedrock_remediator.aws.errors import RetryableError
from bedrock_remediator.aws.iam import Identity, Simulated, SimulationRefusedError
from bedrock_remediator.core.arn import Principal
from bedrock_remediator.core.grant import Grant, State
from bedrock_remediator.core.iam.evaluation import Holdings
from bedrock_remediator.core.simulation import Helpfulness, Judgement
from bedrock_remediator.flows.simulation import GrantSimulation
from tests.builders.aws import BORN, policy, statement
from tests.builders.grants import MODELS, NOON, PROFILE, pending_grant
from tests.builders.remediation import RunningClock

INVOKE, STREAM = "bedrock:InvokeModel", "bedrock:InvokeModelWithResponseStream"
NAMED = pending_grant(state=State.APPLYING)
"""The row of a message that said: no identity-based policy allows the action on the profile."""
GRANT = replace(NAMED, sighting=replace(NAMED.sighting, resource=None))
"""The row of a message that said anything else."""
REGIONS = ["us-east-1", "us-east-2", "us-west-2"]
MINUTE = timedelta(seconds=60)
Behaviour = Callable[[int, str, str], str | Exception]
"""(how many questions came before, region, ARN) -> a decision, `scp` for one by the organization, or an error."""


class Iam:
    """Answers by `behave`, and like IAM says of a whole question, not of its ARNs, what the organization allows."""

    def __init__(self, behave: Behaviour, trouble: Exception | None = None) -> None:
        self.behave = behave
        self.trouble = trouble
        self.asked: list[tuple[str, int]] = []
        self.contexts: list[Mapping[str, str]] = []
        self.actions: list[tuple[str, ...]] = []
        self.read = 0
        self.short = False
        self.holdings = Holdings(policies=())

    def simulate(
        self,
        principal_arn: str,
        actions: Sequence[str],
        resources: Sequence[str],
        context: Mapping[str, str],
        policies: Sequence[str] = (),
    ) -> list[Simulated]:
        """An answer for each action on each resource."""
        assert principal_arn == GRANT.pk
        region, number = context["aws:RequestedRegion"], len(self.asked)
        self.asked.append((region, len(resources)))
        self.contexts.append(context)
        self.actions.append(tuple(actions))
        decisions = {resource: self.behave(number, region, resource) for resource in resources}
        for decision in decisions.values():
            if isinstance(decision, Exception):
                raise decision
        whole = "scp" not in decisions.values()
        found = [
            answer(action, resource, str(decision), organizations=whole)
            for action in actions
            for resource, decision in decisions.items()
        ]
        assert len(policies) <= 2
        return found[1:] if self.short else found

    def identity(self, principal: Principal) -> Identity | None:
        """The principal with its policies."""
        self.read += 1
        if self.trouble:
            raise self.trouble
        return Identity(principal=principal, id="AROA", created_at=BORN, tags={}, holdings=self.holdings)

    @property
    def regions(self) -> list[str]:
        """The regions asked about."""
        return [region for region, _ in self.asked]


def answer(action: str, resource: str, decision: Any, *, organizations: bool = True) -> Simulated:
    """One answer."""
    word = {"scp": "explicitDeny", "boundary": "implicitDeny"}.get(decision, decision)
    assert word in ("allowed", "explicitDeny", "implicitDeny")
    return Simulated(
        action=action,
        resource=resource,
        decision=word,
        organizations=organizations,
        boundary=decision != "boundary",
        missing_context=(),
    )


def simulate(behave: Behaviour, **trouble: Exception) -> tuple[GrantSimulation, Iam, RunningClock]:
    """A simulation of that behaviour."""
    iam, clock = Iam(behave, **trouble), RunningClock()
    return GrantSimulation(iam, (), clock), iam, clock


def before(simulation: GrantSimulation, grant: Grant = NAMED) -> Judgement:
    """What it says before the write."""
    return simulation.before(grant, {"team": "ml"})


def after(
    simulation: GrantSimulation,
    wait: timedelta = MINUTE,
    deadline: timedelta = timedelta(hours=1),
    *,
    foreseen: bool = False,
) -> Judgement:
    """What it says after the write."""
    return simulation.after(NAMED, {}, foreseen=foreseen, wait=wait, deadline=NOON + deadline)


def test_a_forecast_asks_once_a_region_with_all_that_is_known() -> None:
    """The simulator fills in nothing, and takes what it is not given for absent (docs/aws-facts.md §4.5)."""
    simulation, iam, clock = simulate(lambda *_: "allowed")
    seen = replace(GRANT.sighting, session="i-1", source_ip="198.51.100.7", resource=PROFILE)
    assert before(simulation, replace(GRANT, sighting=replace(seen, source_ip="8.8.8.8"))).helpfulness == "helps"
    assert iam.asked == [("us-east-1", 2), ("us-east-2", 1), ("us-west-2", 1)]
    assert clock.waits == []
    assert dict(iam.contexts[0]) == {
        "aws:CurrentTime": "2026-11-20T12:00:00Z",
        "aws:EpochTime": "1795176000",
        "aws:PrincipalAccount": "123456789012",
        "aws:PrincipalArn": GRANT.pk,
        "aws:PrincipalTag/team": "ml",
        "aws:PrincipalType": "AssumedRole",
        "aws:RequestedRegion": "us-east-1",
        "aws:SecureTransport": "true",
        "aws:SourceIp": "8.8.8.8",
        "aws:userid": "AROAEXAMPLEEXAMPLE000:i-1",
        "bedrock:InferenceProfileArn": PROFILE,
    }


def test_only_the_denied_action_is_asked_about() -> None:
    """The row's actions are settled; what stops the other one undoes nothing."""
    simulation, iam, _ = simulate(lambda *_: "allowed")
    before(simulation)
    after(simulation)
    assert set(iam.actions) == {(INVOKE,)}


def test_an_scp_that_leaves_a_destination_out_is_found() -> None:
    """AWS fails the call if an SCP blocks a destination region, and the pair that was denied passes."""
    simulation, iam, _ = simulate(lambda _, region, __: "scp" if region == "us-west-2" else "allowed")
    assert before(simulation).helpfulness is Helpfulness.CERTAINLY_NOT
    assert iam.regions == REGIONS


def test_of_several_arns_the_one_that_an_scp_stops_is_found() -> None:
    """What is said of the organization is about the whole question: only then each ARN is asked alone, and another."""
    simulation, iam, _ = simulate(lambda _, __, arn: "scp" if arn == MODELS[0] else "allowed")
    judgement = before(simulation)
    assert judgement.helpfulness is Helpfulness.CERTAINLY_NOT
    assert MODELS[0] in judgement.reason
    assert iam.asked == [("us-east-1", 2), ("us-east-1", 1), ("us-east-1", 1)]


def test_an_scp_that_stops_every_model_where_the_profile_passes_is_not_believed() -> None:
    """A required guardrail looks so (facts §4.13): a model that does not exist is stopped as well. It is asked once."""
    simulation, iam, _ = simulate(lambda _, __, arn: "scp" if ":foundation-model/" in arn else "allowed")
    judgement = before(simulation)
    assert (judgement.helpfulness, judgement.layer) == (Helpfulness.INCONCLUSIVE, "scp")
    assert "every other model as well" in judgement.reason
    assert iam.asked.count(("us-east-1", 1)) == 2
    assert set(iam.regions) == set(REGIONS)


def test_an_scp_that_stops_every_model_of_the_profiles_region_alone_is_not_believed_either() -> None:
    """AWS's example of a required guardrail names one region; the models of the others pass."""
    simulation, *_ = simulate(lambda _, __, arn: "scp" if ":us-east-1::foundation-model/" in arn else "allowed")
    assert before(simulation).helpfulness is Helpfulness.INCONCLUSIVE


def test_an_scp_that_stops_another_region_is_believed_where_a_model_of_the_profiles_region_passes() -> None:
    """A region that is left out stops what is routed there (facts §4.5), and no comparison is needed to know it."""
    simulation, iam, _ = simulate(lambda _, region, __: "scp" if region == "us-west-2" else "allowed")
    assert before(simulation).helpfulness is Helpfulness.CERTAINLY_NOT
    assert iam.regions == REGIONS


def test_where_the_comparison_is_not_answered_the_refusal_is_believed() -> None:
    """The pair of AWS's message passes, and nothing says that other models do not."""
    refused = SimulationRefusedError("no such resource")
    simulation, *_ = simulate(
        lambda _, __, arn: refused if "no-such-model" in arn else "scp" if arn == MODELS[0] else "allowed"
    )
    assert before(simulation).helpfulness is Helpfulness.CERTAINLY_NOT


def test_the_denied_pair_is_told_apart_first() -> None:
    """Where the simulator stops it, against AWS's word, no other question is worth asking."""
    simulation, iam, clock = simulate(lambda *_: "scp")
    judgement = before(simulation)
    assert (judgement.helpfulness, judgement.layer) == (Helpfulness.INCONCLUSIVE, "scp")
    assert iam.asked == [("us-east-1", 2), ("us-east-1", 1)]
    assert after(simulation).helpfulness is Helpfulness.INCONCLUSIVE
    assert clock.waits == [2.0]


def test_without_the_word_of_aws_nothing_is_told_apart() -> None:
    """The refusal proves nothing then, whichever ARN it is about."""
    simulation, iam, _ = simulate(lambda *_: "scp")
    assert before(simulation, GRANT).helpfulness is Helpfulness.INCONCLUSIVE
    assert iam.regions == REGIONS


def test_a_pair_outside_the_grant_is_asked_where_it_matters() -> None:
    """The client may have called the model by its own id, which the grant is not about."""
    other = "arn:aws:bedrock:eu-west-1::foundation-model/amazon.nova-2-lite-v1:0"
    row = replace(GRANT, sighting=replace(GRANT.sighting, resource=other))
    simulation, iam, _ = simulate(lambda _, region, __: "scp" if region == "us-west-2" else "allowed")
    assert before(simulation, row).helpfulness is Helpfulness.CERTAINLY_NOT
    assert iam.regions == [*REGIONS, "eu-west-1"]
    simulation, iam, _ = simulate(lambda *_: "allowed")
    assert before(simulation, row).helpfulness is Helpfulness.HELPS
    assert iam.regions == REGIONS


def test_a_boundary_is_read_only_where_the_simulator_says_that_it_stops_something() -> None:
    """Then it decides: here it allows another model only."""
    simulation, iam, _ = simulate(lambda *_: "allowed")
    before(simulation)
    assert iam.read == 0
    simulation, iam, _ = simulate(lambda *_: "boundary")
    iam.holdings = Holdings(policies=(), boundary=policy(statement("arn:aws:bedrock:*::foundation-model/other")))
    assert before(simulation).helpfulness is Helpfulness.CERTAINLY_NOT
    assert iam.read == 1


def test_a_boundary_that_hangs_on_a_key_proves_nothing() -> None:
    """It may let the call pass, whatever the simulator makes of the missing key."""
    simulation, iam, _ = simulate(lambda *_: "boundary")
    network = {"StringEquals": {"aws:SourceVpc": "vpc-1"}}
    iam.holdings = Holdings(policies=(), boundary=policy(statement("*", Condition=network)))
    judgement = before(simulation)
    assert (judgement.helpfulness, judgement.layer) == (Helpfulness.INCONCLUSIVE, "boundary")


@pytest.mark.parametrize("trouble", [RetryableError("busy"), ClientError({"Error": {"Code": "AccessDenied"}}, "Get")])
def test_a_boundary_that_cannot_be_read_proves_nothing(trouble: Exception) -> None:
    """The simulator's word alone is not enough."""
    simulation, _, _ = simulate(lambda *_: "boundary", trouble=trouble)
    assert before(simulation).helpfulness is Helpfulness.INCONCLUSIVE


@pytest.mark.parametrize(
    "error", [SimulationRefusedError("InvalidInput"), ClientError({"Error": {"Code": "AccessDenied"}}, "Simulate")]
)
def test_a_question_that_is_refused_leaves_the_forecast_open(error: Exception) -> None:
    """Nothing is proved, and nobody has to try again."""
    simulation, _, _ = simulate(lambda count, *_: error if count < 2 else "allowed")
    assert before(simulation).helpfulness is Helpfulness.INCONCLUSIVE


def test_a_forecast_waits_for_a_busy_simulator() -> None:
    """Throttling is no answer: the message is delivered again."""
    simulation, _, _ = simulate(lambda *_: RetryableError("throttled"))
    with pytest.raises(RetryableError):
        before(simulation)


def test_after_the_write_only_what_is_open_is_asked_again() -> None:
    """A region that works is settled; while one does not, the others can wait."""
    simulation, iam, clock = simulate(lambda count, *_: "implicitDeny" if count in (0, 2) else "allowed")
    assert after(simulation).helpfulness is Helpfulness.HELPS
    assert iam.regions == ["us-east-1", "us-east-1", "us-east-2", "us-east-2", "us-west-2"]
    assert clock.waits == [2.0, 4.0, 8.0]


def test_after_a_good_forecast_one_question_tells_that_iam_has_settled() -> None:
    """The document that was written is the one that was asked about a moment ago."""
    simulation, iam, _ = simulate(lambda count, *_: "implicitDeny" if count == 0 else "allowed")
    assert after(simulation, foreseen=True).helpfulness is Helpfulness.HELPS
    assert iam.regions == ["us-east-1", "us-east-1"]


def test_an_implicit_deny_to_the_end_proves_nothing() -> None:
    """IAM may not have settled; the waiting is as long as it was given, and not longer."""
    simulation, _, clock = simulate(lambda *_: "implicitDeny")
    assert after(simulation).helpfulness is Helpfulness.INCONCLUSIVE
    assert sum(clock.waits) == 60
    assert max(clock.waits) == 8.0
    assert clock.waits[:3] == [2.0, 4.0, 8.0]


def test_a_certain_refusal_ends_the_waiting() -> None:
    """No lag of IAM explains it."""
    simulation, iam, clock = simulate(lambda _, region, __: "scp" if region == "us-west-2" else "allowed")
    assert after(simulation).helpfulness is Helpfulness.CERTAINLY_NOT
    assert (len(iam.asked), clock.waits) == (3, [2.0])


def test_the_deadline_ends_the_waiting() -> None:
    """The function must not be cut off: what is left of its time counts, not what was wished for."""
    simulation, _, clock = simulate(lambda *_: "implicitDeny")
    assert after(simulation, deadline=timedelta(seconds=5)).helpfulness is Helpfulness.INCONCLUSIVE
    assert clock.waits == [2.0, 3.0]


def test_without_any_time_nothing_is_asked() -> None:
    """A deadline that has passed leaves the matter open."""
    simulation, iam, _ = simulate(lambda *_: "allowed")
    assert after(simulation, deadline=timedelta(0)).helpfulness is Helpfulness.INCONCLUSIVE
    assert iam.asked == []


def test_no_wait_asks_once() -> None:
    """VerifySeconds of nought is one look, at once."""
    simulation, iam, clock = simulate(lambda *_: "allowed")
    assert after(simulation, wait=timedelta(0)).helpfulness is Helpfulness.HELPS
    assert (len(iam.asked), clock.waits) == (3, [])


def test_a_busy_simulator_is_asked_again_after_the_write() -> None:
    """The grant is in place: throttling costs time, not the grant."""
    simulation, _, clock = simulate(lambda count, *_: RetryableError("throttled") if count < 1 else "allowed")
    assert after(simulation).helpfulness is Helpfulness.HELPS
    assert clock.waits == [2.0, 4.0]


def test_a_simulator_that_is_busy_to_the_end_proves_nothing() -> None:
    """Also where other regions were answered well."""
    simulation, _, _ = simulate(lambda _, region, __: "allowed" if region == "us-east-1" else RetryableError("busy"))
    assert after(simulation).helpfulness is Helpfulness.INCONCLUSIVE


def test_a_question_that_is_refused_is_not_asked_again() -> None:
    """The others still are; together they prove nothing, without waiting for what will not come."""
    refused = SimulationRefusedError("InvalidInput")
    simulation, iam, clock = simulate(
        lambda count, region, _: refused if region == "us-east-1" else "allowed" if count > 1 else "implicitDeny"
    )
    assert after(simulation).helpfulness is Helpfulness.INCONCLUSIVE
    assert iam.regions == ["us-east-1", "us-east-2", "us-east-2", "us-west-2"]
    assert clock.waits == [2.0, 4.0]


def test_an_answer_that_leaves_something_out_is_no_proof() -> None:
    """Every action on every resource must be answered."""
    simulation, iam, _ = simulate(lambda *_: "allowed")
    iam.short = True
    assert before(simulation).helpfulness is Helpfulness.INCONCLUSIVE
    assert after(simulation).helpfulness is Helpfulness.INCONCLUSIVE
