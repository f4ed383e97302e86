import json

import pytest

from bedrock_remediator.flows.slack.work import Click, News, Text, read_work
from tests.builders.grants import NOON
from tests.builders.slack import wrapped


def test_a_notice_is_news_of_a_row() -> None:
    """Its key, its version, its page and its end; its own words are kept, in case the row is not there."""
    content = {
        "request": {"pk": "p", "sk": "s", "version": 3},
        "subject": "t",
        "reason": "r",
        "page": "https://x",
        "lapses_at": "2026-11-20T12:00:00Z",
    }
    text = Text(id="m-1", title="t", body="r")
    assert read_work(wrapped(json.dumps(content))) == News(
        pk="p", sk="s", version=3, text=text, page="https://x", lapses_at=NOON
    )


@pytest.mark.parametrize("page", [None, "", "https://x/" + "y" * 3000])
def test_a_page_that_no_button_can_carry_is_none(page: str | None) -> None:
    """Slack takes addresses of 3,000 characters."""
    work = read_work(wrapped(json.dumps({"request": {"pk": "p", "sk": "s", "version": 3}, "page": page})))
    assert isinstance(work, News)
    assert work.page is None


def test_a_click_reads_what_it_wrote() -> None:
    """With what to answer, or without."""
    click = Click(pk="p", sk="s", channel="C1", user="U1", answer="no")
    assert read_work(click.body) == click


@pytest.mark.parametrize(
    ("message", "title", "body"),
    [
        ("words", "A subject", "words"),
        ("[" * 5000, "A subject", "[" * 5000),
        ("[1]", "A subject", "[1]"),
        ('{"subject": 1}', "A subject", '{"subject": 1}'),
        ('{"AlarmName": "a", "NewStateValue": "OK", "NewStateReason": "fine"}', "OK: a", "fine"),
        ('{"event": "digest", "subject": "Today", "text": "one\\ntwo"}', "Today", "one\ntwo"),
        ('{"event": "digest", "subject": "Today", "counts": {"granted": 2, "asked": 0}}', "Today", "granted: 2"),
        ('{"request": {"pk": "p"}}', "A subject", '{"request": {"pk": "p"}}'),
    ],
)
def test_anything_else_is_text(message: str, title: str, body: str) -> None:
    """Alarms and digests by their own fields, the rest as it is."""
    assert read_work(wrapped(message)) == Text(id="m-1", title=title, body=body)


def test_a_text_needs_no_title() -> None:
    """SNS's subject may be missing."""
    assert read_work(wrapped("words", subject=None)) == Text(id="m-1", title="", body="words")


@pytest.mark.parametrize("body", ["", "{}", "[]", '{"Type": "SubscriptionConfirmation"}', '{"Type": "Click"}'])
def test_what_nobody_of_ours_sends_is_refused(body: str) -> None:
    """It goes to the dead letters rather than into the channel."""
    with pytest.raises(ValueError, match=r"."):
        read_work(body)
