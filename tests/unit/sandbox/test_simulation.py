"""IAM's policy simulator."""

import json
from collections.abc import Iterator
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
        {
            "name": "tagged",
            "inline": {
                "p": make.document(
                    make.statement(resource="arn:aws:bedrock:*::foundation-model/${aws:PrincipalTag/model}")
                )
            },
        },
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
            make.statement("Deny", "*", "*", Condition={"StringEquals": {"aws:RequestedRegion": "eu-west-3"}})
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


def entry(key: str, value: str, kind: str = "string") -> dict[str, Any]:
    """A context entry."""
    return {"ContextKeyName": key, "ContextKeyValues": [value], "ContextKeyType": kind}


def now(time: str = "2026-11-24T10:30:00Z", kind: str = "date") -> list[dict[str, Any]]:
    """The time as a context entry."""
    return [entry("aws:CurrentTime", time, kind)]


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
    """A service control policy denies; its statement is never among those that matched (docs/aws-facts.md §4.5)."""
    result = simulate(iam, "ana", "arn:aws:bedrock:us-east-1::foundation-model/forbidden")
    assert result["EvalDecision"] == "explicitDeny"
    assert result["OrganizationsDecisionDetail"] == {"AllowedByOrganizations": False}
    assert result["MatchedStatements"] == []
    assert simulate(iam, "ana")["OrganizationsDecisionDetail"] == {"AllowedByOrganizations": True}


def allowed_by_organizations(result: "EvaluationResultTypeDef") -> bool:
    """Whether the organization allows it, and that it asks for no keys."""
    assert result["ResourceSpecificResults"][0]["MissingContextValues"] == []
    return result["OrganizationsDecisionDetail"]["AllowedByOrganizations"]


def test_a_condition_of_an_scp_counts(iam: "IAMClient") -> None:
    """Since 30 July 2026 they are evaluated with their conditions (docs/aws-facts.md §4.5)."""
    there = [entry("aws:RequestedRegion", "eu-west-3")]
    assert not allowed_by_organizations(simulate(iam, "ana", ContextEntries=there))


PERIMETER = make.document(
    make.statement("Deny", "bedrock:*", "*", Condition={"StringNotEqualsIfExists": {"aws:SourceVpc": "vpc-1"}})
)
BOUND = make.document(make.statement(Condition={"StringEquals": {"aws:SourceVpc": "vpc-1"}}))


@pytest.mark.parametrize(("conditional", "allowed"), [(True, False), (False, True)])
def test_a_key_of_an_scp_counts_as_absent_and_is_not_reported(
    tmp_path: Path, *, conditional: bool, allowed: bool
) -> None:
    """Or the SCP is skipped, as the user guide used to say: the world file tells which (docs/aws-facts.md §4.5)."""
    world = make.world(
        users=[{"name": "ana", "inline": {"p": make.document(make.statement(action="bedrock:*"))}}],
        scps=[PERIMETER],
        simulator={"conditional_scps": conditional},
    )
    with make.started(tmp_path, {}, world=world):
        result = simulate(make.own_session().client("iam"), "ana")
        assert allowed_by_organizations(result) is allowed
        assert (result["EvalDecision"] == "allowed") is allowed


@pytest.mark.parametrize(("reports", "missing"), [(True, ["aws:sourcevpc"]), (False, [])])
def test_a_key_of_a_boundary_is_reported_only_in_one_reading(
    tmp_path: Path, *, reports: bool, missing: list[str]
) -> None:
    """Nothing says whether it is (docs/aws-facts.md §4.5, `?`)."""
    role = {"name": "app", "inline": {"p": make.document(make.statement())}, "boundary": BOUND}
    world = make.world(roles=[role], simulator={"reports_boundary_keys": reports})
    with make.started(tmp_path, {}, world=world):
        (result,) = simulate(make.own_session().client("iam"), "app")["ResourceSpecificResults"]
        assert result["PermissionsBoundaryDecisionDetail"] == {"AllowedByPermissionsBoundary": False}
        assert result["MissingContextValues"] == missing


def test_keys_of_other_statements_are_reported(iam: "IAMClient") -> None:
    """Also of a statement that has nothing to do with the question (docs/aws-facts.md §4.5)."""
    answer = iam.simulate_principal_policy(
        PolicySourceArn=f"arn:aws:iam::{make.ACCOUNT}:role/app",
        ActionNames=["s3:GetObject"],
        ResourceArns=["arn:aws:s3:::b"],
    )
    (result,) = answer["EvaluationResults"][0]["ResourceSpecificResults"]
    assert result["MissingContextValues"] == ["bedrock:inferenceprofilearn"]


def test_several_resources_have_a_result_each(iam: "IAMClient") -> None:
    """Several resources come under ResourceSpecificResults; the action's own decision is the worst of them."""
    result = simulate(iam, "ana", make.MODEL, "arn:aws:bedrock:us-east-1::foundation-model/forbidden")
    assert result["EvalDecision"] == "explicitDeny"
    assert result["EvalResourceName"] not in {make.MODEL, "*"}
    decisions = {one["EvalResourceName"]: one["EvalResourceDecision"] for one in result["ResourceSpecificResults"]}
    assert decisions[make.MODEL] == "allowed"


def test_nothing_is_filled_in(iam: "IAMClient") -> None:
    """Not even what AWS knows of the principal and the time (docs/aws-facts.md §4.5)."""
    model = "arn:aws:bedrock:us-east-1::foundation-model/opus"
    assert simulate(iam, "tagged", model)["EvalDecision"] == "implicitDeny"
    tagged = [entry("aws:PrincipalTag/model", "opus")]
    assert simulate(iam, "tagged", model, ContextEntries=tagged)["EvalDecision"] == "allowed"
    result = simulate(iam, "ending")
    assert result["EvalDecision"] == "implicitDeny"
    assert result["ResourceSpecificResults"][0]["MissingContextValues"] == ["aws:currenttime"]


@pytest.mark.parametrize(
    ("entries", "decision"),
    [
        (now(), "allowed"),
        (now(kind="dateList"), "allowed"),
        (now("2026-12-24T10:30:00Z"), "implicitDeny"),
        (now(kind="string"), "implicitDeny"),
    ],
)
def test_a_key_counts_with_its_type(iam: "IAMClient", entries: list[dict[str, Any]], decision: str) -> None:
    """A date that is given as text is no date."""
    assert simulate(iam, "ending", ContextEntries=entries)["EvalDecision"] == decision


@pytest.mark.parametrize(
    "given",
    [
        entry("aws:CurrentTime", "today", "date"),
        entry("aws:EpochTime", "noon", "numeric"),
        entry("aws:SourceIp", "here", "ip"),
        entry("aws:SecureTransport", "yes", "boolean"),
    ],
)
def test_a_value_must_be_of_its_type(iam: "IAMClient", given: dict[str, Any]) -> None:
    """Else the whole question is refused."""
    with pytest.raises(ClientError) as error:
        simulate(iam, "ending", ContextEntries=[given])
    assert error.value.response["Error"]["Code"] == "InvalidInput"


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
