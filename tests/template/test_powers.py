"""What somebody who has taken over a role could do with it: questions, each answered no, and some that must be yes.

The answers come from the sandbox's evaluator, conditions and resource policies included, for every strategy and with
everything switched on. test_roles.py says the same literally; this says what it comes to.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import pytest

from bedrock_remediator.core.suspicion import Habits
from sandbox.evaluator import Source
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

STATE: Final = ("pk", "sk", "state", "version")
PRINCIPAL_KEYS: Final = (APP, f"account/{ACCOUNT}/AWSService/bedrock")
"""The two kinds of keys that rows, counters and habits lie under."""

Count = Callable[[str, int], None]
Question = tuple[str, str, str, dict[str, Any]]
"""In words; the action, the resource (an ARN, or the logical id of one of the stack's), the condition keys."""


def written(keys: tuple[str, ...], *names: str) -> dict[str, Any]:
    """The condition keys of a write to items under these partition keys that names these attributes."""
    return {"dynamodb_leadingkeys": keys, "dynamodb_attributes": names}


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
    ("delete what remediate remembers", "dynamodb:DeleteTable", "UsedApprovals", {}),
    ("open it to others", "dynamodb:PutResourcePolicy", "UsedApprovals", {}),
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
        *(
            (f"change {name} of a row", "dynamodb:UpdateItem", "Ledger", written((APP,), "pk", "sk", name))
            for name in ("resources", "actions", "principal", "principal_id", "written", "group")
        ),
        *(
            (f"change {name} of what is known of a principal", "dynamodb:UpdateItem", "Ledger", written((APP,), name))
            for name in sorted(set(Habits.__struct_fields__) - {"pk"})
        ),
        ("have an item forgotten", "dynamodb:UpdateItem", "Ledger", written((APP,), "pk", "sk", "expires")),
        ("publish a request", "sns:Publish", "Approvals", {}),
        ("give remediate work", "sqs:SendMessage", "Remediations", {}),
    ),
    "NotifyRole": (
        ("see a role's policies", "iam:GetRolePolicy", APP, {}),
        ("read Slack's token", "secretsmanager:GetSecretValue", "slack-token", {}),
        ("sign an approval", "kms:GenerateMac", "ApprovalKey", {}),
        ("write a state", "dynamodb:PutItem", "Ledger", written(("notice#any",), "pk", "sk", "state")),
        ("change a counter of a cap", "dynamodb:UpdateItem", "Ledger", written(("cap#rule:any",), "pk", "sk", "used")),
        ("give remediate work", "sqs:SendMessage", "Remediations", {}),
    ),
    "SlackRole": (
        ("read the signing secret", "secretsmanager:GetSecretValue", "slack-signing", {}),
        ("read the keys of links", "secretsmanager:GetSecretValue", "LinkKeys", {}),
        ("write a state", "dynamodb:PutItem", "Ledger", written(("slack#any",), "pk", "sk", "state")),
        ("silence a notice", "dynamodb:PutItem", "Ledger", written(("notice#any",), "pk", "sk")),
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
    ("TriageRole", ("write a row", "dynamodb:PutItem", "Ledger", written((APP,), *STATE))),
    ("TriageRole", ("open one within a cap", "dynamodb:UpdateItem", "Ledger", written((APP, "cap#rule:any"), *STATE))),
    ("RemediateRole", ("write a row", "dynamodb:UpdateItem", "Ledger", written((APP,), *STATE))),
    ("RemediateRole", ("remember a used approval", "dynamodb:PutItem", "UsedApprovals", {})),
    ("UpkeepRole", ("write a row", "dynamodb:UpdateItem", "Ledger", written((APP,), *STATE))),
    ("NotifyRole", ("mark a notice", "dynamodb:PutItem", "Ledger", written((f"notice#{APP}",), "pk", "sk", "status"))),
    ("SlackRole", ("remember", "dynamodb:PutItem", "Ledger", written((f"slack#{APP}",), "pk", "sk", "ts"))),
    ("TriageRole", ("set a message aside", "sqs:SendMessage", "DenialsDeadLetters", {})),
    ("ApproveRole", ("sign", "kms:GenerateMac", "ApprovalKey", {"kms_macalgorithm": "HMAC_SHA_256"})),
    (
        "ApproveRole",
        ("decide", "dynamodb:UpdateItem", "Ledger", written((APP,), "pk", "sk", "state", "approval")),
    ),
    ("ApproveRole", ("read Slack's signing secret", "secretsmanager:GetSecretValue", "slack-signing", {})),
    ("NotifyRole", ("publish a request", "sns:Publish", "Approvals", {})),
    (
        "NotifyRole",
        (
            "count",
            "dynamodb:UpdateItem",
            "Ledger",
            written(("notices",), "pk", "sk", "used", "expires", "advice"),
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


WRITERS: Final[Mapping[str, tuple[str, tuple[str, ...], tuple[str, ...], tuple[str, ...]]]] = {
    "put or replace a grant": ("Ledger", PRINCIPAL_KEYS, STATE, ("TriageRole", "RemediateRole", "UpkeepRole")),
    "put or replace the habits": (
        "Ledger",
        (APP,),
        ("pk", "sk", "revision"),
        ("TriageRole", "RemediateRole", "UpkeepRole"),
    ),
    "put or replace a cap": ("Ledger", ("cap#rule:any",), ("pk", "sk", "used"), ("TriageRole", "UpkeepRole")),
    "put or replace a marker": ("Ledger", (f"notice#{APP}",), ("pk", "sk", "status"), ("NotifyRole",)),
    "put or replace Slack's memory": ("Ledger", (f"slack#{APP}",), ("pk", "sk", "ts"), ("SlackRole",)),
    "put or replace the place of a chore": ("Ledger", ("upkeep",), ("pk", "sk", "place"), ("UpkeepRole",)),
    "put or replace a used approval": ("UsedApprovals", (APP,), ("pk", "sk", "outcome"), ("RemediateRole",)),
}
"""By what is written: the table, the partition keys, some of the attributes, and who may."""


@pytest.mark.parametrize("what", WRITERS)
def test_who_may_put_an_item(powers: Powers, deployed: Stack, what: str, count: Count) -> None:
    """PutItem replaces whole items: whatever attributes it names, whether the key is named or nothing is known."""
    table, keys, names, writers = WRITERS[what]
    for key in keys:
        for given in ((), names, ("pk", "sk"), ("pk", "sk", "status"), ("pk", "sk", "ts")):
            asked = written((key,), *given) if given else {"dynamodb_leadingkeys": (key,)}
            may = {role for role in ROLES if powers.may(role, "dynamodb:PutItem", deployed.arn(table), **asked)}
            assert may <= set(writers), given
            count("questions asked of roles", len(ROLES))
        asked = written((key,), *names)
        assert {role for role in ROLES if powers.may(role, "dynamodb:PutItem", deployed.arn(table), **asked)} == set(
            writers
        )


@pytest.mark.parametrize("action", ["DeleteItem", "BatchWriteItem", "PartiQLDelete", "PartiQLUpdate", "PartiQLInsert"])
@pytest.mark.parametrize("table", ["Ledger", "UsedApprovals"])
def test_no_role_removes_an_item(powers: Powers, deployed: Stack, table: str, action: str, count: Count) -> None:
    """Nor writes in another way than by PutItem and UpdateItem, whose conditions are stated."""
    for keys in ({}, {"dynamodb_leadingkeys": (APP,)}, {"dynamodb_leadingkeys": ("cap#rule:any",)}):
        assert [role for role in ROLES if powers.may(role, f"dynamodb:{action}", deployed.arn(table), **keys)] == []
        count("questions asked of roles", len(ROLES))


@pytest.mark.parametrize("role", FUNCTIONS)
def test_a_write_whose_keys_are_not_known_is_refused(powers: Powers, deployed: Stack, role: str) -> None:
    """`ForAllValues` is true of nothing, so the statements ask for the key as well."""
    for action in ("dynamodb:PutItem", "dynamodb:UpdateItem"):
        assert not powers.may(role, action, deployed.arn("Ledger"))
        mixed = {"dynamodb_leadingkeys": (APP, "elsewhere")}
        assert not powers.may(role, action, deployed.arn("Ledger"), **mixed)


@pytest.mark.parametrize("action", ["PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem", "PartiQLInsert"])
def test_nobody_else_writes_what_remediate_remembers(powers: Powers, deployed: Stack, action: str) -> None:
    """Not even an administrator of the account, without changing the table's policy first."""
    arn = deployed.arn("UsedApprovals")
    for principal in (f"{IAM}:role/admin", f"{IAM}:root", deployed.arn("TriageRole"), deployed.arn("ApproveRole")):
        assert powers.denies(principal, f"dynamodb:{action}", arn)
    assert not powers.denies(deployed.arn("RemediateRole"), f"dynamodb:{action}", arn)
    assert not powers.denies(f"{IAM}:role/admin", "dynamodb:GetItem", arn)


def test_each_may_do_its_own_work(powers: Powers, deployed: Stack) -> None:
    """The same questioner says yes where yes is right."""
    assert [(role, asked[0]) for role, asked in YES if not answer(powers, deployed, role, asked)] == []


INSIDER: Final = f"{IAM}:role/team/insider"
DEPLOYER: Final = f"{IAM}:role/deployer"
KINDS: Final = {"sqs": "AWS::SQS::Queue", "sns": "AWS::SNS::Topic", "secretsmanager": "AWS::SecretsManager::Secret"}
NEVER: Final = {
    "sqs": ("sqs:SendMessage",),
    "sns": ("sns:Publish", "sns:Subscribe"),
    "secretsmanager": ("secretsmanager:GetSecretValue", "secretsmanager:ReplicateSecretToRegions"),
}
"""What an identity policy that allows all of a service does not give anybody on what is the stack's."""
UNLESS_DEPLOYERS_ARE_NAMED: Final = {
    "sqs": ("sqs:AddPermission", "sqs:DeleteQueue", "sqs:RemovePermission", "sqs:SetQueueAttributes"),
    "sns": ("sns:AddPermission", "sns:DeleteTopic", "sns:RemovePermission", "sns:SetTopicAttributes"),
    "secretsmanager": (
        "secretsmanager:DeleteResourcePolicy",
        "secretsmanager:DeleteSecret",
        "secretsmanager:PutResourcePolicy",
        "secretsmanager:PutSecretValue",
        "secretsmanager:RotateSecret",
        "secretsmanager:UpdateSecret",
        "secretsmanager:UpdateSecretVersionStage",
    ),
}
"""What it gives them, and no longer once DeployerRoleArns says who may."""
ALWAYS: Final = {
    "sqs": ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:PurgeQueue", "sqs:StartMessageMoveTask"),
    "sns": ("sns:GetTopicAttributes", "sns:ListSubscriptionsByTopic"),
    "secretsmanager": ("secretsmanager:DescribeSecret",),
}
"""What is left to them in any case, which SECURITY.md says."""


def insider_may(powers: Powers, principal: str, action: str, resource: str) -> bool:
    """Whether somebody of the account may, who holds all rights of the service by an identity policy."""
    service = action.split(":", maxsplit=1)[0]
    allowed = {"Effect": "Allow", "Action": f"{service}:*", "Resource": "*"}
    source = Source(id="insider", type="IAM Policy", document={"Version": "2012-10-17", "Statement": [allowed]})
    context = {"sns_endpoint": "evil@example.com"} if action == "sns:Subscribe" else {}
    return powers.lets_in(principal, action, resource, sources=[source], **context)


def owned(stack: Stack, service: str) -> list[str]:
    """The stack's queues, topics or secrets."""
    name_of = stack.ref if service in {"sns", "secretsmanager"} else stack.arn
    return [name_of(name) for name in stack.of_type(KINDS[service])]


@pytest.mark.parametrize("service", KINDS)
def test_all_rights_over_a_service_open_nothing_of_this_one(
    any_stack: Stack, stack: Stack, service: str, count: Count
) -> None:
    """With sqs:*, sns:* or secretsmanager:* somebody of the account still sends, publishes and reads nothing."""
    for each in (any_stack, stack):
        powers = Powers(each)
        for resource in owned(each, service):
            for action in NEVER[service]:
                assert not insider_may(powers, INSIDER, action, resource), (action, resource)
                count("questions asked of insiders", 1)


@pytest.mark.parametrize("service", KINDS)
def test_whoever_is_named_as_deployer_alone_changes_them(
    stack: Stack, whole: Stack, service: str, count: Count
) -> None:
    """Without DeployerRoleArns such rights change the resource's own policy; with it they do not, and deployers can."""
    named, unnamed = Powers(whole), Powers(stack)
    for action in UNLESS_DEPLOYERS_ARE_NAMED[service]:
        for resource in owned(whole, service):
            assert not insider_may(named, INSIDER, action, resource), (action, resource)
            assert insider_may(named, DEPLOYER, action, resource), (action, resource)
            assert insider_may(named, f"{IAM}:root", action, resource), (action, resource)
            count("questions asked of insiders", 1)
        assert all(insider_may(unnamed, INSIDER, action, each) for each in owned(stack, service)), action


@pytest.mark.parametrize("service", KINDS)
def test_what_is_left_to_them_is_what_the_page_says(whole: Stack, service: str, count: Count) -> None:
    """They may look at, take and lose what passes through; SECURITY.md does not claim otherwise."""
    powers = Powers(whole)
    for action in ALWAYS[service]:
        assert all(insider_may(powers, INSIDER, action, each) for each in owned(whole, service)), action
        count("questions asked of insiders", len(owned(whole, service)))


def test_an_operator_puts_messages_in_the_work_queues_alone(whole: Stack) -> None:
    """Where dead letters lie it takes them out, and it cannot put any there."""
    powers, operator = Powers(whole), f"{IAM}:role/operator"
    may = {
        name
        for name in whole.of_type("AWS::SQS::Queue")
        if insider_may(powers, operator, "sqs:SendMessage", whole.arn(name))
    }
    assert may == {"Denials", "Remediations", "SlackMessages"}


def test_alarms_are_still_told(whole: Stack) -> None:
    """What keeps people from publishing does not keep CloudWatch from it."""
    alarm = f"arn:aws:cloudwatch:us-east-1:{ACCOUNT}:alarm:any"
    source: Any = {"aws_sourceaccount": ACCOUNT, "aws_sourcearn": alarm}
    assert Powers(whole).lets_in("cloudwatch.amazonaws.com", "sns:Publish", whole.ref("Notices"), **source)


def test_the_questions_are_about_actions_that_exist() -> None:
    """A question about a misspelt action is always answered no."""
    asked = [question for questions in (OF_EVERY_ROLE, *OF_SOME.values()) for question in questions]
    of_insiders = [
        action
        for table in (NEVER, UNLESS_DEPLOYERS_ARE_NAMED, ALWAYS)
        for actions in table.values()
        for action in actions
    ]
    for action in [*(action for _, action, _, _ in [*asked, *(question for _, question in YES)]), *of_insiders]:
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
