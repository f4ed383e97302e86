"""Patterns: what a rule's author writes to name many principals, profiles or models at once.

Two dialects, both case-sensitive and both without brackets, braces or escapes:

- `identifier_glob`: `*` is any run of characters, `?` any one. For ids and ARNs of profiles and models.
- `principal_glob`: `*` and `?` stop at `:` and `/`, and `**` crosses `/`, so that a pattern names the paths that it
  shows: `role/llm-*` is not `role/service/llm-app`. Within the first five fields of an ARN nothing crosses a `:`;
  behind them a colon is only a character that a path may hold, and `**` crosses it too.

A match costs one step a character of the text, whatever the pattern: the set of places in the pattern that can have
been reached is carried along as the bits of one integer, so there is nothing to go back to.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from msgspec import Struct

_WILDCARD = re.compile(r"\*+|\?")
_PART = re.compile(r"\*+|.", re.DOTALL)
_SEPARATORS: Final = ":/"
_ARN_COLONS: Final = 5  # of an ARN; what follows is the resource


class Glob(Struct, frozen=True):
    """A pattern made ready.

    `prefix`, `inner` and `suffix` are its literal parts. They settle most texts at a glance; where they are not all
    there is to it (`exact` is False), the automaton decides: bit *i* of a state says that the first *i* characters of
    the pattern have been met, `steps` holds for a character those that it meets and those a `*` may stay at.
    """

    prefix: str
    inner: tuple[str, ...]
    suffix: str
    exact: bool
    final: int
    steps: Mapping[str, tuple[int, int]]
    others: tuple[int, int]

    def matches(self, text: str) -> bool:
        """Whether the whole text is of this pattern."""
        if not (text.startswith(self.prefix) and text.endswith(self.suffix)):
            return False
        place, end = len(self.prefix), len(text) - len(self.suffix)
        for literal in self.inner:
            place = text.find(literal, place, end)
            if place < 0:
                return False
            place += len(literal)
        return place <= end and (self.exact or self._accepts(text))

    def _accepts(self, text: str) -> bool:
        state = 1
        for character in text:
            meets, stays = self.steps.get(character, self.others)
            state = (state & meets) << 1 | state & stays
            if not state:
                return False
        return bool(state & self.final)


@lru_cache(maxsize=4096)
def identifier_glob(pattern: str) -> Glob:
    """The pattern of an id, or of a Bedrock ARN: `*` matches any characters."""
    return _compile(pattern, paths=False)


@lru_cache(maxsize=4096)
def principal_glob(pattern: str) -> Glob:
    """The pattern of an IAM ARN: `*` stops at `:` and `/`, `**` crosses `/`."""
    return _compile(pattern, paths=True)


def _compile(pattern: str, *, paths: bool) -> Glob:
    literals = _WILDCARD.split(pattern)
    final, steps, others = _automaton(pattern, paths=paths)
    return Glob(
        prefix=literals[0],
        inner=tuple(literal for literal in literals[1:-1] if literal),
        suffix=literals[-1] if len(literals) > 1 else "",
        exact=not paths and "?" not in pattern and "*" in pattern,
        final=final,
        steps=steps,
        others=others,
    )


def _automaton(pattern: str, *, paths: bool) -> tuple[int, Mapping[str, tuple[int, int]], tuple[int, int]]:
    meets: dict[str, int] = {}
    anyone = within = crossing = 0  # places of `?`, of every star, and of those stars that stop at nothing
    place, colons = 1, 0
    for part in _PART.findall(pattern):
        if part[0] == "*":
            within |= place
            crossing |= place if len(part) > 1 and colons >= _ARN_COLONS else 0
            continue
        if part == "?":
            anyone |= place
        else:
            meets[part] = meets.get(part, 0) | place
        colons += part == ":"
        place <<= 1
    steps = {part: (literal | anyone, within) for part, literal in meets.items()}
    for separator in _SEPARATORS if paths else "":
        steps[separator] = (meets.get(separator, 0), crossing)
    return place, steps, (anyone, within)
