"""Wildcards and policy variables in the sandbox's own reading."""

import pytest

from sandbox.patterns import UnresolvedVariableError, arn_like, like, resolve

CONTEXT = {"aws:username": ("ana",), "aws:principaltag/team": ("ml",), "aws:two": ("a", "b")}


@pytest.mark.parametrize(
    ("pattern", "value", "matches"),
    [
        ("bedrock:*", "bedrock:InvokeModel", True),
        ("bedrock:Invoke?odel", "bedrock:InvokeModel", True),
        ("bedrock:Invoke?odel", "bedrock:Invokemodel ", False),
        ("arn:aws:bedrock:*::foundation-model/m", "arn:aws:bedrock:::foundation-model/m", True),
        ("a.c", "abc", False),
        ("a*", "a\nb", True),
        ("A", "a", False),
    ],
)
def test_wildcards(pattern: str, value: str, *, matches: bool) -> None:
    """`*` is any number of characters, none included, `?` exactly one, and everything else is itself."""
    assert like(resolve(pattern, {}))(value) is matches


def test_a_variable_is_the_requests_value() -> None:
    """A policy variable stands for the one value of its key, whatever the key's case."""
    assert resolve("user/${aws:UserName}/${aws:PrincipalTag/team}", CONTEXT).literal() == "user/ana/ml"


def test_a_variables_value_is_no_wildcard() -> None:
    """A star that comes from the request is a star, not a wildcard."""
    pattern = resolve("user/${aws:username}", {"aws:username": ("*",)})
    assert like(pattern)("user/*")
    assert not like(pattern)("user/ana")


def test_escapes_are_the_characters_themselves() -> None:
    """`${*}`, `${?}` and `${$}` are literal characters."""
    assert like(resolve("a${*}b${?}c${$}", {}))("a*b?c$")


def test_a_default_stands_in() -> None:
    """A default is taken where the key has no value, and not where it has one."""
    assert resolve("${aws:PrincipalTag/none, 'all'}", CONTEXT).literal() == "all"
    assert resolve("${aws:username, 'all'}", CONTEXT).literal() == "ana"


@pytest.mark.parametrize("variable", ["${aws:nothing}", "${aws:two}"])
def test_no_single_value_is_an_error(variable: str) -> None:
    """A variable whose key has no value, or several, cannot be resolved."""
    with pytest.raises(UnresolvedVariableError):
        resolve(variable, CONTEXT)


def test_the_older_version_knows_no_variables() -> None:
    """In a document of 2008 the text of a variable is text, and its wildcards are wildcards."""
    pattern = resolve("${aws:username}*", {"aws:username": ("ana",)}, variables=False)
    assert like(pattern)("${aws:username}/x")


@pytest.mark.parametrize(
    ("pattern", "value", "matches"),
    [
        ("arn:aws:iam::*:role/a", "arn:aws:iam::123456789012:role/a", True),
        ("arn:aws:iam::*:role/*", "arn:aws:iam::123456789012:role/x/y:z", True),
        ("arn:*:role/a", "arn:aws:iam::123456789012:role/a", False),
        ("arn:aws:iam::123456789012:role/a", "no arn", False),
    ],
)
def test_arns_match_part_by_part(pattern: str, value: str, *, matches: bool) -> None:
    """In ArnLike a wildcard stays within its part, but for the last."""
    assert arn_like(resolve(pattern, {}))(value) is matches
