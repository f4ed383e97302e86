"""Slack's Web API, as far as it is used, and what its answers mean for a message that must arrive once."""

import http.client
import logging
import math
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol
from urllib.error import URLError

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from bedrock_remediator.aws.errors import RetryableError
from bedrock_remediator.notices.slack_blocks import Words

TIMEOUT: Final = 8
"""Seconds that Slack has to answer a message."""

_TOO_MANY: Final = 429
_SERVER_ERROR: Final = 500
_PAUSE: Final = 30
_LONGEST_PAUSE: Final = 43_200
_GONE: Final = frozenset({"message_not_found", "thread_not_found", "cant_update_message", "edit_window_closed"})
_BUSY: Final = frozenset({"ratelimited", "rate_limited"})
_TROUBLED: Final = frozenset({"fatal_error", "internal_error", "request_timeout", "service_unavailable"})
_TOKEN: Final = frozenset({"account_inactive", "invalid_auth", "not_authed", "token_expired", "token_revoked"})


class SlackBusyError(RetryableError):
    """Slack wants to be left alone for `seconds`. Nothing was posted."""

    def __init__(self, seconds: int) -> None:
        super().__init__(f"Slack asks for a pause of {seconds} seconds")
        self.seconds = seconds


class SlackDownError(RetryableError):
    """Slack cannot be reached, or says that it failed. Nothing was posted."""


class SlackSilentError(RetryableError):
    """Slack was asked and has not answered: nobody knows whether the message was posted."""


class SlackRefusedError(Exception):
    """Slack refuses; `word` is its word for why. Nothing was posted."""

    def __init__(self, method: str, word: str) -> None:
        super().__init__(f"Slack refuses {method}: {word}")
        self.word = word


class SlackGoneError(SlackRefusedError):
    """The message is not there any more, or can't be changed any more."""


class Slack(Protocol):
    """What is asked of Slack."""

    def post(self, channel: str, words: Words, *, thread: str | None = None, broadcast: bool = False) -> str:
        """Post a message, and return its `ts`."""
        ...

    def update(self, channel: str, ts: str, words: Words) -> None:
        """Put other words into a message."""
        ...

    def post_ephemeral(self, channel: str, user: str, text: str) -> None:
        """Show one user of a channel a text, once."""
        ...

    def members(self, group: str) -> frozenset[str]:
        """The users of a user group."""
        ...

    def address(self, user: str) -> str | None:
        """The verified e-mail address of a user."""
        ...


class Tokens(Protocol):
    """Where the bot's token comes from."""

    def __call__(self, *, fresh: bool = False) -> str:
        """The token; `fresh` after the one that is remembered was refused."""
        ...


class SlackApi:
    """Speaks to Slack.

    Every method raises SlackBusyError, SlackDownError, SlackSilentError or SlackRefusedError, and what `tokens`
    raises. Nothing is tried twice here: the queue does that, and knows for how long.

    Args:
        tokens: The bot's token.
        url: Where the API is: https://slack.com/api/, https://slack-gov.com/api/.
        timeout: Seconds that Slack has to answer.
    """

    def __init__(self, tokens: Tokens, url: str, *, timeout: int = TIMEOUT) -> None:
        self._tokens = tokens
        self._url = url
        self._timeout = timeout

    def post(self, channel: str, words: Words, *, thread: str | None = None, broadcast: bool = False) -> str:
        """Post a message, in a thread if `thread` is the `ts` of its first one, and then also shown in the channel."""
        answer = self._call(
            lambda client: client.chat_postMessage(
                channel=channel,
                text=words.text,
                blocks=words.blocks,
                thread_ts=thread,
                reply_broadcast=broadcast if thread else None,
                link_names=False,
                parse="none",
                unfurl_links=False,
                unfurl_media=False,
            )
        )
        return str(answer["ts"])

    def update(self, channel: str, ts: str, words: Words) -> None:
        """Put other words into a message. To do so twice does no harm."""
        # Here `parse` is not `none` unless one says so, unlike with a new message.
        self._call(
            lambda client: client.chat_update(
                channel=channel, ts=ts, text=words.text, blocks=words.blocks, link_names=False, parse="none"
            )
        )

    def post_ephemeral(self, channel: str, user: str, text: str) -> None:
        """Show one user of a channel a text in Slack's markup, which disappears by itself."""
        self._call(
            lambda client: client.chat_postEphemeral(
                channel=channel, user=user, text=text, link_names=False, parse="none"
            )
        )

    def members(self, group: str) -> frozenset[str]:
        """The users of a user group, those of a disabled one not included."""
        answer = self._call(lambda client: client.usergroups_users_list(usergroup=group))
        return frozenset(map(str, answer["users"] or ()))

    def address(self, user: str) -> str | None:
        """The e-mail address of a user that Slack has verified; None where there is none, or the app may not see it."""
        answer = self._call(lambda client: client.users_info(user=user))
        said = answer["user"]
        address = (said.get("profile") or {}).get("email")
        return address if said.get("is_email_confirmed") is True and isinstance(address, str) else None

    def _call(self, call: Callable[[WebClient], Any]) -> Any:
        try:
            return self._once(call, self._tokens())
        except SlackRefusedError as error:
            if error.word not in _TOKEN:
                raise
        return self._once(call, self._tokens(fresh=True))

    def _once(self, call: Callable[[WebClient], Any], token: str) -> Any:
        # Slack's own retries would post twice what was posted and not answered.
        client = WebClient(token=token, base_url=self._url, timeout=self._timeout, retry_handlers=[], logger=_QUIET)
        try:
            return call(client)
        except SlackApiError as error:
            raise _meaning(error) from error
        except URLError as error:
            # urllib wraps what goes wrong until the request is sent, and nothing after it.
            raise SlackDownError(f"Slack cannot be reached: {error.reason}") from error
        except (OSError, http.client.HTTPException) as error:
            raise SlackSilentError(f"Slack has not answered: {error!r}") from error


def _meaning(error: SlackApiError) -> Exception:
    response = error.response
    status: int = response.status_code
    # What is no JSON object (a gateway's error page) leaves no word but the status.
    data = response.data if isinstance(response.data, dict) else {}
    word = str(data.get("error") or status)
    method = str(response.api_url).rpartition("/")[2]
    if status == _TOO_MANY or word in _BUSY:
        return SlackBusyError(_pause(response.headers))
    if status >= _SERVER_ERROR or word in _TROUBLED:
        return SlackDownError(f"Slack failed on {method}: {status} {word[:200]}")
    return (SlackGoneError if word in _GONE else SlackRefusedError)(method, word[:200])


def _pause(headers: Mapping[str, str]) -> int:
    """How long to wait: what Retry-After says, in seconds."""
    said = next((value for name, value in headers.items() if name.lower() == "retry-after"), "")
    try:
        seconds = math.ceil(float(said))
    except (ValueError, OverflowError):
        return _PAUSE
    return min(max(seconds, 1), _LONGEST_PAUSE)


# slack_sdk logs each failure as an error, with the text of the answer; who calls here says what it means.
_QUIET: Final = logging.getLogger(__name__ + ".sdk")
_QUIET.setLevel(logging.CRITICAL)
