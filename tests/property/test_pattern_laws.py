from hypothesis import given, settings
from hypothesis import strategies as st

from bedrock_remediator.core.iam.patterns import expand, literal, matches, resource, resource_with_variables

law = settings(max_examples=200, deadline=None)
texts = st.text("ab:*?$\n", max_size=8)
patterns = st.text("ab:*?", max_size=8)
names = st.sampled_from(["aws:username", "aws:userid", "aws:sourceidentity"])
templates = st.lists(
    st.one_of(
        patterns,
        names.map("${{{}}}".format),
        names.map("${{{}, 'b'}}".format),
        st.sampled_from(["${*}", "${?}", "${$}", "${", "${aws:username"]),
    ),
    max_size=5,
).map("".join)
known = st.dictionaries(names, st.lists(texts, max_size=2).map(tuple))


def by_definition(pattern: str, text: str) -> bool:
    """Whether the pattern matches, worked out for every prefix of both: slow, and plainly right."""
    reached = {0}
    for character in pattern:
        if character == "*":
            reached = set(range(min(reached, default=len(text) + 1), len(text) + 1))
        else:
            reached = {at + 1 for at in reached if at < len(text) and character in ("?", text[at])}
    return len(text) in reached


@law
@given(patterns, texts)
def test_matching_is_what_the_wildcards_mean(pattern: str, text: str) -> None:
    """A pattern matches exactly the texts that its definition says."""
    assert matches(pattern, text) == by_definition(pattern, text)


@law
@given(patterns, texts)
def test_a_resource_matches_no_more_than_its_wildcards_mean(pattern: str, text: str) -> None:
    """What may match does so by the definition, as it stands or with its missing parts; itself it surely matches."""
    arn = f"arn:a:b:c:d:{text}"
    for each in (pattern, f"arn:*:{pattern}", f"arn:a:b*:c:d:{pattern}"):
        found = resource(each)(arn)
        completed = each + ":*" * max(0, 5 - each.count(":"))
        assert found is False or by_definition(each, arn) or by_definition(completed, arn)
        assert found is not False or not by_definition(each, arn)
    assert resource(arn)(arn) is True


@law
@given(patterns)
def test_a_pattern_matches_itself(pattern: str) -> None:
    """Read as text, a pattern is one of those that it matches."""
    assert matches(pattern, pattern)


@law
@given(st.text(max_size=8), st.text(max_size=8))
def test_a_literal_matches_one_text(text: str, other: str) -> None:
    """The literal pattern of a text matches that text alone, whatever its characters."""
    assert matches(literal(text), text)
    assert matches(literal(text), other) == (text == other)


@law
@given(texts, texts)
def test_a_variables_value_is_no_pattern(value: str, text: str) -> None:
    """A caller who may choose a variable's value (a session's name, a tag) matches that text and no other."""
    template, arn = "arn:aws:iam:::${aws:username}", f"arn:aws:iam:::{text}"
    known = {"aws:username": (value,)}
    assert resource_with_variables(template, arn, known, negated=False) is (value == text)


@law
@given(templates, texts, known, known, st.booleans())
def test_learning_a_variable_takes_nothing_back(
    template: str,
    text: str,
    before: dict[str, tuple[str, ...]],
    learned: dict[str, tuple[str, ...]],
    negated: bool,  # noqa: FBT001 -- drawn by hypothesis
) -> None:
    """What is matched, or surely not, whatever the unknown variables are stays so once they are known."""
    sooner = resource_with_variables(template, text, before, negated=negated)
    assert sooner in (None, resource_with_variables(template, text, learned | before, negated=negated))


@law
@given(templates, known)
def test_expanding_is_certain_when_all_is_known(template: str, context: dict[str, tuple[str, ...]]) -> None:
    """Without variables in it, a template is a certain pattern: itself."""
    pattern = expand(template.replace("$", "a"), context)
    assert pattern
    assert (pattern.text, pattern.certain) == (template.replace("$", "a"), True)
