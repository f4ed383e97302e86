"""Signing in, through approve's real handler and a provider on this machine that is as strict as a real one."""

import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import boto3
import pytest

from bedrock_remediator.aws.ledger.write import Ledger
from bedrock_remediator.core.grant import Grant, State, Via
from bedrock_remediator.flows.links.links import Ticket
from bedrock_remediator.flows.web.sign_in import SESSION_COOKIE, SIGN_IN_COOKIE, Membership
from tests.builders.approve import ORIGIN, ApproveStack
from tests.builders.clocks import StoppedClock
from tests.builders.decisions import stepped, waiting
from tests.builders.grants import NOON, first_seen
from tests.builders.identity_provider import (
    CLIENT_ID,
    CLIENT_SECRET,
    PERSON,
    Provider,
    running,
    signed_by_another,
    signed_with_secret,
    unsigned,
)
from tests.builders.notices import SIGHTING
from tests.builders.visitors import Browser

REDIRECT_URI = f"{ORIGIN}/signed-in"


@pytest.fixture
def provider(clock: StoppedClock) -> Iterator[Provider]:
    """The provider, up."""
    with running(Provider(REDIRECT_URI, clock.now)) as provider:
        yield provider


@pytest.fixture
def settings(aws: None, provider: Provider) -> dict[str, str]:
    """The environment that knows it, with a group that is required."""
    secret = boto3.client("secretsmanager").create_secret(Name="client", SecretString=CLIENT_SECRET + "\n")
    return {
        "APPROVER_AUTH": "oidc",
        "OIDC_ISSUER": provider.issuer,
        "OIDC_CLIENT_ID": CLIENT_ID,
        "OIDC_CLIENT_SECRET_ARN": secret["ARN"],
        "OIDC_CLAIM": "groups",
        "OIDC_CLAIM_VALUE": "approvers",
    }


@pytest.fixture
def stack(
    monkeypatch: pytest.MonkeyPatch, ledger: Ledger, clock: StoppedClock, settings: dict[str, str]
) -> ApproveStack:
    """The function behind that provider."""
    return ApproveStack(monkeypatch, clock, ledger, **settings)


@pytest.fixture
def row(ledger: Ledger) -> Grant:
    """A request that waits."""
    row = waiting(sighting=SIGHTING)
    ledger.open(row, first_seen(row))
    return row


@pytest.fixture
def browser(stack: ApproveStack) -> Browser:
    """A browser without any cookies."""
    return Browser(stack)


@pytest.fixture
def again(
    monkeypatch: pytest.MonkeyPatch, ledger: Ledger, clock: StoppedClock, settings: dict[str, str]
) -> Callable[..., Browser]:
    """Makes a browser before the function under other settings."""
    return lambda **changes: Browser(ApproveStack(monkeypatch, clock, ledger, **settings | changes))


class TestRound:
    """From the link to the decision."""

    def test_who_signs_in_decides_under_their_own_name(self, browser: Browser, row: Grant) -> None:
        """No name is asked for; the provider's goes into the row, as verified."""
        path = browser.stack.link(row)
        page = browser.open(path)
        assert "Signed in as alice@example.com" in page.text
        assert 'name="name"' not in page.source
        answer = browser.post(path, {"csrf": page.csrf, "decision": "approve", "length": "1h", "name": "Mallory"})
        assert answer.status == 303
        after = browser.stack.row(row)
        assert (after.state, after.decided_by, after.decided_via) == (State.APPROVED, "alice@example.com", Via.OIDC)

    def test_with_an_expired_link_who_is_signed_in_gets_a_fresh_one(self, browser: Browser, row: Grant) -> None:
        """It is the person who may decide, and the link only says about what: the fresh one takes a grant back."""
        path = browser.stack.link(row)
        browser.stack.clock.time += timedelta(days=9)
        back = browser.sign_in(path)
        assert (back.status, back.headers.get("location")) == (303, path)
        page = browser.get(path)
        assert (page.status, page.title, page.buttons) == (410, "This link has expired", set())
        (fresh,) = re.findall(r'href="(/request/[^"]+)"', page.source)
        assert browser.get(fresh).buttons == {"approve", "reject", "sign_out"}
        for form in ({"decision": "new_link"}, {"decision": "approve", "length": "none"}):
            assert browser.post(path, form).status == 410
        assert browser.stack.row(row) == row

    def test_with_an_expired_link_nobody_else_gets_one(self, browser: Browser, row: Grant) -> None:
        """They are sent to sign in first; a form without a session is refused."""
        path = browser.stack.link(row)
        browser.stack.clock.time += timedelta(days=9)
        assert browser.get(path).status == 303
        assert browser.post(path, {"decision": "new_link"}).status == 403
        assert browser.stack.row(row) == row

    def test_who_is_signed_in_gives_another_end_by_an_old_link(self, browser: Browser) -> None:
        """The person may decide, whichever link of the request brought them: the approval is under their own name."""
        row = browser.stack.put(stepped(waiting(), State.APPROVED, State.APPLYING, State.ACTIVE))
        path = browser.stack.link(row, version=1)
        page = browser.open(path)
        assert page.buttons == {"revoke", "extend", "sign_out"}
        assert browser.post(path, {"csrf": page.csrf, "decision": "extend", "length": "1d"}).status == 303
        after = browser.stack.row(row)
        assert (after.state, after.decided_by) == (State.APPROVED, "alice@example.com")

    def test_the_provider_is_asked_as_it_should_be(self, browser: Browser, row: Grant) -> None:
        """Code flow, PKCE with S256, state and nonce that are new each time; the secret is nowhere in the address."""
        path = browser.stack.link(row)
        asked = [parse_qs(urlsplit(browser.get(path).headers["location"]).query) for _ in range(2)]
        assert asked[0]["response_type"] == ["code"]
        assert asked[0]["code_challenge_method"] == ["S256"]
        assert asked[0]["redirect_uri"] == [REDIRECT_URI]
        assert asked[0]["scope"] == ["openid email profile"]
        for name in ("state", "nonce", "code_challenge"):
            assert len(asked[0][name][0]) >= 32
            assert asked[0][name] != asked[1][name]

    def test_cookies_are_kept_from_scripts_and_other_sites(self, browser: Browser, row: Grant) -> None:
        """Both are of this host alone, HttpOnly, Secure and SameSite=Lax; that of the sign-in goes when it is over."""
        path = browser.stack.link(row)
        began = browser.get(path)
        ended = browser.get(browser.at_provider(began.headers["location"]))
        cookies = [*began.set_cookies, *ended.set_cookies]
        assert [cookie.partition("=")[0] for cookie in cookies] == [SIGN_IN_COOKIE, SESSION_COOKIE, SIGN_IN_COOKIE]
        for cookie in cookies:
            assert cookie.startswith("__Host-")
            assert cookie.partition("; ")[2].startswith("Path=/; Max-Age=")
            assert cookie.endswith("; Secure; HttpOnly; SameSite=Lax")
        assert f"{SIGN_IN_COOKIE}=; Path=/; Max-Age=0;" in cookies[2]

    def test_what_the_provider_says_of_itself_is_asked_once(
        self, browser: Browser, provider: Provider, row: Grant
    ) -> None:
        """Discovery and keys are kept for an hour."""
        for _ in range(2):
            browser.cookies.clear()
            browser.open(browser.stack.link(row))
        assert provider.asked.count("/.well-known/openid-configuration") == 1
        assert provider.asked.count("/keys") == 1
        assert provider.asked.count("/token") == 2

    def test_a_link_for_reading_decides_for_who_is_signed_in(self, browser: Browser, row: Grant) -> None:
        """The sign-in is what counts, not the link."""
        path = f"/request/{browser.stack.links.token(Ticket(row.pk, row.sk, 1, look_only=True))}"
        page = browser.open(path)
        assert page.buttons == {"approve", "reject", "sign_out"}
        assert browser.post(path, {"csrf": page.csrf, "decision": "reject"}).status == 303

    def test_who_signs_out_is_forgotten(self, browser: Browser, row: Grant) -> None:
        """By a form of the page, which only the page can send; what was open then decides nothing more."""
        path = browser.stack.link(row)
        page = browser.open(path)
        forged = browser.post(path, {"csrf": "x", "decision": "sign_out"})
        assert forged.status == 403
        assert browser.get(path).status == 200
        gone = browser.post(path, {"csrf": page.csrf, "decision": "sign_out"})
        assert (gone.status, gone.title) == (200, "You are signed out")
        assert browser.post(path, {"csrf": page.csrf, "decision": "reject"}).status == 403
        assert browser.stack.row(row).state is State.PENDING
        assert browser.get(path).status == 303

    def test_a_bad_link_sends_nobody_to_the_provider(self, browser: Browser) -> None:
        """It does not work, signed in or not."""
        assert browser.get("/request/nonsense").status == 404

    def test_a_client_without_secret_signs_in_by_pkce_alone(
        self, again: Callable[..., Browser], provider: Provider, row: Grant
    ) -> None:
        """A public client gives its id, and the verifier."""
        provider.secret = None
        browser = again(OIDC_CLIENT_SECRET_ARN="")
        assert "Signed in as" in browser.open(browser.stack.link(row)).text

    def test_a_provider_that_takes_the_secret_in_the_form_gets_it_there(
        self, browser: Browser, provider: Provider, row: Grant
    ) -> None:
        """Where it does not take Basic authentication."""
        provider.discovery = {"token_endpoint_auth_methods_supported": ["client_secret_post"]}
        assert "Signed in as" in browser.open(browser.stack.link(row)).text


class TestWho:
    """What is recorded of a person."""

    @pytest.mark.parametrize(
        ("changes", "name"),
        [
            ({"email_verified": False}, "alice@example.com (subject 00u1a2b3)"),
            ({"email_verified": None}, "alice@example.com (subject 00u1a2b3)"),
            ({"email": None, "preferred_username": "alice"}, "alice (subject 00u1a2b3)"),
            ({"email": None}, "subject 00u1a2b3"),
            ({"email": ["a"], "preferred_username": ""}, "subject 00u1a2b3"),
        ],
    )
    def test_a_name_that_is_not_verified_has_the_subject_beside_it(
        self, browser: Browser, provider: Provider, row: Grant, changes: dict[str, Any], name: str
    ) -> None:
        """People may give themselves another address; nobody else gets their subject."""
        provider.changes = changes
        path = browser.stack.link(row)
        page = browser.open(path)
        browser.post(path, {"csrf": page.csrf, "decision": "reject"})
        assert browser.stack.row(row).decided_by == name

    def test_nobody_approves_the_denial_of_a_session_of_their_own(
        self, browser: Browser, provider: Provider, row: Grant
    ) -> None:
        """The session is named after the person who signed in, as Identity Center names sessions."""
        provider.changes = {"email": "WEB-1"}
        path = browser.stack.link(row)
        page = browser.open(path)
        refused = browser.post(path, {"csrf": page.csrf, "decision": "approve", "length": "1h"})
        assert refused.status == 403
        assert "Nobody may approve access for themselves." in refused.text

    @pytest.mark.parametrize(
        ("said", "lets_in"),
        [
            (["x", "approvers"], True),
            ("approvers", True),
            (["approvers2"], False),
            ("my-approvers", False),
            (None, False),
            ({"approvers": True}, False),
        ],
    )
    def test_the_required_claim_lets_in_its_members_only(
        self, browser: Browser, provider: Provider, row: Grant, said: Any, *, lets_in: bool
    ) -> None:
        """The value, or a list that holds it; others are signed in, and may not decide."""
        provider.changes = {"groups": said}
        end = browser.sign_in(browser.stack.link(row))
        assert (SESSION_COOKIE in browser.cookies) is lets_in
        if not lets_in:
            assert (end.status, end.title) == (403, "You may not decide on requests")

    @pytest.mark.parametrize(
        ("value", "said", "holds"), [("true", True, True), ("false", False, True), ("true", False, False)]
    )
    def test_a_claim_may_be_a_truth(self, value: str, *, said: bool, holds: bool) -> None:
        """Some providers say `"bedrock_approver": true`."""
        assert Membership("bedrock_approver", value).holds({"bedrock_approver": said}) is holds


class TestSession:
    """A session is for one person, for an hour."""

    def test_without_a_session_a_form_is_refused(self, browser: Browser, row: Grant) -> None:
        """It says so and leads back to the request; nobody is sent elsewhere with a form in hand."""
        path = browser.stack.link(row)
        csrf = browser.open(path).csrf
        browser.cookies.clear()
        page = browser.post(path, {"csrf": csrf, "decision": "reject"})
        assert (page.status, page.title) == (403, "You are not signed in any more")
        assert browser.stack.row(row).state is State.PENDING

    def test_a_session_ends_after_an_hour(self, browser: Browser, row: Grant, clock: StoppedClock) -> None:
        """After that the page sends to the provider again."""
        path = browser.stack.link(row)
        browser.open(path)
        clock.time += timedelta(minutes=59)
        assert browser.get(path).status == 200
        clock.time += timedelta(minutes=2)
        assert browser.get(path).status == 303

    def test_a_changed_or_foreign_cookie_is_no_session(self, browser: Browser, row: Grant) -> None:
        """Nor is one that was sealed for something else."""
        path = browser.stack.link(row)
        csrf = browser.open(path).csrf
        session = browser.cookies[SESSION_COOKIE]
        for value in (session[:-3] + "AAA", csrf, "", "x" * 5000, path.rpartition("/")[2]):
            browser.cookies = {SESSION_COOKIE: value}
            assert browser.get(path).status == 303

    def test_a_form_of_one_person_is_none_of_anothers(self, browser: Browser, row: Grant) -> None:
        """Somebody else's seal, sent from one's own session, is refused."""
        path = browser.stack.link(row)
        csrf = browser.open(path).csrf
        other = Browser(browser.stack)
        other.open(path)
        page = other.post(path, {"csrf": csrf, "decision": "reject"})
        assert (page.status, page.title) == (403, "This did not come from the page of the request")
        assert "Signed in as alice@example.com" in page.text


class TestRefusals:
    """What does not hold lets nobody in."""

    @pytest.mark.parametrize(
        "changes",
        [
            {"iss": "https://evil.example"},
            {"iss": None},
            {"aud": "another-client"},
            {"aud": [CLIENT_ID, "another"]},
            {"azp": "another-client"},
            {"aud": None},
            {"nonce": "another"},
            {"nonce": None},
            {"sub": None},
            {"sub": ""},
            {"iat": None},
            {"iat": int(NOON.timestamp()) + 3600},
            {"exp": int(NOON.timestamp()) - 61},
            {"exp": None},
        ],
    )
    def test_a_token_with_a_wrong_claim_is_refused(
        self, browser: Browser, provider: Provider, row: Grant, changes: dict[str, Any]
    ) -> None:
        """Another issuer, audience, nonce, party or time, or none."""
        provider.changes = changes
        page = browser.sign_in(browser.stack.link(row))
        assert (page.status, page.title) == (403, "The identity provider did not sign you in")
        assert SESSION_COOKIE not in browser.cookies

    @pytest.mark.parametrize("forge", [unsigned, signed_with_secret, signed_by_another, lambda _: "a.b.c"])
    def test_a_token_with_a_wrong_signature_is_refused(
        self, browser: Browser, provider: Provider, row: Grant, forge: Any
    ) -> None:
        """None, one made with the client's secret, one of another key, and no token at all."""
        provider.forge = forge
        assert browser.sign_in(browser.stack.link(row)).status == 403
        assert SESSION_COOKIE not in browser.cookies

    def test_a_token_for_several_clients_that_names_us_is_good(
        self, browser: Browser, provider: Provider, row: Grant
    ) -> None:
        """It was issued to us, and others may read it too."""
        provider.changes = {"aud": [CLIENT_ID, "another"], "azp": CLIENT_ID}
        browser.open(browser.stack.link(row))

    def test_a_new_key_is_looked_for_once_a_minute(
        self, browser: Browser, provider: Provider, row: Grant, clock: StoppedClock
    ) -> None:
        """The provider has changed its key; a made-up one costs no more than a call a minute."""
        path = browser.stack.link(row)
        browser.open(path)
        provider.published, provider.key = ["first", "second"], "second"
        assert Browser(browser.stack).sign_in(path).status == 403
        clock.time += timedelta(minutes=1)
        Browser(browser.stack).open(path)
        assert provider.asked.count("/keys") == 2

    def test_a_sign_in_that_was_not_begun_here_is_refused(self, browser: Browser, row: Grant) -> None:
        """Without its cookie, with another's, with another state, or a second time."""
        path = browser.stack.link(row)
        back = browser.begin(path)
        lost = (400, "This sign-in was not begun here")
        stranger = Browser(browser.stack).get(back)
        assert (stranger.status, stranger.title) == lost
        other = Browser(browser.stack)
        other.begin(path)
        page = other.get(back)
        assert (page.status, page.title) == lost
        assert f'href="{path}"' in page.source
        browser.get(back)
        browser.cookies.pop(SIGN_IN_COOKIE)
        assert browser.get(back).status == 400

    def test_a_code_is_good_once(self, browser: Browser, row: Grant) -> None:
        """Somebody who gets hold of the address and the cookie comes too late."""
        back = browser.begin(browser.stack.link(row))
        thief = Browser(browser.stack)
        thief.cookies = dict(browser.cookies)
        assert browser.get(back).status == 303
        assert thief.get(back).status == 403

    def test_a_sign_in_that_takes_too_long_starts_again(
        self, browser: Browser, row: Grant, clock: StoppedClock
    ) -> None:
        """Ten minutes."""
        back = browser.begin(browser.stack.link(row))
        clock.time += timedelta(minutes=10, seconds=1)
        assert browser.get(back).status == 400

    @pytest.mark.parametrize("change", ["error=access_denied", "iss=https://evil.example&code=c", ""])
    def test_a_refusal_of_the_provider_is_told(self, browser: Browser, row: Grant, change: str) -> None:
        """It says no, another provider answers, or nothing is said at all; none of it is repeated on the page."""
        back = browser.begin(browser.stack.link(row))
        state = parse_qs(urlsplit(back).query)["state"][0]
        page = browser.get(f"/signed-in?state={state}&{change}")
        assert (page.status, page.title) == (403, "The identity provider did not sign you in")
        assert "evil" not in page.source
        assert "access_denied" not in page.source

    @pytest.mark.parametrize(
        "discovery",
        [
            {"issuer": "http://127.0.0.1:1"},
            {"token_endpoint": "http://elsewhere.example/token"},
            {"authorization_endpoint": "javascript:alert(1)"},
            {"jwks_uri": None},
            {"token_endpoint_auth_methods_supported": 5},
        ],
    )
    def test_a_provider_that_says_odd_things_of_itself_is_not_used(
        self, browser: Browser, provider: Provider, row: Grant, discovery: dict[str, Any]
    ) -> None:
        """Another issuer, an endpoint without TLS, no address at all: nobody is sent there."""
        provider.discovery = discovery
        page = browser.get(browser.stack.link(row))
        assert page.status == 403
        assert "location" not in page.headers

    @pytest.mark.parametrize(
        ("path", "content"),
        [
            ("/token", b'{"access_token": "a"}'),
            ("/token", b"not json"),
            ("/token", b"[]"),
            ("/token", b'{"id_token": "' + b"a" * 600_000 + b'"}'),
            ("/keys", b"{}"),
            ("/keys", b'{"keys": [{"kty": "RSA"}]}'),
            ("/keys", b'{"keys": 5}'),
        ],
    )
    def test_an_answer_that_is_none_is_refused(
        self, browser: Browser, provider: Provider, row: Grant, path: str, content: bytes
    ) -> None:
        """No ID token, no JSON, no object, no end, no keys."""
        provider.answers = {path: content}
        assert browser.sign_in(browser.stack.link(row)).status == 403

    def test_a_provider_without_a_discovery_document_is_not_used(
        self, browser: Browser, provider: Provider, row: Grant
    ) -> None:
        """It lacks what it must have."""
        provider.answers = {"/.well-known/openid-configuration": b'{"issuer": "x"}'}
        assert browser.get(browser.stack.link(row)).status == 403

    def test_a_provider_in_trouble_asks_to_try_again(self, browser: Browser, provider: Provider, row: Grant) -> None:
        """Its error is passing trouble."""
        provider.status = 503
        page = browser.sign_in(browser.stack.link(row))
        assert (page.status, page.title) == (503, "Please try again in a moment")

    def test_a_provider_that_is_gone_asks_to_try_again(self, again: Callable[..., Browser], row: Grant) -> None:
        """Nobody listens there."""
        browser = again(OIDC_ISSUER="http://127.0.0.1:1")
        assert browser.get(browser.stack.link(row)).status == 503

    def test_the_person_is_the_one_of_the_builder(self) -> None:
        """The tests above rest on an address that is verified, and on the group."""
        assert PERSON["email_verified"] is True
        assert PERSON["groups"] == ["approvers"]
