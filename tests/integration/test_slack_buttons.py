"""A button of Slack's, from the press to the message that it changes: both functions with their real handlers."""

import base64
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from bedrock_remediator.aws.ledger.write import Ledger
from bedrock_remediator.core.grant import Grant, State, Via
from tests.builders.approve import ApproveStack, Page
from tests.builders.clocks import StoppedClock
from tests.builders.decisions import waiting
from tests.builders.slack import (
    ALICE,
    APP,
    SIGNING_SECRET,
    TEAM,
    FakeSlack,
    click,
    elements,
    shown,
    signed,
    slack_server,
)
from tests.builders.slack_function import SlackStack, clients

CAROL = {"id": "U0CAROL", "team_id": TEAM}
ANOTHER = SIGNING_SECRET[::-1]


class Channel:
    """A channel with a request in it, and both functions: in this stack Alice and a group may decide.

    `queue` is the slack function with its queue, `approve` the approve function with its HTTP API.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, clock: StoppedClock, ledger: Ledger, slack: FakeSlack) -> None:
        self._clock = clock
        self.slack = slack
        self.queue = SlackStack(monkeypatch, clock, slack)
        secret = clients().secretsmanager.create_secret(Name="signing", SecretString=SIGNING_SECRET)
        self.approve = ApproveStack(
            monkeypatch,
            clock,
            ledger,
            SLACK_SIGNING_SECRET_ARN=secret["ARN"],
            SLACK_TOKEN_SECRET_ARN=self.queue.token_arn,
            SLACK_TEAM_ID=TEAM,
            SLACK_APP_ID=APP,
            SLACK_APPROVERS=f"{ALICE},S0GROUP",
            SLACK_API_URL=slack.url,
            SLACK_QUEUE_URL=self.queue.url,
        )
        self.asked = self.approve.put(waiting())
        self.queue.publish(self.asked)
        assert self.queue.run() == 0

    @property
    def row(self) -> Grant:
        """The request as it is now."""
        return self.approve.row(self.asked)

    @property
    def message(self) -> dict[str, Any]:
        """The message of the request."""
        return self.slack.posted[0]

    def press(
        self,
        action: str = "approve",
        *,
        message: Any = None,
        secret: str = SIGNING_SECRET,
        age: int = 0,
        **changes: Any,
    ) -> Page:
        """Press a button of the message, or of one that was there; what Slack is answered."""
        payload = click(message or self.message, action, **changes)
        request = signed(payload, self._clock.now().timestamp() - age, secret=secret)
        return self.approve.send("POST", "/slack/interactions", request.headers, {}, request.raw)


@pytest.fixture
def channel(ledger: Ledger, clock: StoppedClock, monkeypatch: pytest.MonkeyPatch) -> Iterator[Channel]:
    """The channel, with no proxy on the way to Slack."""
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    with slack_server() as slack:
        channel = Channel(monkeypatch, clock, ledger, slack)
        yield channel
        channel.queue.close()


def test_approving_is_signed_and_shows_in_the_message(channel: Channel, clock: StoppedClock) -> None:
    """The row is approved for as long as was chosen, as Alice of Slack, and its message says so at once."""
    answer = channel.press(length="1d")
    assert (answer.status, answer.source) == (200, "")
    row = channel.row
    assert (row.state, row.version, row.decided_by, row.decided_via) == (State.APPROVED, 2, "slack:U0ALICE", Via.SLACK)
    assert row.expires_at == clock.now() + timedelta(days=1)
    assert row.approval
    assert channel.queue.run() == 0
    assert len(channel.slack.messages) == 1
    assert "*Approved* by <@U0ALICE>" in shown(channel.message)
    assert elements(channel.message) == {}


def test_rejecting_shows_in_the_message(channel: Channel) -> None:
    """With who and when."""
    assert channel.press("reject").status == 200
    assert channel.row.state is State.REJECTED
    channel.queue.run()
    assert "*Rejected* by <@U0ALICE>" in shown(channel.message)


@pytest.mark.parametrize(("button", "asked"), [("reject", []), ("approve", ["users.info"])])
def test_little_of_slacks_is_called_before_the_answer(channel: Channel, button: str, asked: list[str]) -> None:
    """Of a listed user only the address is asked for, which tells self-approval: Slack's three seconds are ours."""
    before = len(channel.slack.calls)
    channel.press(button)
    assert [name for name, _ in channel.slack.calls[before:]] == asked


def test_a_second_click_changes_nothing(channel: Channel) -> None:
    """Whoever presses the old message again is told who was first, alone."""
    old = dict(channel.message)
    channel.press()
    decided = channel.row
    assert channel.press("reject", message=old).status == 200
    assert channel.row == decided
    channel.queue.run()
    assert [post_ephemeral["user"] for post_ephemeral in channel.slack.ephemerals] == [ALICE]
    assert "<@U0ALICE> was first" in channel.slack.ephemerals[0]["text"]


def test_a_button_of_an_old_version_changes_nothing(channel: Channel) -> None:
    """The row was opened anew since: the button means the request before."""
    again = channel.approve.put(waiting(version=5))
    assert channel.press().status == 200
    assert channel.row == again
    channel.queue.run()
    assert "no longer as this message showed it" in channel.slack.ephemerals[0]["text"]


def test_a_member_of_the_group_may(channel: Channel) -> None:
    """Slack says who is in it."""
    channel.slack.groups = {"S0GROUP": ["U0CAROL"]}
    channel.press(user=CAROL)
    assert channel.row.decided_by == "slack:U0CAROL"


def test_an_unreadable_group_lets_nobody_in(channel: Channel) -> None:
    """They are told why, and the request stays open."""
    assert channel.press(user=CAROL).status == 200
    assert channel.row == channel.asked
    channel.queue.run()
    assert "who is in the group" in channel.slack.ephemerals[0]["text"]


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"secret": ANOTHER}, 401),
        ({"age": 301}, 401),
        ({"age": -301}, 401),
        ({"team": {"id": "T0OTHER"}}, 403),
        ({"user": {"id": ALICE, "team_id": "T0OTHER"}}, 403),
        ({"api_app_id": "A0OTHER"}, 403),
    ],
)
def test_what_is_not_slacks_or_not_ours_is_refused(channel: Channel, changes: dict[str, Any], status: int) -> None:
    """A wrong or old signature, a guest of another team, another app: nothing changes, nobody is told."""
    assert channel.press(**changes).status == status
    assert channel.row == channel.asked
    assert channel.queue.run() == 0
    assert channel.slack.ephemerals == []


def test_the_body_is_verified_as_it_was_sent(channel: Channel) -> None:
    """API Gateway hands it over in base64, and that is not what Slack signed."""
    assert channel.press().status == 200
    (event,) = channel.approve.function.events
    assert event["isBase64Encoded"] is True
    assert base64.b64decode(event["body"]).startswith(b"payload=%7B")
