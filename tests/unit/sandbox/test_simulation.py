"""IAM's policy simulator."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from sandbox.stack import Sandbox
from tests.builders import sandboxes as make

if TYPE_CHECKING:
    from mypy_boto3_iam import IAMClient
    from mypy_boto3_iam.type_defs import EvaluationResultTypeDef

INVOKE = "bedrock:InvokeModel"
SCOPED = make.statement(
    action=INVOKE, resource=make.MODEL, Condition={"StringEquals": {"bedrock:InferenceProfileArn": make.PROFILE}}
)
ENDS = {"DateLessThan": {"aws:CurrentTime": "2026-12-01T00:00:00Z"}}

WORLD = make.world(
    groups=[{"name": "ml", "inline": {"g": make.document(make.statement(action="bedrock:*"))}}],
    roles=[
        {"name": "app", "tags": {"team": "ml"}, "inline": {"p": make.document(SCOPED)}},
        {"name": "empty"},
        {"name": "tagged", "inline": {"p": make.document(make.statement(resource="*/${aws:PrincipalTag/model}"))}},
        {
            "name": "bounded",
            "inline": {"p": make.document(make.statement())},
            "boundary": make.document(make.statement(action="s3:*")),
        },
        {
            "name": "ending",
            "inline": {
                "p": make.document(
                    make.statement(Condition={"DateLessThan": {"aws:CurrentTime": "2026-12-01T00:00:00Z"}})
                )
            },
        },
    ],
    users=[{"name": "ana", "groups": ["ml"]}],
    scps=[
        make.document(make.statement("Deny", INVOKE, "*/forbidden")),
        make.document(
            make.statement("Deny", "*", "*", Condition={"StringEquals": {"aws:RequestedRegion": "us-east-1"}})
        ),
    ],
)


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    """A sandbox of that world."""
    with make.started(tmp_path, {}, world=WORLD) as sandbox:
        yield sandbox


@pytest.fixture
def iam(sandbox: Sandbox) -> "IAMClient":
    """Its IAM."""
    return make.own_session().client("iam")


def simulate(iam: "IAMClient", name: str, *resources: str, **more: Any) -> "EvaluationResultTypeDef":
    """Simulate InvokeModel of a role, or of the user ana."""
    kind = "user" if name == "ana" else "role"
    arn = f"arn:aws:iam::{make.ACCOUNT}:{kind}/{name}"
    answer = iam.simulate_principal_policy(
        PolicySourceArn=arn, ActionNames=[INVOKE], ResourceArns=list(resources or [make.MODEL]), **more
    )
    return answer["EvaluationResults"][0]


def entry(key: str, value: str) -> dict[str, Any]:
    """A context entry."""
    return {"ContextKeyName": key, "ContextKeyValues": [value], "ContextKeyType": "string"}


def test_the_context_given_counts(iam: "IAMClient") -> None:
    """With its key in the context a condition is met; without it the key is told as missing."""
    given = simulate(iam, "app", ContextEntries=[entry("bedrock:InferenceProfileArn", make.PROFILE)])
    assert given["EvalDecision"] == "allowed"
    assert given["ResourceSpecificResults"][0]["MissingContextValues"] == []
    without = simulate(iam, "app")
    assert without["EvalDecision"] == "implicitDeny"
    assert without["ResourceSpecificResults"][0]["MissingContextValues"] == ["bedrock:inferenceprofilearn"]


def test_a_document_that_does_not_exist_yet(iam: "IAMClient") -> None:
    """PolicyInputList counts beside what the principal holds."""
    assert simulate(iam, "empty")["EvalDecision"] == "implicitDeny"
    added = json.dumps(make.document(make.statement(action=INVOKE, resource=make.MODEL)))
    result = simulate(iam, "empty", PolicyInputList=[added])
    assert result["EvalDecision"] == "allowed"
    assert result["MatchedStatements"][0]["SourcePolicyId"] == "PolicyInputList.1"


def test_group_policies_count(iam: "IAMClient") -> None:
    """A user is allowed what a group is allowed."""
    assert simulate(iam, "ana")["EvalDecision"] == "allowed"


def test_a_boundary_bounds(iam: "IAMClient") -> None:
    """What the boundary does not allow is not allowed, and the answer says that the boundary is why."""
    result = simulate(iam, "bounded")
    assert result["EvalDecision"] == "implicitDeny"
    assert result["PermissionsBoundaryDecisionDetail"] == {"AllowedByPermissionsBoundary": False}
    assert "PermissionsBoundaryDecisionDetail" not in simulate(iam, "app")


def test_the_organization_denies(iam: "IAMClient") -> None:
    """A service control policy denies, and one with a condition is skipped."""
    result = simulate(iam, "bounded", "arn:aws:bedrock:us-east-1::foundation-model/forbidden")
    assert result["EvalDecision"] == "explicitDeny"
    assert result["OrganizationsDecisionDetail"] == {"AllowedByOrganizations": False}
    assert simulate(iam, "ana")["OrganizationsDecisionDetail"] == {"AllowedByOrganizations": True}


def test_several_resources_have_a_result_each(iam: "IAMClient") -> None:
    """Several resources come under ResourceSpecificResults; the action's own decision is the worst of them."""
    result = simulate(iam, "ana", make.MODEL, "arn:aws:bedrock:us-east-1::foundation-model/forbidden")
    assert result["EvalDecision"] == "explicitDeny"
    assert result["EvalResourceName"] not in {make.MODEL, "*"}
    decisions = {one["EvalResourceName"]: one["EvalResourceDecision"] for one in result["ResourceSpecificResults"]}
    assert decisions[make.MODEL] == "allowed"


def test_the_principals_own_keys_are_known(iam: "IAMClient") -> None:
    """Tags of the principal count without being given, and a tag it does not have is no missing value."""
    result = simulate(iam, "tagged")
    assert result["EvalDecision"] == "implicitDeny"
    assert result["ResourceSpecificResults"][0]["MissingContextValues"] == []


def test_the_time_is_known(sandbox: Sandbox, iam: "IAMClient") -> None:
    """A grant that ends is allowed until it ends."""
    assert simulate(iam, "ending")["EvalDecision"] == "allowed"
    sandbox.clock.advance(timedelta(days=30).total_seconds())
    assert simulate(iam, "ending")["EvalDecision"] == "implicitDeny"


def test_results_come_in_pages(iam: "IAMClient") -> None:
    """MaxItems and Marker page through the actions."""
    pages = iam.get_paginator("simulate_principal_policy").paginate(
        PolicySourceArn=f"arn:aws:iam::{make.ACCOUNT}:user/ana",
        ActionNames=[INVOKE, "s3:GetObject", "bedrock:GetFoundationModel"],
        PaginationConfig={"PageSize": 2},
    )
    assert [[result["EvalActionName"] for result in page["EvaluationResults"]] for page in pages] == [
        [INVOKE, "s3:GetObject"],
        ["bedrock:GetFoundationModel"],
    ]


def test_a_policy_by_itself(iam: "IAMClient") -> None:
    """SimulateCustomPolicy weighs the documents given, and nothing that a principal holds."""
    policy = json.dumps(make.document(make.statement(action=INVOKE)))
    answer = iam.simulate_custom_policy(PolicyInputList=[policy], ActionNames=[INVOKE, "s3:GetObject"])
    assert [result["EvalDecision"] for result in answer["EvaluationResults"]] == ["allowed", "implicitDeny"]


@pytest.mark.parametrize(("name", "policies", "code"), [("nobody", [], "NoSuchEntity"), ("app", ["{"], "InvalidInput")])
def test_what_cannot_be_simulated(iam: "IAMClient", name: str, policies: list[str], code: str) -> None:
    """A principal that is not there, or a document that is none, is an error."""
    with pytest.raises(ClientError) as error:
        simulate(iam, name, PolicyInputList=policies)
    assert error.value.response["Error"]["Code"] == code


def test_a_change_may_take_time_to_show(tmp_path: Path) -> None:
    """With `settle_seconds` the simulator sees a new policy only some time after it was written."""
    with make.started(tmp_path, {}, world=WORLD, settle_seconds=10) as sandbox:
        iam = make.own_session().client("iam")
        assert simulate(iam, "empty")["EvalDecision"] == "implicitDeny"
        policy = json.dumps(make.document(make.statement()))
        iam.put_role_policy(RoleName="empty", PolicyName="p", PolicyDocument=policy)
        assert simulate(iam, "empty")["EvalDecision"] == "implicitDeny"
        sandbox.clock.advance(10)
        assert simulate(iam, "empty")["EvalDecision"] == "allowed"
