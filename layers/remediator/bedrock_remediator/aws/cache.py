"""A small memory of answers from AWS, for as long as the function's environment lives.

`iam_pages` walks one of IAM's listings page after page; botocore's own paginators would read a file first, which a cold
start pays for.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, Final, Generic, TypeVar

from bedrock_remediator.clock import Clock

Key = TypeVar("Key")
Value = TypeVar("Value")


class AgedCache(Generic[Key, Value]):
    """Remembers at most `size` answers, each for `age`; the one that nobody has asked for the longest goes first."""

    def __init__(self, size: int, age: timedelta, clock: Clock) -> None:
        self._size = size
        self._age = age
        self._clock = clock
        self._answers: dict[Key, tuple[datetime, Value]] = {}

    def get(self, key: Key) -> Value | None:
        """The answer, unless it is too old or was never put."""
        answer = self._answers.get(key)
        if answer is None or self._clock.now() - answer[0] >= self._age:
            return None
        self._answers[key] = self._answers.pop(key)
        return answer[1]

    def put(self, key: Key, value: Value) -> None:
        """Remember an answer from now on."""
        self._answers.pop(key, None)
        if len(self._answers) >= self._size:
            del self._answers[next(iter(self._answers))]
        self._answers[key] = (self._clock.now(), value)


_PAGE: Final = 1000


def iam_pages(call: Callable[..., Mapping[str, Any]], **arguments: Any) -> Iterator[Mapping[str, Any]]:
    """The answers to one of IAM's listings."""
    while True:
        answer = call(MaxItems=_PAGE, **arguments)
        yield answer
        if not answer.get("IsTruncated"):
            return
        arguments["Marker"] = answer["Marker"]
