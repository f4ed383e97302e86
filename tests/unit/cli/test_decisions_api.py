import hashlib
import hmac
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.credentials import Credentials

from bedrock_remediator.core.grant import State
from bedrock_remediator_cli.decisions.api import Answer, RequestsApi
from bedrock_remediator_cli.trouble import EnvironmentTrouble, RefusedError

URL = "https://a1b2c3d4e5.execute-api.us-east-1.amazonaws.com/api/requests"
SECRET = "wJalrXUtnFEMIexample"


class Recorder:
    """Answers every request with the same, and keeps it."""

    def __init__(self, status: int = 200, content: Any = None) -> None:
        self.answer = Answer(status, {"requests": []} if content is None else content)
        self.sent: list[tuple[str, str, dict[str, str], bytes]] = []

    def __call__(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Send it."""
        self.sent.append((method, url, {name.lower(): str(value) for name, value in headers.items()}, body))
        return self.answer


def api(transport: Recorder) -> RequestsApi:
    """The API for a caller with a session."""
    return RequestsApi(URL, Credentials("ASIAEXAMPLE", SECRET, "the-token"), "us-east-1", transport)


def signature(method: str, url: str, headers: Mapping[str, str], body: bytes) -> str:
    """What Signature Version 4 says of a request, worked out by hand from AWS's description of it."""
    stamp = headers["x-amz-date"]
    signed = headers["authorization"].split("SignedHeaders=")[1].split(",")[0]
    parts = urlsplit(url)
    values = {**headers, "host": parts.netloc}
    lines = "".join(f"{name}:{values[name]}\n" for name in signed.split(";"))
    content = hashlib.sha256(body).hexdigest()
    canonical = f"{method}\n{parts.path}\n{parts.query}\n{lines}\n{signed}\n{content}"
    scope = f"{stamp[:8]}/us-east-1/execute-api/aws4_request"
    text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = f"AWS4{SECRET}".encode()
    for part in (stamp[:8], "us-east-1", "execute-api", "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.new(key, text.encode(), "sha256").hexdigest()


def test_every_call_is_signed_for_the_api() -> None:
    """Method, path, query and body are under the signature, and the session's token goes along."""
    transport = Recorder()
    api(transport).list(State.PENDING)
    api(transport).decide("a" * 32, {"decision": "reject", "version": 1})
    for sent in transport.sent:
        headers = sent[2]
        assert headers["authorization"].endswith(f"Signature={signature(*sent)}")
        assert headers["x-amz-security-token"] == "the-token"
    assert [(method, url.removeprefix(URL)) for method, url, _, _ in transport.sent] == [
        ("GET", "?state=pending"),
        ("POST", f"/{'a' * 32}"),
    ]
    assert SECRET not in str(transport.sent)


def test_a_list_follows_its_pages() -> None:
    """To the last, each asked for by the token of the one before; and each call is signed."""
    pages = iter([({"requests": [{"id": "a"}], "nextToken": "e30="}), ({"requests": [{"id": "b"}], "nextToken": None})])
    sent: list[tuple[str, str, Mapping[str, str], bytes]] = []

    def transport(method: str, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        sent.append((method, url, {name.lower(): value for name, value in headers.items()}, body))
        return Answer(200, next(pages))

    caller = RequestsApi(URL, Credentials("ASIAEXAMPLE", SECRET, "the-token"), "us-east-1", transport)
    assert caller.list(State.PENDING) == [{"id": "a"}, {"id": "b"}]
    assert [url.removeprefix(URL) for _, url, _, _ in sent] == ["?state=pending", "?nextToken=e30%3D&state=pending"]
    assert all(each[2]["authorization"].endswith(f"Signature={signature(*each)}") for each in sent)


@pytest.mark.parametrize(
    ("status", "content", "kind", "says"),
    [
        (403, {"message": "Forbidden"}, EnvironmentTrouble, "execute-api:Invoke"),
        (403, {"error": "not_an_approver", "message": "No."}, RefusedError, "not_an_approver: No."),
        (403, {"error": "own_request", "message": "Not yours."}, RefusedError, "Not yours."),
        (409, {"error": "lost_race", "message": "First.", "by": "Bob"}, RefusedError, "Bob"),
        (400, {"error": "bad_request", "message": "length: none."}, EnvironmentTrouble, "length"),
        (503, {"error": "busy", "message": "Try again."}, EnvironmentTrouble, "Try again."),
        (502, None, EnvironmentTrouble, "HTTP 502"),
    ],
)
def test_refusals_and_troubles_are_told_apart(status: int, content: Any, kind: type[Exception], says: str) -> None:
    """What the stack refuses is a refusal; what hinders the call is trouble of the environment."""
    transport = Recorder()
    transport.answer = Answer(status, content)
    with pytest.raises(kind, match=says):
        api(transport).show("a" * 32)


def test_an_address_without_tls_is_refused() -> None:
    """Nothing is signed for an address that is not https."""
    with pytest.raises(EnvironmentTrouble, match="not https"):
        RequestsApi("http://example.com/api/requests", Credentials("a", "b"), "us-east-1")
