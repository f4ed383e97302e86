"""Wildcards and policy variables in the sandbox's own reading."""

import pytest

from sandbox.patterns import UnresolvedVariableError, arn_like, like, resolve, resource_like

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


@pytest.mark.parametrize(
    ("pattern", "exact", "doubtful"),
    [
        ("*", True, True),
        ("arn:aws:iam::*:user/*", True, True),
        ("arn:aws:iam", True, True),
        ("arn:aws:iam::123456789012:user/${aws:username}", True, True),
        ("arn:aws:iam:*:user/ana", False, True),
        ("arn:aws:iam::*:role/*", False, False),
    ],
)
def test_a_doubt_goes_to_whoever_asks(pattern: str, *, exact: bool, doubtful: bool) -> None:
    """What matches across an ARN's parts alone matches for a Deny, and not for an Allow (facts 4.6b)."""
    arn = "arn:aws:iam::123456789012:user/ana"
    assert resource_like(pattern, CONTEXT, variables=True, doubt=False)(arn) is exact
    assert resource_like(pattern, CONTEXT, variables=True, doubt=True)(arn) is doubtful


@pytest.mark.parametrize("account", ["${aws:username}", "${aws:username, 'a:b'}", "x${*}"])
def test_a_variable_before_the_fifth_colon_stands_for_nothing(account: str) -> None:
    """It is no value that could be put there; in an old document it is text."""
    pattern = f"arn:aws:iam::{account}:user/*"
    with pytest.raises(UnresolvedVariableError):
        resource_like(pattern, CONTEXT, variables=True, doubt=True)
    assert not resource_like(pattern, CONTEXT, variables=False, doubt=False)("arn:aws:iam::ana:user/x")
