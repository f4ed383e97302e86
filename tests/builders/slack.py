"""A stand-in for Slack's API on this machine, and clicks as Slack would send them."""

import hashlib
import hmac
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlencode

from bedrock_remediator.core.grant import Grant
from bedrock_remediator.flows.web.http import Request

TOKEN = "xoxb-test"
SIGNING_SECRET = "signing-secret-of-the-test-app"
TEAM = "T0TEAM"
APP = "A0APP"
CHANNEL = "C0CHANNEL"
ALICE = "U0ALICE"
GROUP = "S0GROUP"
SECRET = "arn:aws:secretsmanager:us-east-1:123456789012:secret:slack"
PARAMETERS = {
    "SlackChannelId": CHANNEL,
    "SlackTokenSecretArn": f"{SECRET}-token-AbCdEf",
    "SlackSigningSecretArn": f"{SECRET}-signing-AbCdEf",
    "SlackTeamId": TEAM,
    "SlackAppId": APP,
    "SlackApprovers": ALICE,
}
"""The stack's, with Slack."""
SECRETS = {PARAMETERS["SlackTokenSecretArn"]: TOKEN, PARAMETERS["SlackSigningSecretArn"]: SIGNING_SECRET}

Fault = Callable[["Answering"], None]
"""What an answer is replaced by."""


class Answering(BaseHTTPRequestHandler):
    """Answers one request as Slack does."""

    server: "SlackServer"

    def do_POST(self) -> None:
        """Every method of Slack's API."""
        method = self.path.rpartition("/")[2]
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        is_json = self.headers.get("Content-Type", "").startswith("application/json")
        given = json.loads(body or "{}") if is_json else dict(parse_qsl(body))
        slack = self.server.slack
        with slack.lock:
            slack.calls.append((method, given))
            fault = slack.faults.pop(0) if slack.faults else None
            if fault is not None and fault is not after_posting:
                fault(self)
                return
            if self.headers.get("Authorization") != f"Bearer {slack.token}":
                self.say({"ok": False, "error": "invalid_auth"})
                return
            answer = slack.answer(method, given)
        if fault is after_posting:
            return
        self.say(answer)

    def say(self, content: Any, status: int = 200, **headers: str) -> None:
        """Send JSON, or text."""
        text = content if isinstance(content, str) else json.dumps(content)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Type", "text/html" if isinstance(content, str) else "application/json")
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def limited(seconds: str = "30") -> Fault:
    """429, with the pause that Slack wants."""
    return lambda request: request.say({"ok": False, "error": "ratelimited"}, 429, Retry_After=seconds)


def failing(status: int = 500, content: Any = "<html>upstream error</html>") -> Fault:
    """A server error, as a gateway words it."""
    return lambda request: request.say(content, status)


def refusing(code: str) -> Fault:
    """One of Slack's own errors."""
    return lambda request: request.say({"ok": False, "error": code})


def silent(request: Answering) -> None:
    """The connection is closed without an answer, and nothing was posted."""
    request.close_connection = True


def after_posting(request: Answering) -> None:
    """The message is posted, and the connection closed without an answer."""


class SlackServer(ThreadingHTTPServer):
    """The server; what it plays is `slack`."""

    daemon_threads = True
    slack: "FakeSlack"


class FakeSlack:
    """A workspace with its channels.

    `posted` holds the messages, each with `ts`, `channel` and what was given, as they are now; `said` what was given
    when they were posted; `ephemerals` what single users were shown.
    `faults` are taken one a request, None for none. `groups` are the user groups, `people` the users.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.token = TOKEN
        self.lock = threading.Lock()
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.faults: list[Fault | None] = []
        self.posted: list[dict[str, Any]] = []
        self.said: list[dict[str, Any]] = []
        self.ephemerals: list[dict[str, Any]] = []
        self.groups: dict[str, list[str]] = {}
        self.people: dict[str, dict[str, Any]] = {}

    def answer(self, method: str, given: Mapping[str, Any]) -> dict[str, Any]:
        """What Slack would answer, and do."""
        match method:
            case "chat.postMessage":
                ts = f"1795176000.{len(self.posted):06d}"
                self.posted.append({"ts": ts, **given})
                self.said.append(dict(given))
                return {"ok": True, "channel": given["channel"], "ts": ts}
            case "chat.update":
                found = next((each for each in self.posted if each["ts"] == given["ts"]), None)
                if found is None:
                    return {"ok": False, "error": "message_not_found"}
                found.update(given)
                return {"ok": True, "channel": given["channel"], "ts": given["ts"]}
            case "chat.postEphemeral":
                self.ephemerals.append(dict(given))
                return {"ok": True, "message_ts": "1"}
            case _:
                return self._told(method, given)

    def _told(self, method: str, given: Mapping[str, Any]) -> dict[str, Any]:
        """What Slack knows of people."""
        match method:
            case "usergroups.users.list":
                users = self.groups.get(given["usergroup"])
                return {"ok": False, "error": "no_such_subteam"} if users is None else {"ok": True, "users": users}
            case "users.info":
                person = self.people.get(given["user"])
                return {"ok": False, "error": "user_not_found"} if person is None else {"ok": True, "user": person}
            case _:
                return {"ok": False, "error": "unknown_method"}

    @property
    def messages(self) -> list[dict[str, Any]]:
        """What the channel shows: not the threads' replies, unless they are shown there too."""
        return [each for each in self.posted if not each.get("thread_ts") or each.get("reply_broadcast")]

    def thread(self, ts: str) -> list[dict[str, Any]]:
        """The replies to a message."""
        return [each for each in self.posted if each.get("thread_ts") == ts]


@contextmanager
def slack_server() -> Iterator[FakeSlack]:
    """Slack, on a port of its own for as long as the context lasts."""
    with SlackServer(("127.0.0.1", 0), Answering) as server:
        server.slack = FakeSlack(f"http://127.0.0.1:{server.server_port}/api/")
        thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.01), daemon=True)
        thread.start()
        try:
            yield server.slack
        finally:
            server.shutdown()
            thread.join()


def shown(message: Mapping[str, Any]) -> str:
    """All texts of a message, one a line."""

    def texts(value: Any) -> Iterator[str]:
        if isinstance(value, dict):
            if isinstance(value.get("text"), str):
                yield value["text"]
            for each in value.values():
                yield from texts(each)
        elif isinstance(value, list):
            for each in value:
                yield from texts(each)

    return "\n".join([message.get("text", ""), *texts(message["blocks"])])


def elements(message: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The buttons and choices of a message by their action_id."""
    blocks = [block for block in message["blocks"] if block["type"] == "actions"]
    return {element["action_id"]: element for block in blocks for element in block["elements"]}


def click(message: Mapping[str, Any], action: str, *, length: str | None = None, **changes: Any) -> dict[str, Any]:
    """The payload that Slack sends when Alice presses a button of a message."""
    element = elements(message)[action]
    values = {"decision": {"length": {"type": "static_select", "selected_option": {"value": length}}}} if length else {}
    return {
        "type": "block_actions",
        "api_app_id": APP,
        "team": {"id": TEAM, "domain": "example"},
        "user": {"id": ALICE, "username": "alice", "name": "alice", "team_id": TEAM},
        "channel": {"id": CHANNEL, "name": "bedrock"},
        "container": {"type": "message", "message_ts": message.get("ts"), "channel_id": CHANNEL},
        "trigger_id": "1.2.3",
        "response_url": "https://hooks.slack.com/actions/T/1/x",
        "state": {"values": values},
        "actions": [{"type": "button", "block_id": "decision", **{k: element.get(k) for k in ("action_id", "value")}}],
        **changes,
    }


def signed(payload: Any, at: float, *, secret: str = SIGNING_SECRET, **headers: str) -> Request:
    """The request that carries a payload, signed at a time (seconds since 1970), as API Gateway hands it over."""
    raw = payload if isinstance(payload, bytes) else urlencode({"payload": json.dumps(payload)}).encode()
    base = b"v0:" + str(int(at)).encode() + b":" + raw
    signature = "v0=" + hmac.new(secret.encode(), base, hashlib.sha256).hexdigest()
    return Request(
        route="POST /slack/interactions",
        host="api.example.com",
        headers={
            "content-type": "application/x-www-form-urlencoded",
            "x-slack-request-timestamp": str(int(at)),
            "x-slack-signature": signature,
            **headers,
        },
        raw=raw,
    )


def envelope(grant: Grant, number: int = 1, **changes: Any) -> str:
    """The news of a row as SNS puts it into a queue."""
    notice = {
        "schema": 1,
        "subject": f"Bedrock access: {grant.state}",
        "reason": grant.reason,
        "request": {"pk": grant.pk, "sk": grant.sk, "version": grant.version},
        **changes,
    }
    return wrapped(json.dumps(notice), number)


def wrapped(message: str, number: int = 1, subject: str | None = "A subject") -> str:
    """A message in SNS's envelope."""
    content = {"Type": "Notification", "MessageId": f"m-{number}", "TopicArn": "arn:aws:sns:us-east-1:1:notices"}
    return json.dumps({**content, "Subject": subject, "Message": message})
