import json
from datetime import timedelta
from typing import Any

import pytest

from bedrock_remediator.core.grant import Remark, State
from bedrock_remediator.notices.amazon_q import custom_notification
from tests.builders.decisions import stepped, waiting
from tests.builders.grants import NOON
from tests.builders.notices import ALL, granted, notice_of

PAGE = "https://api.example.com/request/token"


def told(grant: Any, page: str | None = PAGE, **changes: Any) -> dict[str, Any]:
    """The notification of a row, parsed."""
    found: dict[str, Any] = json.loads(custom_notification(notice_of(grant, **changes), page))
    return found


@pytest.mark.parametrize("kind", ALL)
def test_every_notice_makes_a_custom_notification(kind: str) -> None:
    """In the schema's version 1.0, with a title, a text and the thread it belongs to."""
    found = told(ALL[kind]())
    assert (found["version"], found["source"], found["content"]["textType"]) == ("1.0", "custom", "client-markdown")
    assert found["content"]["title"]
    assert found["content"]["description"]
    assert found["metadata"]["eventType"] == f"bedrock-access-{kind}"


def test_what_belongs_to_one_request_is_one_thread() -> None:
    """The request, and what became of it; another row's is another."""
    row = waiting()
    thread = told(row)["metadata"]["threadId"]
    assert told(stepped(row, State.REJECTED))["metadata"]["threadId"] == thread
    assert told(waiting(sk="profile#another"))["metadata"]["threadId"] != thread


def test_it_links_to_the_page_and_decides_nothing() -> None:
    """Neither a button nor a command stands in it: that chat vouches for nobody."""
    found = told(waiting())
    assert found["content"]["nextSteps"][0] == f"Look at the request: {PAGE}"
    assert "@aws" not in json.dumps(found)


def test_it_says_what_upkeep_has_noticed() -> None:
    """A policy that somebody has detached, say."""
    remark = Remark(version=3, at=NOON, code="policy_detached", reason="Somebody has detached it.")
    text = told(granted(remark=remark))["content"]["description"]
    assert "Noticed 2026-11-20 12:00 UTC: `Somebody has detached it.`" in text


def test_without_a_page_there_is_no_link() -> None:
    """Nothing that looks like one either."""
    assert "http" not in json.dumps(told(waiting(), page=None)["content"]["nextSteps"])


def test_it_says_how_often_until_when_and_who() -> None:
    """As far as it is known."""
    grant = stepped(granted(expires_at=NOON + timedelta(days=30), history=waiting().history), State.REVOKING)
    text = told(stepped(grant, State.REVOKED), may_be_duplicate=True)["content"]["description"]
    assert "37 times, first 2026-11-19 12:00 UTC." in text
    assert "revoked by `remediate`" in text
    assert "Ends 2026-12-20 12:00 UTC." in text
    assert "This may be a duplicate." in text
    assert "times" not in told(waiting(), denials=1)["content"]["description"]
