"""HTTP as API Gateway turns it into events, and answers back into HTTP."""

import base64
import http.client
import json
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from sandbox.http_api import LARGEST_BODY, ApiRoute, Ask, HttpApi, routes_of
from sandbox.http_server import make_server
from sandbox.naming import Place, ref_of
from sandbox.template import Stack

CALLER = "arn:aws:sts::123456789012:assumed-role/ops/alice"
ARN = "arn:aws:lambda:us-east-1:123456789012:function:approve"
NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
API_ID = "a1b2c3"


class Echo:
    """A function that remembers its events."""

    arn = ARN

    def __init__(self, answer: Any = None) -> None:
        self.answer = {"statusCode": 200, "body": "ok"} if answer is None else answer
        self.events: list[Mapping[str, Any]] = []

    def invoke(self, event: Mapping[str, Any]) -> Any:
        """Answer, or fail."""
        self.events.append(event)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def api(function: Echo, *keys: str, iam: bool = False) -> HttpApi:
    """An API whose routes all lead to one function."""
    routes = [ApiRoute(key=key, function=function, iam=iam) for key in keys or ("ANY /{proxy+}",)]
    return HttpApi(routes, now=lambda: NOW, callers={"ASIAOPS": CALLER})


class TestEvents:
    """What a function is given."""

    def test_headers_cookies_and_query_are_as_api_gateway_sends_them(self) -> None:
        """Names in lower case, headers of one name joined, cookies apart, the query raw."""
        function = Echo()
        headers = [("Host", "h"), ("X-A", "1"), ("x-a", "2"), ("Cookie", "a=1; b=2=3"), ("Connection", "close")]
        api(function).answer(Ask(method="GET", target="/p/q%20r?x=%3C&x=2", headers=headers))
        (event,) = function.events
        assert event["headers"]["x-a"] == "1,2"
        assert event["headers"]["x-forwarded-proto"] == "https"
        assert not {"cookie", "connection"} & event["headers"].keys()
        assert event["cookies"] == ["a=1", "b=2=3"]
        assert event["rawQueryString"] == "x=%3C&x=2"
        assert event["pathParameters"] == {"proxy": "p/q r"}
        assert event["requestContext"]["domainName"] == "h"
        assert event["requestContext"]["time"] == "20/Nov/2026:12:00:00 +0000"
        assert "body" not in event

    @pytest.mark.parametrize(
        ("kind", "encoded"),
        [
            ("application/json", False),
            ("text/plain; charset=utf-8", False),
            ("application/x-www-form-urlencoded", True),
            ("application/octet-stream", True),
            ("", True),
        ],
    )
    def test_what_is_neither_text_nor_json_comes_in_base64(self, kind: str, *, encoded: bool) -> None:
        """Forms too: Slack's and the page's."""
        function = Echo()
        api(function).answer(Ask(method="POST", target="/a", headers=[("Content-Type", kind)], body=b"a=1"))
        (event,) = function.events
        assert event["isBase64Encoded"] is encoded
        assert event["body"] == (base64.b64encode(b"a=1").decode() if encoded else "a=1")

    def test_a_signed_call_tells_its_caller(self) -> None:
        """By the access key of the signature."""
        function = Echo()
        headers = [("Authorization", "AWS4-HMAC-SHA256 Credential=ASIAOPS/20261120/us-east-1/execute-api/aws4_request")]
        api(function, iam=True).answer(Ask(method="GET", target="/a", headers=headers))
        assert function.events[0]["requestContext"]["authorizer"]["iam"]["userArn"] == CALLER

    @pytest.mark.parametrize("signed", ["", "Bearer x", "AWS4-HMAC-SHA256 Credential=ASIANOBODY/x"])
    def test_an_unsigned_call_does_not_come_through(self, signed: str) -> None:
        """Where the route wants a signature of somebody that is known."""
        function = Echo()
        reply = api(function, iam=True).answer(Ask(method="GET", target="/a", headers=[("Authorization", signed)]))
        assert (reply.status, function.events) == (403, [])


class TestRoutes:
    """Which route a request takes."""

    @pytest.mark.parametrize(
        ("method", "target", "key"),
        [
            ("GET", "/a/list", "GET /a/list"),
            ("GET", "/a/one?x", "GET /a/{id}"),
            ("GET", "/a/b/c", "GET /a/{rest+}"),
            ("PUT", "/a/one", "ANY /a/{id}"),
            ("GET", "/else", "$default"),
        ],
    )
    def test_the_most_specific_route_is_taken(self, method: str, target: str, key: str) -> None:
        """Fixed paths first, then variables, then greedy ones, then the rest."""
        function = Echo()
        some = api(function, "$default", "GET /a/{rest+}", "ANY /a/{id}", "GET /a/{id}", "GET /a/list")
        some.answer(Ask(method=method, target=target))
        assert function.events[0]["routeKey"] == key

    def test_no_route_is_not_found(self) -> None:
        """API Gateway says so itself."""
        some = api(Echo(), "GET /a/{id}")
        assert some.answer(Ask(method="POST", target="/a/1")).status == 404
        assert (some.serves("GET", "/a/1?x"), some.serves("GET", "/b")) == (True, False)

    def test_a_variable_is_decoded(self) -> None:
        """As the function gets it."""
        function = Echo()
        api(function, "GET /a/{id}").answer(Ask(method="GET", target="/a/x%2Fy"))
        assert function.events[0]["pathParameters"] == {"id": "x/y"}

    def test_routes_come_from_the_template(self) -> None:
        """With integration, authorization, and the permission that lets API Gateway call the function."""
        deployed = stack(permission={"SourceArn": f"arn:aws:execute-api:us-east-1:123456789012:{API_ID}/$default/*"})
        routes = {route.key: route for route in routes_of(deployed, [Echo()])}
        assert routes.keys() == {"GET /request/{token}", "POST /api/requests/{id}"}
        assert [routes[key].iam for key in sorted(routes)] == [False, True]
        assert all(route.permitted for route in routes.values())

    @pytest.mark.parametrize(
        "permission",
        [
            {"Principal": "events.amazonaws.com"},
            {"FunctionName": "another"},
            {"SourceArn": "arn:aws:execute-api:us-east-1:123456789012:another/$default/*"},
        ],
    )
    def test_a_function_that_does_not_let_api_gateway_in_answers_nothing(self, permission: dict[str, str]) -> None:
        """As on AWS: the caller sees 500, and the function nothing."""
        function = Echo()
        some = HttpApi(routes_of(stack(permission=permission), [function]))
        assert some.answer(Ask(method="GET", target="/request/t")).status == 500
        assert function.events == []


class TestReplies:
    """What goes back."""

    def test_status_headers_cookies_and_body_go_back(self) -> None:
        """Each cookie in a header of its own."""
        function = Echo({"statusCode": 303, "headers": {"location": "/"}, "cookies": ["a=1", "b=2"], "body": "é"})
        reply = api(function).answer(Ask(method="GET", target="/a"))
        assert reply.status == 303
        assert list(reply.headers) == [("location", "/"), ("set-cookie", "a=1"), ("set-cookie", "b=2")]
        assert reply.body == "é".encode()

    def test_base64_is_decoded(self) -> None:
        """Where the function says that it is."""
        function = Echo({"statusCode": 200, "body": base64.b64encode(b"\x00").decode(), "isBase64Encoded": True})
        assert api(function).answer(Ask(method="GET", target="/a")).body == b"\x00"

    @pytest.mark.parametrize(("answer", "body"), [({"a": 1}, b'{"a": 1}'), ("text", b"text")])
    def test_an_answer_without_status_is_a_body(self, answer: Any, body: bytes) -> None:
        """API Gateway takes it for JSON."""
        reply = api(Echo(answer)).answer(Ask(method="GET", target="/a"))
        assert (reply.status, reply.body) == (200, body)

    def test_a_function_that_fails_answers_nothing_of_it(self) -> None:
        """500, in API Gateway's words."""
        reply = api(Echo(ValueError("secret"))).answer(Ask(method="GET", target="/a"))
        assert reply.status == 500
        assert json.loads(reply.body) == {"message": "Internal Server Error"}

    def test_too_much_does_not_come_through(self) -> None:
        """API Gateway's limit."""
        function = Echo()
        reply = api(function).answer(Ask(method="POST", target="/a", body=b"a" * (LARGEST_BODY + 1)))
        assert (reply.status, function.events) == (413, [])


def test_an_api_is_served_on_a_port() -> None:
    """Over HTTP, as a browser speaks it."""
    function = Echo()
    with make_server(api(function)) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        connection = http.client.HTTPConnection("127.0.0.1", server.server_address[1], timeout=5)
        for method, body in (("GET", None), ("POST", b"a=1")):
            connection.request(method, "/a", body=body)
            assert connection.getresponse().read() == b"ok"
        connection.close()
        server.shutdown()
        thread.join()
    assert [event["requestContext"]["http"]["method"] for event in function.events] == ["GET", "POST"]


def stack(permission: Mapping[str, str]) -> Stack:
    """A stack with an API of two routes, as the template's is worked out."""

    def resource(kind: str, **properties: Any) -> dict[str, Any]:
        return {"Type": kind, "Properties": properties}

    place = Place(partition="aws", region="us-east-1", account="123456789012", stack_name="s")
    integration = resource("AWS::ApiGatewayV2::Integration", ApiId=API_ID, IntegrationUri=ARN)
    target = f"integrations/{ref_of(place, 'Integration', integration)}"
    lets_in = {
        "Action": "lambda:InvokeFunction",
        "Principal": "apigateway.amazonaws.com",
        "FunctionName": ARN,
        **permission,
    }
    resources = {
        "Integration": integration,
        "Show": resource("AWS::ApiGatewayV2::Route", ApiId=API_ID, RouteKey="GET /request/{token}", Target=target),
        "Decide": resource(
            "AWS::ApiGatewayV2::Route",
            ApiId=API_ID,
            RouteKey="POST /api/requests/{id}",
            Target=target,
            AuthorizationType="AWS_IAM",
        ),
        "Permission": resource("AWS::Lambda::Permission", **lets_in),
    }
    return Stack(resources=resources, outputs={}, parameters={}, place=place)
