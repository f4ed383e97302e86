"""IAM's limits and protections, which moto does not have."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from tests.builders import sandboxes as make

if TYPE_CHECKING:
    from mypy_boto3_iam import IAMClient

WORLD = make.world(
    groups=[{"name": "ml", "managed": {"Shared": make.document(make.statement())}}],
    roles=[
        {"name": "app", "tags": {"team": "ml"}, "managed": {"Own": make.document(make.statement())}},
        {"name": "bounded", "boundary": make.document(make.statement(action="s3:*"))},
        {"name": "AWSReservedSSO_x", "path": "/aws-reserved/sso.amazonaws.com/"},
        {"name": "linked", "path": "/aws-service-role/x.amazonaws.com/"},
    ],
    users=[
        {"name": "ana", "groups": ["ml"], "managed": {"Shared": make.document(make.statement())}},
        {"name": "bob", "boundary": make.document(make.statement(action="s3:*"))},
    ],
)


@pytest.fixture
def iam(tmp_path: Path) -> Iterator["IAMClient"]:
    """IAM in a sandbox."""
    with make.started(tmp_path, {}, world=WORLD):
        yield make.own_session().client("iam")


def code_of(call: Any, **parameters: Any) -> str:
    """The error code of a call that AWS refuses."""
    with pytest.raises(ClientError) as error:
        call(**parameters)
    return str(error.value.response["Error"]["Code"])


def of_size(characters: int) -> str:
    """A policy of that many characters, white space left out, and a good deal of white space."""
    text = json.dumps(make.document(make.statement(resource="arn:aws:s3:::PAD")), indent=8)
    missing = characters - len("".join(text.split())) + len("PAD")
    return text.replace("PAD", "x" * missing)


def test_the_world_is_there(iam: "IAMClient") -> None:
    """Tags, groups, attached policies and boundaries of roles and users can be read as on AWS."""
    assert iam.get_role(RoleName="app")["Role"]["Tags"] == [{"Key": "team", "Value": "ml"}]
    assert iam.list_groups_for_user(UserName="ana")["Groups"][0]["GroupName"] == "ml"
    assert iam.list_attached_role_policies(RoleName="app")["AttachedPolicies"][0]["PolicyName"] == "Own"
    for holder in (iam.get_role(RoleName="bounded")["Role"], iam.get_user(UserName="bob")["User"]):
        assert "sandbox-boundary" in holder["PermissionsBoundary"]["PermissionsBoundaryArn"]


def test_a_managed_policy_has_a_largest_size(iam: "IAMClient") -> None:
    """6,144 characters are taken, one more is not; white space does not count."""
    created = iam.create_policy(PolicyName="fits", PolicyDocument=of_size(6_144))["Policy"]
    too_large = of_size(6_145)
    assert code_of(iam.create_policy, PolicyName="more", PolicyDocument=too_large) == "LimitExceeded"
    assert code_of(iam.create_policy_version, PolicyArn=created["Arn"], PolicyDocument=too_large) == "LimitExceeded"


@pytest.mark.parametrize(("kind", "limit"), [("role", 10_240), ("user", 2_048)])
def test_inline_policies_share_a_size(iam: "IAMClient", kind: str, limit: int) -> None:
    """The inline policies of one principal have one limit together, and a policy counts once when it is replaced."""
    name = {"role": "app", "user": "ana"}[kind]
    put = getattr(iam, f"put_{kind}_policy")
    who = {f"{kind.title()}Name": name}
    put(**who, PolicyName="one", PolicyDocument=of_size(limit - 200))
    put(**who, PolicyName="one", PolicyDocument=of_size(limit - 200))
    put(**who, PolicyName="two", PolicyDocument=of_size(200))
    assert code_of(put, **who, PolicyName="two", PolicyDocument=of_size(201)) == "LimitExceeded"


def test_a_principal_takes_so_many_policies(iam: "IAMClient") -> None:
    """A user takes ten managed policies; attaching one again is no error and does not count."""
    small = json.dumps(make.document(make.statement()))
    arns = [iam.create_policy(PolicyName=f"p{index}", PolicyDocument=small)["Policy"]["Arn"] for index in range(11)]
    for arn in arns[:10]:
        iam.attach_user_policy(UserName="bob", PolicyArn=arn)
    iam.attach_user_policy(UserName="bob", PolicyArn=arns[0])
    assert code_of(iam.attach_user_policy, UserName="bob", PolicyArn=arns[10]) == "LimitExceeded"
    assert iam.get_policy(PolicyArn=arns[0])["Policy"]["AttachmentCount"] == 1


@pytest.mark.parametrize("role", ["AWSReservedSSO_x", "linked"])
def test_protected_roles_cannot_be_changed(iam: "IAMClient", role: str) -> None:
    """Roles of Identity Center and of AWS's services refuse every change."""
    small = json.dumps(make.document(make.statement()))
    assert code_of(iam.put_role_policy, RoleName=role, PolicyName="p", PolicyDocument=small) == "UnmodifiableEntity"
    arn = f"arn:aws:iam::{make.ACCOUNT}:policy/Own"
    assert code_of(iam.attach_role_policy, RoleName=role, PolicyArn=arn) == "UnmodifiableEntity"


def test_a_policys_name_is_unique(iam: "IAMClient") -> None:
    """A name is taken whatever its path and case."""
    small = json.dumps(make.document(make.statement()))
    assert code_of(iam.create_policy, PolicyName="OWN", Path="/x/", PolicyDocument=small) == "EntityAlreadyExists"


@pytest.mark.parametrize(
    ("text", "code"),
    [("{", "MalformedPolicyDocument"), (json.dumps(make.document()).replace("2012", "20\u2011"), "ValidationError")],
)
def test_a_document_must_be_good(iam: "IAMClient", text: str, code: str) -> None:
    """A document that is no JSON, or holds characters that IAM does not take, is refused."""
    assert code_of(iam.put_user_policy, UserName="ana", PolicyName="p", PolicyDocument=text) == code


def test_a_policy_in_use_cannot_be_deleted(iam: "IAMClient") -> None:
    """A policy that is attached, a boundary, or has more than one version stays."""
    small = json.dumps(make.document(make.statement()))
    own = f"arn:aws:iam::{make.ACCOUNT}:policy/Own"
    assert code_of(iam.delete_policy, PolicyArn=own) == "DeleteConflict"
    boundary = iam.get_role(RoleName="bounded")["Role"]["PermissionsBoundary"]["PermissionsBoundaryArn"]
    assert code_of(iam.delete_policy, PolicyArn=boundary) == "DeleteConflict"
    iam.detach_role_policy(RoleName="app", PolicyArn=own)
    iam.create_policy_version(PolicyArn=own, PolicyDocument=small)
    assert code_of(iam.delete_policy, PolicyArn=own) == "DeleteConflict"


def test_a_policy_has_five_versions(iam: "IAMClient") -> None:
    """The sixth version is refused until one is deleted."""
    small = json.dumps(make.document(make.statement()))
    own = f"arn:aws:iam::{make.ACCOUNT}:policy/Own"
    for _ in range(4):
        iam.create_policy_version(PolicyArn=own, PolicyDocument=small)
    assert code_of(iam.create_policy_version, PolicyArn=own, PolicyDocument=small) == "LimitExceeded"


def test_who_uses_a_policy(iam: "IAMClient") -> None:
    """ListEntitiesForPolicy tells holders and those that a policy bounds, apart if asked."""
    shared = f"arn:aws:iam::{make.ACCOUNT}:policy/Shared"
    holders = iam.list_entities_for_policy(PolicyArn=shared)
    assert [holder["GroupName"] for holder in holders["PolicyGroups"]] == ["ml"]
    assert [holder["UserName"] for holder in holders["PolicyUsers"]] == ["ana"]
    boundary = iam.get_role(RoleName="bounded")["Role"]["PermissionsBoundary"]["PermissionsBoundaryArn"]
    assert iam.get_policy(PolicyArn=boundary)["Policy"]["PermissionsBoundaryUsageCount"] == 1
    bounded = iam.list_entities_for_policy(PolicyArn=boundary, PolicyUsageFilter="PermissionsBoundary")
    assert [holder["RoleName"] for holder in bounded["PolicyRoles"]] == ["bounded"]
    assert iam.list_entities_for_policy(PolicyArn=boundary, PolicyUsageFilter="PermissionsPolicy")["PolicyRoles"] == []


def test_a_policy_that_is_not_there(iam: "IAMClient") -> None:
    """An unknown policy is NoSuchEntity, as it is on AWS."""
    assert code_of(iam.get_policy, PolicyArn=f"arn:aws:iam::{make.ACCOUNT}:policy/none-of-that") == "NoSuchEntity"
