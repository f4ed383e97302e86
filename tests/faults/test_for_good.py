"""What does not pass: an operation that is refused or throttled for ever, and what nobody but its own work suffers.

A write that IAM refuses for good ends the row as `failed`, with the reason and a notice, and leaves IAM as it was. What
one principal's work meets holds up no other's.
"""

from typing import Final

import pytest

from bedrock_remediator.core.grant import Grant, State
from sandbox.catalogue import failures
from sandbox.faults import Fault, Lasting, Way
from tests.builders.endings import in_iam
from tests.builders.repertoire import REPERTOIRE, STRATEGIES
from tests.builders.small_world import APP, BARE, denial, profile_arn
from tests.builders.soundness import grants
from tests.builders.stories import Part, Stage, Story
from tests.builders.trials import writes_of
from tests.conftest import Count

SEEN_AGAIN: Final = frozenset({"NoSuchEntity", "NoSuchEntityException"})
"""What is gone may be there when it is looked for again, so the message is delivered again."""


@pytest.mark.parametrize(
    "strategy", [STRATEGIES[0], *(pytest.param(each, marks=pytest.mark.long) for each in STRATEGIES[1:])]
)
def test_a_write_that_iam_refuses_for_good_ends_the_row(strategy: str, count: Count) -> None:
    """Every write to IAM, refused in every final way: failed, with the reason; people know; nothing is left of it."""
    name = f"a first grant, {strategy}"
    untouched = Story(name="nothing", watched="RemediateFunction", act=lambda _: None).play().ending.iam["principals"]
    tried = 0
    for place, call in writes_of(name):
        if call.service != "iam":
            continue
        for failure in failures("iam", call.operation):
            if failure.passing or failure.error.code in SEEN_AGAIN:
                continue
            rows: list[Grant] = []
            fault = Fault(place=place, way=Way.REFUSED, error=failure.error, lasting=Lasting.FOREVER)
            played = REPERTOIRE[name].play(fault, look=_into(rows))
            assert not played.unsound, f"{fault}: {played.unsound}"
            assert not played.ending.lost
            assert [(row.state, bool(row.reason_code), row.written) for row in rows] == [(State.FAILED, True, None)]
            assert "a fault for a test" in rows[0].reason
            assert played.ending.iam["principals"] == untouched
            tried += 1
    assert tried
    count("errors: refused for ever, by a write to IAM", tried)


def _into(rows: list[Grant]) -> Part:
    """Notes the ledger's rows."""
    return lambda stage: rows.extend(grants(stage.sandbox))


def _both(stage: Stage) -> None:
    stage.deny(denial(BARE, profile_arn(0), 1), denial(APP, profile_arn(0), 2))


@pytest.mark.parametrize(
    "function", ["TriageFunction", pytest.param("RemediateFunction", marks=pytest.mark.long), "NotifyFunction"]
)
def test_one_principals_trouble_holds_up_nobody(function: str, count: Count) -> None:
    """Whatever call for one principal is throttled for ever, the other's denial ends as it would have, and people know.

    What cannot be done is given up within its limit, and waits among the dead letters.
    """
    story = Story(name="two principals", watched=function, act=_both)
    alone = Fault(place=10_000, way=Way.REFUSED, about="bare")
    calls = story.play(alone).calls
    # A call that is about both is the table's trouble, not one principal's.
    own = [(place, call) for place, call in enumerate(calls, 1) if "role/service/app" not in str(call.parameters)]
    operations = {call.name: place for place, call in reversed(own)}
    for name, place in operations.items():
        service, _, operation = name.partition(":")
        throttled = failures(service, operation)[0].error
        fault = Fault(place=place, way=Way.REFUSED, error=throttled, lasting=Lasting.FOREVER, about="bare")
        ends: list[tuple[State, int]] = []

        def look(stage: Stage, ends: list[tuple[State, int]] = ends) -> None:
            told = [notice for notice in stage.sandbox.outbox.notices if "role app" in str(notice.subject)]
            ends.extend((row.state, len(told)) for row in grants(stage.sandbox) if row.pk == APP)

        played = story.play(fault, look=look)
        assert played.spoiled
        assert ends == [(State.ACTIVE, 1)], f"{fault}, {name}"
        assert not played.ending.unmarked
    count("errors: throttled for ever, for one principal", len(operations))


@pytest.mark.parametrize("name", ["a second grant, managed", "news of a request and its end", "a policy was edited"])
def test_the_whole_stream_again_changes_nothing(name: str) -> None:
    """Read from TRIM_HORIZON, at once and when FIFO has forgotten what it knew, it moves no row and tells nobody."""
    held: list[tuple[int, object, object]] = []

    def replay(stage: Stage) -> None:
        for wait in (None, 0, 600):
            if wait is not None:
                stage.later(seconds=wait)
                stage.sandbox.replay()
            held.append((len(stage.sandbox.outbox.notices), stage.sandbox.ledger.items(), in_iam(stage.sandbox)))

    REPERTOIRE[name].play(look=replay)
    assert held[1] == held[0]
    assert held[2] == held[0]
