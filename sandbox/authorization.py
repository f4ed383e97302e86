"""Whether the template lets a function make a call, or one part of the stack hand something to another.

A mistake in a role, a queue policy or a topic policy shows here as it would on AWS: as AccessDenied.

It asks the policies that the stacks' templates state: what their roles may, and whom their resources let in.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sandbox.calls import ApiError, Call
from sandbox.evaluator import Ask, Decision, Source, evaluate, listed, statements
from sandbox.intrinsics import TemplateError
from sandbox.managed_policies import aws_managed_document
from sandbox.naming import bus_arn
from sandbox.patterns import Values
from sandbox.requirements import Names, Requirement, required
from sandbox.sessions import AssumedRole
from sandbox.template import Stack

Policies = dict[str, tuple[Source, ...]]
"""ARN of a role or resource -> its policies."""


def identity_policies(stack: Stack) -> Policies:
    """What each role may, by its inline and managed policies."""
    return {stack.arn(name): _role_sources(name, role) for name, role in stack.of_type("AWS::IAM::Role").items()}


def resource_policies(stack: Stack) -> Policies:
    """Whom each role trusts, and whom each queue, topic, secret, key, table and event bus lets in."""
    policies: Policies = {
        stack.arn(name): (_stated(f"{name}/trust", role["AssumeRolePolicyDocument"]),)
        for name, role in stack.of_type("AWS::IAM::Role").items()
    }
    queues = {stack.ref(name): stack.arn(name) for name in stack.of_type("AWS::SQS::Queue")}
    for name, policy in stack.of_type("AWS::SQS::QueuePolicy").items():
        for url in policy["Queues"]:
            policies[queues[url]] = (_stated(name, policy["PolicyDocument"]),)
    for name, policy in stack.of_type("AWS::SNS::TopicPolicy").items():
        for arn in policy["Topics"]:
            policies[arn] = (_stated(name, policy["PolicyDocument"]),)
    for name, policy in stack.of_type("AWS::SecretsManager::ResourcePolicy").items():
        policies[policy["SecretId"]] = (_stated(name, policy["ResourcePolicy"]),)
    for name, key in stack.of_type("AWS::KMS::Key").items():
        # In a key's policy `*` means the key.
        policies[stack.arn(name)] = (_stated(name, key["KeyPolicy"]),)
    for name, table in stack.of_type("AWS::DynamoDB::Table").items():
        if "ResourcePolicy" in table:
            policies[stack.arn(name)] = (_stated(name, table["ResourcePolicy"]["PolicyDocument"]),)
    for name, policy in stack.of_type("AWS::Events::EventBusPolicy").items():
        # Each is one statement of the bus's policy.
        arn = bus_arn(stack.place, policy.get("EventBusName", "default"))
        statement = {"Version": "2012-10-17", "Statement": [policy["Statement"]]}
        policies[arn] = (*policies.get(arn, ()), _stated(name, statement))
    return policies


def _stated(name: str, document: Mapping[str, Any]) -> Source:
    return Source(id=name, type="resource", document=document)


def _role_sources(name: str, role: Mapping[str, Any]) -> tuple[Source, ...]:
    inline = [
        Source(id=f"{name}/{one['PolicyName']}", type="inline", document=one["PolicyDocument"])
        for one in role.get("Policies", [])
    ]
    attached = [
        Source(id=arn, type="managed", document=aws_managed_document(arn)) for arn in role.get("ManagedPolicyArns", [])
    ]
    return (*inline, *attached)


_NOT_SAID = {"kms", "sts"}
"""Services whose resource policy (a key's, a role's trust) must allow the caller itself, or hand the matter to IAM."""
_WHY_NOT = "because no {} policy allows the {} action"
_GLOBAL = {"iam": "us-east-1", "organizations": "us-east-1"}
"""Services without regions: their requests count as made in this one."""
_OWNER = 4
"""The place of the account in an ARN."""


class Authorization:
    """The policies of every stack's roles, queues, topics, keys, secrets and event buses.

    Args:
        stack: The hub's stack as the template describes it; more are added.
        names: An account -> what turns an operation's parameters into ARNs there.
        now: The time, for `aws:CurrentTime`.
        organization: An account -> the organization it belongs to, or None.
        scps: An account -> the service control policies that what is done there is held to.
    """

    def __init__(
        self,
        stack: Stack,
        names: Callable[[str], Names],
        now: Callable[[], datetime],
        organization: Callable[[str], str | None],
        scps: Callable[[str], Sequence[Source]],
    ) -> None:
        self._stack = stack
        self._names = names
        self._now = now
        self._organization = organization
        self._scps = scps
        self._roles: Policies = {}
        self._resources: Policies = {}
        self._keys = {
            stack.attribute(name, "TopicArn"): topic["KmsMasterKeyId"]
            for name, topic in stack.of_type("AWS::SNS::Topic").items()
            if "KmsMasterKeyId" in topic
        }
        self._functions = {
            name: properties["Role"] for name, properties in stack.of_type("AWS::Lambda::Function").items()
        }
        self.refusals: list[str] = []
        self.add(stack)

    def add(self, stack: Stack) -> None:
        """Let the policies of another stack count as well.

        Raises:
            TemplateError: It makes a role that is already there: IAM knows no regions.
        """
        roles = identity_policies(stack)
        for arn in sorted(roles.keys() & self._roles.keys()):
            raise TemplateError(f"{stack.place.stack_name}: {arn} already exists")
        self._roles |= roles
        self._resources |= resource_policies(stack)

    def check(self, call: Call) -> None:
        """Let a function's call pass, or refuse it; the sandbox's own calls pass.

        Raises:
            ApiError: AccessDenied, as the service words it.
        """
        if call.caller is None:
            return
        context = {"aws:requestedregion": (_GLOBAL.get(call.service, call.region),)}
        if call.role is None:
            context["lambda:sourcefunctionarn"] = (self._stack.arn(call.caller),)
        needed = required(call, self._names(call.account))
        if call.name == "sns:Publish":
            needed += self._to_encrypt(needed[0].resource, call)
        for requirement in needed:
            why = self._why_not(self._role(call), requirement, context, call.role)
            if why is not None:
                raise self._refusal(call, requirement, why)

    def _role(self, call: Call) -> str:
        return self._functions[call.caller or ""] if call.role is None else call.role.role

    def _to_encrypt(self, topic: str, call: Call) -> list[Requirement]:
        """What publishing to a topic under a key of one's own needs beside the topic."""
        key = self._keys.get(topic)
        if key is None or key.startswith("alias/aws/"):
            return []
        arn = key if key.startswith("arn:") else self._names(call.account).arn("kms", call.region, f"key/{key}")
        return [Requirement("kms:GenerateDataKey", arn), Requirement("kms:Decrypt", arn)]

    def _refusal(self, call: Call, requirement: Requirement, why: str) -> ApiError:
        role, name = self._role(call), call.caller if call.role is None else call.role.name
        _, partition, _, _, account, path = role.split(":")
        session = f"arn:{partition}:sts::{account}:assumed-role/{path.rpartition('/')[2]}/{name}"
        message = (
            f"User: {session} is not authorized to perform: {requirement.action} on resource: {requirement.resource} "
            f"{why}"
        )
        self.refusals.append(f"{call.caller}: {message}")
        code = "AccessDenied" if call.service in {"iam", "sts"} else "AccessDeniedException"
        return ApiError({"sns": "AuthorizationError"}.get(call.service, code), message, 403)

    def allows(self, role: str, requirement: Requirement, context: Values | None = None) -> bool:
        """Whether a role of a stack may do something, by its own policies and the resource's."""
        return self._why_not(role, requirement, context or {}, None) is None

    def _why_not(self, role: str, requirement: Requirement, context: Values, session: AssumedRole | None) -> str | None:
        """Why a role may not do something, as AWS words it; None where it may."""
        account, owner = _accounts(role, requirement)
        requested = {"aws:requestedregion": (_region(requirement) or self._stack.place.region,)}
        known = self._known(role, owner, {**requested, **context, **requirement.context})
        sources = self._resources.get(requirement.resource, ())
        ask = _ask(requirement, known, ())
        identity = evaluate(self._roles.get(role, ()), ask)
        resource = evaluate(sources, _ask(requirement, known, (role, f"{role.partition(':role/')[0]}:root")))
        denied = {
            "a service control policy": evaluate(self._scps(account), ask),
            "an identity-based policy": identity,
            "a resource-based policy": resource,
        }
        for layer, answer in denied.items():
            if answer.decision is Decision.EXPLICIT_DENY:
                return f"with an explicit deny in {layer}"
        if session is not None and session.policy is not None:
            limit = Source(id="session", type="session", document=session.policy)
            if not evaluate((limit,), ask).allowed:
                return _WHY_NOT.format("session", requirement.action)
        service = requirement.action.partition(":")[0]
        if account != owner or service in _NOT_SAID:
            # Another account's, or a key or role: its own policy must agree, and alone it will do at home.
            alone = account == owner and evaluate(_naming(role, sources), _ask(requirement, known, (role,))).allowed
            allowed = alone or (identity.allowed and resource.allowed)
        else:
            allowed = identity.allowed or resource.allowed
        if allowed:
            return None
        theirs = "role trust" if service == "sts" else "resource-based"
        return _WHY_NOT.format(theirs if identity.allowed else "identity-based", requirement.action)

    def _known(self, role: str, owner: str, context: Values) -> dict[str, tuple[str, ...]]:
        """The condition keys that AWS fills in when a role calls; `owner` is the resource's account."""
        account = role.split(":")[4]
        return {
            "aws:principalarn": (role,),
            "aws:principalaccount": (account,),
            "aws:principaltype": ("AssumedRole",),
            "aws:principalisawsservice": ("false",),
            "aws:viaawsservice": ("false",),
            "aws:resourceaccount": (owner,),
            **_told("aws:principalorgid", self._organization(account)),
            **_told("aws:resourceorgid", self._organization(owner)),
            **self._always(),
            **context,
        }

    def service_may(self, service: str, requirement: Requirement, source_arn: str) -> bool:
        """Whether a resource's policy lets an AWS service in, on behalf of the resource `source_arn`."""
        account = source_arn.split(":")[4]
        known: dict[str, tuple[str, ...]] = {
            "aws:sourcearn": (source_arn,),
            "aws:sourceaccount": (account,),
            **_told("aws:sourceorgid", self._organization(account)),
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


def _accounts(role: str, requirement: Requirement) -> tuple[str, str]:
    """The role's account, and the resource's: where its ARN names none, it counts as the role's own."""
    account = role.split(":")[4]
    parts = requirement.resource.split(":")
    owner = parts[4] if len(parts) > _OWNER else ""
    return account, owner if owner.isdigit() else account


def _region(requirement: Requirement) -> str:
    """The region of the resource; empty where its ARN has none."""
    parts = requirement.resource.split(":")
    return parts[_OWNER - 1] if len(parts) > _OWNER else ""


def _told(key: str, value: str | None) -> dict[str, tuple[str, ...]]:
    return {} if value is None else {key: (value,)}


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
