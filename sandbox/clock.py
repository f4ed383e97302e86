"""Virtual time: a wait of the service takes none, and moves the clock on instead."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from unittest.mock import patch

from bedrock_remediator.clock import SystemClock


class DeadlineError(BaseException):
    """A function waited past its timeout. Not an Exception: Lambda ends a function, it does not ask it."""


class VirtualClock:
    """The time in the sandbox.

    Args:
        start: The time it begins with.
        ticking: Whether it also moves on with the machine's clock, as `serve` has it.
    """

    def __init__(self, start: datetime, *, ticking: bool = False) -> None:
        self._time = start.astimezone(UTC)
        self._since: float | None = time.monotonic() if ticking else None
        self._local = threading.local()

    def now(self) -> datetime:
        """The time in UTC, to the second."""
        return self.instant().replace(microsecond=0)

    def instant(self) -> datetime:
        """The time in UTC, to the microsecond."""
        passed = 0.0 if self._since is None else time.monotonic() - self._since
        return self._time + timedelta(seconds=passed)

    def seconds(self) -> float:
        """Seconds since 1970."""
        return self.instant().timestamp()

    def advance(self, seconds: float) -> None:
        """Move the clock on."""
        self._time += timedelta(seconds=seconds)

    def sleep(self, seconds: float) -> None:
        """Wait, without waiting.

        Raises:
            DeadlineError: The function that waits is past its timeout.
        """
        deadline: datetime | None = getattr(self._local, "deadline", None)
        if deadline is not None and self.instant() + timedelta(seconds=seconds) > deadline:
            self._time = deadline
            raise DeadlineError
        self.advance(seconds)

    @contextlib.contextmanager
    def limited(self, seconds: float) -> Iterator[Callable[[], float]]:
        """Within the block this thread may wait so long and no longer; gives how many seconds are left."""
        deadline = self.instant() + timedelta(seconds=seconds)
        self._local.deadline = deadline

        def seconds_left() -> float:
            return (deadline - self.instant()).total_seconds()

        try:
            yield seconds_left
        finally:
            self._local.deadline = None

    @contextlib.contextmanager
    def installed(self) -> Iterator[None]:
        """Within the block the service goes by this clock."""
        with (
            patch.object(SystemClock, "now", lambda _clock: self.now()),
            patch.object(SystemClock, "sleep", lambda _, seconds: self.sleep(seconds)),
            # botocore waits between its own retries.
            patch("botocore.endpoint.time", SimpleNamespace(sleep=self.sleep)),
        ):
            yield
