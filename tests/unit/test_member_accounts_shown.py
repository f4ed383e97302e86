"""A member account is named wherever people and programs read of a grant; the service's own goes without saying."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from bedrock_remediator.core.durations import offered
from bedrock_remediator.core.grant import Grant
from bedrock_remediator.flows.approval.api import _content as content
from bedrock_remediator.notices import digest as digests
from bedrock_remediator.notices.amazon_q import custom_notification
from bedrock_remediator.notices.by_hand import commands, console
from bedrock_remediator.notices.message import message
from bedrock_remediator.notices.slack import Card
from bedrock_remediator.notices.slack import message as slack_message
from bedrock_remediator.notices.subject import subject
from tests.builders.grants import NOON
from tests.builders.notices import notice_of, requested
from tests.builders.shown import shown, written

MEMBER = "444455556666"
NAMED: dict[str, Any] = {
    "account": MEMBER,
    "account_name": "payments-prod",
    "principal": f"arn:aws:iam::{MEMBER}:role/service/llm-app",
}
STRANGE = "<b>*x*</b> `y`\n\u202ez"
"""What an account may be called: whoever may rename it writes it."""


def digest_of(grant: Grant) -> dict[str, str]:
    """The digest of a day with one request."""
    day = digests.Digest(
        since=NOON - timedelta(days=1),
        until=NOON,
        lasting=timedelta(hours=72),
        granted=(),
        refused=(),
        revoked=(),
        asked=(grant,),
        expiring=(),
        drifted=(),
        late=(),
        reported={},
        orphans=(),
        complete=True,
    )
    texts: dict[str, str] = digests.message(day)
    return texts


PLACES: dict[str, Callable[[Grant], str]] = {
    "mail": lambda row: message(notice_of(row))["email"],
    "slack": lambda row: json.dumps(slack_message(Card(notice=notice_of(row), lengths=offered(row, None))).blocks),
    "page": lambda row: written(shown(row)),
    "digest": lambda row: digest_of(row)["email"],
}


@pytest.mark.parametrize("place", PLACES)
def test_people_read_its_id_and_its_name(place: str) -> None:
    """And the region, as before."""
    text = " ".join(PLACES[place](requested(**NAMED)).split())
    assert f"{MEMBER} (payments-prod)" in text
    assert "us-east-1" in text


@pytest.mark.parametrize("place", PLACES)
def test_where_nobody_knows_its_name_people_read_its_id(place: str) -> None:
    """Once, and no empty brackets."""
    text = PLACES[place](requested(**NAMED | {"account_name": MEMBER}))
    assert MEMBER in text
    assert f"{MEMBER} (" not in text


@pytest.mark.parametrize("place", PLACES)
def test_its_name_is_text_like_any_other(place: str) -> None:
    """It is free text, and does not reach people as markup or control characters."""
    text = PLACES[place](requested(**NAMED | {"account_name": STRANGE}))
    assert "\u202e" not in text
    if place in ("page", "slack"):
        assert "<b>" not in text
    assert STRANGE not in text


@pytest.mark.parametrize(
    ("name", "expected"), [("payments-prod", "payments-prod"), (MEMBER, MEMBER), (None, None), ("x" * 50, "x..")]
)
def test_the_subject_names_it(name: str | None, expected: str | None) -> None:
    """Beside the region, shortened like other names; nothing is added for the service's own account."""
    line = subject(notice_of(requested(**NAMED | {"account_name": name})))
    assert len(line) < 100
    assert line.endswith(f"(us-east-1, {expected})") if expected and expected != "x.." else "(us-east-1" in line
    assert (expected or "") in line


def test_programs_read_both() -> None:
    """The id where it always was, the name beside it; in the attributes the id alone, to filter by."""
    row = requested(**NAMED)
    texts = [message(notice_of(row))["default"], digest_of(row)["default"], json.dumps(content(row))]
    for text in texts:
        assert '"account":"444455556666"' in text.replace(" ", "")
        assert '"account_name":"payments-prod"' in text.replace(" ", "")
    assert json.loads(custom_notification(notice_of(row)))["content"]["keywords"][2] == f"`{MEMBER}`"


def test_what_to_do_by_hand_says_where() -> None:
    """With whose credentials, in which account's console; the id alone, since a shell reads it."""
    row = requested(**NAMED | {"account_name": STRANGE})
    first, *rest = commands(row, notice_of(row).plan)
    assert first == f"# With credentials of account {MEMBER}:"
    assert console(row).startswith(f"In the console: account {MEMBER}, IAM, ")
    own = requested(**NAMED | {"account_name": None})
    assert list(commands(own, notice_of(own).plan)) == rest
    assert "account" not in console(own)
