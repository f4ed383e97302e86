"""Reading principals and what they hold, from IAM as moto plays it."""

import json
from collections import Counter
from datetime import UTC
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError

from bedrock_remediator.aws.errors import RetryableError
from bedrock_remediator.aws.iam import IamReader
from bedrock_remediator.core.arn import Principal
from bedrock_remediator.core.iam.evaluation import Policy, PolicyKind
from tests.builders.clocks import StoppedClock
from tests.builders.grants import ACCOUNT

if TYPE_CHECKING:
    from mypy_boto3_iam import IAMClient

TRUST = json.dumps({"Version": "2012-10-17", "Statement": []})
ROLE = Principal.parse(f"arn:aws:iam::{ACCOUNT}:role/service/llm-app")
USER = Principal.parse(f"arn:aws:iam::{ACCOUNT}:user/alice")


def document(model: str) -> dict[str, Any]:
    """A policy that allows one model."""
    resource = f"arn:aws:bedrock:us-east-1::foundation-model/{model}"
    return {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "bedrock:InvokeModel", "Resource": resource}],
    }


def managed(client: "IAMClient", name: str, model: str) -> str:
    """Make a customer managed policy, and return its ARN."""
    answer = client.create_policy(PolicyName=name, PolicyDocument=json.dumps(document(model)))
    return answer["Policy"]["Arn"]


@pytest.fixture
def client(aws: None) -> "IAMClient":
    """IAM with a role and a user."""
    client = boto3.client("iam")
    client.create_role(
        RoleName="llm-app", Path="/service/", AssumeRolePolicyDocument=TRUST, Tags=[{"Key": "team", "Value": "ml"}]
    )
    client.create_user(UserName="alice", Tags=[{"Key": "team", "Value": "research"}])
    return client


@pytest.fixture
def calls(client: "IAMClient") -> Counter[str]:
    """How often each operation is called from now on."""
    counted: Counter[str] = Counter()

    def count(model: Any, **_: Any) -> None:
        counted[model.name] += 1

    client.meta.events.register("before-call.iam", count)
    return counted


@pytest.fixture
def reader(client: "IAMClient", clock: StoppedClock) -> IamReader:
    """A reader of the home account."""
    return IamReader({ACCOUNT: client}.__getitem__, clock)


def test_a_role_is_found_by_its_name(reader: IamReader, client: "IAMClient") -> None:
    """IAM tells the path, which a session's ARN does not, and the id, which a re-created role does not share."""
    role = client.get_role(RoleName="llm-app")["Role"]
    assumed = Principal.parse(f"arn:aws:iam::{ACCOUNT}:role/llm-app")
    assert reader.principal(assumed) == (ROLE, role["RoleId"])
    identity = reader.identity(assumed)
    assert identity
    assert (identity.principal, identity.id) == (ROLE, role["RoleId"])
    assert identity.created_at == role["CreateDate"]
    assert identity.created_at.tzinfo is UTC


def test_tags_are_what_iam_has(reader: IamReader) -> None:
    """Roles and users bring their tags along, which rules may ask for."""
    role, user = reader.identity(ROLE), reader.identity(USER)
    assert role
    assert user
    assert (role.tags, user.tags) == ({"team": "ml"}, {"team": "research"})


@pytest.mark.parametrize("kind", ["role", "user"])
def test_who_does_not_exist_is_none(reader: IamReader, kind: str) -> None:
    """A principal that was deleted since is no error."""
    gone = Principal.parse(f"arn:aws:iam::{ACCOUNT}:{kind}/gone")
    assert reader.identity(gone) is None
    assert reader.principal(gone) is None


def test_a_role_holds_inline_and_attached_policies(reader: IamReader, client: "IAMClient") -> None:
    """Documents come decoded, each with the kind of policy it is."""
    client.put_role_policy(RoleName="llm-app", PolicyName="base", PolicyDocument=json.dumps(document("a")))
    arn = managed(client, "Nova", "b")
    client.attach_role_policy(RoleName="llm-app", PolicyArn=arn)
    identity = reader.identity(ROLE)
    assert identity
    assert identity.holdings.policies == (
        Policy(name="base", kind=PolicyKind.INLINE, document=document("a")),
        Policy(name="Nova", kind=PolicyKind.MANAGED, document=document("b"), arn=arn),
    )
    assert identity.holdings.boundary is None


def test_a_user_holds_its_groups_policies_too(reader: IamReader, client: "IAMClient") -> None:
    """A policy that comes through a group is named for the group, so that a person can find it."""
    client.put_user_policy(UserName="alice", PolicyName="own", PolicyDocument=json.dumps(document("a")))
    client.create_group(GroupName="ml")
    client.add_user_to_group(GroupName="ml", UserName="alice")
    client.put_group_policy(GroupName="ml", PolicyName="base", PolicyDocument=json.dumps(document("b")))
    arn = managed(client, "Nova", "c")
    client.attach_group_policy(GroupName="ml", PolicyArn=arn)
    identity = reader.identity(USER)
    assert identity
    assert identity.holdings.policies == (
        Policy(name="own", kind=PolicyKind.INLINE, document=document("a")),
        Policy(name="ml/base", kind=PolicyKind.GROUP, document=document("b")),
        Policy(name="ml/Nova", kind=PolicyKind.GROUP, document=document("c"), arn=arn),
    )


def test_the_boundary_is_read(reader: IamReader, client: "IAMClient") -> None:
    """The permissions boundary is not among the policies: it allows nothing by itself."""
    arn = managed(client, "Boundary", "a")
    client.put_role_permissions_boundary(RoleName="llm-app", PermissionsBoundary=arn)
    identity = reader.identity(ROLE)
    assert identity
    assert identity.holdings.policies == ()
    assert identity.holdings.boundary == Policy(
        name="Boundary", kind=PolicyKind.MANAGED, document=document("a"), arn=arn
    )


def test_the_version_in_force_is_read(reader: IamReader, client: "IAMClient") -> None:
    """A policy that has a new version is read anew, at once; one that has not costs a call less."""
    arn = managed(client, "Nova", "a")
    client.attach_role_policy(RoleName="llm-app", PolicyArn=arn)
    reader.identity(ROLE)
    client.create_policy_version(PolicyArn=arn, PolicyDocument=json.dumps(document("b")), SetAsDefault=True)
    identity = reader.identity(ROLE)
    assert identity
    assert identity.holdings.policies[0].document == document("b")


def test_a_policy_made_again_is_read_anew(reader: IamReader, client: "IAMClient") -> None:
    """A policy of the same name that begins at v1 again is not taken for the one that was deleted."""
    arn = managed(client, "Nova", "a")
    client.attach_role_policy(RoleName="llm-app", PolicyArn=arn)
    reader.identity(ROLE)
    client.detach_role_policy(RoleName="llm-app", PolicyArn=arn)
    client.delete_policy(PolicyArn=arn)
    client.attach_role_policy(RoleName="llm-app", PolicyArn=managed(client, "Nova", "b"))
    identity = reader.identity(ROLE)
    assert identity
    assert identity.holdings.policies[0].document == document("b")


def test_a_role_costs_four_calls_with_an_inline_policy(
    reader: IamReader, client: "IAMClient", calls: Counter[str]
) -> None:
    """Who it is, which policies there are of each sort, and the text: nothing is asked twice."""
    client.put_role_policy(RoleName="llm-app", PolicyName="base", PolicyDocument=json.dumps(document("a")))
    calls.clear()
    reader.identity(ROLE)
    assert calls == {"GetRole": 1, "ListRolePolicies": 1, "GetRolePolicy": 1, "ListAttachedRolePolicies": 1}


def test_a_version_is_read_once(reader: IamReader, client: "IAMClient", calls: Counter[str]) -> None:
    """The text of a version never changes, so the second reading asks only which version is in force."""
    client.attach_role_policy(RoleName="llm-app", PolicyArn=managed(client, "Nova", "a"))
    calls.clear()
    for _ in range(2):
        reader.identity(ROLE)
    assert (calls["GetPolicy"], calls["GetPolicyVersion"]) == (2, 1)


def test_a_role_deleted_while_it_is_read_is_read_again(reader: IamReader, client: "IAMClient") -> None:
    """Half a picture is no picture: the message is delivered again, and then the role is gone."""

    def delete(**_: Any) -> None:
        boto3.client("iam").delete_role(RoleName="llm-app")

    client.meta.events.register_first("before-call.iam.ListRolePolicies", delete)
    with pytest.raises(RetryableError):
        reader.identity(ROLE)


def test_a_policy_removed_while_it_is_read_is_left_out(reader: IamReader, client: "IAMClient") -> None:
    """What the principal does not hold any more neither allows nor denies."""
    client.put_role_policy(RoleName="llm-app", PolicyName="base", PolicyDocument=json.dumps(document("a")))

    def remove(**_: Any) -> None:
        boto3.client("iam").delete_role_policy(RoleName="llm-app", PolicyName="base")

    client.meta.events.register_first("before-call.iam.GetRolePolicy", remove)
    identity = reader.identity(ROLE)
    assert identity
    assert identity.holdings.policies == ()


def test_a_principal_that_iam_denies_and_knows_is_asked_for_again(reader: IamReader, client: "IAMClient") -> None:
    """That there is none is what two calls say."""

    def deny(**_: Any) -> None:
        raise ClientError({"Error": {"Code": "NoSuchEntity", "Message": "not yet"}}, "GetRole")

    client.meta.events.register("before-call.iam.GetRole", deny)
    with pytest.raises(RetryableError, match="says that it does not exist"):
        reader.principal(ROLE)
    boto3.client("iam").delete_role(RoleName="llm-app")
    assert reader.principal(ROLE) is None
