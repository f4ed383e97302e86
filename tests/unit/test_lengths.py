"""How long a grant may last."""

from datetime import timedelta

import pytest

from bedrock_remediator.core.durations import form_value, offered, parse_length, words
from tests.builders.decisions import waiting

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.mark.parametrize(
    ("text", "length", "said"),
    [
        ("1h", HOUR, "1 hour"),
        ("90m", timedelta(minutes=90), "90 minutes"),
        ("1d", DAY, "1 day"),
        ("30d", 30 * DAY, "30 days"),
        ("none", None, "without end"),
    ],
)
def test_a_length_reads_and_writes(text: str, length: timedelta | None, said: str) -> None:
    """What a form sends is what it showed."""
    assert parse_length(text) == length
    assert form_value(length) == text
    assert words(length) == said


@pytest.mark.parametrize(
    "text", ["", "0h", "01h", "-1d", "1", "d", "1w", "1.5h", "1h ", "None", "3651d", "9" * 30 + "m"]
)
def test_anything_else_is_no_length(text: str) -> None:
    """Nothing is guessed, and ten years are enough."""
    with pytest.raises(ValueError, match=r"length|grant"):
        parse_length(text)


def values(own: timedelta | None, longest: timedelta | None) -> list[str]:
    """What is offered, the picked one in brackets."""
    row = waiting(grant_seconds=int(own.total_seconds()) if own else None)
    return [f"[{each.value}]" if each.chosen else each.value for each in offered(row, longest)]


@pytest.mark.parametrize(
    ("own", "longest", "expected"),
    [
        (None, None, ["1h", "1d", "30d", "none"]),
        (90 * DAY, None, ["1h", "1d", "30d", "[90d]", "none"]),
        (91 * DAY, None, ["1h", "1d", "30d", "91d", "none"]),
        (91 * DAY, 365 * DAY, ["1h", "1d", "30d", "91d", "365d"]),
        (None, 365 * DAY, ["1h", "1d", "30d", "365d"]),
        (7 * DAY, None, ["1h", "1d", "[7d]", "30d", "none"]),
        (30 * DAY, None, ["1h", "1d", "[30d]", "none"]),
        (None, 7 * DAY, ["1h", "1d", "[7d]"]),
        (2 * HOUR, 7 * DAY, ["1h", "[2h]", "1d", "7d"]),
        (90 * DAY, 30 * DAY, ["1h", "1d", "[30d]"]),
        (None, timedelta(minutes=30), ["[30m]"]),
    ],
)
def test_what_is_offered(own: timedelta | None, longest: timedelta | None, expected: list[str]) -> None:
    """The presets, the row's own length and the maximum, nothing longer; of 90 days at most, one is picked."""
    assert values(own, longest) == expected
