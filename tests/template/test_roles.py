"""Every statement of every role, literally: a right that is added, widened or lost shows here."""

from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from typing import Any

import pytest

from bedrock_remediator.aws.ledger.write import APPROVE_ATTRIBUTES, NOTICES, Ledger
from bedrock_remediator.aws.slack_messages import SlackMessage
from bedrock_remediator.notices.notice import FOLDABLE
from sandbox.template import Stack
from tests.builders.grants import pending_grant
from tests.builders.iam_actions import actions_of, changes
from tests.builders.notices import blocked_by_scp

TRUSTED = {
    "TriageRole": "lambda.amazonaws.com",
    "RemediateRole": "lambda.amazonaws.com",
    "NotifyRole": "lambda.amazonaws.com",
    "ApproveRole": "lambda.amazonaws.com",
    "SlackRole": "lambda.amazonaws.com",
    "UpkeepRole": "lambda.amazonaws.com",
    "PipeRole": "pipes.amazonaws.com",
    "UpkeepScheduleRole": "scheduler.amazonaws.com",
}
ROLES = set(TRUSTED)
IAM = "arn:aws:iam::111122223333"
OWN_POLICIES = f"{IAM}:policy/bedrock-access-remediator/*"
STACK_ROLES = f"{IAM}:role/bedrock-access-remediator-stack/*"
GRANTABLE = ["arn:*:iam::*:role/*", "arn:*:iam::*:user/*"]
SECRET = "arn:aws:secretsmanager:us-east-1:111122223333:secret"
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
    "ListProfiles": ("Allow", {"bedrock:ListInferenceProfiles"}, {"*"}, {}),
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
    "ReadAuthorizationDetails": ("Allow", {"iam:GetRequestAuthorizationDetails"}, {"*"}, {}),
    "ReadGroups": (
        "Allow",
        {"iam:ListGroupPolicies", "iam:GetGroupPolicy", "iam:ListAttachedGroupPolicies"},
        {f"{IAM}:group/*"},
        {},
    ),
}
UPKEEP_READS: dict[str, Rights] = {
    "ReadAllowlist": IDENTITY_READS["ReadAllowlist"],
    "ListProfiles": IDENTITY_READS["ListProfiles"],
    "ReadProfiles": IDENTITY_READS["ReadProfiles"],
    "ReadRoles": (
        "Allow",
        {"iam:GetRole", "iam:ListRolePolicies", "iam:GetRolePolicy", "iam:ListAttachedRolePolicies"},
        {f"{IAM}:role/*"},
        {},
    ),
    "ReadUsers": (
        "Allow",
        {"iam:GetUser", "iam:ListUserPolicies", "iam:GetUserPolicy", "iam:ListAttachedUserPolicies"},
        {f"{IAM}:user/*"},
        {},
    ),
    "ReadPolicies": (
        "Allow",
        {"iam:GetPolicy", "iam:GetPolicyVersion", "iam:ListEntitiesForPolicy"},
        {f"{IAM}:policy/*"},
        {},
    ),
    "ListPolicies": ("Allow", {"iam:ListPolicies"}, {"*"}, {}),
}
POLICIES = {f"{IAM}:policy/*", "arn:aws:iam::aws:policy/*"}
QUEUE_READS = {"sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"}
STREAM_READS = {"dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"}


def attributes(*names: str) -> Mapping[str, Any]:
    """The condition that holds a write to these attributes."""
    return {"ForAllValues:StringEquals": {"dynamodb:Attributes": list(names)}}


def keys(*patterns: str) -> Mapping[str, Any]:
    """The condition that holds a write to items under such partition keys."""
    return {
        "Null": {"dynamodb:LeadingKeys": "false"},
        "ForAllValues:StringLike": {"dynamodb:LeadingKeys": list(patterns)},
    }


def named(condition: Mapping[str, Any], *names: str) -> Mapping[str, Any]:
    """The same, and to these attributes."""
    known = {"Null": {"dynamodb:LeadingKeys": "false", "dynamodb:Attributes": "false"}}
    return {**condition, **known, **attributes(*names)}


PRINCIPALS = ("arn:*", "account/*")
"""How the partition keys of principals begin, under which are rows, counters and habits."""
DECISION = named(keys(*PRINCIPALS), "pk", "sk", *sorted(APPROVE_ATTRIBUTES - {"pk", "sk"}))
MEMORY = named(keys("slack#*"), "pk", "sk", *sorted(set(SlackMessage.__struct_fields__) - {"pk", "sk"}))
MARKERS = named(keys("notice#*"), "pk", "sk", "status", "expires")


def expected(stack: Stack) -> dict[str, dict[str, Rights]]:
    """The rights of each role, with the default parameters, or with everything switched on."""
    rights = always(stack)
    if "SlackFunction" in stack.resources:
        for role, more in with_everything(stack).items():
            rights[role] = rights.get(role, {}) | more
    return rights


def member_role(kind: str) -> Rights:
    """What a function may assume in the member accounts that are switched on: one role, by its name, in each."""
    condition = {
        "StringEquals": {"aws:ResourceOrgID": "o-exampleorgid"},
        "StringLike": {"aws:ResourceAccount": ["444455556666", "777788889999"]},
    }
    name = f"arn:aws:iam::*:role/bedrock-access-remediator-stack/bedrock-access-remediator-{kind}"
    return "Allow", {"sts:AssumeRole"}, {name}, condition


def with_everything(stack: Stack) -> dict[str, dict[str, Rights]]:
    """What is added where everything is switched on: Slack, a client's secret, Amazon Q, editing in place."""
    secret, queue = "secretsmanager:GetSecretValue", stack.arn("SlackMessages")
    topics = {stack.arn(name) for name in ("Approvals", "Notices", "AmazonQ")}
    return {
        "TriageRole": {
            "ReadMemberAccounts": member_role("read"),
            "NameMemberAccounts": (
                "Allow",
                {"organizations:DescribeAccount"},
                {"arn:aws:organizations::*:account/o-exampleorgid/*"},
                {},
            ),
        },
        "RemediateRole": {"WriteMemberAccounts": member_role("write")},
        "ApproveRole": {
            "ReadClientSecret": ("Allow", {secret}, {f"{SECRET}:client-AbCdEf"}, {}),
            "ReadSlackSecrets": (
                "Allow",
                {secret},
                {f"{SECRET}:slack-signing-AbCdEf", f"{SECRET}:slack-token-AbCdEf"},
                {},
            ),
            "HandOverClicks": ("Allow", {"sqs:SendMessage"}, {queue}, {}),
        },
        "NotifyRole": {"Publish": ("Allow", {"sns:Publish"}, topics, {})},
        "UpkeepRole": {
            "ReadMemberAccounts": member_role("read"),
            "ReadMemberships": ("Allow", {"iam:ListGroupsForUser"}, {f"{IAM}:user/*"}, {}),
            "ReadGroups": IDENTITY_READS["ReadGroups"],
            "ReadAwsManagedPolicies": (
                "Allow",
                {"iam:GetPolicy", "iam:GetPolicyVersion"},
                {"arn:aws:iam::aws:policy/*"},
                {},
            ),
        },
        "SlackRole": {
            "Logs": ("Allow", {"logs:CreateLogStream", "logs:PutLogEvents"}, {stack.arn("SlackLogs")}, {}),
            "Traces": ("Allow", {"xray:PutTraceSegments", "xray:PutTelemetryRecords"}, {"*"}, {}),
            "TakeMessages": ("Allow", QUEUE_READS | {"sqs:ChangeMessageVisibility"}, {queue}, {}),
            "ReadLedger": ("Allow", {"dynamodb:GetItem", "dynamodb:Query"}, {stack.arn("Ledger")}, {}),
            "RememberWhatWasPosted": ("Allow", {"dynamodb:PutItem"}, {stack.arn("Ledger")}, MEMORY),
            "ReadToken": ("Allow", {secret}, {f"{SECRET}:slack-token-AbCdEf"}, {}),
        },
    }


def always(stack: Stack) -> dict[str, dict[str, Rights]]:
    """The rights of each role that is always there, with the default parameters."""
    ledger, stream = stack.arn("Ledger"), stack.attribute("Ledger", "StreamArn")
    index = f"{ledger}/index/due"
    traces: Rights = ("Allow", {"xray:PutTraceSegments", "xray:PutTelemetryRecords"}, {"*"}, {})

    def logs(name: str) -> Rights:
        return ("Allow", {"logs:CreateLogStream", "logs:PutLogEvents"}, {stack.arn(name)}, {})

    return {
        "TriageRole": {
            "Logs": logs("TriageLogs"),
            "Traces": traces,
            "TakeDenials": ("Allow", QUEUE_READS, {stack.arn("Denials")}, {}),
            "SetRefusedMessagesAside": ("Allow", {"sqs:SendMessage"}, {stack.arn("DenialsDeadLetters")}, {}),
            "ReadLedger": ("Allow", {"dynamodb:BatchGetItem", "dynamodb:GetItem"}, {ledger}, {}),
            "WriteLedger": ("Allow", {"dynamodb:PutItem", "dynamodb:UpdateItem"}, {ledger}, keys(*PRINCIPALS, "cap#*")),
            **IDENTITY_READS,
            "ReadPolicies": ("Allow", {"iam:GetPolicy", "iam:GetPolicyVersion"}, POLICIES, {}),
        },
        "RemediateRole": {
            "Logs": logs("RemediateLogs"),
            "Traces": traces,
            "TakeRemediations": ("Allow", QUEUE_READS, {stack.arn("Remediations")}, {}),
            "ReadLedger": ("Allow", {"dynamodb:GetItem", "dynamodb:Query"}, {ledger}, {}),
            "WriteLedger": ("Allow", {"dynamodb:PutItem", "dynamodb:UpdateItem"}, {ledger}, keys(*PRINCIPALS)),
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
            "MarkWhatWasSent": ("Allow", {"dynamodb:PutItem"}, {ledger}, MARKERS),
            "CountNotices": (
                "Allow",
                {"dynamodb:UpdateItem"},
                {ledger},
                {
                    "Null": {"dynamodb:LeadingKeys": "false", "dynamodb:Attributes": "false"},
                    "ForAllValues:StringEquals": {
                        "dynamodb:LeadingKeys": [NOTICES],
                        "dynamodb:Attributes": [
                            "pk",
                            "sk",
                            "expires",
                            "used",
                            "advice",
                            "advice_folded",
                            "alert_folded",
                            *sorted(FOLDABLE - {"advice"}),
                        ],
                    },
                },
            ),
            "Publish": ("Allow", {"sns:Publish"}, {stack.arn("Approvals"), stack.arn("Notices")}, {}),
            "EncryptMessages": ("Allow", {"kms:Decrypt", "kms:GenerateDataKey"}, {stack.arn("TopicKey")}, {}),
            "ReadLinkKeys": ("Allow", {"secretsmanager:GetSecretValue"}, {stack.ref("LinkKeys")}, {}),
        },
        "ApproveRole": {
            "Logs": logs("ApproveLogs"),
            "Traces": traces,
            "ReadLedger": ("Allow", {"dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:Query"}, {ledger}, {}),
            "ReadIndex": ("Allow", {"dynamodb:Query"}, {index}, {}),
            "Decide": ("Allow", {"dynamodb:UpdateItem"}, {ledger}, DECISION),
            "ReadLinkKeys": ("Allow", {"secretsmanager:GetSecretValue"}, {stack.ref("LinkKeys")}, {}),
        },
        "UpkeepRole": {
            "Logs": logs("UpkeepLogs"),
            "Traces": traces,
            "SetFailedRoundsAside": ("Allow", {"sqs:SendMessage"}, {stack.arn("UpkeepDeadLetters")}, {}),
            "ReadLedger": ("Allow", {"dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:Query"}, {ledger}, {}),
            "ReadIndex": ("Allow", {"dynamodb:Query"}, {index}, {}),
            "WriteLedger": (
                "Allow",
                {"dynamodb:PutItem", "dynamodb:UpdateItem"},
                {ledger},
                keys(*PRINCIPALS, "cap#*", "digest", "upkeep"),
            ),
            **UPKEEP_READS,
            "PublishDigest": ("Allow", {"sns:Publish"}, {stack.arn("Notices")}, {}),
            "SeeWhoIsSubscribed": (
                "Allow",
                {"sns:ListSubscriptionsByTopic"},
                {stack.ref(name) for name in stack.of_type("AWS::SNS::Topic")},
                {},
            ),
            "EncryptMessages": ("Allow", {"kms:Decrypt", "kms:GenerateDataKey"}, {stack.arn("TopicKey")}, {}),
        },
        "UpkeepScheduleRole": {
            "StartUpkeep": ("Allow", {"lambda:InvokeFunction"}, {stack.arn("UpkeepFunction")}, {}),
            "SetFailedRoundsAside": ("Allow", {"sqs:SendMessage"}, {stack.arn("UpkeepDeadLetters")}, {}),
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


def test_these_are_the_roles(stack: Stack, whole: Stack) -> None:
    """One a function, the pipe's and the schedules', under the path on which nothing of this service may be changed."""
    assert set(stack.of_type("AWS::IAM::Role")) == ROLES - {"SlackRole"}
    found = whole.of_type("AWS::IAM::Role")
    assert set(found) == ROLES
    assert {each["Path"] for each in found.values()} == {"/bedrock-access-remediator-stack/"}
    assert not whole.of_type("AWS::IAM::Policy")
    assert not whole.of_type("AWS::IAM::ManagedPolicy")


@pytest.mark.parametrize("role", sorted(ROLES - {"RemediateRole", "SlackRole"}))
def test_a_role_may_do_exactly_this(stack: Stack, role: str) -> None:
    """Nothing more and nothing less."""
    assert rights(stack, role) == expected(stack)[role]
    assert len(statements(stack, role)) == len(expected(stack)[role])


@pytest.mark.parametrize("role", sorted(ROLES - {"RemediateRole"}))
def test_with_everything_switched_on_a_role_may_do_exactly_this(whole: Stack, role: str) -> None:
    """More secrets for approve, more reads for upkeep, Amazon Q's topic for notify, and slack is there."""
    assert rights(whole, role) == expected(whole)[role]
    assert len(statements(whole, role)) == len(expected(whole)[role])


def test_approve_changes_the_ledger_and_nothing_else(whole: Stack) -> None:
    """By the access level that AWS gives each action: it decides, hands clicks to Slack's queue, and logs."""
    found = rights(whole, "ApproveRole")
    every = {action for _, actions, _, _ in found.values() for action in actions}
    assert {action for action in every if changes(action)} == {
        "dynamodb:UpdateItem",
        "sqs:SendMessage",
        "logs:CreateLogStream",
        "logs:PutLogEvents",
        "xray:PutTraceSegments",
        "xray:PutTelemetryRecords",
    }
    assert not {action.partition(":")[0] for action in every} & {"iam", "bedrock", "kms", "sns", "ssm", "sts", "lambda"}


@pytest.mark.parametrize(
    "kept", ["principal", "principal_id", "actions", "resources", "profile_arn", "group", "written"]
)
def test_approve_cannot_change_what_is_granted_or_to_whom(stack: Stack, kept: str) -> None:
    """What triage found stays as it found it."""
    _, _, _, condition = rights(stack, "ApproveRole")["Decide"]
    assert kept not in condition["ForAllValues:StringEquals"]["dynamodb:Attributes"]


def test_slack_cannot_write_the_state_of_a_grant(whole: Stack) -> None:
    """Nor a decision, nor its signature."""
    _, _, _, condition = rights(whole, "SlackRole")["RememberWhatWasPosted"]
    allowed = set(condition["ForAllValues:StringEquals"]["dynamodb:Attributes"])
    assert not (allowed & APPROVE_ATTRIBUTES) - {"pk", "sk"}


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
def test_only_remediate_writes_iam(
    deploy: Callable[..., Stack], everything: Mapping[str, str], strategy: str, role: str
) -> None:
    """By the access level that AWS itself gives each action; nobody may pass a role, or assume any but a member's."""
    stack = deploy(**{**everything, "PolicyStrategy": strategy})
    writes = {
        action
        for effect, actions, _, _ in rights(stack, role).values()
        for action in actions
        if effect == "Allow" and action.startswith("iam:") and changes(action)
    }
    assert bool(writes) is (role == "RemediateRole")
    found = rights(stack, role)
    every = {action for _, actions, _, _ in found.values() for action in actions}
    assert "iam:PassRole" not in every
    assumed = [each for each in found.values() if any(action.startswith("sts:") for action in each[1])]
    kinds = {"TriageRole": "read", "UpkeepRole": "read", "RemediateRole": "write"}
    assert assumed == ([member_role(kinds[role])] if role in kinds else [])


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
    for row in (pending_grant(), blocked_by_scp()):
        ledger.claim_notice(row)
        ledger.notice_sent(row)
    allowed = rights(stack, "NotifyRole")["MarkWhatWasSent"][3]["ForAllValues:StringEquals"]["dynamodb:Attributes"]
    assert {name for item in table.put for name in item} == set(allowed)


@pytest.mark.parametrize("strategy", BY_STRATEGY)
def test_the_stacks_own_roles_are_out_of_reach(
    deploy: Callable[..., Stack], everything: Mapping[str, str], strategy: str
) -> None:
    """Every action of IAM that changes anything is denied on their path; reading is not."""
    stack = deploy(**{**everything, "PolicyStrategy": strategy})
    (deny,) = [each for each in statements(stack, "RemediateRole") if each["Effect"] == "Deny"]
    assert deny["Resource"] == STACK_ROLES
    assert "Condition" not in deny
    spared = deny["NotAction"]
    for action in actions_of("iam"):
        if changes(f"iam:{action}"):
            assert not any(fnmatchcase(f"iam:{action}", pattern) for pattern in spared), action
    for role in ROLES:
        assert fnmatchcase(stack.arn(role), STACK_ROLES)


@pytest.mark.parametrize(("role", "service"), TRUSTED.items())
def test_a_role_is_assumed_by_its_service_alone(whole: Stack, role: str, service: str) -> None:
    """No account and no person is trusted; and of what acts for many accounts, only what acts for this one."""
    (trust,) = whole.properties(role)["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": service}
    assert trust["Action"] == "sts:AssumeRole"
    own = {"StringEquals": {"aws:SourceAccount": "111122223333"}}
    assert trust.get("Condition") == (None if service == "lambda.amazonaws.com" else own)
