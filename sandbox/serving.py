"""`python -m sandbox serve`: keeps a stack up behind a small HTTP server on this machine.

| request | what it does |
| --- | --- |
| `POST /events` | takes events as `run` does (one, an array, JSON lines), and answers when the stack is at rest |
| `GET /notices`, `/grants`, `/policies`, `/calls`, `/failures` | that part of the report |
| `GET /report` | all of it |
| `GET /` | this list |
"""

import json
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar, Final

import msgspec

from sandbox.documents import BadInputError
from sandbox.report import report
from sandbox.running import events_of, handle
from sandbox.stack import Options, Sandbox
from sandbox.world import World

LARGEST_BODY: Final = 64 * 1024 * 1024
PARTS: Final = ("grants", "policies", "notices", "calls", "failures")

Reply = tuple[HTTPStatus, Any]


class Service:
    """What the server answers, one request at a time."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._lock = threading.Lock()

    def get(self, path: str) -> Reply:
        """Answer a GET."""
        name = path.partition("?")[0].strip("/")
        if not name:
            return HTTPStatus.OK, {"POST": ["/events"], "GET": [f"/{part}" for part in (*PARTS, "report")]}
        if name not in {*PARTS, "report"}:
            return HTTPStatus.NOT_FOUND, {"error": f"there is no /{name}"}
        with self._lock:
            content = report(self._sandbox)
        return HTTPStatus.OK, content if name == "report" else content[name]

    def post(self, path: str, body: bytes) -> Reply:
        """Answer a POST."""
        if path.partition("?")[0].strip("/") != "events":
            return HTTPStatus.NOT_FOUND, {"error": f"there is nothing to post to at {path}"}
        try:
            events = events_of(body.decode(), "the request's body", "posted")
        except (BadInputError, UnicodeDecodeError) as error:
            return HTTPStatus.BAD_REQUEST, {"error": str(error)}
        with self._lock:
            unmatched = handle(self._sandbox, events)
        return HTTPStatus.ACCEPTED, {"accepted": len(events), "matched": len(events) - len(unmatched)}


class _Handler(BaseHTTPRequestHandler):
    service: ClassVar[Service]

    def do_GET(self) -> None:
        self._reply(self.service.get(self.path))

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if not length.isdigit():
            self._reply((HTTPStatus.LENGTH_REQUIRED, {"error": "the request needs a Content-Length"}))
        elif int(length) > LARGEST_BODY:
            self._reply((HTTPStatus.REQUEST_ENTITY_TOO_LARGE, {"error": f"at most {LARGEST_BODY} bytes"}))
        else:
            self._reply(self.service.post(self.path, self.rfile.read(int(length))))

    def _reply(self, reply: Reply) -> None:
        status, content = reply
        body = json.dumps(content, indent=2, ensure_ascii=False, default=str).encode() + b"\n"
        self.send_response(status)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Say nothing: what happened can be asked for."""


def make_server(sandbox: Sandbox, port: int) -> ThreadingHTTPServer:
    """A server of this sandbox, on this machine only; port 0 takes any free one."""
    handler = type("_Handler", (_Handler,), {"service": Service(sandbox)})
    return ThreadingHTTPServer(("127.0.0.1", port), handler)


def serve(world: World, options: Options, port: int, say: Callable[[str], None]) -> None:
    """Keep a stack up until the process is interrupted.

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
            say(f"the stack is up at http://127.0.0.1:{server.server_address[1]}/ (Ctrl-C ends it)")
            try:
                server.serve_forever()
            except KeyboardInterrupt:
                say("ended")
