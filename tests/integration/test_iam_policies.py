"""The calls that change IAM, on moto."""

import json
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from bedrock_remediator.aws.errors import RetryableError
from bedrock_remediator.aws.iam_policies import Holder, InlinePolicies, ManagedPolicies, RefusedError
from bedrock_remediator.core.arn import Principal
from tests.builders.grants import ACCOUNT

if TYPE_CHECKING:
    from mypy_boto3_iam import IAMClient

TRUST = json.dumps({"Version": "2012-10-17", "Statement": []})
ROLE = Principal.parse(f"arn:aws:iam::{ACCOUNT}:role/app")
USER = Principal.parse(f"arn:aws:iam::{ACCOUNT}:user/dev")
GONE = (Principal.parse(f"arn:aws:iam::{ACCOUNT}:role/gone"), Principal.parse(f"arn:aws:iam::{ACCOUNT}:user/gone"))
ARN = f"arn:aws:iam::{ACCOUNT}:policy/ours/one"
BOTH = pytest.mark.parametrize("principal", [ROLE, USER], ids=["role", "user"])


def document(action: str = "s3:GetObject") -> dict[str, Any]:
    """A policy."""
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": action, "Resource": "*"}]}


@pytest.fixture
def iam(aws: None) -> "IAMClient":
    """IAM with a role and a user."""
    client = boto3.client("iam")
    client.create_role(RoleName=ROLE.name, AssumeRolePolicyDocument=TRUST)
    client.create_user(UserName=USER.name)
    return client


@pytest.fixture
def managed(iam: "IAMClient") -> ManagedPolicies:
    """Managed policies, one of them made."""
    policies = ManagedPolicies(iam)
    policies.create("/ours/", "one", json.dumps(document()), {"team": "ml"}, "For tests")
    return policies


@pytest.fixture
def inline(iam: "IAMClient") -> InlinePolicies:
    """Inline policies, none yet."""
    return InlinePolicies(iam)


def test_a_policy_is_found_with_its_tags(managed: ManagedPolicies) -> None:
    """And with how often it is attached."""
    policy = managed.find(ARN)
    assert policy
    assert (policy.default_version, policy.tags, policy.attachments) == ("v1", {"team": "ml"}, 0)
    assert managed.document(ARN, "v1") == document()
    assert managed.find(f"{ARN}x") is None


def test_versions_are_listed_by_age(managed: ManagedPolicies) -> None:
    """The tenth comes after the ninth."""
    for number in range(10):
        managed.add_version(ARN, json.dumps(document(f"s3:Action{number}")))
        if number:
            managed.delete_version(ARN, f"v{number}")
    assert managed.versions(ARN) == ("v10", "v11")
    managed.put_in_force(ARN, "v10")
    policy = managed.find(ARN)
    assert policy
    assert policy.default_version == "v10"


def test_tags_are_added(managed: ManagedPolicies) -> None:
    """Others stay."""
    managed.tag(ARN, {"principal-id": "AROA1"})
    policy = managed.find(ARN)
    assert policy
    assert policy.tags == {"team": "ml", "principal-id": "AROA1"}


@BOTH
def test_policies_are_attached_and_detached(managed: ManagedPolicies, iam: "IAMClient", principal: Principal) -> None:
    """Twice is as good as once."""
    for _ in range(2):
        managed.attach(principal, ARN)
    assert managed.attached(principal, "/ours/") == frozenset({ARN})
    assert managed.attached(principal, "/theirs/") == frozenset()
    (holder,) = managed.holders(ARN)
    assert (holder.kind, holder.name) == (principal.kind, principal.name)
    for _ in range(2):
        managed.detach(principal, ARN)
    assert not managed.attached(principal, "/ours/")
    assert not managed.holders(ARN)


def test_groups_are_holders_too(managed: ManagedPolicies, iam: "IAMClient") -> None:
    """Whoever has the policy is named, with the id that no successor shares."""
    group = iam.create_group(GroupName="ml")["Group"]
    iam.attach_group_policy(GroupName="ml", PolicyArn=ARN)
    assert managed.holders(ARN) == {Holder("group", "ml", group["GroupId"])}


def test_what_is_gone_can_be_taken_away_again(managed: ManagedPolicies, inline: InlinePolicies) -> None:
    """A change that was interrupted is made again without an error."""
    for _ in range(2):
        managed.delete(ARN)
        managed.delete_version(ARN, "v1")
    for principal in (ROLE, USER, *GONE):
        managed.detach(principal, ARN)
        inline.delete(principal, "base")
        assert inline.document(principal, "base") is None
        assert inline.all(principal) == {}
        assert not managed.attached(principal, "/ours/")


@BOTH
def test_inline_policies_are_written_over(inline: InlinePolicies, principal: Principal) -> None:
    """One of a name is all there is."""
    inline.put(principal, "base", json.dumps(document("s3:GetObject")))
    inline.put(principal, "base", json.dumps(document("s3:PutObject")))
    inline.put(principal, "more", json.dumps(document()))
    assert inline.document(principal, "base") == document("s3:PutObject")
    assert inline.all(principal).keys() == {"base", "more"}
    inline.delete(principal, "base")
    assert inline.all(principal) == {"more": document()}


@pytest.mark.parametrize("principal", GONE, ids=["role", "user"])
def test_a_principal_that_vanishes_is_looked_at_again(
    managed: ManagedPolicies, inline: InlinePolicies, principal: Principal
) -> None:
    """A write to what is not there may be IAM settling, or a deletion: the next look tells."""
    with pytest.raises(RetryableError):
        managed.attach(principal, ARN)
    with pytest.raises(RetryableError):
        inline.put(principal, "base", json.dumps(document()))


def test_a_refusal_keeps_the_words_of_aws(managed: ManagedPolicies) -> None:
    """Which operation, which code, which message."""
    with pytest.raises(RefusedError) as refused:
        managed.create("/ours/", "one", json.dumps(document()), {}, "Again")
    assert (refused.value.operation, refused.value.code) == ("CreatePolicy", "EntityAlreadyExists")
    assert "already exists" in refused.value.message


def test_a_refusal_names_the_operation_as_iam_does(
    inline: InlinePolicies, iam: "IAMClient", monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever reads it looks for it in a policy or in CloudTrail."""

    def denied(**_: object) -> None:
        raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "PutUserPolicy")

    monkeypatch.setattr(iam, "put_user_policy", denied)
    with pytest.raises(RefusedError) as refused:
        inline.put(USER, "base", json.dumps(document()))
    assert refused.value.operation == "PutUserPolicy"


@pytest.mark.parametrize(
    "error",
    [
        ClientError({"Error": {"Code": "Throttling"}}, "GetPolicy"),
        ClientError({"Error": {"Code": "ConcurrentModification"}}, "GetPolicy"),
        ClientError({"Error": {"Code": "EntityTemporarilyUnmodifiable"}}, "GetPolicy"),
        EndpointConnectionError(endpoint_url="https://iam.amazonaws.com"),
    ],
)
def test_trouble_that_passes_is_told_from_a_refusal(
    managed: ManagedPolicies, iam: "IAMClient", error: Exception
) -> None:
    """The queue delivers the work again."""

    def trouble(**_: Any) -> None:
        raise error

    iam.meta.events.register("before-call.iam.GetPolicy", trouble)
    with pytest.raises(RetryableError, match="GetPolicy"):
        managed.find(ARN)


@pytest.mark.parametrize(("text", "expected"), [(json.dumps(document()), document()), ("[]", None)])
def test_a_document_is_a_json_object(
    managed: ManagedPolicies, iam: "IAMClient", text: str, expected: dict[str, Any] | None
) -> None:
    """One that botocore hands on as text is decoded; anything else is no policy."""

    def as_text(parsed: Any, **_: Any) -> None:
        parsed["PolicyVersion"]["Document"] = text

    iam.meta.events.register("after-call.iam.GetPolicyVersion", as_text)
    if expected is None:
        with pytest.raises(TypeError):
            managed.document(ARN, "v1")
    else:
        assert managed.document(ARN, "v1") == expected
