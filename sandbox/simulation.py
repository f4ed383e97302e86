"""IAM's policy simulator: SimulatePrincipalPolicy and SimulateCustomPolicy, with boundaries and SCPs.

As docs/aws-facts.md §4.5 has it: service control policies count with their conditions; a key that was not given, with
the type that it has, counts as absent, and nothing is filled in; of the keys that were lacking only those of the
principal's policies are reported, whatever statement they stand in. One result an action: a single resource's by its
own name, several under `ResourceSpecificResults`, which do not say what the organization allows.

Where AWS's documents can be read in two ways, the world file says which one is played (`simulator`).
"""

import ipaddress
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from msgspec import Struct

from sandbox.calls import ApiError, Call
from sandbox.conditions import examine
from sandbox.evaluator import Answer, Ask, Decision, Source, evaluate, statements
from sandbox.patterns import Values
from sandbox.population import Directory, Entity, default_document
from sandbox.world import Document, Reading

PAGE_LENGTH: Final = 100
_ANY_RESOURCE: Final = "arn:aws:${Service}:${Region}:${Account}:${ResourceType}/${ResourceId}"


class Layers(Struct, frozen=True, kw_only=True):
    """The policies that one simulation weighs."""

    identity: tuple[Source, ...]
    boundary: tuple[Source, ...] | None
    organization: tuple[Source, ...]


class Held(Struct, frozen=True):
    """A principal's policies before and after the change that was noticed last, and when it was noticed."""

    before: tuple[Source, ...]
    after: tuple[Source, ...]
    since: datetime


class Simulator:
    """Answers simulations for the account's principals.

    Args:
        directory: The account's IAM.
        scps: The organization's service control policies, beside an implied FullAWSAccess.
        reading: Which reading of AWS's documents it plays.
        now: The time.
        settle_seconds: How long it takes until a change of a principal's policies is seen here.
    """

    def __init__(
        self,
        directory: Directory,
        scps: Sequence[Document],
        reading: Reading,
        now: Callable[[], datetime],
        settle_seconds: float = 0,
    ) -> None:
        self._directory = directory
        self._reading = reading
        self._now = now
        self._settle_seconds = settle_seconds
        self._held: dict[str, Held] = {}
        self.answers: Mapping[str, Callable[[Call], Mapping[str, Any]]] = {
            "SimulatePrincipalPolicy": self.simulate_principal,
            "SimulateCustomPolicy": self.simulate_custom,
        }
        self._scps = tuple(
            Source(id=f"scp-{index}", type="Service Control Policy", document=document)
            for index, document in enumerate(scps, start=1)
            if reading.conditional_scps or not any("Condition" in statement for statement in statements(document))
        )

    def simulate_principal(self, call: Call) -> Mapping[str, Any]:
        """SimulatePrincipalPolicy.

        Raises:
            ApiError: NoSuchEntity, or InvalidInput for a document that is none.
        """
        arn = call.parameters["PolicySourceArn"]
        entity = self._directory.entity(arn)
        if entity is None:
            raise ApiError("NoSuchEntity", f"The entity {arn} cannot be found.", 404)
        extra = _given(call.parameters, "PolicyInputList")
        held = self._settled(entity)
        layers = self._layers(call.parameters, (*held, *extra), self._boundary_of(entity))
        return self._answer(call.parameters, layers)

    def simulate_custom(self, call: Call) -> Mapping[str, Any]:
        """SimulateCustomPolicy: only the documents given, and the organization's.

        Raises:
            ApiError: InvalidInput for a document that is none.
        """
        layers = self._layers(call.parameters, _given(call.parameters, "PolicyInputList"), None)
        return self._answer(call.parameters, layers)

    def _settled(self, entity: Entity) -> tuple[Source, ...]:
        """The principal's policies as they are seen by now: a change shows some time after it was first looked for."""
        policies, now = self._identity_policies(entity), self._now()
        known = self._held.setdefault(entity.arn, Held(policies, policies, now))
        if policies != known.after:
            known = self._held[entity.arn] = Held(known.after, policies, now)
        settled = (now - known.since).total_seconds() >= self._settle_seconds
        return known.after if settled else known.before

    def _identity_policies(self, entity: Entity) -> tuple[Source, ...]:
        kind = "user" if entity.arn.split(":")[5].startswith("user/") else "role"
        sources = [Source.read(f"{kind}_{entity.name}_{name}", "IAM Policy", text) for name, text in _inline(entity)]
        holders = [entity, *self._directory.groups_of(entity)]
        for group in holders[1:]:
            sources += [Source.read(f"group_{group.name}_{name}", "IAM Policy", text) for name, text in _inline(group)]
        for holder in holders:
            sources += [
                Source(id=policy.name, type="IAM Policy", document=default_document(policy))
                for policy in holder.managed_policies.values()
            ]
        return tuple(sources)

    def _boundary_of(self, entity: Entity) -> tuple[Source, ...] | None:
        boundary = self._directory.boundary(entity)
        if boundary is None:
            return None
        return (Source(id=boundary.name, type="IAM Policy", document=default_document(boundary)),)

    def _layers(
        self, parameters: Mapping[str, Any], identity: tuple[Source, ...], boundary: tuple[Source, ...] | None
    ) -> Layers:
        given = _given(parameters, "PermissionsBoundaryPolicyInputList")
        return Layers(identity=identity, boundary=given or boundary, organization=self._scps)

    def _answer(self, parameters: Mapping[str, Any], layers: Layers) -> Mapping[str, Any]:
        context = _entries(parameters)
        lacking = _lacking(layers.identity, context)
        if self._reading.reports_boundary_keys:
            lacking |= _lacking(layers.boundary or (), context)
        missing = tuple(sorted(lacking))
        resources = parameters.get("ResourceArns") or ["*"]
        results = [_result(action, resources, layers, context, missing) for action in parameters["ActionNames"]]
        start = int(parameters.get("Marker") or 0)
        end = start + min(int(parameters.get("MaxItems", PAGE_LENGTH)), PAGE_LENGTH)
        page: dict[str, Any] = {"EvaluationResults": results[start:end], "IsTruncated": end < len(results)}
        return page | ({"Marker": str(end)} if end < len(results) else {})


class Weighed(Struct, frozen=True, kw_only=True):
    """One action on one resource: the decision, and what each layer had to say."""

    resource: str
    decision: Decision
    by_organizations: bool
    by_boundary: bool | None
    matched: tuple[Mapping[str, Any], ...]


def _weigh(action: str, resource: str, layers: Layers, context: Values) -> Weighed:
    ask = Ask(action=action, resource=resource, context=context)
    identity = evaluate(layers.identity, ask)
    boundary = evaluate(layers.boundary, ask) if layers.boundary is not None else None
    organization = evaluate(layers.organization, ask)
    answers = [answer for answer in (identity, boundary, organization) if answer is not None]
    by_organizations = organization.decision is not Decision.EXPLICIT_DENY
    if any(answer.decision is Decision.EXPLICIT_DENY for answer in answers):
        decision = Decision.EXPLICIT_DENY
    elif identity.allowed and (boundary is None or boundary.allowed):
        decision = Decision.ALLOWED
    else:
        decision = Decision.IMPLICIT_DENY
    deciding = [answer for answer in (identity, boundary) if answer is not None and answer.matched]
    return Weighed(
        resource=resource,
        decision=decision,
        by_organizations=by_organizations,
        by_boundary=None if boundary is None else boundary.allowed,
        matched=tuple(_statements(deciding, decision)),
    )


def _lacking(sources: Sequence[Source], context: Values) -> set[str]:
    """The keys of any statement's conditions that the request does not have, whatever the statement is about."""
    return {
        key
        for source in sources
        for statement in statements(source.document)
        for key in examine(
            statement.get("Condition", {}), context, variables=source.document.get("Version") == "2012-10-17"
        ).missing
    }


def _statements(answers: Sequence[Answer], decision: Decision) -> list[Mapping[str, Any]]:
    """The statements of the answer that decided: for a denial by a statement, that one alone."""
    return [
        {
            "SourcePolicyId": matched.source.id,
            "SourcePolicyType": matched.source.type,
            "StartPosition": {"Line": 1, "Column": matched.index + 1},
            "EndPosition": {"Line": 1, "Column": matched.index + 1},
        }
        for answer in answers
        if answer.decision is decision
        for matched in answer.matched
    ]


def _result(
    action: str, resources: Sequence[str], layers: Layers, context: Values, missing: Sequence[str]
) -> dict[str, Any]:
    weighed = [_weigh(action, resource, layers, context) for resource in resources]
    severity = [Decision.ALLOWED, Decision.IMPLICIT_DENY, Decision.EXPLICIT_DENY]
    worst = max(weighed, key=lambda one: severity.index(one.decision))
    result: dict[str, Any] = {
        "EvalActionName": action,
        "EvalResourceName": resources[0] if len(resources) == 1 else _ANY_RESOURCE,
        "EvalDecision": worst.decision.value,
        "MatchedStatements": list(worst.matched) if len(resources) == 1 else [],
        "MissingContextValues": list(missing) if list(resources) == ["*"] else [],
        "OrganizationsDecisionDetail": {"AllowedByOrganizations": all(one.by_organizations for one in weighed)},
    }
    if layers.boundary is not None:
        result["PermissionsBoundaryDecisionDetail"] = {
            "AllowedByPermissionsBoundary": all(one.by_boundary for one in weighed)
        }
    if list(resources) != ["*"]:
        result["ResourceSpecificResults"] = [_resource_result(one, missing) for one in weighed]
    return result


def _resource_result(one: Weighed, missing: Sequence[str]) -> dict[str, Any]:
    boundary = {"PermissionsBoundaryDecisionDetail": {"AllowedByPermissionsBoundary": one.by_boundary}}
    return {
        "EvalResourceName": one.resource,
        "EvalResourceDecision": one.decision.value,
        "MatchedStatements": list(one.matched),
        "MissingContextValues": list(missing),
    } | (boundary if one.by_boundary is not None else {})


def _given(parameters: Mapping[str, Any], name: str) -> tuple[Source, ...]:
    sources = []
    for index, text in enumerate(parameters.get(name) or (), start=1):
        try:
            sources.append(Source.read(f"{name}.{index}", "IAM Policy", text))
        except json.JSONDecodeError as error:
            raise ApiError("InvalidInput", f"Invalid input: {name} entry {index} is no policy: {error}") from error
    return tuple(sources)


def _inline(holder: Any) -> list[tuple[str, str]]:
    return sorted(holder.policies.items())


def _entries(parameters: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """The keys that were given. One that was given with another type than it has counts as not given.

    Raises:
        ApiError: InvalidInput for a value that is none of its type.
    """
    entries: dict[str, tuple[str, ...]] = {}
    for entry in parameters.get("ContextEntries") or ():
        name, values = entry["ContextKeyName"].lower(), tuple(entry.get("ContextKeyValues", ()))
        given = entry.get("ContextKeyType", "string").removesuffix("List")
        if given != _TYPES.get(name, "string"):
            continue
        for value in values:
            _require_value(name, given, value)
        entries[name] = values
    return entries


_TYPES: Final = {
    "aws:currenttime": "date",
    "aws:epochtime": "numeric",
    "aws:multifactorauthage": "numeric",
    "aws:multifactorauthpresent": "boolean",
    "aws:principalisawsservice": "boolean",
    "aws:securetransport": "boolean",
    "aws:sourceip": "ip",
    "aws:tokenissuetime": "date",
    "aws:viaawsservice": "boolean",
    "aws:vpcsourceip": "ip",
}
"""The ContextKeyType of the global keys that are no text."""

_READ: Final[Mapping[str, Callable[[str], Any]]] = {
    "date": lambda text: datetime.strptime(text, "%Y-%m-%dT%H:%M:%S%z"),
    "numeric": float,
    "ip": ipaddress.ip_address,
    "boolean": {"true": True, "false": False}.__getitem__,
}


def _require_value(name: str, kind: str, value: str) -> None:
    try:
        _READ.get(kind, str)(value)
    except (ValueError, KeyError) as error:
        raise ApiError("InvalidInput", f"Invalid input: {value!r} is no {kind}, for {name}") from error
