"""HTTP as API Gateway's HTTP APIs speak it to a function (payload version 2.0), and a table of routes.

Powertools' resolver would do more and cost a seventh of the cold start; seven routes need a dictionary.
"""

import base64
import binascii
import json
from collections.abc import Callable, Mapping
from typing import Any, Final, Self
from urllib.parse import parse_qsl

from msgspec import Struct

LARGEST_BODY: Final = 64 * 1024
"""Bytes. The longest form holds a reason of 500 characters; Slack's interactions stay below 30 KB."""

_MOST_FIELDS: Final = 50
_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "[::1]"})
_FORM: Final = "application/x-www-form-urlencoded"
_JSON: Final = "application/json"
HTML: Final = "text/html; charset=utf-8"

SECURITY_HEADERS: Final[Mapping[str, str]] = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "strict-transport-security": "max-age=31536000",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "x-robots-tag": "noindex, nofollow",
}
"""On every answer. A page that needs more than nothing has a policy of its own."""


class BadRequestError(Exception):
    """The request cannot be read; `status` is what to answer, the message a sentence for whoever sent it."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


class Request(Struct, frozen=True, kw_only=True):
    """One request.

    `route` is the route's key, `GET /request/{token}`; header names are in lower case; `raw` is the body as it was
    sent. `host` is the domain that API Gateway was called by, `caller` the IAM ARN on a route with IAM authorization.
    """

    route: str
    host: str
    parameters: Mapping[str, str] = {}
    query: Mapping[str, str] = {}
    headers: Mapping[str, str] = {}
    cookies: Mapping[str, str] = {}
    raw: bytes = b""
    caller: str | None = None

    @classmethod
    def read(cls, event: Mapping[str, Any]) -> Self:
        """Read API Gateway's event; what is missing in it is empty.

        Raises:
            BadRequestError: The body is too large, or is not the base64 that the event says it is.
        """
        context = event.get("requestContext", {})
        identity = (context.get("authorizer") or {}).get("iam") or {}
        return cls(
            route=event.get("routeKey") or "",
            host=context.get("domainName") or "",
            parameters=event.get("pathParameters") or {},
            query=_first_of_each(event.get("rawQueryString") or ""),
            headers={name.lower(): value for name, value in (event.get("headers") or {}).items()},
            cookies=_cookies(event.get("cookies") or ()),
            raw=_body(event),
            caller=identity.get("userArn"),
        )

    @property
    def origin(self) -> str:
        """The origin that the page is read under. API Gateway speaks TLS only; a loopback host is a test's."""
        bare = self.host.rpartition(":")[0] if not self.host.endswith("]") and ":" in self.host else self.host
        return f"{'http' if bare in _LOOPBACK else 'https'}://{self.host}"

    def form(self) -> Mapping[str, str]:
        """The fields of a form; of those with one name the first.

        Raises:
            BadRequestError: The body is no form.
        """
        if self._content_type != _FORM:
            raise BadRequestError(415, f"This takes a form ({_FORM}).")
        try:
            return _first_of_each(self.raw.decode(), strict=True)
        except ValueError as error:
            raise BadRequestError(400, "The form cannot be read.") from error

    def json(self) -> Mapping[str, Any]:
        """The body's JSON object.

        Raises:
            BadRequestError: The body is something else.
        """
        if self._content_type not in ("", _JSON):
            raise BadRequestError(415, f"This takes {_JSON}.")
        try:
            value = json.loads(self.raw)
        except (ValueError, RecursionError) as error:
            raise BadRequestError(400, "The body is not JSON.") from error
        if not isinstance(value, dict):
            raise BadRequestError(400, "The body must be a JSON object.")
        return value

    @property
    def _content_type(self) -> str:
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


class Response(Struct, frozen=True, kw_only=True):
    """One answer. `cookies` are the values of Set-Cookie headers; `headers` go over the security headers."""

    status: int = 200
    body: str = ""
    content_type: str = HTML
    headers: Mapping[str, str] = {}
    cookies: tuple[str, ...] = ()

    @classmethod
    def json(cls, content: Any, status: int = 200) -> Self:
        """An answer for programs."""
        return cls(status=status, body=json.dumps(content) + "\n", content_type=_JSON)

    @classmethod
    def to(cls, address: str, cookies: tuple[str, ...] = ()) -> Self:
        """Send the browser elsewhere, to be asked for with GET."""
        return cls(status=303, headers={"location": address}, cookies=cookies)

    def event(self) -> dict[str, Any]:
        """The answer as API Gateway takes it."""
        headers = {**SECURITY_HEADERS, "content-type": self.content_type, **self.headers}
        answer: dict[str, Any] = {"statusCode": self.status, "headers": headers, "body": self.body}
        if self.cookies:
            answer["cookies"] = list(self.cookies)
        return answer


Route = Callable[[Request], Response]


def answer(
    routes: Mapping[str, Route], event: Mapping[str, Any], failed: Callable[[Request, Exception], Response]
) -> dict[str, Any]:
    """Answer an event by the route that it names.

    Args:
        routes: Route key, as the template writes it -> what answers it.
        event: API Gateway's event, payload version 2.0.
        failed: What to say where a route raised; the browser must not see API Gateway's own words.
    """
    try:
        request = Request.read(event)
        route = routes.get(request.route)
        if route is None:
            return _plain(404, "There is nothing here.").event()
        try:
            return route(request).event()
        except BadRequestError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, it is told to `failed`
            return failed(request, error).event()
    except BadRequestError as error:
        return _plain(error.status, str(error)).event()


def _plain(status: int, sentence: str) -> Response:
    return Response(status=status, body=sentence + "\n", content_type="text/plain; charset=utf-8")


def _body(event: Mapping[str, Any]) -> bytes:
    text: str = event.get("body") or ""
    encoded = bool(event.get("isBase64Encoded"))
    # Four characters of base64 hold three bytes.
    if len(text) > (LARGEST_BODY * 4 // 3 + 4 if encoded else LARGEST_BODY):
        raise BadRequestError(413, "That is more than this takes.")
    try:
        return base64.b64decode(text, validate=True) if encoded else text.encode()
    except (binascii.Error, UnicodeEncodeError) as error:
        raise BadRequestError(400, "The body cannot be read.") from error


def _first_of_each(text: str, *, strict: bool = False) -> dict[str, str]:
    """Fields of a query or a form.

    Raises:
        ValueError: They are too many; if `strict`, they are not UTF-8.
    """
    errors = "strict" if strict else "replace"
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=_MOST_FIELDS, errors=errors)
    except ValueError:
        if strict:
            raise
        pairs = []
    return dict(reversed(pairs))


def _cookies(lines: tuple[str, ...] | list[str]) -> dict[str, str]:
    pairs = (line.partition("=") for line in lines)
    return {name.strip(): value.strip() for name, _, value in pairs}
