"""Two who work at once: between any two calls of one, another does all of its own work.

Once everything is quiet, the ending is sound all the same: nothing is under way, every step in a row's history is one
that the state machine has, people know, and each principal's policies are exactly what its active grants compile to.
"""

from collections.abc import Callable
from typing import Final

import pytest

from sandbox.faults import Fault, Way
from tests.builders.repertoire import ASKING, ENDING, ROLE, STRATEGIES
from tests.builders.small_world import APP, denial, profile_arn
from tests.builders.stories import Part, Stage, Story
from tests.builders.trials import READS
from tests.conftest import Count

FIRST: Final = denial(APP, profile_arn(0))
SECOND: Final = denial(APP, profile_arn(1), 2)


def _decide(state: str, decision: str) -> Part:
    """Somebody decides about all requests in a state, by the API."""

    def decide(stage: Stage) -> None:
        for request in stage.call("GET", f"/api/requests?state={state}")["requests"]:
            body = {"decision": decision, "version": request["version"]}
            length = {"length": "none"} if decision == "approve" else {}
            stage.call("POST", f"/api/requests/{request['id']}", body | length)

    return decide


def _upkeep(stage: Stage) -> None:
    """Upkeep comes round, when a day's grant is over."""
    stage.later(days=2)
    schedule = next(each for each in stage.sandbox.schedules.values() if each.input.get("task") == "upkeep")
    schedule.start()


def _another(stage: Stage) -> None:
    """Another denial of the principal is triaged."""
    stage.sandbox.put(denial(APP, profile_arn(2), 3))
    stage.sandbox.turn("TriageFunction")


def _same_again(stage: Stage) -> None:
    """The very message is delivered to a second worker, as a queue may do."""
    stage.sandbox.repeat("RemediateFunction")


RIVALS: Final[dict[str, Part]] = {
    "somebody revokes what is active": _decide("active", "revoke"),
    "somebody approves what is pending": _decide("pending", "approve"),
    "somebody rejects what is pending": _decide("pending", "reject"),
    "upkeep ends what is over": _upkeep,
    "another denial is triaged": _another,
    "the message is delivered twice": _same_again,
}


def _revoked(stage: Stage) -> None:
    _decide("active", "revoke")(stage)
    stage.sandbox.run()


def _approved(stage: Stage) -> None:
    _decide("pending", "approve")(stage)
    stage.sandbox.run()


def _stories(strategy: str) -> dict[str, Story]:
    parameters = {"PolicyStrategy": strategy, "ApproverRoleArns": ROLE}

    def story(name: str, watched: str, before: Callable[[Stage], None], act: Part, allowlist: str) -> Story:
        return Story(
            name=name, watched=watched, before=before, act=act, allowlist=allowlist, parameters=parameters, after=_quiet
        )

    def first(stage: Stage) -> None:
        stage.deny(FIRST)

    def both(stage: Stage) -> None:
        stage.deny(FIRST, SECOND)

    return {
        "a second grant": story("a second grant", "RemediateFunction", first, lambda s: s.deny(SECOND), ENDING),
        "two revocations": story("two revocations", "RemediateFunction", both, _revoked, ENDING),
        "an approval": story("an approval", "ApproveFunction", first, _approved, ASKING),
        "an upkeep": story("an upkeep", "UpkeepFunction", first, _upkeep, ENDING),
        "a triage": story("a triage", "TriageFunction", lambda _: None, first, ENDING),
    }


def _quiet(stage: Stage) -> None:
    """Time goes by, and upkeep drives on what a lost race has left."""
    stage.sandbox.run()
    stage.later(minutes=20)
    stage.round("upkeep")


def _race(story: Story, rival: str, place: int) -> None:
    played = story.play(Fault(place=place, way=Way.OVERTAKEN), meanwhile=RIVALS[rival])
    assert played.spoiled == 1
    assert not played.unsound, f"at call {place} {rival}:\n" + "\n".join(played.unsound)
    assert not played.ending.unmarked, f"at call {place} {rival}: told twice, unmarked"
    assert not played.ending.lost, f"at call {place} {rival}: {played.ending.lost}"


@pytest.mark.parametrize("name", ["a second grant", "an approval"])
def test_whoever_overtakes_leaves_it_sound(name: str, count: Count) -> None:
    """Before each write somebody else is quicker; another rival at each."""
    story = _stories("managed")[name]
    calls = story.play().calls
    places = [place for place, call in enumerate(calls, 1) if not call.operation.startswith(READS)]
    rivals = list(RIVALS)
    for number, place in enumerate(places):
        _race(story, rivals[number % len(rivals)], place)
    count("races: before a write", len(places))


@pytest.mark.long
@pytest.mark.parametrize("rival", RIVALS)
@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("name", ["a second grant", "two revocations"])
def test_anybody_may_overtake_remediate_anywhere(name: str, strategy: str, rival: str, count: Count) -> None:
    """Before each call, every rival, under each strategy."""
    _everywhere(_stories(strategy)[name], rival, count)


@pytest.mark.long
@pytest.mark.parametrize("rival", RIVALS)
@pytest.mark.parametrize("name", ["an approval", "an upkeep", "a triage"])
def test_anybody_may_overtake_the_others_anywhere(name: str, rival: str, count: Count) -> None:
    """Before each call, every rival."""
    _everywhere(_stories("managed")[name], rival, count)


def _everywhere(story: Story, rival: str, count: Count) -> None:
    calls = story.play().calls
    for place in range(1, len(calls) + 1):
        _race(story, rival, place)
    count("races: before a call", len(calls))
