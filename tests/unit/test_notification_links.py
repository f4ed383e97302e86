"""Which link goes where: the one that decides to the approvers alone, the one that shows to whoever reads along."""

import json
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

import msgspec
import pytest

from bedrock_remediator.aws.ledger.items import grant_item
from bedrock_remediator.core.grant import Grant, State
from bedrock_remediator.flows.links.links import Links, Ticket
from bedrock_remediator.flows.notification.notification import Fate, Notification
from bedrock_remediator.settings import LinkSettings, NotifySettings, Strategy
from tests.builders.clocks import StoppedClock
from tests.builders.decisions import FakeKeys
from tests.builders.grants import NOON
from tests.builders.notices import ALL, granted, requested

if TYPE_CHECKING:
    from bedrock_remediator.aws.ledger.write import Ledger
    from bedrock_remediator.aws.messaging import Publisher

BASE = "https://a1b2c3.execute-api.us-east-1.amazonaws.com"
TOKEN = re.compile(re.escape(BASE) + r"/request/([A-Za-z0-9._-]+)")
SETTINGS = NotifySettings(
    ledger_table="ledger",
    strategy=Strategy.MANAGED,
    extra_actions=(),
    approvals_topic_arn="approvals",
    notices_topic_arn="notices",
    amazon_q_topic_arn=None,
    notices_an_hour=2,
    approval_url=BASE,
    links=LinkSettings(keys_secret_arn="arn:keys", lapse_hours=72),  # noqa: S106 - the name of a secret
)
LINKS = Links(FakeKeys(), BASE, timedelta(hours=72), StoppedClock(NOON))


class OneRow:
    """A ledger with one row, of which no notice was sent."""

    def __init__(self, row: Grant) -> None:
        self._row = row

    def rows_and_counters(self, _pk: str) -> tuple[list[Any], bool]:
        """The row; nothing was counted."""
        return [grant_item(self._row)], True

    def __getattr__(self, name: str) -> Any:
        """Every claim is new, and every notice the first of its hour."""
        return lambda *_, **__: "new" if name.startswith("claim") else 1


class Sent:
    """What was published: topic -> texts by protocol."""

    def __init__(self) -> None:
        self.texts: dict[str, Mapping[str, str]] = {}

    def publish(self, topic: str, _subject: str, message: Mapping[str, str], _attributes: Mapping[str, str]) -> None:
        """Remember."""
        self.texts[topic] = message


def told(row: Grant, settings: NotifySettings = SETTINGS) -> dict[str, Mapping[str, str]]:
    """What is published of a row."""
    sent = Sent()
    ledger, publisher = cast("Ledger", OneRow(row)), cast("Publisher", sent)
    notification = Notification(
        ledger=ledger, publisher=publisher, links=LINKS, settings=settings, clock=StoppedClock(NOON)
    )
    assert notification.tell({"dynamodb": {"NewImage": grant_item(row)}}) is Fate.SENT
    return sent.texts


def tickets(text: str) -> list[Ticket]:
    """What the links in a text stand for."""
    return [LINKS.read(token) for token in TOKEN.findall(text)]


def test_the_approvers_mail_alone_holds_the_link_that_decides() -> None:
    """On a line of its own, and for this version of the row; every other text has one that only shows."""
    row = requested(version=3)
    texts = told(row)["approvals"]
    assert tickets(texts["email"]) == [Ticket(row.pk, row.sk, 3)]
    assert LINKS.url(row) in texts["email"].splitlines()
    for protocol in sorted(texts.keys() - {"email"}):
        assert tickets(texts[protocol]) == [Ticket(row.pk, row.sk, 3, look_only=True)], protocol
        assert json.loads(texts[protocol])["page"] == LINKS.look_url(row)


@pytest.mark.parametrize("event", ALL)
def test_no_other_notice_lets_anybody_decide(event: str) -> None:
    """Only the mail to approvers does, of a request or of a link that was asked for."""
    row = ALL[event]()
    for topic, texts in told(row).items():
        for protocol, text in texts.items():
            for ticket in tickets(text):
                assert ticket.look_only or (topic, protocol) == ("approvals", "email")
                assert ticket.look_only or event in ("requested", "reminded", "link")


def test_advice_has_no_page() -> None:
    """There is nothing to decide, and nothing will become of it."""
    rows = [row for row in (make() for make in ALL.values()) if row.state is State.REPORTED]
    assert rows
    for row in rows:
        texts = told(row)["notices"]
        assert json.loads(texts["default"])["page"] is None
        assert not tickets("".join(texts.values()))


def test_amazon_q_gets_its_own_topic_where_there_is_one() -> None:
    """With the link that only shows, in the one text that every subscriber gets."""
    row = granted()
    assert "q" not in told(row)
    texts = told(row, msgspec.structs.replace(SETTINGS, amazon_q_topic_arn="q"))
    assert list(texts["q"]) == ["default"]
    assert json.loads(texts["q"]["default"])["source"] == "custom"
    assert [ticket.look_only for ticket in tickets(texts["q"]["default"].replace("\\/", "/"))] == [True]
