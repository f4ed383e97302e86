"""Which IAM actions AWS asks for when an operation is called: on which resources, with which condition keys.

One line an operation that the functions call. An operation that is not here asks for the action of its own name on
`*`, which a statement that names resources does not allow: that shows at once that a line is missing.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from msgspec import Struct

from sandbox.calls import Call
from sandbox.patterns import Values


class Requirement(Struct, frozen=True):
    """One action on one resource, and the condition keys that go with it (lower case)."""

    action: str
    resource: str
    context: Values = {}


class Names:
    """Tells the ARNs that an operation's parameters stand for."""

    def __init__(  # noqa: PLR0913 - everything that an ARN is made of
        self,
        *,
        account: str,
        partition: str,
        principal: Callable[[str, str], tuple[str, Mapping[str, str], str | None]],
        profile: Callable[[str, str], str],
        partition_key: Callable[[str], str],
        organization: str | None = None,
    ) -> None:
        """Take what turns names into ARNs.

        Args:
            account: Account id.
            partition: The partition's name.
            principal: Kind (`role`, `user`, `group`) and name -> ARN, tags, and the boundary's ARN.
            profile: An inference profile's identifier and region -> ARN.
            partition_key: A table's name -> its partition key's attribute.
            organization: The organization that the account belongs to.
        """
        self.account = account
        self.partition = partition
        self.principal = principal
        self.profile = profile
        self.partition_key = partition_key
        self.organization = organization

    def arn(self, service: str, region: str, resource: str, *, account: str | None = None) -> str:
        """An ARN of this account, or of the one given."""
        owner = self.account if account is None else account
        return f"arn:{self.partition}:{service}:{region}:{owner}:{resource}"


Rule = Callable[[Call, Names], Iterator[Requirement]]


def required(call: Call, names: Names) -> list[Requirement]:
    """Everything that the caller must be allowed for one call."""
    rule = _RULES.get(call.name) or _RULES.get(f"{call.service}:*")
    if rule is None:
        return [Requirement(call.name, "*")]
    return list(rule(call, names))


def _on_principal(kind: str, parameter: str) -> Rule:
    def rule(call: Call, names: Names) -> Iterator[Requirement]:
        arn, tags, boundary = names.principal(kind, call.parameters[parameter])
        context: dict[str, tuple[str, ...]] = {}
        for key, value in tags.items():
            context[f"aws:resourcetag/{key.lower()}"] = (value,)
            context[f"iam:resourcetag/{key.lower()}"] = (value,)
        if boundary:
            context["iam:permissionsboundary"] = (boundary,)
        if "PolicyArn" in call.parameters:
            context["iam:policyarn"] = (call.parameters["PolicyArn"],)
        yield Requirement(call.name, arn, context)

    return rule


def _on_parameter(parameter: str) -> Rule:
    def rule(call: Call, _: Names) -> Iterator[Requirement]:
        yield Requirement(call.name, call.parameters[parameter])

    return rule


def _create_policy(call: Call, names: Names) -> Iterator[Requirement]:
    given = call.parameters
    arn = names.arn("iam", "", f"policy{given.get('Path', '/')}{given['PolicyName']}")
    tags = {tag["Key"]: tag["Value"] for tag in given.get("Tags") or ()}
    context: dict[str, tuple[str, ...]] = {f"aws:requesttag/{key.lower()}": (value,) for key, value in tags.items()}
    if tags:
        context["aws:tagkeys"] = tuple(tags)
    yield Requirement("iam:CreatePolicy", arn, context)
    if tags:
        yield Requirement("iam:TagPolicy", arn, context)


def _simulate(call: Call, _: Names) -> Iterator[Requirement]:
    yield Requirement("iam:SimulatePrincipalPolicy", call.parameters["PolicySourceArn"])


def _authorization_details(call: Call, _: Names) -> Iterator[Requirement]:
    # The service is iam-toolbox, and its actions are IAM's.
    yield Requirement(f"iam:{call.operation}", "*")


def _profile(call: Call, names: Names) -> Iterator[Requirement]:
    yield Requirement(call.name, names.profile(call.parameters["inferenceProfileIdentifier"], call.region))


def _model(call: Call, names: Names) -> Iterator[Requirement]:
    identifier = call.parameters["modelIdentifier"]
    arn = names.arn("bedrock", call.region, f"foundation-model/{identifier}", account="")
    yield Requirement(call.name, identifier if identifier.startswith("arn:") else arn)


def _table(call: Call, names: Names) -> Iterator[Requirement]:
    table = call.parameters["TableName"]
    index = f"/index/{call.parameters['IndexName']}" if "IndexName" in call.parameters else ""
    item = call.parameters.get("Item") or call.parameters.get("Key")
    required = _on_table(call.name, table, index, [item] if item else _queried(call, names), call, names)
    if call.operation in _WRITES:
        required = Requirement(
            required.action, required.resource, {**required.context, "dynamodb:attributes": _written(call.parameters)}
        )
    yield required


def _written(given: Mapping[str, Any]) -> tuple[str, ...]:
    """The attributes that a write names, in its item, its key or its expressions."""
    expressions = f"{given.get('UpdateExpression', '')} {given.get('ConditionExpression', '')}"
    plain = {name for name in _NAME.findall(expressions) if name not in _WORDS}
    placeholders = (given.get("ExpressionAttributeNames") or {}).values()
    # What is returned of an item as a whole is every attribute that it has: no list of names has that one.
    whole = {"*"} if "ALL" in f"{given.get(_RETURNS)} {given.get('ReturnValues')}" else set()
    return tuple(sorted({*(given.get("Item") or {}), *(given.get("Key") or {}), *placeholders, *plain, *whole}))


def _queried(call: Call, names: Names) -> list[Mapping[str, Any]]:
    """The partition that a Query asks for, read from a condition of the form `name = :value`."""
    values = call.parameters.get("ExpressionAttributeValues") or {}
    attribute_names = call.parameters.get("ExpressionAttributeNames") or {}
    key = names.partition_key(call.parameters["TableName"])
    for part in str(call.parameters.get("KeyConditionExpression", "")).split(" AND "):
        name, _, value = part.strip().partition("=")
        if attribute_names.get(name.strip(), name.strip()) == key and value.strip() in values:
            return [{key: values[value.strip()]}]
    return []


def _on_table(  # noqa: PLR0913, PLR0917 - the parts of one requirement
    action: str, table: str, index: str, items: list[Mapping[str, Any]], call: Call, names: Names
) -> Requirement:
    key = names.partition_key(table)
    leading = tuple(str(next(iter(item[key].values()))) for item in items if key in item)
    context: dict[str, tuple[str, ...]] = {"dynamodb:leadingkeys": leading} if leading else {}
    if call.operation.startswith("Transact"):
        context["dynamodb:enclosingoperation"] = (call.operation,)
    return Requirement(action, names.arn("dynamodb", call.region, f"table/{table}{index}"), context)


def _batch_get(call: Call, names: Names) -> Iterator[Requirement]:
    for table, request in call.parameters["RequestItems"].items():
        yield _on_table("dynamodb:BatchGetItem", table, "", request["Keys"], call, names)


def _batch_write(call: Call, names: Names) -> Iterator[Requirement]:
    for table, requests in call.parameters["RequestItems"].items():
        items = [request.get("PutRequest", {}).get("Item") or request["DeleteRequest"]["Key"] for request in requests]
        yield _on_table("dynamodb:BatchWriteItem", table, "", items, call, names)


_RETURNS: Final = "ReturnValuesOnConditionCheckFailure"
_WRITES: Final = ("PutItem", "UpdateItem", "DeleteItem")
_NAME: Final = re.compile(r"(?<![:#.\w])[A-Za-z_]\w*")
_KEYWORDS: Final = frozenset({"SET", "REMOVE", "ADD", "DELETE", "AND", "OR", "NOT", "BETWEEN", "IN"})
_FUNCTIONS: Final = frozenset({"attribute_exists", "attribute_not_exists", "attribute_type", "begins_with", "contains"})
_WORDS: Final = _KEYWORDS | _FUNCTIONS | {"if_not_exists", "list_append", "size"}
"""What stands in expressions and is no attribute's name."""

_TRANSACTED: Final = {
    "Put": "PutItem",
    "Update": "UpdateItem",
    "Delete": "DeleteItem",
    "ConditionCheck": "ConditionCheckItem",
    "Get": "GetItem",
}


def _transact(call: Call, names: Names) -> Iterator[Requirement]:
    """A transaction has no action of its own: each part needs its own, for the keys of all parts on its table."""
    entries = [(kind, part) for entry in call.parameters["TransactItems"] for kind, part in entry.items()]
    for kind, part in entries:
        table = part["TableName"]
        items = [other.get("Item") or other["Key"] for _, other in entries if other["TableName"] == table]
        needed = _on_table(f"dynamodb:{_TRANSACTED[kind]}", table, "", items, call, names)
        yield Requirement(needed.action, needed.resource, {**needed.context, "dynamodb:attributes": _written(part)})


def _queue(call: Call, names: Names) -> Iterator[Requirement]:
    name = call.parameters.get("QueueName") or call.parameters["QueueUrl"].rpartition("/")[2]
    yield Requirement(call.name.removesuffix("Batch"), names.arn("sqs", call.region, name))


def _of_topic(call: Call, _: Names) -> Iterator[Requirement]:
    yield Requirement("sns:ListSubscriptionsByTopic", call.parameters["TopicArn"])


def _publish(call: Call, _: Names) -> Iterator[Requirement]:
    yield Requirement("sns:Publish", call.parameters.get("TopicArn") or call.parameters.get("TargetArn") or "*")


def _parameters(call: Call, names: Names) -> Iterator[Requirement]:
    given = call.parameters
    for name in given.get("Names") or [given.get("Path") or given["Name"]]:
        yield Requirement(call.name, names.arn("ssm", call.region, f"parameter/{name.strip('/')}"))


def _key(call: Call, names: Names) -> Iterator[Requirement]:
    key = call.parameters["KeyId"]
    arn = key if key.startswith("arn:") else names.arn("kms", call.region, f"key/{key}")
    algorithm = call.parameters.get("MacAlgorithm")
    yield Requirement(call.name, arn, {"kms:macalgorithm": (algorithm,)} if algorithm else {})


def _secret(call: Call, names: Names) -> Iterator[Requirement]:
    secret = call.parameters["SecretId"]
    arn = secret if secret.startswith("arn:") else names.arn("secretsmanager", call.region, f"secret:{secret}")
    yield Requirement(call.name, arn)


def _assume(call: Call, _: Names) -> Iterator[Requirement]:
    given = call.parameters
    context = {"sts:rolesessionname": (given["RoleSessionName"],)}
    if "ExternalId" in given:
        context["sts:externalid"] = (given["ExternalId"],)
    yield Requirement("sts:AssumeRole", given["RoleArn"], context)


def _account(call: Call, names: Names) -> Iterator[Requirement]:
    yield Requirement(
        call.name, names.arn("organizations", "", f"account/{names.organization}/{call.parameters['AccountId']}")
    )


def _free(_: Call, __: Names) -> Iterator[Requirement]:
    yield from ()


_ROLE: Final = ("GetRole", "ListRolePolicies", "GetRolePolicy", "ListAttachedRolePolicies", "PutRolePolicy")
_ROLE_WRITES: Final = ("DeleteRolePolicy", "AttachRolePolicy", "DetachRolePolicy", "ListRoleTags", "DeleteRole")
_USER: Final = ("GetUser", "ListUserPolicies", "GetUserPolicy", "ListAttachedUserPolicies", "PutUserPolicy")
_USER_WRITES: Final = ("DeleteUserPolicy", "AttachUserPolicy", "DetachUserPolicy", "ListUserTags", "ListGroupsForUser")
_GROUP: Final = ("GetGroup", "ListGroupPolicies", "GetGroupPolicy", "ListAttachedGroupPolicies")
_POLICY: Final = ("GetPolicy", "GetPolicyVersion", "ListPolicyVersions", "CreatePolicyVersion", "DeletePolicyVersion")
_POLICY_WRITES: Final = (
    "DeletePolicy",
    "SetDefaultPolicyVersion",
    "ListEntitiesForPolicy",
    "ListPolicyTags",
    "TagPolicy",
)

_RULES: Final[Mapping[str, Rule]] = {
    **{f"iam:{name}": _on_principal("role", "RoleName") for name in (*_ROLE, *_ROLE_WRITES)},
    **{f"iam:{name}": _on_principal("user", "UserName") for name in (*_USER, *_USER_WRITES)},
    **{f"iam:{name}": _on_principal("group", "GroupName") for name in _GROUP},
    **{f"iam:{name}": _on_parameter("PolicyArn") for name in (*_POLICY, *_POLICY_WRITES)},
    "iam:CreatePolicy": _create_policy,
    "iam:SimulatePrincipalPolicy": _simulate,
    "iam-toolbox:*": _authorization_details,
    "bedrock:GetInferenceProfile": _profile,
    "bedrock:GetFoundationModel": _model,
    "dynamodb:*": _table,
    "dynamodb:BatchGetItem": _batch_get,
    "dynamodb:BatchWriteItem": _batch_write,
    "dynamodb:TransactWriteItems": _transact,
    "dynamodb:TransactGetItems": _transact,
    "sqs:*": _queue,
    "sns:ListSubscriptionsByTopic": _of_topic,
    "sns:Publish": _publish,
    "ssm:GetParameter": _parameters,
    "ssm:GetParameters": _parameters,
    "ssm:GetParametersByPath": _parameters,
    "kms:*": _key,
    "secretsmanager:*": _secret,
    "organizations:DescribeAccount": _account,
    "sts:AssumeRole": _assume,
    "sts:GetCallerIdentity": _free,
}
