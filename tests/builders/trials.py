"""Plays stories with a fault, and holds their ending against the one that they have undisturbed."""

from collections.abc import Iterator
from functools import cache
from typing import Final

from msgspec.structs import replace

from sandbox.calls import ApiError, Call
from sandbox.catalogue import failures
from sandbox.faults import Fault, Lasting, Way
from tests.builders.endings import differences
from tests.builders.repertoire import REPERTOIRE
from tests.builders.stories import Played

READS: Final = ("Get", "List", "Query", "BatchGet", "Simulate", "Verify", "Generate")
PROVES_NOTHING: Final = frozenset(
    {"iam:SimulatePrincipalPolicy", "organizations:DescribeAccount", "ssm:GetParametersByPath"}
)
"""Calls whose failure changes the ending by design. An allowlist that cannot be read makes everything ask. A simulator
that does not answer proves nothing, so a grant stays as `inconclusive`, whatever it would have said. An account whose
name nobody says is called by its id."""
ANSWERS: Final = frozenset({"KMSInvalidMacException"})
"""Errors by which AWS says no to what it was asked: that a row is forged (tests/faults/test_forgeries.py)."""
NOT_THERE: Final = ApiError("NoSuchEntity", "a fault for a test", 404)
"""What IAM, which is eventually consistent, may say for seconds of what has just been written."""

STALE: Final = ApiError("ExpiredToken", "a fault for a test", 403)
"""What AWS says to the credentials of a role that was deleted, or made anew, since it was assumed."""


@cache
def undisturbed(name: str) -> Played:
    """The story as it goes when nothing fails."""
    played = REPERTOIRE[name].play()
    assert not played.errors
    assert not played.unsound
    assert not played.ending.unmarked
    return played


def writes_of(name: str) -> Iterator[tuple[int, Call]]:
    """The calls of a story that change anything, with their places."""
    for place, call in enumerate(undisturbed(name).calls, 1):
        if not call.operation.startswith(READS):
            yield place, call


def die(name: str, place: int, way: Way) -> None:
    """Play the story with a death: it must end as ever."""
    expected = undisturbed(name)
    fault = Fault(place=place, way=way)
    played = REPERTOIRE[name].play(fault, expected.ending)
    assert played.spoiled == 1
    _require_same(expected, played, fault)


def fail(name: str, place: int, fault: Fault, *, passing: bool) -> None:
    """Play the story with a fault at a place: it must end soundly, and as ever if the fault passes.

    So it must if the slack function is refused something for good, once: it changes nothing but what Slack shows.
    """
    expected = undisturbed(name)
    call = expected.calls[place - 1]
    fault = replace(fault, place=place)
    played = REPERTOIRE[name].play(fault, expected.ending)
    what = f"{fault}, {call.name}:\n"
    assert played.spoiled >= 1
    assert not any("timed out" in error for error in played.errors), what + "it ran out of time"
    assert not played.unsound, what + "\n".join(played.unsound)
    assert not played.ending.unmarked, what + "told twice, unmarked:\n" + "\n".join(played.ending.unmarked)
    if call.caller == "SlackFunction":
        assert set(expected.shown) <= set(played.shown), what + "the channel shows something else"
    if (passing or call.caller == "SlackFunction") and call.name not in PROVES_NOTHING:
        _require_same(expected, played, fault)


def troubles(call: Call) -> Iterator[Fault]:
    """Every way for a call to fail that another try gets over. Its place is yet to be said."""
    for failure in failures(call.service, call.operation):
        if failure.passing:
            yield Fault(place=0, way=Way.REFUSED, error=failure.error, lasting=Lasting.INVOCATION)
    for way in (Way.UNREACHED, Way.UNHEARD):
        yield Fault(place=0, way=way)
        yield Fault(place=0, way=way, lasting=Lasting.INVOCATION)


def split(faults: Iterator[Fault], way: Way) -> tuple[list[Fault], list[Fault]]:
    """Those of a way, and the others."""
    found = list(faults)
    return [each for each in found if each.way is way], [each for each in found if each.way is not way]


def refusals(call: Call) -> Iterator[Fault]:
    """Every way for a call to be refused for good."""
    for failure in failures(call.service, call.operation):
        if not failure.passing and failure.error.code not in ANSWERS:
            yield Fault(place=0, way=Way.REFUSED, error=failure.error)


def may_be_denied(call: Call) -> bool:
    """Whether IAM may answer the call with `NOT_THERE`."""
    return call.service == "iam" and NOT_THERE.code in {each.error.code for each in failures("iam", call.operation)}


def _require_same(expected: Played, played: Played, fault: Fault) -> None:
    call = expected.calls[fault.place - 1]
    found = [each for each in differences(expected.ending, played.ending) if not _twice_aside(call, fault, each)]
    assert not found, f"{fault}, {call.name}:\n" + "\n".join(found)


def _twice_aside(call: Call, fault: Fault, difference: str) -> bool:
    """A message that was set aside, and nobody heard of it, is set aside again: a standard queue knows no better."""
    unheard = fault.way in {Way.KILLED_AFTER, Way.UNHEARD}
    return unheard and call.name == "sqs:SendMessage" and difference.startswith("lost DenialsDeadLetters: 1 -> ")
