"""Laws of the patterns of principals and identifiers."""

import re

from hypothesis import example, given, settings
from hypothesis import strategies as st

from bedrock_remediator.core.allowlist.rules import identifier_glob, principal_glob

TEXTS = st.text("ab:/", max_size=12)
PATTERNS = st.text("ab:/?*", max_size=12)
PREFIX = "arn:aws:iam::1:"


def identifiers_expression(pattern: str) -> str:
    """The pattern as a regular expression: slow at worst, but plain to see."""
    return "".join({"*": ".*", "?": "."}.get(character, re.escape(character)) for character in pattern)


def resources_expression(pattern: str) -> str:
    """The pattern of an ARN's resource as a regular expression."""
    meanings = {"*": "[^:/]*", "?": "[^:/]"}
    parts = re.findall(r"\*{2,}|.", pattern)
    return "".join(".*" if len(part) > 1 else meanings.get(part, re.escape(part)) for part in parts)


@given(PATTERNS, TEXTS)
@example("a*ba*a", "aba")
@settings(max_examples=200, deadline=None)
def test_identifier_patterns_mean_what_the_expression_means(pattern: str, text: str) -> None:
    """A pattern of identifiers matches what a regular expression spelled out from it matches."""
    assert identifier_glob(pattern).matches(text) is bool(re.fullmatch(identifiers_expression(pattern), text))


@given(PATTERNS, TEXTS)
@example("**a*b", "a/ab")
@example("*?**", "a:b")
@settings(max_examples=200, deadline=None)
def test_principal_patterns_mean_what_the_expression_means(pattern: str, text: str) -> None:
    """In an ARN's resource, a pattern of principals matches what a regular expression spelled out from it matches."""
    found = principal_glob(PREFIX + pattern).matches(PREFIX + text)
    assert found is bool(re.fullmatch(resources_expression(pattern), text))


@given(TEXTS, TEXTS)
@settings(deadline=None)
def test_text_without_wildcards_matches_itself_only(pattern: str, text: str) -> None:
    """A pattern without wildcards is equality."""
    assert identifier_glob(pattern).matches(text) is (pattern == text)
    assert principal_glob(pattern).matches(text) is (pattern == text)


@given(st.text("ab:?*", max_size=12), st.text("ab:", max_size=12))
@settings(deadline=None)
def test_no_wildcard_crosses_the_fields_of_an_arn(pattern: str, text: str) -> None:
    """Before the resource, a pattern of principals matches only a text with as many colons."""
    found = principal_glob(pattern).matches(text)
    assert not found or pattern.count(":") >= 5 or pattern.count(":") == text.count(":")


@given(PATTERNS, TEXTS)
@settings(deadline=None)
def test_principal_patterns_are_the_narrower(pattern: str, text: str) -> None:
    """What matches as a pattern of principals matches as one of identifiers."""
    assert not principal_glob(pattern).matches(text) or identifier_glob(pattern).matches(text)
