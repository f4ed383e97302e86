"""A function may die at any call: before it, or when AWS has done it and the function has not heard of it yet.

What was to be done is delivered again: by the queue, the stream, the schedule, or a person who presses once more. The
ledger, IAM and what people were told end as if nobody had died.
"""

import pytest

from sandbox.faults import Way
from tests.builders.repertoire import REPERTOIRE
from tests.builders.trials import die, undisturbed, writes_of
from tests.conftest import Count

FUNCTIONS = sorted({story.watched for story in REPERTOIRE.values()})
"""Those that a story watches: all."""


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_death_after_a_write_changes_no_ending(function: str, count: Count) -> None:
    """After each kind of write that a function makes, where it is first made."""
    seen: set[str] = set()
    for name, story in REPERTOIRE.items():
        for place, call in writes_of(name) if story.watched == function else ():
            if call.name not in seen:
                die(name, place, Way.KILLED_AFTER)
            seen.add(call.name)
    assert seen
    count("deaths after a write", len(seen))


@pytest.mark.long
@pytest.mark.parametrize("way", [Way.KILLED_BEFORE, Way.KILLED_AFTER])
@pytest.mark.parametrize("name", REPERTOIRE)
def test_a_death_at_any_call_changes_no_ending(name: str, way: Way, count: Count) -> None:
    """At every call that the story makes, on either side of it."""
    calls = undisturbed(name).calls
    for place in range(1, len(calls) + 1):
        die(name, place, way)
    count(f"deaths: {way} a call", len(calls))
