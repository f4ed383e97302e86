"""Condition blocks: which operators there are, and what a key that the request lacks means to each.

A key that is not there fails a positive operator and satisfies a negated one; `…IfExists` is satisfied by its absence,
`ForAllValues:` too, `ForAnyValue:` never. A policy variable without a value is equal to nothing: it fails a positive
operator and satisfies a negated one as well (docs/aws-facts.md §4.6b).
"""

import contextlib
import ipaddress
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from msgspec import Struct

from sandbox.patterns import Text, UnresolvedVariableError, Values, arn_like, like, resolve

Test = Callable[[str], bool | None]
"""Whether a value of the request fits; None where no page says."""

_ARN_COLONS: Final = 5


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

        def test(value: str) -> bool | None:
            with contextlib.suppress(ValueError):
                return compare(read(value), expected)
            return None

        return test

    return build


def _arn(pattern: Text) -> Test:
    """Part by part; a pattern with fewer than six parts that matches as a whole is doubtful."""
    exact, whole, short = arn_like(pattern), like(pattern), pattern.literal().count(":") < _ARN_COLONS

    def test(value: str) -> bool | None:
        return exact(value) or (None if short and whole(value) else False)

    return test


def instant(text: str) -> datetime:
    """A date as policies write it: ISO 8601, or seconds since 1970.

    Raises:
        ValueError: It is neither.
    """
    if text.isdigit() and len(text) > len("2026"):
        return datetime.fromtimestamp(int(text), UTC)
    # Four digits are a year: the shortest of W3C's forms.
    moment = datetime.fromisoformat(text + "-01-01"[3 * text.count("-") :] if len(text) < len("2026-01-01") else text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _in_network(pattern: Text) -> Test:
    network = ipaddress.ip_network(pattern.literal(), strict=False)

    def test(value: str) -> bool | None:
        with contextlib.suppress(ValueError):
            address = ipaddress.ip_address(value)
            return address.version == network.version and address in network
        return None

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
    "arnequals": _arn,
    "arnlike": _arn,
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


def examine(
    block: Mapping[str, Mapping[str, Any]], context: Values, *, variables: bool = True, doubt: bool = False
) -> Condition:
    """Whether every operator and every key of a Condition block is met.

    Args:
        block: The block.
        context: The request's keys, in lower case, and their values.
        variables: Whether the document's version knows policy variables.
        doubt: What to take where AWS's pages do not say.

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
            test = _Test(_read(operator), key.lower(), context, variables=variables)
            met &= test.meets(_texts(expected), doubt=doubt)
            missing |= test.missing
    return Condition(met, frozenset(missing))


def condition_problems(block: Any) -> Iterator[str]:
    """Why IAM would refuse a Condition block when it is written: every operator, key and value that has no meaning."""
    if not isinstance(block, Mapping) or not all(isinstance(keys, Mapping) for keys in block.values()):
        yield "a Condition maps operators to keys, and keys to values"
        return
    for operator, keys in block.items():
        try:
            read = _read(str(operator))
        except UnknownOperatorError:
            yield f"there is no condition operator {operator!r}"
            continue
        for key, value in keys.items():
            items = value if isinstance(value, list) else [value]
            yield from (f"{operator}, {key}: {item!r} is not a value for it" for item in items if not _fits(read, item))


def _fits(operator: "_Operator", item: Any) -> bool:
    if not isinstance(item, str | int | float):
        return False
    (text,) = _texts(item)
    if operator.name == "null":
        return text.lower() in ("true", "false")
    # What a variable of a text or an ARN stands for is known with the request only; the other operators take none.
    try:
        _POSITIVE[operator.positive](resolve(text, {}, variables=False))
    except (ValueError, OverflowError):
        return False
    return True


def _texts(value: Any) -> tuple[str, ...]:
    items = value if isinstance(value, list) else [value]
    return tuple(str(item).lower() if isinstance(item, bool) else str(item) for item in items)


class _Operator(Struct, frozen=True):
    """An operator: its name without qualifiers, in lower case."""

    name: str
    quantifier: str
    if_exists: bool

    @property
    def negated(self) -> bool:
        return self.name in _NEGATED

    @property
    def positive(self) -> str:
        return _NEGATED.get(self.name, self.name)


def _read(operator: str) -> _Operator:
    quantifier, _, name = operator.lower().rpartition(":")
    name, if_exists, rest = name.partition("ifexists")
    alone = name == "null" and not quantifier and not if_exists
    compares = _NEGATED.get(name, name) in _POSITIVE
    if not (alone or compares) or rest or quantifier not in ("", "forallvalues", "foranyvalue"):
        raise UnknownOperatorError(operator)
    return _Operator(name, quantifier, bool(if_exists))


class _Test:
    """One operator on one key; `missing` collects the variables that had no value."""

    def __init__(self, operator: _Operator, key: str, context: Values, *, variables: bool) -> None:
        self._operator = operator
        self._context = context
        # Variables count with the string and ARN operators only.
        self._variables = variables and operator.positive.startswith(("string", "arn"))
        self._values = context.get(key, ())
        self.missing: set[str] = set()

    def meets(self, expected: Sequence[str], *, doubt: bool) -> bool:
        operator = self._operator
        if operator.name == "null":
            return any((not self._values) == (text.lower() == "true") for text in expected)
        values = self._values
        if not any(values) if operator.quantifier else not values:
            return self._absent(doubt=doubt)
        tests = [test for text in expected if (test := self._compared(text)) is not None]
        holds = [self._holds([test(value) for test in tests], doubt=doubt) for value in values]
        if operator.quantifier:
            return all(holds) if operator.quantifier == "forallvalues" else any(holds)
        # Several values without a set operator: no page says how they are compared.
        return holds[0] if len(set(holds)) == 1 else doubt

    def _holds(self, found: Sequence[bool | None], *, doubt: bool) -> bool:
        if any(found):
            return not self._operator.negated
        return doubt if None in found else self._operator.negated

    def _absent(self, *, doubt: bool) -> bool:
        operator = self._operator
        if operator.quantifier == "foranyvalue":
            return doubt if operator.if_exists else False
        return operator.if_exists or operator.quantifier == "forallvalues" or operator.negated

    def _compared(self, text: str) -> Test | None:
        """What a value is held against; None if it is like nothing."""
        try:
            return _POSITIVE[self._operator.positive](resolve(text, self._context, variables=self._variables))
        except UnresolvedVariableError as unresolved:
            self.missing.add(unresolved.key)
            return None
