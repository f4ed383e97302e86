"""Asking the simulator before a write, and after it until IAM has settled."""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from bedrock_remediator.aws.errors import RetryableError
from bedrock_remediator.aws.iam import Simulated, SimulationRefusedError
from bedrock_remediator.core.grant import State
from bedrock_remediator.core.verification import Helpfulness, Judgement
from bedrock_remediator.flows.simulation import Simulation
from tests.builders.grants import NOON, pending_grant
from tests.builders.remediation import RunningClock

GRANT = pending_grant(state=State.APPLYING)
CALL = (GRANT.pk, GRANT.actions)
MINUTE = timedelta(seconds=60)
Behaviour = Callable[[int, str], str | Exception]


EVERYWHERE = "everywhere"
"""The region of a question that leaves it open."""


def by_region(decide: Behaviour) -> Behaviour:
    """A behaviour of policies that ask for the region: without one, something is missing."""
    return lambda count, region: "region missing" if region == EVERYWHERE else decide(count, region)


class Simulator:
    """Answers by `behave`: (how many questions came before, region) -> decision, or an error to raise."""

    def __init__(self, behave: Behaviour) -> None:
        self.behave = behave
        self.asked: list[tuple[str, int]] = []
        self.short = False

    def simulate(
        self,
        principal_arn: str,
        actions: Sequence[str],
        resources: Sequence[str],
        context: Mapping[str, str],
        policies: Sequence[str] = (),
    ) -> list[Simulated]:
        """The same decision for every action on every resource."""
        assert (principal_arn, tuple(actions)) == CALL
        region = context.get("aws:RequestedRegion", EVERYWHERE)
        decision = self.behave(len(self.asked), region)
        self.asked.append((region, len(policies)))
        if isinstance(decision, Exception):
            raise decision
        if decision == "scp":
            return [answer(actions[0], resources[0], "implicitDeny", organizations=False)]
        if decision == "region missing":
            return [answer(actions[0], resources[0], "implicitDeny", missing=("aws:requestedregion",))]
        found = [answer(action, resource, decision) for action in actions for resource in resources]
        return found[1:] if self.short else found


def answer(
    action: str, resource: str, decision: Any, *, organizations: bool = True, missing: tuple[str, ...] = ()
) -> Simulated:
    """One answer."""
    assert decision in ("allowed", "explicitDeny", "implicitDeny")
    return Simulated(
        action=action,
        resource=resource,
        decision=decision,
        organizations=organizations,
        boundary=None,
        missing_context=missing,
    )


def simulate(behave: Behaviour) -> tuple[Simulation, Simulator, RunningClock]:
    """A simulation of that behaviour."""
    simulator, clock = Simulator(behave), RunningClock()
    return Simulation(simulator, (), clock), simulator, clock


def outcome(simulation: Simulation, wait: timedelta = MINUTE, deadline: timedelta = timedelta(hours=1)) -> Judgement:
    """What it says after the write."""
    return simulation.outcome(GRANT, wait=wait, deadline=NOON + deadline)


def test_a_forecast_asks_once_with_the_document() -> None:
    """The policy does not exist yet, so the simulator is given it; no policy asks for the region, so neither is it."""
    simulation, simulator, clock = simulate(lambda _, __: "allowed")
    assert simulation.forecast(GRANT).helpfulness is Helpfulness.HELPS
    assert simulator.asked == [(EVERYWHERE, 1)]
    assert clock.waits == []


def test_a_forecast_asks_region_by_region_where_a_policy_asks_for_it() -> None:
    """The answer for all of them says that the region was missing."""
    simulation, simulator, _ = simulate(by_region(lambda _, __: "allowed"))
    assert simulation.forecast(GRANT).helpfulness is Helpfulness.HELPS
    assert simulator.asked == [(region, 1) for region in (EVERYWHERE, "us-east-1", "us-east-2", "us-west-2")]


def test_a_certain_refusal_is_asked_again_with_the_region() -> None:
    """Under a negated operator a missing region looks like a deny: with it, the grant helps."""
    simulation, _, _ = simulate(lambda _, region: "explicitDeny" if region == EVERYWHERE else "allowed")
    assert simulation.forecast(GRANT).helpfulness is Helpfulness.HELPS
    assert outcome(simulation).helpfulness is Helpfulness.HELPS


def test_a_forecast_tells_what_certainly_does_not_help() -> None:
    """One region that an SCP denies is enough: calls would fail as routing has it."""
    simulation, _, _ = simulate(lambda _, region: "scp" if region in (EVERYWHERE, "us-west-2") else "allowed")
    assert simulation.forecast(GRANT).helpfulness is Helpfulness.CERTAINLY_NOT


@pytest.mark.parametrize(
    "error", [SimulationRefusedError("InvalidInput"), ClientError({"Error": {"Code": "AccessDenied"}}, "Simulate")]
)
def test_a_question_that_is_refused_leaves_the_forecast_open(error: Exception) -> None:
    """Nothing is proved, and nobody has to try again."""
    simulation, _, _ = simulate(lambda count, _: error if count < 2 else "allowed")
    assert simulation.forecast(GRANT).helpfulness is Helpfulness.INCONCLUSIVE


def test_a_forecast_waits_for_a_busy_simulator() -> None:
    """Throttling is no answer: the message is delivered again."""
    simulation, _, _ = simulate(lambda _, __: RetryableError("throttled"))
    with pytest.raises(RetryableError):
        simulation.forecast(GRANT)


def test_after_the_write_only_what_is_open_is_asked_again() -> None:
    """A region that works is settled; the others are asked until they are."""
    simulation, simulator, clock = simulate(
        by_region(lambda count, _: "allowed" if count > 3 or count == 2 else "implicitDeny")
    )
    assert outcome(simulation).helpfulness is Helpfulness.HELPS
    assert [region for region, _ in simulator.asked] == [
        EVERYWHERE,
        "us-east-1",
        "us-east-2",
        "us-west-2",
        "us-east-1",
        "us-west-2",
    ]
    assert {policies for _, policies in simulator.asked} == {0}
    assert clock.waits == [2.0, 4.0]


def test_until_iam_has_settled_all_regions_are_asked_at_once() -> None:
    """A refusal that has nothing to do with the region is one question again."""
    simulation, simulator, clock = simulate(lambda count, _: "allowed" if count else "implicitDeny")
    assert outcome(simulation).helpfulness is Helpfulness.HELPS
    assert simulator.asked == [(EVERYWHERE, 0), (EVERYWHERE, 0)]
    assert clock.waits == [2.0, 4.0]


def test_an_implicit_deny_to_the_end_proves_nothing() -> None:
    """IAM may not have settled; the waiting is as long as it was given, and not longer."""
    simulation, _, clock = simulate(lambda _, __: "implicitDeny")
    judgement = outcome(simulation)
    assert judgement.helpfulness is Helpfulness.INCONCLUSIVE
    assert sum(clock.waits) == 60
    assert max(clock.waits) == 8.0
    assert clock.waits[:3] == [2.0, 4.0, 8.0]


@pytest.mark.parametrize("decision", ["explicitDeny", "scp"])
def test_a_certain_refusal_ends_the_waiting(decision: str) -> None:
    """No lag of IAM explains it."""
    simulation, simulator, clock = simulate(lambda count, _: decision if count in (0, 2) else "implicitDeny")
    assert outcome(simulation).helpfulness is Helpfulness.CERTAINLY_NOT
    assert (len(simulator.asked), clock.waits) == (3, [2.0])


def test_the_deadline_ends_the_waiting() -> None:
    """The function must not be cut off: what is left of its time counts, not what was wished for."""
    simulation, _, clock = simulate(lambda _, __: "implicitDeny")
    assert outcome(simulation, deadline=timedelta(seconds=5)).helpfulness is Helpfulness.INCONCLUSIVE
    assert clock.waits == [2.0, 3.0]


def test_without_any_time_nothing_is_asked() -> None:
    """A deadline that has passed leaves the matter open."""
    simulation, simulator, _ = simulate(lambda _, __: "allowed")
    assert outcome(simulation, deadline=timedelta(0)).helpfulness is Helpfulness.INCONCLUSIVE
    assert simulator.asked == []


def test_no_wait_asks_once() -> None:
    """VerifySeconds of nought is one look, at once."""
    simulation, simulator, clock = simulate(lambda _, __: "allowed")
    assert outcome(simulation, wait=timedelta(0)).helpfulness is Helpfulness.HELPS
    assert (len(simulator.asked), clock.waits) == (1, [])


def test_a_busy_simulator_is_asked_again_after_the_write() -> None:
    """The grant is in place: throttling costs time, not the grant."""
    simulation, _, clock = simulate(lambda count, _: RetryableError("throttled") if count < 1 else "allowed")
    assert outcome(simulation).helpfulness is Helpfulness.HELPS
    assert clock.waits == [2.0, 4.0]


def test_a_simulator_that_is_busy_to_the_end_proves_nothing() -> None:
    """Also where the last answer that came was a good one."""
    simulation, _, _ = simulate(
        by_region(lambda _, region: "allowed" if region == "us-west-2" else RetryableError("throttled"))
    )
    assert outcome(simulation).helpfulness is Helpfulness.INCONCLUSIVE


def test_a_question_that_is_refused_is_not_asked_again() -> None:
    """The others still are; together they prove nothing, without waiting for what will not come."""
    refused = SimulationRefusedError("InvalidInput")
    simulation, simulator, clock = simulate(
        lambda _, region: refused if region in (EVERYWHERE, "us-east-1") else "allowed"
    )
    assert outcome(simulation).helpfulness is Helpfulness.INCONCLUSIVE
    assert (len(simulator.asked), clock.waits) == (4, [2.0])


def test_an_answer_that_leaves_something_out_is_no_proof() -> None:
    """Every action on every resource must be answered."""
    simulation, simulator, _ = simulate(lambda _, __: "allowed")
    simulator.short = True
    assert simulation.forecast(GRANT).helpfulness is Helpfulness.INCONCLUSIVE
    assert outcome(simulation).helpfulness is Helpfulness.INCONCLUSIVE
