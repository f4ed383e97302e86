import re
from datetime import UTC, datetime

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bedrock_remediator.notices.mrkdwn import code, escaped, moment, paragraph, person


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("role llm-app", "role llm-app"),
        ("<!channel>", "&lt;!channel&gt;"),
        ("<@U0ALICE> & <https://evil.example|safe>", "&lt;@U0ALICE&gt; &amp; &lt;https://evil.example|safe&gt;"),
        ("&lt;!here&gt;", "&amp;lt;!here&amp;gt;"),
        ("@here @CHANNEL @everyone", "@ here @ CHANNEL @ everyone"),
        ("alice@example.com", "alice@example.com"),
        ("a\nb\x00\u202e\u2066", r"a\nb\x00\u202e\u2066"),
        ("${aws:username} *", "${aws:username} *"),
        ("", ""),
    ],
)
def test_foreign_text_shows_as_it_is(text: str, shown: str) -> None:
    """Brackets and ampersands are escaped, calls to everybody are taken apart, what cannot be seen is spelled out."""
    assert escaped(text, 100) == shown


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=400), st.integers(10, 300))
@example("&" * 300, 20)
@example("<" * 9 + "a", 10)
def test_escaped_text_fits_and_halves_no_entity(text: str, limit: int) -> None:
    """However much longer escaping makes it, the text fits, in printable ASCII, and each ampersand begins an entity."""
    shown = escaped(text, limit)
    assert len(shown) <= limit
    assert re.fullmatch(r"(?:[\x20-\x25\x27-\x3b\x3d\x3f-\x7e]|&amp;|&lt;|&gt;)*", shown)


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=400), st.integers(10, 300))
@example("`*bold*` <!channel>", 100)
def test_nothing_gets_out_of_code_style(text: str, limit: int) -> None:
    """Two back ticks hold the text, none is in it, and it is never empty, which would be two back ticks as text."""
    shown = code(text, limit)
    assert re.fullmatch("`[^`\n]+`", shown)
    assert len(shown) <= limit + 2


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=300), st.integers(10, 200))
@example("a\n\nb\n<!here>\n" * 30, 60)
def test_a_paragraph_keeps_its_lines_and_fits(text: str, limit: int) -> None:
    """Lines stay lines, each of them escaped, up to the limit."""
    shown = paragraph(text, limit)
    assert len(shown) <= limit
    assert not re.search(r"[<>]|[^\x20-\x7e\n]", shown)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("slack:U0ALICE", "<@U0ALICE>"),
        ("slack:U0ALICE> <!channel", "`slack:U0ALICE&gt; &lt;!channel`"),
        ("slack:u0alice", "`slack:u0alice`"),
        ("alice (unverified)", "`alice (unverified)`"),
    ],
)
def test_only_an_id_of_slacks_shows_as_a_user(name: str, shown: str) -> None:
    """Whatever else somebody calls themselves stands in code style."""
    assert person(name) == shown


def test_a_moment_has_words_for_clients_that_cannot_show_it() -> None:
    """Slack shows it in the reader's time zone, else in UTC."""
    assert moment(datetime(2026, 11, 23, 7, 51, tzinfo=UTC)) == (
        "<!date^1795420260^{date_short_pretty} {time}|2026-11-23 07:51 UTC>"
    )
