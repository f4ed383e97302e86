import pytest

from bedrock_remediator.notices.untrusted_text import (
    WIDTH,
    indented,
    quoted,
    section,
    sentence,
    table,
    unlinked,
    visible,
    wrapped,
)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("two\nlines\t\r\0", "two\\nlines\\t\\r\\x00"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("caf\u00e9 \U0001f600 \ud800", "caf\\xe9 \\U0001f600 \\ud800"),
        ("\\n", "\\n"),
        ("a" * 12, "aaaaaaaaaa... (12 characters in all)"),
    ],
)
def test_foreign_text_becomes_visible(text: str, shown: str) -> None:
    """What is not printable ASCII shows as its escape, and what is long is cut with a note."""
    assert visible(text, 10 if text == "a" * 12 else 100) == shown


def test_a_sentence_cannot_draw() -> None:
    """Quoted in a paragraph, the caller's text makes neither a rule nor a column."""
    drawn = sentence("SAFE " + "-" * 72 + "  Who" + " " * 9 + "=" * 3 + " aaaaaa", 500)
    assert wrapped(drawn) == ["SAFE --- Who === aaaaaa"]


def test_addresses_are_taken_apart() -> None:
    """No mail client makes a link of what the caller wrote."""
    said = unlinked("https://x.example WWW.x.example mailto:a@x.example ftp://x HTTP://x javascript:alert(1)")
    assert said == (
        "https[:]//x[.]example WWW[.]x[.]example mailto[:]a@x[.]example ftp[:]//x HTTP[:]//x javascript[:]alert(1)"
    )


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("evil.example", "evil[.]example"),
        ("see evil.co.uk/login, now", "see evil[.]co[.]uk/login, now"),
        ("t.co", "t[.]co"),
        ("xn--80ak6aa92e.xn--p1ai", "xn--80ak6aa92e[.]xn--p1ai"),
        ("3com.com and www.3com.9", "3com[.]com and www[.]3com.9"),
        ("slack://open tel:+15550100 sms:1 web+x://y", "slack[:]//open tel[:]+15550100 sms[:]1 web+x[:]//y"),
        ("http://198.51.100.7/x", "http[:]//198[.]51[.]100[.]7/x"),
        ("a@evil.example", "a@evil[.]example"),
        ('"evil.example".', '"evil[.]example".'),
        ("evil\\u3002example", "evil\\u3002example"),
        ("https:evil.example", "https[:]evil[.]example"),
        # No client makes a link of these, and they read better whole.
        ("Boto3/1.44.5 md/Botocore#1.44.5 Mozilla/5.0", "Boto3/1.44.5 md/Botocore#1.44.5 Mozilla/5.0"),
        ("It failed. So it is.", "It failed. So it is."),
        ("arn:aws:sts::123456789012:assumed-role/a/b", "arn:aws:sts::123456789012:assumed-role/a/b"),
    ],
)
def test_nothing_that_looks_like_a_host_stays_whole(text: str, shown: str) -> None:
    """A scheme, a domain of any kind, an address; taken apart once it stays as it is."""
    assert unlinked(text) == shown
    assert unlinked(shown) == shown


def test_what_aws_returned_stays_whole_where_it_stands_alone() -> None:
    """A model's id has dots too; one that somebody has put into a longer word is taken apart like any other."""
    known = ["us.amazon.nova-2-lite-v1:0", ""]
    assert unlinked("use us.amazon.nova-2-lite-v1:0. Or evil.example", known) == (
        "use us.amazon.nova-2-lite-v1:0. Or evil[.]example"
    )
    for hostile in ("evil.us.amazon.nova-2-lite-v1:0", "us.amazon.nova-2-lite-v1:0.evil.example"):
        assert "[.]" in unlinked(hostile, known)
        assert unlinked(hostile, known) == unlinked(hostile)


def test_an_empty_text_is_an_empty_line() -> None:
    """Nothing to wrap still is a line."""
    assert wrapped("", "  ") == [""]


def test_a_table_aligns_its_values() -> None:
    """Each value begins in the same column, whether it is the first of its label or not; empty ones are left out."""
    lines = table([("One", "a"), ("Two", ("b", "c " * 40)), ("Three", ""), ("", ("", "d"))])
    assert lines[:2] == ["  One          a", "  Two          b"]
    assert {line[:15].strip() for line in lines} == {"One", "Two", ""}
    assert all(line[14] == " " and line[15] != " " and len(line) <= WIDTH for line in lines)


def test_what_is_quoted_stays_behind_its_bar() -> None:
    """Every line of the caller's text, a 10 KB word included, begins with the bar."""
    lines = quoted("Message", "x" * 10_000 + "\nWHAT TO DO NEXT")
    assert all(line[15:17] == "| " and len(line) <= WIDTH for line in lines)
    assert quoted("Session", "") == ["  Session      | "]


def test_a_section_leaves_out_empty_blocks() -> None:
    """Blocks are apart by one empty line, and an empty one takes no room."""
    assert section("Why", [], ["a"], [], ["b"]) == ["", "WHY", "-" * WIDTH, "a", "", "b"]


def test_code_keeps_its_shape() -> None:
    """Code is indented; what is not ASCII in it shows as its escape, and its backslashes stay single."""
    assert indented('{\n  "a": "\\\\\u00e9"\n}') == ["  {", '    "a": "\\\\\\xe9"', "  }"]
