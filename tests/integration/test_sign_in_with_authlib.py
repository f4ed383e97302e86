"""Signing in at a provider that others have written: Authlib's, over HTTP on this machine."""

from collections.abc import Iterator

import boto3
import pytest

from bedrock_remediator.aws.ledger.write import Ledger
from bedrock_remediator.core.grant import Grant, State
from tests.builders.approve import ORIGIN, ApproveStack
from tests.builders.authlib_provider import AuthlibProvider
from tests.builders.clocks import StoppedClock
from tests.builders.decisions import waiting
from tests.builders.grants import first_seen
from tests.builders.identity_provider import CLIENT_ID, running
from tests.builders.visitors import Browser

SECRET = "0123456789abcdef0123456789abcdef"


@pytest.fixture(params=[SECRET, None], ids=["with a secret", "a public client"])
def provider(request: pytest.FixtureRequest, clock: StoppedClock) -> Iterator[AuthlibProvider]:
    """The provider, for a client with a secret and for one without."""
    provider = AuthlibProvider(f"{ORIGIN}/signed-in", clock.now, secret=request.param)
    with running(provider):
        yield provider


@pytest.fixture
def browser(monkeypatch: pytest.MonkeyPatch, ledger: Ledger, clock: StoppedClock, provider: AuthlibProvider) -> Browser:
    """A browser before a stack that knows the provider."""
    settings = {"APPROVER_AUTH": "oidc", "OIDC_ISSUER": provider.issuer, "OIDC_CLIENT_ID": CLIENT_ID}
    if provider.secret:
        secret = boto3.client("secretsmanager").create_secret(Name="client", SecretString=provider.secret)
        settings["OIDC_CLIENT_SECRET_ARN"] = secret["ARN"]
    claim = {"OIDC_CLAIM": "groups", "OIDC_CLAIM_VALUE": "approvers"}
    return Browser(ApproveStack(monkeypatch, clock, ledger, **settings, **claim))


@pytest.fixture
def row(ledger: Ledger) -> Grant:
    """A request that waits."""
    row = waiting()
    ledger.open(row, first_seen(row))
    return row


def test_who_signs_in_there_decides(browser: Browser, row: Grant, provider: AuthlibProvider) -> None:
    """Discovery, code, PKCE, nonce, ID token and keys are as Authlib wants them, and its answers as we do."""
    path = browser.stack.link(row)
    page = browser.open(path)
    assert browser.post(path, {"csrf": page.csrf, "decision": "reject"}).status == 303
    after = browser.stack.row(row)
    assert (after.state, after.decided_by, provider.refused) == (State.REJECTED, "alice@example.com", [])


def test_a_code_is_worth_nothing_in_another_browser(browser: Browser, row: Grant, provider: AuthlibProvider) -> None:
    """Its verifier is another, so the provider itself refuses: a stolen code is no sign-in."""
    path = browser.stack.link(row)
    stolen = browser.begin(path)
    thief = Browser(browser.stack)
    own = thief.begin(path)
    code, state = (part.partition("&")[0] for part in (stolen.split("code=")[1], own.split("state=")[1]))
    page = thief.get(f"/signed-in?code={code}&state={state}")
    assert (page.status, page.title) == (403, "The identity provider did not sign you in")
    assert provider.refused == ["invalid_grant"]
    assert thief.get(path).status == 303


def test_a_code_is_good_once(browser: Browser, row: Grant, provider: AuthlibProvider) -> None:
    """Who brings it again is refused by the provider."""
    path = browser.stack.link(row)
    back = browser.begin(path)
    cookies = dict(browser.cookies)
    assert browser.get(back).status == 303
    browser.cookies = cookies
    assert browser.get(back).status == 403
    assert provider.refused == ["invalid_grant"]
