"""Roles of a member account: who may assume them, and what a session reaches."""

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from sandbox.sessions import session
from sandbox.stack import Sandbox
from tests.builders import organizations as make
from tests.builders.organizations import ELSEWHERE, MEMBER, READ, ROLE
from tests.builders.sandboxes import ACCOUNT, REGION, document, statement

PROFILE_ID = "eu.amazon.nova-2-lite-v1:0"


def assume(sandbox: Sandbox, **more: Any) -> Any:
    """What STS gives the hub's function for the member's role."""
    client = session(sandbox.functions["Worker"].access_key, REGION).client("sts")
    return client.assume_role(**{"RoleArn": READ, "RoleSessionName": "hub", **more})


def as_role(sandbox: Sandbox, region: str = REGION, **more: Any) -> boto3.Session:
    """A session with the member's role."""
    given = assume(sandbox, **more)["Credentials"]
    return boto3.Session(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"], region_name=region)


def refused(call: Callable[..., Any], **parameters: Any) -> tuple[str, str]:
    """The code and message that a call is refused with."""
    with pytest.raises(ClientError) as refusal:
        call(**parameters)
    error = refusal.value.response["Error"]
    return error["Code"], error["Message"]


def test_a_session_reaches_the_member(tmp_path: Path) -> None:
    """With the role's credentials a function sees the member's IAM, and nobody has to say which account."""
    with make.started(tmp_path) as sandbox:
        iam = as_role(sandbox).client("iam")
        assert iam.list_role_policies(RoleName="app")["PolicyNames"] == ["own"]
        assert sandbox.endpoint.tally.of(MEMBER) == {"iam:ListRolePolicies": 1}
        assert sandbox.endpoint.tally.of(ACCOUNT) == {"sts:AssumeRole": 1}
        assert sandbox.endpoint.tally.counts == {"iam:ListRolePolicies": 1, "sts:AssumeRole": 1}


def test_a_session_may_what_the_role_may(tmp_path: Path) -> None:
    """What the member's role is not allowed is refused in the name of its session."""
    with make.started(tmp_path) as sandbox:
        code, message = refused(as_role(sandbox).client("iam").get_role, RoleName="app")
        assert code == "AccessDenied"
        assert message.startswith(f"User: arn:aws:sts::{MEMBER}:assumed-role/read/hub is not authorized")
        assert sandbox.authorization.refusals == [f"Worker: {message}"]


def other_role(role: dict[str, Any]) -> None:
    """Trust another role of the hub."""
    trust = role["AssumeRolePolicyDocument"]["Statement"][0]["Condition"]
    trust["ArnEquals"]["aws:PrincipalArn"] = f"arn:aws:iam::{ACCOUNT}:role/other"


def other_organization(role: dict[str, Any]) -> None:
    """Trust another organization."""
    trust = role["AssumeRolePolicyDocument"]["Statement"][0]["Condition"]
    trust["StringEquals"]["aws:PrincipalOrgID"] = "o-another12345"


def other_account(role: dict[str, Any]) -> None:
    """Trust another account."""
    role["AssumeRolePolicyDocument"]["Statement"][0]["Principal"] = {"AWS": "444455556666"}


def asks_for_an_id(role: dict[str, Any]) -> None:
    """Trust only whoever knows an external id."""
    trust = role["AssumeRolePolicyDocument"]["Statement"][0]["Condition"]
    trust["StringEquals"]["sts:ExternalId"] = "ours"


def no_rights(role: dict[str, Any]) -> None:
    """Take what the role may do."""
    role["Policies"] = []


@pytest.mark.parametrize(
    ("template", "resource", "change", "layer"),
    [
        ("member", "Read", other_role, "role trust policy"),
        ("member", "Read", other_organization, "role trust policy"),
        ("member", "Read", other_account, "role trust policy"),
        ("member", "Read", asks_for_an_id, "role trust policy"),
        ("hub", "WorkRole", no_rights, "identity-based policy"),
    ],
)
def test_who_is_not_trusted(
    tmp_path: Path, template: str, resource: str, change: Callable[[dict[str, Any]], None], layer: str
) -> None:
    """The caller's own policy and the role's trust policy must both agree, conditions and all."""
    with make.started(tmp_path, make.changed(template, resource, change)) as sandbox:
        code, message = refused(assume, sandbox=sandbox)
        assert code == "AccessDenied"
        assert message.endswith(f"because no {layer} allows the sts:AssumeRole action")


def test_an_external_id(tmp_path: Path) -> None:
    """A role that asks for an external id is had with it."""
    with make.started(tmp_path, make.changed("member", "Read", asks_for_an_id)) as sandbox:
        assert assume(sandbox, ExternalId="ours")["AssumedRoleUser"]["Arn"].endswith("assumed-role/read/hub")


@pytest.mark.parametrize("member", [{"regions": [ELSEWHERE]}, {"stack": False}])
def test_a_role_that_is_not_there(tmp_path: Path, member: dict[str, Any]) -> None:
    """Without a stack in the hub's region the account has no role, and STS does not say why it refuses."""
    with make.started(tmp_path, content=make.world(**member)) as sandbox:
        assert refused(assume, sandbox=sandbox)[0] == "AccessDenied"


def test_credentials_end_by_the_virtual_clock(tmp_path: Path) -> None:
    """A session holds for as long as it was asked for, and not a second longer."""
    with make.started(tmp_path) as sandbox:
        given = assume(sandbox, DurationSeconds=900)["Credentials"]
        assert given["Expiration"] == sandbox.clock.now() + timedelta(minutes=15)
        iam = as_role(sandbox, DurationSeconds=900).client("iam")
        sandbox.clock.advance(899)
        assert iam.list_role_policies(RoleName="app")["PolicyNames"] == ["own"]
        sandbox.clock.advance(1)
        assert refused(iam.list_role_policies, RoleName="app")[0] == "ExpiredToken"


@pytest.mark.parametrize(
    "parameters",
    [
        {"DurationSeconds": 3601},
        {"DurationSeconds": 900, "RoleSessionName": "a b"},
        {"Tags": [{"Key": "team", "Value": "ml"}]},
    ],
)
def test_what_sts_does_not_take(tmp_path: Path, parameters: dict[str, Any]) -> None:
    """From one role to the next it is an hour at most; a name has no space; what is not modelled is refused."""
    with make.started(tmp_path) as sandbox:
        assert refused(assume, sandbox=sandbox, **parameters)[0] == "ValidationError"


def test_a_key_needs_its_token(tmp_path: Path) -> None:
    """A session's access key without the session's token is worth nothing."""
    with make.started(tmp_path) as sandbox:
        key = assume(sandbox)["Credentials"]["AccessKeyId"]
        iam = boto3.Session(key, "x", "another", region_name=REGION).client("iam")
        assert refused(iam.list_role_policies, RoleName="app")[0] == "InvalidClientTokenId"


def test_a_session_policy_narrows(tmp_path: Path) -> None:
    """A session can do less than its role where it was assumed with a policy of its own."""
    policy = json.dumps(document(statement(action="bedrock:*")))
    with make.started(tmp_path) as sandbox:
        code, message = refused(as_role(sandbox, Policy=policy).client("iam").list_role_policies, RoleName="app")
        assert (code, "no session policy" in message) == ("AccessDenied", True)


def test_a_session_is_held_to_the_organizations_policies(tmp_path: Path) -> None:
    """A service control policy that is in force in the member's account binds the service's own role there."""
    scp = document(statement("Deny", "iam:List*", "*"))
    with make.started(tmp_path, content=make.world(scps=[scp])) as sandbox:
        message = refused(as_role(sandbox).client("iam").list_role_policies, RoleName="app")[1]
        assert message.endswith("with an explicit deny in a service control policy")


def test_bedrock_answers_by_account_and_region(tmp_path: Path) -> None:
    """A profile is the account's own, and of one region."""
    with make.started(tmp_path) as sandbox:
        there = as_role(sandbox, ELSEWHERE).client("bedrock")
        assert there.get_inference_profile(inferenceProfileIdentifier=PROFILE_ID)["inferenceProfileArn"] == make.PROFILE
        here = as_role(sandbox).client("bedrock")
        code, _ = refused(here.get_inference_profile, inferenceProfileIdentifier=PROFILE_ID)
        assert code == "ResourceNotFoundException"


@pytest.mark.parametrize(
    ("member", "answer"),
    [
        ({"name": "research"}, "research"),
        ({}, "AccessDeniedException"),
        ({"name": "theirs", "organization": "o-another12345"}, "AccountNotFoundException"),
    ],
)
def test_what_an_account_is_called(tmp_path: Path, member: dict[str, Any], answer: str) -> None:
    """Organizations tells an account's name to the hub where the world gives it one, and where it is one of its own."""
    given = make.stacks()
    account = f"arn:aws:organizations::{ACCOUNT}:account/o-*/{MEMBER}"
    document = given["hub"]["WorkRole"]["Properties"]["Policies"][0]["PolicyDocument"]
    document["Statement"].append(statement(action="organizations:DescribeAccount", resource=account))
    with make.started(tmp_path, given, make.world(**member)) as sandbox:
        client = session(sandbox.functions["Worker"].access_key, REGION).client("organizations")
        if answer.endswith("Exception"):
            assert refused(client.describe_account, AccountId=MEMBER)[0] == answer
        else:
            assert client.describe_account(AccountId=MEMBER)["Account"]["Name"] == answer


def test_simulation_knows_the_accounts_policies(tmp_path: Path) -> None:
    """The simulator weighs what the principal holds in its account, and the policies over that account."""
    scp = document(statement("Deny", "s3:PutObject"))
    with make.started(tmp_path, content=make.world(scps=[scp])) as sandbox:
        iam = as_role(sandbox).client("iam")
        answer = iam.simulate_principal_policy(PolicySourceArn=ROLE, ActionNames=["s3:GetObject", "s3:PutObject"])
        decisions = [result["EvalDecision"] for result in answer["EvaluationResults"]]
        assert decisions == ["allowed", "explicitDeny"]
