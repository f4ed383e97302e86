"""The values of a document, each with its line, and what may be wrong with one."""

from typing import Final

from msgspec import Struct

LONGEST: Final = 524_288
"""Characters in a document. Parameter Store allows 8 KB; the bound is for what comes from elsewhere."""
DEEPEST: Final = 8
"""Levels of nesting; the deepest that means anything is a value in a list in a field of a rule of a list."""


class DocumentError(ValueError):
    """Something in a document is wrong; `line` counts from 1 and is None where it cannot be told."""

    def __init__(self, message: str, line: int | None) -> None:
        super().__init__(message)
        self.message = message
        self.line = line


class Node(Struct, frozen=True):
    """A value and the line it is written in; a mapping's values carry the line of their key."""

    value: "str | int | float | bool | tuple[Node, ...] | dict[str, Node] | None"
    line: int | None = None
