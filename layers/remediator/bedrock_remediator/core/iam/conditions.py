"""Whether a statement's conditions are met by a request of which not everything is known, operator by operator.

What cannot be compared (a date that is none, an operator that does not exist) is unknown, never met and never unmet:
see https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html.
"""

import base64
import enum
import ipaddress
import operator
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final, Literal

from msgspec import Struct

from bedrock_remediator.core.iam.patterns import (
    Context,
    Pattern,
    Truth,
    conjunction,
    disjunction,
    expand,
    matches,
    negation,
)

Compare = Callable[[Pattern, str], Truth]

_ARN_PARTS = 6
_NAME = re.compile(r"(?:(ForAllValues|ForAnyValue):)?([A-Za-z]+?)(IfExists)?")
_NUMBER = re.compile(r"[+-]?[0-9]{1,40}(\.[0-9]{1,40})?")
# Seconds since 1970, never four digits: those are a year, the shortest of W3C's forms.
_EPOCH = re.compile(r"[0-9]{5,11}")
_FIRST_DAY = "0000-01-01"
_DATE = re.compile(
    r"[0-9]{4}(?:-[0-9]{2}(?:-[0-9]{2}(?:T[0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,9})?)?(?:Z|[+-][0-9]{2}:[0-9]{2}))?)?)?"
)


def _ignoring_case(pattern: Pattern, actual: str) -> Truth:
    return Pattern(pattern.text.lower(), pattern.certain).match(actual.lower())


def _arn(pattern: Pattern, actual: str) -> Truth:
    """Each of an ARN's six parts by itself: here, unlike in a Resource, `*` does not go past a colon."""
    if not matches(pattern.text, actual):
        return False
    patterns, parts = pattern.text.split(":", _ARN_PARTS - 1), actual.split(":", _ARN_PARTS - 1)
    if not pattern.certain or len(patterns) < _ARN_PARTS or len(parts) < _ARN_PARTS:
        return None
    return all(map(matches, patterns, parts))


def _address(pattern: Pattern, actual: str) -> Truth:
    try:
        return ipaddress.ip_address(actual) in ipaddress.ip_network(pattern.text, strict=False)
    except ValueError:
        return None


def _typed(convert: Callable[[str], Any], relation: Callable[[Any, Any], bool]) -> Compare:
    """A comparison of the request's value with the policy's, once both are read."""

    def compare(pattern: Pattern, actual: str) -> Truth:
        try:
            return relation(convert(actual), convert(pattern.text))
        except ValueError:
            return None

    return compare


def _number(text: str) -> float:
    found = _NUMBER.fullmatch(text)
    if not found:
        raise ValueError("not a number")
    return float(text) if found[1] else int(text)


def _moment(text: str) -> float:
    """Seconds since 1970, of a date in one of W3C's forms or of such seconds."""
    if _EPOCH.fullmatch(text):
        return int(text)
    if not _DATE.fullmatch(text):
        raise ValueError("not a date")
    moment = datetime.fromisoformat(text if len(text) >= len(_FIRST_DAY) else text + _FIRST_DAY[len(text) :])
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _boolean(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError("neither true nor false")
    return text.lower() == "true"


def _binary(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


class _Family(Struct, frozen=True):
    """How an operator compares. `variables`, `wildcards`: whether the policy's value may hold them."""

    compare: Compare
    negated: bool = False
    variables: bool = False
    wildcards: bool = True


def _text_families() -> dict[str, _Family]:
    return {
        f"{kind}{word}{suffix}": _Family(compare, negated=word == "Not", variables=True, wildcards=wildcards)
        for kind, suffix, compare, wildcards in (
            ("String", "Equals", Pattern.match, False),
            ("String", "EqualsIgnoreCase", _ignoring_case, False),
            ("String", "Like", Pattern.match, True),
            ("Arn", "Equals", _arn, True),
            ("Arn", "Like", _arn, True),
        )
        for word in ("", "Not")
    }


def _ordered_families() -> dict[str, _Family]:
    return {
        f"{kind}{suffix}": _Family(_typed(convert, relation), negated=suffix == "NotEquals")
        for kind, convert in (("Numeric", _number), ("Date", _moment))
        for suffix, relation in (
            ("Equals", operator.eq),
            ("NotEquals", operator.eq),
            ("LessThan", operator.lt),
            ("LessThanEquals", operator.le),
            ("GreaterThan", operator.gt),
            ("GreaterThanEquals", operator.ge),
        )
    }


_FAMILIES: Final[Mapping[str, _Family]] = {
    **_text_families(),
    **_ordered_families(),
    "Bool": _Family(_typed(_boolean, operator.eq)),
    "BinaryEquals": _Family(_typed(_binary, operator.eq)),
    "IpAddress": _Family(_address),
    "NotIpAddress": _Family(_address, negated=True),
}


class Operator(Struct, frozen=True):
    """A condition operator with its qualifier (`ForAllValues`, `ForAnyValue`) and suffix (`IfExists`)."""

    family: _Family
    qualifier: Literal["ForAllValues", "ForAnyValue"] | None = None
    if_exists: bool = False

    def test(self, expected: tuple[str, ...], actual: tuple[str, ...], variables: Context | None) -> Truth:
        """Whether the condition is met.

        Args:
            expected: The policy's values, at least one.
            actual: The request's values; () = the key is known to be absent. With a qualifier, empty texts are the
                same as none.
            variables: The request's context; None where the policy's version knows no policy variables.
        """
        if not any(actual) if self.qualifier else not actual:
            return self._absent()
        outcomes = [self._accepts(expected, value, variables) for value in actual]
        if self.qualifier == "ForAnyValue":
            return disjunction(outcomes)
        every = conjunction(outcomes)
        # Several values without a qualifier: AWS advises against it and does not say how they are read.
        return every if self.qualifier or every == disjunction(outcomes) else None

    def _absent(self) -> Truth:
        if self.qualifier == "ForAllValues":
            return True
        if self.qualifier == "ForAnyValue":
            # Sources disagree on whether IfExists has any effect here.
            return None if self.if_exists else False
        return self.if_exists or self.family.negated

    def _accepts(self, expected: tuple[str, ...], value: str, variables: Context | None) -> Truth:
        """Whether one value of the request matches one of the policy's; none of them, if the operator is negated."""
        met = disjunction(self._compare(text, value, variables) for text in expected)
        return negation(met) if self.family.negated else met

    def _compare(self, text: str, value: str, variables: Context | None) -> Truth:
        pattern = expand(text, variables if self.family.variables else None, wildcards=self.family.wildcards)
        return self.family.compare(pattern, value) if pattern else False


@lru_cache(maxsize=256)
def read_operator(name: str) -> Operator | None:
    """The operator of that name; None if there is none (`Null` is no comparison, and is not one of them)."""
    found = _NAME.fullmatch(name)
    family = _FAMILIES.get(found[2]) if found else None
    if not found or not family:
        return None
    qualifier: Any = found[1]
    return Operator(family, qualifier, bool(found[3]))


def is_absent(expected: tuple[str, ...], actual: tuple[str, ...]) -> Truth:
    """The `Null` operator: `true` asks that the key be absent, `false` that it be there."""
    try:
        return any(_boolean(text) is not bool(actual) for text in expected)
    except ValueError:
        return None


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
