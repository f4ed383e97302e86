"""What somebody who has taken over a role could do with it: questions, each answered no, and some that must be yes.

The answers come from the sandbox's evaluator, conditions and resource policies included, for every strategy and with
everything switched on. test_roles.py says the same literally; this says what it comes to.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import pytest

from sandbox.template import Stack
from tests.builders.iam_actions import actions_of, changes
from tests.builders.powers import FOREIGN, Powers

ACCOUNT: Final = "111122223333"
IAM: Final = f"arn:aws:iam::{ACCOUNT}"
APP: Final = f"{IAM}:role/service/llm-app"
OWN_POLICY: Final = f"{IAM}:policy/bedrock-access-remediator/role.llm-app.1"
OTHER_POLICY: Final = f"{IAM}:policy/team/app"
ADMINISTRATOR: Final = "arn:aws:iam::aws:policy/AdministratorAccess"
OWN_ROLE: Final = f"{IAM}:role/bedrock-access-remediator-stack/remediate"
ALLOWLIST: Final = f"arn:aws:ssm:us-east-1:{ACCOUNT}:parameter/bedrock-access-remediator/allowlist"
SECRET: Final = f"arn:aws:secretsmanager:us-east-1:{ACCOUNT}:secret:database-AbCdEf"
FUNCTION: Final = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:any"
BUCKET: Final = "arn:aws:s3:::bucket/key"
PROFILE: Final = f"arn:aws:bedrock:us-east-1:{ACCOUNT}:inference-profile/us.amazon.nova-2-lite-v1:0"
STRATEGIES: Final = ("managed", "inline", "in-place")
FUNCTIONS: Final = ("TriageRole", "RemediateRole", "NotifyRole", "ApproveRole", "SlackRole", "UpkeepRole")
ROLES: Final = (*FUNCTIONS, "PipeRole", "UpkeepScheduleRole")

Count = Callable[[str, int], None]
Question = tuple[str, str, str, dict[str, Any]]
"""In words; the action, the resource (an ARN, or the logical id of one of the stack's), the condition keys."""

OF_EVERY_ROLE: Final[tuple[Question, ...]] = (
    ("attach AdministratorAccess to a role", "iam:AttachRolePolicy", APP, {"iam_policyarn": ADMINISTRATOR}),
    ("attach it to a user", "iam:AttachUserPolicy", f"{IAM}:user/dev", {"iam_policyarn": ADMINISTRATOR}),
    ("attach it to a group", "iam:AttachGroupPolicy", f"{IAM}:group/ml", {"iam_policyarn": ADMINISTRATOR}),
    ("attach anything to a group", "iam:AttachGroupPolicy", f"{IAM}:group/ml", {"iam_policyarn": OWN_POLICY}),
    ("write a group's policy", "iam:PutGroupPolicy", f"{IAM}:group/ml", {}),
    ("attach a policy to a stack role", "iam:AttachRolePolicy", OWN_ROLE, {"iam_policyarn": OWN_POLICY}),
    ("write a stack role's policy", "iam:PutRolePolicy", OWN_ROLE, {}),
    ("change whom a stack role trusts", "iam:UpdateAssumeRolePolicy", OWN_ROLE, {}),
    ("change whom any role trusts", "iam:UpdateAssumeRolePolicy", APP, {}),
    ("take away a permissions boundary", "iam:DeleteRolePermissionsBoundary", APP, {}),
    ("set a permissions boundary", "iam:PutRolePermissionsBoundary", APP, {}),
    ("make a role", "iam:CreateRole", APP, {}),
    ("make a user", "iam:CreateUser", f"{IAM}:user/new", {}),
    ("make an access key", "iam:CreateAccessKey", f"{IAM}:user/dev", {}),
    ("make a password", "iam:CreateLoginProfile", f"{IAM}:user/dev", {}),
    ("put a user in a group", "iam:AddUserToGroup", f"{IAM}:group/admins", {}),
    ("make a policy outside the path", "iam:CreatePolicy", OTHER_POLICY, {}),
    ("pass a role", "iam:PassRole", APP, {"iam_passedtoservice": "lambda.amazonaws.com"}),
    ("assume a role here", "sts:AssumeRole", APP, {}),
    ("assume a role of a stranger", "sts:AssumeRole", f"arn:aws:iam::{FOREIGN[::-1]}:role/admin", {}),
    ("change a function's code", "lambda:UpdateFunctionCode", FUNCTION, {}),
    ("change a function's environment", "lambda:UpdateFunctionConfiguration", FUNCTION, {}),
    ("let others invoke a function", "lambda:AddPermission", FUNCTION, {}),
    ("write an allowlist document", "ssm:PutParameter", f"{ALLOWLIST}/main", {}),
    ("delete an allowlist document", "ssm:DeleteParameter", f"{ALLOWLIST}/main", {}),
    ("read another parameter", "ssm:GetParametersByPath", ALLOWLIST.replace("allowlist", "other"), {}),
    ("read another secret", "secretsmanager:GetSecretValue", SECRET, {}),
    ("change a secret", "secretsmanager:PutSecretValue", "LinkKeys", {}),
    ("read an object", "s3:GetObject", BUCKET, {}),
    ("invoke a model", "bedrock:InvokeModel", PROFILE, {}),
    ("make an inference profile", "bedrock:CreateInferenceProfile", PROFILE, {}),
    ("delete a row of the ledger", "dynamodb:DeleteItem", "Ledger", {}),
    ("delete the ledger", "dynamodb:DeleteTable", "Ledger", {}),
    ("turn off its protection", "dynamodb:UpdateTable", "Ledger", {}),
    ("hand the ledger to another account", "dynamodb:PutResourcePolicy", "Ledger", {}),
    ("subscribe itself to requests", "sns:Subscribe", "Approvals", {"sns_endpoint": "a@example.com"}),
    ("open a topic to others", "sns:SetTopicAttributes", "Approvals", {}),
    ("open a queue to others", "sqs:SetQueueAttributes", "Remediations", {}),
    ("empty a queue", "sqs:PurgeQueue", "Denials", {}),
    ("change the key that signs approvals", "kms:PutKeyPolicy", "ApprovalKey", {}),
    ("delete that key", "kms:ScheduleKeyDeletion", "ApprovalKey", {}),
    ("let another use that key", "kms:CreateGrant", "ApprovalKey", {}),
    ("turn off the rule", "events:DisableRule", f"arn:aws:events:us-east-1:{ACCOUNT}:rule/denials", {}),
    ("put an event on the bus", "events:PutEvents", f"arn:aws:events:us-east-1:{ACCOUNT}:event-bus/default", {}),
    ("delete a log", "logs:DeleteLogGroup", f"arn:aws:logs:us-east-1:{ACCOUNT}:log-group:any", {}),
    ("change the stack", "cloudformation:UpdateStack", f"arn:aws:cloudformation:us-east-1:{ACCOUNT}:stack/any/1", {}),
    ("silence an alarm", "cloudwatch:DisableAlarmActions", f"arn:aws:cloudwatch:us-east-1:{ACCOUNT}:alarm:any", {}),
)

OF_SOME: Final[Mapping[str, tuple[Question, ...]]] = {
    "RemediateRole": (
        ("attach another policy", "iam:AttachRolePolicy", APP, {"iam_policyarn": OTHER_POLICY}),
        ("attach without saying what", "iam:AttachRolePolicy", APP, {}),
        ("detach another policy", "iam:DetachRolePolicy", APP, {"iam_policyarn": OTHER_POLICY}),
        ("delete a policy outside the path", "iam:DeletePolicy", OTHER_POLICY, {}),
        ("make another version the default", "iam:SetDefaultPolicyVersion", OTHER_POLICY, {}),
        ("sign an approval", "kms:GenerateMac", "ApprovalKey", {}),
        ("publish a notice", "sns:Publish", "Notices", {}),
        ("give itself work", "sqs:SendMessage", "Remediations", {}),
        ("read the keys of links", "secretsmanager:GetSecretValue", "LinkKeys", {}),
    ),
    "TriageRole": (
        ("sign an approval", "kms:GenerateMac", "ApprovalKey", {}),
        ("give remediate work", "sqs:SendMessage", "Remediations", {}),
        ("put a denial in its own queue", "sqs:SendMessage", "Denials", {}),
        ("publish a request", "sns:Publish", "Approvals", {}),
        ("read the keys of links", "secretsmanager:GetSecretValue", "LinkKeys", {}),
    ),
    "ApproveRole": (
        ("see a role's policies", "iam:GetRolePolicy", APP, {}),
        ("see a profile", "bedrock:GetInferenceProfile", PROFILE, {}),
        ("put an item in the ledger", "dynamodb:PutItem", "Ledger", {"dynamodb_attributes": ("pk", "sk", "state")}),
        ("change what is granted", "dynamodb:UpdateItem", "Ledger", {"dynamodb_attributes": ("pk", "sk", "resources")}),
        ("change to whom", "dynamodb:UpdateItem", "Ledger", {"dynamodb_attributes": ("pk", "sk", "principal")}),
        ("publish a request", "sns:Publish", "Approvals", {}),
        ("give remediate work", "sqs:SendMessage", "Remediations", {}),
    ),
    "NotifyRole": (
        ("see a role's policies", "iam:GetRolePolicy", APP, {}),
        ("read Slack's token", "secretsmanager:GetSecretValue", "slack-token", {}),
        ("sign an approval", "kms:GenerateMac", "ApprovalKey", {}),
        ("write a state", "dynamodb:PutItem", "Ledger", {"dynamodb_attributes": ("pk", "sk", "state")}),
        (
            "change a row",
            "dynamodb:UpdateItem",
            "Ledger",
            {"dynamodb_leadingkeys": (APP,), "dynamodb_attributes": ("pk", "sk", "used")},
        ),
        ("give remediate work", "sqs:SendMessage", "Remediations", {}),
    ),
    "SlackRole": (
        ("read the signing secret", "secretsmanager:GetSecretValue", "slack-signing", {}),
        ("read the keys of links", "secretsmanager:GetSecretValue", "LinkKeys", {}),
        ("write a state", "dynamodb:PutItem", "Ledger", {"dynamodb_attributes": ("pk", "sk", "state")}),
        ("change a row", "dynamodb:UpdateItem", "Ledger", {"dynamodb_attributes": ("pk", "sk", "state")}),
        ("sign an approval", "kms:GenerateMac", "ApprovalKey", {}),
        ("publish a request", "sns:Publish", "Approvals", {}),
    ),
    "UpkeepRole": (
        ("publish a request", "sns:Publish", "Approvals", {}),
        ("sign an approval", "kms:GenerateMac", "ApprovalKey", {}),
        ("detach one of our policies", "iam:DetachRolePolicy", APP, {"iam_policyarn": OWN_POLICY}),
        ("give remediate work", "sqs:SendMessage", "Remediations", {}),
        ("read the keys of links", "secretsmanager:GetSecretValue", "LinkKeys", {}),
    ),
    "PipeRole": (
        ("read a row", "dynamodb:GetItem", "Ledger", {}),
        ("write a row", "dynamodb:PutItem", "Ledger", {}),
        ("put a denial in the queue", "sqs:SendMessage", "Denials", {}),
    ),
    "UpkeepScheduleRole": (
        ("invoke remediate", "lambda:InvokeFunction", "RemediateFunction", {}),
        ("write a row", "dynamodb:PutItem", "Ledger", {}),
    ),
}

YES: Final[tuple[tuple[str, Question], ...]] = (
    ("RemediateRole", ("attach its policy", "iam:AttachRolePolicy", APP, {"iam_policyarn": OWN_POLICY})),
    ("RemediateRole", ("make its policy", "iam:CreatePolicy", OWN_POLICY, {})),
    ("RemediateRole", ("verify an approval", "kms:VerifyMac", "ApprovalKey", {"kms_macalgorithm": "HMAC_SHA_256"})),
    ("TriageRole", ("write a row", "dynamodb:PutItem", "Ledger", {})),
    ("TriageRole", ("set a message aside", "sqs:SendMessage", "DenialsDeadLetters", {})),
    ("ApproveRole", ("sign", "kms:GenerateMac", "ApprovalKey", {"kms_macalgorithm": "HMAC_SHA_256"})),
    (
        "ApproveRole",
        ("decide", "dynamodb:UpdateItem", "Ledger", {"dynamodb_attributes": ("pk", "sk", "state", "approval")}),
    ),
    ("ApproveRole", ("read Slack's signing secret", "secretsmanager:GetSecretValue", "slack-signing", {})),
    ("NotifyRole", ("publish a request", "sns:Publish", "Approvals", {})),
    (
        "NotifyRole",
        (
            "count",
            "dynamodb:UpdateItem",
            "Ledger",
            {"dynamodb_leadingkeys": ("notices",), "dynamodb_attributes": ("pk", "sk", "used", "expires", "advice")},
        ),
    ),
    ("SlackRole", ("read Slack's token", "secretsmanager:GetSecretValue", "slack-token", {})),
    ("UpkeepRole", ("publish the digest", "sns:Publish", "Notices", {})),
    ("PipeRole", ("give remediate work", "sqs:SendMessage", "Remediations", {})),
    ("UpkeepScheduleRole", ("invoke upkeep", "lambda:InvokeFunction", "UpkeepFunction", {})),
)


@pytest.fixture(scope="module", params=STRATEGIES)
def strategy(request: pytest.FixtureRequest) -> str:
    """Where grants are written."""
    return str(request.param)


@pytest.fixture(scope="module")
def deployed(deploy: Callable[..., Stack], everything: Mapping[str, str], strategy: str) -> Stack:
    """The stack with everything switched on."""
    return deploy(**{**everything, "PolicyStrategy": strategy})


@pytest.fixture(scope="module")
def powers(deployed: Stack) -> Powers:
    """What its roles may do."""
    return Powers(deployed)


def answer(powers: Powers, stack: Stack, role: str, question: Question) -> bool:
    """Whether the role may."""
    _, action, resource, context = question
    if resource.startswith("slack-"):
        resource = f"arn:aws:secretsmanager:us-east-1:{ACCOUNT}:secret:{resource}-AbCdEf"
    elif not resource.startswith("arn:"):
        resource = stack.ref(resource) if resource == "LinkKeys" else stack.arn(resource)
    return powers.may(role, action, resource, **context)


@pytest.mark.parametrize("role", ROLES)
def test_no_role_may(powers: Powers, deployed: Stack, role: str, count: Count) -> None:
    """Administer, escalate, hide, or reach what is not the service's."""
    assert [question[0] for question in OF_EVERY_ROLE if answer(powers, deployed, role, question)] == []
    count("questions asked of roles", len(OF_EVERY_ROLE))


def test_no_role_of_any_stack_may(any_stack: Stack, count: Count) -> None:
    """Those in member accounts and in other regions are asked the same, of whatever is there."""
    powers = Powers(any_stack)
    asked = [each for each in OF_EVERY_ROLE if each[2].startswith("arn:") or each[2] in any_stack.resources]
    assert len(asked) > 30
    for role in any_stack.of_type("AWS::IAM::Role"):
        assert [question[0] for question in asked if answer(powers, any_stack, role, question)] == []
        count("questions asked of roles", len(asked))


@pytest.mark.parametrize("role", OF_SOME)
def test_nor_may_this_one(powers: Powers, deployed: Stack, role: str, strategy: str, count: Count) -> None:
    """Do another's work: each has a part of the way from a denial to a policy, and no two parts."""
    may = [question[0] for question in OF_SOME[role] if answer(powers, deployed, role, question)]
    # In place is where remediate is as strong as an administrator, which README and the stack's output say.
    in_place = ["make another version the default"] if (role, strategy) == ("RemediateRole", "in-place") else []
    assert may == in_place
    count("questions asked of roles", len(OF_SOME[role]))


def test_remediate_alone_may_use_the_key_that_seals_edits(whole: Stack, count: Count) -> None:
    """Who else could seal a note could have ARNs taken out of anybody's policy."""
    powers = Powers(whole)
    hmac = {"kms_macalgorithm": "HMAC_SHA_256"}
    for action in ("kms:GenerateMac", "kms:VerifyMac"):
        may = [role for role in ROLES if powers.may(role, action, whole.arn("EditKey"), **hmac)]
        assert may == ["RemediateRole"]
        count("questions asked of roles", len(ROLES))


def test_each_may_do_its_own_work(powers: Powers, deployed: Stack) -> None:
    """The same questioner says yes where yes is right."""
    assert [(role, asked[0]) for role, asked in YES if not answer(powers, deployed, role, asked)] == []


def test_the_questions_are_about_actions_that_exist() -> None:
    """A question about a misspelt action is always answered no."""
    asked = [question for questions in (OF_EVERY_ROLE, *OF_SOME.values()) for question in questions]
    for _, action, _, _ in [*asked, *(question for _, question in YES)]:
        service, name = action.split(":")
        assert name in actions_of(service), action


@pytest.mark.parametrize("role", ROLES)
def test_what_a_role_may_write_is_the_stacks_own(powers: Powers, deployed: Stack, role: str, strategy: str) -> None:
    """Asked of every action that its policies name, on a resource of that service that is not this stack's."""
    if role == "RemediateRole":
        return  # It writes IAM: what it may write there is asked above, one by one.
    actions = {
        action
        for source in powers.roles[deployed.arn(role)]
        for statement in source.document["Statement"]
        if statement["Effect"] == "Allow"
        for action in _several(statement["Action"])
    }
    assert len(actions) > 1 or role == "UpkeepScheduleRole"
    writes = {action for action in actions if changes(action)}
    foreign = {action: f"arn:aws:{action.split(':')[0]}:us-east-1:{ACCOUNT}:something/else" for action in writes}
    found = {action for action, arn in foreign.items() if powers.may(role, action, arn)}
    assert found <= {"xray:PutTraceSegments", "xray:PutTelemetryRecords"}


def _several(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value)
