"""The slack function with its real handler: topic and queue as moto plays them, and a stand-in for Slack's API."""

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from botocore.exceptions import ClientError

from bedrock_remediator.aws.errors import RetryableError
from bedrock_remediator.aws.ledger.items import archive_item, grant_item
from bedrock_remediator.aws.ledger.write import Ledger
from bedrock_remediator.aws.messaging import SlackQueue
from bedrock_remediator.aws.slack_messages import SlackMessage, SlackMessages
from bedrock_remediator.core.grant import Event, Grant, Remark, State, Via
from bedrock_remediator.flows.slack.work import Click
from tests.builders.clocks import StoppedClock
from tests.builders.decisions import stepped, waiting
from tests.builders.grants import NOON, first_seen
from tests.builders.notices import SIGHTING, blocked_by_scp, leaked_key
from tests.builders.slack import (
    CHANNEL,
    FakeSlack,
    after_posting,
    elements,
    failing,
    limited,
    refusing,
    shown,
    silent,
    slack_server,
    wrapped,
)
from tests.builders.slack_function import MOST_RECEIVES, PLENTY, SlackStack

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


@pytest.fixture
def slack(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeSlack]:
    """The stand-in for Slack, with no proxy on the way."""
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    with slack_server() as server:
        yield server


@pytest.fixture
def queue(
    slack: FakeSlack, dynamodb: "DynamoDBClient", clock: StoppedClock, monkeypatch: pytest.MonkeyPatch
) -> Iterator[SlackStack]:
    """The queue, with the function behind it."""
    queue = SlackStack(monkeypatch, clock, slack)
    yield queue
    queue.close()


@pytest.fixture
def put(dynamodb: "DynamoDBClient") -> Callable[[Grant], Grant]:
    """Put a row into the ledger as it is."""

    def row(grant: Grant) -> Grant:
        dynamodb.put_item(TableName="ledger", Item=grant_item(grant))
        return grant

    return row


@pytest.fixture
def tell(put: "Put", queue: SlackStack) -> "Tell":
    """Put a row into the ledger, and its notice into the queue."""

    def row(grant: Grant) -> Grant:
        queue.publish(put(grant))
        return grant

    return row


Put = Callable[[Grant], Grant]
Tell = Callable[[Grant], Grant]


def approved(grant: Grant) -> Grant:
    """The row after Alice approved it in Slack."""
    after = stepped(grant, State.APPROVED, by="slack:U0ALICE")
    return msgspec.structs.replace(after, decided_by="slack:U0ALICE", decided_via=Via.SLACK, decided_version=2)


def memory(dynamodb: "DynamoDBClient", grant: Grant, conversation: str = "2026-11-20T12:00:00Z") -> SlackMessage:
    """What is remembered of a row's conversation."""
    messages = SlackMessages(dynamodb, "ledger")
    return messages.recall(SlackMessage.unsent(grant.pk, grant.sk, conversation))


# ------------------------------------------------------------------------------------------------- posting and updating


def test_a_request_is_posted_once(tell: Tell, queue: SlackStack, slack: FakeSlack) -> None:
    """With its buttons, in the channel of the parameter; a second delivery adds nothing."""
    row = tell(waiting(sighting=SIGHTING))
    queue.publish(row)
    assert queue.run() == 0
    (posted,) = slack.posted
    assert posted["channel"] == CHANNEL
    assert list(elements(posted)) == ["length", "approve", "reject"]
    assert "may be a duplicate" not in shown(posted)


def test_until_when_it_waits_is_in_it(put: Put, queue: SlackStack, slack: FakeSlack) -> None:
    """The notice tells, since the function does not know how long requests last; who comes later need not know."""
    row = put(waiting())
    notice = {"request": {"pk": row.pk, "sk": row.sk, "version": 1}, "lapses_at": "2026-11-23T12:00:00Z"}
    queue.publish_text(json.dumps(notice), "subject")
    queue.run()
    assert "*Waits until*\n<!date^1795435200^" in shown(slack.posted[0])
    put(stepped(row, State.REJECTED))
    queue.publish_text(json.dumps(notice), "subject")
    queue.run()
    assert "Waits until" not in shown(slack.posted[0])


def test_a_row_that_nobody_is_told_of_can_be_shown(put: Put, queue: SlackStack, slack: FakeSlack) -> None:
    """News of the version before meets it: it is kept while another grant is asked for, say."""
    put(waiting(sk=f"kept#{waiting().sk}", state=State.ACTIVE, version=2))
    queue.publish(waiting(sk=f"kept#{waiting().sk}"))
    assert queue.run() == 0
    assert len(slack.posted) == 1


def test_how_often_it_was_denied_is_in_it(tell: Tell, queue: SlackStack, slack: FakeSlack, ledger: Ledger) -> None:
    """The ledger's counters are read, as for a mail."""
    row = waiting()
    ledger.open(row, first_seen(row, count=3))
    queue.publish(row)
    queue.run()
    assert "3 times" in shown(slack.posted[0])


def test_the_page_of_a_notice_is_linked_and_remembered(
    put: Put, queue: SlackStack, slack: FakeSlack, dynamodb: "DynamoDBClient"
) -> None:
    """The address comes with the notice, and later updates keep it."""
    row = put(waiting())
    notice = {"request": {"pk": row.pk, "sk": row.sk, "version": 1}, "page": "https://api.example.com/request/t"}
    queue.publish_text(json.dumps(notice), "subject")
    queue.run()
    assert elements(slack.posted[0])["page"]["url"] == "https://api.example.com/request/t"
    put(stepped(row, State.REJECTED))
    queue.publish(stepped(row, State.REJECTED))
    queue.run()
    assert list(elements(slack.posted[0])) == ["page"]


def test_the_message_is_updated_and_the_thread_told(tell: Tell, queue: SlackStack, slack: FakeSlack) -> None:
    """After the decision it says who decided and when, its buttons are gone, and the channel has no second message."""
    row = tell(waiting())
    queue.run()
    tell(stepped(approved(row), State.APPLYING, State.ACTIVE))
    queue.run()
    (parent,) = slack.messages
    assert "*Approved* by <@U0ALICE>" in shown(parent)
    assert ":white_check_mark: Bedrock access granted" in shown(parent)
    assert elements(parent) == {}
    (reply,) = slack.thread(parent["ts"])
    assert reply["text"] == "Approved, then Granted"
    assert not reply["reply_broadcast"]


@pytest.mark.parametrize("state", [State.REJECTED, State.LAPSED])
def test_a_request_that_came_to_nothing_says_so(state: State, tell: Tell, queue: SlackStack, slack: FakeSlack) -> None:
    """Nobody can press a button any more."""
    row = tell(waiting())
    queue.run()
    tell(stepped(row, state))
    queue.run()
    (parent,) = slack.messages
    assert elements(parent) == {}
    assert f"Bedrock access {'request lapsed' if state is State.LAPSED else 'rejected'}" in shown(parent)


def test_old_news_does_not_undo_the_new(put: Put, queue: SlackStack, slack: FakeSlack) -> None:
    """Whatever order messages come in, the row is shown as it is now."""
    row = waiting()
    rejected = put(stepped(row, State.REJECTED))
    queue.publish(rejected)
    queue.run()
    queue.publish(row)
    queue.run()
    (posted,) = slack.posted
    assert "Bedrock access rejected" in shown(posted)
    assert len(slack.calls) == 1


def test_late_news_of_a_row_on_its_way_shows_how_far_it_is(put: Put, queue: SlackStack, slack: FakeSlack) -> None:
    """The notice of the request met a row that is being applied: no button is worth pressing."""
    row = waiting()
    put(stepped(row, State.APPROVED, State.APPLYING))
    queue.publish(row)
    queue.run()
    (posted,) = slack.posted
    assert "is being applied and verified" in shown(posted)
    assert elements(posted) == {}


def test_a_request_that_asks_again_is_heard_in_the_channel(tell: Tell, queue: SlackStack, slack: FakeSlack) -> None:
    """Its message has buttons again, for the new version, and its reply shows in the channel."""
    row = tell(waiting())
    queue.run()
    tell(stepped(row, State.APPROVED, State.PENDING))
    queue.run()
    parent, reply = slack.messages
    assert json.loads(elements(parent)["approve"]["value"])["version"] == 3
    assert reply["thread_ts"] == parent["ts"]
    assert reply["reply_broadcast"] is True


def test_a_row_that_is_opened_anew_gets_a_message_of_its_own(tell: Tell, queue: SlackStack, slack: FakeSlack) -> None:
    """It is another request: the channel hears of it."""
    row = tell(waiting())
    queue.run()
    tell(waiting(version=3, created_at=NOON + timedelta(days=2), updated_at=NOON + timedelta(days=2)))
    queue.run()
    assert len(slack.messages) == 2
    assert "Bedrock access requested" in shown(slack.messages[0])
    assert row.version == 1


def test_the_end_of_a_row_reaches_its_message_after_it_was_opened_anew(
    tell: Tell, put: Put, queue: SlackStack, slack: FakeSlack, dynamodb: "DynamoDBClient"
) -> None:
    """The archive knows how it ended; the new request stands in a message of its own."""
    row = tell(waiting())
    queue.run()
    ended = stepped(row, State.REJECTED)
    dynamodb.put_item(TableName="ledger", Item=archive_item(ended))
    tell(waiting(version=3, created_at=NOON + timedelta(days=2)))
    queue.publish(ended)
    queue.run()
    old, new = slack.messages
    assert "Bedrock access rejected" in shown(old)
    assert "Bedrock access requested" in shown(new)


def test_advice_that_comes_again_is_a_reply(tell: Tell, queue: SlackStack, slack: FakeSlack) -> None:
    """The channel has heard it already."""
    opened = (Event(at=NOON, state=State.REPORTED, by="triage", reason="No grant can help."),)
    tell(blocked_by_scp(history=opened))
    queue.run()
    tell(blocked_by_scp(version=2, created_at=NOON + timedelta(days=2), history=opened))
    queue.run()
    (parent,) = slack.messages
    assert len(slack.thread(parent["ts"])) == 1


def test_an_alert_that_comes_again_is_heard_in_the_channel(tell: Tell, queue: SlackStack, slack: FakeSlack) -> None:
    """A leaked key is worth saying twice."""
    opened = (Event(at=NOON, state=State.REPORTED, by="triage", reason="No grant can help."),)
    tell(leaked_key(history=opened))
    queue.run()
    tell(leaked_key(version=2, created_at=NOON + timedelta(days=2), history=opened))
    queue.run()
    assert [each.get("reply_broadcast") for each in slack.messages] == [None, True]


def test_a_reminder_is_passed_on_once(tell: Tell, queue: SlackStack, slack: FakeSlack) -> None:
    """In the thread, and in the channel, where those are who could decide."""
    row = tell(waiting())
    queue.run()
    reminded = tell(msgspec.structs.replace(row, reminded_at=NOON + timedelta(hours=36)))
    queue.run()
    queue.publish(reminded)
    queue.run()
    _, reply = slack.messages
    assert "Still waiting for a decision" in shown(reply)
    assert len(slack.posted) == 2


def test_a_link_that_was_asked_for_is_no_news(tell: Tell, queue: SlackStack, slack: FakeSlack) -> None:
    """It is the approvers' mail; nothing has happened that the channel should hear of."""
    row = tell(stepped(waiting(), State.APPROVED, State.APPLYING, State.ACTIVE))
    queue.run()
    tell(msgspec.structs.replace(row, link_asked_at=NOON + timedelta(days=9)))
    assert queue.run() == 0
    assert [method for method, _ in slack.calls] == ["chat.postMessage"]


def test_what_upkeep_finds_goes_to_the_thread_once(tell: Tell, put: Put, queue: SlackStack, slack: FakeSlack) -> None:
    """The message itself stays as it is."""
    row = tell(stepped(waiting(), State.APPROVED, State.APPLYING, State.ACTIVE))
    queue.run()
    remark = Remark(version=4, at=NOON + timedelta(days=1), code="policy_detached", reason="It was detached.")
    noticed = tell(msgspec.structs.replace(row, remark=remark))
    queue.run()
    queue.publish(noticed)
    queue.run()
    (parent,) = slack.messages
    (reply,) = slack.thread(parent["ts"])
    assert "It was detached." in shown(reply)
    assert [method for method, _ in slack.calls] == ["chat.postMessage", "chat.postMessage"]


def test_a_message_that_was_deleted_is_posted_anew(tell: Tell, queue: SlackStack, slack: FakeSlack) -> None:
    """Somebody took it away; what became of the request needs a message all the same."""
    row = tell(waiting())
    queue.run()
    slack.posted.clear()
    tell(stepped(row, State.REJECTED))
    queue.run()
    (posted,) = slack.posted
    assert "Bedrock access rejected" in shown(posted)
    assert "thread_ts" not in posted


# ---------------------------------------------------------------------------------------------- what is about no row


def test_an_alarm_is_passed_on_once(queue: SlackStack, slack: FakeSlack) -> None:
    """CloudWatch's JSON is read, and whatever it says is text."""
    alarm = {"AlarmName": "dead-letters", "NewStateValue": "ALARM", "NewStateReason": "1 message <!channel>"}
    queue.publish_text(json.dumps(alarm), 'ALARM: "dead-letters" in US East')
    queue.run()
    assert "*ALARM: dead-letters*\n1 message &lt;!channel&gt;" in shown(slack.posted[0])


def test_what_is_delivered_twice_is_passed_on_once(queue: SlackStack, slack: FakeSlack) -> None:
    """SNS's id of the message tells."""
    for _ in range(2):
        queue.send(wrapped("plain words", 7))
    queue.run()
    assert len(slack.posted) == 1


def test_a_digest_is_passed_on_as_it_is(queue: SlackStack, slack: FakeSlack) -> None:
    """Line by line."""
    queue.publish_text(json.dumps({"event": "digest", "subject": "Today", "text": "a\nb"}), "subject")
    queue.run()
    assert "*Today*\na\nb" in shown(slack.posted[0])


def test_any_other_text_is_passed_on_too(queue: SlackStack, slack: FakeSlack) -> None:
    """Nothing that was published is lost, whatever it is."""
    queue.publish_text("plain words", "A title")
    queue.run()
    assert "*A title*\nplain words" in shown(slack.posted[0])


def test_news_of_a_row_that_is_not_there_is_passed_on(queue: SlackStack, slack: FakeSlack) -> None:
    """The notice itself has words enough."""
    queue.publish(waiting())
    queue.run()
    assert "No rule of the allowlist names this principal and profile." in shown(slack.posted[0])


def test_what_is_passed_on_is_forgotten_one_day(
    queue: SlackStack, slack: FakeSlack, dynamodb: "DynamoDBClient", clock: StoppedClock
) -> None:
    """Its memory has an end, that of a row has none."""
    queue.publish_text("plain words", "A title")
    queue.run()
    (item,) = dynamodb.scan(TableName="ledger")["Items"]
    assert int(item["expires"]["N"]) == int((clock.time + timedelta(days=30)).timestamp())
    assert "state" not in item


def test_what_is_none_of_ours_ends_in_the_dead_letters(queue: SlackStack, slack: FakeSlack) -> None:
    """Nobody guesses what it means."""
    queue.send("{}")
    queue.run_on()
    assert queue.dead() == ["{}"]
    assert slack.posted == []


# -------------------------------------------------------------------------------------------------- clicks


def test_a_click_renews_the_message_at_once(tell: Tell, put: Put, queue: SlackStack, slack: FakeSlack) -> None:
    """No notice is about `approved`; whoever pressed sees all the same that it was heard."""
    row = tell(waiting())
    queue.run()
    put(approved(row))
    queue.send(Click(pk=row.pk, sk=row.sk, channel=CHANNEL, user="U0ALICE").body)
    queue.run()
    (parent,) = slack.messages
    assert "It is approved, and is about to be applied." in shown(parent)
    assert [each["text"] for each in slack.thread(parent["ts"])] == ["Approved"]
    assert slack.ephemerals == []


def test_a_step_of_seconds_shows_and_is_not_told(tell: Tell, put: Put, queue: SlackStack, slack: FakeSlack) -> None:
    """The message says that the grant is being applied; the thread waits for what comes of it."""
    row = tell(waiting())
    queue.run()
    for now in (approved(row), stepped(approved(row), State.APPLYING)):
        put(now)
        queue.send(Click(pk=row.pk, sk=row.sk, channel=CHANNEL, user="U0ALICE").body)
        queue.run()
    (parent,) = slack.messages
    assert "is being applied and verified" in shown(parent)
    assert [each["text"] for each in slack.thread(parent["ts"])] == ["Approved"]


def test_whoever_pressed_in_vain_is_told_alone(tell: Tell, queue: SlackStack, slack: FakeSlack) -> None:
    """The channel sees nothing of it."""
    row = tell(waiting())
    queue.run()
    queue.send(Click(pk=row.pk, sk=row.sk, channel=CHANNEL, user="U0MALLORY", answer="Nothing changed.").body)
    assert queue.run() == 0
    assert [(each["user"], each["text"]) for each in slack.ephemerals] == [("U0MALLORY", "Nothing changed.")]
    assert len(slack.posted) == 1


def test_who_cannot_be_answered_is_not(queue: SlackStack, slack: FakeSlack) -> None:
    """They may have left the channel: that is no reason to come again."""
    slack.faults = [refusing("user_not_in_channel")]
    queue.send(Click(pk="p", sk="s", channel=CHANNEL, user="U0MALLORY", answer="Nothing changed.").body)
    assert queue.run() == 0


# -------------------------------------------------------------------------------------------------- trouble


def test_429_then_success_is_one_message(tell: Tell, queue: SlackStack, slack: FakeSlack) -> None:
    """The queue hides the message for as long as Slack asks, and then it is posted, once and unmarked."""
    slack.faults = [limited("37")]
    tell(waiting())
    assert queue.run() == 1
    assert queue.waits() == pytest.approx([37], abs=5)
    assert queue.run() == 0
    queue.later()
    assert queue.run() == 0
    (posted,) = slack.posted
    assert "may be a duplicate" not in shown(posted)


def test_a_pause_holds_for_the_whole_batch(tell: Tell, queue: SlackStack, slack: FakeSlack) -> None:
    """Slack is not asked again before its time for what else is in the batch."""
    slack.faults = [limited("60")]
    for number in range(3):
        tell(waiting(pk=f"arn:aws:iam::123456789012:role/r{number}", principal=None))
    assert queue.run() == 3
    assert len(slack.calls) == 1
    assert queue.waits() == pytest.approx([60, 60, 60], abs=5)
    queue.run_on()
    assert len(slack.posted) == 3


def test_500s_until_the_limit_are_a_dead_letter(tell: Tell, queue: SlackStack, slack: FakeSlack) -> None:
    """The queue tries as often as it may, waiting longer each time, and keeps the message for a person."""
    slack.faults = [failing()] * 50
    row = tell(waiting())
    waits = []
    for _ in range(MOST_RECEIVES):
        assert queue.run() == 1
        waits += queue.waits()
        queue.later()
    assert queue.run() == 0
    assert waits == pytest.approx([30, 60, 120, 240, 480], abs=5)
    assert len(slack.calls) == MOST_RECEIVES
    (dead,) = queue.dead()
    assert json.loads(json.loads(dead)["Message"])["request"]["pk"] == row.pk
    assert slack.posted == []


def test_500s_that_pass_are_one_message(tell: Tell, queue: SlackStack, slack: FakeSlack) -> None:
    """A server error is an answer: nothing was posted, and nothing is marked."""
    slack.faults = [failing(), failing(503), failing(502)]
    tell(waiting())
    queue.run_on()
    (posted,) = slack.posted
    assert "may be a duplicate" not in shown(posted)


def test_a_dead_letter_that_is_put_back_is_posted(tell: Tell, queue: SlackStack, slack: FakeSlack) -> None:
    """Once whatever was wrong is right again."""
    slack.faults = [refusing("not_in_channel")] * MOST_RECEIVES
    tell(waiting())
    queue.run_on()
    (dead,) = queue.dead()
    queue.send(dead)
    queue.run_on()
    assert len(slack.posted) == 1


def test_a_crash_after_posting_doubles_once_and_says_so(
    tell: Tell, queue: SlackStack, slack: FakeSlack, clock: StoppedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The function dies between the post and the memory: the next one waits for its claim to end, and marks its own."""
    save = SlackMessages.save

    def dies(self: SlackMessages, after: SlackMessage) -> SlackMessage:
        if after.ts:
            raise RetryableError("the function dies here")
        return save(self, after)

    monkeypatch.setattr(SlackMessages, "save", dies)
    tell(waiting())
    assert queue.run() == 1
    monkeypatch.setattr(SlackMessages, "save", save)
    queue.later()
    assert queue.run() == 1
    assert queue.waits() == pytest.approx([151], abs=5)
    clock.time += timedelta(seconds=151)
    queue.later()
    assert queue.run() == 0
    first, second = slack.posted
    assert "may be a duplicate" not in shown(first)
    assert "may be a duplicate" in shown(second)


@pytest.mark.parametrize("fault", [silent, after_posting])
def test_silence_doubles_once_at_most(fault: Any, tell: Tell, queue: SlackStack, slack: FakeSlack) -> None:
    """What Slack never answered is sent once more, marked, and not a third time: its dead letter waits for a person."""
    slack.faults = [fault] * 50
    tell(waiting())
    queue.run_on()
    assert len(slack.calls) == 2
    assert "may be a duplicate" in json.dumps(slack.calls[1][1])
    (dead,) = queue.dead()
    slack.faults = []
    queue.send(dead)
    queue.run_on()
    assert "may be a duplicate" in shown(slack.posted[-1])


def test_a_doubt_does_not_hold_up_what_comes_next(tell: Tell, queue: SlackStack, slack: FakeSlack) -> None:
    """The request is among the dead letters; its end is told all the same, and marked."""
    slack.faults = [silent] * 2
    row = tell(waiting())
    queue.run_on()
    assert len(queue.dead()) == 1
    tell(stepped(row, State.REJECTED))
    queue.run_on()
    (posted,) = slack.posted
    assert "Bedrock access rejected" in shown(posted)
    assert "may be a duplicate" in shown(posted)


def test_a_reply_that_was_not_answered_is_marked_too(tell: Tell, queue: SlackStack, slack: FakeSlack) -> None:
    """Updating does no harm twice, replying would."""
    row = tell(waiting())
    queue.run()
    slack.faults = [None, after_posting]
    tell(stepped(row, State.REJECTED))
    queue.run_on()
    (parent,) = slack.messages
    first, second = slack.thread(parent["ts"])
    assert "may be a duplicate" not in shown(first)
    assert "may be a duplicate" in shown(second)


def test_two_functions_do_not_send_the_same(
    tell: Tell, queue: SlackStack, slack: FakeSlack, dynamodb: "DynamoDBClient", clock: StoppedClock
) -> None:
    """Whoever comes second waits for as long as the first may take."""
    row = tell(waiting())
    messages = SlackMessages(dynamodb, "ledger")
    free = memory(dynamodb, row)
    held = messages.save(free.changed(holder="another", held_until=clock.time + timedelta(seconds=20)))
    assert queue.run() == 1
    assert queue.waits() == pytest.approx([21], abs=5)
    assert slack.calls == []
    messages.save(held.changed(holder=None, held_until=None, channel=CHANNEL, ts="1.1", shown=1, told=1))
    queue.later()
    assert queue.run() == 0
    assert slack.calls == []


def test_there_may_be_no_time_for_the_rest(tell: Tell, queue: SlackStack, slack: FakeSlack) -> None:
    """What could not be finished is not begun, and comes again at once."""
    tell(waiting())
    queue.left = 10_000
    assert queue.run() == 1
    assert slack.calls == []
    queue.left = PLENTY
    queue.later()
    assert queue.run() == 0


def test_a_queue_that_does_not_answer_delivers_again_all_the_same(
    tell: Tell, queue: SlackStack, slack: FakeSlack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message counts as failed; its own visibility timeout brings it back."""
    slack.faults = [failing()]
    tell(waiting())

    def down(*_: Any) -> None:
        raise RetryableError("SQS does not answer")

    monkeypatch.setattr(SlackQueue, "put_off", down)
    assert queue.run() == 1
    assert queue.waits() == pytest.approx([360], abs=5)


# ------------------------------------------------------------------------------------------- the memory


def test_two_writers_of_one_revision_do_not_both_win(dynamodb: "DynamoDBClient") -> None:
    """The second is told, unless it is the same write that is sent twice."""
    messages = SlackMessages(dynamodb, "ledger")
    free = SlackMessage.unsent("p", "s", "c")
    mine, theirs = free.changed(holder="a"), free.changed(holder="b")
    assert messages.save(mine) == messages.save(mine) == mine
    with pytest.raises(Exception, match="no longer as it was read"):
        messages.save(theirs)
    assert messages.recall(free) == mine


def test_other_trouble_is_no_conflict(dynamodb: "DynamoDBClient") -> None:
    """A table that is not there, say, is nothing to try again."""
    with pytest.raises(ClientError, match="ResourceNotFound"):
        SlackMessages(dynamodb, "elsewhere").save(SlackMessage.unsent("p", "s", "c").changed())


def test_only_an_archived_row_is_found_in_the_archive(dynamodb: "DynamoDBClient") -> None:
    """At the version that it ended with, and in its last state."""
    messages = SlackMessages(dynamodb, "ledger")
    ended = stepped(waiting(), State.REJECTED)
    dynamodb.put_item(TableName="ledger", Item=archive_item(ended))
    assert messages.archived(*ended.key, 2) == ended
    assert messages.archived(*ended.key, 1) is None
