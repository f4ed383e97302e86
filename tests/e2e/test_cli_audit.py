"""`bedrock-remediator audit` against the sandbox's account."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from bedrock_remediator_cli.program import cli
from sandbox.calls import ApiError, Call
from sandbox.sessions import session
from sandbox.stack import Sandbox
from sandbox.world import read_world


@pytest.fixture
def account() -> Iterator[Sandbox]:
    """The default world, which has a principal for each kind of denial."""
    with Sandbox(read_world()) as sandbox:
        yield sandbox


def audit(*arguments: str) -> Result:
    """Run the command, in us-east-1."""
    return CliRunner().invoke(cli, ["audit", "--region", "us-east-1", *arguments])


def test_the_account_is_audited(account: Sandbox, tmp_path: Path) -> None:
    """Those who will fail are found, and nobody else; SARIF and plan are written; nothing is changed."""
    result = audit("--json", "--sarif", str(tmp_path / "a.sarif"), "--fix-plan", str(tmp_path / "plan"))
    assert (result.exit_code, result.stderr.count("policies are in")) == (1, 1)
    answer = json.loads(result.stdout)
    failing = {each["principal"].rpartition(":")[2]: each["kind"] for each in answer["findings"] if each["fixable"]}
    assert failing == {
        "role/night-batch": "destination-missing",
        "role/nightly-summary": "destination-missing",
        "role/report-writer": "destination-missing",
        "role/template-app": "no-profile",
        "user/nova-developer": "no-profile",
    }
    # What the principal is allowed and the organization stops is an error, and none of the principal's policies'.
    others = [each for each in answer["findings"] if not each["fixable"]]
    assert {each["kind"] for each in others if each["level"] == "error"} == {"organization"}
    assert {each["level"] for each in others} == {"error", "note"}
    assert answer["service_control_policies"] == ["FullAWSAccess", "scp1", "scp2"]
    assert answer["principals"] == len(account.world.roles) + len(account.world.users)
    assert len(json.loads((tmp_path / "a.sarif").read_text())["runs"][0]["results"]) == len(answer["findings"])
    assert len(list((tmp_path / "plan").glob("*.1.json"))) == len(answer["plans"]) == 5


def test_what_is_planned_helps(account: Sandbox, tmp_path: Path) -> None:
    """IAM's simulator, whose evaluator is another, denies what is planned without the plan and allows it with it."""
    answer = json.loads(audit("--json", "--fix-plan", str(tmp_path / "plan")).stdout)
    iam = session("AKIASANDBOX", "us-east-1").client("iam")
    needed = [(each["principal"], one) for each in answer["findings"] if each["fixable"] for one in each["profiles"]]
    assert len(needed) == 5
    for principal, profile in needed:
        files = next(each["files"] for each in answer["plans"] if each["principal"] == principal)
        plan = [(tmp_path / "plan" / name).read_text() for name in files]
        decisions = {
            bool(policies): {_decided(iam, principal, arn, profile["arn"], policies) for arn in profile["missing"]}
            for policies in ([], plan)
        }
        assert decisions == {False: {"implicitDeny"}, True: {"allowed"}}


def _decided(iam: Any, principal: str, resource: str, profile: str, policies: list[str]) -> str:
    context = {"aws:RequestedRegion": resource.split(":")[3] or "unspecified"}
    if resource != profile:
        context["bedrock:InferenceProfileArn"] = profile
    entries = [
        {"ContextKeyName": key, "ContextKeyValues": [value], "ContextKeyType": "string"}
        for key, value in context.items()
    ]
    (result,) = iam.simulate_principal_policy(
        PolicySourceArn=principal,
        ActionNames=["bedrock:InvokeModel"],
        ResourceArns=[resource],
        ContextEntries=entries,
        PolicyInputList=policies,
    )["EvaluationResults"]
    return str(result["EvalDecision"])


def test_people_read_sentences(account: Sandbox) -> None:
    """A person gets who, what and what to do; what is only untidy is told on request."""
    result = audit()
    assert "will fail user/nova-developer" in result.stdout
    assert "Grant us.amazon.nova-2-lite-v1:0 with every ARN" in result.stdout
    assert "untidy role" not in result.stdout
    assert "untidy role/contractor" in audit("--notes").stdout


def test_what_may_not_be_read_is_said(account: Sandbox) -> None:
    """Without the right to read the organization or the models the audit goes on and says so; without IAM it ends."""

    def refuse(call: Call) -> dict[str, object]:
        raise ApiError("AccessDeniedException", f"not authorized to perform: {call.name}", 403)

    for name in ("organizations:DescribeOrganization", "bedrock:ListFoundationModels"):
        account.endpoint.answers[name] = refuse
    result = audit("--json")
    assert result.exit_code == 1
    assert "Service control policies were not looked at" in result.stderr
    assert "ListFoundationModels" in result.stderr
    account.endpoint.answers["iam:GetAccountAuthorizationDetails"] = refuse
    result = audit("--json")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "GetAccountAuthorizationDetails" in result.stderr


@pytest.mark.parametrize("regions", ["us east", "", "us-east-1,,x"])
def test_regions_are_checked(regions: str) -> None:
    """What is no region is refused before anything is read."""
    assert audit("--regions", regions).exit_code == 2
