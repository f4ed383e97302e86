"""The principal is deleted while something is done for it, and perhaps another one of its name is made.

Whichever call it happens before: what was under way ends, and says why. Nothing is left in IAM of what was granted, in
policies of our own or in others', and the successor holds what its predecessor began with and nothing more.
"""

from functools import cache
from typing import Any, Final

import pytest

from bedrock_remediator.core.grant import Grant, State
from sandbox.faults import Fault, Way
from sandbox.stack import Sandbox
from tests.builders.departures import delete, recreate
from tests.builders.endings import OUR_PATH, in_iam
from tests.builders.repertoire import REPERTOIRE, STRATEGIES
from tests.builders.small_world import APP, small_world
from tests.builders.soundness import grants
from tests.builders.stories import Part, Stage
from tests.builders.trials import undisturbed, writes_of
from tests.conftest import Count

ENDED: Final = frozenset({State.FAILED, State.REPORTED, State.REVOKED})
REASONS: Final = frozenset({"principal_missing", "principal_recreated", "in_place_unavailable"})
"""Why it ended. In place it may be the policy of which it is seen first: nobody holds it any more."""
MOST_ROUNDS: Final = 2


def _end(name: str, place: int, happening: Part) -> None:
    """Play a story in which the role goes before a call, and hold its end against the law."""
    story = REPERTOIRE[name]
    revoking: set[tuple[str, str]] = set()
    ends: list[tuple[list[Grant], dict[str, Any]]] = []

    def strike(stage: Stage) -> None:
        revoking.update(row.key for row in grants(stage.sandbox) if row.state is State.REVOKING)
        happening(stage)

    def look(stage: Stage) -> None:
        for _ in range(MOST_ROUNDS):
            if all(row.state in ENDED for row in _rows(stage)):
                break
            stage.later(hours=1)
            stage.round("upkeep")
        ends.append((_rows(stage), in_iam(stage.sandbox)))

    played = story.play(Fault(place=place, way=Way.OVERTAKEN), meanwhile=strike, look=look)
    what = f"{name}, {happening.__name__} before call {place}"
    ((rows, iam),) = ends
    assert played.spoiled == 1
    assert {row.state for row in rows} <= ENDED, what
    assert all(row.reason for row in rows), what
    assert {row.reason_code for row in rows if row.key not in revoking} <= REASONS, what
    assert not played.unsound, f"{what}: {played.unsound}"
    assert set(played.ending.lost) <= set(undisturbed(name).ending.lost), what
    assert iam["principals"][APP] == (_untouched()["principals"][APP] if happening is recreate else None), what
    assert _in_force(iam) == _in_force(_untouched()), what
    assert not [arn for arn in iam["policies"] if OUR_PATH in arn and "role.app." in arn], what


@cache
def _untouched() -> dict[str, Any]:
    """What IAM holds before anything happens."""
    with Sandbox(small_world()) as sandbox:
        return in_iam(sandbox)


def _in_force(iam: dict[str, Any]) -> dict[str, Any]:
    """What others' policies say."""
    return {arn: policy["in force"] for arn, policy in iam["policies"].items() if OUR_PATH not in arn}


def _rows(stage: Stage) -> list[Grant]:
    return [row for row in grants(stage.sandbox) if row.pk == APP]


def test_a_role_that_goes_before_a_write_holds_nothing(count: Count) -> None:
    """Before each write of a grant that is the second one: it is deleted, or another one has its name."""
    name = "a second grant, managed"
    places = [place for place, _ in writes_of(name)]
    for number, place in enumerate(places):
        _end(name, place, (recreate, delete)[number % 2])
    count("the principal is deleted: before a write", len(places))


WHATS: Final = ("a first grant", "a second grant", "one of two revoked", "the last one revoked")
STORIES: Final = ("a batch", *(f"{what}, {each}" for each in STRATEGIES for what in WHATS))


@pytest.mark.long
@pytest.mark.parametrize("happening", [delete, recreate])
@pytest.mark.parametrize("name", STORIES)
def test_a_role_that_goes_before_any_call_holds_nothing(name: str, happening: Part, count: Count) -> None:
    """Before each call of triage, of a first and a second grant and of a revocation, by each strategy."""
    calls = undisturbed(name).calls
    for place in range(1, len(calls) + 1):
        _end(name, place, happening)
    count("the principal is deleted: before a call", len(calls))
