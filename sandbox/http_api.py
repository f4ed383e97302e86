"""API Gateway's HTTP APIs: turns HTTP requests into the events that functions get, by the routes of the template.

Events have payload version 2.0 as AWS sends it: header names in lower case, headers of one name joined, cookies apart,
and every body that is neither text nor JSON in base64. A route with IAM authorization wants a caller that is known; its
signature is not verified. Throttling is left out.

```python
api = HttpApi(routes_of(stack, functions), now=clock.now)
reply = api.answer(Ask(method="GET", target="/request/abc", headers=[("Host", "127.0.0.1:8734")]))
```
"""

import base64
import itertools
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, Protocol
from urllib.parse import unquote, urlsplit

from msgspec import Struct

from sandbox.template import Stack

LARGEST_BODY: Final = 10 * 1024 * 1024
_IAM: Final = "AWS_IAM"
_TEXT = re.compile(r"text/.*|application/(json|javascript|xml)(;.*)?")
_CREDENTIAL = re.compile(r"AWS4-HMAC-SHA256 Credential=([A-Z0-9]+)/")
_NOT_HANDED_ON: Final = frozenset(
    {"connection", "cookie", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"}
)

Pairs = Sequence[tuple[str, str]]


class Invocable(Protocol):
    """A function, as far as an integration needs it."""

    arn: str

    def invoke(self, event: Mapping[str, Any]) -> Any:
        """Call it."""
        ...


class Ask(Struct, frozen=True, kw_only=True):
    """A request as it comes over the wire; `target` is its path and query."""

    method: str
    target: str
    headers: Pairs = ()
    body: bytes = b""
    source_ip: str = "127.0.0.1"


class Reply(Struct, frozen=True, kw_only=True):
    """What goes back."""

    status: int
    headers: Pairs = ()
    body: bytes = b""


class ApiRoute(Struct, frozen=True, kw_only=True):
    """A route: its key, `GET /request/{token}`, what it hands requests to, and whether it takes signed calls only.

    `permitted` says whether the function's own policy lets API Gateway call it by this route.
    """

    key: str
    function: Invocable
    iam: bool = False
    permitted: bool = True
    api_id: str = "api"


def routes_of(stack: Stack, functions: Iterable[Invocable]) -> tuple[ApiRoute, ...]:
    """The routes of the stack's HTTP APIs, with their integrations and the functions' permissions worked out."""
    by_arn = {function.arn: function for function in functions}
    integrations = {
        stack.ref(name): properties["IntegrationUri"]
        for name, properties in stack.of_type("AWS::ApiGatewayV2::Integration").items()
    }
    permissions = list(stack.of_type("AWS::Lambda::Permission").values())
    routes = []
    for route in stack.of_type("AWS::ApiGatewayV2::Route").values():
        uri = integrations[route["Target"].removeprefix("integrations/")]
        function = next(function for arn, function in by_arn.items() if arn in uri)
        routes.append(
            ApiRoute(
                key=route["RouteKey"],
                function=function,
                iam=route.get("AuthorizationType") == _IAM,
                permitted=any(_permits(stack, each, route, function) for each in permissions),
                api_id=route["ApiId"],
            )
        )
    return tuple(routes)


class HttpApi:
    """Answers requests by routes.

    Args:
        routes: The routes.
        now: The time, for the events.
        callers: Access key id -> IAM ARN of its owner, for routes with IAM authorization.
        account: The account that the API belongs to.
    """

    def __init__(
        self,
        routes: Iterable[ApiRoute],
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        callers: Mapping[str, str] | None = None,
        account: str = "123456789012",
    ) -> None:
        self._routes = tuple(routes)
        self._now = now
        self._callers = callers or {}
        self._account = account
        self._numbers = itertools.count(1)

    @property
    def keys(self) -> tuple[str, ...]:
        """The routes' keys."""
        return tuple(route.key for route in self._routes)

    def serves(self, method: str, target: str) -> bool:
        """Whether a route matches."""
        return self._route(method, urlsplit(target).path) is not None

    def answer(self, ask: Ask) -> Reply:
        """Answer a request, as API Gateway would."""
        found = self._route(ask.method, urlsplit(ask.target).path)
        if found is None:
            return _message(404, "Not Found")
        if len(ask.body) > LARGEST_BODY:
            return _message(413, "Request Too Long")
        route, parameters = found
        caller = self._caller(ask) if route.iam else None
        if route.iam and caller is None:
            return _message(403, "Forbidden")
        if not route.permitted:
            return _message(500, "Internal Server Error")
        event = self._event(ask, route, parameters, caller)
        try:
            return _reply(route.function.invoke(event))
        except Exception:  # noqa: BLE001 - whatever a function fails with, its caller sees this
            return _message(500, "Internal Server Error")

    def _route(self, method: str, path: str) -> tuple[ApiRoute, dict[str, str]] | None:
        """The most specific route, and what its variables stand for."""
        matches = [
            (route, parameters) for route in self._routes if (parameters := _match(route.key, method, path)) is not None
        ]
        return max(matches, key=lambda match: _rank(match[0].key), default=None)

    def _caller(self, ask: Ask) -> str | None:
        signed = _CREDENTIAL.match(_header(ask.headers, "authorization"))
        return self._callers.get(signed[1]) if signed else None

    def _event(self, ask: Ask, route: ApiRoute, parameters: dict[str, str], caller: str | None) -> dict[str, Any]:
        url, now = urlsplit(ask.target), self._now()
        host = _header(ask.headers, "host") or f"{route.api_id}.execute-api.us-east-1.amazonaws.com"
        context: dict[str, Any] = {
            "accountId": self._account,
            "apiId": route.api_id,
            "domainName": host,
            "domainPrefix": host.partition(".")[0],
            "http": {
                "method": ask.method,
                "path": unquote(url.path),
                "protocol": "HTTP/1.1",
                "sourceIp": ask.source_ip,
                "userAgent": _header(ask.headers, "user-agent"),
            },
            "requestId": f"request-{next(self._numbers)}",
            "routeKey": route.key,
            "stage": "$default",
            "time": f"{now:%d/%b/%Y:%H:%M:%S +0000}",
            "timeEpoch": int(now.timestamp() * 1000),
        }
        if caller:
            context["authorizer"] = {"iam": {"accountId": caller.split(":")[4], "userArn": caller, "userId": "AIDA"}}
        event: dict[str, Any] = {
            "version": "2.0",
            "routeKey": route.key,
            "rawPath": unquote(url.path),
            "rawQueryString": url.query,
            "headers": _joined(ask, host),
            "requestContext": context,
            "isBase64Encoded": False,
        }
        if cookies := [each.strip() for each in _header(ask.headers, "cookie").split(";") if each.strip()]:
            event["cookies"] = cookies
        if parameters:
            event["pathParameters"] = parameters
        if ask.body:
            event["isBase64Encoded"] = not _TEXT.fullmatch(_header(ask.headers, "content-type").lower())
            event["body"] = (
                base64.b64encode(ask.body).decode() if event["isBase64Encoded"] else ask.body.decode(errors="replace")
            )
        return event


def _permits(stack: Stack, permission: Mapping[str, Any], route: Mapping[str, Any], function: Invocable) -> bool:
    """Whether a permission lets API Gateway call the function by a route."""
    place = stack.place
    method, _, path = route["RouteKey"].partition(" ")
    arn = f"arn:{place.partition}:execute-api:{place.region}:{place.account}:{route['ApiId']}/$default/{method}{path}"
    pattern = ".*".join(map(re.escape, permission.get("SourceArn", "*").split("*")))
    return (
        permission["Principal"] == "apigateway.amazonaws.com"
        and permission["Action"] == "lambda:InvokeFunction"
        and permission["FunctionName"] in (function.arn, function.arn.rpartition(":")[2])
        and re.fullmatch(pattern, arn) is not None
    )


def _match(key: str, method: str, path: str) -> dict[str, str] | None:
    """What the variables of a route's key stand for in a path; None where the route does not match."""
    if key == "$default":
        return {}
    wanted, _, template = key.partition(" ")
    if wanted not in ("ANY", method):
        return None
    parts = re.split(r"\{([A-Za-z0-9_.-]+\+?)\}", template)
    pattern = "".join(
        re.escape(part) if place % 2 == 0 else "(.+)" if part.endswith("+") else "([^/]+)"
        for place, part in enumerate(parts)
    )
    found = re.fullmatch(pattern, path)
    if found is None:
        return None
    names = [name.removesuffix("+") for name in parts[1::2]]
    return {name: unquote(value) for name, value in zip(names, found.groups(), strict=True)}


def _rank(key: str) -> tuple[bool, bool, int, bool]:
    """How specific a route is: fixed paths before variables, those before greedy ones, `$default` last."""
    return key != "$default", "+}" not in key, -key.count("{"), not key.startswith("ANY ")


def _joined(ask: Ask, host: str) -> dict[str, str]:
    headers: dict[str, str] = {}
    for name, value in ask.headers:
        lower = name.lower()
        if lower not in _NOT_HANDED_ON:
            headers[lower] = f"{headers[lower]},{value}" if lower in headers else value
    return headers | {
        "host": host,
        "content-length": str(len(ask.body)),
        "x-forwarded-for": ask.source_ip,
        "x-forwarded-port": "443",
        "x-forwarded-proto": "https",
    }


def _header(headers: Pairs, name: str) -> str:
    return next((value for key, value in headers if key.lower() == name), "")


def _reply(answer: Any) -> Reply:
    """A function's answer in format 2.0; one without a status is a body of JSON."""
    if not isinstance(answer, dict) or "statusCode" not in answer:
        text = answer if isinstance(answer, str) else json.dumps(answer)
        return Reply(status=200, headers=[("content-type", "application/json")], body=text.encode())
    headers = [(name, str(value)) for name, value in (answer.get("headers") or {}).items()]
    cookies = [("set-cookie", cookie) for cookie in answer.get("cookies") or ()]
    text = answer.get("body") or ""
    body = base64.b64decode(text) if answer.get("isBase64Encoded") else text.encode()
    return Reply(status=int(answer["statusCode"]), headers=[*headers, *cookies], body=body)


def _message(status: int, message: str) -> Reply:
    """What API Gateway itself says."""
    body = json.dumps({"message": message}).encode()
    return Reply(status=status, headers=[("content-type", "application/json")], body=body)
