"""Bends events: their bytes, the structure of their JSON, the values of their fields, the words of their messages.

All that is drawn comes from one `random.Random`, so that a seed says it all.
"""

import copy
import json
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from tests.builders.lies import HOSTILE, LAYERS, PLAIN_REFUSALS, SOMEBODY_ELSE

JUNK: Final[Sequence[Any]] = (
    None,
    True,
    0,
    -1,
    10**400,
    1e308,
    "",
    [],
    {},
    [[]],
    {"": ""},
    "\ud800",
    "\u0000",
    "9999-99-99T99:99:99Z",
    "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59Z",
    "2026-11-23T08:00:37.123456789+14:00",
    "x" * 3000,
    "ä" * 1500,
    "us.amazon.nova-2-lite-v1:0",
    "AWSAccount",
    "Root",
    "eu-central-1",
    "444455556666",
    "0.0.0.0/0",
    "::ffff:10.0.0.1",
    "kept#profile#x",
    "usage",
    *HOSTILE,
    *SOMEBODY_ELSE,
)
_IDS: Final = frozenset({"id", "eventID", "sharedEventID", "requestID"})
"""What the same event is told by, when it comes twice; also, by their absence, what is left to tell it by."""
_BYTES: Final = (
    "\x00",
    "\n",
    '"',
    "\\",
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "\ufeff",
    "\u2028",
    "é",
    "\\ud800",
    "9",
    "-",
    "*",
)

Event = dict[str, Any]
Place = tuple[Any, Any]


class Mutated(dict[str, Any]):
    """An event that its mutations are applied to; `ids_changed` if what tells it from others may be gone."""

    ids_changed = False


class Bender:
    """Bends events of a pool.

    Args:
        pool: The events as they are.
        dice: What decides.
    """

    def __init__(self, pool: Sequence[Mapping[str, Any]], dice: random.Random) -> None:
        self._pool = pool
        self._dice = dice
        self._ways: Sequence[Callable[[Event], Event]] = (
            self._drop,
            self._replace,
            self._replace,
            self._graft,
            self._swap,
            self._words,
            self._words,
            self._text,
            self._caller,
            self._model,
            self._wrap,
        )

    def body(self, number: int) -> tuple[str, bool]:
        """A message's body, and whether it is surely another event than every other number's."""
        event: Any = copy.deepcopy(dict(self._dice.choice(self._pool)))
        _give_ids(event, number)
        before = _ids(event)
        for _ in range(self._dice.choice((0, 1, 1, 2, 3, 5))):
            event = self._dice.choice(self._ways)(event) if isinstance(event, dict) else event
        text = json.dumps(event, ensure_ascii=self._dice.random() < 0.5)
        sure = isinstance(event, dict) and before == _ids(event)
        if self._dice.random() < 0.15:
            text, sure = self._bytes(text), False
        # SQS takes UTF-8; what is none comes as JSON's escape or not at all.
        return text.encode("utf-8", "backslashreplace").decode(), sure

    def _place(self, event: Event) -> Place | None:
        places = list(_places(event))
        return self._dice.choice(places) if places else None

    def _drop(self, event: Event) -> Event:
        if place := self._place(event):
            del place[0][place[1]]
        return event

    def _replace(self, event: Event) -> Event:
        if place := self._place(event):
            place[0][place[1]] = copy.deepcopy(self._dice.choice(JUNK))
        return event

    def _graft(self, event: Event) -> Event:
        """Something of another event in the place of something of this one."""
        other = copy.deepcopy(dict(self._dice.choice(self._pool)))
        here, there = self._place(event), self._place(other)
        if here and there:
            here[0][here[1]] = there[0][there[1]]
        return event

    def _swap(self, event: Event) -> Event:
        one, other = self._place(event), self._place(event)
        if one and other and not (_within(one, other) or _within(other, one)):
            one[0][one[1]], other[0][other[1]] = other[0][other[1]], one[0][one[1]]
        return event

    def _text(self, event: Event) -> Event:
        """Something put into a text."""
        texts = [place for place in _places(event) if isinstance(place[0][place[1]], str)]
        if texts:
            holder, name = self._dice.choice(texts)
            holder[name] = self._bent(holder[name])
        return event

    def _bent(self, text: str) -> str:
        at = self._dice.randrange(len(text) + 1)
        end = min(len(text), at + self._dice.choice((0, 0, 1, 8, 900)))
        return text[:at] + self._dice.choice(("", *HOSTILE)) + text[end:]

    def _words(self, event: Event) -> Event:
        """Another refusal: another event's, a layer's, one of Bedrock's own, or this one's words bent."""
        detail = event.get("detail")
        if isinstance(detail, dict):
            old, other = detail.get("errorMessage"), self._dice.choice(self._pool).get("detail", {})
            layer = self._dice.choice(LAYERS)
            begun = str(old).partition(" because ")[0]
            detail["errorMessage"] = self._dice.choice(
                (
                    f"{begun} because no {layer} allows the bedrock:InvokeModel action",
                    f"{begun} with an explicit deny in a {layer}",
                    other.get("errorMessage") if isinstance(other, dict) else None,
                    self._dice.choice(PLAIN_REFUSALS),
                    self._bent(str(old)),
                )
            )
        return event

    def _caller(self, event: Event) -> Event:
        """Another caller all over the event, or in one place of it."""
        pool = [each["detail"].get("userIdentity", {}) for each in self._pool if isinstance(each.get("detail"), dict)]
        other, detail = copy.deepcopy(self._dice.choice(pool)), event.get("detail")
        if not isinstance(detail, dict) or not isinstance(old := detail.get("userIdentity"), dict):
            return event
        detail["userIdentity"] = other
        message, before, after = detail.get("errorMessage"), old.get("arn"), other.get("arn")
        everywhere = self._dice.random() < 0.7
        if everywhere and isinstance(message, str) and isinstance(before, str) and before and isinstance(after, str):
            detail["errorMessage"] = message.replace(before, after)
        return event

    def _model(self, event: Event) -> Event:
        """Another model, where it was asked for and where the refusal names it."""
        detail = event.get("detail")
        asked = detail.get("requestParameters") if isinstance(detail, dict) else None
        if not isinstance(detail, dict) or not isinstance(asked, dict):
            return event
        old = asked.get("modelId")
        new = self._dice.choice(
            (
                f"us.amazon.invented-{self._dice.randrange(10**6)}-v1:0",
                "us.amazon.nova-2-lite-v1:0",
                "global.amazon.nova-2-lite-v1:0",
                "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
                "amazon.nova-2-lite-v1:0",
                "q7xk2m9p0abc",
                self._dice.choice(HOSTILE),
            )
        )
        asked["modelId"] = new
        message = detail.get("errorMessage")
        if isinstance(message, str) and isinstance(old, str) and old:
            detail["errorMessage"] = message.replace(old.rpartition("/")[2] or old, new)
        return event

    def _wrap(self, event: Event) -> Any:
        """Deep, or inside something else."""
        depth = self._dice.choice((1, 2, 40))
        wrapped: Any = copy.deepcopy(event if self._dice.random() < 0.2 else event.get("detail"))
        for _ in range(depth):
            wrapped = [wrapped] if self._dice.random() < 0.5 else {"detail": wrapped}
        if self._dice.random() < 0.05:
            return wrapped
        event["detail"] = event.get("detail") if self._dice.random() < 0.5 else wrapped
        event["resources"] = wrapped
        return event

    def _bytes(self, text: str) -> str:
        """Cut, doubled, or with some other character somewhere."""
        for _ in range(self._dice.choice((1, 1, 2, 8))):
            at = self._dice.randrange(len(text) + 1)
            way = self._dice.randrange(5)
            if way == 0:
                text = text[:at]
            elif way == 1:
                text = text[:at] + self._dice.choice(_BYTES) + text[at + 1 :]
            elif way == 2:
                text = text[:at] + self._dice.choice(_BYTES) + text[at:]
            elif way == 3:
                text = text[:at] + text[at + self._dice.randrange(40) :]
            else:
                text = text[:at] + text[max(0, at - self._dice.randrange(200)) :]
        return text if self._dice.random() < 0.98 else self._dice.choice(("[", '{"detail":')) * 5_000


def _places(value: Any, depth: int = 0) -> Iterator[Place]:
    """Every place in an event that holds something, as what it is in and its name there."""
    if depth > 8:
        return
    names = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for name in names:
        yield value, name
        yield from _places(value[name], depth + 1)


def _within(place: Place, other: Place) -> bool:
    holder = place[0][place[1]]
    return holder is other[0] or any(each[0][each[1]] is other[0] for each in _places(holder))


def _give_ids(event: Event, number: int) -> None:
    event["id"] = f"{number:08x}-0000-4000-8000-000000000000"
    detail = event.get("detail")
    if isinstance(detail, dict):
        detail["eventID"] = f"{number:08x}-0000-4000-8000-000000000001"
        detail["requestID"] = f"{number:08x}-0000-4000-8000-000000000002"
        if "sharedEventID" in detail:
            detail["sharedEventID"] = f"{number:08x}-0000-4000-8000-000000000003"


def _ids(event: Event) -> list[Any]:
    detail = event.get("detail")
    record = detail if isinstance(detail, dict) else {}
    return [{name: each.get(name) for name in _IDS} for each in (event, record)]
