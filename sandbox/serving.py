"""`python -m sandbox serve`: keeps a stack up behind a small HTTP server on this machine.

| request | what it does |
| --- | --- |
| `POST /events` | takes events as `run` does (one, an array, JSON lines), and answers when the stack is at rest |
| `GET /notices`, `/grants`, `/policies`, `/calls`, `/failures` | that part of the report |
| `GET /report` | all of it |
| `GET`, `POST /request/TOKEN` | the page of a request; its address is in the mail, under `GET /notices` |
| `/api/requests`, `POST /slack/interactions` | the API's other routes, where the parameters ask for them |
| `POST /upkeep`, `POST /digest` | a round of upkeep, or the digest where there is one, as the schedule would start it |
| `POST /clock` | moves the time on: `{"forward": "72h"}` or `{"to": "2026-12-24T18:00:00Z"}` |
| `GET /clock` | the time |
| `GET /` | a page that lists requests and notices, with their links |

Time goes on by itself as well. Upkeep starts when it is asked for, and once when the clock was moved so far that its
schedule would have started it. The API's routes are those of the template. A call of `/api` is signed with the access
key id `ASIAAPPROVER1` for the first role of ApproverRoleArns, `ASIAAPPROVER2` for the second; only that id is looked
at. Addresses of the API in answers are this server's, so that links can be followed.
"""

import json
import re
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from http.server import ThreadingHTTPServer
from typing import Any, ClassVar, Final

import msgspec

from sandbox import http_api
from sandbox.deciding import links_in
from sandbox.deriving import require_accounts
from sandbox.documents import BadInputError
from sandbox.http_server import QuietHandler
from sandbox.inbox import inbox
from sandbox.lambdas import InvocationError
from sandbox.report import report
from sandbox.running import Given, events_of, handle, read_time
from sandbox.schedules import Schedule
from sandbox.stack import Options, Sandbox
from sandbox.world import World

LARGEST_BODY: Final = 64 * 1024 * 1024
PARTS: Final = ("grants", "policies", "notices", "calls", "failures")
LONGEST_MOVE: Final = timedelta(days=3650)

_DURATION = re.compile(r"(\d{1,9})([smhd])")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}

Reply = tuple[HTTPStatus, Any]


class Service:
    """What the server answers, one request at a time."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._lock = threading.Lock()
        self._tasks = {str(schedule.input.get("task")): schedule for schedule in sandbox.schedules.values()}
        self._started = {schedule.name: sandbox.clock.now() for schedule in self._tasks.values()}

    def get(self, path: str) -> Reply:
        """Answer a GET."""
        name = _name(path)
        if name not in {*PARTS, "report", "clock"}:
            return HTTPStatus.NOT_FOUND, {"error": f"there is no /{name}"}
        with self._lock:
            if name == "clock":
                return HTTPStatus.OK, self._time()
            content = report(self._sandbox)
        return HTTPStatus.OK, content if name == "report" else content[name]

    def page(self) -> str:
        """The page at `/`."""
        with self._lock:
            return inbox(self._sandbox)

    def post(self, path: str, body: bytes) -> Reply:
        """Answer a POST."""
        name = _name(path)
        try:
            text = body.decode()
            if name == "events":
                return self._take(text)
            if name == "clock":
                return self._move(text)
        except (BadInputError, UnicodeDecodeError) as error:
            return HTTPStatus.BAD_REQUEST, {"error": str(error)}
        if name not in self._tasks:
            return HTTPStatus.NOT_FOUND, {"error": f"there is nothing to post to at {path}"}
        with self._lock:
            return self._rounds([self._tasks[name]])

    def call(self, ask: http_api.Ask) -> http_api.Reply | None:
        """Answer a request by the API's routes, and let the stack come to rest; None where it has no such route."""
        api = self._sandbox.api
        if not api.serves(ask.method, ask.target):
            return None
        with self._lock:
            reply = api.answer(ask)
            self._sandbox.run()
        return reply

    def _take(self, text: str) -> Reply:
        events = events_of(text, "the request's body", "posted")
        require_accounts(self._sandbox.world, events)
        with self._lock:
            unmatched = handle(self._sandbox, events)
        return HTTPStatus.ACCEPTED, {"accepted": len(events), "matched": len(events) - len(unmatched)}

    def _move(self, text: str) -> Reply:
        """Move the time on. Every schedule that starts at a rate and was due on the way starts once."""
        with self._lock:
            clock = self._sandbox.clock
            clock.advance(_distance(text, clock.instant()).total_seconds())
            self._sandbox.run()
            now = clock.now()
            return self._rounds(
                [each for each in self._tasks.values() if each.every and now - self._started[each.name] >= each.every]
            )

    def _rounds(self, schedules: list[Schedule]) -> Reply:
        """Start schedules, and let the stack come to rest after each."""
        rounds: dict[str, Any] = {}
        status = HTTPStatus.OK
        for schedule in schedules:
            self._started[schedule.name] = self._sandbox.clock.now()
            try:
                rounds[schedule.name] = schedule.start()
            except InvocationError as error:
                rounds[schedule.name] = {"error": str(error)}
                status = HTTPStatus.INTERNAL_SERVER_ERROR
            self._sandbox.run()
        return status, {**self._time(), "rounds": rounds}

    def _time(self) -> dict[str, str]:
        return {"now": self._sandbox.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")}


def _name(path: str) -> str:
    return path.partition("?")[0].strip("/")


def _distance(text: str, now: datetime) -> timedelta:
    """How far the time is to move, from a request's body.

    Raises:
        BadInputError: It does not say so, or the way is backwards or too long.
    """
    try:
        given = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadInputError('the body must be JSON: {"forward": "72h"} or {"to": "2026-12-24T18:00:00Z"}') from error
    match given:
        case {"forward": str(length), **rest} if not rest and (found := _DURATION.fullmatch(length)):
            distance = timedelta(**{_UNITS[found[2]]: int(found[1])})
        case {"to": str(moment), **rest} if not rest:
            distance = read_time(moment) - now
        case _:
            raise BadInputError('say {"forward": "72h"} (s, m, h, d) or {"to": "2026-12-24T18:00:00Z"}')
    if not timedelta() <= distance <= LONGEST_MOVE:
        raise BadInputError(f"time goes forward, and at most {LONGEST_MOVE.days} days at once")
    return distance


class _Handler(QuietHandler):
    service: ClassVar[Service]
    remote: ClassVar[str]
    """The API's address on AWS, for which this server stands."""

    def do_GET(self) -> None:  # noqa: N802 - http.server's name
        if self._called(b""):
            return
        if _name(self.path):
            self._reply(self.service.get(self.path))
        else:
            self._send(HTTPStatus.OK, "text/html; charset=utf-8", self.service.page())

    def do_POST(self) -> None:  # noqa: N802 - http.server's name
        length = self.headers.get("Content-Length", "")
        if not length.isdigit():
            self._reply((HTTPStatus.LENGTH_REQUIRED, {"error": "the request needs a Content-Length"}))
        elif int(length) > LARGEST_BODY:
            self._reply((HTTPStatus.REQUEST_ENTITY_TOO_LARGE, {"error": f"at most {LARGEST_BODY} bytes"}))
        else:
            body = self.rfile.read(int(length))
            if not self._called(body):
                self._reply(self.service.post(self.path, body))

    def _called(self, body: bytes) -> bool:
        """Answer by the API's routes; False where it has none for this."""
        reply = self.service.call(
            http_api.Ask(
                method=self.command,
                target=self.path,
                headers=list(self.headers.items()),
                body=body,
                source_ip=self.client_address[0],
            )
        )
        if reply is not None:
            self.send(reply.status, reply.headers, reply.body)
        return reply is not None

    def _reply(self, reply: Reply) -> None:
        status, content = reply
        text = json.dumps(content, indent=2, ensure_ascii=False, default=str) + "\n"
        self._send(status, "application/json; charset=utf-8", text)

    def _send(self, status: HTTPStatus, content_type: str, text: str) -> None:
        """Send a text in which the API's address is this server's."""
        body = text.replace(self.remote, f"http://127.0.0.1:{self.connection.getsockname()[1]}").encode()
        self.send(status, [("Content-Type", content_type)], body)


def make_server(sandbox: Sandbox, port: int) -> ThreadingHTTPServer:
    """A server of this sandbox, on this machine only; port 0 takes any free one."""
    handler = type("_Handler", (_Handler,), {"service": Service(sandbox), "remote": sandbox.url})
    return ThreadingHTTPServer(("127.0.0.1", port), handler)


def serve(world: World, options: Options, port: int, say: Callable[[str], None], events: Sequence[Given] = ()) -> None:
    """Keep a stack up until the process is interrupted, with these events put in at the start.

    Raises:
        BadInputError: The port is taken.
    """
    now = datetime.now(UTC)
    with Sandbox(world, msgspec.structs.replace(options, now=now)) as sandbox:
        try:
            server = make_server(sandbox, port)
        except OSError as error:
            raise BadInputError(f"port {port}: {error.strerror}") from error
        with server:
            address = f"http://127.0.0.1:{server.server_address[1]}"
            handle(sandbox, events)
            for link in links_in(sandbox).values():
                say(f"a request waits: {link.replace(sandbox.url, address)}")
            say(f"the stack is up at {address}/ (Ctrl-C ends it)")
            try:
                server.serve_forever()
            except KeyboardInterrupt:
                say("ended")
