"""How long a grant may last: the lengths that a person can choose, in the form's words and in people's."""

import re
from datetime import timedelta
from typing import Final

from msgspec import Struct

from bedrock_remediator.core.grant import Grant

WITHOUT_END: Final = "none"
"""What a form says for no end."""

LONGEST_PICKED: Final = timedelta(days=90)
"""What is picked for a person at most: more, or no end, is theirs to choose."""

_LONGEST: Final = timedelta(days=3650)
_UNITS: Final = (
    ("d", timedelta(days=1), "day"),
    ("h", timedelta(hours=1), "hour"),
    ("m", timedelta(minutes=1), "minute"),
)
_PRESETS: Final = (timedelta(hours=1), timedelta(days=1), timedelta(days=30), None)

_LENGTH = re.compile(r"([1-9][0-9]{0,6})([mhd])")


class Length(Struct, frozen=True, kw_only=True):
    """One choice: `value` as a form sends it, `length` with None for no end, `words` for people.

    `chosen` marks the one that is picked where a person picks none; there is none where that would be longer than
    `LONGEST_PICKED`.
    """

    value: str
    length: timedelta | None
    words: str
    chosen: bool


def parse_length(text: str) -> timedelta | None:
    """Read a length as a form sends it: `90m`, `1h`, `30d`, `none`.

    Returns:
        The length; None for no end.

    Raises:
        ValueError: It is something else, or longer than ten years.
    """
    if text == WITHOUT_END:
        return None
    found = _LENGTH.fullmatch(text)
    if not found:
        raise ValueError("a length is a number and m, h or d (minutes, hours, days), such as 30d, or none")
    length = int(found[1]) * next(size for unit, size, _ in _UNITS if unit == found[2])
    if length > _LONGEST:
        raise ValueError("no grant lasts longer than ten years; choose none for no end")
    return length


def form_value(length: timedelta | None) -> str:
    """A length as a form sends it: `parse_length` reads it back. Parts of a minute are dropped."""
    if length is None:
        return WITHOUT_END
    unit, size, _ = _unit(length)
    return f"{length // size}{unit}"


def words(length: timedelta | None) -> str:
    """A length for people: `1 day`, `30 days`, `without end`."""
    if length is None:
        return "without end"
    _, size, word = _unit(length)
    number = length // size
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def offered(grant: Grant, longest: timedelta | None) -> tuple[Length, ...]:
    """What a person may choose for a grant, the shortest first.

    Args:
        grant: The row; what its rule or the stack gives it is among the choices, and the one that is picked.
        longest: The longest that a person may choose, None for no maximum; nothing longer is offered, and where the
            row's own length is longer, this one is picked. Nothing is picked that is longer than `LONGEST_PICKED`.
    """
    own = timedelta(seconds=grant.grant_seconds) if grant.grant_seconds else None
    picked = own if allowed(own, longest) else longest
    lengths = {length for length in (*_PRESETS, picked, longest) if allowed(length, longest)}
    if picked is not None and picked > LONGEST_PICKED:
        picked = None
    ordered = sorted(lengths, key=lambda length: (length is None, length or timedelta()))
    return tuple(
        Length(
            value=form_value(length), length=length, words=words(length), chosen=length is not None and length == picked
        )
        for length in ordered
    )


def allowed(length: timedelta | None, longest: timedelta | None) -> bool:
    """Whether a length is one, and within the maximum; None is no end, and no maximum."""
    if length is None:
        return longest is None
    return timedelta() < length and (longest is None or length <= longest)


def _unit(length: timedelta) -> tuple[str, timedelta, str]:
    return next((unit for unit in _UNITS if not length % unit[1]), _UNITS[-1])
