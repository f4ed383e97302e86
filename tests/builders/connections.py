"""People's ways to the page, without a network between: by a link alone, and by a browser whose owner signs in."""

import http.client
import io
from collections.abc import Mapping
from email.message import Message
from http import HTTPStatus
from http.cookies import SimpleCookie
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

from sandbox.http_api import Ask
from sandbox.stack import Sandbox


class Direct:
    """A connection to the API, as `http.client` has it."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._api = sandbox.api
        self._reply = SimpleNamespace()

    def request(self, method: str, url: str, body: Any = None, headers: Mapping[str, str] | None = None, /) -> None:
        """Send a request."""
        content = b"" if body is None else str(body).encode()
        reply = self._api.answer(Ask(method=method, target=url, headers=list((headers or {}).items()), body=content))
        carried = Message()
        for name, value in reply.headers:
            carried[name] = value
        self._reply = SimpleNamespace(status=reply.status, headers=carried, read=io.BytesIO(reply.body).read)

    def getresponse(self) -> Any:
        """The answer to the last one."""
        return self._reply


class Browser(Direct):
    """A browser that keeps cookies. Where a page sends it to the identity provider, its owner signs in there.

    Who comes back from there and sees that something went wrong reloads the page once.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        super().__init__(sandbox)
        self._own = urlsplit(sandbox.url).netloc
        self._cookies: dict[str, str] = {}

    def request(self, method: str, url: str, body: Any = None, headers: Mapping[str, str] | None = None, /) -> None:
        """Send a request, and follow where the answer sends, until it is a page or a form's."""
        self._ask(method, url, body, headers)
        provider = self._reply.headers.get("Location", "")
        if method != "GET" or self._reply.status != HTTPStatus.SEE_OTHER or urlsplit(provider).netloc == self._own:
            return
        back = self._at_provider(provider)
        self._ask("GET", back, None, headers)
        if self._reply.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            self._ask("GET", back, None, headers)
        if self._reply.status == HTTPStatus.SEE_OTHER:
            self._ask("GET", self._reply.headers["Location"], None, headers)

    def _ask(self, method: str, url: str, body: Any, headers: Mapping[str, str] | None) -> None:
        cookies = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
        super().request(method, url, body, {**(headers or {}), "Cookie": cookies})
        for each in self._reply.headers.get_all("Set-Cookie", ()):
            self._cookies |= {name: morsel.value for name, morsel in SimpleCookie(each).items()}

    def _at_provider(self, address: str) -> str:
        """Sign in; gives the path of our own that the provider sends the browser to."""
        url = urlsplit(address)
        connection = http.client.HTTPConnection(url.netloc, timeout=5)
        connection.request("GET", f"{url.path}?{url.query}")
        answer = connection.getresponse()
        connection.close()
        where = urlsplit(answer.headers["Location"])
        assert where.netloc == self._own, answer.status
        return f"{where.path}?{where.query}"
