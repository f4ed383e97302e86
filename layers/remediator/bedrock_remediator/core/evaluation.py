"""What a principal's own policies and its permissions boundary say of a request.

Not everything about a request is known (a guardrail, the network it came through), so there are four answers, and the
fourth is the point: `CONDITIONAL`, where a condition stands between the request and an Allow. Adding an Allow without
that condition would defeat a control that someone put there on purpose (docs/aws-facts.md §2).

What cannot be read (an operator that does not exist, an element IAM does not have) makes a statement uncertain: an
Allow that may apply, a Deny that may apply, never one that surely does.
"""

import enum
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from msgspec import Struct

from bedrock_remediator.core import conditions
from bedrock_remediator.core.conditions import Fit
from bedrock_remediator.core.patterns import Context, matches, resembles
from bedrock_remediator.core.truth import Truth, disjunction, negation

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
    """

    verdict: Verdict
    policy: Policy | None = None
    statement: Mapping[str, Any] | None = None
    boundary: bool = False


_Evidence = tuple[Policy, Mapping[str, Any] | None]


class _Survey(Struct):
    """The first statement found of each kind in one layer of policies."""

    denies: _Evidence | None = None
    may_deny: _Evidence | None = None
    allows: _Evidence | None = None
    may_allow: _Evidence | None = None


def evaluate(holdings: Holdings, request: Request) -> Finding:
    """Decide a request by the policies of its principal, and say which statement decided.

    The verdict does not depend on the order of policies or statements. Knowing more of the context never changes
    ALLOWED or DENIED, and changes NOT_ALLOWED to nothing but DENIED.
    """
    own = _survey(holdings.policies, request)
    if own.denies:
        return Finding(Verdict.DENIED, *own.denies)
    if not holdings.boundary:
        return _within(own, None)
    limit = _survey((holdings.boundary,), request)
    if limit.denies:
        return Finding(Verdict.DENIED, *limit.denies, boundary=True)
    if not limit.allows and not limit.may_allow:
        return Finding(Verdict.NOT_ALLOWED, holdings.boundary, boundary=True)
    return _within(own, limit)


def _within(own: _Survey, limit: _Survey | None) -> Finding:
    """Decide where nothing surely denies, and a boundary, if there is one, may allow."""
    if not own.allows:
        return Finding(Verdict.CONDITIONAL, *own.may_allow) if own.may_allow else Finding(Verdict.NOT_ALLOWED)
    if own.may_deny:
        return Finding(Verdict.CONDITIONAL, *own.may_deny)
    doubt = limit and (limit.may_deny or (None if limit.allows else limit.may_allow))
    return Finding(Verdict.CONDITIONAL, *doubt, boundary=True) if doubt else Finding(Verdict.ALLOWED, *own.allows)


def _survey(policies: Iterable[Policy], request: Request) -> _Survey:
    survey = _Survey()
    for policy in policies:
        with_variables = policy.document.get("Version") == _VERSION_WITH_VARIABLES
        for statement in _statements(policy.document):
            _note(survey, policy, statement, request, request.context if with_variables else None)
    return survey


def _statements(document: Mapping[str, Any]) -> Iterable[Any]:
    """The statements; a document that has none to read is one that cannot be read."""
    found = document.get("Statement")
    return found if isinstance(found, list) else (found,)


def _note(survey: _Survey, policy: Policy, statement: Any, request: Request, variables: Context | None) -> None:
    """Put down what one statement means for the request."""
    readable = isinstance(statement, Mapping)
    fit = _fit(statement, request, variables) if readable else Fit.UNKNOWN
    effect = statement.get("Effect") if readable else None
    evidence = (policy, statement if readable else None)
    if fit is Fit.ELSEWHERE:
        return
    if effect == "Deny" and fit is Fit.MET:
        survey.denies = survey.denies or evidence
    elif effect == "Allow" and fit is Fit.MET:
        survey.allows = survey.allows or evidence
    else:
        if effect != "Allow" and fit is not Fit.UNMET:
            survey.may_deny = survey.may_deny or evidence
        if effect != "Deny":
            survey.may_allow = survey.may_allow or evidence


def _fit(statement: Mapping[str, Any], request: Request, variables: Context | None) -> Fit:
    action = _covers(statement, "Action", lambda text, _: _action_matches(text, request.action))
    if action is False:
        return Fit.ELSEWHERE
    resource = _covers(
        statement,
        "Resource",
        lambda text, negated: resembles(text, request.resource, variables, negated=negated),
    )
    if resource is False:
        return Fit.ELSEWHERE
    fit = conditions.fit(statement.get("Condition", {}), request.context, variables)
    if action and resource and statement.keys() <= _ELEMENTS:
        return fit
    return Fit.UNKNOWN if fit in (Fit.MET, Fit.UNKNOWN) else Fit.UNMET


def _covers(statement: Mapping[str, Any], element: str, test: Callable[[str, bool], Truth]) -> Truth:
    """Whether `element`, or its opposite (`Not…`), takes in the request; unknown if it is not one non-empty list."""
    negated = f"Not{element}" in statement
    if negated == (element in statement):
        return None
    found = statement[f"Not{element}" if negated else element]
    texts = found if isinstance(found, list) else [found]
    if not texts:
        return None
    listed = disjunction(test(text, negated) if isinstance(text, str) else None for text in texts)
    return negation(listed) if negated else listed


def _action_matches(pattern: str, action: str) -> Truth:
    """Whether an action's pattern matches; upper and lower case are the same."""
    if ":" not in pattern and pattern != "*":
        return None
    return matches(pattern.lower(), action.lower())
