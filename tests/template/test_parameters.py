import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from sandbox.intrinsics import TemplateError
from sandbox.template import Stack, transformed

DEFAULTS = {
    "Mode": "approve",
    "PolicyStrategy": "managed",
    "AllowlistPath": "/bedrock-access-remediator/allowlist",
    "NotificationEmail": "",
    "ApproverEmail": "",
    "ExtraActions": "bedrock:UseInferenceProfile,bedrock:GetFoundationModel",
    "GrantablePrincipals": "arn:*:iam::*:role/*,arn:*:iam::*:user/*",
    "Paused": "false",
    "DefaultGrantDays": 0,
    "VerifySeconds": 60,
    "LogRetentionDays": 90,
    "Architecture": "arm64",
    "SubscribeAdministrators": "",
    "OperatorRoleArns": "",
}


@pytest.fixture(scope="module")
def document(root: Path) -> Mapping[str, Any]:
    """The template as plain CloudFormation, nothing worked out."""
    return transformed((root / "template.yaml").read_text(encoding="utf-8"), "us-east-1")


def test_these_are_the_parameters(document: Mapping[str, Any]) -> None:
    """Every one has a default, so that a first deployment asks for nothing."""
    assert {name: each["Default"] for name, each in document["Parameters"].items()} == DEFAULTS


def test_every_parameter_is_described_and_limited(document: Mapping[str, Any]) -> None:
    """With allowed values, a range or a pattern."""
    limits = {"AllowedValues", "MinValue", "AllowedPattern"}
    for name, each in document["Parameters"].items():
        assert each["Description"].endswith("."), name
        assert limits & set(each), name
        assert "AllowedPattern" not in each or each["ConstraintDescription"], name


def test_every_parameter_stands_in_one_group_with_a_label(document: Mapping[str, Any]) -> None:
    """As the console shows them."""
    interface = document["Metadata"]["AWS::CloudFormation::Interface"]
    grouped = [name for group in interface["ParameterGroups"] for name in group["Parameters"]]
    assert sorted(grouped) == sorted(DEFAULTS)
    assert set(interface["ParameterLabels"]) == set(DEFAULTS)
    assert all(group["Label"]["default"] for group in interface["ParameterGroups"])


@pytest.mark.parametrize(
    "bad",
    [
        {"Mode": "yolo"},
        {"PolicyStrategy": "attached"},
        {"Paused": "yes"},
        {"AllowlistPath": "allowlist"},
        {"AllowlistPath": "/allowlist/"},
        {"AllowlistPath": "/allow*"},
        {"ExtraActions": "bedrock:*"},
        {"ExtraActions": "iam:PassRole"},
        {"ExtraActions": "bedrock:GetFoundationModel,"},
        {"GrantablePrincipals": ""},
        {"GrantablePrincipals": "*"},
        {"GrantablePrincipals": "arn:aws:iam::111122223333:*"},
        {"GrantablePrincipals": "arn:aws:iam::111122223333:group/x"},
        {"GrantablePrincipals": "arn:aws:iam::111122223333:role/${aws:username}"},
        {"NotificationEmail": "ops"},
        {"ApproverEmail": "a@example.com,b@example.com"},
        {"SubscribeAdministrators": "arn:aws:iam::111122223333:role/*"},
        {"SubscribeAdministrators": "*"},
        {"OperatorRoleArns": "arn:aws:iam::111122223333:user/ann"},
        {"OperatorRoleArns": "arn:aws:iam::111122223333:role/op,*"},
        {"DefaultGrantDays": "-1"},
        {"VerifySeconds": "600"},
        {"LogRetentionDays": "0"},
        {"Architecture": "riscv"},
    ],
)
def test_bad_parameters_are_refused(deploy: Callable[..., Stack], bad: dict[str, str]) -> None:
    """Before anything is deployed, rather than by a function at its start."""
    with pytest.raises(TemplateError):
        deploy(**bad)


@pytest.mark.parametrize(
    "good",
    [
        {"ExtraActions": ""},
        {"ExtraActions": "bedrock:GetInferenceProfile, bedrock:GetFoundationModel"},
        {"GrantablePrincipals": "arn:aws:iam::*:role/llm-*, arn:aws-us-gov:iam::111122223333:user/lab/?x"},
        {"SubscribeAdministrators": "arn:aws:iam::111122223333:role/a/b,arn:aws:iam::444455556666:role/c"},
    ],
)
def test_good_parameters_are_taken(deploy: Callable[..., Stack], good: dict[str, str]) -> None:
    """Lists with a space after the comma included."""
    deploy(**good)


def test_the_outputs_name_everything_a_person_needs_next(stack: Stack) -> None:
    """Table, topics, queues with their dead letters, functions, and where to look."""
    outputs = set(stack.outputs.values())
    assert {stack.ref(name) for name in ("Ledger", "Approvals", "Notices")} <= outputs
    assert {stack.ref(name) for name in stack.of_type("AWS::SQS::Queue")} <= outputs
    assert {stack.ref(name) for name in stack.of_type("AWS::Lambda::Function")} <= outputs
    assert stack.outputs["AllowlistPath"] == "/bedrock-access-remediator/allowlist"
    assert stack.outputs["DashboardUrl"].startswith("https://console.aws.amazon.com/cloudwatch/home?region=us-east-1#")
    assert stack.outputs["DashboardUrl"].endswith(stack.ref("Dashboard"))


def test_every_output_is_described(document: Mapping[str, Any]) -> None:
    """A bare name tells nobody what to do with it."""
    assert all(each["Description"] for each in document["Outputs"].values())


@pytest.mark.parametrize(("strategy", "strong"), [("managed", False), ("inline", True), ("in-place", True)])
def test_the_outputs_say_how_strong_the_strategy_is(
    deploy: Callable[..., Stack],
    strategy: str,
    strong: bool,  # noqa: FBT001 - the expected value
) -> None:
    """Those that write into principals make remediate as strong as an administrator."""
    says = deploy(PolicyStrategy=strategy).outputs["StrategyStrength"]
    assert says.startswith(f"{strategy}: ")
    assert ("as strong as an administrator" in says.replace("\n", " ")) is strong


@pytest.mark.parametrize("environment", ["default", "dev", "prod"])
def test_samconfigs_environments_deploy(root: Path, deploy: Callable[..., Stack], environment: str) -> None:
    """Their parameters fit the template, and the one capability that it needs is given."""
    settings = tomllib.loads((root / "samconfig.toml").read_text(encoding="utf-8"))[environment]
    parameters = dict(
        pair.replace('"', "").split("=") for pair in settings["deploy"]["parameters"]["parameter_overrides"].split()
    )
    assert deploy(**parameters).outputs
    assert settings["deploy"]["parameters"]["capabilities"] == "CAPABILITY_IAM"
    assert settings["validate"]["parameters"]["lint"] is True


def test_nothing_has_a_name_of_the_templates_choosing(document: Mapping[str, Any]) -> None:
    """Two stacks fit in one account, and CAPABILITY_NAMED_IAM is not needed."""
    names = {"QueueName", "TopicName", "TableName", "RoleName", "FunctionName", "LogGroupName", "AlarmName", "Name"}
    for logical_id, resource in document["Resources"].items():
        if resource["Type"] in ("AWS::Lambda::EventSourceMapping", "AWS::Logs::MetricFilter"):
            continue
        assert not names & set(resource.get("Properties", {})), logical_id
