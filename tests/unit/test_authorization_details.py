"""What IAM's record of a refused request makes of its denial. Facts: docs/aws-facts.md §4.12."""

import json
from typing import Any

import pytest

from bedrock_remediator.core import cloudtrail
from bedrock_remediator.core.authorization_details import Stop, corrected, decisive, read, told
from bedrock_remediator.core.cloudtrail import Denial
from bedrock_remediator.core.diagnosis.refusals import from_message
from bedrock_remediator.core.layers import Effect, Layer
from tests.builders.records import ACTION, PROFILE, event, model

SCP = "arn:aws:organizations::444455556666:policy/o-example12345/service_control_policy/p-example1"
CHECKS = {
    "RESOURCE_CONTROL_POLICY": Layer.RCP,
    "SERVICE_CONTROL_POLICY": Layer.SCP,
    "VPC_ENDPOINT": Layer.VPC_ENDPOINT,
    "RESOURCE": Layer.RESOURCE,
    "PERMISSIONS_BOUNDARY": Layer.BOUNDARY,
    "SESSION": Layer.SESSION,
}


def check(kind: str, effect: str, *policies: str) -> dict[str, Any]:
    """One layer's check."""
    return {"checkType": kind, "evaluatedEffect": effect, "matchedPolicies": [{"uri": uri} for uri in policies]}


def evaluation(*checks: dict[str, Any], action: str = ACTION, resource: str = PROFILE) -> dict[str, Any]:
    """One action on one resource."""
    return {"action": action, "resource": resource, "evaluatedEffect": "IMPLICIT_DENY", "checks": list(checks)}


def denial() -> Denial:
    """A denial whose message says that no identity-based policy allows the call."""
    found = cloudtrail.read(json.dumps(event()))
    assert isinstance(found, Denial)
    return found


def after(*evaluations: dict[str, Any]) -> Denial:
    """A denial whose message names the identity layer, with what IAM recorded of it."""
    return corrected(denial(), read([{"evaluations": list(evaluations)}]))


@pytest.mark.parametrize("effect", ["IMPLICIT_DENY", "EXPLICIT_DENY"])
@pytest.mark.parametrize("kind", CHECKS)
def test_a_layer_that_stopped_the_call_is_believed_over_the_message(kind: str, effect: str) -> None:
    """Where IAM recorded that another layer stopped the call too, a grant would be no remedy, and none is offered."""
    found = after(evaluation(check(kind, effect, SCP), check("PRINCIPAL", "IMPLICIT_DENY")))
    assert found.layer is CHECKS[kind]
    assert found.policy_arn == SCP
    advice = from_message(found)
    assert advice is not None
    assert not advice.grantable


def test_an_explicit_deny_of_the_principals_policies_is_one() -> None:
    """A Deny among the principal's policies that IAM recorded wins over what the message says is merely missing."""
    found = after(evaluation(check("PRINCIPAL", "EXPLICIT_DENY")))
    assert (found.layer, found.effect) == (Layer.IDENTITY, Effect.EXPLICIT)
    assert from_message(found) is not None


def test_a_missing_allow_alone_changes_nothing() -> None:
    """Where the principal's policies are all that is missing, the denial stays what its message says."""
    checks = (
        check("SERVICE_CONTROL_POLICY", "ALLOW"),
        check("SESSION", "NO_IMPACT"),
        check("PRINCIPAL", "IMPLICIT_DENY"),
    )
    assert after(evaluation(*checks)) == denial()


def test_a_check_of_a_type_that_is_not_known_is_a_persons_to_judge() -> None:
    """What stopped the call in a way that nobody here knows is never taken for a missing grant with certainty."""
    found = after(evaluation(check("NEXT_YEARS_POLICY", "IMPLICIT_DENY"), check("PRINCIPAL", "IMPLICIT_DENY")))
    assert found.layer is Layer.UNKNOWN
    assert not found.certain


def test_a_deny_is_named_before_a_missing_allow() -> None:
    """Of several layers that stopped a call, the one that denies explicitly is named."""
    found = after(
        evaluation(check("SERVICE_CONTROL_POLICY", "IMPLICIT_DENY"), check("PERMISSIONS_BOUNDARY", "EXPLICIT_DENY"))
    )
    assert (found.layer, found.effect) == (Layer.BOUNDARY, Effect.EXPLICIT)


def test_of_several_policies_none_is_called_the_one() -> None:
    """A policy is named only where one matched: of several it is not known which."""
    assert after(evaluation(check("SERVICE_CONTROL_POLICY", "EXPLICIT_DENY", SCP, f"{SCP}2"))).policy_arn is None


@pytest.mark.parametrize(
    "other",
    [
        evaluation(check("SESSION", "EXPLICIT_DENY"), action="iam:PassRole"),
        evaluation(check("SESSION", "EXPLICIT_DENY"), resource=f"{PROFILE}0"),
        {"action": ACTION, "resource": PROFILE, "evaluatedEffect": "IMPLICIT_DENY"},
        {"action": ACTION, "resource": PROFILE, "checks": [None, "SESSION", {}]},
        {},
    ],
)
def test_what_is_about_something_else_or_says_nothing_changes_nothing(other: dict[str, Any]) -> None:
    """Another action, another resource, no checks (a foreign organization's request), no evaluation: no evidence."""
    assert after(other) == denial()


@pytest.mark.parametrize("recorded", ["", "*", PROFILE.replace("us.amazon", "us.*"), model("us-west-2"), model("")])
def test_a_stop_that_the_same_call_met_elsewhere_counts(recorded: str) -> None:
    """IAM may record a pattern, or no ARN at all, and a call through a profile needs each of its models (§3.4)."""
    found = after(
        evaluation(check("PRINCIPAL", "IMPLICIT_DENY")),
        evaluation(check("SERVICE_CONTROL_POLICY", "EXPLICIT_DENY", SCP), resource=recorded),
    )
    assert (found.layer, found.effect, found.policy_arn) == (Layer.SCP, Effect.EXPLICIT, SCP)


def test_what_stopped_the_denied_resource_is_named_before_what_stopped_a_model() -> None:
    """The message is about the first; of the rest people hear when that is put right."""
    found = after(
        evaluation(check("SERVICE_CONTROL_POLICY", "EXPLICIT_DENY"), resource=model("us-west-2")),
        evaluation(check("SESSION", "IMPLICIT_DENY")),
    )
    assert found.layer is Layer.SESSION


def test_a_message_without_a_resource_is_about_every_resource() -> None:
    """Where the message names no resource, a layer that stopped the action on any of them counts."""
    found = read([{"evaluations": [evaluation(check("SESSION", "IMPLICIT_DENY"), resource="arn:aws:bedrock:::x/y")]}])
    stop = decisive(found, ACTION.upper(), None)
    assert stop is not None
    assert stop.layer is Layer.SESSION


@pytest.mark.parametrize("answer", [{}, {"evaluations": None}, {"evaluations": ["?"]}, {"evaluations": {"a": 1}}])
def test_an_answer_of_another_shape_holds_nothing(answer: dict[str, Any]) -> None:
    """It is a preview: an answer that has another shape by then is no evidence, and no error."""
    assert read([answer]) == ()


@pytest.mark.parametrize(
    ("stop", "words"),
    [
        (Stop(layer=Layer.SCP, effect=Effect.EXPLICIT, policies=("arn:one", "arn:two")), "(a Deny, arn:one, arn:two)"),
        (Stop(layer=Layer.BOUNDARY, effect=Effect.IMPLICIT, policies=()), "(no Allow)"),
    ],
)
def test_a_stop_is_told_with_how_and_by_which_policies(stop: Stop, words: str) -> None:
    """A person learns the layer, whether it is a Deny or no Allow, and each policy that IAM names."""
    assert told(stop).endswith(words)
