"""The policy before and after, line by line, as the page highlights it."""

import enum
import json
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from typing import Any, Final

from msgspec import Struct

from bedrock_remediator.notices.untrusted_text import visible

_AROUND: Final = 3
_LINE_LENGTH: Final = 2048
_WIDTH: Final = 76


class Fate(enum.StrEnum):
    """What becomes of a line. `skipped` stands for a run of lines that stay, and are left out."""

    SAME = "same"
    ADDED = "added"
    REMOVED = "removed"
    SKIPPED = "skipped"


class Line(Struct, frozen=True):
    """One line of the difference."""

    fate: Fate
    text: str


class Document(Struct, frozen=True, kw_only=True):
    """One policy document: which of several it is, and its lines."""

    title: str
    lines: tuple[Line, ...]

    @property
    def summary(self) -> str:
        """How many lines come and go, in words: the colours must not be all that tells it."""
        added, removed = (sum(line.fate is fate for line in self.lines) for fate in (Fate.ADDED, Fate.REMOVED))
        parts = [f"{number} {_lines(number)} {word}" for number, word in ((added, "added"), (removed, "removed"))]
        return ", ".join(part for part in parts if not part.startswith("0"))


def difference(before: Sequence[str], after: Sequence[str]) -> tuple[Document, ...]:
    """Compare the documents of a principal, each with the one in the same place.

    Args:
        before: JSON texts of the policies as they are.
        after: JSON texts of the policies as they shall be.

    Returns:
        Those that change.
    """
    number = max(len(before), len(after))
    documents = []
    for place in range(number):
        old, new = (_pretty(side, place) for side in (before, after))
        if old != new:
            title = f"Policy {place + 1} of {number}" if number > 1 else "Policy"
            documents.append(Document(title=title, lines=tuple(_folded(list(_compared(old, new))))))
    return tuple(documents)


def _compared(old: Sequence[str], new: Sequence[str]) -> Iterator[Line]:
    """Lines that differ by the comma at their end only are the same line."""
    matcher = SequenceMatcher(None, [_bare(line) for line in old], [_bare(line) for line in new], autojunk=False)
    for kind, old_from, old_to, new_from, new_to in matcher.get_opcodes():
        if kind == "equal":
            yield from (Line(Fate.SAME, line) for line in new[new_from:new_to])
        else:
            yield from (Line(Fate.REMOVED, line) for line in old[old_from:old_to])
            yield from (Line(Fate.ADDED, line) for line in new[new_from:new_to])


def _folded(lines: Sequence[Line]) -> Iterator[Line]:
    """Long runs of lines that stay shrink to what is around a change."""
    near = {
        place + step
        for place, line in enumerate(lines)
        if line.fate is not Fate.SAME
        for step in range(-_AROUND, _AROUND + 1)
    }
    left_out = 0
    for place, line in enumerate(lines):
        if place not in near:
            left_out += 1
            continue
        if left_out:
            yield _skipped(left_out)
            left_out = 0
        yield line
    if left_out:
        yield _skipped(left_out)


def _skipped(number: int) -> Line:
    return Line(Fate.SKIPPED, f"{number} {_lines(number)} as before")


def _lines(number: int) -> str:
    return "line" if number == 1 else "lines"


def _bare(line: str) -> str:
    return line.removesuffix(",")


def _pretty(documents: Sequence[str], place: int) -> list[str]:
    """The lines of a document; none where there is no such document."""
    if place >= len(documents):
        return []
    return [visible(line, _LINE_LENGTH) for line in _laid_out(json.loads(documents[place]), "").split("\n")]


def _laid_out(value: Any, indent: str) -> str:
    """JSON as a person would lay it out: what fits on a line stands on one, but every element of `Resource`."""
    inner = indent + "  "
    if isinstance(value, dict):
        parts = [f"{json.dumps(name)}: {_field(name, each, inner)}" for name, each in value.items()]
        return _block("{", parts, "}", indent)
    if isinstance(value, list):
        parts = [_laid_out(each, inner) for each in value]
        line = f"[{', '.join(parts)}]"
        short = not any(isinstance(each, dict) for each in value) and len(indent) + len(line) <= _WIDTH
        return line if short else _block("[", parts, "]", indent)
    return json.dumps(value, ensure_ascii=False)


def _field(name: str, value: Any, indent: str) -> str:
    if name == "Resource" and isinstance(value, list):
        return _block("[", [_laid_out(each, indent) for each in value], "]", indent)
    return _laid_out(value, indent)


def _block(opening: str, parts: Sequence[str], closing: str, indent: str) -> str:
    lines = ",\n".join(f"{indent}  {part}" for part in parts)
    return f"{opening}\n{lines}\n{indent}{closing}" if parts else opening + closing
