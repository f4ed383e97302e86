"""Whether the template lets a function make a call."""

from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.sessions import session
from sandbox.stack import Sandbox
from tests.builders import sandboxes as make

HANDLER = {"work": "def handler(event, context): return None"}
TABLE = f"arn:aws:dynamodb:us-east-1:{make.ACCOUNT}:table/bedrock-access-remediator-Ledger"
OWN = f"arn:aws:iam::{make.ACCOUNT}:policy/own/p"
SMALL = '{"Version": "2012-10-17", "Statement": []}'
WORLD = make.world(
    roles=[
        {"name": "app", "path": "/service/", "tags": {"team": "ml"}, "boundary": make.document(make.statement())},
        {"name": "other"},
    ],
    inference_profiles={"us-east-1": [{"id": "q7xk2m9p0abc", "type": "APPLICATION", "models": []}]},
)


def allowed(sandbox: Sandbox, service: str, operation: str, **parameters: Any) -> bool:
    """Whether the function `Work` gets past authorisation with a call."""
    client = session(sandbox.functions["Work"].access_key, make.REGION).client(service)
    try:
        getattr(client, operation)(**parameters)
    except ClientError as error:
        denied = {"AccessDenied", "AccessDeniedException", "AuthorizationError"}
        return error.response["Error"]["Code"] not in denied
    return True


def started(folder: Path, *statements: dict[str, Any], **resources: Any) -> Sandbox:
    """A sandbox with a function whose role has these statements."""
    given = {"Role": make.role(*statements), "Work": make.function("work", "Role"), **resources}
    return make.started(folder, given, HANDLER, world=WORLD)


@pytest.mark.parametrize(
    ("statement", "operation", "parameters", "may"),
    [
        (make.statement(action="iam:GetRole"), "get_role", {"RoleName": "app"}, True),
        (
            make.statement(action="iam:GetRole", resource="arn:aws:iam::*:role/service/*"),
            "get_role",
            {"RoleName": "app"},
            True,
        ),
        (
            make.statement(action="iam:GetRole", resource="arn:aws:iam::*:role/service/*"),
            "get_role",
            {"RoleName": "other"},
            False,
        ),
        (make.statement(action="iam:GetUser"), "get_role", {"RoleName": "app"}, False),
        (
            make.statement(
                action="iam:AttachRolePolicy", Condition={"ArnLike": {"iam:PolicyARN": "arn:aws:iam::*:policy/own/*"}}
            ),
            "attach_role_policy",
            {"RoleName": "other", "PolicyArn": OWN},
            True,
        ),
        (
            make.statement(
                action="iam:AttachRolePolicy", Condition={"ArnLike": {"iam:PolicyARN": "arn:aws:iam::*:policy/own/*"}}
            ),
            "attach_role_policy",
            {"RoleName": "other", "PolicyArn": "arn:aws:iam::aws:policy/AdministratorAccess"},
            False,
        ),
        (
            make.statement(action="iam:PutRolePolicy", Condition={"StringEquals": {"aws:ResourceTag/team": "ml"}}),
            "put_role_policy",
            {"RoleName": "other", "PolicyName": "p", "PolicyDocument": SMALL},
            False,
        ),
        (
            make.statement(action="iam:PutRolePolicy", Condition={"Null": {"iam:PermissionsBoundary": "false"}}),
            "put_role_policy",
            {"RoleName": "app", "PolicyName": "p", "PolicyDocument": SMALL},
            True,
        ),
        (
            make.statement(action="iam:CreatePolicy", resource="arn:aws:iam::*:policy/own/*"),
            "create_policy",
            {"PolicyName": "p", "Path": "/own/", "PolicyDocument": SMALL},
            True,
        ),
        (
            make.statement(action="iam:CreatePolicy", resource="arn:aws:iam::*:policy/own/*"),
            "create_policy",
            {"PolicyName": "p", "PolicyDocument": SMALL},
            False,
        ),
        (
            make.statement(action="iam:CreatePolicy"),
            "create_policy",
            {"PolicyName": "p", "PolicyDocument": SMALL, "Tags": [{"Key": "a", "Value": "b"}]},
            False,
        ),
        (make.statement(action="iam:*"), "list_account_aliases", {}, True),
        (make.statement(action="iam:*", resource="arn:aws:iam::*:role/*"), "list_account_aliases", {}, False),
    ],
)
def test_iam_calls(
    tmp_path: Path, statement: dict[str, Any], operation: str, parameters: dict[str, Any], *, may: bool
) -> None:
    """A call needs its action on its resource, path included, under its condition keys; tagging is an action more."""
    with started(tmp_path, statement) as sandbox:
        assert allowed(sandbox, "iam", operation, **parameters) is may


@pytest.mark.parametrize(
    ("statement", "may"),
    [
        (make.statement(action=["dynamodb:PutItem", "dynamodb:UpdateItem"], resource=TABLE), True),
        (make.statement(action="dynamodb:PutItem", resource=TABLE), False),
        (make.statement(action="dynamodb:TransactWriteItems", resource=TABLE), False),
        (
            make.statement(
                action="dynamodb:*",
                resource=TABLE,
                Condition={"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["other*"]}},
            ),
            False,
        ),
    ],
)
def test_each_part_of_a_transaction_needs_its_own_action(
    tmp_path: Path, statement: dict[str, Any], *, may: bool
) -> None:
    """A transaction has no action of its own, and its items' partition keys count."""
    table = "bedrock-access-remediator-Ledger"
    items = [
        {"Put": {"TableName": table, "Item": {"pk": {"S": "a"}}}},
        {"Update": {"TableName": table, "Key": {"pk": {"S": "b"}}, "UpdateExpression": "REMOVE x"}},
    ]
    with started(tmp_path, statement) as sandbox:
        assert allowed(sandbox, "dynamodb", "transact_write_items", TransactItems=items) is may


@pytest.mark.parametrize(
    ("operation", "parameters", "may"),
    [
        ("put_item", {"Item": {"pk": {"S": "a"}, "sk": {"S": "b"}, "note": {"S": "x"}}}, True),
        ("put_item", {"Item": {"pk": {"S": "a"}, "sk": {"S": "b"}, "state": {"S": "x"}}}, False),
        ("put_item", {"Item": {"pk": {"S": "a"}}, "ConditionExpression": "attribute_not_exists(pk)"}, True),
        ("put_item", {"Item": {"pk": {"S": "a"}}, "ConditionExpression": "attribute_not_exists(state)"}, False),
        (
            "update_item",
            {"UpdateExpression": "SET note = :n REMOVE #o", "ExpressionAttributeNames": {"#o": "sk"}},
            True,
        ),
        ("update_item", {"UpdateExpression": "SET #s = :n", "ExpressionAttributeNames": {"#s": "state"}}, False),
        ("update_item", {"UpdateExpression": "SET note = if_not_exists(state, :n)"}, False),
    ],
)
def test_a_write_may_be_held_to_attributes(
    tmp_path: Path, operation: str, parameters: dict[str, Any], *, may: bool
) -> None:
    """All that it names, in its item, its key or its expressions."""
    condition = {"ForAllValues:StringEquals": {"dynamodb:Attributes": ["pk", "sk", "note"]}}
    key = {"Key": {"pk": {"S": "a"}, "sk": {"S": "b"}}} if operation == "update_item" else {}
    given = {"TableName": "bedrock-access-remediator-Ledger", **key, **parameters}
    own = make.statement(action=["dynamodb:PutItem", "dynamodb:UpdateItem"], resource=TABLE, Condition=condition)
    with started(tmp_path, own) as sandbox:
        assert allowed(sandbox, "dynamodb", operation, **given) is may


@pytest.mark.parametrize(("prefix", "may"), [("a", True), ("b", False)])
def test_a_query_has_a_leading_key(tmp_path: Path, prefix: str, *, may: bool) -> None:
    """The partition that a Query asks for counts as its leading key."""
    condition = {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": [f"{prefix}*"]}}
    with started(tmp_path, make.statement(action="dynamodb:Query", resource=TABLE, Condition=condition)) as sandbox:
        asked = allowed(
            sandbox,
            "dynamodb",
            "query",
            TableName="bedrock-access-remediator-Ledger",
            KeyConditionExpression="#k = :k",
            ExpressionAttributeNames={"#k": "pk"},
            ExpressionAttributeValues={":k": {"S": "abc"}},
        )
        assert asked is may


@pytest.mark.parametrize(
    ("resource", "service", "operation", "parameters"),
    [
        (
            f"arn:aws:bedrock:us-east-1:{make.ACCOUNT}:application-inference-profile/*",
            "bedrock",
            "get_inference_profile",
            {"inferenceProfileIdentifier": "q7xk2m9p0abc"},
        ),
        (
            "arn:aws:bedrock:*::foundation-model/*",
            "bedrock",
            "get_foundation_model",
            {"modelIdentifier": "amazon.nova-2-lite-v1:0"},
        ),
        (
            f"arn:aws:ssm:us-east-1:{make.ACCOUNT}:parameter/allowlist",
            "ssm",
            "get_parameters_by_path",
            {"Path": "/allowlist/"},
        ),
        (
            TABLE,
            "dynamodb",
            "batch_get_item",
            {"RequestItems": {"bedrock-access-remediator-Ledger": {"Keys": [{"pk": {"S": "a"}}]}}},
        ),
        (
            TABLE,
            "dynamodb",
            "batch_write_item",
            {"RequestItems": {"bedrock-access-remediator-Ledger": [{"DeleteRequest": {"Key": {"pk": {"S": "a"}}}}]}},
        ),
    ],
)
def test_a_call_is_about_its_resource(
    tmp_path: Path, resource: str, service: str, operation: str, parameters: dict[str, Any]
) -> None:
    """What a call is about is worked out from its parameters."""
    with started(tmp_path, make.statement(action=f"{service}:*", resource=resource)) as sandbox:
        assert allowed(sandbox, service, operation, **parameters)
        assert sandbox.authorization.refusals == []


def test_a_denial_is_told(tmp_path: Path) -> None:
    """What the template does not allow is kept in words that name the function, the action and the resource."""
    with started(tmp_path) as sandbox:
        assert not allowed(sandbox, "iam", "get_role", RoleName="app")
        (refusal,) = sandbox.authorization.refusals
    assert refusal.startswith("Work: User: arn:aws:sts::123456789012:assumed-role/")
    assert "iam:GetRole on resource: arn:aws:iam::123456789012:role/service/app" in refusal


def topic(**properties: Any) -> dict[str, Any]:
    """A topic of the template."""
    return {"Type": "AWS::SNS::Topic", "Properties": properties}


def topic_policy(*statements: dict[str, Any]) -> dict[str, Any]:
    """The policy of the topic `Notices`."""
    return {
        "Type": "AWS::SNS::TopicPolicy",
        "Properties": {"Topics": [{"Ref": "Notices"}], "PolicyDocument": make.document(*statements)},
    }


def publish(sandbox: Sandbox) -> bool:
    """Whether the function may publish to `Notices`."""
    return allowed(sandbox, "sns", "publish", TopicArn=sandbox.stack.ref("Notices"), Message="x")


@pytest.mark.parametrize(
    ("own", "topics", "may"),
    [
        ([make.statement(action="sns:Publish")], [], True),
        ([], [make.statement(Principal={"AWS": make.ACCOUNT})], True),
        ([make.statement(action="sns:Publish")], [make.statement("Deny", Principal="*")], False),
        (
            [make.statement(action="sns:Publish")],
            [make.statement("Deny", Principal="*", Condition={"Bool": {"aws:SecureTransport": "false"}})],
            True,
        ),
    ],
)
def test_a_resources_own_policy_counts(tmp_path: Path, own: list[Any], topics: list[Any], *, may: bool) -> None:
    """In one account either policy may allow, and either may deny; calls go over TLS."""
    with started(tmp_path, *own, Notices=topic(), Policy=topic_policy(*topics)) as sandbox:
        assert publish(sandbox) is may


@pytest.mark.parametrize(
    ("actions", "key_allows", "may"),
    [
        (["sns:Publish"], "root", False),
        (["sns:Publish", "kms:GenerateDataKey", "kms:Decrypt"], "root", True),
        (["sns:Publish", "kms:GenerateDataKey", "kms:Decrypt"], "role/somebody", False),
    ],
)
def test_an_encrypted_topic_needs_its_key(tmp_path: Path, actions: list[str], key_allows: str, *, may: bool) -> None:
    """To publish under a key one needs the key as well, and the key's policy has to let IAM decide."""
    principal = {"AWS": f"arn:aws:iam::{make.ACCOUNT}:{key_allows}"}
    key_policy = make.document(make.statement(action="kms:*", Principal=principal))
    key = {"Type": "AWS::KMS::Key", "Properties": {"KeyPolicy": key_policy}}
    notices = topic(KmsMasterKeyId={"Ref": "Key"})
    with started(tmp_path, make.statement(action=actions), Notices=notices, Key=key) as sandbox:
        assert publish(sandbox) is may


@pytest.mark.parametrize(
    ("own", "principal", "algorithm", "may"),
    [
        ([], {"Fn::GetAtt": ["Role", "Arn"]}, "HMAC_SHA_256", True),
        ([], {"Fn::GetAtt": ["Role", "Arn"]}, "HMAC_SHA_512", False),
        ([], {"Fn::GetAtt": ["Other", "Arn"]}, "HMAC_SHA_256", False),
        ([], f"arn:aws:iam::{make.ACCOUNT}:root", "HMAC_SHA_256", False),
        ([make.statement(action="kms:*")], f"arn:aws:iam::{make.ACCOUNT}:root", "HMAC_SHA_256", True),
        ([make.statement(action="kms:*")], {"Fn::GetAtt": ["Other", "Arn"]}, "HMAC_SHA_256", False),
    ],
)
def test_a_keys_policy_may_name_the_role_itself(
    tmp_path: Path, own: list[Any], principal: Any, algorithm: str, *, may: bool
) -> None:
    """That is enough; where it names the account, the role needs a policy of its own, and it always needs the key's."""
    condition = {"StringEquals": {"kms:MacAlgorithm": "HMAC_SHA_256"}}
    allow = make.statement(action="kms:GenerateMac", Principal={"AWS": principal}, Condition=condition)
    properties = {"KeySpec": "HMAC_256", "KeyUsage": "GENERATE_VERIFY_MAC", "KeyPolicy": make.document(allow)}
    key = {"Type": "AWS::KMS::Key", "Properties": properties}
    with started(tmp_path, *own, Key=key, Other=make.role()) as sandbox:
        asked = {"KeyId": sandbox.stack.ref("Key"), "MacAlgorithm": algorithm, "Message": "x"}
        assert allowed(sandbox, "kms", "generate_mac", **asked) is may


@pytest.mark.parametrize(("excepted", "may"), [("Role", True), ("Other", False)])
def test_a_secrets_own_policy_counts(tmp_path: Path, excepted: str, *, may: bool) -> None:
    """A role that may read every secret may not read one whose policy is for others."""
    deny = make.statement(
        "Deny", Principal="*", Condition={"ArnNotEquals": {"aws:PrincipalArn": {"Fn::GetAtt": [excepted, "Arn"]}}}
    )
    given = {
        "Secret": {"Type": "AWS::SecretsManager::Secret", "Properties": {"SecretString": "text"}},
        "Policy": {
            "Type": "AWS::SecretsManager::ResourcePolicy",
            "Properties": {"SecretId": {"Ref": "Secret"}, "ResourcePolicy": make.document(deny)},
        },
        "Other": make.role(),
    }
    with started(tmp_path, make.statement(action="secretsmanager:GetSecretValue"), **given) as sandbox:
        asked = {"SecretId": sandbox.stack.ref("Secret")}
        assert allowed(sandbox, "secretsmanager", "get_secret_value", **asked) is may


IN_US_EAST_1 = {"StringNotEquals": {"aws:RequestedRegion": "us-east-1"}}
IN_THE_NETWORK = {"StringNotEqualsIfExists": {"aws:SourceVpc": "vpc-1"}}
BY_ROLES = {"ArnNotLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/*"}}


@pytest.mark.parametrize(
    ("condition", "passes"), [(IN_US_EAST_1, True), (BY_ROLES, True), (IN_THE_NETWORK, False), ({}, False)]
)
def test_service_control_policies_hold_for_the_stacks_own_roles(
    tmp_path: Path, condition: dict[str, Any], *, passes: bool
) -> None:
    """With their conditions, by the keys that AWS has for a function's call: it comes from no network of one's own."""
    scp = make.document(make.statement("Deny", "iam:Get*", Condition=condition))
    given = {"Role": make.role(make.statement(action="iam:*")), "Work": make.function("work", "Role")}
    world = make.world(roles=[{"name": "app"}], scps=[scp])
    with make.started(tmp_path, given, HANDLER, world=world) as sandbox:
        assert allowed(sandbox, "iam", "get_role", RoleName="app") is passes


KEYED = {
    "Null": {"dynamodb:LeadingKeys": "false"},
    "ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["own#*"]},
}
LEDGER_NAME = "bedrock-access-remediator-Ledger"


@pytest.mark.parametrize(
    ("operation", "parameters", "may"),
    [
        ("put_item", {"Item": {"pk": {"S": "own#a"}}}, True),
        ("put_item", {"Item": {"pk": {"S": "others"}}}, False),
        ("update_item", {"Key": {"pk": {"S": "others"}}, "UpdateExpression": "REMOVE a"}, False),
        ("delete_item", {"Key": {"pk": {"S": "own#a"}}}, True),
        ("scan", {}, False),
    ],
)
def test_a_role_may_be_held_to_partition_keys(
    tmp_path: Path, operation: str, parameters: dict[str, Any], *, may: bool
) -> None:
    """Those of the item or key; a call that names none is not let through by a condition on all of none."""
    with started(tmp_path, make.statement(action="dynamodb:*", resource=TABLE, Condition=KEYED)) as sandbox:
        assert allowed(sandbox, "dynamodb", operation, TableName=LEDGER_NAME, **parameters) is may


@pytest.mark.parametrize(("other", "may"), [("own#b", True), ("others", False)])
def test_a_transaction_or_batch_is_about_all_of_its_keys(tmp_path: Path, other: str, *, may: bool) -> None:
    """One that is not one's own voids all of it."""
    puts = [{"Put": {"TableName": LEDGER_NAME, "Item": {"pk": {"S": pk}}}} for pk in ("own#a", other)]
    gets = {LEDGER_NAME: {"Keys": [{"pk": {"S": "own#a"}}, {"pk": {"S": other}}]}}
    with started(tmp_path, make.statement(action="dynamodb:*", resource=TABLE, Condition=KEYED)) as sandbox:
        assert allowed(sandbox, "dynamodb", "transact_write_items", TransactItems=puts) is may
        assert allowed(sandbox, "dynamodb", "batch_get_item", RequestItems=gets) is may


@pytest.mark.parametrize("returned", [{}, {"ReturnValuesOnConditionCheckFailure": "ALL_OLD"}])
def test_who_is_held_to_attributes_is_not_answered_with_a_whole_item(tmp_path: Path, returned: dict[str, Any]) -> None:
    """Whether AWS does so is documented nowhere (docs/aws-facts.md §7.19), so nothing may rest on it."""
    condition = {"ForAllValues:StringEquals": {"dynamodb:Attributes": ["pk", "status"]}}
    item = {"pk": {"S": "a"}, "status": {"S": "sent"}}
    with started(tmp_path, make.statement(action="dynamodb:*", resource=TABLE, Condition=condition)) as sandbox:
        assert allowed(sandbox, "dynamodb", "put_item", TableName=LEDGER_NAME, Item=item, **returned) is (not returned)


@pytest.mark.parametrize(("named", "may"), [("Role", True), ("Other", False)])
def test_a_tables_own_policy_counts(tmp_path: Path, named: str, *, may: bool) -> None:
    """It lets a role in that has no policy for it, and keeps out one that may write every table."""
    arn = {"Fn::GetAtt": [named, "Arn"]}
    stated = make.document(
        make.statement(action="dynamodb:PutItem", Principal={"AWS": arn}),
        make.statement(
            "Deny", action="dynamodb:PutItem", Principal="*", Condition={"ArnNotEquals": {"aws:PrincipalArn": arn}}
        ),
    )
    keys = [{"AttributeName": "pk", "KeyType": "HASH"}]
    table = {
        "Type": "AWS::DynamoDB::Table",
        "Properties": {
            "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
            "KeySchema": keys,
            "ResourcePolicy": {"PolicyDocument": stated},
        },
    }
    own = [] if may else [make.statement(action="dynamodb:*")]
    with started(tmp_path, *own, Memory=table, Other=make.role()) as sandbox:
        put = {"TableName": sandbox.stack.ref("Memory"), "Item": {"pk": {"S": "a"}}}
        assert allowed(sandbox, "dynamodb", "put_item", **put) is may
