"""Whether a statement's conditions are met by a request of which not everything is known."""

import enum
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from msgspec import Struct

from bedrock_remediator.core.operators import is_absent, read_operator
from bedrock_remediator.core.patterns import Context
from bedrock_remediator.core.truth import Truth

PROFILE_KEY: Final = "bedrock:inferenceprofilearn"
REGION_KEY: Final = "aws:requestedregion"
TIME_KEYS: Final = frozenset({"aws:currenttime", "aws:epochtime"})

_ONE_PROFILE: Final = re.compile(r"arn:(?:[^:]*:){4}(?:application-)?inference-profile/[^*?$]+")


class Fit(enum.Enum):
    """How a statement, or its conditions alone, fits a request."""

    MET = enum.auto()
    UNKNOWN = enum.auto()
    """It depends on what is not known, or cannot be read."""
    UNMET = enum.auto()
    """It does not apply, and that may be meant: for a region, a time, or a demand on the call (a guardrail, a tag)."""
    ELSEWHERE = enum.auto()
    """It does not apply because it is about another profile, or because a grant of ours has ended."""


def fit(block: object, context: Context, variables: Context | None, *, ours: bool = False) -> Fit:
    """How a statement's `Condition` fits.

    Args:
        block: `{operator: {key: value or values}}`, as the policy has it.
        context: What is known of the request.
        variables: The same, or None where the policy's version knows no policy variables.
        ours: This service wrote the statement, so that an end that has passed is the end of a grant. Anybody else's
            end is a decision of theirs.
    """
    about: set[Truth] = set()
    limits: set[Truth] = set()
    demands: set[Truth] = set()
    for test in _tests(block, context, variables):
        key = test.key.lower()
        if test.names_profile or (ours and key in TIME_KEYS):
            about.add(test.outcome)
        else:
            (limits if key == REGION_KEY or key in TIME_KEYS else demands).add(test.outcome)
    if False in demands or (False in about and None in demands):
        return Fit.UNMET
    if False in about:
        return Fit.ELSEWHERE
    if False in limits:
        return Fit.UNMET
    return Fit.UNKNOWN if None in about | limits | demands else Fit.MET


def keys_in_the_way(block: object, context: Context, variables: Context | None) -> tuple[str, ...]:
    """The condition keys, as the policy spells them, that are not met; where none surely is not, those not known."""
    tests = list(_tests(block, context, variables))
    unmet = {test.key for test in tests if test.outcome is False}
    return tuple(sorted(unmet or {test.key for test in tests if test.outcome is None and test.key}))


class _Test(Struct, frozen=True):
    """One key of a condition: what comes of it, and whether it only names the profiles that a statement is about."""

    key: str
    outcome: Truth
    names_profile: bool = False


def _tests(block: object, context: Context, variables: Context | None) -> Iterator[_Test]:
    if not isinstance(block, Mapping):
        yield _Test("", None)
        return
    for name, keys in block.items():
        if not isinstance(keys, Mapping) or not keys:
            yield _Test("", None)
            continue
        for key, expected in keys.items():
            outcome = _outcome(name, key.lower(), expected, context, variables)
            yield _Test(key, outcome, key.lower() == PROFILE_KEY and _names_profiles(name, _texts(expected)))


def _names_profiles(operator: str, values: tuple[str, ...]) -> bool:
    """Whether a condition on the profile names profiles one by one, as a grant of those profiles does.

    A pattern (`application-inference-profile/*`), a negation or `Null` says by what kind of profile the models may be
    called: that is a rule for all calls (docs/aws-facts.md §3.8).
    """
    return "Not" not in operator and operator != "Null" and all(map(_ONE_PROFILE.fullmatch, values))


def _outcome(name: str, key: str, expected: object, context: Context, variables: Context | None) -> Truth:
    values, actual = _texts(expected), context.get(key)
    if not values or actual is None:
        return None
    if name == "Null":
        return is_absent(values, actual)
    operator = read_operator(name)
    return operator.test(values, actual, variables) if operator else None


def _texts(expected: Any) -> tuple[str, ...]:
    """The policy's values as text (JSON numbers and booleans are allowed); () if one of them is something else."""
    values = expected if isinstance(expected, list) else [expected]
    if not all(isinstance(value, str | int | float) for value in values):
        return ()
    return tuple(str(value).lower() if isinstance(value, bool) else str(value) for value in values)
