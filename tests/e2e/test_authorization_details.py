"""What IAM recorded of a refused request, through the whole stack (docs/aws-facts.md §4.12)."""

import copy
import json
from pathlib import Path
from typing import Any, Final

import pytest
from click.testing import CliRunner

from bedrock_remediator_cli.program import cli
from sandbox.running import Given, handle
from sandbox.stack import Options, Sandbox
from sandbox.world import parse_world

EVENT: Final = json.loads(
    (Path(__file__).parents[2] / "events" / "geographic-profile.json").read_text(encoding="utf-8")
)
ID: Final = "0a1b2c3d4e5f"
TAIL: Final = (
    f". Go to https://us-east-1.console.aws.amazon.com/iam/authorization-details/{ID} for complete details, or call "
    f"the GetRequestAuthorizationDetails API with the following authorization id: {ID}"
)
PROFILE: Final = "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.amazon.nova-2-lite-v1:0"
ACTION: Final = "bedrock:InvokeModelWithResponseStream"
SCP: Final = "arn:aws:organizations::444455556666:policy/o-example12345/service_control_policy/p-example1"
ANYTHING: Final = {
    "version": 1,
    "rules": [{"name": "any", "effect": "auto", "principals": ["arn:aws:iam::*:user/**"], "profiles": ["*"]}],
}


def denial() -> dict[str, Any]:
    """The guide's denial, as a message of 2026 ends."""
    event: dict[str, Any] = copy.deepcopy(EVENT)
    event["detail"]["errorMessage"] += TAIL
    return event


def evaluation(*checks: tuple[str, str], action: str = ACTION, resource: str = PROFILE) -> dict[str, Any]:
    """One evaluation; a Deny of an organization's policy is named."""
    return {
        "action": action,
        "resource": resource,
        "evaluatedEffect": "IMPLICIT_DENY",
        "checks": [
            {
                "checkType": kind,
                "evaluatedEffect": effect,
                "matchedPolicies": [{"uri": SCP}] if effect == "EXPLICIT_DENY" else [],
            }
            for kind, effect in checks
        ],
    }


def ended(*evaluations: dict[str, Any], **details: Any) -> dict[str, Any]:
    """The row that the denial ends in under a rule that would grant it, and how often IAM's record was asked for."""
    world = {
        "account": "123456789012",
        "users": [{"name": "nova-developer"}],
        "authorization_details": [{"id": ID, "evaluations": list(evaluations), **details}],
    }
    options = Options(parameters={"Mode": "auto"}, allowlist={"main": json.dumps(ANYTHING)})
    with Sandbox(parse_world(world), options) as sandbox:
        handle(sandbox, [Given("denial", denial())])
        assert sandbox.failures == []
        assert sandbox.authorization.refusals == []
        (row,) = (item for item in sandbox.ledger.items() if "state" in item)
        calls = sandbox.endpoint.tally.counts
        return {**row, "asked": calls.get("iam-toolbox:GetRequestAuthorizationDetails", 0)}


@pytest.mark.parametrize(
    ("kind", "effect", "code"),
    [
        ("SESSION", "IMPLICIT_DENY", "session_policy"),
        ("VPC_ENDPOINT", "IMPLICIT_DENY", "vpc_endpoint"),
        ("SERVICE_CONTROL_POLICY", "EXPLICIT_DENY", "scp"),
        ("RESOURCE_CONTROL_POLICY", "EXPLICIT_DENY", "rcp"),
        ("PERMISSIONS_BOUNDARY", "IMPLICIT_DENY", "boundary"),
        ("PRINCIPAL", "EXPLICIT_DENY", "explicit_deny"),
    ],
)
def test_a_layer_that_the_message_does_not_name_ends_the_grant(kind: str, effect: str, code: str) -> None:
    """AWS names one layer of several; where IAM recorded another that stopped the call, that one is told of."""
    row = ended(evaluation((kind, effect), ("PRINCIPAL", "IMPLICIT_DENY")))
    assert (row["state"], row["reason_code"]) == ("reported", code)
    assert row.get("denying_policy") == (SCP if effect == "EXPLICIT_DENY" else None)


def test_a_missing_allow_alone_is_granted() -> None:
    """Where the principal's policies are all that was missing, the rule decides as without the record."""
    row = ended(evaluation(("SERVICE_CONTROL_POLICY", "ALLOW"), ("PRINCIPAL", "IMPLICIT_DENY")))
    assert (row["state"], row["asked"]) == ("active", 1)


def test_details_that_come_late_and_in_pages_are_read() -> None:
    """The record is written after the refusal, and a call that touches much is told in pages."""
    other = evaluation(("PRINCIPAL", "IMPLICIT_DENY"), resource="arn:aws:bedrock:us-east-1::foundation-model/x")
    row = ended(other, other, evaluation(("SESSION", "EXPLICIT_DENY")), page=1, not_found=1)
    assert (row["reason_code"], row["asked"]) == ("session_policy", 4)


@pytest.mark.parametrize("details", [{"not_found": 99}, {"foreign": True}, {"region": "eu-west-1"}])
def test_where_nothing_can_be_learned_everything_goes_on_without(details: dict[str, Any]) -> None:
    """Not found, a foreign organization's request, or recorded elsewhere: the message alone counts."""
    assert ended(evaluation(("SESSION", "EXPLICIT_DENY")), **details)["state"] == "active"


def test_what_the_message_decides_is_not_asked_about() -> None:
    """A refusal that no grant can change costs no call, whatever id it carries."""
    event = denial()
    event["detail"]["errorMessage"] = event["detail"]["errorMessage"].replace(
        f"because no identity-based policy allows the {ACTION} action", "with an explicit deny in a session policy"
    )
    with Sandbox(parse_world({"account": "123456789012", "users": [{"name": "nova-developer"}]})) as sandbox:
        handle(sandbox, [Given("denial", event)])
        assert not any(call.startswith("iam-toolbox") for call in sandbox.endpoint.tally.counts)


def test_explain_tells_what_iam_recorded() -> None:
    """The command asks, too, and says that its answer is not about the layer in the message."""
    world = {
        "account": "123456789012",
        "users": [{"name": "nova-developer"}],
        "authorization_details": [{"id": ID, "evaluations": [evaluation(("SESSION", "IMPLICIT_DENY"))]}],
    }
    with Sandbox(parse_world(world)):
        result = CliRunner().invoke(
            cli, ["explain", "--region", "us-east-1", "--json", denial()["detail"]["errorMessage"]]
        )
    assert "IAM recorded that another layer" in result.stderr
    (found,) = json.loads(result.stdout)
    assert (found["layer"], found["fixable_by_identity_policy"]) == ("session", False)
