"""Slack's own trouble, at every request that it gets: it wants a pause, fails, or does not answer.

Whatever it is, the channel ends up showing what it would have, the ledger and IAM are the same, and what was posted
twice, because nobody knew whether it had been, says so the second time.
"""

from typing import Final

import pytest

from tests.builders.endings import differences
from tests.builders.repertoire import REPERTOIRE, SLACK
from tests.builders.slack import Fault, after_posting, failing, limited, silent
from tests.builders.trials import undisturbed
from tests.conftest import Count

TROUBLES: Final[dict[str, Fault]] = {
    "429": limited("40"),
    "500": failing(),
    "no answer, nothing done": silent,
    "no answer, and it was done": after_posting,
}


def _trouble(name: str, *troubles: Fault | None, twice: int) -> None:
    """Play a story in which Slack has troubles, one a request; `twice` messages of the channel may be there twice."""
    expected = undisturbed(name)
    played = REPERTOIRE[name].play(like=expected.ending, troubles=troubles)
    found = differences(expected.ending, played.ending)
    assert not found, "\n".join(found)
    assert not played.unsound
    # What was posted and never answered stays as it was, beside the message that goes on.
    assert set(expected.shown) <= set(played.shown)
    assert len(played.shown) <= len(expected.shown) + twice


def test_slacks_troubles_change_no_ending(count: Count) -> None:
    """One after the other, with a first message, its update and a word in its thread."""
    troubles = [after_posting, limited("40"), None, failing(), None, silent]
    _trouble("Slack: a request and its decision", *troubles, twice=1)
    count("Slack's trouble: in one story", len(troubles) - troubles.count(None))


@pytest.mark.long
@pytest.mark.parametrize("trouble", TROUBLES)
@pytest.mark.parametrize("name", [story.name for story in SLACK])
def test_slacks_trouble_with_any_request_changes_no_ending(name: str, trouble: str, count: Count) -> None:
    """At every request: a message, an update of it, a word in its thread, an answer to whoever pressed."""
    asked = undisturbed(name).asked
    assert asked
    for place in range(1, asked + 1):
        fault = TROUBLES[trouble]
        _trouble(name, *[None] * (place - 1), fault, twice=1 if fault is after_posting else 0)
    count("Slack's trouble: with a request", asked)
