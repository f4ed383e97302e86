"""Patterns of principals and identifiers, by example."""

import pytest

from bedrock_remediator.core.allowlist.rules import identifier_glob, principal_glob

ROLE = "arn:aws:iam::123456789012:role"


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("us.amazon.nova-*", "us.amazon.nova-2-lite-v1:0", True),
        ("us.amazon.nova-*", "us.amazon.nova-", True),
        ("us.amazon.nova-*", "eu.amazon.nova-2-lite-v1:0", False),
        ("us.amazon.nova-*", "US.amazon.nova-2-lite-v1:0", False),
        ("*.nova-2-lite-v1:0", "us.amazon.nova-2-lite-v1:0", True),
        ("*.nova-2-lite-v1:0", "us.amazon.nova-2-lite-v1:0x", False),
        ("us.*.nova-*-v1:?", "us.amazon.nova-2-lite-v1:0", True),
        ("us.*.nova-*-v1:?", "us.amazon.nova-2-lite-v1:", False),
        ("us.*.nova-*-v1:?", "us.amazon.titan-2-lite-v1:0", False),
        ("us.amazon.nova-2-lite-v1:0", "us.amazon.nova-2-lite-v1:0", True),
        ("us.amazon.nova-2-lite-v1:0", "us.amazon.nova-2-lite-v1:00", False),
        ("us.amazon.nova-2-lite-v1:0", "us.amazon.nova-2-lite-v1", False),
        ("*", "anything/at:all", True),
        ("*", "", True),
        ("**", "anything/at:all", True),
        ("?", "/", True),
        ("?", "", False),
        ("", "", True),
        ("", "x", False),
        ("a*a", "a", False),
        ("a*a", "aa", True),
        ("a*ba*a", "aba", False),
        ("*ab*b", "ab", False),
        (
            "arn:aws:bedrock:*:inference-profile/us.*",
            "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.x",
            True,
        ),
    ],
)
def test_identifier_patterns(pattern: str, text: str, expected: bool) -> None:  # noqa: FBT001  a column of the table
    """In a pattern of ids, a star is any run of characters, a question mark any one, and the case counts."""
    assert identifier_glob(pattern).matches(text) is expected


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("arn:aws:iam::*:role/llm-*", f"{ROLE}/llm-app", True),
        ("arn:aws:iam::*:role/llm-*", f"{ROLE}/llm-", True),
        ("arn:aws:iam::*:role/llm-*", f"{ROLE}/service/llm-app", False),
        ("arn:aws:iam::*:role/llm-*", f"{ROLE}/llm-team/app", False),
        ("arn:aws:iam::*:role/llm-*", f"{ROLE}/LLM-app", False),
        ("arn:aws:iam::*:role/llm-*", "arn:aws:iam::123456789012:user/llm-app", False),
        ("arn:aws:iam::*:role/**", f"{ROLE}/app", True),
        ("arn:aws:iam::*:role/**", f"{ROLE}/a/b/app", True),
        ("arn:aws:iam::*:role/**", "arn:aws:iam::123456789012:user/app", False),
        ("arn:aws:iam::*:role/**/app", f"{ROLE}/a/b/app", True),
        ("arn:aws:iam::*:role/**/app", f"{ROLE}/app", False),
        ("arn:aws:iam::*:role/*/app", f"{ROLE}/a/app", True),
        ("arn:aws:iam::*:role/*/app", f"{ROLE}/a/b/app", False),
        ("arn:aws:iam::*:*/app", f"{ROLE}/app", True),
        ("arn:aws:iam::*:**", f"{ROLE}/a/app", True),
        ("arn:aws:iam::*:role/app?", f"{ROLE}/app1", True),
        ("arn:aws:iam::*:role/a?b", f"{ROLE}/a/b", False),
        ("arn:aws:iam::1234567890??:role/app", f"{ROLE}/app", True),
        ("arn:aws:iam::*:role/a**z", f"{ROLE}/ab/yz", True),
        ("arn:aws:iam::*:role/**x*y", f"{ROLE}/x/xy", True),
        ("arn:aws:iam::*:role/**x*y", f"{ROLE}/x/y", False),
    ],
)
def test_principal_patterns(pattern: str, text: str, expected: bool) -> None:  # noqa: FBT001  a column of the table
    """In a pattern of principals, one star stays within a step of the path and two stars cross slashes."""
    assert principal_glob(pattern).matches(text) is expected


@pytest.mark.parametrize(
    "pattern", ["arn:*:role/app", "arn:**:role/app", "arn:aws:iam::**", "**", "arn:aws?iam::*:role/app"]
)
def test_fields_of_an_arn_are_kept_apart(pattern: str) -> None:
    """No wildcard reaches from one field of an ARN into the next."""
    assert not principal_glob(pattern).matches(f"{ROLE}/app")


def test_a_colon_in_a_path_is_only_a_character() -> None:
    """Two stars cross a colon that is part of a role's path, so that a path cannot be chosen to slip by `never`."""
    assert principal_glob("arn:aws:iam::*:role/**").matches(f"{ROLE}/a:b/app")
    assert not principal_glob("arn:aws:iam::*:role/*/app").matches(f"{ROLE}/a:b/app")


def test_time_does_not_run_away() -> None:
    """A pattern made to keep a backtracking matcher busy for ages is answered at once."""
    stars = "*a" * 500
    assert not identifier_glob(f"{stars}?b").matches("a" * 2000 + "ab" + "c")
    assert not principal_glob(f"arn:aws:iam::*:role/{'**a*a' * 200}?b?").matches(f"{ROLE}/" + "a/a" * 600 + "bb/")
