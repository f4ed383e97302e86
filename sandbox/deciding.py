"""Answers pending requests as an approver would: by the link in the mail, over HTTP, with the form that the page has.

```python
answers = decide_all(sandbox, "approve")
sandbox.run()
```
"""

import contextlib
import http.client
import json
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from html.parser import HTMLParser
from http import HTTPStatus
from typing import Any, Final, Protocol
from urllib.parse import urlencode, urljoin, urlsplit

from msgspec import Struct

from bedrock_remediator.core.usage import Share, beyond_key
from sandbox.http_server import make_server
from sandbox.stack import Sandbox

NAME: Final = "sandbox"
"""What is typed where the page asks for a name."""

_TIMEOUT: Final = 60
_BUTTON: Final = "decision"


class Answered(Struct, frozen=True, kw_only=True):
    """What became of the attempt to answer one request.

    `row` is the ledger's key. `problem` says why there is no decision; `broken` whether the page did not do its work,
    rather than refuse.
    """

    row: tuple[str, str]
    problem: str | None = None
    broken: bool = False


class NotDecidedError(Exception):
    """There is no decision: the message says why, `broken` whether something did not work."""

    def __init__(self, message: str, *, broken: bool = True) -> None:
        super().__init__(message)
        self.broken = broken


class Answer(Protocol):
    """An HTTP answer, as `http.client` has it."""

    status: int
    headers: Any

    def read(self) -> bytes:
        """Its body."""
        ...


class Connection(Protocol):
    """A way to the API, as `http.client` has it."""

    def request(self, method: str, url: str, body: Any = None, headers: Any = ..., /) -> None:
        """Send a request."""
        ...

    def getresponse(self) -> Answer:
        """Its answer."""
        ...


class Form(Struct):
    """A form of a page: where it goes, what it sends as it stands, which fields must be filled, and its buttons.

    `choices` are the last of the options that nothing is chosen of yet.
    """

    action: str
    fields: dict[str, str]
    required: set[str]
    buttons: set[tuple[str, str]]
    choices: dict[str, str]


class _Page(HTMLParser):
    """Reads a page's heading and forms, as far as our pages go: inputs, text areas, choices, buttons."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self.heading = ""
        self._within: set[str] = set()
        self.feed(text)
        self.heading = " ".join(self.heading.split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note forms, and what they are made of."""
        given = dict(attrs)
        if tag == "form":
            self.forms.append(Form(given.get("action") or "", {}, set(), set(), {}))
        elif tag == "h1":
            self._within.add(tag)
        elif self.forms and (name := given.get("name")) and "disabled" not in given:
            self._field(tag, name, given)

    def handle_endtag(self, tag: str) -> None:
        """Leave the heading."""
        self._within.discard(tag)

    def handle_data(self, data: str) -> None:
        """Note the heading's text."""
        if "h1" in self._within:
            self.heading += data

    def _field(self, tag: str, name: str, given: Mapping[str, str | None]) -> None:
        form, value = self.forms[-1], given.get("value") or ""
        if tag == "button":
            form.buttons.add((name, value))
        elif tag == "textarea":
            form.fields[name] = ""
        elif tag == "input" and (given.get("type") not in {"radio", "checkbox"} or "checked" in given):
            form.fields[name] = value
        elif tag == "input":
            form.choices[name] = value
        if "required" in given:
            form.required.add(name)


def read_forms(text: str) -> Sequence[Form]:
    """The forms of a page."""
    return _Page(text).forms


def decide_all(sandbox: Sandbox, decision: str, state: str = "pending") -> list[Answered]:
    """Answer every request that waits for a person; the stack's own part in it is done by `sandbox.run()`.

    Args:
        sandbox: The sandbox, at rest.
        decision: The button to press: `approve` or `reject`.
        state: The state of the rows to do it to; another one's page is reached by the link of its last request.
    """
    waiting = [item for item in sandbox.ledger.items() if item.get("state") == state]
    # One that only counts others cannot be approved; to reject it rejects those, which have their own answers first.
    counting = [item for item in waiting if item["sk"] == beyond_key(Share.REQUESTS)]
    waiting = [item for item in waiting if item not in counting] + (counting if decision == "reject" else [])
    if not waiting:
        return []
    links = links_in(sandbox)
    with _serving(sandbox) as connection:
        return [_answer(connection, (item["pk"], item["sk"]), _link(links, item), decision) for item in waiting]


def _link(links: Mapping[tuple[str, str, int], str], item: Mapping[str, Any]) -> str | None:
    if item["state"] == "pending":
        return links.get((item["pk"], item["sk"], item["version"]))
    sent = [link for (pk, sk, _), link in links.items() if (pk, sk) == (item["pk"], item["sk"])]
    return sent[-1] if sent else None


def _answer(connection: Connection, row: tuple[str, str], link: str | None, decision: str) -> Answered:
    if link is None:
        return Answered(row=row, problem="no mail with a link was sent for it", broken=True)
    try:
        decide(connection, link, decision)
    except NotDecidedError as problem:
        return Answered(row=row, problem=str(problem), broken=problem.broken)
    return Answered(row=row)


def decide(connection: Connection, link: str, decision: str) -> None:
    """Open a link from a mail, and press the button of that name on its page.

    Raises:
        NotDecidedError: There is no decision.
    """
    status, page, _ = _visit(connection, link)
    if status != HTTPStatus.OK:
        raise NotDecidedError(f"its page answers {status}: {page.heading}")
    form = next((form for form in page.forms if (_BUTTON, decision) in form.buttons), None)
    if form is None:
        raise NotDecidedError(f"its page does not offer to {decision} it", broken=False)
    fields = {**form.choices, **form.fields, **{name: NAME for name in form.required if not form.fields.get(name)}}
    status, page, where = _visit(connection, urljoin(link, form.action), {**fields, _BUTTON: decision})
    if status != HTTPStatus.SEE_OTHER or where is None:
        refused = HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR
        raise NotDecidedError(f"{page.heading} ({status})", broken=not refused)
    status, page, _ = _visit(connection, urljoin(link, where))
    if status != HTTPStatus.OK:
        raise NotDecidedError(f"its page answers {status} afterwards: {page.heading}")


def _visit(connection: Connection, link: str, form: Mapping[str, str] | None = None) -> tuple[int, _Page, str | None]:
    """Ask for a page, or send a form from it; gives the status, the page, and where it sends the browser."""
    address = urlsplit(link)
    headers = {"Host": address.netloc, "Accept": "text/html", "User-Agent": "sandbox"}
    if form is None:
        connection.request("GET", address.path, None, headers)
    else:
        # As browsers send the form of a page that asks for no referrer.
        own = {"Origin": "null", "Sec-Fetch-Site": "same-origin", "Content-Type": "application/x-www-form-urlencoded"}
        connection.request("POST", address.path, urlencode(form), headers | own)
    response = connection.getresponse()
    return response.status, _Page(response.read().decode()), response.headers["Location"]


@contextlib.contextmanager
def _serving(sandbox: Sandbox) -> Iterator[http.client.HTTPConnection]:
    """Within the block the API answers on a port of this machine; gives a connection to it."""
    with make_server(sandbox.api) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=_TIMEOUT)
        try:
            yield connection
        finally:
            connection.close()
            server.shutdown()
            thread.join()


def links_in(sandbox: Sandbox) -> dict[tuple[str, str, int], str]:
    """The links in the mails to approvers, by the row's key and version."""
    wanted = re.compile(rf"^{re.escape(sandbox.url)}/request/\S+$", re.MULTILINE)
    links = {}
    for notice in sandbox.outbox.notices:
        found = wanted.search(notice.message.get("email", ""))
        request = _request(notice.message)
        if found and request:
            links[request["pk"], request["sk"], request["version"]] = found[0]
    return links


def _request(message: Mapping[str, Any]) -> dict[str, Any] | None:
    """The row that a notice is about, as its structured body says it; None for a digest."""
    with contextlib.suppress(ValueError):
        body = json.loads(message["default"])
        if isinstance(body, dict) and isinstance(body.get("request"), dict):
            request: dict[str, Any] = body["request"]
            return request
    return None
