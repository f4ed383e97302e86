"""Reading a record, against `json.loads` of the same bytes (budget: 0.6 times).

Each kind of record in `events/` is measured on variants of its own, of the same length: another event, and another
session of the same role. So what is remembered from one to the next is what a running function remembers too: the
roles, the models, the sentences of refusals. What nothing was remembered for is measured beside it (`anew`).
"""

import json
import random
import re
import timeit
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from bedrock_remediator.core import arn, cloudtrail, message
from benchmarks import tell

BUDGET: Final = 0.6
EVENTS: Final = Path(__file__).parent.parent / "events"
_VARIANTS: Final = 100
_OF_EACH_IN_THE_MIX: Final = 20
_ROUNDS: Final = 60
_SESSION: Final = re.compile(r":assumed-role/[^/]+/(.+)")
_REMEMBERED: Final = [
    function
    for module in (arn, cloudtrail, message)
    for function in vars(module).values()
    if hasattr(function, "cache_clear")
]


class Parsed(Struct, frozen=True):
    """Microseconds a record: by `json.loads`, from bytes to a denial, and the same with nothing remembered."""

    name: str
    json_loads: float
    read: float
    anew: float

    @property
    def ratio(self) -> float:
        """How many times the cost of `json.loads`."""
        return self.read / self.json_loads


def measure() -> Iterator[Parsed]:
    """Every kind of record, then all of them mixed."""
    mixed: list[bytes] = []
    for path in sorted(EVENTS.glob("*.json")):
        event = json.loads(path.read_text())
        if isinstance(event, list) or "detail" not in event:
            continue
        bodies = variants(event, _VARIANTS)
        mixed += bodies[:_OF_EACH_IN_THE_MIX]
        yield _measured(path.stem, bodies)
    random.Random(1).shuffle(mixed)  # noqa: S311 - any order will do
    yield _measured("all of them, mixed", mixed)


def variants(event: dict[str, Any], number: int) -> list[bytes]:
    """So many events like it, each of another session and with other ids, and all of the same length."""
    text = json.dumps(event)
    found = [_variant(text, event, each).encode() for each in range(number)]
    assert {len(body) for body in found} == {len(text)}
    assert len(set(found)) == number
    return found


def _variant(text: str, event: dict[str, Any], number: int) -> str:
    session = _SESSION.search((event["detail"].get("userIdentity") or {}).get("arn") or "")
    if session:
        name = session[1]
        other = f"{number:x}".rjust(len(name), "i")[-len(name) :]
        text = text.replace(f"/{name}", f"/{other}").replace(f":{name}", f":{other}")
    for name in (event["id"], event["detail"].get("eventID")):
        text = text.replace(name, f"{number:08x}{name[8:]}") if name else text
    return text


def _measured(name: str, bodies: list[bytes]) -> Parsed:
    """The best of many rounds of each, taken in turn so that a slow moment of the machine hits all alike."""

    def each(read: Callable[[bytes], object]) -> Callable[[], None]:
        def work() -> None:
            for body in bodies:
                read(body)

        return work

    def anew(body: bytes) -> None:
        for remembered in _REMEMBERED:
            remembered.cache_clear()
        cloudtrail.read(body)

    works = [each(read) for read in (json.loads, cloudtrail.read, anew)]
    times = [[timeit.timeit(work, number=1) for work in works] for _ in range(_ROUNDS)]
    return Parsed(name, *(min(column) / len(bodies) * 1e6 for column in zip(*times, strict=True)))


def main() -> None:
    """Print the figures."""
    tell(measure())


if __name__ == "__main__":
    main()
