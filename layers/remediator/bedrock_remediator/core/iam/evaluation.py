"""What a principal's own policies and its permissions boundary say of a request.

Not everything about a request is known (a guardrail, the network it came through), so there are four answers, and the
fourth is the point: `CONDITIONAL`, where a condition stands between the request and an Allow. Adding an Allow without
that condition would defeat a control that someone put there on purpose (docs/aws-facts.md §2).

What cannot be read (an operator that does not exist, an element IAM does not have) makes a statement uncertain: an
Allow that may apply, a Deny that may apply, never one that surely does.
"""

import enum
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from msgspec import Struct

from bedrock_remediator.core.iam import conditions
from bedrock_remediator.core.iam.conditions import Fit
from bedrock_remediator.core.iam.patterns import Context, Truth, matcher, negation, resource, resource_with_variables
from bedrock_remediator.core.policy_grammar import NotOursError, read

# Policy variables came with this version; in an older one, or without one, they are plain text.
_VERSION_WITH_VARIABLES: Final = "2012-10-17"
_ELEMENTS: Final = frozenset({"Sid", "Effect", "Action", "NotAction", "Resource", "NotResource", "Condition"})


class PolicyKind(enum.StrEnum):
    """How a principal comes to hold a policy. `GROUP`: through a group, whether inline or attached there."""

    INLINE = "inline"
    MANAGED = "managed"
    AWS_MANAGED = "aws_managed"
    GROUP = "group"


class Policy(Struct, frozen=True, kw_only=True):
    """A policy as IAM returned it; `document` is the decoded JSON."""

    name: str
    kind: PolicyKind
    document: Mapping[str, Any]
    arn: str | None = None


class Holdings(Struct, frozen=True, kw_only=True):
    """All that IAM holds for a principal: identity and group policies, and the permissions boundary if there is one."""

    policies: tuple[Policy, ...]
    boundary: Policy | None = None


class Verdict(enum.StrEnum):
    """What the policies say."""

    ALLOWED = "allowed"
    DENIED = "denied"
    """An explicit Deny certainly applies."""
    CONDITIONAL = "conditional"
    """Allowed or not, depending on a condition that is not known to be met."""
    NOT_ALLOWED = "not_allowed"


class Request(Struct, frozen=True):
    """What is asked for.

    `action` is an IAM action, `resource` an ARN. `context` maps lower-case condition keys to their values: () for a
    key that is known to be absent; a key that is not in the mapping is not known. Binary values are base64 text.
    """

    action: str
    resource: str
    context: Context


class Finding(Struct, frozen=True):
    """The verdict and the statement that decided it.

    `statement` is the Deny, the conditional Allow or Deny, or the Allow, as the policy has it; None where the verdict
    is that nothing allows the request, or where the statement cannot be read. `boundary` is True when the permissions
    boundary is what stops the request, so that no grant could help; `policy` is then the boundary.

    `unmet` says of a conditional Allow that its condition is known not to be met; `keys` are the condition keys, as
    the policy spells them, that stand between the request and the statement. `may_deny` is of a request that nothing
    allows: the Deny that may apply to it once something does, as a conditional finding.
    """

    verdict: Verdict
    policy: Policy | None = None
    statement: Mapping[str, Any] | None = None
    boundary: bool = False
    unmet: bool = False
    keys: tuple[str, ...] = ()
    may_deny: "Finding | None" = None

    @property
    def final(self) -> bool:
        """Whether no further Allow could help: something denies, or the boundary does not allow."""
        return self.verdict is Verdict.DENIED or (self.boundary and self.verdict is Verdict.NOT_ALLOWED)


_Evidence = tuple[Policy, Mapping[str, Any] | None]
_Pattern = Callable[[str], Truth]


class _Survey(Struct):
    """The first statement found of each kind in one layer of policies.

    `may_allow` may apply; `unmet` surely does not, because of a demand on the call.
    """

    denies: "_Statement | None" = None
    may_deny: "_Statement | None" = None
    allows: "_Statement | None" = None
    may_allow: "_Statement | None" = None
    unmet: "_Statement | None" = None


class Evaluator:
    """Decides requests by the policies of one principal, each statement read once however many requests there are."""

    def __init__(self, holdings: Holdings) -> None:
        self._boundary = holdings.boundary
        self._own = _Layer(holdings.policies)
        self._limit = _Layer((holdings.boundary,)) if holdings.boundary else None

    def evaluate(self, request: Request) -> Finding:
        """Decide a request, and say which statement decided.

        The verdict does not depend on the order of policies or statements. Knowing more of the context never changes
        ALLOWED or DENIED, and changes NOT_ALLOWED to nothing but DENIED.
        """
        own = self._own.survey(request)
        if own.denies:
            return Finding(Verdict.DENIED, *own.denies.evidence)
        if not self._limit:
            return _within(request, own, _Survey(), limited=False)
        limit = self._limit.survey(request)
        if limit.denies:
            return Finding(Verdict.DENIED, *limit.denies.evidence, boundary=True)
        if not limit.allows and not limit.may_allow:
            statement = limit.unmet.evidence[1] if limit.unmet else None
            return Finding(Verdict.NOT_ALLOWED, self._boundary, statement, boundary=True)
        return _within(request, own, limit, limited=True)


def evaluate(holdings: Holdings, request: Request) -> Finding:
    """Decide one request: see `Evaluator.evaluate`."""
    return Evaluator(holdings).evaluate(request)


def _within(request: Request, own: _Survey, limit: _Survey, *, limited: bool) -> Finding:
    """Decide where nothing surely denies, and a boundary, if there is one (`limited`), may allow."""
    may_deny: Finding | None = None
    if own.may_deny:
        may_deny = own.may_deny.conditional(request)
    elif limit.may_deny:
        may_deny = limit.may_deny.conditional(request, boundary=True)
    if own.allows:
        if may_deny:
            return may_deny
        if limited and not limit.allows and limit.may_allow:
            return limit.may_allow.conditional(request, boundary=True)
        return Finding(Verdict.ALLOWED, *own.allows.evidence)
    if own.may_allow:
        return own.may_allow.conditional(request)
    if own.unmet:
        return own.unmet.conditional(request, unmet=True)
    return Finding(Verdict.NOT_ALLOWED, may_deny=may_deny)


class _Element(Struct, frozen=True):
    """`Action` or `Resource` of a statement, or its opposite (`Not...`), made ready.

    `patterns` are those without a policy variable; `others` templates with one, or None for what cannot be read.
    """

    negated: bool
    patterns: Sequence[_Pattern]
    others: Sequence[str | None] = ()

    def covers(self, text: str, variables: Context | None) -> Truth:
        """Whether it takes the text in."""
        listed: Truth = False
        for matches in self.patterns:
            found = matches(text)
            if found:
                return not self.negated
            if found is None:
                listed = None
        for template in self.others:
            found = None if template is None else self._templated(template, text, variables)
            if found:
                return not self.negated
            if found is None:
                listed = None
        return negation(listed) if self.negated else listed

    def _templated(self, template: str, text: str, variables: Context | None) -> Truth:
        return resource_with_variables(template, text, variables, negated=self.negated)


_UNREADABLE: Final = _Element(negated=False, patterns=(), others=(None,))


class _Statement(Struct, frozen=True):
    """A statement made ready.

    `evidence` names it, `strange` says that it has an element IAM does not know, `ours` that this service wrote it.
    """

    evidence: _Evidence
    effect: object
    actions: _Element
    resources: _Element
    condition: object
    variables: bool
    strange: bool
    ours: bool = False

    def takes_in(self, request: Request) -> Truth:
        """Whether it is about the request's resource."""
        return self.resources.covers(request.resource, request.context if self.variables else None)

    def fit(self, request: Request, *, surely: bool) -> Fit:
        """How it fits a request whose action and resource it takes in, or may take in."""
        variables = request.context if self.variables else None
        fit = conditions.fit(self.condition, request.context, variables, ours=self.ours)
        if surely and not self.strange:
            return fit
        return Fit.UNKNOWN if fit in (Fit.MET, Fit.UNKNOWN) else Fit.UNMET

    def conditional(self, request: Request, *, boundary: bool = False, unmet: bool = False) -> Finding:
        """The finding that the request depends on it."""
        variables = request.context if self.variables else None
        keys = conditions.keys_in_the_way(self.condition, request.context, variables)
        return Finding(Verdict.CONDITIONAL, *self.evidence, boundary=boundary, unmet=unmet, keys=keys)


class _Layer:
    """The statements of some policies, and which of them are about an action, for each that has been asked of."""

    def __init__(self, policies: Iterable[Policy]) -> None:
        self._statements = [statement for policy in policies for statement in _read(policy)]
        self._about: dict[str, list[tuple[_Statement, Truth]]] = {}

    def survey(self, request: Request) -> _Survey:
        """What its statements mean for the request."""
        survey = _Survey()
        for statement, about in self._of(request.action.lower()):
            resource = statement.takes_in(request)
            if resource is not False:
                _note(survey, statement, statement.fit(request, surely=bool(about and resource)))
        return survey

    def _of(self, action: str) -> list[tuple[_Statement, Truth]]:
        found = self._about.get(action)
        if found is None:
            every = ((statement, statement.actions.covers(action, None)) for statement in self._statements)
            found = self._about[action] = [(statement, about) for statement, about in every if about is not False]
        return found


def _note(survey: _Survey, statement: _Statement, fit: Fit) -> None:
    """Put down what one statement means for the request."""
    effect = statement.effect
    if fit is Fit.MET and effect == "Deny":
        survey.denies = survey.denies or statement
    elif fit is Fit.MET and effect == "Allow":
        survey.allows = survey.allows or statement
    elif fit in (Fit.MET, Fit.UNKNOWN):
        # An effect that cannot be read may be either.
        if effect != "Allow":
            survey.may_deny = survey.may_deny or statement
        if effect != "Deny":
            survey.may_allow = survey.may_allow or statement
    elif fit is Fit.UNMET and effect != "Deny":
        survey.unmet = survey.unmet or statement


def _read(policy: Policy) -> Iterator[_Statement]:
    """The statements of a policy; one that cannot be read may mean anything."""
    variables = policy.document.get("Version") == _VERSION_WITH_VARIABLES
    found = policy.document.get("Statement")
    for statement in found if isinstance(found, list) else (found,):
        if not isinstance(statement, Mapping):
            yield _Statement((policy, None), None, _UNREADABLE, _UNREADABLE, {}, variables, strange=True)
            continue
        yield _Statement(
            (policy, statement),
            statement.get("Effect"),
            _element(statement, "Action", _action),
            _element(statement, "Resource", _resource),
            statement.get("Condition", {}),
            variables,
            not statement.keys() <= _ELEMENTS,
            _ours(statement),
        )


def _ours(statement: Mapping[str, Any]) -> bool:
    """Whether this service wrote the statement: then its end, if it has one, is that of a grant."""
    if "Until" not in str(statement.get("Sid")):
        return False
    try:
        return bool(read({"Version": _VERSION_WITH_VARIABLES, "Statement": [statement]}, None))
    except NotOursError:
        return False


def _element(statement: Mapping[str, Any], name: str, ready: Callable[[str], _Pattern | str | None]) -> _Element:
    """The element of that name or its opposite; there must be exactly one of them, and not empty."""
    negated = f"Not{name}" in statement
    if negated == (name in statement):
        return _UNREADABLE
    found = statement[f"Not{name}" if negated else name]
    texts = found if isinstance(found, list) else [found]
    if not texts:
        return _UNREADABLE
    patterns: list[_Pattern] = []
    others: list[str | None] = []
    for text in texts:
        pattern = ready(text) if isinstance(text, str) else None
        if pattern is None or isinstance(pattern, str):
            others.append(pattern)
        else:
            patterns.append(pattern)
    return _Element(negated, patterns, others)


def _action(pattern: str) -> _Pattern | None:
    """An action's pattern, for actions in lower case."""
    return matcher(pattern.lower()) if ":" in pattern or pattern == "*" else None


def _resource(pattern: str) -> _Pattern | str:
    return pattern if "${" in pattern else resource(pattern)
