"""What ordinary organisations do to a denial that a grant repairs, in both readings of what AWS says of its simulator.

Each expectation is AWS's: docs/aws-facts.md §4.5, and *Geographic cross-Region inference* for destinations that a
service control policy blocks. The denial is the guide's own case: a user whose policy names the model in one region is
denied InvokeModelWithResponseStream on the `us.` profile.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
import pytest

from sandbox.report import report
from sandbox.running import handle, read_events, time_after
from sandbox.stack import Options, Sandbox
from sandbox.world import DEFAULT_WORLD, Reading, World, read_world
from tests.e2e.test_sample_events import EVENTS, RULES

EVENT: Final = EVENTS / "geographic-profile.json"
USER: Final = "arn:aws:iam::123456789012:user/nova-developer"
PROFILE: Final = "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.amazon.nova-2-lite-v1:0"
MODEL: Final = "arn:aws:bedrock:{}::foundation-model/amazon.nova-2-lite-v1:0"
INVOKE, STREAM = "bedrock:InvokeModel", "bedrock:InvokeModelWithResponseStream"

CONDITIONAL, SKIPPED = Reading(), Reading(conditional_scps=False)
SILENT, TELLING = Reading(reports_boundary_keys=False), Reading(reports_boundary_keys=True)
BOTH: Final = [CONDITIONAL, SKIPPED]
SIMULATED: Final = ("active", "rule_auto", "simulated")
INCONCLUSIVE: Final = ("active", "rule_auto", "inconclusive")
NO_HELP: Final = ("reported", "certainly_no_help", None)


def document(**statement: Any) -> dict[str, Any]:
    """A policy of one statement."""
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Resource": "*", **statement}]}


NO_LLAMA: Final = document(Action="bedrock:*", Resource="arn:aws:bedrock:*::foundation-model/meta.*")
PERIMETER: Final = document(
    Action="bedrock:InvokeModel*", Condition={"StringNotEqualsIfExists": {"aws:SourceVpc": "vpc-0a1b2c3d"}}
)
GUARDRAIL: Final = document(
    Action="bedrock:InvokeModel*", Condition={"StringNotEquals": {"bedrock:GuardrailIdentifier": "gr-1"}}
)
GUARDRAIL_ON_MODELS: Final = document(
    Action="bedrock:InvokeModel*",
    Resource="arn:aws:bedrock:*::foundation-model/*",
    Condition={"StringNotEquals": {"bedrock:GuardrailIdentifier": "gr-1"}},
)
GUARDRAIL_HERE: Final = document(
    Action=["bedrock:InvokeModel", "bedrock:InvokeModelWithResponseStream"],
    Resource="arn:aws:bedrock:us-east-1::foundation-model/*",
    Condition={"StringNotEquals": {"bedrock:GuardrailIdentifier": "gr-1"}},
)
PERIMETER_OF_MODELS: Final = document(
    Action=["bedrock:InvokeModel", "bedrock:InvokeModelWithResponseStream"],
    Resource="arn:aws:bedrock:*::foundation-model/*",
    Condition={"StringNotEqualsIfExists": {"aws:SourceVpc": "vpc-0a1b2c3d"}},
)
NO_NOVA: Final = document(Action="bedrock:*", Resource="arn:aws:bedrock:*::foundation-model/amazon.nova-*")
REGIONS: Final = document(
    NotAction=["iam:*", "sts:*", "organizations:*"],
    Condition={"StringNotEquals": {"aws:RequestedRegion": ["us-east-1", "us-east-2"]}},
)
ALL_REGIONS: Final = document(
    NotAction=["iam:*", "sts:*", "organizations:*"],
    Condition={"StringNotEquals": {"aws:RequestedRegion": ["us-east-1", "us-east-2", "us-west-2"]}},
)
OTHERS_ONLY: Final = document(Action="bedrock:InvokeModel*", Condition={"ArnNotLike": {"aws:PrincipalArn": USER}})
INSECURE: Final = document(Action="bedrock:InvokeModel*", Condition={"Bool": {"aws:SecureTransport": "false"}})
FROZEN: Final = document(
    Action="bedrock:InvokeModel*", Condition={"DateLessThan": {"aws:CurrentTime": "2026-01-01T00:00:00Z"}}
)
DESTINATION: Final = document(Action="bedrock:InvokeModel*", Resource=MODEL.format("us-west-2"))
SOURCE_MODEL: Final = document(Action="bedrock:InvokeModel*", Resource=MODEL.format("us-east-1"))
NO_INVOKE: Final = document(Action=INVOKE)


def world(*scps: Mapping[str, Any], reading: Reading = CONDITIONAL, **user: Any) -> World:
    """The world of the sample events, under these service control policies, with the user changed."""
    given = read_world(DEFAULT_WORLD)
    (before,) = [each for each in given.users if each.name == "nova-developer"]
    after = msgspec.convert(msgspec.to_builtins(before) | user, type(before))
    users = tuple(after if each == before else each for each in given.users)
    return msgspec.structs.replace(given, users=users, scps=tuple(map(dict, scps)), simulator=reading)


def run(given: World, rules: str = RULES) -> dict[str, Any]:
    """What becomes of the denial."""
    events = read_events([EVENT])
    options = Options(parameters={"Mode": "auto"}, allowlist={"main": rules}, now=time_after(events))
    with Sandbox(given, options) as stack:
        handle(stack, events)
        assert not stack.failures
        return report(stack)


def end(content: Mapping[str, Any]) -> tuple[str, str, str | None]:
    """How the one row ended."""
    (row,) = content["grants"]
    return row["state"], row["reason_code"], row["verification"]


def written(content: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The statements that the service has written for the user."""
    documents: Sequence[Mapping[str, Any]] = [
        each["document"] for each in content["policies"][USER] if "bedrock-access-remediator" in (each["arn"] or "")
    ]
    return [statement for each in documents for statement in each["Statement"]]


@pytest.mark.parametrize("scp", [PERIMETER, GUARDRAIL, GUARDRAIL_ON_MODELS, GUARDRAIL_HERE, PERIMETER_OF_MODELS])
@pytest.mark.parametrize(("reading", "expected"), [(CONDITIONAL, INCONCLUSIVE), (SKIPPED, SIMULATED)])
def test_a_control_that_only_a_real_call_can_meet_stops_no_grant(
    scp: Mapping[str, Any], reading: Reading, expected: tuple[str, str, str]
) -> None:
    """AWS said that the identity policy alone was lacking: the caller was in the network, and named the guardrail."""
    content = run(world(scp, NO_LLAMA, reading=reading))
    assert end(content) == expected
    assert {action for each in written(content) for action in each["Action"] if action.startswith(INVOKE)} == {
        INVOKE,
        STREAM,
    }


def test_an_inconclusive_grant_says_which_layer_the_simulator_named() -> None:
    """The reason stands in the row's history, for whoever wonders."""
    given, events = world(PERIMETER), read_events([EVENT])
    options = Options(parameters={"Mode": "auto"}, allowlist={"main": RULES}, now=time_after(events))
    with Sandbox(given, options) as stack:
        handle(stack, events)
        (row,) = [item for item in stack.ledger.items() if "state" in item]
    assert "a service control policy of the organization stops" in row["history"][-1]["reason"]


@pytest.mark.parametrize("scp", [ALL_REGIONS, OTHERS_ONLY, INSECURE, FROZEN])
@pytest.mark.parametrize("reading", BOTH)
def test_an_scp_that_lets_the_call_pass_is_seen_to(scp: Mapping[str, Any], reading: Reading) -> None:
    """Region, principal, transport and time are given, each with its type."""
    assert end(run(world(scp, reading=reading))) == SIMULATED


@pytest.mark.parametrize(("reading", "expected"), [(CONDITIONAL, NO_HELP), (SKIPPED, SIMULATED)])
def test_a_region_scp_that_leaves_a_destination_out_is_found_before_anything_is_written(
    reading: Reading, expected: tuple[str, str, str | None]
) -> None:
    """AWS fails a cross-Region call if an SCP blocks one destination; what skips the SCP cannot know."""
    content = run(world(REGIONS, reading=reading))
    assert end(content) == expected
    assert bool(written(content)) is (expected is SIMULATED)


@pytest.mark.parametrize("scp", [DESTINATION, SOURCE_MODEL])
@pytest.mark.parametrize("reading", BOTH)
def test_an_unconditional_deny_of_one_arn_is_found_before_anything_is_written(
    scp: Mapping[str, Any], reading: Reading
) -> None:
    """The pair that was denied passes, so the refusal is believed; also of an ARN of the same region."""
    content = run(world(scp, reading=reading))
    assert end(content) == NO_HELP
    assert content["grants"][0]["layer"] == "scp"
    assert not written(content)
    assert "iam:CreatePolicy" not in content["calls"]


@pytest.mark.parametrize("reading", BOTH)
def test_an_scp_against_the_other_action_takes_it_out(reading: Reading) -> None:
    """Row and document name the one action that was denied."""
    content = run(world(NO_INVOKE, reading=reading))
    assert end(content) == SIMULATED
    assert content["grants"][0]["actions"] == [STREAM]
    assert {action for each in written(content) for action in each["Action"] if action.startswith(INVOKE)} == {STREAM}


@pytest.mark.parametrize("reading", [SILENT, TELLING])
@pytest.mark.parametrize("effect", ["Deny", "Allow"])
def test_a_boundary_with_a_condition_is_a_persons_to_judge_at_most(reading: Reading, effect: str) -> None:
    """It can be read: it hangs on a key that is not known, so it certainly stops nothing."""
    network = {"StringEquals" if effect == "Allow" else "StringNotEquals": {"aws:SourceVpc": "vpc-0a1b2c3d"}}
    boundary = document(Effect=effect, Action="*", Condition=network)
    if effect == "Deny":
        boundary["Statement"].append({"Effect": "Allow", "Action": "*", "Resource": "*"})
    state, code, _ = end(run(world(boundary=boundary, reading=reading)))
    assert state in ("active", "pending")
    assert code != "certainly_no_help"


@pytest.mark.parametrize("reading", [SILENT, TELLING])
def test_a_boundary_against_the_other_action_takes_it_out(reading: Reading) -> None:
    """The boundary stops InvokeModel; streaming was denied."""
    boundary = document(Effect="Allow", NotAction=INVOKE)
    content = run(world(boundary=boundary, reading=reading))
    assert end(content) == SIMULATED
    assert content["grants"][0]["actions"] == [STREAM]
    assert {action for each in written(content) for action in each["Action"] if action.startswith(INVOKE)} == {STREAM}


def test_a_deny_of_the_other_action_takes_it_out() -> None:
    """The user's own policy forbids InvokeModel on the model."""
    content = run(world(inline={"NoInvoke": document(Action=INVOKE, Resource=MODEL.format("*"))}))
    assert end(content) == SIMULATED
    assert content["grants"][0]["actions"] == [STREAM]
    assert {action for each in written(content) for action in each["Action"] if action.startswith(INVOKE)} == {STREAM}


@pytest.mark.parametrize("reading", BOTH)
def test_a_grant_with_an_end_is_simulated(reading: Reading) -> None:
    """aws:CurrentTime is given as a date, so IAM allows the call until the grant's end."""
    rules = RULES.replace("    effect: auto\n", "    effect: auto\n    expires_after: 30d\n")
    content = run(world(reading=reading), rules)
    assert end(content) == SIMULATED
    assert content["grants"][0]["expires_at"]
    assert all("aws:CurrentTime" in each["Condition"]["DateLessThan"] for each in written(content))
