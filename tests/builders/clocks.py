"""A clock for tests."""

from datetime import datetime


class StoppedClock:
    """A clock that stands at `time` until it is put on, and remembers for how long it was asked to wait."""

    def __init__(self, time: datetime) -> None:
        self.time = time
        self.waits: list[float] = []

    def now(self) -> datetime:
        """Where it stands."""
        return self.time

    def sleep(self, seconds: float) -> None:
        """Remember, and do not wait."""
        self.waits.append(seconds)
