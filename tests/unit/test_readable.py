"""Text and times as a page shows them."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from bedrock_remediator.notices.web.readable import distance, moment, readable

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("apart", "words"),
    [
        (timedelta(), "just now"),
        (timedelta(seconds=-59), "just now"),
        (timedelta(seconds=30), "in less than a minute"),
        (timedelta(minutes=-1), "1 minute ago"),
        (timedelta(minutes=-59), "59 minutes ago"),
        (timedelta(hours=-1), "1 hour ago"),
        (timedelta(hours=47), "in 1 day"),
        (timedelta(days=-400), "400 days ago"),
    ],
)
def test_a_distance_is_told_in_its_largest_unit(apart: timedelta, words: str) -> None:
    """Rounded down, so that nothing lapses later than the page says."""
    assert distance(NOW + apart, NOW) == words


def test_a_moment_is_told_in_utc() -> None:
    """For programs and for people, wherever it was measured."""
    at = moment(NOW.astimezone(timezone(timedelta(hours=9))), NOW)
    assert (at.iso, at.words, at.distance) == ("2026-11-20T12:00:00Z", "2026-11-20 12:00 UTC", "just now")


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("José Müller, 田中 & Søn", "José Müller, 田中 & Søn"),
        ("مرحبا", "مرحبا"),
        ("<b>&", "<b>&"),
        ("a\nb\x00c", "a\\nb\\x00c"),
        ("\u202eabc\u2069", "\\u202eabc\\u2069"),
        ("zero\u200bwidth", "zero\\u200bwidth"),
        ("line\u2028end", "line\\u2028end"),
        ("lone\ud800", "lone\\ud800"),
        ("e\u0301", "é"),
    ],
)
def test_letters_stay_and_marks_of_layout_show(typed: str, shown: str) -> None:
    """People have names in every script; nothing that they type turns the page around."""
    assert readable(typed, 100) == shown


def test_long_text_is_cut() -> None:
    """And says so."""
    assert readable("a" * 20, 10) == "a" * 10 + "..."
