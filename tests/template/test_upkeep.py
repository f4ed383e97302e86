"""When upkeep runs, and what happens to a round that fails."""

import json
from collections.abc import Callable, Mapping

import pytest

from sandbox.template import Stack


def test_upkeep_runs_by_the_clock(deploy: Callable[..., Stack]) -> None:
    """Every so many minutes, as the parameter says."""
    stack = deploy(UpkeepMinutes="30")
    schedule = stack.properties("UpkeepSchedule")
    assert schedule["ScheduleExpression"] == "rate(30 minutes)"
    assert schedule["FlexibleTimeWindow"] == {"Mode": "OFF"}
    assert json.loads(schedule["Target"]["Input"]) == {"task": "upkeep"}
    assert "State" not in schedule


def test_the_digest_goes_out_when_the_parameter_says(
    stack: Stack, deploy: Callable[..., Stack], everything: Mapping[str, str]
) -> None:
    """In UTC; without the parameter there is none."""
    assert list(stack.of_type("AWS::Scheduler::Schedule")) == ["UpkeepSchedule"]
    schedule = deploy(**everything).properties("DigestRound")
    assert schedule["ScheduleExpression"] == "cron(0 7 ? * MON-FRI *)"
    assert schedule["ScheduleExpressionTimezone"] == "UTC"
    assert json.loads(schedule["Target"]["Input"]) == {"task": "digest"}


@pytest.mark.parametrize("schedule", ["UpkeepSchedule", "DigestRound"])
def test_a_round_that_cannot_be_started_is_set_aside(whole: Stack, schedule: str) -> None:
    """After some tries; the schedules' own role may start upkeep, and nothing else."""
    target = whole.properties(schedule)["Target"]
    assert target["Arn"] == whole.arn("UpkeepFunction")
    assert target["RoleArn"] == whole.arn("UpkeepScheduleRole")
    assert target["DeadLetterConfig"] == {"Arn": whole.arn("UpkeepDeadLetters")}
    assert target["RetryPolicy"]["MaximumRetryAttempts"] > 0


def test_a_round_that_fails_twice_is_set_aside(stack: Stack) -> None:
    """Lambda would drop it otherwise, without a word."""
    (config,) = stack.of_type("AWS::Lambda::EventInvokeConfig").values()
    assert config["FunctionName"] == stack.ref("UpkeepFunction")
    assert config["MaximumRetryAttempts"] == 1
    assert config["DestinationConfig"] == {"OnFailure": {"Destination": stack.arn("UpkeepDeadLetters")}}


def test_a_round_ends_before_the_next_one_begins(stack: Stack) -> None:
    """At the shortest time between two that the parameter allows."""
    assert stack.properties("UpkeepFunction")["Timeout"] < 5 * 60
