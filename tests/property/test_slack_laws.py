"""Whatever callers write, a message in Slack shows it as text, fits, and calls nobody."""

import json
import re
from collections.abc import Iterator
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from bedrock_remediator.core.durations import offered
from bedrock_remediator.core.grant import DiagnosisKind, Event, Grant, Outcome, Sighting, State
from bedrock_remediator.core.layers import Effect, Layer
from bedrock_remediator.notices.amazon_q import custom_notification
from bedrock_remediator.notices.notice import Denials, Notice
from bedrock_remediator.notices.plan import plan
from bedrock_remediator.notices.slack import Card, about, message, plain
from bedrock_remediator.notices.slack_blocks import Words
from bedrock_remediator.notices.slack_steps import reply
from tests.builders.grants import NOON
from tests.builders.notices import EXTRA_ACTIONS, requested

SPOILERS = (
    "<!channel> <!here> <!everyone> @here @channel",
    "<@U0000AAAA> <#C0000> <!subteam^S0000>",
    "<https://evil.example|Approve>",
    "https://evil.example www.evil.example",
    "`*bold* _italic_ ~strike~ ```fence```",
    "&lt;!channel&gt; & &amp;",
    ":rotating_light: :white_check_mark:",
    "\r\n\r\n> *Approved* by alice",
    "\x00\x07\x1b[31m\u202e\u2066\u200f\ufeff",
    "<script>alert(1)</script>",
    "${aws:username}",
    "*",
    "x" * 10_240,
    "<&>" * 4_000,
    "\ud800",
)
HOSTILE = st.one_of(st.text(max_size=40), st.sampled_from(SPOILERS), st.lists(st.sampled_from(SPOILERS)).map("".join))
MAYBE = st.none() | HOSTILE
OURS = re.compile(
    r"<!date\^-?\d+\^\{date_short_pretty\} \{time\}\|\d{4}-\d\d-\d\d \d\d:\d\d UTC>|<@[UW][A-Z0-9]{2,20}>"
)


@st.composite
def rows(draw: st.DrawFn) -> Grant:
    """A row in any state, in which every text that somebody else may have written is hostile."""
    steps = st.builds(
        Event, at=st.just(NOON), state=st.sampled_from(State), by=HOSTILE | st.just("slack:U0ALICE"), reason=HOSTILE
    )
    changes: dict[str, Any] = {
        "state": draw(st.sampled_from(State)),
        "diagnosis": draw(st.sampled_from(DiagnosisKind)),
        "decision": draw(st.sampled_from(Outcome)),
        "layer": draw(st.sampled_from(Layer)),
        "effect": draw(st.none() | st.sampled_from(Effect)),
        "reason_code": draw(st.sampled_from(["no_rule", "mode_observe", "permission_set"]) | HOSTILE),
        "reason": draw(HOSTILE),
        "denying_policy": draw(MAYBE),
        "rule": draw(MAYBE),
        "model_id": draw(MAYBE),
        "history": tuple(draw(st.lists(steps, max_size=20))),
        "sighting": Sighting(
            event_id=draw(HOSTILE),
            time=NOON,
            action=draw(MAYBE),
            source_ip=draw(MAYBE),
            user_agent=draw(MAYBE),
            session=draw(MAYBE),
            message=draw(MAYBE),
        ),
    }
    if draw(st.booleans()):
        changes |= {
            "pk": "account/123456789012/" + draw(HOSTILE),
            "sk": "advice#" + draw(HOSTILE),
            "principal": draw(MAYBE),
            "profile": draw(MAYBE),
            "resources": tuple(draw(st.lists(HOSTILE, max_size=9))),
            "account": draw(HOSTILE),
            "region": draw(HOSTILE),
        }
    return requested(**changes)


def notice_of(grant: Grant) -> Notice:
    """The notice of a row in any state, those that no mail is sent of included."""
    return Notice(
        grant=grant,
        occasion=about(grant),
        denials=Denials(count=3, first_at=NOON, last_at=NOON),
        plan=plan(grant, tuple, EXTRA_ACTIONS),
        may_be_duplicate=True,
    )


def texts(value: Any) -> Iterator[str]:
    """Every text that Slack would render, but for addresses and what buttons carry."""
    if isinstance(value, dict):
        for name, each in value.items():
            if name not in ("value", "url"):
                yield from texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from texts(each)
    elif isinstance(value, str):
        yield value


def check(words: Words) -> None:
    """What Slack would take, and show as it is."""
    assert 0 < len(words.text) <= 4000
    assert 0 < len(words.blocks) <= 50
    for text in (words.text, *texts(words.blocks)):
        rest = OURS.sub("", text)
        assert not re.search(r"[<>]|&(?!amp;|lt;|gt;)|[^\x20-\x7e\n]", rest), rest
        assert not re.search(r"(?i)@(here|channel|everyone)\b", rest)
    assert json.loads(json.dumps(words.blocks)) == words.blocks


def mrkdwn(value: Any) -> Iterator[dict[str, Any]]:
    """Every text object in which Slack looks for markup."""
    if isinstance(value, dict):
        if value.get("type") == "mrkdwn":
            yield value
        for each in value.values():
            yield from mrkdwn(each)
    elif isinstance(value, list):
        for each in value:
            yield from mrkdwn(each)


@settings(max_examples=80, deadline=None)
@given(rows(), st.booleans())
def test_a_message_shows_hostile_text_as_text(grant: Grant, decidable: bool) -> None:  # noqa: FBT001 - drawn
    """No mention, no link, no control character comes from a row, and no length that Slack would refuse."""
    lengths = offered(grant, None) if decidable else ()
    check(message(Card(notice=notice_of(grant), page="https://api.example.com/request/t", lengths=lengths)))


@settings(max_examples=60, deadline=None)
@given(rows())
def test_markup_is_ours_alone(grant: Grant) -> None:
    """Where Slack looks for markup it makes no links by itself, and foreign text stands between back ticks."""
    hostile = "*bold* _it_ ~no~ :smile: https://evil.example"
    words = message(Card(notice=notice_of(grant)))
    for found in mrkdwn(words.blocks):
        assert found["verbatim"] is True
        outside = re.sub("`[^`]*`", "", found["text"])
        assert "evil" not in outside
        assert hostile not in outside
        assert "_italic_" not in outside


@settings(max_examples=60, deadline=None)
@given(rows())
def test_a_reply_shows_hostile_text_as_text(grant: Grant) -> None:
    """Who did what, and why they said they did, is text too."""
    words = reply(grant, grant.history, may_be_duplicate=True)
    if words is not None:
        check(words)


@settings(max_examples=60, deadline=None)
@given(HOSTILE, HOSTILE)
def test_a_text_that_is_passed_on_is_text(title: str, text: str) -> None:
    """An alarm, a digest: whatever is in it."""
    words = plain(title, text)
    if words.blocks:
        check(words)
    assert title.strip() == "" or words.blocks


@settings(max_examples=60, deadline=None)
@given(rows())
def test_a_custom_notification_is_json_of_its_schema(grant: Grant) -> None:
    """All texts are text, short, and in the fields that the schema names."""
    content = json.loads(custom_notification(notice_of(grant), "https://api.example.com/request/t"))
    assert (content["version"], content["source"]) == ("1.0", "custom")
    assert set(content) == {"version", "source", "id", "content", "metadata"}
    assert set(content["content"]) == {"textType", "title", "description", "nextSteps", "keywords"}
    assert len(content["content"]["title"]) <= 250
    assert len(content["content"]["description"]) <= 4000
    assert all(len(step) <= 400 for step in content["content"]["nextSteps"])
    for text in texts(content):
        assert not re.search(r"[<>]|&(?!amp;|lt;|gt;)|[^\x20-\x7e\n]", text), text
        assert not re.search(r"(?i)@(here|channel|everyone)\b", text)
