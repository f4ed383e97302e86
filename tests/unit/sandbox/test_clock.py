"""Virtual time."""

from datetime import UTC, datetime, timedelta

import pytest

from bedrock_remediator.clock import SystemClock
from sandbox.clock import DeadlineError, VirtualClock

START = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


def test_a_wait_moves_the_time_on() -> None:
    """The service's clock tells the virtual time, and its waits take none."""
    clock = VirtualClock(START)
    with clock.installed():
        SystemClock().sleep(90)
        assert SystemClock().now() == START + timedelta(seconds=90)


def test_a_wait_past_the_timeout_ends_the_function() -> None:
    """Who waits past its limit is ended at the limit; outside the block there is none."""
    clock = VirtualClock(START)
    with clock.limited(10) as seconds_left:
        clock.sleep(4)
        assert seconds_left() == 6
        with pytest.raises(DeadlineError):
            clock.sleep(7)
    assert clock.now() == START + timedelta(seconds=10)
    clock.sleep(1_000)


def test_a_ticking_clock_goes_on() -> None:
    """A clock that ticks never goes back."""
    clock = VirtualClock(START, ticking=True)
    first = clock.instant()
    assert START <= first <= clock.instant()
