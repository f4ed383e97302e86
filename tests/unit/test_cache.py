"""A bounded memory of answers."""

from datetime import timedelta

from bedrock_remediator.aws.cache import AgedCache
from tests.builders.clocks import StoppedClock
from tests.builders.grants import NOON

AGE = timedelta(minutes=5)


def test_an_answer_is_kept_for_its_age() -> None:
    """Until the age is reached the answer is there; from then on it is not."""
    clock = StoppedClock(NOON)
    cache: AgedCache[str, int] = AgedCache(2, AGE, clock)
    cache.put("a", 1)
    clock.time += AGE - timedelta(seconds=1)
    assert cache.get("a") == 1
    clock.time += timedelta(seconds=1)
    assert cache.get("a") is None


def test_the_oldest_answer_makes_room() -> None:
    """A full cache forgets what was put first."""
    cache: AgedCache[str, int] = AgedCache(2, AGE, StoppedClock(NOON))
    for number, key in enumerate("abc"):
        cache.put(key, number)
    assert (cache.get("a"), cache.get("b"), cache.get("c")) == (None, 1, 2)


def test_an_answer_put_again_is_new() -> None:
    """It has its full age before it, is the last to be forgotten, and takes no second place."""
    clock = StoppedClock(NOON)
    cache: AgedCache[str, int] = AgedCache(2, AGE, clock)
    cache.put("a", 1)
    cache.put("b", 2)
    clock.time += AGE
    cache.put("a", 3)
    cache.put("c", 4)
    assert (cache.get("a"), cache.get("b"), cache.get("c")) == (3, None, 4)
