"""A configuration document, YAML or JSON, as plain values that know their line.

Read strictly, because what it says may open doors: a key given twice, an anchor, an alias, a tag, a second document
and deep nesting are errors, so nothing in a document can overrule or multiply what a reviewer saw in it.
"""

import json
from typing import Any, Final

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


def read_json(text: str) -> Node | None:
    """The document if it is JSON, without lines; None where YAML's reader must read it, or tell what is wrong.

    JSON is read by itself because YAML's reader is costly to import when a function starts.
    """
    if len(text) > LONGEST or not text.lstrip().startswith("{"):
        return None
    try:
        return _node(json.loads(text, object_pairs_hook=_unique), DEEPEST)
    except (ValueError, RecursionError):
        return None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    entries = dict(pairs)
    if len(entries) != len(pairs):
        raise ValueError("a key is given twice")
    return entries


def _node(value: Any, depth: int) -> Node:
    if not depth:
        raise ValueError("nested too deeply")
    if isinstance(value, dict):
        return Node({key: _node(inner, depth - 1) for key, inner in value.items()})
    if isinstance(value, list):
        return Node(tuple(_node(inner, depth - 1) for inner in value))
    return Node(value)
