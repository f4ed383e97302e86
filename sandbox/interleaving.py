"""Several invocations at once, the same way each time: one works, and at each call to AWS the turn may pass on.

The seed decides who is next, so an order that broke something once breaks it again.
"""

import random
import threading
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from msgspec import Struct

Result = TypeVar("Result")


class Ended(Struct, Generic[Result]):
    """What a call gave, or what it raised."""

    result: Result | None = None
    error: BaseException | None = None


class Interleaving:
    """Runs calls in turns.

    Args:
        seed: Decides the turns.
    """

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)  # noqa: S311 - nothing secret hangs on it
        self._changed = threading.Condition()
        self._local = threading.local()
        self._alive: set[int] = set()
        self._turn = -1

    def run(self, calls: Sequence[Callable[[], Result]]) -> list[Ended[Result]]:
        """Run the calls, each in a thread of its own, one at a time; gives their ends in the calls' order."""
        ended: list[Ended[Result]] = [Ended() for _ in calls]
        threads = [
            threading.Thread(target=self._work, args=(index, call, ended[index]), daemon=True)
            for index, call in enumerate(calls)
        ]
        self._alive = set(range(len(calls)))
        for thread in threads:
            thread.start()
        with self._changed:
            self._pass_on()
        for thread in threads:
            thread.join()
        return ended

    def pause(self) -> None:
        """Let another go on, or the same again. Does nothing in a thread that is not one of the calls'."""
        index: int | None = getattr(self._local, "index", None)
        if index is None:
            return
        with self._changed:
            self._pass_on()
            self._changed.wait_for(lambda: self._turn == index)

    def _work(self, index: int, call: Callable[[], Result], end: Ended[Result]) -> None:
        self._local.index = index
        with self._changed:
            self._changed.wait_for(lambda: self._turn == index)
        try:
            end.result = call()
        except BaseException as error:  # noqa: BLE001 - handed to the caller, who raises it
            end.error = error
        finally:
            with self._changed:
                self._alive.discard(index)
                self._pass_on()

    def _pass_on(self) -> None:
        self._turn = self.random.choice(sorted(self._alive)) if self._alive else -1
        self._changed.notify_all()
