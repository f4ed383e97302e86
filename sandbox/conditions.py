"""Condition blocks: which operators there are, and what a key that the request lacks means to each.

A key that is not there fails a positive operator and satisfies a negated one; `…IfExists` is satisfied by its absence,
`ForAllValues:` too, `ForAnyValue:` never.
"""

import contextlib
import ipaddress
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from msgspec import Struct

from sandbox.patterns import Text, UnresolvedVariableError, Values, arn_like, like, resolve

Test = Callable[[str], bool]


class Condition(Struct, frozen=True):
    """Whether a Condition block is met, and the keys it asked for that the request does not have (lower case)."""

    met: bool
    missing: frozenset[str] = frozenset()


def _equals(pattern: Text) -> Test:
    expected = pattern.literal()
    return lambda value: value == expected


def _equals_ignoring_case(pattern: Text) -> Test:
    expected = pattern.literal().lower()
    return lambda value: value.lower() == expected


def _ordered(read: Callable[[str], Any], compare: Callable[[Any, Any], bool]) -> Callable[[Text], Test]:
    def build(pattern: Text) -> Test:
        expected = read(pattern.literal())

        def test(value: str) -> bool:
            with contextlib.suppress(ValueError):
                return compare(read(value), expected)
            return False

        return test

    return build


def instant(text: str) -> datetime:
    """A date as policies write it: ISO 8601, or seconds since 1970.

    Raises:
        ValueError: It is neither.
    """
    try:
        return datetime.fromtimestamp(float(text), UTC)
    except ValueError:
        moment = datetime.fromisoformat(text)
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _in_network(pattern: Text) -> Test:
    network = ipaddress.ip_network(pattern.literal(), strict=False)

    def test(value: str) -> bool:
        with contextlib.suppress(ValueError):
            address = ipaddress.ip_address(value)
            return address.version == network.version and address in network
        return False

    return test


_ORDER: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "equals": lambda value, expected: value == expected,
    "lessthan": lambda value, expected: value < expected,
    "lessthanequals": lambda value, expected: value <= expected,
    "greaterthan": lambda value, expected: value > expected,
    "greaterthanequals": lambda value, expected: value >= expected,
}

_POSITIVE: Final[Mapping[str, Callable[[Text], Test]]] = {
    "stringequals": _equals,
    "stringequalsignorecase": _equals_ignoring_case,
    "stringlike": like,
    "arnequals": arn_like,
    "arnlike": arn_like,
    "bool": _equals_ignoring_case,
    "binaryequals": _equals,
    "ipaddress": _in_network,
    **{f"numeric{name}": _ordered(float, compare) for name, compare in _ORDER.items()},
    **{f"date{name}": _ordered(instant, compare) for name, compare in _ORDER.items()},
}

_NEGATED: Final[Mapping[str, str]] = {
    "stringnotequals": "stringequals",
    "stringnotequalsignorecase": "stringequalsignorecase",
    "stringnotlike": "stringlike",
    "arnnotequals": "arnequals",
    "arnnotlike": "arnlike",
    "notipaddress": "ipaddress",
    "numericnotequals": "numericequals",
    "datenotequals": "dateequals",
}


class UnknownOperatorError(ValueError):
    """A Condition has an operator that IAM does not have."""


def examine(block: Mapping[str, Mapping[str, Any]], context: Values, *, variables: bool = True) -> Condition:
    """Whether every operator and every key of a Condition block is met.

    Raises:
        UnknownOperatorError: An operator is none of IAM's.
    """
    met = True
    missing: set[str] = set()
    for operator, keys in block.items():
        for key, expected in keys.items():
            values = context.get(key.lower())
            if values is None and operator.lower() != "null":
                missing.add(key.lower())
            try:
                met &= _meets(operator, key.lower(), _texts(expected), context, variables=variables)
            except UnresolvedVariableError as unresolved:
                missing.add(unresolved.key)
                met = False
    return Condition(met, frozenset(missing))


def _texts(value: Any) -> tuple[str, ...]:
    items = value if isinstance(value, list) else [value]
    return tuple(str(item).lower() if isinstance(item, bool) else str(item) for item in items)


def _meets(operator: str, key: str, expected: Sequence[str], context: Values, *, variables: bool) -> bool:
    quantifier, _, name = operator.lower().rpartition(":")
    name, exists_only, _ = name.partition("ifexists")
    values = context.get(key, ())
    if name == "null":
        return (not values) == (expected[0].lower() == "true")
    positive = _NEGATED.get(name, name)
    if positive not in _POSITIVE or quantifier not in ("", "forallvalues", "foranyvalue"):
        raise UnknownOperatorError(operator)
    if not values:
        return bool(exists_only) or quantifier == "forallvalues" or (name in _NEGATED and quantifier == "")
    tests = [_POSITIVE[positive](resolve(text, context, variables=variables)) for text in expected]
    holds = [any(test(value) for test in tests) != (name in _NEGATED) for value in values]
    # A negated operator without a quantifier must hold for every value, a positive one for any.
    every = quantifier == "forallvalues" or (not quantifier and name in _NEGATED)
    return all(holds) if every else any(holds)
