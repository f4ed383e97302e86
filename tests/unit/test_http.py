"""Requests and answers as API Gateway's HTTP APIs carry them."""

import base64
import json
from typing import Any

import pytest

from bedrock_remediator.flows.web.http import (
    LARGEST_BODY,
    SECURITY_HEADERS,
    BadRequestError,
    Request,
    Response,
    answer,
)

FORM = "application/x-www-form-urlencoded"


def event(**changes: Any) -> dict[str, Any]:
    """A POST as API Gateway sends it."""
    return {
        "version": "2.0",
        "routeKey": "POST /request/{token}",
        "rawQueryString": "a=1&b=%3C&a=2",
        "cookies": ["one=1", "two=a=b"],
        "headers": {"content-type": FORM, "Origin": "https://host"},
        "requestContext": {
            "domainName": "host",
            "authorizer": {"iam": {"userArn": "arn:aws:iam::111122223333:user/u"}},
        },
        "pathParameters": {"token": "t"},
        "body": base64.b64encode(b"name=Jos%C3%A9&reason=&name=two").decode(),
        "isBase64Encoded": True,
        **changes,
    }


class TestRequest:
    """What is read of an event."""

    def test_every_part_is_read(self) -> None:
        """Headers in lower case, the first of several fields, cookies whose values hold an equals sign."""
        request = Request.read(event())
        assert (request.route, request.parameters) == ("POST /request/{token}", {"token": "t"})
        assert request.query == {"a": "1", "b": "<"}
        assert request.cookies == {"one": "1", "two": "a=b"}
        assert request.headers["origin"] == "https://host"
        assert request.form() == {"name": "José", "reason": ""}
        assert request.caller == "arn:aws:iam::111122223333:user/u"

    def test_what_is_missing_is_empty(self) -> None:
        """An event without anything is a request for nothing."""
        request = Request.read({"requestContext": {"authorizer": None}, "headers": None, "body": None})
        assert (request.route, request.cookies, request.query, request.raw) == ("", {}, {}, b"")
        assert request.caller is None

    @pytest.mark.parametrize(
        ("host", "origin"),
        [
            ("abc.execute-api.us-east-1.amazonaws.com", "https://abc.execute-api.us-east-1.amazonaws.com"),
            ("access.example.com:8443", "https://access.example.com:8443"),
            ("127.0.0.1:8734", "http://127.0.0.1:8734"),
            ("localhost", "http://localhost"),
            ("[::1]:80", "http://[::1]:80"),
            ("[::1]", "http://[::1]"),
            ("127.0.0.1.example.com", "https://127.0.0.1.example.com"),
        ],
    )
    def test_the_origin_is_https_but_on_this_machine(self, host: str, origin: str) -> None:
        """API Gateway has no other; a test's server on a loopback address has no certificate."""
        assert Request(route="", host=host).origin == origin

    @pytest.mark.parametrize(
        ("changes", "status"),
        [
            ({"body": "%%%"}, 400),
            ({"body": "a" * (LARGEST_BODY + 1), "isBase64Encoded": False}, 413),
            ({"body": base64.b64encode(b"a" * (LARGEST_BODY + 100)).decode()}, 413),
            ({"body": "\ud800", "isBase64Encoded": False}, 400),
        ],
    )
    def test_a_body_that_cannot_be_read_is_refused(self, changes: dict[str, Any], status: int) -> None:
        """No base64, too long, or not even text."""
        with pytest.raises(BadRequestError) as refused:
            Request.read(event(**changes))
        assert refused.value.status == status

    def test_the_largest_body_is_read(self) -> None:
        """In base64 too."""
        body = b"a" * LARGEST_BODY
        assert Request.read(event(body=base64.b64encode(body).decode())).raw == body

    def test_a_query_of_too_many_fields_is_none(self) -> None:
        """Rather than an error: no route needs more than two."""
        assert Request.read(event(rawQueryString="&".join(["a=1"] * 60))).query == {}

    @pytest.mark.parametrize("body", [b"", b"[]", b"1", b"{", b"\xff", b"[" * 50_000])
    def test_what_is_no_object_is_refused(self, body: bytes) -> None:
        """The API takes a JSON object, and survives the rest."""
        request = Request(route="", host="", raw=body)
        with pytest.raises(BadRequestError):
            request.json()

    def test_an_object_is_read_whatever_the_charset_says(self) -> None:
        """Clients add one."""
        request = Request(
            route="", host="", headers={"content-type": "application/json; charset=utf-8"}, raw=b'{"a":1}'
        )
        assert request.json() == {"a": 1}

    def test_a_form_is_no_json(self) -> None:
        """A browser's form cannot be taken for a call of the API."""
        with pytest.raises(BadRequestError) as refused:
            Request(route="", host="", headers={"content-type": FORM}, raw=b"{}").json()
        assert refused.value.status == 415


class TestResponse:
    """What is sent."""

    def test_every_answer_is_safe(self) -> None:
        """Nothing is kept, guessed, framed, run or told to others, unless the answer says otherwise."""
        sent = Response(body="x").event()
        assert SECURITY_HEADERS.items() <= sent["headers"].items()
        assert "cookies" not in sent
        own = Response(headers={"content-security-policy": "style-src 'none'"}).event()["headers"]
        assert own["content-security-policy"] == "style-src 'none'"

    def test_json_is_json(self) -> None:
        """With its type, and the status that is given."""
        sent = Response.json({"a": "é"}, 404).event()
        assert (sent["statusCode"], sent["headers"]["content-type"]) == (404, "application/json")
        assert json.loads(sent["body"]) == {"a": "é"}

    def test_a_redirection_is_asked_for_with_get(self) -> None:
        """303, with cookies beside it."""
        sent = Response.to("/there", cookies=("a=b",)).event()
        assert (sent["statusCode"], sent["headers"]["location"], sent["cookies"]) == (303, "/there", ["a=b"])


class TestAnswer:
    """The table of routes."""

    def test_the_route_of_the_event_answers(self) -> None:
        """By its key, and nobody else does."""
        routes = {"POST /request/{token}": lambda request: Response(body=request.parameters["token"])}
        assert answer(routes, event(), lambda *_: Response())["body"] == "t"
        assert answer(routes, event(routeKey="GET /"), lambda *_: Response())["statusCode"] == 404

    def test_what_raises_is_told_and_answered(self) -> None:
        """The caller says what the answer is."""
        told: list[Exception] = []

        def broken(_: Request) -> Response:
            raise KeyError("x")

        def failed(_: Request, error: Exception) -> Response:
            told.append(error)
            return Response(status=500)

        assert answer({"POST /request/{token}": broken}, event(), failed)["statusCode"] == 500
        assert isinstance(told[0], KeyError)

    def test_a_route_may_refuse_a_body(self) -> None:
        """With the status that fits, and no word of trouble."""
        routes = {"POST /request/{token}": lambda request: Response.json(request.json())}
        assert answer(routes, event(), lambda *_: Response(status=500))["statusCode"] == 415

    def test_a_body_that_cannot_be_read_reaches_no_route(self) -> None:
        """It is answered at once."""
        sent = answer({"POST /request/{token}": lambda _: Response()}, event(body="%"), lambda *_: Response())
        assert sent["statusCode"] == 400
