import pytest

from bedrock_remediator.core.iam.patterns import Truth, conjunction, disjunction, negation


@pytest.mark.parametrize(("truth", "opposite"), [(True, False), (False, True), (None, None)])
def test_negation(truth: Truth, opposite: Truth) -> None:
    """The opposite of what is unknown is unknown."""
    assert negation(truth) is opposite


@pytest.mark.parametrize(
    ("truths", "either", "both"),
    [
        ([], False, True),
        ([True, None], True, None),
        ([None, True], True, None),
        ([False, None], None, False),
        ([None, False], None, False),
        ([True, False], True, False),
        ([True, True], True, True),
        ([False, False], False, False),
    ],
)
def test_disjunction_and_conjunction(truths: list[Truth], either: Truth, both: Truth) -> None:
    """An unknown decides nothing, and spoils nothing that is decided without it."""
    assert disjunction(truths) is either
    assert conjunction(truths) is both
