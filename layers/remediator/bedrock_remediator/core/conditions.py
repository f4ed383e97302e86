"""Whether a statement's conditions are met by a request of which not everything is known."""

import enum
from collections.abc import Iterator, Mapping
from typing import Any, Final

from bedrock_remediator.core.operators import is_absent, read_operator
from bedrock_remediator.core.patterns import Context
from bedrock_remediator.core.truth import Truth

SCOPING_KEYS: Final = frozenset(
    {"bedrock:inferenceprofilearn", "aws:requestedregion", "aws:currenttime", "aws:epochtime"}
)
"""Keys that say what a statement is about. Not met, they mean that it is about another profile, region or time. Any
other key is a demand on the caller (a guardrail, a network, a tag), and no grant may do away with it."""


class Fit(enum.Enum):
    """How a statement, or its conditions alone, fits a request."""

    MET = enum.auto()
    UNKNOWN = enum.auto()
    """It depends on what is not known, or cannot be read."""
    UNMET = enum.auto()
    """It does not apply, and a demand on the caller that is not met, or not known to be, has a part in that."""
    ELSEWHERE = enum.auto()
    """It does not apply, for no other reason than that it is about something else."""


def fit(block: object, context: Context, variables: Context | None) -> Fit:
    """How a statement's `Condition` fits.

    Args:
        block: `{operator: {key: value or values}}`, as the policy has it.
        context: What is known of the request.
        variables: The same, or None where the policy's version knows no policy variables.
    """
    tests = set(_tests(block, context, variables))
    demanded = {truth for truth, scoping in tests if not scoping}
    about = {truth for truth, scoping in tests if scoping}
    if False in demanded or (False in about and None in demanded):
        return Fit.UNMET
    if False in about:
        return Fit.ELSEWHERE
    return Fit.UNKNOWN if None in demanded | about else Fit.MET


def _tests(block: object, context: Context, variables: Context | None) -> Iterator[tuple[Truth, bool]]:
    """Each key's outcome, and whether the key only says what the statement is about."""
    if not isinstance(block, Mapping):
        yield None, False
        return
    for name, keys in block.items():
        if not isinstance(keys, Mapping) or not keys:
            yield None, False
            continue
        for key, expected in keys.items():
            yield _test(name, key.lower(), expected, context, variables), key.lower() in SCOPING_KEYS


def _test(name: str, key: str, expected: object, context: Context, variables: Context | None) -> Truth:
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
