"""A browser without a window, for tests of signing in."""

import http.client
from urllib.parse import urlsplit

from tests.builders.approve import ORIGIN, ApproveStack, Page


class Browser:
    """A browser of one person: it keeps cookies, and follows where it is sent."""

    def __init__(self, stack: ApproveStack) -> None:
        self.stack = stack
        self.cookies: dict[str, str] = {}

    def get(self, path: str) -> Page:
        """Ask for one page, and go nowhere else."""
        return self._kept(self.stack.get(path, cookies=self.cookies))

    def post(self, path: str, form: dict[str, str]) -> Page:
        """Send a form."""
        return self._kept(self.stack.post(path, form, cookies=self.cookies))

    def at_provider(self, address: str) -> str:
        """Visit the provider, and say where it sends us, as a path of ours."""
        url = urlsplit(address)
        connection = http.client.HTTPConnection(url.netloc, timeout=5)
        connection.request("GET", f"{url.path}?{url.query}")
        answer = connection.getresponse()
        connection.close()
        location = answer.getheader("Location") or ""
        assert location.startswith(ORIGIN), answer.status
        return location.removeprefix(ORIGIN)

    def begin(self, path: str) -> str:
        """Open a link, be sent to the provider, sign in there; gives the path of our own that it sends us to."""
        sent = self.get(path)
        assert sent.status == 303
        return self.at_provider(sent.headers["location"])

    def sign_in(self, path: str) -> Page:
        """All of it: what comes back at the end."""
        return self.get(self.begin(path))

    def open(self, path: str) -> Page:
        """Sign in and look at the page."""
        back = self.sign_in(path)
        assert (back.status, back.headers.get("location")) == (303, path), back.text
        return self.get(path)

    def _kept(self, page: Page) -> Page:
        self.cookies |= page.cookies
        return page
