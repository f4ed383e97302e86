import pytest

from bedrock_remediator.core.patterns import Context, Pattern, expand, literal, matches, resembles
from bedrock_remediator.core.truth import Truth

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


def test_a_variable_known_to_be_absent_is_unknown_in_a_negation() -> None:
    """Nothing follows from what AWS leaves open: neither that the statement applies nor that it does not."""
    assert expand("x/${aws:SourceIdentity}", CONTEXT, negated=True) == Pattern("x/*", certain=False)


def test_variables_are_text_in_an_old_version() -> None:
    """Policies of before 2012-10-17 have no variables; their wildcards are wildcards still."""
    assert expand("${aws:username}/*", None) == Pattern("${aws:username}/*")


@pytest.mark.parametrize(("variables", "text"), [(None, "a\0*${aws:username}"), (CONTEXT, "a\0*alice")])
def test_wildcards_can_be_text(variables: Context | None, text: str) -> None:
    """Where an operator compares whole strings, `*` is an asterisk."""
    assert expand("a*${aws:username}", variables, wildcards=False) == Pattern(text)


@pytest.mark.parametrize(
    ("template", "negated", "truth"),
    [
        ("role/${aws:username}", False, True),
        ("role/${aws:unheardof}", False, None),
        ("user/${aws:unheardof}", False, False),
        ("role/${aws:sourceidentity}", False, False),
        ("role/${aws:sourceidentity}", True, None),
        ("user/${aws:sourceidentity}", True, False),
    ],
)
def test_resembles(template: str, negated: bool, truth: Truth) -> None:  # noqa: FBT001 -- a parameter of the table above
    """What an unknown variable could match is unknown; what no value of it could match is not."""
    assert resembles(template, "role/alice", CONTEXT, negated=negated) is truth
