"""Tell a channel of Slack what became of a grant: one message a conversation, the rest in its thread.

    notice | click --> row as it is now --> memory of its conversation --> claim --> post | update, reply --> remember
                                            nothing new: done              |
                                            somebody is at it: later       one that nobody holds any more: say that
                                                                           this may be a duplicate

Whatever order messages come in, the row is shown as it is now: an old one finds nothing to add. Slack cannot be asked
to post something only once, so a post whose fate nobody knows is followed by one more, marked, and by no third: the
queue's dead letters keep it for a person.
"""

import enum
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from bedrock_remediator.aws.ledger.write import Ledger
from bedrock_remediator.aws.slack_messages import SlackMessage, SlackMessages
from bedrock_remediator.clock import Clock
from bedrock_remediator.core.durations import offered
from bedrock_remediator.core.grant import Grant, State, conversation, steps_after
from bedrock_remediator.flows.slack.api import Slack, SlackGoneError, SlackRefusedError, SlackSilentError
from bedrock_remediator.flows.slack.work import Click, News, Text, read_work
from bedrock_remediator.notices.notice import Denials, Notice, Severity
from bedrock_remediator.notices.plan import plan
from bedrock_remediator.notices.slack import Card, about, message, plain
from bedrock_remediator.notices.slack_blocks import Words
from bedrock_remediator.notices.slack_steps import Aside, aside, reply
from bedrock_remediator.settings import SlackSettings

logger = logging.getLogger(__name__)

HELD: Final = timedelta(seconds=150)
"""How long a claim stands: longer than the function runs, so that one who has not let go is dead."""

_TEXT_KEPT: Final = timedelta(days=30)
_MOST_UNSURE: Final = 2
_FREE: Final[dict[str, Any]] = {"holder": None, "held_until": None}


class Fate(enum.StrEnum):
    """What became of one message of the queue."""

    POSTED = "posted"
    UPDATED = "updated"
    UNCHANGED = "unchanged"


class Delivery(Struct, frozen=True, kw_only=True):
    """A message of the queue: its body, how often it was received, this time included, and who works on it."""

    body: str
    attempt: int
    holder: str


class SlackHeldError(Exception):
    """Somebody else is sending something of this conversation, for `seconds` at most."""

    def __init__(self, seconds: int) -> None:
        super().__init__(f"the conversation is held for {seconds} seconds at most")
        self.seconds = seconds


class SlackDoubtError(Exception):
    """The message may be in the channel twice already: a person must look before it is sent again."""


class SlackPosting:
    """Works on the messages of Slack's queue. Everything it needs is given to it."""

    def __init__(
        self, *, ledger: Ledger, messages: SlackMessages, slack: Slack, settings: SlackSettings, clock: Clock
    ) -> None:
        self._ledger = ledger
        self._messages = messages
        self._slack = slack
        self._settings = settings
        self._clock = clock

    def handle(self, delivery: Delivery) -> Fate:
        """Bring the channel up to date with what one message tells of.

        Raises:
            SlackBusyError, SlackDownError, SlackSilentError, SlackRefusedError: Slack did not take it.
            SlackHeldError: Somebody else is at it.
            SlackDoubtError: It may have been posted twice.
            ConflictError: Somebody else was quicker; come again.
            RetryableError: DynamoDB or Secrets Manager is throttling or does not answer.
            ValueError: The message is none of ours.
        """
        work = read_work(delivery.body)
        if isinstance(work, Click):
            return self._answer(work, delivery)
        row = self._row(work) if isinstance(work, News) else None
        if isinstance(work, News) and row is not None:
            return self._show(row, delivery, work)
        return self._pass_on(work.text if isinstance(work, News) else work, delivery)

    def _row(self, news: News) -> Grant | None:
        """The row that there is news of: as it is now, or as it ended if it was opened anew since."""
        row = self._ledger.grant(news.pk, news.sk)
        if row is None or row.version == news.version:
            return row
        return self._messages.archived(news.pk, news.sk, news.version) or row

    def _answer(self, click: Click, delivery: Delivery) -> Fate:
        row = self._ledger.grant(click.pk, click.sk)
        fate = self._show(row, delivery) if row else Fate.UNCHANGED
        if click.answer:
            try:
                self._slack.post_ephemeral(click.channel, click.user, click.answer)
            except SlackRefusedError:
                # They have left the channel, say. The message itself tells how things stand.
                logger.warning("somebody who pressed a button could not be answered", exc_info=True)
        return fate

    def _pass_on(self, text: Text, delivery: Delivery) -> Fate:
        """Post what is about no row, or about a row that is not there, as it is."""
        expires = int((self._clock.now() + _TEXT_KEPT).timestamp())
        memory = self._messages.recall(SlackMessage.unsent("slack", "text", text.id, expires=expires))
        if memory.ts:
            return Fate.UNCHANGED
        words = plain(text.title, text.body, may_be_duplicate=memory.unsure > 0)
        return self._post(memory, words, 1, delivery)

    def _show(self, row: Grant, delivery: Delivery, news: News | None = None) -> Fate:
        memory = self._messages.recall(SlackMessage.unsent(row.pk, row.sk, conversation(row)))
        card = self._card(row, (news.page if news else None) or memory.page, news.lapses_at if news else None)
        if memory.ts is None:
            return self._begin(card, memory, delivery)
        return self._go_on(card, memory, delivery)

    def _begin(self, card: Card, memory: SlackMessage, delivery: Delivery) -> Fate:
        row = card.notice.grant
        notice = replace(card.notice, may_be_duplicate=memory.unsure > 0)
        said = aside(row, may_be_duplicate=False)
        words = message(replace(card, notice=notice))
        return self._post(memory, words, row.version, delivery, noted=said and said.name, page=card.page)

    def _post(self, memory: SlackMessage, words: Words, version: int, delivery: Delivery, **known: Any) -> Fate:
        held = self._hold(memory, version, delivery, posting=True)
        channel = self._settings.channel_id
        with self._sending(memory, held):
            ts = self._slack.post(channel, words)
        self._messages.save(
            held.changed(**_FREE, **known, channel=channel, ts=ts, shown=version, told=version, unsure=0)
        )
        return Fate.POSTED

    def _go_on(self, card: Card, memory: SlackMessage, delivery: Delivery) -> Fate:
        row = card.notice.grant
        answer = _reply(card.notice, memory)
        if answer is None and memory.shown >= row.version:
            return Fate.UNCHANGED
        held = self._hold(memory, row.version, delivery, posting=answer is not None)
        channel, thread = memory.channel or self._settings.channel_id, memory.ts or ""
        try:
            with self._sending(memory, held):
                if memory.shown < row.version:
                    self._slack.update(channel, thread, message(card))
                if answer is not None:
                    self._slack.post(channel, answer.words, thread=thread, broadcast=answer.loud)
        except SlackGoneError:
            # Somebody has deleted the message: what follows needs one all the same.
            forgotten = SlackMessage(pk=memory.pk, sk=memory.sk, revision=held.revision + 2)
            return self._begin(card, self._messages.save(forgotten), delivery)
        self._messages.save(
            held.changed(
                **_FREE,
                shown=max(memory.shown, row.version),
                told=max(memory.told, row.version),
                noted=answer.name if answer else memory.noted,
                page=card.page,
                unsure=0,
            )
        )
        return Fate.UPDATED

    # What the claim enforces, by the memory's revision:
    #
    #   free --hold--> held --done--> free, nothing unsure
    #                   |  +--not posted--> free, as before
    #                   |  +--no answer---> free, one more unsure
    #                   +--died; when its time is over--> free, one more unsure
    def _hold(self, memory: SlackMessage, version: int, delivery: Delivery, *, posting: bool) -> SlackMessage:
        now = self._clock.now()
        if memory.held_until is not None and now < memory.held_until:
            raise SlackHeldError(int((memory.held_until - now).total_seconds()) + 1)
        # A doubt about an earlier version still marks this one, but only its own tries count against it. And a
        # message that is received for the first time is new, or a person has put it back to be sent.
        unsure = memory.unsure if memory.trying == version else min(memory.unsure, 1)
        if posting and unsure >= _MOST_UNSURE and delivery.attempt > 1:
            raise SlackDoubtError(f"{memory.sk} of {memory.pk} may be in the channel twice; it is not sent again")
        return self._messages.save(
            memory.changed(
                holder=delivery.holder,
                held_until=now + HELD,
                trying=version if posting else memory.trying,
                unsure=unsure + 1 if posting else memory.unsure,
            )
        )

    @contextmanager
    def _sending(self, before: SlackMessage, held: SlackMessage) -> Iterator[None]:
        try:
            yield
        except SlackSilentError:
            self._messages.save(held.changed(**_FREE))
            raise
        except Exception:
            self._messages.save(held.changed(**_FREE, trying=before.trying, unsure=before.unsure))
            raise

    def _card(self, row: Grant, page: str | None, lapses_at: datetime | None) -> Card:
        notice = Notice(
            grant=row,
            occasion=about(row),
            denials=self._denials(row),
            # Before and after are for the page: here it is enough what the grant itself says.
            plan=plan(row, tuple, self._settings.extra_actions),
            strategy=self._settings.strategy,
            lapses_at=lapses_at if row.state is State.PENDING else None,
        )
        lengths = offered(row, self._settings.longest) if self._settings.approvers else ()
        return Card(notice=notice, page=page, lengths=lengths)

    def _denials(self, row: Grant) -> Denials | None:
        seen = self._ledger.denials(*row.key)
        if seen.first_at is None or seen.last_at is None:
            return None
        return Denials(count=seen.count, first_at=seen.first_at, last_at=seen.last_at)


def _reply(notice: Notice, memory: SlackMessage) -> Aside | None:
    """What the thread must be told, if anything.

    The channel must hear it too where somebody has to act: the row asks again, or waits in vain.
    """
    row, again = notice.grant, memory.unsure > 0
    steps = steps_after(row, memory.told)
    told = reply(row, steps, may_be_duplicate=again)
    if told is not None:
        asks = any(step.state is State.PENDING for step in steps)
        return Aside(memory.noted or "", told, asks or notice.severity is Severity.ALERT)
    said = aside(row, may_be_duplicate=again)
    return said if said and said.name != memory.noted else None
