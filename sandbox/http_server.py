"""Serves an HTTP API on this machine, for a browser or a command to call."""

import contextlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

from sandbox.http_api import Ask, HttpApi, Pairs


class QuietHandler(BaseHTTPRequestHandler):
    """Sends answers whole, and logs nothing."""

    def send(self, status: int, headers: Pairs, body: bytes) -> None:
        """Send an answer."""
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        # A browser that goes elsewhere does not wait for the answer.
        with contextlib.suppress(ConnectionError):
            self.end_headers()
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Say nothing."""


class _Handler(QuietHandler):
    api: ClassVar[HttpApi]
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def _answer(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        reply = self.api.answer(
            Ask(
                method=self.command,
                target=self.path,
                headers=list(self.headers.items()),
                body=self.rfile.read(length),
                source_ip=self.client_address[0],
            )
        )
        self.send(reply.status, reply.headers, reply.body)


def make_server(api: HttpApi, port: int = 0) -> ThreadingHTTPServer:
    """A server of this API alone, on this machine only; port 0 takes any free one."""
    return ThreadingHTTPServer(("127.0.0.1", port), type("_Handler", (_Handler,), {"api": api}))
