"""A stack that is kept up by `sandbox serve`, for tests: its server on a port of this machine, and who talks to it."""

import html
import json
import re
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from sandbox.serving import make_server
from sandbox.stack import Options, Sandbox
from sandbox.world import read_world

if TYPE_CHECKING:
    from email.message import Message


class _Staying(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        """Follow nothing: where an answer sends the browser is the test's to see."""


_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}), _Staying())


def _lower(headers: "Message[str, str]") -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


class Page:
    """An answer: its status, its headers, its text, and its heading on one line."""

    def __init__(self, status: int, headers: Mapping[str, str], text: str) -> None:
        self.status = status
        self.headers = headers
        self.source = text
        self.text = " ".join(html.unescape(re.sub(r"(?s)<style>.*?</style>|<[^>]*>", " ", text)).split())
        heading = re.search(r"(?s)<h1>(.*?)</h1>", text)
        self.title = " ".join(html.unescape(re.sub("<[^>]*>", "", heading[1])).split()) if heading else ""

    @property
    def json(self) -> Any:
        """What it holds, as JSON."""
        return json.loads(self.source)

    @property
    def buttons(self) -> set[str]:
        """What its buttons decide."""
        return set(re.findall(r'name="decision" value="([a-z_]+)"', self.source))

    @property
    def csrf(self) -> str:
        """The seal of its form."""
        found = re.search(r'name="csrf" value="([^"]+)"', self.source)
        assert found, "the page has no form"
        return found[1]


class Served:
    """A stack behind its server.

    Args:
        sandbox: The stack.
        address: Where it is served, `http://127.0.0.1:8734`.
    """

    def __init__(self, sandbox: Sandbox, address: str) -> None:
        self.sandbox = sandbox
        self.address = address

    def ask(self, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None) -> Page:
        """Send a request; a path or a whole link."""
        url = path if path.startswith("http") else f"{self.address}{path}"
        request = urllib.request.Request(url, data=body, headers=dict(headers or {}))  # noqa: S310 - this machine
        try:
            with _OPENER.open(request, timeout=60) as answer:
                return Page(answer.status, _lower(answer.headers), answer.read().decode())
        except urllib.error.HTTPError as error:
            with error:
                return Page(error.code, _lower(error.headers), error.read().decode())

    def put(self, event: bytes) -> None:
        """Let a denial happen."""
        assert self.ask("/events", event).status == 202

    @property
    def states(self) -> list[str]:
        """The grants' states."""
        return [grant["state"] for grant in self.ask("/grants").json]

    @property
    def subjects(self) -> list[str]:
        """The subjects of all that was sent."""
        return [notice["subject"] for notice in self.ask("/notices").json]

    @property
    def link(self) -> str:
        """The link in the last mail to approvers."""
        mails = [each["message"]["email"] for each in self.ask("/notices").json if each["topic"] == "approvals"]
        (link,) = re.findall(r"(?m)^http\S+/request/\S+$", mails[-1])
        assert isinstance(link, str)
        return link

    def press(self, link: str, button: str, page: Page, **fields: str) -> Page:
        """Fill in the form of a page that was opened, and press a button."""
        form = {"csrf": page.csrf, "name": "Alice", "decision": button, **fields}
        own = {"Origin": "null", "Sec-Fetch-Site": "same-origin"}
        return self.ask(link, urlencode(form).encode(), own)

    def forward(self, length: str) -> dict[str, Any]:
        """Move the time on; gives what upkeep did."""
        page = self.ask("/clock", json.dumps({"forward": length}).encode())
        assert page.status == 200
        rounds: dict[str, Any] = page.json["rounds"]
        return rounds


@contextmanager
def served(**options: Any) -> Iterator[Served]:
    """A stack with these options, kept up for as long as the context lasts."""
    with Sandbox(read_world(), Options(**options)) as sandbox, make_server(sandbox, 0) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield Served(sandbox, f"http://127.0.0.1:{server.server_port}")
        finally:
            server.shutdown()
            thread.join()
