"""Slack's markup, and the one way that foreign text enters it.

Slack reads `<…>` as a link or a mention and `&` as an entity, and nothing else it could act on once automatic parsing
is off. What comes in from elsewhere is made visible first (printable ASCII: no control character, no right-to-left
mark), then these three are escaped, then it is cut: the result never is longer than asked for, and no entity is halved.
"""

import itertools
import re
from datetime import datetime
from typing import Final

from bedrock_remediator.notices.untrusted_text import unlinked, utc, visible

VALUE: Final = 256
"""Characters of a value, an ARN say."""

_ENTITIES: Final = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_CUT: Final = "..."
# Slack does not act on these without brackets unless it is asked to, and we never ask. Some clients and bridges do.
_CALL_TO_ALL = re.compile(r"(?i)@(?=(?:here|channel|everyone|group)\b)")
_SLACK_USER = re.compile(r"slack:([UW][A-Z0-9]{2,20})")


def escaped(text: str, limit: int) -> str:
    """Foreign text as one line of printable ASCII that Slack shows as it is, at most `limit` characters long."""
    shown = _CALL_TO_ALL.sub("@ ", visible(text, limit))
    pieces = [_ENTITIES.get(character, character) for character in shown]
    if sum(map(len, pieces)) <= limit:
        return "".join(pieces)
    ends = itertools.accumulate(map(len, pieces))
    return "".join(piece for piece, end in zip(pieces, ends, strict=True) if end <= limit - len(_CUT)) + _CUT


def code(text: str, limit: int = VALUE) -> str:
    """Foreign text in code style, in which no character means anything; `limit` and two characters long at most."""
    return f"`{escaped(text, limit).replace('`', chr(39)) or ' '}`"


def paragraph(text: str, limit: int) -> str:
    """Foreign text of several lines, each of them escaped; empty lines stay."""
    lines: list[str] = []
    room = limit
    for line in text.splitlines():
        if room <= len(_CUT):
            break
        lines.append(escaped(line, room))
        room -= len(lines[-1]) + 1
    return "\n".join(lines)[:limit]


def person(name: str) -> str:
    """Who did something: a Slack user as Slack shows one, anybody else in code style."""
    found = _SLACK_USER.fullmatch(name)
    return f"<@{found[1]}>" if found else code(unlinked(name), 128)


def moment(time: datetime) -> str:
    """A time that Slack shows in its reader's time zone, and in UTC where it cannot."""
    return f"<!date^{int(time.timestamp())}^{{date_short_pretty}} {{time}}|{utc(time)}>"
