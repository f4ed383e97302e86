"""What is kept of a principal's denied calls, and what counts as new."""

from datetime import datetime, timedelta

import pytest

from bedrock_remediator.core.suspicion import (
    KNOWN_AFTER,
    TARGETS,
    Call,
    Habits,
    Trait,
    address_name,
    client_name,
    distinct,
    is_new,
    target_name,
)
from tests.builders.grants import NOON, ROLE

HOUR = timedelta(hours=1)


def call(
    at: datetime = NOON,
    address: str | None = "192.0.2.1",
    client: str | None = "boto3",
    target: str = "a",
    caller: str = "AROAFIRST",
) -> Call:
    """One denied call."""
    return Call(time=at, caller=caller, address=address, client=client, targets={target: at})


def test_a_call_is_remembered() -> None:
    """Address and client with the time they were seen first, the target with the time it was seen last."""
    habits = Habits(pk=ROLE).after(call()).after(call(NOON + HOUR))
    assert habits == Habits(
        pk=ROLE,
        principal_id="AROAFIRST",
        addresses=(Trait("192.0.2.1", NOON, founder=True),),
        clients=(Trait("boto3", NOON, founder=True),),
        targets=(Trait("a", NOON + HOUR),),
        revision=2,
    )


def test_a_principal_made_anew_is_a_stranger_for_a_day() -> None:
    """Nothing that its predecessor used speaks for it; what was denied and granted under the name still counts."""
    before = Habits(pk=ROLE).after(call(address="home")).spent("2026-11-20")
    anew = call(NOON + HOUR, address="elsewhere", target="b", caller="AROASECOND")
    habits = before.after(anew)
    assert (habits.principal_id, habits.remade_at) == ("AROASECOND", NOON + HOUR)
    assert habits.addresses == (Trait("elsewhere", anew.time, founder=True),)
    assert habits.clients == (Trait("boto3", anew.time, founder=True),)
    assert [trait.value for trait in habits.targets] == ["a", "b"]
    assert habits.granted_on("2026-11-20") == 1
    assert before.of(anew).is_stranger(anew.time)
    later = habits.after(call(NOON + 2 * HOUR, caller="AROASECOND"))
    assert later.remade_at == anew.time
    assert later.is_stranger(anew.time + KNOWN_AFTER - timedelta(seconds=1))
    assert not later.is_stranger(anew.time + KNOWN_AFTER)


def test_a_principal_that_was_never_seen_is_no_stranger() -> None:
    """There is no name that it could have taken over."""
    habits = Habits(pk=ROLE).after(call()).after(call(NOON + HOUR))
    assert not habits.is_stranger(NOON)
    assert habits.remade_at is None


def test_what_a_record_does_not_tell_is_not_remembered() -> None:
    """An absent address or client changes nothing."""
    habits = Habits(pk=ROLE).after(call(address=None, client=None))
    assert (habits.addresses, habits.clients) == ((), ())


def test_the_lists_are_bounded_and_lose_what_was_used_least_lately() -> None:
    """However many addresses, clients and models an attacker comes with."""
    habits = Habits(pk=ROLE)
    for number in range(200):
        habits = habits.after(call(NOON + number * HOUR, f"ip{number}", f"client{number}", f"model{number}"))
        habits = habits.after(call(NOON + number * HOUR, "home", "boto3", "mine"))
    assert (len(habits.addresses) <= 20, len(habits.clients) <= 10, len(habits.targets)) == (True, True, TARGETS)
    assert habits.addresses[-1] == Trait("home", NOON)
    assert Trait("ip0", NOON, founder=True) in habits.addresses
    assert {"mine", "model199"} <= {trait.value for trait in habits.targets}


def test_the_first_address_is_known_at_once() -> None:
    """There is nothing to compare it with; nor is a missing one ever new."""
    first = Habits(pk=ROLE).after(call()).addresses
    assert not is_new((), "192.0.2.1", NOON)
    assert not is_new(first, "192.0.2.1", NOON)
    assert not is_new(first, None, NOON)


def test_no_other_address_comes_to_be_the_first() -> None:
    """What an earlier release kept names none: there, each is known after its day."""
    assert is_new((Trait("192.0.2.1", NOON),), "192.0.2.1", NOON)
    assert not is_new((Trait("192.0.2.1", NOON),), "192.0.2.1", NOON + KNOWN_AFTER)


def test_a_flood_of_addresses_pushes_out_nothing_that_is_known() -> None:
    """28 junk denials from 28 addresses in four hours: the principal's own stay, and the flood is told of for a day."""
    habits = Habits(pk=ROLE)
    for day, place in enumerate(("home", "office", "train")):
        habits = habits.after(call(NOON - (5 - day) * KNOWN_AFTER, place))
    for number in range(28):
        at = NOON + number * timedelta(minutes=8)
        habits = habits.after(call(at, f"junk{number}", target=f"junk{number}"))
        assert is_new(habits.addresses, f"junk{number}", at)
    end = NOON + 4 * HOUR
    assert not any(is_new(habits.addresses, place, end) for place in ("home", "office", "train"))
    assert all(is_new(habits.addresses, f"junk{number}", end) for number in range(28))
    assert habits.is_crowded(end)
    assert not habits.is_crowded(end + KNOWN_AFTER)
    assert len(habits.addresses) <= 20


def test_many_kinds_of_client_crowd_too() -> None:
    """The caller writes what it is called by."""
    habits = Habits(pk=ROLE).after(call())
    for number in range(6):
        habits = habits.after(call(NOON + number * HOUR, client=f"junk{number}"))
    assert habits.is_crowded(NOON + 6 * HOUR)
    assert not is_new(habits.clients, "boto3", NOON + 6 * HOUR)


def test_somebody_who_travels_crowds_nothing() -> None:
    """A new address each morning and each night: each is known after its day, and the one used least lately is lost."""
    habits = Habits(pk=ROLE)
    for number in range(60):
        habits = habits.after(call(NOON + number * 12 * HOUR, f"hotel{number}"))
        assert not habits.is_crowded(NOON + number * 12 * HOUR)
    assert habits.addresses[0] == Trait("hotel0", NOON, founder=True)
    assert [trait.value for trait in habits.addresses[1:]] == [f"hotel{number}" for number in range(41, 60)]


def test_a_call_through_an_endpoint_goes_by_the_endpoint() -> None:
    """Behind it, anybody's addresses are anybody's: those of a thief's VPC are whatever the thief likes."""
    assert address_name("10.1.2.3", "vpce-0a1b2c3d") == address_name("10.9.9.9", "vpce-0a1b2c3d") == "vpce-0a1b2c3d"
    habits = Habits(pk=ROLE).after(call(address=address_name("10.1.2.3", "vpce-0a1b2c3d")))
    assert is_new(habits.addresses, address_name("10.1.2.3", "vpce-0fedcba9"), NOON + 9 * KNOWN_AFTER)
    assert is_new(habits.addresses, address_name("10.1.2.3"), NOON + 9 * KNOWN_AFTER)


def test_a_later_address_is_new_for_a_day() -> None:
    """So the first call of a stolen key does not vouch for its second."""
    traits = (Trait("home", NOON), Trait("elsewhere", NOON + HOUR))
    assert is_new(traits, "never seen", NOON + 100 * KNOWN_AFTER)
    assert is_new(traits, "elsewhere", NOON + 2 * HOUR)
    assert is_new(traits, "elsewhere", NOON + HOUR + KNOWN_AFTER - timedelta(seconds=1))
    assert not is_new(traits, "elsewhere", NOON + HOUR + KNOWN_AFTER)


def test_grants_are_counted_a_day() -> None:
    """Another day begins at nothing."""
    habits = Habits(pk=ROLE).spent("2026-11-20").spent("2026-11-20")
    assert (habits.granted_on("2026-11-20"), habits.granted_on("2026-11-21")) == (2, 0)
    assert habits.spent("2026-11-21").granted_on("2026-11-21") == 1


@pytest.mark.parametrize(
    ("names", "number"),
    [
        ({"us.amazon.nova-pro-v1:0", "amazon.nova-pro-v1:0"}, 1),
        ({"us.amazon.nova-pro-v1:0", "global.amazon.nova-pro-v1:0"}, 2),
        ({"us.amazon.nova-pro-v1:0", "global.amazon.nova-pro-v1:0", "amazon.nova-pro-v1:0"}, 2),
        ({"us.amazon.nova-pro-v1:0", "us.amazon.nova-lite-v1:0"}, 2),
        (set(), 0),
    ],
)
def test_a_profile_and_its_model_are_one(names: set[str], number: int) -> None:
    """A call through a profile is denied on the profile, or on one of its models."""
    assert distinct(names) == number


def test_names_are_short() -> None:
    """What is called loses its ARN; what is too long, or no ASCII, becomes a digest."""
    assert target_name("arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-pro-v1:0") == "amazon.nova-pro-v1:0"
    assert len(target_name("x" * 5000)) == len(target_name("é")) == 64
    assert address_name(" 2001:DB8::1 ") == "2001:db8::1"
    assert address_name("") is address_name(None) is address_name(" ") is None
    assert len(address_name("9" * 500) or "") == 64


@pytest.mark.parametrize(
    ("user_agent", "name"),
    [
        ("Boto3/1.44.5 md/Botocore#1.44.5 ua/2.1 os/linux#6.1 md/arch#x86_64 lang/python#3.12", "boto3 os/linux"),
        ("aws-cli/2.15 md/awscrt os/macos#14", "aws-cli os/macos"),
        ("Mozilla/5.0 (X11; Linux)", "mozilla"),
        ("", None),
        (None, None),
        ("/", None),
    ],
)
def test_a_kind_of_client_has_no_version(user_agent: str | None, name: str | None) -> None:
    """An upgrade is no new client; another operating system is."""
    assert client_name(user_agent) == name


def test_a_client_of_any_length_is_short() -> None:
    """The caller writes it."""
    assert len(client_name("x" * 1000) or "") == 64
