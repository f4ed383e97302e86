"""What moves of a stack: all that reads its queues and streams, a step at a time, until nothing moves."""

from typing import Final

from sandbox.clock import VirtualClock
from sandbox.mappings import QueueMapping
from sandbox.streams import StreamConsumer

MOST_STEPS: Final = 1_000_000
"""A run that takes more never ends: something wakes itself."""


class EndlessRunError(RuntimeError):
    """The stack did not come to rest."""


class Motion:
    """Keeps readers moving, in the order in which they came.

    Args:
        clock: Moved on where all that is left waits for a later time.
    """

    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock
        self._mappings: list[QueueMapping] = []
        self._consumers: list[StreamConsumer] = []
        self._moving: list[QueueMapping | StreamConsumer] = []

    def deliver(self, mapping: QueueMapping) -> None:
        """Have a queue's mapping deliver."""
        self._mappings.append(mapping)
        self._moving.append(mapping)

    def read(self, consumer: StreamConsumer) -> None:
        """Have a stream read."""
        self._consumers.append(consumer)
        self._moving.append(consumer)

    @property
    def read_queues(self) -> set[str]:
        """The ARNs of the queues that something reads."""
        return {mapping.queue.arn for mapping in self._mappings}

    def run(self) -> None:
        """Move until nothing moves; what waits for a later time has that time come at once.

        Raises:
            EndlessRunError: It does not come to rest.
        """
        for _ in range(MOST_STEPS):
            # Every part takes one step a round, so that none is done before the others begin.
            moved = [each.step() for each in self._moving]
            if not any(moved) and not self._wait():
                return
        raise EndlessRunError(f"the stack still moves after {MOST_STEPS} steps")

    def _wait(self) -> bool:
        """Move the clock on to when the next message comes back to its queue; False if none will."""
        times = [when for mapping in self._mappings if (when := mapping.queue.next_visible()) is not None]
        if not times:
            return False
        self._clock.advance(max(0.0, min(times) - self._clock.seconds()) + 0.001)
        return True

    def turn(self, function: str) -> None:
        """Let the queue of a function deliver once."""
        for mapping in self._mappings:
            if mapping.function == function:
                mapping.step()

    def repeat(self, function: str) -> None:
        """Deliver once more what a function's queue has out for delivery."""
        for mapping in self._mappings:
            if mapping.function == function:
                mapping.repeat()

    def rewind(self) -> None:
        """Let all streams be read once more from their beginning."""
        for consumer in self._consumers:
            consumer.rewind()
