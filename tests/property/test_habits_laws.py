"""Laws of what is known of a principal: a stolen key does not come to be known before its day, however it is used."""

from datetime import timedelta
from typing import Final

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct

from bedrock_remediator.core.suspicion import KNOWN_AFTER, Call, Habits, ProbeLimits, Trait, is_new, of_call
from tests.builders.grants import NOON, ROLE

LIMITS: Final = ProbeLimits(profiles=1000, grants_a_day=1000)
MINUTE: Final = timedelta(minutes=1)


class Step(Struct, frozen=True):
    """One denied call: so many minutes after the one before, from an address, by a client."""

    minutes: int
    address: str
    client: str


def call(at: int, address: str, client: str) -> Call:
    """The call."""
    time = NOON + at * MINUTE
    return Call(time=time, caller="AROAFIRST", address=address, client=client, targets={"a": time})


THEFT: Final = st.builds(
    Step,
    minutes=st.integers(0, 90),
    address=st.integers(0, 40).map("thief{}".format),
    client=st.integers(0, 15).map("tool{}".format),
)
HONEST: Final = st.builds(Step, minutes=st.integers(0, 240), address=st.just("home"), client=st.just("boto3"))
FLOOD: Final = st.lists(THEFT, min_size=20, max_size=60)


@given(st.lists(THEFT | HONEST, max_size=80) | FLOOD)
@settings(max_examples=300, deadline=None)
def test_no_interleaving_makes_a_stolen_key_known_within_its_day(steps: list[Step]) -> None:
    """Whoever was not the first is new until a day after it was really seen first, and the first is never forgotten."""
    habits = Habits(pk=ROLE).after(call(0, "home", "boto3"))
    really: dict[str, int] = {"home": -(10**6), "boto3": -(10**6)}
    now = 0
    for step in steps:
        now += step.minutes
        this = call(now, step.address, step.client)
        for traits, value in ((habits.addresses, step.address), (habits.clients, step.client)):
            early = now - really.get(value, now) < KNOWN_AFTER / MINUTE
            assert not early or is_new(traits, value, this.time)
        if step.address != "home" and now - really.get(step.address, now) < KNOWN_AFTER / MINUTE:
            assert of_call(habits, this, LIMITS, day="2026-11-20", address_expected=False)
        for value in (step.address, step.client):
            really.setdefault(value, now)
        habits = habits.after(this)
        assert Trait("home", NOON, founder=True) in habits.addresses
        assert Trait("boto3", NOON, founder=True) in habits.clients
        assert sum(trait.founder for trait in habits.addresses) == sum(trait.founder for trait in habits.clients) == 1
        assert (len(habits.addresses) <= 20, len(habits.clients) <= 10) == (True, True)
        assert not is_new(habits.addresses, "home", this.time)


@given(FLOOD, st.lists(st.sampled_from(["home", "office", "train", "phone"]), min_size=4, max_size=20))
@settings(max_examples=200, deadline=None)
def test_no_flood_makes_an_honest_place_forgotten(flood: list[Step], places: list[str]) -> None:
    """What has been known for a day stays so, however many addresses a thief comes from in the next."""
    habits = Habits(pk=ROLE)
    for number, place in enumerate(places):
        habits = habits.after(call(-3 * 24 * 60 + number, place, "boto3"))
    now = 0
    for step in flood:
        now += step.minutes % 20
        habits = habits.after(call(now, step.address, step.client))
    later = NOON + (now + 1) * MINUTE
    assert not any(is_new(habits.addresses, place, later) for place in places)
    if len({step.address for step in flood}) > 12 and now < 24 * 60:
        assert habits.is_crowded(later)


@given(st.lists(st.tuples(st.integers(180, 900), st.integers(0, 30)), max_size=120))
@settings(max_examples=200, deadline=None)
def test_somebody_who_roams_is_never_taken_for_a_flood(moves: list[tuple[int, int]]) -> None:
    """A few places a day, old and new ones: none of that crowds, and the first place is always known."""
    habits = Habits(pk=ROLE).after(call(0, "home", "boto3"))
    now = 0
    for minutes, place in moves:
        now += minutes
        habits = habits.after(call(now, f"place{place}", "boto3"))
        assert not habits.is_crowded(NOON + now * MINUTE)
        assert not is_new(habits.addresses, "home", NOON + now * MINUTE)


@given(FLOOD, st.integers(0, 30))
@settings(max_examples=150, deadline=None)
def test_a_successor_inherits_nothing(flood: list[Step], cut: int) -> None:
    """A principal made anew under the name has a first address of its own, and asks for a day all the same."""
    habits, now = Habits(pk=ROLE).after(call(0, "home", "boto3")), 0
    for step in flood[:cut]:
        now += step.minutes
        habits = habits.after(call(now, step.address, step.client))
    anew = Call(time=NOON + now * MINUTE, caller="AROASECOND", address="home", client="boto3", targets={})
    found = of_call(habits, anew, LIMITS, day="2026-11-20", address_expected=False)
    assert found is not None
    assert found.code == "new_principal"
