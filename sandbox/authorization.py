"""Whether the template lets a function make a call, or one part of the stack hand something to another.

A mistake in a role, a queue policy or a topic policy shows here as it would on AWS: as AccessDenied.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sandbox.calls import ApiError, Call
from sandbox.evaluator import Ask, Decision, Source, evaluate, listed, statements
from sandbox.intrinsics import TemplateError
from sandbox.managed_policies import aws_managed_document
from sandbox.patterns import Values
from sandbox.requirements import Names, Requirement, required
from sandbox.template import Stack

_NOT_SAID = {"kms"}
"""Services whose resource policy must allow the caller itself, or hand the matter to IAM."""


class Authorization:
    """The policies of the stack's roles, queues, topics, keys and secrets.

    Args:
        stack: The stack as the template describes it.
        names: What turns an operation's parameters into ARNs.
        now: The time, for `aws:CurrentTime`.
    """

    def __init__(self, stack: Stack, names: Names, now: Callable[[], datetime]) -> None:
        self._stack = stack
        self._names = names
        self._now = now
        self._roles = {
            stack.arn(name): _role_sources(name, role) for name, role in stack.of_type("AWS::IAM::Role").items()
        }
        self._resources = _resource_policies(stack)
        self._keys = {
            stack.attribute(name, "TopicArn"): topic["KmsMasterKeyId"]
            for name, topic in stack.of_type("AWS::SNS::Topic").items()
            if "KmsMasterKeyId" in topic
        }
        self._functions = {
            name: properties["Role"] for name, properties in stack.of_type("AWS::Lambda::Function").items()
        }
        self.refusals: list[str] = []

    def check(self, call: Call) -> None:
        """Let a function's call pass, or refuse it; the sandbox's own calls pass.

        Raises:
            ApiError: AccessDenied, as the service words it.
        """
        if call.caller is None:
            return
        role = self._functions[call.caller]
        context = {"aws:requestedregion": (call.region,), "lambda:sourcefunctionarn": (self._stack.arn(call.caller),)}
        needed = required(call, self._names)
        if call.name == "sns:Publish":
            needed += self._to_encrypt(needed[0].resource, call.region)
        for requirement in needed:
            if not self.allows(role, requirement, context):
                raise self._refusal(role, requirement, call)

    def _to_encrypt(self, topic: str, region: str) -> list[Requirement]:
        """What publishing to a topic under a key of one's own needs beside the topic."""
        key = self._keys.get(topic)
        if key is None or key.startswith("alias/aws/"):
            return []
        arn = key if key.startswith("arn:") else self._names.arn("kms", region, f"key/{key}")
        return [Requirement("kms:GenerateDataKey", arn), Requirement("kms:Decrypt", arn)]

    def _refusal(self, role: str, requirement: Requirement, call: Call) -> ApiError:
        account = self._names.account
        session = f"arn:{self._names.partition}:sts::{account}:assumed-role/{role.rpartition('/')[2]}/{call.caller}"
        message = (
            f"User: {session} is not authorized to perform: {requirement.action} on resource: {requirement.resource} "
            f"because no identity-based policy allows the {requirement.action} action"
        )
        self.refusals.append(f"{call.caller}: {message}")
        code = "AccessDenied" if call.service == "iam" else "AccessDeniedException"
        return ApiError({"sns": "AuthorizationError"}.get(call.service, code), message, 403)

    def allows(self, role: str, requirement: Requirement, context: Values | None = None) -> bool:
        """Whether a role of the stack may do something, by its own policies and the resource's."""
        known: dict[str, tuple[str, ...]] = {
            "aws:principalarn": (role,),
            "aws:principalaccount": (self._names.account,),
            "aws:principaltype": ("AssumedRole",),
            "aws:principalisawsservice": ("false",),
            "aws:resourceaccount": (self._names.account,),
            **self._always(),
            **(context or {}),
            **requirement.context,
        }
        identity = evaluate(self._roles.get(role, ()), _ask(requirement, known, ()))
        principal = (role, f"arn:{self._names.partition}:iam::{self._names.account}:root")
        sources = self._resources.get(requirement.resource, ())
        resource = evaluate(sources, _ask(requirement, known, principal))
        if Decision.EXPLICIT_DENY in (identity.decision, resource.decision):
            return False
        if requirement.action.partition(":")[0] in _NOT_SAID:
            named = evaluate(_naming(role, sources), _ask(requirement, known, (role,)))
            return named.allowed or (identity.allowed and resource.allowed)
        return identity.allowed or resource.allowed

    def service_may(self, service: str, requirement: Requirement, source_arn: str) -> bool:
        """Whether a resource's policy lets an AWS service in, on behalf of the resource `source_arn`."""
        known: dict[str, tuple[str, ...]] = {
            "aws:sourcearn": (source_arn,),
            "aws:sourceaccount": (self._names.account,),
            "aws:principalisawsservice": ("true",),
            "aws:principalservicename": (service,),
            **self._always(),
        }
        sources = self._resources.get(requirement.resource, ())
        return evaluate(sources, _ask(requirement, known, (service,))).allowed

    def need(self, role: str, actions: Sequence[str], resource: str, what: str) -> None:
        """Refuse to deploy where a role lacks what AWS itself would do with it.

        Raises:
            TemplateError: It may not; `what` says what for.
        """
        for action in actions:
            if not self.allows(role, Requirement(action, resource)):
                raise TemplateError(f"{what}: {role} is not allowed {action} on {resource}")

    def _always(self) -> dict[str, tuple[str, ...]]:
        now = self._now()
        return {
            "aws:securetransport": ("true",),
            "aws:currenttime": (now.strftime("%Y-%m-%dT%H:%M:%SZ"),),
            "aws:epochtime": (str(int(now.timestamp())),),
        }


def _ask(requirement: Requirement, context: Values, principal: tuple[str, ...]) -> Ask:
    return Ask(action=requirement.action, resource=requirement.resource, context=context, principal=principal)


def _naming(role: str, sources: Sequence[Source]) -> tuple[Source, ...]:
    """The policies with only those statements that name the role itself, and not its account as a whole."""
    return tuple(
        Source(
            id=source.id,
            type=source.type,
            document={
                **source.document,
                "Statement": [one for one in statements(source.document) if _names(role, one)],
            },
        )
        for source in sources
    )


def _names(role: str, statement: Mapping[str, Any]) -> bool:
    principal = statement.get("Principal")
    return isinstance(principal, Mapping) and role in listed(principal.get("AWS"))


def _role_sources(name: str, role: Mapping[str, Any]) -> tuple[Source, ...]:
    inline = [
        Source(id=f"{name}/{one['PolicyName']}", type="inline", document=one["PolicyDocument"])
        for one in role.get("Policies", [])
    ]
    attached = [
        Source(id=arn, type="managed", document=aws_managed_document(arn)) for arn in role.get("ManagedPolicyArns", [])
    ]
    return (*inline, *attached)


def _resource_policies(stack: Stack) -> dict[str, tuple[Source, ...]]:
    policies: dict[str, tuple[Source, ...]] = {}
    queues = {stack.ref(name): stack.arn(name) for name in stack.of_type("AWS::SQS::Queue")}
    for name, policy in stack.of_type("AWS::SQS::QueuePolicy").items():
        for url in policy["Queues"]:
            policies[queues[url]] = (Source(id=name, type="resource", document=policy["PolicyDocument"]),)
    for name, policy in stack.of_type("AWS::SNS::TopicPolicy").items():
        for arn in policy["Topics"]:
            policies[arn] = (Source(id=name, type="resource", document=policy["PolicyDocument"]),)
    for name, policy in stack.of_type("AWS::SecretsManager::ResourcePolicy").items():
        policies[policy["SecretId"]] = (Source(id=name, type="resource", document=policy["ResourcePolicy"]),)
    for name, key in stack.of_type("AWS::KMS::Key").items():
        arn = stack.arn(name)
        # In a key's policy `*` means the key.
        policies[arn] = (Source(id=name, type="resource", document=key["KeyPolicy"]),)
    return policies
