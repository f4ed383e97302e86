"""The approve function behind API Gateway, for tests: its real handler, AWS as moto plays it, what a browser does."""

import html
import importlib.util
import re
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from urllib.parse import urlencode

import boto3
import pytest

from bedrock_remediator.aws.clients import Clients
from bedrock_remediator.aws.ledger.items import grant_item
from bedrock_remediator.aws.ledger.write import Ledger
from bedrock_remediator.clock import SystemClock
from bedrock_remediator.core.grant import Grant
from bedrock_remediator.flows.links.links import Links, Ticket
from bedrock_remediator.flows.links.wiring import keyring, links
from sandbox.http_api import ApiRoute, Ask, HttpApi, Reply
from sandbox.http_server import make_server
from tests.builders.clocks import StoppedClock

APP = Path(__file__).parents[2] / "functions" / "approve" / "app.py"
HOST = "a1b2c3d4e5.execute-api.us-east-1.amazonaws.com"
ORIGIN = f"https://{HOST}"
APPROVERS = "arn:aws:iam::123456789012:role/teams/approvers"
APPROVER = "arn:aws:sts::123456789012:assumed-role/approvers/alice@example.com"
STRANGER = "arn:aws:sts::123456789012:assumed-role/developers/bob"
CALLERS = {"ASIAAPPROVER": APPROVER, "ASIASTRANGER": STRANGER}
ROUTES = {
    "GET /request/{token}": False,
    "POST /request/{token}": False,
    "GET /signed-in": False,
    "GET /api/requests": True,
    "GET /api/requests/{id}": True,
    "POST /api/requests/{id}": True,
    "POST /slack/interactions": False,
}
"""Route key -> whether only signed calls come through."""

_NO_SCRIPT = re.compile(r"<script|javascript:|\son[a-z]+\s*=", re.IGNORECASE)
_CONTEXT = SimpleNamespace(
    function_name="approve",
    memory_limit_in_mb=1024,
    invoked_function_arn="arn:aws:lambda:us-east-1:123456789012:function:approve",
    aws_request_id="request",
)
_SETTINGS = {
    "LEDGER_TABLE": "ledger",
    "MODE": "approve",
    "PAUSED": "false",
    "POLICY_STRATEGY": "managed",
    "EXTRA_ACTIONS": "bedrock:UseInferenceProfile,bedrock:GetFoundationModel",
    "MAX_GRANT_DAYS": "0",
    "APPROVAL_LAPSE_HOURS": "72",
    "APPROVER_AUTH": "link",
    "APPROVER_ROLE_ARNS": APPROVERS,
    "OIDC_ISSUER": "",
    "OIDC_CLIENT_ID": "",
    "OIDC_CLIENT_SECRET_ARN": "",
    "OIDC_CLAIM": "",
    "OIDC_CLAIM_VALUE": "",
    "SLACK_SIGNING_SECRET_ARN": "",
    "SLACK_TOKEN_SECRET_ARN": "",
    "SLACK_TEAM_ID": "",
    "SLACK_APP_ID": "",
    "SLACK_APPROVERS": "",
    "SLACK_API_URL": "",
    "SLACK_QUEUE_URL": "",
    "POWERTOOLS_SERVICE_NAME": "approve",
    "POWERTOOLS_METRICS_NAMESPACE": "BedrockAccessRemediator",
}


class Page:
    """An answer, as a person and a browser see it."""

    def __init__(self, reply: Reply) -> None:
        self.status = reply.status
        self.headers = {name.lower(): value for name, value in reply.headers if name.lower() != "set-cookie"}
        self.cookies = dict(
            value.partition(";")[0].split("=", 1) for name, value in reply.headers if name.lower() == "set-cookie"
        )
        self.set_cookies = [value for name, value in reply.headers if name.lower() == "set-cookie"]
        self.source = reply.body.decode()

    @property
    def text(self) -> str:
        """What can be read on it, on one line."""
        body = re.sub(r"(?s)<style>.*?</style>|<[^>]*>", " ", self.source)
        return " ".join(html.unescape(body).split())

    @property
    def title(self) -> str:
        """Its heading, on one line."""
        heading = re.search(r"(?s)<h1>(.*?)</h1>", self.source)
        return " ".join(html.unescape(re.sub("<[^>]*>", "", heading[1])).split()) if heading else ""

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

    @property
    def has_script(self) -> bool:
        """Whether anything in it could run."""
        return bool(_NO_SCRIPT.search(self.source))


class Function:
    """The handler, as API Gateway calls it; the events that it got are in `events`."""

    arn = _CONTEXT.invoked_function_arn

    def __init__(self, app: ModuleType) -> None:
        self._app = app
        self.events: list[Mapping[str, Any]] = []

    def invoke(self, event: Mapping[str, Any]) -> Any:
        """Call it."""
        self.events.append(event)
        return self._app.handler(event, _CONTEXT)


class ApproveStack:
    """The function with its keys, its ledger and its routes.

    Args:
        monkeypatch: Sets its environment and its clock.
        clock: The time that it goes by.
        ledger: The ledger that it works on; the table is there.
        settings: Variables of the environment that are not as they are here.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, clock: StoppedClock, ledger: Ledger, **settings: str) -> None:
        self.clock = clock
        self.ledger = ledger
        self.client = boto3.client("dynamodb")
        secret = boto3.client("secretsmanager").create_secret(Name="keys", SecretString='{"key": "an-old-signing-key"}')
        key = boto3.client("kms").create_key(KeySpec="HMAC_256", KeyUsage="GENERATE_VERIFY_MAC")
        made = {"APPROVAL_KEYS_SECRET_ARN": secret["ARN"], "APPROVAL_KEY_ID": key["KeyMetadata"]["Arn"]}
        for name, value in {**_SETTINGS, **made, **settings}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(SystemClock, "now", lambda _clock: clock.now())
        self.secret_arn = secret["ARN"]
        self.app = _load()
        self.function = Function(self.app)
        routes = [ApiRoute(key=key, function=self.function, iam=iam) for key, iam in ROUTES.items()]
        self.api = HttpApi(routes, now=clock.now, callers=CALLERS)
        self.links: Links = links(
            self.app.settings.links,
            keyring(self.app.settings.links, Clients("123456789012"), clock),
            clock,
            ORIGIN,
        )

    @contextmanager
    def serving(self) -> Iterator[str]:
        """Keep the API up on a port of this machine; gives its address."""
        with make_server(self.api) as server:
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
            thread.start()
            try:
                yield f"http://127.0.0.1:{server.server_address[1]}"
            finally:
                server.shutdown()
                thread.join()

    def put(self, row: Grant) -> Grant:
        """Put a row into the ledger as it is, without asking how it got there."""
        self.client.put_item(TableName="ledger", Item=grant_item(row))
        return row

    def row(self, row: Grant) -> Grant:
        """The row as it is now."""
        found = self.ledger.grant(*row.key)
        assert found
        return found

    def link(self, row: Grant, version: int | None = None) -> str:
        """The path of the link for a version of a row, this one if not said."""
        return f"/request/{self.links.token(Ticket(row.pk, row.sk, version or row.version))}"

    def get(self, path: str, cookies: Mapping[str, str] | None = None) -> Page:
        """Ask for a page."""
        return self.send("GET", path, {}, cookies or {})

    def post(
        self,
        path: str,
        form: Mapping[str, str],
        cookies: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Page:
        """Send a form as the page's own browser does; `headers` go over what it says, empty ones are left out."""
        said = {
            "origin": "null",
            "sec-fetch-site": "same-origin",
            "content-type": "application/x-www-form-urlencoded",
            **(headers or {}),
        }
        return self.send("POST", path, said, cookies or {}, urlencode(form).encode())

    def decide(self, path: str, decision: str = "approve", **fields: str) -> Page:
        """Open the page, fill in the form and press a button."""
        form = {"csrf": self.get(path).csrf, "name": "Alice", "length": "30d", "decision": decision, **fields}
        return self.post(path, form)

    def call(self, method: str, path: str, *, key: str = "ASIAAPPROVER", body: bytes = b"") -> Reply:
        """Call the API with a signature of an access key."""
        signed = f"AWS4-HMAC-SHA256 Credential={key}/20261120/us-east-1/execute-api/aws4_request, Signature=0"
        headers = [("Host", HOST), ("Authorization", signed), ("Content-Type", "application/json")]
        return self.api.answer(Ask(method=method, target=path, headers=headers, body=body))

    def send(
        self, method: str, path: str, headers: Mapping[str, str], cookies: Mapping[str, str], body: bytes = b""
    ) -> Page:
        """Send anything."""
        pairs = [("Host", HOST), *(pair for pair in headers.items() if pair[1])]
        if cookies:
            pairs.append(("Cookie", "; ".join(f"{name}={value}" for name, value in cookies.items())))
        return Page(self.api.answer(Ask(method=method, target=path, headers=pairs, body=body)))


def _load() -> ModuleType:
    """The function's module, loaded as Lambda loads it: anew each time, so that it reads its environment."""
    name = "approve_app"
    spec = importlib.util.spec_from_file_location(name, APP)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
