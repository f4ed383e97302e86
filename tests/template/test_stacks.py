"""The stacks of other regions and member accounts: what they send on, and who may do what there."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from cfnlint.api import lint  # type: ignore[import-untyped]  # it has no types

from sandbox.evaluator import Ask, Decision, Source, evaluate
from sandbox.intrinsics import TemplateError
from sandbox.template import Stack, load, transformed
from tests.builders.iam_actions import details

HUB = "111122223333"
MEMBER = "444455556666"
ORGANIZATION = "o-exampleorgid"
WIDE = "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS"
STACKS = ("region", "member")
STRATEGIES = ("managed", "inline", "in-place")
OF_THE_ACCOUNT = ("iam", "bedrock")
"""Services whose resources are the account's own; the rest of a function's rights is about the hub's resources."""

Place = Callable[..., Stack]


@pytest.fixture(scope="module")
def hub(deploy: Callable[..., Stack]) -> Stack:
    """The hub, with one member account."""
    return deploy(OrganizationId=ORGANIZATION, EnrolledAccounts=MEMBER)


@pytest.fixture(scope="module")
def place(root: Path, hub: Stack) -> Place:
    """Gives one of the two stacks, with the hub's outputs for parameters, and others changed."""

    def place(kind: str = "member", account: str = MEMBER, region: str = "us-east-1", **changes: str) -> Stack:
        given = {
            "HubBusArn": hub.outputs["HubBusArn"],
            "HubAccountId": HUB,
            "HubRegion": "us-east-1",
            "HubReadRoleArns": hub.outputs["HubReadRoleArns"],
            "HubWriteRoleArn": hub.outputs["HubWriteRoleArn"],
            "OrganizationId": ORGANIZATION,
            "PrimaryRegion": "us-east-1",
        }
        known = given if kind == "member" else {"HubBusArn": given["HubBusArn"]}
        return load(root / f"stacks/{kind}.yaml", parameters=known | changes, account=account, region=region)

    return place


@pytest.fixture(scope="module")
def member(place: Place) -> Stack:
    """The member account's stack where everything is."""
    return place()


def statements(stack: Stack, role: str) -> list[Mapping[str, Any]]:
    """The statements of a role's only policy."""
    (policy,) = stack.properties(role)["Policies"]
    found: list[Mapping[str, Any]] = policy["PolicyDocument"]["Statement"]
    return found


def of_the_account(stack: Stack, role: str) -> dict[str, Mapping[str, Any]]:
    """Sid -> statement, of those that are about the account's own IAM and Bedrock."""
    return {each["Sid"]: each for each in statements(stack, role) if "NotAction" in each or about(each)}


def about(statement: Mapping[str, Any]) -> bool:
    """Whether all actions of a statement are of services whose resources are the account's own."""
    return all(action.partition(":")[0] in OF_THE_ACCOUNT for action in several(statement["Action"]))


def several(value: Any) -> list[str]:
    """A policy's one-or-many as many."""
    return [value] if isinstance(value, str) else list(value)


def moved(value: Any) -> Any:
    """A part of a policy with the hub's account in place of the member's."""
    if isinstance(value, Mapping):
        return {key: moved(item) for key, item in value.items()}
    if isinstance(value, list):
        return [moved(item) for item in value]
    return value.replace(MEMBER, HUB) if isinstance(value, str) else value


def allowed_pairs(each: Mapping[str, Any]) -> set[tuple[str, str]]:
    """Every action with every resource of a statement."""
    return {(action, resource) for action in several(each["Action"]) for resource in several(each["Resource"])}


def may(sources: list[Source], action: str, resource: str, caller: str, **context: str) -> bool:
    """Whether policies allow an action, by the sandbox's evaluator of policies and conditions."""
    known = {key.replace("_", ":"): (value,) for key, value in context.items()}
    known["aws:principalarn"] = (caller,)
    account = caller.split(":")[4]
    principal = (caller, f"arn:aws:iam::{account}:root", account)
    return evaluate(sources, Ask(action=action, resource=resource, context=known, principal=principal)).allowed


def trusts(stack: Stack, role: str, caller: str, organization: str | None = ORGANIZATION) -> bool:
    """Whether a role's trust policy lets a caller of an organization in."""
    document = stack.properties(role)["AssumeRolePolicyDocument"]
    context = {} if organization is None else {"aws_principalorgid": organization}
    return may([Source(id=role, type="resource", document=document)], "sts:AssumeRole", "*", caller, **context)


@pytest.mark.parametrize("kind", STACKS)
def test_the_stacks_are_clean(root: Path, kind: str) -> None:
    """As cfn-lint sees them."""
    assert lint((root / f"stacks/{kind}.yaml").read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("kind", STACKS)
def test_every_rule_on_the_way_is_the_same(hub: Stack, place: Place, kind: str) -> None:
    """One pattern and the state that sees read-only events: a rule that differs would lose denials in silence."""
    first, last = hub.properties("DenialRule"), hub.properties("ForwardedDenialRule")
    between = place(kind, region="eu-central-1").properties("DenialRule")
    assert first["EventPattern"] == between["EventPattern"] == last["EventPattern"]
    assert first["State"] == between["State"] == last["State"] == WIDE
    assert "EventBusName" not in between


@pytest.mark.parametrize("kind", STACKS)
def test_denials_are_sent_to_the_hub_or_set_aside(hub: Stack, place: Place, kind: str) -> None:
    """Unchanged, retried for a day; the queue for what failed takes it from this rule alone."""
    stack = place(kind, region="eu-central-1")
    assert stack.properties("DenialRule")["Targets"] == [
        {
            "Id": "hub",
            "Arn": hub.arn("ForwardedDenials"),
            "RoleArn": stack.arn("ForwardRole"),
            "DeadLetterConfig": {"Arn": stack.arn("DeadLetters")},
            "RetryPolicy": {"MaximumEventAgeInSeconds": 86400, "MaximumRetryAttempts": 185},
        }
    ]
    assert stack.properties("DeadLetters") == {
        "SqsManagedSseEnabled": True,
        "MessageRetentionPeriod": 14 * 86400,
        "RedriveAllowPolicy": {"redrivePermission": "denyAll"},
    }
    allow, others, deny = stack.properties("DeadLettersPolicy")["PolicyDocument"]["Statement"]
    assert (others["Effect"], others["Action"]) == ("Deny", "sqs:SendMessage")
    assert others["Condition"] == {"BoolIfExists": {"aws:PrincipalIsAWSService": "false"}}
    assert allow["Principal"] == {"Service": "events.amazonaws.com"}
    assert allow["Condition"] == {"ArnEquals": {"aws:SourceArn": stack.arn("DenialRule")}}
    assert (deny["Effect"], deny["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})


@pytest.mark.parametrize("kind", STACKS)
def test_the_role_that_sends_on_can_do_nothing_else(hub: Stack, place: Place, kind: str) -> None:
    """It puts events on the hub's bus, for EventBridge in its own account."""
    stack = place(kind, region="eu-central-1")
    (statement,) = statements(stack, "ForwardRole")
    assert (statement["Action"], statement["Resource"]) == ("events:PutEvents", hub.arn("ForwardedDenials"))
    assert stack.properties("ForwardRole")["Path"] == "/bedrock-access-remediator-stack/"
    trust = [Source(id="t", type="resource", document=stack.properties("ForwardRole")["AssumeRolePolicyDocument"])]
    for account in (MEMBER, HUB):
        context = {"aws:sourceaccount": (account,)}
        ask = Ask(action="sts:AssumeRole", resource="*", context=context, principal=("events.amazonaws.com",))
        assert evaluate(trust, ask).allowed is (account == MEMBER)


def test_the_roles_are_made_once_an_account(place: Place, member: Stack) -> None:
    """In the primary region only, and not in the hub account, where the functions' own roles do."""
    assert {"ReadRole", "WriteRole"} <= set(member.resources)
    for stack in (
        place(region="eu-central-1"),
        place(account=HUB, region="eu-central-1", PrimaryRegion="eu-central-1"),
    ):
        assert set(stack.of_type("AWS::IAM::Role")) == {"ForwardRole"}
        assert "DenialRule" in stack.resources


def test_in_the_hubs_own_place_there_is_nothing(place: Place) -> None:
    """A StackSet may reach it, and a second rule there would send every denial twice."""
    assert set(place(account=HUB).resources) == {"Nothing"}


def test_the_roles_have_the_names_that_the_functions_assume(member: Stack) -> None:
    """By path and name, the same in every account."""
    path = f"arn:aws:iam::{MEMBER}:role/bedrock-access-remediator-stack"
    assert member.arn("ReadRole") == f"{path}/bedrock-access-remediator-read"
    assert member.arn("WriteRole") == f"{path}/bedrock-access-remediator-write"


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_remediate_has_the_same_rights_here_as_at_home(
    deploy: Callable[..., Stack], place: Place, strategy: str
) -> None:
    """Statement by statement, under each strategy; the Deny on this service's own roles is among them."""
    at_home = of_the_account(deploy(PolicyStrategy=strategy), "RemediateRole")
    here = {each["Sid"]: moved(each) for each in statements(place(PolicyStrategy=strategy), "WriteRole")}
    assert here == at_home
    assert "NotAction" in here["NeverTheStacksOwnRoles"]


def test_triage_and_upkeep_have_the_same_rights_here_as_at_home(deploy: Callable[..., Stack], member: Stack) -> None:
    """What either may read at home, the read role may here; and no more."""
    home = deploy(PolicyStrategy="in-place")
    needed = {
        pair
        for role in ("TriageRole", "UpkeepRole")
        for each in of_the_account(home, role).values()
        for pair in allowed_pairs(each)
    }
    assert {pair for each in statements(member, "ReadRole") for pair in allowed_pairs(moved(each))} == needed
    assert all(each["Effect"] == "Allow" and "Condition" not in each for each in statements(member, "ReadRole"))


def test_the_read_role_changes_nothing(member: Stack) -> None:
    """By the access level that AWS gives each action."""
    for each in statements(member, "ReadRole"):
        for action in several(each["Action"]):
            assert details(action)["accessLevel"] in ("Read", "List"), action


def test_the_grantable_principals_bound_every_write(place: Place) -> None:
    """The member's own parameter, in every strategy."""
    patterns = [f"arn:aws:iam::{MEMBER}:role/llm-*"]
    stack = place(PolicyStrategy="in-place", GrantablePrincipals=patterns[0])
    found = {each["Sid"]: each for each in statements(stack, "WriteRole")}
    assert found["AttachOwnPolicies"]["Resource"] == found["WriteInlinePolicies"]["Resource"] == patterns


@pytest.mark.parametrize(
    ("function", "role"), [("Triage", "ReadRole"), ("Upkeep", "ReadRole"), ("Remediate", "WriteRole")]
)
def test_each_function_is_trusted_with_its_own_role(hub: Stack, member: Stack, function: str, role: str) -> None:
    """Both sides agree: the hub's role may assume it, and it lets that role in; the other role does neither."""
    caller = hub.arn(f"{function}Role")
    own = [Source(id="own", type="identity", document={"Statement": statements(hub, f"{function}Role")})]
    other = "WriteRole" if role == "ReadRole" else "ReadRole"
    for candidate, fits in ((role, True), (other, False)):
        context = {"aws_resourceorgid": ORGANIZATION, "aws_resourceaccount": MEMBER}
        assert trusts(member, candidate, caller) is fits
        assert may(own, "sts:AssumeRole", member.arn(candidate), caller, **context) is fits


@pytest.mark.parametrize("role", ["ReadRole", "WriteRole"])
def test_nobody_else_is_trusted(hub: Stack, member: Stack, role: str) -> None:
    """Other functions, other roles of the hub account, its administrators, and the same role of another account."""
    others = [hub.arn(name) for name in ("ApproveRole", "NotifyRole", "PipeRole", "UpkeepScheduleRole")]
    others += [f"arn:aws:iam::{HUB}:role/administrator", f"arn:aws:iam::{HUB}:root"]
    trusted = hub.arn("RemediateRole" if role == "WriteRole" else "TriageRole")
    others.append(trusted.replace(HUB, "777788889999"))
    assert not [caller for caller in others if trusts(member, role, caller)]
    assert trusts(member, role, trusted)
    assert not trusts(member, role, trusted, "o-anotherorgid")
    assert not trusts(member, role, trusted, None)


@pytest.mark.parametrize(
    ("role", "account", "organization"),
    [
        ("bedrock-access-remediator-stack/bedrock-access-remediator-read", "777788889999", ORGANIZATION),
        ("bedrock-access-remediator-stack/bedrock-access-remediator-read", MEMBER, "o-anotherorgid"),
        ("bedrock-access-remediator-stack/another", MEMBER, ORGANIZATION),
        ("bedrock-access-remediator-read", MEMBER, ORGANIZATION),
        ("administrator", MEMBER, ORGANIZATION),
    ],
)
def test_triage_can_assume_nothing_else(hub: Stack, role: str, account: str, organization: str) -> None:
    """Not in an account that is not enrolled, nor of another organization, nor another role."""
    sources = [Source(id="own", type="identity", document={"Statement": statements(hub, "TriageRole")})]
    arn = f"arn:aws:iam::{account}:role/{role}"
    context = {"aws_resourceorgid": organization, "aws_resourceaccount": account}
    assert not may(sources, "sts:AssumeRole", arn, hub.arn("TriageRole"), **context)


def test_with_every_account_enrolled_the_organization_is_the_limit(deploy: Callable[..., Stack]) -> None:
    """`*` stands for its accounts, and for no other's."""
    hub = deploy(OrganizationId=ORGANIZATION, EnrolledAccounts="*")
    sources = [Source(id="own", type="identity", document={"Statement": statements(hub, "RemediateRole")})]
    arn = "arn:aws:iam::777788889999:role/bedrock-access-remediator-stack/bedrock-access-remediator-write"
    for organization in (ORGANIZATION, "o-anotherorgid"):
        context = {"aws_resourceorgid": organization, "aws_resourceaccount": "777788889999"}
        allowed = may(sources, "sts:AssumeRole", arn, hub.arn("RemediateRole"), **context)
        assert allowed is (organization == ORGANIZATION)


@pytest.mark.parametrize(
    "action", ["iam:AttachRolePolicy", "iam:PutRolePolicy", "iam:UpdateAssumeRolePolicy", "iam:DeleteRole"]
)
def test_the_write_role_never_changes_a_role_of_this_service(place: Place, action: str) -> None:
    """Under the strategy that may do most, by an explicit Deny."""
    stack = place(PolicyStrategy="in-place")
    sources = [Source(id="own", type="identity", document={"Statement": statements(stack, "WriteRole")})]
    ask = Ask(action=action, resource=stack.arn("ReadRole"), context={})
    assert evaluate(sources, ask).decision is Decision.EXPLICIT_DENY


def test_the_page_says_where_every_parameter_comes_from(root: Path, hub: Stack) -> None:
    """From the hub's outputs, whose names are the parameters', or from whoever deploys; the rest has a default."""
    declared = transformed((root / "stacks/member.yaml").read_text(encoding="utf-8"), "us-east-1")["Parameters"]
    needed = {name for name, each in declared.items() if "Default" not in each}
    outputs = {name for name in hub.outputs if name.startswith("Hub")}
    assert outputs < needed
    (given,) = re.findall(r"Add (.*?) to `hub\.json`", (root / "docs/organisation.md").read_text(encoding="utf-8"))
    assert set(re.findall(r"`(\w+)`", given)) == needed - outputs


@pytest.mark.parametrize(
    ("kind", "bad"),
    [
        ("region", {"HubBusArn": "bedrock-access-remediator"}),
        ("member", {"HubAccountId": "1234"}),
        ("member", {"HubReadRoleArns": f"arn:aws:iam::{HUB}:role/administrator"}),
        ("member", {"HubReadRoleArns": "*"}),
        ("member", {"HubWriteRoleArn": f"arn:aws:iam::{HUB}:root"}),
        ("member", {"OrganizationId": ""}),
        ("member", {"OrganizationId": "*"}),
        ("member", {"GrantablePrincipals": "*"}),
        ("member", {"PolicyStrategy": "all"}),
        ("member", {"PrimaryRegion": "Frankfurt"}),
        ("member", {"HubRegion": ""}),
    ],
)
def test_bad_parameters_are_refused(place: Place, kind: str, bad: dict[str, str]) -> None:
    """Before a role is made that would trust more than it should."""
    with pytest.raises(TemplateError):
        place(kind, **bad)
