"""What one principal has used of its bounds."""

from datetime import timedelta

import pytest
from msgspec.structs import replace

from bedrock_remediator.core.diagnosis import Diagnosis
from bedrock_remediator.core.grant import DiagnosisKind, Outcome
from bedrock_remediator.core.usage import (
    MOST_NAMED,
    Bounds,
    Share,
    Usage,
    also_named,
    beyond,
    beyond_counter,
    beyond_key,
    counts_requests,
    named,
    requests_told,
    row_beyond,
    share,
)
from tests.builders.grants import NOON, ROLE, pending_grant

BOUNDS = Bounds(requests=2, told=2, window=timedelta(minutes=60))
MINUTE = timedelta(minutes=1)


def diagnosis(kind: DiagnosisKind = DiagnosisKind.WRONG_IDENTIFIER, code: str = "profile_not_found") -> Diagnosis:
    """What is the matter."""
    return Diagnosis(kind=kind, code=code, reason="It is so.")


@pytest.mark.parametrize(
    ("sk", "outcome", "about", "expected"),
    [
        ("profile#x", Outcome.ASK, diagnosis(), Share.REQUESTS),
        ("profile#x", Outcome.AUTO, diagnosis(), None),
        ("profile#x", Outcome.REPORT, diagnosis(), None),
        ("advice#x", Outcome.REPORT, diagnosis(), Share.ADVICE),
        ("advice#x", Outcome.REPORT, diagnosis(DiagnosisKind.LEAKED_KEY, "quarantined"), Share.LEAKED_KEYS),
        ("advice#x", Outcome.REPORT, diagnosis(DiagnosisKind.UNKNOWN, "identity_mismatch"), Share.MISMATCHES),
    ],
)
def test_a_row_takes_from_one_bound(sk: str, outcome: Outcome, about: Diagnosis, expected: Share | None) -> None:
    """What waits for a person, advice, and each kind of alert have a bound; what is granted or observed has another."""
    assert share(sk, outcome, about) is expected


@pytest.mark.parametrize("kind", [Share.ADVICE, Share.LEAKED_KEYS, Share.MISMATCHES])
def test_there_is_room_again_when_the_window_has_passed(kind: Share) -> None:
    """Each kind by itself, counted from when each row was opened."""
    usage = Usage(pk=ROLE)
    for minute in (0, 30):
        assert not usage.full(kind, BOUNDS, NOON + minute * MINUTE)
        usage = usage.after(kind, "advice#x", BOUNDS, NOON + minute * MINUTE)
    assert usage.full(kind, BOUNDS, NOON + 59 * MINUTE)
    assert not usage.full(kind, BOUNDS, NOON + 60 * MINUTE)
    assert not any(usage.full(other, BOUNDS, NOON) for other in set(Share) - {kind})
    assert usage.revision == 2


def test_what_is_kept_of_it_is_bounded() -> None:
    """However long it goes on: only what lies in the window is remembered."""
    usage = Usage(pk=ROLE)
    for hour in range(100):
        usage = usage.after(Share.ADVICE, "advice#x", BOUNDS, NOON + timedelta(hours=hour))
    assert len(usage.told[Share.ADVICE]) == 1


def test_requests_take_room_as_long_as_they_wait() -> None:
    """Whenever they were opened; the same one opened anew takes none."""
    usage = Usage(pk=ROLE)
    for sk in ("profile#a", "profile#b", "profile#a"):
        usage = usage.after(Share.REQUESTS, sk, BOUNDS, NOON)
    assert usage.requests == ("profile#b", "profile#a")
    assert usage.full(Share.REQUESTS, BOUNDS, NOON + timedelta(days=9))
    left = usage.waiting(lambda sk: sk == "profile#a")
    assert left == replace(usage, requests=("profile#a",))
    assert not left.full(Share.REQUESTS, BOUNDS, NOON)


@pytest.mark.parametrize(
    ("kind", "outcome", "code", "says"),
    [
        (Share.REQUESTS, Outcome.ASK, "too_many_requests", "3 (a, b, c)"),
        (Share.ADVICE, Outcome.REPORT, "too_many_targets", "9 different things within 60 minutes"),
        (Share.LEAKED_KEYS, Outcome.REPORT, "too_many_alerts", "9 different alerts"),
        (Share.MISMATCHES, Outcome.REPORT, "too_many_alerts", "9 different alerts"),
    ],
)
def test_what_is_beyond_a_bound_is_told_with_its_number(kind: Share, outcome: Outcome, code: str, says: str) -> None:
    """By a row that nobody can approve, and that takes the name of what AWS confirmed only."""
    about, decision = beyond(kind, 7, ["a", "b", "b", "c"], BOUNDS)
    assert (decision.outcome, decision.code, about.code) == (outcome, code, code)
    assert says in decision.reason
    assert (about.grantable, about.ask_only, about.resources) == (False, True, ())
    assert about.candidates == (("a", "b", "c") if kind is Share.REQUESTS else ())


def test_each_bound_has_a_row_and_a_counter_of_its_own() -> None:
    """So that none of them displaces another's."""
    assert len({beyond_key(kind) for kind in Share}) == len({beyond_counter(kind) for kind in Share}) == len(Share)
    row = row_beyond(Share.REQUESTS, pending_grant())
    assert counts_requests(row)
    assert not counts_requests(pending_grant())


def test_names_are_added_until_there_are_enough() -> None:
    """Then the row stays as it is, however many more there are."""
    row = replace(row_beyond(Share.REQUESTS, pending_grant()), candidates=("a",))
    row = also_named(row, ["a"], BOUNDS)
    assert row.candidates == ("a",)
    row = also_named(row, [str(number) for number in range(100)], BOUNDS)
    assert len(row.candidates) == MOST_NAMED
    assert f"{MOST_NAMED} or more (a, 0, 1" in row.reason
    assert also_named(row, ["another"], BOUNDS) is row
    assert named(["x", "x"]) == ("x",)
    assert "1 (x)" in requests_told(["x"], BOUNDS)
