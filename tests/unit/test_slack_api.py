import threading
from collections.abc import Iterator
from typing import Any

import pytest

from bedrock_remediator.aws.errors import RetryableError
from bedrock_remediator.flows.slack.api import (
    SlackApi,
    SlackBusyError,
    SlackDownError,
    SlackGoneError,
    SlackRefusedError,
    SlackSilentError,
)
from bedrock_remediator.notices.slack import plain
from bedrock_remediator.notices.slack_blocks import Words
from tests.builders.slack import (
    CHANNEL,
    TOKEN,
    Answering,
    FakeSlack,
    Fault,
    after_posting,
    failing,
    limited,
    refusing,
    silent,
    slack_server,
)

WORDS = plain("title", "text")


class FakeToken:
    """A token, and the one that there is for who looks again."""

    def __init__(self, *tokens: str) -> None:
        self.tokens = list(tokens)

    def __call__(self, *, fresh: bool = False) -> str:
        """The token."""
        if fresh and len(self.tokens) > 1:
            self.tokens.pop(0)
        return self.tokens[0]


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever proxy this machine has, loopback is near."""
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def slack() -> Iterator[FakeSlack]:
    """The stand-in for Slack."""
    with slack_server() as server:
        yield server


@pytest.fixture
def api(slack: FakeSlack) -> SlackApi:
    """The adapter, speaking to the stand-in."""
    return SlackApi(FakeToken(TOKEN), slack.url)


def test_a_message_is_posted_and_named(slack: FakeSlack, api: SlackApi) -> None:
    """It comes back with its ts, and Slack is told to parse nothing by itself."""
    ts = api.post(CHANNEL, WORDS)
    (posted,) = slack.posted
    assert (posted["ts"], posted["text"], posted["blocks"]) == (ts, WORDS.text, WORDS.blocks)
    assert (posted["parse"], posted["link_names"], posted["unfurl_links"]) == ("none", False, False)
    assert "thread_ts" not in posted


def test_a_reply_goes_to_its_thread(slack: FakeSlack, api: SlackApi) -> None:
    """And to the channel too where somebody must see it."""
    ts = api.post(CHANNEL, WORDS)
    api.post(CHANNEL, WORDS, thread=ts)
    api.post(CHANNEL, WORDS, thread=ts, broadcast=True)
    assert [reply["reply_broadcast"] for reply in slack.thread(ts)] == [False, True]


def test_a_message_gets_other_words(slack: FakeSlack, api: SlackApi) -> None:
    """With nothing parsed, which is not what chat.update does by itself."""
    ts = api.post(CHANNEL, WORDS)
    api.update(CHANNEL, ts, plain("other", "words"))
    assert slack.posted[0]["text"] == "other"
    assert slack.calls[-1][1]["parse"] == "none"


def test_one_user_is_shown_a_text(slack: FakeSlack, api: SlackApi) -> None:
    """Nobody else sees it."""
    api.post_ephemeral(CHANNEL, "U0ALICE", "no")
    assert [(each["user"], each["text"]) for each in slack.ephemerals] == [("U0ALICE", "no")]


def test_a_group_has_members(slack: FakeSlack, api: SlackApi) -> None:
    """Its users, or none."""
    slack.groups = {"S0GROUP": ["U0ALICE", "U0BOB"], "S0EMPTY": []}
    assert api.members("S0GROUP") == {"U0ALICE", "U0BOB"}
    assert api.members("S0EMPTY") == frozenset()


@pytest.mark.parametrize(
    ("person", "address"),
    [
        ({"profile": {"email": "alice@example.com"}, "is_email_confirmed": True}, "alice@example.com"),
        ({"profile": {"email": "alice@example.com"}, "is_email_confirmed": False}, None),
        ({"profile": {"email": "alice@example.com"}}, None),
        ({"profile": {}, "is_email_confirmed": True}, None),
        ({"is_email_confirmed": True}, None),
    ],
)
def test_the_address_of_a_user_is_told_where_slack_has_confirmed_it(
    api: SlackApi, slack: FakeSlack, person: dict[str, Any], address: str | None
) -> None:
    """Anybody can write any other into a profile; without the scope there is none."""
    slack.people["U0ALICE"] = person
    assert api.address("U0ALICE") == address


@pytest.mark.parametrize(
    ("said", "seconds"), [("7", 7), ("0", 1), ("0.5", 1), ("soon", 30), ("1e9", 43_200), ("-3", 1)]
)
def test_slack_gets_the_pause_it_asks_for(slack: FakeSlack, api: SlackApi, said: str, seconds: int) -> None:
    """Retry-After in whole seconds, half a minute where it says nothing sensible."""
    slack.faults = [limited(said)]
    with pytest.raises(SlackBusyError) as caught:
        api.post(CHANNEL, WORDS)
    assert caught.value.seconds == seconds


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (refusing("ratelimited"), SlackBusyError),
        (failing(500), SlackDownError),
        (failing(503, {"ok": False, "error": "service_unavailable"}), SlackDownError),
        (refusing("internal_error"), SlackDownError),
        (refusing("channel_not_found"), SlackRefusedError),
        (refusing("message_not_found"), SlackGoneError),
        (failing(404), SlackRefusedError),
        (silent, SlackSilentError),
        (after_posting, SlackSilentError),
    ],
)
def test_each_answer_has_its_meaning(slack: FakeSlack, api: SlackApi, fault: Fault, error: type[Exception]) -> None:
    """What was certainly not posted is told from what may have been, and Slack is asked once only."""
    slack.faults = [fault]
    with pytest.raises(error) as caught:
        api.post(CHANNEL, WORDS)
    assert type(caught.value) is error
    assert len(slack.calls) == 1


def test_whoever_cannot_be_reached_has_posted_nothing() -> None:
    """A refused connection is no doubt."""
    with slack_server() as gone:
        url = gone.url
    with pytest.raises(SlackDownError):
        SlackApi(FakeToken(TOKEN), url).post(CHANNEL, WORDS)


def test_an_answer_that_does_not_come_in_time_is_none(slack: FakeSlack) -> None:
    """The wait ends, and nobody knows what became of the message."""
    given_up = threading.Event()

    def waits(_: Answering) -> None:
        given_up.wait(10)

    slack.faults = [waits]
    with pytest.raises(SlackSilentError):
        SlackApi(FakeToken(TOKEN), slack.url, timeout=0.05).post(CHANNEL, WORDS)  # type: ignore[arg-type]
    given_up.set()


def test_a_token_that_was_changed_is_read_again(slack: FakeSlack) -> None:
    """The old one is refused, the new one is tried once."""
    SlackApi(FakeToken("old", TOKEN), slack.url).post(CHANNEL, WORDS)
    assert len(slack.posted) == 1
    with pytest.raises(SlackRefusedError, match="invalid_auth"):
        SlackApi(FakeToken("old", "older"), slack.url).post(CHANNEL, WORDS)


def test_passing_trouble_is_told_from_refusals() -> None:
    """The first is worth another try, whoever asks."""
    assert issubclass(SlackBusyError, RetryableError)
    assert issubclass(SlackDownError, RetryableError)
    assert issubclass(SlackSilentError, RetryableError)
    assert not issubclass(SlackRefusedError, RetryableError)


def test_words_need_no_blocks(slack: FakeSlack, api: SlackApi) -> None:
    """A text alone is a message."""
    api.post(CHANNEL, Words("text", []))
    assert slack.posted[0]["text"] == "text"
