"""Links that only this stack can make."""

from datetime import timedelta

import pytest
from itsdangerous import URLSafeTimedSerializer

from bedrock_remediator.flows.links.links import LinkError, Links, Sealer, SealError, Ticket
from tests.builders.clocks import StoppedClock
from tests.builders.decisions import KEY, FakeKeys, waiting
from tests.builders.grants import NOON

BASE = "https://a1b2c3.execute-api.us-east-1.amazonaws.com"
LASTING = timedelta(hours=72)
NEW, OLD = "n" * 32, "o" * 32


def links(keys: FakeKeys | None = None, clock: StoppedClock | None = None) -> Links:
    """Links that last three days."""
    return Links(keys or FakeKeys(), BASE + "/", LASTING, clock or StoppedClock(NOON))


def test_a_link_names_one_version_of_a_row() -> None:
    """The page that it leads to knows which."""
    row = waiting(version=3)
    url = links().url(row)
    base, token = url.rsplit("/", 1)
    assert base == f"{BASE}/request"
    assert links().read(token) == Ticket(row.pk, row.sk, 3)
    assert Ticket(row.pk, row.sk, 3).key == row.key


def test_a_link_that_only_shows_is_told_apart() -> None:
    """By the way it was sealed, which nobody can change."""
    row = waiting(version=3)
    ticket = links().read(links().look_url(row).rpartition("/")[2])
    assert ticket == Ticket(row.pk, row.sk, 3, look_only=True)
    assert links().token(ticket) != links().token(Ticket(row.pk, row.sk, 3))
    assert not links().read(links().url(row).rpartition("/")[2]).look_only


def test_looking_at_a_link_asks_for_no_keys() -> None:
    """Either kind opens with the keys that are known."""
    keys = FakeKeys()
    for url in (links().url(waiting()), links().look_url(waiting())):
        links(keys).read(url.rpartition("/")[2])
    assert keys.asked_again == 0


def test_a_token_holds_only_characters_of_an_address() -> None:
    """It needs no quoting, and no mail client cuts it."""
    token = links().token(Ticket("account/1/Root/é\n", "advice#x", 1))
    assert token.isascii()
    assert set(token) - set("-_.") <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")


def test_a_link_expires() -> None:
    """It is good for three days, and then says so."""
    clock = StoppedClock(NOON)
    made = links(clock=clock)
    token = made.token(Ticket("a", "b", 1))
    clock.time = NOON + LASTING
    assert made.read(token) == Ticket("a", "b", 1)
    clock.time += timedelta(seconds=1)
    with pytest.raises(LinkError) as error:
        made.read(token)
    assert error.value.expired


@pytest.mark.parametrize("token", ["", ".", "a.b.c", "é", "x" * 5000, "\x00", "../../etc", "W10.aaaa.bbbb"])
def test_any_other_text_is_no_link(token: str) -> None:
    """Whatever it is, without a word about why."""
    with pytest.raises(LinkError, match="not sealed") as error:
        links().read(token)
    assert not error.value.expired


def test_a_foreign_key_makes_no_link() -> None:
    """Not even with the same code."""
    with pytest.raises(LinkError):
        links().read(links(FakeKeys(NEW)).token(Ticket("a", "b", 1)))


@pytest.mark.parametrize("value", [["a", "b"], ["a", "b", "1"], ["a", "b", 1, 2], {"a": 1}, None])
def test_a_sealed_text_of_another_shape_is_no_link(value: object) -> None:
    """Even if this stack has made it."""
    sealed = Sealer(FakeKeys(), "request/1", LASTING, StoppedClock(NOON)).seal(value)
    with pytest.raises(LinkError):
        links().read(sealed)


def test_a_text_sealed_for_something_else_is_refused() -> None:
    """A cookie is no link."""
    clock = StoppedClock(NOON)
    cookie = Sealer(FakeKeys(), "session/1", LASTING, clock)
    assert cookie.open(cookie.seal({"name": "alice"})) == {"name": "alice"}
    with pytest.raises(LinkError):
        links().read(cookie.seal(["a", "b", 1]))


def test_signatures_are_of_sha_256() -> None:
    """The library's default is SHA-1, and not taken."""
    with pytest.raises(LinkError):
        links().read(str(URLSafeTimedSerializer(KEY, salt="request/1").dumps(["a", "b", 1])))


def test_keys_can_be_changed() -> None:
    """The newest key signs, and what an older one has signed is accepted while it is listed."""
    ticket = Ticket("a", "b", 1)
    before = links(FakeKeys(OLD)).token(ticket)
    rotated = links(FakeKeys(NEW, OLD))
    assert rotated.read(before) == ticket
    assert links(FakeKeys(NEW)).read(rotated.token(ticket)) == ticket
    with pytest.raises(LinkError):
        links(FakeKeys(NEW)).read(before)


def test_a_key_that_is_not_known_yet_is_looked_for() -> None:
    """A function that remembers the old keys reads what another has signed with the new one."""
    ticket = Ticket("a", "b", 1)
    behind = FakeKeys(OLD, newer=(NEW, OLD))
    assert links(behind).read(links(FakeKeys(NEW)).token(ticket)) == ticket
    assert behind.asked_again == 1


def test_an_expired_link_is_no_reason_to_look_for_keys() -> None:
    """It was signed with one that is known."""
    clock, keys = StoppedClock(NOON), FakeKeys()
    made = Sealer(keys, "x", timedelta(seconds=1), clock)
    sealed = made.seal(1)
    clock.time += timedelta(seconds=2)
    with pytest.raises(SealError, match="expired"):
        made.open(sealed)
    assert keys.asked_again == 0


def test_what_an_expired_link_was_for_can_still_be_told() -> None:
    """Of a link of either kind that this stack has made, and of nothing else."""
    clock = StoppedClock(NOON)
    made = links(clock=clock)
    for ticket in (Ticket("a", "b", 1), Ticket("a", "b", 1, look_only=True)):
        token = made.token(ticket)
        clock.time += 2 * LASTING
        with pytest.raises(LinkError, match="expired"):
            made.read(token)
        assert made.read_expired(token) == ticket
        with pytest.raises(LinkError):
            made.read_expired(token[:-2] + "xx")
        with pytest.raises(LinkError):
            links(FakeKeys(NEW), clock=clock).read_expired(token)
