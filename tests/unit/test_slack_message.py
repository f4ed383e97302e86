import json
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from bedrock_remediator.core.approval import Button
from bedrock_remediator.core.durations import offered
from bedrock_remediator.core.grant import Event, Grant, Remark, State, Via, steps_after
from bedrock_remediator.notices.notice import Notice
from bedrock_remediator.notices.plan import plan
from bedrock_remediator.notices.slack import Card, about, message, plain
from bedrock_remediator.notices.slack_steps import aside, reply
from tests.builders.decisions import stepped, waiting
from tests.builders.grants import NOON
from tests.builders.notices import ALL, EXTRA_ACTIONS, SIGHTING, leaked_key, notice_of
from tests.builders.slack import elements, shown

PAGE = "https://api.example.com/request/token"


def card_of(grant: Grant, **changes: Any) -> Card:
    """The card of a row that people may decide in Slack."""
    notice = Notice(
        grant=grant,
        occasion=about(grant),
        plan=plan(grant, tuple, EXTRA_ACTIONS),
    )
    return msgspec.structs.replace(Card(notice=notice, page=PAGE, lengths=offered(grant, None)), **changes)


def sent(card: Card) -> dict[str, Any]:
    """The message as it would be posted."""
    words = message(card)
    return {"text": words.text, "blocks": words.blocks}


def test_a_request_says_who_what_and_why() -> None:
    """The principal, the model, what would be granted, and the reason are there to be read in ten seconds."""
    text = shown(sent(card_of(waiting(sighting=SIGHTING))))
    for part in (
        "Bedrock access requested",
        "`role llm-app` was denied `us.amazon.nova-2-lite-v1:0`",
        "`arn:aws:iam::123456789012:role/service/llm-app`",
        "`bedrock:InvokeModel`",
        "foundation-model/amazon.nova-2-lite-v1:0`",
        "No rule of the allowlist names this principal and profile.",
        "*As sent by the caller* (nobody has checked this)",
        "Session: `web-1`",
    ):
        assert part in text


def test_a_request_has_buttons_that_name_row_and_version() -> None:
    """Approve, Reject, the length and the page; the buttons carry the key and the version, and no token."""
    grant = waiting()
    found = elements(sent(card_of(grant)))
    assert list(found) == ["length", "approve", "reject", "page"]
    assert json.loads(found["approve"]["value"]) == {"pk": grant.pk, "sk": grant.sk, "version": 1, "length": ""}
    assert found["reject"]["value"] == found["approve"]["value"]
    assert "initial_option" not in found["length"]
    assert "confirm" in found["approve"]
    assert found["page"]["url"] == PAGE


def test_the_rows_own_length_is_picked_already() -> None:
    """What the rule or the stack gives is the choice that stands where nobody chooses."""
    grant = waiting(grant_seconds=7 * 86_400)
    found = elements(sent(card_of(grant, lengths=offered(grant, timedelta(days=30)))))
    assert found["length"]["initial_option"]["value"] == "7d"
    assert [option["value"] for option in found["length"]["options"]] == ["1h", "1d", "7d", "30d"]
    assert json.loads(found["approve"]["value"])["length"] == "7d"


def test_nobody_may_decide_in_slack_without_approvers() -> None:
    """Without lengths to choose from there is nothing but the page."""
    assert list(elements(sent(card_of(waiting(), lengths=())))) == ["page"]


def test_a_message_without_page_and_buttons_has_no_actions() -> None:
    """An empty block would be refused."""
    assert elements(sent(card_of(waiting(), lengths=(), page=None))) == {}


def test_a_key_that_no_button_can_carry_leaves_the_page() -> None:
    """A value above Slack's 2,000 characters makes no button."""
    assert list(elements(sent(card_of(waiting(sk="profile#" + "x" * 2000))))) == ["page"]


@pytest.mark.parametrize(
    ("state", "actions"),
    [
        (State.PENDING, ["length", "approve", "reject", "page"]),
        (State.FAILED, ["length", "approve", "page"]),
        (State.APPROVED, ["page"]),
        (State.ACTIVE, ["page"]),
        (State.REJECTED, ["page"]),
    ],
)
def test_buttons_are_there_for_what_can_be_decided(state: State, actions: list[str]) -> None:
    """Once it is decided there is nothing left to press, and what failed can be approved again."""
    assert list(elements(sent(card_of(waiting(state=state))))) == actions


@pytest.mark.parametrize("state", State)
def test_every_state_can_be_shown(state: State) -> None:
    """A message says something of a row in whatever state it meets it."""
    assert shown(sent(card_of(waiting(state=state))))


@pytest.mark.parametrize("kind", ALL)
def test_every_kind_of_notice_can_be_shown(kind: str) -> None:
    """Every notice that a mail is made from makes a message too."""
    assert shown(sent(Card(notice=notice_of(ALL[kind]()))))


def test_how_often_it_was_denied_is_told() -> None:
    """Once, or how often from when to when; not at all where nothing was counted, but when the call was."""
    assert "*Denied*\nonce, <!date^" in shown(sent(Card(notice=notice_of(waiting(), denials=1))))
    assert "*Denied*\n1,234 times, <!date^" in shown(sent(Card(notice=notice_of(waiting(), denials=1234))))
    assert "*Denied*\n<!date^" in shown(sent(Card(notice=notice_of(waiting(), denials=0))))


def test_an_alert_looks_like_one() -> None:
    """A leaked key does not hide among requests, and the next steps are in the message."""
    text = shown(sent(Card(notice=notice_of(leaked_key()))))
    assert ":rotating_light: ALERT: LEAKED AWS KEY" in text
    assert "*What to do next*" in text


def test_a_message_that_may_be_a_duplicate_says_so() -> None:
    """Whoever sees it twice knows why."""
    notice = msgspec.structs.replace(notice_of(waiting()), may_be_duplicate=True)
    assert "may be a duplicate" in shown(sent(Card(notice=notice)))


def test_what_happened_is_in_the_message_with_who_and_when() -> None:
    """Each step has its line, the seconds of applying have none, and one who decided in Slack shows as themselves."""
    grant = stepped(waiting(), State.APPROVED, by="slack:U0ALICE")
    grant = msgspec.structs.replace(grant, decided_by="slack:U0ALICE", decided_via=Via.SLACK)
    text = shown(sent(card_of(stepped(grant, State.APPLYING, State.ACTIVE))))
    assert "*Approved* by <@U0ALICE>, <!date^1795176060^" in text
    assert "*Granted* by `remediate`" in text
    assert text.count("* by ") == 2


def test_only_slack_vouches_for_a_user_of_slack() -> None:
    """One whom the identity provider calls `slack:U0ALICE` stands there in code style."""
    grant = stepped(waiting(), State.REJECTED, by="slack:U0ALICE")
    grant = msgspec.structs.replace(grant, decided_by="slack:U0ALICE", decided_via=Via.OIDC)
    assert "*Rejected* by `slack:U0ALICE`" in shown(sent(card_of(grant)))


def test_a_reply_tells_the_steps_since() -> None:
    """The thread hears who did what when, and why."""
    grant = stepped(waiting(), State.APPROVED, State.APPLYING, State.ACTIVE)
    words = reply(grant, steps_after(grant, 1), may_be_duplicate=True)
    assert words is not None
    text = shown({"text": words.text, "blocks": words.blocks})
    assert words.text == "Approved, then Granted"
    assert "*Approved* by `remediate`" in text
    assert "may be a duplicate" in text


def test_steps_of_seconds_are_not_told() -> None:
    """Nobody is told that a grant is being applied."""
    assert reply(waiting(), [Event(at=NOON, state=State.APPLYING, by="x", reason="y")], may_be_duplicate=False) is None


def test_a_reminder_is_for_the_channel() -> None:
    """It is about waiting, not about the request again, and everybody who could decide hears it."""
    found = aside(waiting(reminded_at=NOON + timedelta(hours=36)), may_be_duplicate=True)
    assert found is not None
    assert found.loud
    assert "Still waiting for a decision" in found.words.text
    assert "may be a duplicate" in shown({"text": found.words.text, "blocks": found.words.blocks})


def test_what_upkeep_has_found_is_for_the_thread() -> None:
    """In its own words, each remark under its own name."""
    remark = Remark(version=1, at=NOON, code="policy_detached", reason="Somebody has <detached> it.")
    found = aside(waiting(state=State.ACTIVE, remark=remark), may_be_duplicate=False)
    assert found is not None
    assert not found.loud
    assert found.name == "policy_detached 2026-11-20T12:00:00+00:00"
    assert "Somebody has &lt;detached&gt; it." in shown({"text": found.words.text, "blocks": found.words.blocks})


def test_there_is_nothing_to_say_aside_of_most_rows() -> None:
    """Neither of one nobody was reminded of, nor of one that has moved on since."""
    assert aside(waiting(), may_be_duplicate=False) is None
    gone = stepped(waiting(reminded_at=NOON), State.APPROVED)
    assert aside(gone, may_be_duplicate=False) is None


def test_what_is_about_no_row_is_passed_on_as_it_is() -> None:
    """Lines stay lines, and nothing in them is markup."""
    words = plain("ALARM: <dead letters>", "line one\n<!channel>\n", may_be_duplicate=True)
    assert [block["type"] for block in words.blocks] == ["section", "section", "context"]
    assert words.blocks[0]["text"]["text"] == "*ALARM: &lt;dead letters&gt;*"
    assert words.blocks[1]["text"] == {"type": "plain_text", "emoji": False, "text": "line one\n&lt;!channel&gt;"}


def test_an_empty_text_is_no_message_of_nothing() -> None:
    """A title alone is enough, and so is a text alone."""
    assert len(plain("title", "").blocks) == 1
    assert plain("", "text").text == "text"


def test_a_button_reads_what_it_wrote() -> None:
    """And nothing else: unknown fields are not ours."""
    button = Button(pk="p", sk="s", version=3, length="30d")
    assert Button.read(button.value or "") == button
    for value in ("", "{}", '{"pk":"p","sk":"s","version":3,"length":"1d","token":"x"}', '{"pk":1}'):
        with pytest.raises(ValueError, match=r"."):
            Button.read(value)
