"""YAML, read strictly, with the line of every value. Imported only when a document is not JSON, or has a mistake.

Words without quotes mean what they mean in YAML 1.2: `yes` and `on` are text, `012` is a number and not an octal one.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import yaml

from bedrock_remediator.core.allowlist.nodes import DEEPEST, LONGEST, DocumentError, Node

_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})")
_NUMBER = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_WORDS: Final[Mapping[str, bool | None]] = {
    "": None,
    "~": None,
    "null": None,
    "Null": None,
    "NULL": None,
    "true": True,
    "True": True,
    "TRUE": True,
    "false": False,
    "False": False,
    "FALSE": False,
}


def read_yaml(text: str) -> Node:
    """The document, with lines. JSON is YAML, so this reads either.

    Raises:
        DocumentError: It cannot be read, or uses what is not allowed here.
    """
    if len(text) > LONGEST:
        raise DocumentError(f"the document is longer than {LONGEST} characters", None)
    if text.lstrip().startswith("{"):
        text = text.replace("\t", " ")  # JSON may be indented with tabs, and has none within strings
    try:
        return _Reader(yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))).document()
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        hint = "; put a pattern that begins with * in quotes" if "alias" in (error.context or "") else ""
        raise DocumentError(f"this is not YAML: {error.problem}{hint}", line) from error
    except (yaml.YAMLError, UnicodeError) as error:
        raise DocumentError("this is not YAML: it holds a character that is not allowed", None) from error


def _plain(text: str) -> str | int | float | bool | None:
    """What a word without quotes means."""
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if _NUMBER.fullmatch(text) else text


class _Reader:
    """Builds nodes from the parser's events, so that nothing is constructed that was not looked at."""

    def __init__(self, events: Iterator[Any]) -> None:
        self._events = events

    def document(self) -> Node:
        next(self._events)  # the stream begins
        first = next(self._events)
        if isinstance(first, yaml.StreamEndEvent):
            raise DocumentError("the document is empty", None)
        root = self._value(next(self._events), DEEPEST, None)
        next(self._events)  # the document ends
        after = next(self._events)
        if not isinstance(after, yaml.StreamEndEvent):
            raise DocumentError("there is a second document after `---`", after.start_mark.line + 1)
        return root

    def _value(self, event: Any, depth: int, line: int | None) -> Node:
        here: int = event.start_mark.line + 1
        if isinstance(event, yaml.AliasEvent) or event.anchor is not None:
            raise DocumentError("anchors (&) and aliases (*) are not allowed; put a pattern in quotes", here)
        if event.tag is not None:
            raise DocumentError("tags (!) are not allowed; put the value in quotes", here)
        if not depth:
            raise DocumentError("the document is nested too deeply", here)
        if isinstance(event, yaml.MappingStartEvent):
            return Node(self._mapping(depth), line or here)
        if isinstance(event, yaml.SequenceStartEvent):
            return Node(self._sequence(depth), line or here)
        return Node(_plain(event.value) if event.implicit[0] else event.value, line or here)

    def _sequence(self, depth: int) -> tuple[Node, ...]:
        items = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            items.append(self._value(event, depth - 1, None))
        return tuple(items)

    def _mapping(self, depth: int) -> dict[str, Node]:
        entries: dict[str, Node] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            line: int = event.start_mark.line + 1
            if not isinstance(event, yaml.ScalarEvent) or event.anchor is not None or event.tag is not None:
                raise DocumentError("a key must be plain text", line)
            if event.value in entries:
                raise DocumentError(f"the key {event.value!r} is given twice", line)
            entries[event.value] = self._value(next(self._events), depth - 1, line)
        return entries
