"""Text and times for a page: what people typed, in any language, and moments with how long ago they were."""

import re
import unicodedata
from datetime import UTC, datetime, timedelta
from typing import Final

from msgspec import Struct

from bedrock_remediator.notices.untrusted_text import utc

_STEPS: Final = (
    (timedelta(days=1), "day"),
    (timedelta(hours=1), "hour"),
    (timedelta(minutes=1), "minute"),
)

_ENTIRELY_PLAIN = re.compile(r"[\x20-\x7e]*")


class Moment(Struct, frozen=True, kw_only=True):
    """A time: `iso` for programs, `words` for people, `distance` from now (`2 hours ago`, `in 3 days`)."""

    iso: str
    words: str
    distance: str


def moment(time: datetime, now: datetime) -> Moment:
    """A time, seen from now."""
    time = time.astimezone(UTC)
    return Moment(iso=f"{time:%Y-%m-%dT%H:%M:%SZ}", words=utc(time), distance=distance(time, now))


def distance(time: datetime, now: datetime) -> str:
    """How far a time is from now, in its largest unit, rounded down."""
    apart = abs(time - now)
    for size, word in _STEPS:
        number = apart // size
        if number:
            amount = f"{number} {word}{'s' if number > 1 else ''}"
            return f"in {amount}" if time > now else f"{amount} ago"
    return "in less than a minute" if time > now else "just now"


def readable(text: str, limit: int) -> str:
    r"""Text that a person typed: letters of every language stay, what could change how a page reads does not.

    Controls, line breaks, marks of direction and characters that no font has show as their escapes (`\u202e`).
    """
    cut = text[:limit]
    if not _ENTIRELY_PLAIN.fullmatch(cut):
        cut = "".join(map(_shown, unicodedata.normalize("NFC", cut)))
    return cut if len(text) <= limit else f"{cut}..."


def _shown(character: str) -> str:
    category = unicodedata.category(character)
    if category[0] == "C" or category in ("Zl", "Zp"):
        return character.encode("unicode_escape").decode("ascii")
    return character
