"""The service control policy in docs/examples that keeps everybody else off what is the service's own."""

import json
from pathlib import Path
from typing import Final

import pytest

from sandbox.evaluator import Ask, Decision, Source, evaluate
from sandbox.report import report
from sandbox.running import handle, time_after
from sandbox.stack import Options, Sandbox
from tests.builders import members as make
from tests.builders.members import FRANKFURT, MEMBER

EXAMPLE: Final = Path(__file__).parents[2] / "docs" / "examples" / "organization-scp.json"
POLICY: Final = json.loads(EXAMPLE.read_text(encoding="utf-8"))

OURS: Final = f"arn:aws:iam::{MEMBER}:policy/bedrock-access-remediator/role.llm-app.1"
THEIRS: Final = f"arn:aws:iam::{MEMBER}:policy/AppPolicy"
APP: Final = f"arn:aws:iam::{MEMBER}:role/app"
ADMINISTRATOR: Final = f"arn:aws:iam::{MEMBER}:role/administrator"
WRITE: Final = f"arn:aws:iam::{MEMBER}:role/bedrock-access-remediator-stack/bedrock-access-remediator-write"
STACK_SETS: Final = f"arn:aws:iam::{MEMBER}:role/stacksets-exec-0123456789abcdef"
MADE_UP: Final = f"arn:aws:iam::{MEMBER}:role/stacksets-exec-mine"
BY_PATH: Final = f"arn:aws:iam::{MEMBER}:role/stacksets-exec-mine/admin"
DEPLOYER: Final = "arn:aws:iam::123456789012:role/deployer"
TAKING_OVER: Final = (
    "iam:CreateRole",
    "iam:UpdateAssumeRolePolicy",
    "iam:PutRolePolicy",
    "iam:AttachRolePolicy",
    "iam:DeleteRolePermissionsBoundary",
    "iam:DeleteRole",
    "iam:PassRole",
)
"""What makes a role one's own, or another in its place."""


def denied(principal: str, action: str, resource: str, policy: str = "") -> bool:
    """Whether the example denies it."""
    context = {"aws:principalarn": (principal,), **({"iam:policyarn": (policy,)} if policy else {})}
    source = Source(id="scp", type="Service Control Policy", document=POLICY)
    return evaluate([source], Ask(action=action, resource=resource, context=context)).decision is Decision.EXPLICIT_DENY


@pytest.mark.parametrize(
    ("principal", "action", "resource", "policy"),
    [
        (ADMINISTRATOR, "iam:CreatePolicy", OURS, ""),
        (ADMINISTRATOR, "iam:SetDefaultPolicyVersion", OURS, ""),
        (STACK_SETS, "iam:CreatePolicyVersion", OURS, ""),
        (ADMINISTRATOR, "iam:AttachRolePolicy", APP, OURS),
        (ADMINISTRATOR, "iam:AttachUserPolicy", f"arn:aws:iam::{MEMBER}:user/dev", OURS),
        (ADMINISTRATOR, "iam:UpdateAssumeRolePolicy", WRITE, ""),
        (ADMINISTRATOR, "iam:PutRolePolicy", WRITE, ""),
        (WRITE, "iam:PutRolePolicy", WRITE, ""),
    ],
)
def test_what_it_keeps_others_from(principal: str, action: str, resource: str, policy: str) -> None:
    """Nobody else writes or gives the service's policies, and nobody at all but a deployment changes its roles."""
    assert denied(principal, action, resource, policy)


@pytest.mark.parametrize(
    ("principal", "action", "resource", "policy"),
    [
        (ADMINISTRATOR, "iam:CreatePolicy", THEIRS, ""),
        (ADMINISTRATOR, "iam:AttachRolePolicy", APP, THEIRS),
        (ADMINISTRATOR, "iam:DetachRolePolicy", APP, OURS),
        (ADMINISTRATOR, "iam:GetPolicyVersion", OURS, ""),
        (ADMINISTRATOR, "iam:UpdateAssumeRolePolicy", APP, ""),
        (STACK_SETS, "iam:PutRolePolicy", WRITE, ""),
        (WRITE, "iam:CreatePolicy", OURS, ""),
        (WRITE, "iam:AttachRolePolicy", APP, OURS),
    ],
)
def test_what_it_leaves_alone(principal: str, action: str, resource: str, policy: str) -> None:
    """Everybody keeps what is theirs, may look and may take the service's policies off; the service can work."""
    assert not denied(principal, action, resource, policy)


@pytest.mark.parametrize("action", TAKING_OVER)
@pytest.mark.parametrize("role", [MADE_UP, BY_PATH, STACK_SETS, DEPLOYER])
@pytest.mark.parametrize("attacker", [ADMINISTRATOR, APP, MADE_UP, BY_PATH, STACK_SETS, WRITE, DEPLOYER])
def test_nobody_becomes_one_of_those_that_may_deploy_it(attacker: str, role: str, action: str) -> None:
    """The exception goes by name: nobody, such a role included, makes one, changes it, or changes whom it trusts."""
    assert denied(attacker, action, role)


@pytest.mark.parametrize("role", [MADE_UP, BY_PATH, STACK_SETS])
def test_the_whole_attack_by_a_role_of_that_name_ends_at_its_first_step(role: str) -> None:
    """Whoever had such a role could change our roles; so making it, or taking one over, is what must fail."""
    assert not denied(role, "iam:UpdateAssumeRolePolicy", WRITE)
    steps = ("iam:CreateRole", "iam:UpdateAssumeRolePolicy", "iam:AttachRolePolicy", "iam:PutRolePolicy")
    assert all(denied(ADMINISTRATOR, step, role) for step in steps)


def test_every_exception_by_name_is_protected_by_name() -> None:
    """What one statement lets through, another keeps everybody from becoming."""
    statements = {each["Sid"]: each for each in POLICY["Statement"]}
    excepted = statements["OnlyWhoDeploysItMakesItsRoles"]["Condition"]["ArnNotLike"]["aws:PrincipalArn"]
    protected = statements["NobodyMakesOrChangesWhoDeploysIt"]
    assert set(excepted) == set(protected["Resource"])
    assert "Condition" not in protected
    assert set(statements["OnlyWhoDeploysItMakesItsRoles"]["Action"]) == set(protected["Action"])


def test_the_service_works_under_it() -> None:
    """With the policy in force over the member, a denial there is granted and verified."""
    events = [make.denial()]
    options = Options(parameters={"Mode": "auto"}, allowlist={"main": make.EVERYTHING}, now=time_after(events))
    with Sandbox(make.world({MEMBER: {"scps": [POLICY]}}, [FRANKFURT]), options) as stack:
        handle(stack, events)
        assert [(row["state"], row["verification"]) for row in report(stack)["grants"]] == [("active", "simulated")]
        assert stack.authorization.refusals == []
