import pytest

from bedrock_remediator.core.iam.conditions import is_absent, read_operator
from bedrock_remediator.core.iam.patterns import Truth

ARN = "arn:aws:bedrock:us-east-1:111122223333:inference-profile/us.amazon.nova-2-lite-v1:0"
NEGATED = {
    "StringEquals": "StringNotEquals",
    "StringEqualsIgnoreCase": "StringNotEqualsIgnoreCase",
    "StringLike": "StringNotLike",
    "ArnLike": "ArnNotLike",
    "ArnEquals": "ArnNotEquals",
    "NumericEquals": "NumericNotEquals",
    "DateEquals": "DateNotEquals",
    "IpAddress": "NotIpAddress",
}


def holds(name: str, expected: str | list[str], *actual: str) -> Truth:
    """What the operator says of a policy's value (or values) and a request's."""
    operator = read_operator(name)
    assert operator
    return operator.test(
        (expected,) if isinstance(expected, str) else tuple(expected), actual, {"aws:username": ("al",)}
    )


@pytest.mark.parametrize(
    ("name", "expected", "actual", "truth"),
    [
        ("StringEquals", "a*", "a*", True),
        ("StringEquals", "a*", "ab", False),
        ("StringEquals", "A", "a", False),
        ("StringEquals", "${aws:username}", "al", True),
        ("StringEquals", "${aws:userid}", "al", None),
        ("StringEqualsIgnoreCase", "A?", "a?", True),
        ("StringEqualsIgnoreCase", "A?", "ab", False),
        ("StringEqualsIgnoreCase", "X${aws:userid}", "xY", None),
        ("StringEqualsIgnoreCase", "Z${aws:userid}", "xY", False),
        ("StringLike", "a*", "ab", True),
        ("StringLike", "A*", "ab", False),
        ("StringLike", ["x", "?b"], "ab", True),
        ("ArnEquals", "arn:aws:bedrock:*:111122223333:inference-profile/us.*", ARN, True),
        ("ArnLike", "arn:aws:bedrock:*:*:*", ARN, True),
        ("ArnLike", "arn:aws:bedrock:*:*:*:0", ARN, True),
        ("ArnLike", "arn:aws:bedrock:*:inference-profile/*:*:0", ARN, False),
        ("ArnLike", "arn:aws:bedrock:eu-*:*:*", ARN, False),
        ("ArnLike", "arn:aws:bedrock:us-*:*:${aws:userid}", ARN, None),
        ("ArnLike", "arn:aws:bedrock:eu-*:*:${aws:userid}", ARN, False),
        ("ArnLike", "*", ARN, None),
        ("ArnLike", "arn:*:*:*:*:*", "no:arn", False),
        ("ArnLike", "*:*:*:*:*:*", "a:b", False),
        ("ArnLike", "a*", "a:b", None),
        ("IpAddress", "10.0.0.0/8", "10.1.2.3", True),
        ("IpAddress", "10.1.0.0", "10.1.2.3", False),
        ("IpAddress", "10.1.2.4/8", "10.1.2.3", True),
        ("IpAddress", ["10.0.0.0/8", "2001:db8::/32"], "2001:db8::1", True),
        ("IpAddress", "10.0.0.0/33", "10.1.2.3", None),
        ("IpAddress", "10.0.0.0/8", "bedrock.amazonaws.com", None),
        ("NumericEquals", "1.50", "1.5", True),
        ("NumericEquals", "12345678901234567890", "12345678901234567891", False),
        ("NumericEquals", "one", "1", None),
        ("NumericEquals", "1", "one", None),
        ("NumericLessThan", "10", "9", True),
        ("NumericLessThan", "10", "10", False),
        ("NumericLessThanEquals", "10", "10", True),
        ("NumericGreaterThan", "-1", "-2", False),
        ("NumericGreaterThanEquals", "+3", "3", True),
        ("DateEquals", "2026-11-01T00:00:00Z", "2026-11-01", True),
        ("DateEquals", "2026-11-01T02:00+02:00", "2026-11", True),
        ("DateEquals", "1793491200", "2026-11-01T00:00:00.000Z", True),
        ("DateLessThan", "2026-11-01T00:00:01Z", "2026-11-01T00:00:00Z", True),
        ("DateLessThan", "2026-11-01T00:00:00Z", "2026-11-01T00:00:00Z", False),
        ("DateLessThanEquals", "2026-11-01T00:00:00Z", "2026-11-01T00:00:00Z", True),
        ("DateGreaterThan", "2026-11-01T00:00:00Z", "2026-11-02", True),
        ("DateGreaterThanEquals", "2026-11-03", "2026-11-02", False),
        ("DateLessThan", "2026", "2025-01-01", True),
        ("DateLessThan", "2026-13-01", "2025-01-01", None),
        ("DateLessThan", "tomorrow", "2025-01-01", None),
        ("Bool", "True", "true", True),
        ("Bool", "false", "true", False),
        ("Bool", "yes", "true", None),
        ("BinaryEquals", "QUI=", "QUI=", True),
        ("BinaryEquals", "QUI=", "QUM=", False),
        ("BinaryEquals", "QUI", "QUI=", None),
    ],
)
def test_one_value_of_the_request(name: str, expected: str | list[str], actual: str, truth: Truth) -> None:
    """Each operator compares as AWS documents it, its negation says the opposite, and neither guesses."""
    assert holds(name, expected, actual) is truth
    if name in NEGATED:
        assert holds(NEGATED[name], expected, actual) is (None if truth is None else not truth)


def test_negated_operators_accept_none_of_the_policys_values() -> None:
    """Several values under a negated operator are all ruled out."""
    assert holds("StringNotLike", ["a*", "b*"], "c") is True
    assert holds("StringNotLike", ["a*", "b*"], "bc") is False


@pytest.mark.parametrize(
    ("name", "truth"),
    [
        ("StringEquals", False),
        ("StringNotEquals", True),
        ("StringEqualsIfExists", True),
        ("StringNotEqualsIfExists", True),
        ("NotIpAddress", True),
        ("Bool", False),
        ("BoolIfExists", True),
        ("DateLessThan", False),
        ("NumericNotEquals", True),
        ("ForAllValues:StringEquals", True),
        ("ForAllValues:StringNotEquals", True),
        ("ForAllValues:StringEqualsIfExists", True),
        ("ForAnyValue:StringEquals", False),
        ("ForAnyValue:StringNotEquals", False),
        ("ForAnyValue:StringEqualsIfExists", None),
    ],
)
def test_absent_key(name: str, truth: Truth) -> None:
    """A key that is known to be absent meets what is negated, IfExists or ForAllValues, and nothing else."""
    assert holds(name, "a") is truth


@pytest.mark.parametrize(
    ("name", "actual", "truth"),
    [
        ("ForAllValues:StringLike", ["ax", "b"], True),
        ("ForAllValues:StringLike", ["ax", "c"], False),
        ("ForAnyValue:StringLike", ["c", "b"], True),
        ("ForAnyValue:StringLike", ["c", "d"], False),
        ("ForAllValues:StringNotLike", ["c", "d"], True),
        ("ForAllValues:StringNotLike", ["c", "b"], False),
        ("ForAnyValue:StringNotLike", ["c", "b"], True),
        ("ForAnyValue:StringNotLike", ["ax", "b"], False),
        ("StringLike", ["ax", "b"], True),
        ("StringLike", ["c", "d"], False),
        ("StringLike", ["ax", "c"], None),
        ("StringNotLike", ["ax", "c"], None),
    ],
)
def test_several_values_of_the_request(name: str, actual: list[str], truth: Truth) -> None:
    """ForAllValues asks it of every value, ForAnyValue of one; without either, values that disagree decide nothing."""
    assert holds(name, ["a*", "b"], *actual) is truth


def test_a_variable_known_to_be_absent() -> None:
    """It is like no value, so that an inverted operator is met (aws-facts §4.6b)."""
    for name, truth in (("StringLike", False), ("StringNotLike", True)):
        operator = read_operator(name)
        assert operator
        assert operator.test(("x-${aws:username}",), ("x-al",), {"aws:username": ()}) is truth


@pytest.mark.parametrize(
    "name",
    [
        "",
        "StringMatches",
        "stringequals",
        "Null",
        "NullIfExists",
        "ForAllValues:Null",
        "ForSomeValues:StringEquals",
        "IfExists",
    ],
)
def test_unknown_operators(name: str) -> None:
    """A name that AWS does not document is no operator, and `Null` is no comparison."""
    assert read_operator(name) is None


@pytest.mark.parametrize(
    ("expected", "actual", "truth"),
    [
        (("true",), (), True),
        (("true",), ("x",), False),
        (("false",), (), False),
        (("false",), ("x",), True),
        (("true", "false"), (), True),
        (("maybe",), (), None),
    ],
)
def test_is_absent(expected: tuple[str, ...], actual: tuple[str, ...], truth: Truth) -> None:
    """`Null` tells whether the key is there, whatever its value."""
    assert is_absent(expected, actual) is truth


@pytest.mark.parametrize(
    ("name", "truth"),
    [("ForAllValues:StringEquals", True), ("ForAnyValue:StringEquals", False), ("StringEquals", False)],
)
def test_an_empty_text_is_an_empty_set(name: str, truth: Truth) -> None:
    """For a set operator, a key whose value is an empty text has no values (aws-facts §4.6b)."""
    assert holds(name, ["a"], "") is truth
