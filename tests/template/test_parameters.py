import re
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from sandbox.intrinsics import TemplateError
from sandbox.template import Stack, load, transformed

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
    "DeployerRoleArns": "",
    "MaxGrantDays": 0,
    "MaxGrantsPerPrincipal": 10,
    "MaxNoticesPerHour": 100,
    "ProbeProfiles": 8,
    "ProbeWindowMinutes": 60,
    "OpenRequestsPerPrincipal": 5,
    "UnknownCallerAsks": "true",
    "ApproverRoleArns": "",
    "ApprovalLapseHours": 72,
    "OidcIssuer": "",
    "OidcClientId": "",
    "OidcClientSecretArn": "",
    "OidcClaim": "",
    "OidcClaimValue": "",
    "SlackChannelId": "",
    "SlackTokenSecretArn": "",
    "SlackSigningSecretArn": "",
    "SlackTeamId": "",
    "SlackAppId": "",
    "SlackApprovers": "",
    "AmazonQTopic": "false",
    "DigestSchedule": "",
    "UpkeepMinutes": 15,
    "OrganizationId": "",
    "EnrolledAccounts": "",
}
CHOSEN = {"ApproverAuth"}
"""What has no default, so that it is chosen knowingly."""
OIDC = {"ApproverAuth": "oidc", "OidcClientId": "client"}
PUBLIC_ISSUERS = (
    "https://accounts.google.com",
    "https://login.microsoftonline.com/common/v2.0",
    "https://login.microsoftonline.com/organizations/v2.0",
    "https://login.microsoftonline.com/consumers/v2.0",
    "https://appleid.apple.com",
    "https://gitlab.com",
    "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_abc",
)
"""Where anybody can have an account, or nobody can tell whether they can."""
SECRET = "arn:aws:secretsmanager:us-east-1:111122223333:secret:slack-AbCdEf"


@pytest.fixture(scope="module")
def document(root: Path) -> Mapping[str, Any]:
    """The template as plain CloudFormation, nothing worked out."""
    return transformed((root / "template.yaml").read_text(encoding="utf-8"), "us-east-1")


def test_these_are_the_parameters(document: Mapping[str, Any]) -> None:
    """A first deployment asks for nothing but how approvers are to be known."""
    parameters = document["Parameters"]
    assert {name: each["Default"] for name, each in parameters.items() if "Default" in each} == DEFAULTS
    assert set(parameters) - set(DEFAULTS) == CHOSEN


def test_how_approvers_are_known_must_be_said(root: Path) -> None:
    """A deployment that does not say it is refused."""
    with pytest.raises(TemplateError, match="ApproverAuth"):
        load(root / "template.yaml", parameters={}, account="111122223333", region="us-east-1")


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
    assert sorted(grouped) == sorted({*DEFAULTS, *CHOSEN})
    assert set(interface["ParameterLabels"]) == {*DEFAULTS, *CHOSEN}
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
        {"DeployerRoleArns": "arn:aws:iam::111122223333:role/*"},
        {"DeployerRoleArns": "arn:aws:sts::111122223333:assumed-role/deployer/ann"},
        {"DefaultGrantDays": "-1"},
        {"VerifySeconds": "600"},
        {"ProbeProfiles": "21"},
        {"ProbeWindowMinutes": "0"},
        {"OpenRequestsPerPrincipal": "0"},
        {"OpenRequestsPerPrincipal": "101"},
        {"MaxGrantsPerPrincipal": "0"},
        {"MaxNoticesPerHour": "0"},
        {"UnknownCallerAsks": "no"},
        {"LogRetentionDays": "0"},
        {"Architecture": "riscv"},
        {"ApproverAuth": "none"},
        {"ApproverRoleArns": "arn:aws:iam::111122223333:role/*"},
        {"ApproverRoleArns": "arn:aws:sts::111122223333:assumed-role/approver/ann"},
        {"ApprovalLapseHours": "0"},
        {"MaxGrantDays": "-1"},
        {"OidcIssuer": "http://login.example.com"},
        {"OidcIssuer": "https://login.example.com/?tenant=1"},
        {"OidcClientSecretArn": "arn:aws:secretsmanager:us-east-1:111122223333:secret:client"},
        {"SlackChannelId": "#approvals"},
        {"SlackTokenSecretArn": "xoxb-1"},
        {"SlackApprovers": "ann"},
        {"AmazonQTopic": "yes"},
        {"DigestSchedule": "daily"},
        {"UpkeepMinutes": "1"},
        {"OrganizationId": "123456789012"},
        {"OrganizationId": "o-exampleorgid", "EnrolledAccounts": "1234"},
        {"OrganizationId": "o-exampleorgid", "EnrolledAccounts": "11112222333*"},
        # Those that do not go together.
        {"ApproverAuth": "oidc"},
        {"ApproverAuth": "oidc", "OidcIssuer": "https://login.example.com"},
        {"ApproverAuth": "oidc", "OidcClientId": "client"},
        {"EnrolledAccounts": "444455556666"},
        {"EnrolledAccounts": "*"},
        *({**OIDC, "OidcIssuer": issuer} for issuer in PUBLIC_ISSUERS),
        {**OIDC, "OidcIssuer": "https://login.example.com"},
        {**OIDC, "OidcIssuer": "https://login.example.com", "OidcClaim": "groups"},
        {**OIDC, "OidcIssuer": "https://login.example.com", "OidcClaimValue": "approvers"},
        {"OidcClaim": "groups"},
        {"OidcClaimValue": "approvers"},
        {"SlackChannelId": "C0123"},
        {"SlackTokenSecretArn": SECRET},
        {"SlackApprovers": "U0123"},
        {"SlackChannelId": "C0123", "SlackTokenSecretArn": SECRET, "SlackSigningSecretArn": SECRET},
        {"SlackSigningSecretArn": SECRET, "SlackTeamId": "T01", "SlackAppId": "A01", "SlackApprovers": "U01"},
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
        {**OIDC, "OidcIssuer": "https://login.example.com:8443/tenant/v2.0", "OidcClaim": "a", "OidcClaimValue": "b"},
        {"DeployerRoleArns": "arn:aws:iam::111122223333:role/a/b,arn:aws:iam::111122223333:role/c"},
        {"SlackChannelId": "G0123", "SlackTokenSecretArn": SECRET},
        {"ApproverRoleArns": "arn:aws:iam::111122223333:role/a/b,arn:aws:iam::444455556666:role/c"},
    ],
)
def test_good_parameters_are_taken(deploy: Callable[..., Stack], good: dict[str, str]) -> None:
    """Lists with a space after the comma included."""
    deploy(**good)


@pytest.mark.parametrize("which", ["stack", "whole"])
def test_the_outputs_name_everything_a_person_needs_next(which: str, request: pytest.FixtureRequest) -> None:
    """Table, topics, queues with their dead letters, functions, keys, and where to look."""
    stack: Stack = request.getfixturevalue(which)
    outputs = set(stack.outputs.values())
    assert {stack.ref(name) for name in ("Ledger", "LinkKeys", *stack.of_type("AWS::SNS::Topic"))} <= outputs
    assert {stack.ref(name) for name in stack.of_type("AWS::SQS::Queue")} <= outputs
    assert {stack.ref(name) for name in stack.of_type("AWS::Lambda::Function")} <= outputs
    assert stack.outputs["AllowlistPath"] == "/bedrock-access-remediator/allowlist"
    assert stack.outputs["DashboardUrl"].startswith("https://console.aws.amazon.com/cloudwatch/home?region=us-east-1#")
    assert stack.outputs["DashboardUrl"].endswith(stack.ref("Dashboard"))


def test_the_outputs_say_where_people_come_in(stack: Stack, whole: Stack) -> None:
    """The page always; what the identity provider, Slack and the API's callers must be told, where there are such."""
    url = f"https://{stack.ref('ApprovalApi')}.execute-api.us-east-1.amazonaws.com"
    found = {name: value for name, value in whole.outputs.items() if value.startswith(url)}
    assert found == {
        "ApprovalUrl": url,
        "OidcRedirectUri": f"{url}/signed-in",
        "RequestsApiUrl": f"{url}/api/requests",
        "SlackInteractionsUrl": f"{url}/slack/interactions",
    }
    assert [name for name in found if name in stack.outputs] == ["ApprovalUrl"]
    assert whole.outputs["RequestsApiArn"].endswith(f":{whole.ref('ApprovalApi')}/$default/*/api/requests*")


@pytest.mark.parametrize("auth", ["link", "oidc"])
def test_the_outputs_say_what_an_approval_proves(
    deploy: Callable[..., Stack], everything: Mapping[str, str], auth: str
) -> None:
    """So that nobody takes a typed name for more than it is."""
    says = deploy(**{**everything, "ApproverAuth": auth}).outputs["ApproverStrength"]
    assert says.startswith(f"{auth}: an approval proves ")


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


@pytest.mark.parametrize(("environment", "chosen"), [("default", None), ("dev", "link"), ("prod", None)])
def test_samconfigs_environments_deploy(root: Path, environment: str, chosen: str | None) -> None:
    """They fit the template and give the capability that it needs; only dev chooses how approvers are known."""
    settings = tomllib.loads((root / "samconfig.toml").read_text(encoding="utf-8"))[environment]
    parameters = dict(
        pair.replace('"', "").split("=") for pair in settings["deploy"]["parameters"]["parameter_overrides"].split()
    )
    assert parameters.get("ApproverAuth") == chosen
    given = {"ApproverAuth": "link", **parameters}
    assert load(root / "template.yaml", parameters=given, account="111122223333", region="us-east-1").outputs
    assert settings["deploy"]["parameters"]["capabilities"] == "CAPABILITY_IAM"
    assert settings["validate"]["parameters"]["lint"] is True


def test_nothing_has_a_name_of_the_templates_choosing(document: Mapping[str, Any]) -> None:
    """Two stacks fit in one account, and CAPABILITY_NAMED_IAM is not needed."""
    names = {"QueueName", "TopicName", "TableName", "RoleName", "FunctionName", "LogGroupName", "AlarmName", "Name"}
    for logical_id, resource in document["Resources"].items():
        # An API's name need not be its own; the others are names of something else.
        if resource["Type"] in (
            "AWS::Lambda::EventSourceMapping",
            "AWS::Lambda::EventInvokeConfig",
            "AWS::Lambda::Permission",
            "AWS::Logs::MetricFilter",
            "AWS::ApiGatewayV2::Api",
            # A bus must have a name, which is the stack's.
            "AWS::Events::EventBus",
        ):
            continue
        assert not names & set(resource.get("Properties", {})), logical_id


def test_everything_switches_on_all_there_is(root: Path, everything: Mapping[str, str], whole: Stack) -> None:
    """A resource, an output or a parameter of a condition that is new is looked at by every test of the whole stack."""
    template = transformed((root / "template.yaml").read_text(encoding="utf-8"), "us-east-1")
    assert set(whole.resources) == set(template["Resources"])
    assert set(whole.outputs) == set(template["Outputs"])
    decide = set(re.findall(r"'Ref': '(\w+)'", str(template["Conditions"])))
    assert decide <= set(everything)
    assert {name for name in decide if whole.parameters[name] == template["Parameters"][name].get("Default")} == set()
