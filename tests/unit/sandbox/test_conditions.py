"""Condition blocks in the sandbox's own reading."""

from typing import Any

import pytest

from sandbox.conditions import UnknownOperatorError, examine

CONTEXT = {
    "aws:username": ("ana",),
    "aws:currenttime": ("2026-11-23T09:00:00Z",),
    "aws:sourceip": ("10.1.2.3",),
    "aws:securetransport": ("true",),
    "aws:principalarn": ("arn:aws:iam::123456789012:role/app",),
    "aws:tagkeys": ("team", "cost"),
    "x:number": ("7",),
    "x:empty": (),
}


@pytest.mark.parametrize(
    ("block", "met"),
    [
        ({"StringEquals": {"aws:username": "ana"}}, True),
        ({"StringEquals": {"AWS:UserName": ["bob", "ana"]}}, True),
        ({"StringEquals": {"aws:username": "an*"}}, False),
        ({"StringEqualsIgnoreCase": {"aws:username": "ANA"}}, True),
        ({"StringLike": {"aws:username": "an*"}}, True),
        ({"StringNotLike": {"aws:username": "an*"}}, False),
        ({"StringNotEquals": {"aws:username": ["bob", "eve"]}}, True),
        ({"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/*"}}, True),
        ({"ArnNotEquals": {"aws:PrincipalArn": "arn:aws:iam::123456789012:role/app"}}, False),
        ({"Bool": {"aws:SecureTransport": True}}, True),
        ({"Bool": {"aws:SecureTransport": "false"}}, False),
        ({"NumericLessThan": {"x:number": "8"}}, True),
        ({"NumericGreaterThanEquals": {"x:number": 8}}, False),
        ({"DateLessThan": {"aws:CurrentTime": "2026-11-23T09:00:01Z"}}, True),
        ({"DateLessThan": {"aws:CurrentTime": "2026-11-23T09:00:00Z"}}, False),
        ({"DateGreaterThan": {"aws:CurrentTime": "1700000000"}}, True),
        ({"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}, True),
        ({"NotIpAddress": {"aws:SourceIp": ["10.0.0.0/8", "2001:db8::/32"]}}, False),
        ({"Null": {"aws:username": "false"}}, True),
        ({"Null": {"aws:nothing": "true"}}, True),
        ({"StringEquals": {"aws:username": "ana"}, "Bool": {"aws:SecureTransport": "false"}}, False),
    ],
)
def test_operators(block: dict[str, Any], *, met: bool) -> None:
    """Each operator compares as IAM's reference says; every operator and key must be met."""
    assert examine(block, CONTEXT).met is met


@pytest.mark.parametrize(
    ("block", "met"),
    [
        ({"StringEquals": {"aws:nothing": "x"}}, False),
        ({"StringNotEquals": {"aws:nothing": "x"}}, True),
        ({"StringEqualsIfExists": {"aws:nothing": "x"}}, True),
        ({"ForAllValues:StringEquals": {"aws:nothing": "x"}}, True),
        ({"ForAnyValue:StringEquals": {"aws:nothing": "x"}}, False),
        ({"StringEquals": {"x:empty": "x"}}, False),
    ],
)
def test_a_key_that_is_not_there(block: dict[str, Any], *, met: bool) -> None:
    """A missing key fails a positive operator and satisfies a negated one; IfExists and ForAllValues are satisfied."""
    assert examine(block, CONTEXT).met is met


@pytest.mark.parametrize(
    ("block", "met"),
    [
        ({"ForAllValues:StringEquals": {"aws:TagKeys": ["team", "cost", "more"]}}, True),
        ({"ForAllValues:StringEquals": {"aws:TagKeys": ["team"]}}, False),
        ({"ForAnyValue:StringEquals": {"aws:TagKeys": ["team"]}}, True),
        ({"ForAnyValue:StringNotEquals": {"aws:TagKeys": ["team"]}}, True),
        ({"StringNotEquals": {"aws:TagKeys": ["team"]}}, False),
    ],
)
def test_several_values(block: dict[str, Any], *, met: bool) -> None:
    """With several values ForAllValues asks for all, ForAnyValue for one, and a bare negation for all."""
    assert examine(block, CONTEXT).met is met


@pytest.mark.parametrize("doubt", [True, False])
@pytest.mark.parametrize(
    "block",
    [
        {"ArnLike": {"aws:PrincipalArn": "*"}},
        {"ArnLike": {"aws:PrincipalArn": "arn:aws:iam:*"}},
        {"ArnNotLike": {"aws:PrincipalArn": "*"}},
        {"IpAddress": {"aws:username": "10.0.0.0/8"}},
        {"NotIpAddress": {"aws:username": "10.0.0.0/8"}},
        {"NumericLessThan": {"aws:username": "8"}},
        {"DateNotEquals": {"aws:username": "2026-11-23T09:00:00Z"}},
    ],
)
def test_what_no_page_says_is_doubt(block: dict[str, Any], *, doubt: bool) -> None:
    """A short pattern of an ARN (facts §4.6b), and a value that the operator cannot read: never kinder than AWS."""
    assert examine(block, CONTEXT, doubt=doubt).met is doubt


def test_missing_keys_are_named() -> None:
    """The keys that the request lacks are told in lower case, those of policy variables too, but no known empty one."""
    block = {
        "StringEquals": {"aws:Nothing": "x", "aws:username": "${aws:SourceVpc}", "x:empty": "y"},
        "Null": {"aws:absent": "true"},
    }
    assert examine(block, CONTEXT).missing == {"aws:nothing", "aws:sourcevpc"}


@pytest.mark.parametrize("operator", ["StringMatches", "ForEach:StringEquals"])
def test_an_unknown_operator_is_an_error(operator: str) -> None:
    """An operator that IAM does not have is an error, not a condition that fails."""
    with pytest.raises(UnknownOperatorError):
        examine({operator: {"aws:username": "ana"}}, CONTEXT)
