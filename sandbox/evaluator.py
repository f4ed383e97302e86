"""What a set of policies says of a request, as IAM's documentation has it.

This is the sandbox's own reading, on purpose: it shares nothing with the service's evaluator, so that one mistake
cannot hide in both. Where AWS's pages can be read in two ways, it takes the stricter: an Allow does not apply, a Deny
does (docs/aws-facts.md §4.6b).
"""

import enum
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from msgspec import Struct

from sandbox.conditions import examine
from sandbox.patterns import Text, UnresolvedVariableError, Values, arn_like, like, resolve, resource_like


class Decision(enum.StrEnum):
    """IAM's own three words."""

    ALLOWED = "allowed"
    EXPLICIT_DENY = "explicitDeny"
    IMPLICIT_DENY = "implicitDeny"


class Source(Struct, frozen=True, kw_only=True):
    """A policy document and the name that a simulation gives it (`SourcePolicyId`)."""

    id: str
    type: str
    document: Mapping[str, Any]

    @classmethod
    def read(cls, policy_id: str, policy_type: str, text: str | Mapping[str, Any]) -> "Source":
        """A policy from its JSON text, or from the parsed document."""
        return cls(id=policy_id, type=policy_type, document=json.loads(text) if isinstance(text, str) else text)


class Ask(Struct, frozen=True, kw_only=True):
    """One request: an IAM action on one resource; the context's keys are in lower case.

    `principal` is what a resource policy's Principal is matched with: ARNs, or a service's name.
    """

    action: str
    resource: str
    context: Values
    principal: tuple[str, ...] = ()


class Matched(Struct, frozen=True):
    """A statement that decided: its policy, and its index there."""

    source: Source
    index: int


class Answer(Struct, frozen=True):
    """What the policies say: the statements that decided, and the context keys that they lacked (lower case)."""

    decision: Decision
    matched: tuple[Matched, ...] = ()
    missing: frozenset[str] = frozenset()

    @property
    def allowed(self) -> bool:
        """Whether the request is allowed."""
        return self.decision is Decision.ALLOWED


def listed(value: Any) -> list[Any]:
    """A policy's element as a list: IAM lets one item stand for a list of one."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def statements(document: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The document's statements."""
    return listed(document.get("Statement"))


def evaluate(sources: Iterable[Source], ask: Ask) -> Answer:
    """Decide a request by policies of one kind: a Deny that applies, else an Allow that applies, else neither."""
    allows: list[Matched] = []
    denies: list[Matched] = []
    missing: set[str] = set()
    for source in sources:
        variables = source.document.get("Version") == "2012-10-17"
        for index, statement in enumerate(statements(source.document)):
            if not _concerns(statement, ask, variables=variables):
                continue
            doubt = statement["Effect"] == "Deny"
            condition = examine(statement.get("Condition", {}), ask.context, variables=variables, doubt=doubt)
            missing |= condition.missing
            if condition.met:
                (denies if statement["Effect"] == "Deny" else allows).append(Matched(source, index))
    if denies:
        return Answer(Decision.EXPLICIT_DENY, tuple(denies), frozenset(missing))
    if allows:
        return Answer(Decision.ALLOWED, tuple(allows), frozenset(missing))
    return Answer(Decision.IMPLICIT_DENY, (), frozenset(missing))


def _concerns(statement: Mapping[str, Any], ask: Ask, *, variables: bool) -> bool:
    return (
        _names_action(statement, ask.action)
        and _names_resource(statement, ask, variables=variables)
        and _names_principal(statement, ask.principal)
    )


def _names_action(statement: Mapping[str, Any], action: str) -> bool:
    def any_of(patterns: Sequence[str]) -> bool:
        return any(like(resolve(pattern.lower(), {}, variables=False))(action.lower()) for pattern in patterns)

    if "NotAction" in statement:
        return not any_of(listed(statement["NotAction"]))
    return any_of(listed(statement.get("Action")))


def _names_resource(statement: Mapping[str, Any], ask: Ask, *, variables: bool) -> bool:
    doubt = statement["Effect"] == "Deny"
    if "NotResource" in statement:
        # To be listed here is to be left out: a doubt counts the other way round, and so does a text that AWS may
        # take to make the whole statement void.
        return not any(
            _matches_resource(pattern, ask, variables=variables, doubt=not doubt, void=not doubt)
            for pattern in listed(statement["NotResource"])
        )
    return any(
        _matches_resource(pattern, ask, variables=variables, doubt=doubt, void=False)
        for pattern in listed(statement.get("Resource", "*"))
    )


def _matches_resource(pattern: str, ask: Ask, *, variables: bool, doubt: bool, void: bool) -> bool:
    """Whether a resource matches; `void` is the answer where a variable of the pattern stands for nothing."""
    try:
        return resource_like(pattern, ask.context, variables=variables, doubt=doubt)(ask.resource)
    except UnresolvedVariableError:
        return void


def _names_principal(statement: Mapping[str, Any], principal: Sequence[str]) -> bool:
    if "NotPrincipal" in statement:
        return not _is_principal(statement["NotPrincipal"], principal)
    return "Principal" not in statement or _is_principal(statement["Principal"], principal)


def _is_principal(element: Any, principal: Sequence[str]) -> bool:
    if element == "*":
        return True
    names = [name for names in element.values() for name in listed(names)]
    return any(name == "*" or name in principal or _same_account(name, principal) for name in names)


def _same_account(name: str, principal: Sequence[str]) -> bool:
    """An account (`123456789012`, or its root) stands for every principal of the account."""
    account = name.split(":")[4] if name.startswith("arn:") and name.endswith(":root") else name
    whole = Text((("arn:", False), ("*", True), (f":iam::{account}:", False), ("*", True)))
    return account.isdigit() and any(arn_like(whole)(arn) for arn in principal)
