"""The stack's API under /api, called with Signature Version 4: the caller of AWS is the approver."""

import json
import os
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any, Final, Protocol
from urllib.parse import quote, urlencode, urlsplit

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from msgspec import Struct

from bedrock_remediator.core.grant import State
from bedrock_remediator_cli.trouble import EnvironmentTrouble, RefusedError

WHOLE_ID: Final = 32
_SECONDS: Final = 60
_LOCAL: Final = "127.0.0.1"
_ORDER: Final = (State.PENDING, State.ACTIVE, State.FAILED, State.APPROVED, State.APPLYING, State.REVOKING)

Content = dict[str, Any]


class Answer(Struct, frozen=True):
    """An HTTP answer: its status, and what its body holds as JSON (None where it is none)."""

    status: int
    content: Any


class Transport(Protocol):
    """Sends a request."""

    def __call__(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Send it, and wait for the answer."""
        ...


class RequestsApi:
    """The routes under /api.

    Args:
        url: The stack's output RequestsApiUrl.
        credentials: Who calls.
        region: The stack's region.
        transport: Sends requests.
    """

    def __init__(self, url: str, credentials: Credentials, region: str, transport: Transport | None = None) -> None:
        parts = urlsplit(url)
        if parts.scheme != "https" and parts.hostname != _LOCAL:
            raise EnvironmentTrouble(f"The stack's address {url} is not https.")
        self._url = url.rstrip("/")
        self._signer = SigV4Auth(credentials, "execute-api", region)
        self._transport = transport or send

    def list(self, state: State) -> list[Content]:
        """The requests in a state, of all pages, those first that came into it first."""
        found: list[Content] = []
        token: dict[str, str] = {}
        while True:
            page = self._call("GET", f"?{urlencode({**token, 'state': state.value})}")
            found += page["requests"]
            if not page.get("nextToken"):
                return found
            token = {"nextToken": page["nextToken"]}

    def show(self, identifier: str) -> Content:
        """One request: with history, policy, denials and what may be done."""
        return self._call("GET", f"/{quote(identifier, safe='')}")

    def decide(self, identifier: str, decision: Mapping[str, Any]) -> Content:
        """Decide on a request.

        Raises:
            RefusedError: The decision is not accepted, or somebody was first.
        """
        return self._call("POST", f"/{quote(identifier, safe='')}", decision)

    def whole_id(self, beginning: str) -> str:
        """The id that begins so, among the rows as they are now.

        Raises:
            RefusedError: None does, or several do.
        """
        if len(beginning) >= WHOLE_ID:
            return beginning
        found = {each["id"] for each in self._every() if each["id"].startswith(beginning)}
        if len(found) != 1:
            how = "No request has" if not found else f"{len(found)} requests have"
            raise RefusedError(f"{how} an id that begins with {beginning}. Give more of it.")
        return str(found.pop())

    def _every(self) -> Iterator[Content]:
        for state in (*_ORDER, *(state for state in State if state not in _ORDER)):
            yield from self.list(state)

    def _call(self, method: str, path: str, content: Mapping[str, Any] | None = None) -> Content:
        body = json.dumps(content).encode() if content is not None else b""
        headers = {"Content-Type": "application/json"} if body else {}
        request = AWSRequest(method=method, url=self._url + path, data=body, headers=headers)
        self._signer.add_auth(request)
        answer = self._transport(method, self._url + path, dict(request.headers.items()), body)
        if answer.status == HTTPStatus.OK and isinstance(answer.content, dict):
            return answer.content
        raise _refusal(answer)


def send(method: str, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
    """Send by HTTP, through the proxy and with the certificates that the environment names.

    Raises:
        EnvironmentTrouble: The address does not answer.
    """
    request = urllib.request.Request(url, data=body or None, headers=dict(headers), method=method)  # noqa: S310 - checked
    try:
        with urllib.request.build_opener(_handler(url)).open(request, timeout=_SECONDS) as answer:
            return Answer(answer.status, _read(answer.read()))
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, _read(error.read()))
    except (urllib.error.URLError, TimeoutError) as error:
        raise EnvironmentTrouble(f"The stack's API does not answer: {error}") from error


def _handler(url: str) -> urllib.request.BaseHandler:
    """What the address asks for: this machine no proxy, any other the certificates that are trusted."""
    if urlsplit(url).hostname == _LOCAL:
        return urllib.request.ProxyHandler({})
    context = ssl.create_default_context(cafile=os.environ.get("AWS_CA_BUNDLE") or None)
    return urllib.request.HTTPSHandler(context=context)


def _read(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None


def _refusal(answer: Answer) -> RefusedError | EnvironmentTrouble:
    """What an answer that is no success means, in a sentence."""
    content = answer.content if isinstance(answer.content, dict) else {}
    code, message = content.get("error"), str(content.get("message", f"HTTP {answer.status}"))
    if code is None and answer.status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return EnvironmentTrouble(
            f"API Gateway refused the call ({message}). It takes sessions of the roles of ApproverRoleArns that have "
            "execute-api:Invoke on the stack's output RequestsApiArn."
        )
    if code in {"already_decided", "lost_race"}:
        return RefusedError(f"{message} {content.get('by')} did, at {content.get('at')}: it is {content.get('state')}.")
    if code is None or answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR or code == "bad_request":
        return EnvironmentTrouble(f"The stack's API says: {message}")
    return RefusedError(f"{code}: {message}")
