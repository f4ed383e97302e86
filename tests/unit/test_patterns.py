import pytest

from bedrock_remediator.core.iam.patterns import (
    Context,
    Pattern,
    Truth,
    expand,
    literal,
    matches,
    resource,
    resource_with_variables,
)

MODEL = "foundation-model/amazon.nova-2-lite-v1:0"


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("*", ""),
        ("*", "arn:aws:bedrock:us-east-1::" + MODEL),
        ("bedrock:InvokeModel", "bedrock:InvokeModel"),
        (f"arn:aws:bedrock:*::{MODEL}", f"arn:aws:bedrock:us-east-1::{MODEL}"),
        ("arn:aws:bedrock:*", f"arn:aws:bedrock:us-east-1::{MODEL}"),
        ("arn:*:bedrock:us-*-1::*/amazon.*", f"arn:aws:bedrock:us-east-1::{MODEL}"),
        ("a*b*c", "abbc"),
        ("a**c", "ac"),
        ("a?c", "abc"),
        ("a*c?*e", "abcde"),
        ("a*c?*e", "acbbcdee"),
        ("*?", "x"),
        ("a*?", "abc"),
        ("a.c", "a.c"),
        ("a?*", "a\nb"),
    ],
)
def test_matches(pattern: str, text: str) -> None:
    """`*` takes any characters or none, colons and slashes included, and `?` exactly one."""
    assert matches(pattern, text)


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("", "a"),
        ("a", ""),
        ("a", "A"),
        ("ab*ba", "aba"),
        ("a*b*c", "acb"),
        ("a*x", "abc"),
        ("x*c", "abc"),
        ("a?c", "ac"),
        ("?*?", "x"),
        ("a.c?", "abcd"),
        ("[ab]?", "ab"),
        ("a?", "a\n\n"),
    ],
)
def test_does_not_match(pattern: str, text: str) -> None:
    """The whole text must match, case and all, and only `*` and `?` are wildcards."""
    assert not matches(pattern, text)


def test_star_matches_the_empty_region_of_a_global_profiles_model() -> None:
    """A region of `*` takes in the model ARN that has no region."""
    assert matches(f"arn:aws:bedrock:*::{MODEL}", f"arn:aws:bedrock:::{MODEL}")


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("*a" * 3000 + "b", "a" * 2000),
        ("*a?" * 1000 + "b", "a" * 2000),
        ("a*" * 3000 + "?b", "a" * 2000),
        ("?" * 2000 + "*b", "a" * 2000),
    ],
)
def test_hostile_patterns_end(pattern: str, text: str) -> None:
    """A pattern made to backtrack is answered: with backtracking these would outlast the machine."""
    assert not matches(pattern, text)


def test_literal_matches_only_itself() -> None:
    """Text that holds wildcards can be matched as it stands."""
    pattern = literal("a*b?\0")
    assert matches(pattern, "a*b?\0")
    assert not matches(pattern, "aXbY\0")
    assert not matches(pattern, "a*b?")


CONTEXT: Context = {
    "aws:username": ("alice",),
    "aws:principaltag/cost center": ("ml*",),
    "aws:sourceidentity": (),
    "aws:tagkeys": ("a", "b"),
}


@pytest.mark.parametrize(
    ("template", "text", "certain"),
    [
        ("team/${aws:username}/*", "team/alice/*", True),
        ("${AWS:UserName}", "alice", True),
        ("${aws:PrincipalTag/Cost Center}", "ml\0*", True),
        ("${aws:sourceidentity, 'nobody'}", "nobody", True),
        ("${aws:username, 'nobody'}", "alice", True),
        ("${aws:unheardof, 'x'}", "*", False),
        ("a-${aws:unheardof}-b", "a-*-b", False),
        ("${aws:tagkeys}", "*", False),
        ("${aws:username", "*", False),
        ("${}", "*", False),
        ("${*}${?}${$}{x}", "\0*\0?${x}", True),
        ("$aws:username", "$aws:username", True),
        ("plain*", "plain*", True),
    ],
)
def test_expand(template: str, text: str, certain: bool) -> None:  # noqa: FBT001 -- a parameter of the table above
    """A variable becomes its value, never a wildcard; what is not known leaves room for anything."""
    assert expand(template, CONTEXT) == Pattern(text, certain)


def test_a_variable_known_to_be_absent_matches_nothing() -> None:
    """AWS calls such a statement invalid."""
    assert expand("x/${aws:SourceIdentity}", CONTEXT) is None


def test_variables_are_text_in_an_old_version() -> None:
    """Policies of before 2012-10-17 have no variables; their wildcards are wildcards still."""
    assert expand("${aws:username}/*", None) == Pattern("${aws:username}/*")


@pytest.mark.parametrize(("variables", "text"), [(None, "a\0*${aws:username}"), (CONTEXT, "a\0*alice")])
def test_wildcards_can_be_text(variables: Context | None, text: str) -> None:
    """Where an operator compares whole strings, `*` is an asterisk."""
    assert expand("a*${aws:username}", variables, wildcards=False) == Pattern(text)


ALICE = "arn:aws:iam::111122223333:user/alice"


@pytest.mark.parametrize(
    ("pattern", "truth"),
    [
        ("*", True),
        (ALICE, True),
        ("arn:aws:iam::*:user/*", True),
        ("arn:aws:iam:*:*:user/al?ce", True),
        ("arn:aws:iam", True),
        ("arn:aws:iam:*", True),
        ("arn:aws:iam::111122223333", True),
        ("arn:aws:s3", False),
        ("arn:aws:iam::*:role/*", False),
        ("arn:aws:iam:*:user/alice", None),
        ("arn:aws:iam*:user/alice", None),
        ("arn:aws:iam::1*:user/bob:user/alice", False),
        ("arn:a*3:user/alice:x:y:z", False),
        ("*alice", None),
        ("arn:aws:i*2223333:user/alice", None),
        ("arn:aws:iam::1111?2223333:user/alice", True),
        ("arn:aws:iam:?111122223333:user/alice", None),
        ("alice", False),
    ],
)
def test_wildcards_in_an_arn(pattern: str, truth: Truth) -> None:
    """A part that is missing is `*`; a wildcard that must take a colon in decides nothing (aws-facts §4.6b)."""
    assert resource(pattern)(ALICE) is truth


def test_an_arn_with_a_wildcard_in_another_part_goes_past_a_colon() -> None:
    """A complete pattern that matches only across the parts is not known to match."""
    assert resource("arn:aws:iam:*:x:*")("arn:aws:iam:eu:y:x:z") is None


@pytest.mark.parametrize(
    ("template", "negated", "truth"),
    [
        ("arn:aws:iam::111122223333:user/${aws:username}", False, True),
        ("arn:aws:iam::111122223333:user/${aws:username}", True, True),
        ("arn:aws:iam::111122223333:user/${aws:unheardof}", False, None),
        ("arn:aws:iam::111122223333:role/${aws:unheardof}", False, False),
        ("arn:aws:iam::111122223333:user/${aws:sourceidentity}", False, False),
        ("arn:aws:iam::111122223333:user/${aws:sourceidentity}", True, None),
        ("arn:aws:iam::111122223333:role/${aws:sourceidentity}", True, None),
        ("arn:aws:iam::111122223333:user/${aws:sourceidentity, 'alice'}", True, True),
        ("arn:aws:iam::111122223333:user/${aws:sourceidentity, 'x:y'}", False, False),
        ("arn:aws:iam::${aws:PrincipalAccount}:user/alice", False, False),
        ("arn:aws:iam::${aws:PrincipalAccount}:user/alice", True, None),
        ("arn:aws:iam::${aws:PrincipalAccount, '111122223333'}:user/alice", False, False),
        ("arn:aws:iam::${aws:unheardof}:user/alice", False, False),
        ("arn:aws:${aws:username}::111122223333:user/alice", False, False),
        ("arn:${*}:iam::111122223333:user/alice", False, False),
        ("arn:aws:iam::${aws:PrincipalAccount}", False, False),
        ("arn:*:user/${aws:username}", False, None),
        ("arn:*:role/${aws:username}", False, False),
        ("arn:*:role/${aws:username}", True, None),
        ("arn:*:user/${aws:sourceidentity}", False, False),
        ("arn:aws:i*3:user/${aws:username}:x:y:z", False, False),
        ("arn:aws:iam:*:*3:user/${aws:username}", False, True),
    ],
)
def test_variables_in_an_arn(template: str, negated: bool, truth: Truth) -> None:  # noqa: FBT001 -- of the table
    """A variable counts after the fifth colon; before it, or without a value, the text matches no ARN (§4.6b)."""
    known = {**CONTEXT, "aws:principalaccount": ("111122223333",)}
    assert resource_with_variables(template, ALICE, known, negated=negated) is truth


def test_variables_in_an_arn_of_an_old_policy() -> None:
    """They are text there."""
    template = "arn:aws:iam::${aws:PrincipalAccount}:user/*"
    assert resource_with_variables(template, template, None, negated=False) is True
    assert resource_with_variables(template, ALICE, None, negated=False) is False
