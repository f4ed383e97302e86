"""MiniStack with what the stack needs and MiniStack 1.5.33 lacks. Run it with the interpreter of `.venv-emulate`.

Each function below is one shim: what AWS does, as small as the stack needs it. Whatever a shim does is not proven by
MiniStack but rests on our own word: docs/emulation.md lists them. MiniStack is depended on; nothing of it is copied.

`EMULATION_CATALOGUE` names a JSON file: region -> `profiles` and `models`, as Bedrock describes them.
`EMULATION_MAILS` names the file in which mails are kept.
"""

import json
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote
from xml.sax.saxutils import escape

from ministack import app
from ministack.core import iam_actions, iam_evaluator
from ministack.core.responses import get_account_id, get_region
from ministack.services import bedrock, eventbridge, iam, lambda_svc, pipes, secretsmanager, sns, sqs
from ministack.services.cloudformation.provisioners import _RESOURCE_HANDLERS as RESOURCES

WIDE: Final = "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS"
_CREATED: Final = 1767225600.0
_JSON: Final = {"Content-Type": "application/json"}

Properties = Mapping[str, Any]


def secret_policies() -> None:
    """CloudFormation has AWS::SecretsManager::ResourcePolicy."""

    def create(logical_id: str, properties: Properties, stack: str) -> tuple[str, dict[str, Any]]:
        policy = json.dumps(properties["ResourcePolicy"])
        status, *_ = secretsmanager._put_resource_policy({"SecretId": properties["SecretId"], "ResourcePolicy": policy})
        if status >= 400:
            raise ValueError(f"{logical_id}: there is no secret {properties['SecretId']}")
        return f"{stack}-{logical_id}", {}

    def update(physical_id: str, _: Properties, properties: Properties, stack: str) -> tuple[str, dict[str, Any]]:
        create(physical_id, properties, stack)
        return physical_id, {}

    def delete(_: str, properties: Properties) -> None:
        secretsmanager._delete_resource_policy({"SecretId": properties["SecretId"]})

    RESOURCES["AWS::SecretsManager::ResourcePolicy"] = {"create": create, "update": update, "delete": delete}


def bus_policies() -> None:
    """CloudFormation has AWS::Events::EventBusPolicy, whose Statement is a policy's statement."""

    def put(properties: Properties) -> None:
        held = eventbridge._event_bus_policies.setdefault(
            properties.get("EventBusName", "default"), {"Version": "2012-10-17", "Statement": []}
        )
        remove(properties)
        held["Statement"].append({"Sid": properties["StatementId"], **properties.get("Statement", {})})

    def remove(properties: Properties) -> None:
        held = eventbridge._event_bus_policies.get(properties.get("EventBusName", "default"))
        if held:
            held["Statement"] = [each for each in held["Statement"] if each.get("Sid") != properties["StatementId"]]

    def create(logical_id: str, properties: Properties, stack: str) -> tuple[str, dict[str, Any]]:
        put(properties)
        return f"{stack}-{logical_id}", {}

    def update(physical_id: str, before: Properties, properties: Properties, _: str) -> tuple[str, dict[str, Any]]:
        remove(before)
        put(properties)
        return physical_id, {}

    def delete(_: str, properties: Properties) -> None:
        remove(properties)

    RESOURCES["AWS::Events::EventBusPolicy"] = {"create": create, "update": update, "delete": delete}


def secret_references() -> None:
    """`Ref` of a secret is its ARN, not its name."""
    handlers = RESOURCES["AWS::SecretsManager::Secret"]
    create, update, delete = handlers["create"], handlers["update"], handlers["delete"]

    def name(arn: str) -> str:
        return arn.partition(":secret:")[2][:-7]

    def created(logical_id: str, properties: Properties, stack: str) -> tuple[str, dict[str, Any]]:
        _, attributes = create(logical_id, properties, stack)
        return attributes["Id"], attributes

    def updated(
        arn: str, before: Properties, properties: Properties, stack: str, logical_id: str | None = None
    ) -> tuple[str, dict[str, Any]]:
        _, attributes = update(name(arn), before, properties, stack, logical_id)
        return arn, {**attributes, "Id": arn}

    handlers.update(create=created, update=updated, delete=lambda arn, properties: delete(name(arn), properties))


def wide_rules() -> None:
    """A rule in the wide state takes events as an enabled one does."""

    class Enabled(str):
        """Reads as the wide state, and is equal to ENABLED."""

        __slots__ = ()

        def __eq__(self, other: object) -> bool:
            return other in {str(self), "ENABLED"}

        def __ne__(self, other: object) -> bool:
            return not self == other

        __hash__ = str.__hash__

    dispatch = eventbridge._dispatch_event

    def dispatched(*given: Any, **named: Any) -> Any:
        for rule in eventbridge._rules.values():
            if type(rule.get("State")) is str and str(rule["State"]) == WIDE:
                rule["State"] = Enabled(WIDE)
        return dispatch(*given, **named)

    eventbridge._dispatch_event = dispatched


def events_of_services() -> None:
    """Who puts events into the bus here stands for CloudTrail, so their source may be AWS's own."""
    put = eventbridge._put_events
    eventbridge._put_events = lambda data, allow_aws_source=True: put(data, allow_aws_source)


def pipes_to_queues() -> None:
    """A pipe delivers the records of a stream that pass its filters to a FIFO queue."""
    handlers = RESOURCES["AWS::Pipes::Pipe"]
    create, update, deliver = handlers["create"], handlers["update"], pipes._deliver_batch
    known: dict[str, Properties] = {}

    def created(logical_id: str, properties: Properties, stack: str) -> tuple[str, dict[str, Any]]:
        physical_id, attributes = create(logical_id, properties, stack)
        known[attributes["Arn"]] = properties
        return physical_id, attributes

    def updated(*given: Any, **named: Any) -> tuple[str, dict[str, Any]]:
        physical_id, attributes = update(*given, **named)
        known[attributes["Arn"]] = given[2]
        return physical_id, attributes

    def delivered(pipe: dict[str, Any], batch: list[dict[str, Any]]) -> bool:
        properties = known.get(pipe["Arn"], {})
        if pipes._arn_service(pipe.get("Target", "")) != "sqs":
            return bool(deliver(pipe, batch))
        filters = properties.get("SourceParameters", {}).get("FilterCriteria", {}).get("Filters", [])
        patterns = [json.loads(each["Pattern"]) for each in filters]
        wanted = properties["TargetParameters"]["SqsQueueParameters"]
        url = sqs._queue_url(pipe["Target"].rpartition(":")[2])
        # It sends as its role, over TLS: the queue's policy asks.
        caller = iam_evaluator._request_caller_arn.set(pipe["RoleArn"])
        origin = iam_evaluator._request_origin.set(("127.0.0.1", True))
        try:
            for record in batch:
                if any(lambda_svc._match_esm_filter(record, pattern) for pattern in patterns):
                    message = {name: _dug(record, path) for name, path in wanted.items()}
                    sqs._act_send_message({"MessageBody": json.dumps(record), **message}, url)
        finally:
            iam_evaluator._request_caller_arn.reset(caller)
            iam_evaluator._request_origin.reset(origin)
        return True

    handlers.update(create=created, update=updated)
    pipes._deliver_batch = delivered


def _dug(record: Any, path: str) -> str:
    """What a path as `$.dynamodb.NewImage.group.S` leads to."""
    for name in path.removeprefix("$.").split("."):
        record = record[name]
    return str(record)


def condition_keys() -> None:
    """Requests have iam:PolicyARN, kms:MacAlgorithm and DynamoDB's keys; a session's aws:PrincipalArn is its role."""
    tags, resolve = iam_actions.request_tag_context, iam_evaluator._resolve_condition_key

    def context(service: str, action: str, body: bytes, parameters: Mapping[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = dict(tags(service, action, body, parameters))
        if service == "iam" and parameters.get("PolicyArn"):
            given = parameters["PolicyArn"]
            found["iam:PolicyARN"] = given[0] if isinstance(given, list) else given
        if service == "kms":
            algorithm = json.loads(body or b"{}").get("MacAlgorithm")
            found |= {"kms:MacAlgorithm": algorithm} if algorithm else {}
        return found

    def dynamodb(body: bytes) -> dict[str, Any]:
        names, keys, returned = _named(json.loads(body or b"{}"))
        found: dict[str, Any] = {"dynamodb:Attributes": sorted(names), "dynamodb:LeadingKeys": sorted(keys)}
        return found | ({"dynamodb:ReturnValues": returned} if returned else {})

    def resolved(key: str, asked: Any) -> Any:
        arn = asked.principal_arn
        if key.lower() == "aws:principalarn" and ":assumed-role/" in arn:
            name = arn.split("/")[1]
            role = iam._roles.get_scoped(asked.principal_account, None, name) or {}
            return role.get("Arn", arn)
        return resolve(key, asked)

    iam_actions.request_tag_context = context
    iam_actions.dynamodb_service_context = dynamodb
    iam_evaluator._resolve_condition_key = resolved


def _named(asked: Any) -> tuple[set[str], set[str], str | None]:
    """The attributes that a request to DynamoDB names, the partition keys in it, and its ReturnValues."""
    names: set[str] = set()
    keys: set[str] = set()
    returned = None
    if isinstance(asked, list):
        parts = asked
    elif isinstance(asked, dict):
        parts = list(asked.values())
        names |= set(asked.get("ExpressionAttributeNames", {}).values())
        for item in (asked.get("Key"), asked.get("Item"), *asked.get("Keys", ())):
            names |= set(item or ())
            keys |= {item["pk"]["S"]} if item else set()
        returned = asked.get("ReturnValues")
    else:
        return names, keys, returned
    for part in parts:
        more, others, inner = _named(part)
        names, keys, returned = names | more, keys | others, returned or inner
    return names, keys, returned


def resources() -> None:
    """Actions are asked about what they concern: the path that is read, the principal, the policy with its path."""
    extract = iam_actions.extract_resource_arn

    def resource(service: str, method: str, path: str, headers: Mapping[str, str], body: bytes, *rest: Any) -> Any:
        if service == "iam" and iam._p(rest[0], "Action") == "SimulatePrincipalPolicy":
            return iam._p(rest[0], "PolicySourceArn")
        if service == "iam" and iam._p(rest[0], "Action") == "CreatePolicy":
            name = f"{iam._p(rest[0], 'Path') or '/'}{iam._p(rest[0], 'PolicyName')}"
            return f"arn:aws:iam::{get_account_id()}:policy{name}"
        if service == "ssm" and headers.get("x-amz-target", "").endswith(".GetParametersByPath"):
            return f"arn:aws:ssm:{get_region()}:{get_account_id()}:parameter{json.loads(body)['Path']}"
        return extract(service, method, path, headers, body, *rest)

    iam_actions.extract_resource_arn = resource


def simulation() -> None:
    """SimulatePrincipalPolicy: every resource, the boundary, the groups, PolicyInputList and ContextEntries."""

    def members(given: Mapping[str, Any], name: str) -> list[str]:
        numbered = re.compile(rf"{name}\.member\.(\d+)")
        found = {int(match[1]): iam._p(given, key) for key in given if (match := numbered.fullmatch(key))}
        return [found[number] for number in sorted(found)]

    def simulate(given: Mapping[str, Any]) -> Any:
        arn, account = iam._p(given, "PolicySourceArn"), get_account_id()
        kind, name = arn.split(":")[5].split("/")[0], arn.rpartition("/")[2]
        store = iam._users if kind == "user" else iam._roles
        gather = iam_evaluator._gather_user_policies if kind == "user" else iam_evaluator._gather_role_policies
        policies = list(gather(name, account))
        policies += [iam_evaluator.parse_policy_document(each) for each in members(given, "PolicyInputList")]
        limits = iam_evaluator._permissions_boundary(store, name, account)
        context = {}
        for number in range(1, 200):
            key = iam._p(given, f"ContextEntries.member.{number}.ContextKeyName")
            if key:
                values = members(given, f"ContextEntries.member.{number}.ContextKeyValues")
                context[key.lower()] = values if len(values) != 1 else values[0]
        answers = ""
        for action in members(given, "ActionNames"):
            for resource in members(given, "ResourceArns") or ["*"]:
                asked = iam_evaluator.EvalContext(
                    principal_arn=arn,
                    principal_type="User" if kind == "user" else "AssumedRole",
                    principal_account=account,
                    action=action,
                    resource_arn=resource,
                    region=context.get("aws:requestedregion", get_region()),
                    principal_keys=context,
                )
                raw = iam_evaluator.evaluate(asked, policies, *limits).decision
                decision = {"Allow": "allowed", "Deny": "explicitDeny"}.get(raw, "implicitDeny")
                unlimited = iam_evaluator.evaluate(asked, policies).decision
                allowed = str(raw == "Allow" or unlimited != "Allow").lower()
                detail = f"<AllowedByPermissionsBoundary>{allowed}</AllowedByPermissionsBoundary>"
                answers += (
                    f"<member><EvalActionName>{escape(action)}</EvalActionName>"
                    f"<EvalResourceName>{escape(resource)}</EvalResourceName><EvalDecision>{decision}</EvalDecision>"
                    "<MatchedStatements/><MissingContextValues/>"
                    + (
                        f"<PermissionsBoundaryDecisionDetail>{detail}</PermissionsBoundaryDecisionDetail>"
                        if limits
                        else ""
                    )
                    + "</member>"
                )
        result = f"<EvaluationResults>{answers}</EvaluationResults><IsTruncated>false</IsTruncated>"
        return iam._xml(
            200,
            "SimulatePrincipalPolicyResponse",
            f"<SimulatePrincipalPolicyResult>{result}</SimulatePrincipalPolicyResult>",
            ns="iam",
        )

    for held in vars(iam).values():
        if isinstance(held, dict) and "SimulatePrincipalPolicy" in held:
            held["SimulatePrincipalPolicy"] = simulate


def bedrock_profiles() -> None:
    """Bedrock's profiles and models, as the world has them."""
    catalogue = json.loads(Path(os.environ["EMULATION_CATALOGUE"]).read_text(encoding="utf-8"))
    handle: Callable[..., Any] = bedrock.handle_request

    async def handled(method: str, path: str, headers: Any, body: Any, query: Mapping[str, Any]) -> Any:
        own = catalogue.get(get_region(), {"profiles": [], "models": []})
        kind, _, identifier = unquote(path).strip("/").partition("/")
        if method != "GET" or kind not in {"inference-profiles", "foundation-models"}:
            return await handle(method, path, headers, body, query)
        if kind == "inference-profiles" and not identifier:
            wanted = (query.get("typeEquals") or query.get("type") or ["SYSTEM_DEFINED"])[0]
            listed = [each for each in own["profiles"] if each["type"] == wanted]
            return 200, {**_JSON}, json.dumps({"inferenceProfileSummaries": listed}).encode()
        names = ("inferenceProfileId", "inferenceProfileArn", "modelId", "modelArn")
        for each in own["profiles" if kind == "inference-profiles" else "models"]:
            if identifier in {each.get(name) for name in names}:
                answer = each if kind == "inference-profiles" else {"modelDetails": each}
                return 200, {**_JSON}, json.dumps(answer).encode()
        error = {"message": f"{identifier} was not found."}
        return 404, {**_JSON, "x-amzn-errortype": "ResourceNotFoundException"}, json.dumps(error).encode()

    bedrock.handle_request = handled


def mails() -> None:
    """What a topic sends by e-mail is kept: one line of JSON a message, in the file that EMULATION_MAILS names."""
    fan_out, kept = sns._fanout, Path(os.environ["EMULATION_MAILS"])

    def sent(topic: str, identifier: str, message: str, *rest: Any, **named: Any) -> Any:
        with kept.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps({"topic": topic, "message": message}) + "\n")
        return fan_out(topic, identifier, message, *rest, **named)

    sns._fanout = sent


SHIMS: Final = (
    secret_policies,
    bus_policies,
    secret_references,
    wide_rules,
    events_of_services,
    pipes_to_queues,
    condition_keys,
    resources,
    simulation,
    bedrock_profiles,
    mails,
)


if __name__ == "__main__":
    for shim in SHIMS:
        shim()
    app.main()
