"""What terminals, chats, logs and serialisers put around a text, taken off: what is left is lines of words.

A line break that is left may stand for a space or for nothing, in the middle of a word as well: terminals break where
their width ends. `soft` builds expressions that do not mind.
"""

import html
import re
from typing import Final

_ESCAPE_SEQUENCE: Final = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-_])")
# JSON in JSON doubles its backslashes at each level.
_UNICODE: Final = re.compile(r"\\{1,16}u([0-9a-fA-F]{4})")
_ESCAPED_BREAK: Final = re.compile(r"\\{1,16}[nr]|\\\n")
_ESCAPED_MARK: Final = re.compile(r"\\{1,16}([\"'/])")
_EMPHASIS: Final = re.compile(r"(?<![^\s(])(\*{1,2})(?=[^\s*])([^\s]+?)\1(?![^\s,.;)])")
_LINK: Final = re.compile(r"<((?:https?|mailto):[^|>\s]+)(?:\|[^>]*)?>")
_MARKS: Final = str.maketrans(
    {
        "\u2019": "'", "\u2018": "'", "\u201c": '"', "\u201d": '"', "\u201e": '"', "\u00ab": '"', "\u00bb": '"',
        "\u00a0": " ", "\u202f": " ", "\t": " ", "`": None, "\u200b": None, "\u2060": None, "\ufeff": None,
        "\u00ad": None, "\u2010": "-", "\u2011": "-", "\r": "\n", "\u2028": "\n", "\u2026": "...",
    }
)  # fmt: skip
_SPACES: Final = re.compile(r" {2,}")
_EMPTY_LINES: Final = re.compile(r"\n{3,}")
_BOX: Final = "\u2500-\u257f\u2580-\u259f"
_HEAD: Final = re.compile(
    rf"""
    (?:
        [ ]*
        (?:
            [{_BOX}|>\u23bf\u25cf]                                          # boxes, quotes, the gutter of a trace
          | \d{{4}}-\d\d-\d\d[T ]\d\d:\d\d:\d\d[.,\d]*(?:Z|[ ]?[+-]\d\d:?\d\d)?(?=\s)  # a log's time
          | \[\d{{4}}-\d\d-\d\d[^\]]{{0,30}}\]
          | (?:\[?(?:TRACE|DEBUG|INFO|WARN|WARNING|ERROR|FATAL|CRITICAL)\]?:?)(?=\s)
          | (?:stdout|stderr)[ ][FP](?=\s)                                    # Kubernetes
          | [a-z0-9][\w.-]{{0,40}}[ ]*[|\u2502](?=\s)                         # Docker Compose, numbered lines
        )
    )*[ ]*
    """,
    re.VERBOSE,
)
_TAIL: Final = " |" + "".join(map(chr, range(0x2500, 0x25A0)))
_RULE: Final = re.compile(rf"[ {_BOX}=_*#-]*")


def plain(text: str) -> str:
    """The text without escape sequences, quoting, boxes and typographic marks; lines end in a bare line break."""
    text = _ESCAPE_SEQUENCE.sub("", text.replace("\r\n", "\n"))
    if "\\" in text:
        text = _UNICODE.sub(lambda found: chr(int(found[1], 16)), text)
        text = _ESCAPED_MARK.sub(r"\1", _ESCAPED_BREAK.sub("\n", text))
    if "&" in text:
        text = html.unescape(text)
    text = _EMPHASIS.sub(r"\2", _LINK.sub(r"\1", text.translate(_MARKS)))
    # Runs of spaces and empty lines say nothing, and would make the grammar try in vain.
    return _EMPTY_LINES.sub("\n\n", "\n".join(_SPACES.sub(" ", _bare(line)).rstrip() for line in text.split("\n")))


def _bare(line: str) -> str:
    """A line without what a frame or a log puts before and after it."""
    if _RULE.fullmatch(line):
        return ""
    head = _HEAD.match(line)
    return line[head.end() if head else 0 :].rstrip(_TAIL)


def soft(words: str) -> str:
    """An expression for words that may be broken over lines anywhere."""
    return "".join(r"[ \n]+" if each == " " else re.escape(each) + r"\n?" for each in words)
