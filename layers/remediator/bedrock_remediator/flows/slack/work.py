"""What lies in Slack's queue: notices as SNS delivers them, and clicks as the approve function hands them over."""

from datetime import datetime
from typing import Final

import msgspec
from msgspec import Struct

_LONGEST_PAGE: Final = 3000


class Text(Struct, frozen=True, kw_only=True):
    """Something that is about no row: an alarm, a digest. `id` is SNS's for the message."""

    id: str
    title: str
    body: str


class News(Struct, frozen=True, kw_only=True):
    """There is news of a row: its key and version, and the notice as text.

    `page` is the address of its page, if it has one; `lapses_at` until when a person may decide.
    """

    pk: str
    sk: str
    version: int
    text: Text
    page: str | None = None
    lapses_at: datetime | None = None


class Click(Struct, frozen=True, kw_only=True, tag_field="Type", tag="Click"):
    """Somebody pressed a button: on which row, and what to answer them alone, in Slack's markup, if anything."""

    pk: str
    sk: str
    channel: str
    user: str
    answer: str | None = None

    @property
    def body(self) -> str:
        """The message that carries it."""
        return msgspec.json.encode(self).decode()


class _Envelope(Struct, frozen=True, kw_only=True, tag_field="Type", tag="Notification", rename="pascal"):
    """SNS's, around each message that it delivers to a queue."""

    message_id: str
    message: str
    subject: str | None = None


class _Row(Struct, frozen=True):
    pk: str
    sk: str
    version: int


class _Notice(Struct, frozen=True, kw_only=True):
    """The structured notice (notices/message.py), as far as it matters here."""

    request: _Row
    subject: str = ""
    reason: str = ""
    page: str | None = None
    lapses_at: datetime | None = None


class _Other(Struct, frozen=True, kw_only=True):
    """What else comes through the topics: a digest of ours, or an alarm of CloudWatch's."""

    subject: str = ""
    text: str = ""
    counts: dict[str, int] = {}
    alarm: str = msgspec.field(name="AlarmName", default="")
    alarm_state: str = msgspec.field(name="NewStateValue", default="")
    alarm_reason: str = msgspec.field(name="NewStateReason", default="")


def read_work(body: str) -> Click | News | Text:
    """Read a message of the queue.

    Raises:
        ValueError: It is none that anything of ours sends.
    """
    work = msgspec.json.decode(body, type=_Envelope | Click)
    if isinstance(work, Click):
        return work
    try:
        notice = msgspec.json.decode(work.message, type=_Notice)
    except (ValueError, RecursionError):
        return _text(work)
    page = notice.page if notice.page and len(notice.page) <= _LONGEST_PAGE else None
    text = Text(id=work.message_id, title=notice.subject, body=notice.reason)
    row = notice.request
    return News(pk=row.pk, sk=row.sk, version=row.version, text=text, page=page, lapses_at=notice.lapses_at)


def _text(envelope: _Envelope) -> Text:
    try:
        other = msgspec.json.decode(envelope.message, type=_Other)
    except (ValueError, RecursionError):
        other = _Other()
    alarm = f"{other.alarm_state}: {other.alarm}" if other.alarm else ""
    counts = "\n".join(f"{name}: {count}" for name, count in other.counts.items() if count)
    return Text(
        id=envelope.message_id,
        title=other.subject or alarm or envelope.subject or "",
        body=other.text or counts or other.alarm_reason or envelope.message,
    )
