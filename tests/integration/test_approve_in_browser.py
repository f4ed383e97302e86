"""The pages in a real browser: they work without script and on a phone, are accessible, and let nothing run."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from msgspec.structs import replace

from bedrock_remediator.aws.ledger.write import Ledger
from bedrock_remediator.core.grant import DiagnosisKind, Event, Grant, State
from bedrock_remediator.flows.links.links import Ticket
from tests.builders.approve import ApproveStack
from tests.builders.browser import DESK, PATIENCE, PHONE, launched, needs_browser
from tests.builders.clocks import StoppedClock
from tests.builders.decisions import stepped, waiting
from tests.builders.grants import NOON, PROFILE, first_seen
from tests.builders.identity_provider import CLIENT_ID, CLIENT_SECRET, Provider, running
from tests.builders.notices import SIGHTING, granted

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, ViewportSize

OTHER = PROFILE.replace("nova-2-lite", "nova-pro")
HOSTILE = "<img src=x onerror=alert(1)>\u202e<!channel>\n${aws:username} * " + "W" * 10_000

pytestmark = needs_browser


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    """A browser, for all tests of this file."""
    with launched() as browser:
        yield browser


@pytest.fixture
def stack(monkeypatch: pytest.MonkeyPatch, ledger: Ledger, clock: StoppedClock) -> ApproveStack:
    """The function, two hours after noon."""
    clock.time = NOON + timedelta(hours=2)
    return ApproveStack(monkeypatch, clock, ledger)


@pytest.fixture
def address(stack: ApproveStack) -> Iterator[str]:
    """Where it answers."""
    with stack.serving() as address:
        yield address


Visit = Callable[..., "Page"]


@pytest.fixture
def visit(browser: "Browser", address: str) -> Iterator[Visit]:
    """Opens a path in a window of its own, and in the end makes sure that nothing was loaded from elsewhere or ran."""
    contexts, complaints = [], []

    def visit(path: str, viewport: "ViewportSize" = DESK, **options: Any) -> "Page":
        context = browser.new_context(viewport=viewport, **{"java_script_enabled": False} | options)
        context.set_default_timeout(PATIENCE)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("dialog", lambda dialog: complaints.append(dialog.message))
        page.on("request", lambda request: complaints.append(request.url) if address not in request.url else None)
        page.goto(address + path)
        return page

    yield visit
    for context in contexts:
        context.close()
    # A page that is not a 200 is told of on the console; nothing else may be.
    assert [said for said in complaints if not said.startswith("Failed to load resource")] == []


def opened(stack: ApproveStack, **changes: Any) -> Grant:
    """A request that waits, as triage opens it, denied once."""
    why = (
        "A call of us.amazon.nova-2-lite-v1:0 needs 4 ARNs in the policy, and 4 of them are missing. The mode is "
        "approve, so a person decides about every grant."
    )
    row = waiting(**{"sighting": SIGHTING, "reason": why, "reason_code": "mode_approve"} | changes)
    stack.ledger.open(row, first_seen(row, fingerprint=row.sk, count=37, first_at=NOON - timedelta(days=1)))
    return row


def hostile(stack: ApproveStack) -> Grant:
    """A request whose caller has written what it could everywhere it can write."""
    sighting = replace(SIGHTING, session=HOSTILE, user_agent=HOSTILE, message=HOSTILE, source_ip=HOSTILE)
    return opened(stack, sighting=sighting, reason=HOSTILE, evidence=HOSTILE, denying_policy=HOSTILE)


def active(**changes: Any) -> Grant:
    """A grant that a person made, and that stands."""
    opening = waiting().history[0]
    steps = (
        Event(at=NOON + timedelta(minutes=50), state=State.APPROVED, by="Alice Ngo (unverified)", reason="Approved."),
        Event(at=NOON + timedelta(minutes=50), state=State.APPLYING, by="remediate", reason="A person approved it."),
        Event(at=NOON + timedelta(minutes=51), state=State.ACTIVE, by="remediate", reason="The simulator allows it."),
    )
    return replace(granted(version=4, **changes), history=(opening, *steps))


def rejected(**changes: Any) -> Grant:
    """A request that a person rejected."""
    return stepped(waiting(**changes), State.REJECTED, by="Bob (unverified)")


def conditional(stack: ApproveStack) -> Grant:
    """A request whose grant would lift a condition."""
    evidence = '{"Effect":"Allow","Condition":{"StringEquals":{"bedrock:GuardrailIdentifier":"g-1"}}}'
    return opened(stack, diagnosis=DiagnosisKind.CONDITIONAL_ALLOW, evidence=evidence)


def wrong_prefix(stack: ApproveStack) -> Grant:
    """A request for another scope of what is granted."""
    return opened(stack, diagnosis=DiagnosisKind.WRONG_IDENTIFIER, candidates=("global.amazon.nova-2-lite-v1:0",))


def two_active(stack: ApproveStack) -> Grant:
    """Two grants that stand."""
    stack.put(active(sk=f"profile#{OTHER}", profile=OTHER, resources=(OTHER,)))
    return stack.put(active())


def expired(stack: ApproveStack) -> str:
    """A link to a grant that stands, from long ago."""
    path = stack.link(stack.put(active()), 1)
    stack.clock.time += timedelta(days=9)
    return path


PAGES: dict[str, Callable[[ApproveStack], str]] = {
    "request": lambda stack: stack.link(opened(stack)),
    "conditional": lambda stack: stack.link(conditional(stack)),
    "wrong prefix": lambda stack: stack.link(wrong_prefix(stack)),
    "hostile": lambda stack: stack.link(hostile(stack)),
    "active": lambda stack: stack.link(two_active(stack), 1),
    "approved": lambda stack: stack.link(stack.put(stepped(waiting(), State.APPROVED, by="Al (unverified)")), 1),
    "failed": lambda stack: stack.link(stack.put(stepped(waiting(), State.APPROVED, State.FAILED)), 1),
    "rejected": lambda stack: stack.link(stack.put(rejected()), 1),
    "lapsed": lambda stack: stack.link(stack.put(stepped(waiting(), State.LAPSED)), 1),
    "superseded": lambda stack: stack.link(stack.put(stepped(waiting(), State.APPROVED, State.PENDING)), 1),
    "expired": expired,
    "no link": lambda _: "/request/nonsense",
}


def after(press: str, path: Callable[[ApproveStack], str], name: str = "Alice") -> Callable[..., "Page"]:
    """The page that answers a button, which is pressed while somebody else decides."""

    def answer(stack: ApproveStack, visit: Visit) -> "Page":
        link = path(stack)
        page = visit(link, java_script_enabled=True)
        for details in page.locator("details").all():
            details.evaluate("each => { each.open = true }")
        if press == "Reject":
            stack.decide(link)
        for field in page.get_by_label("Your name").all():
            field.fill(name)
        page.get_by_role("button", name=press).click()
        page.get_by_role("button", name=press).wait_for(state="visible" if name == " " else "detached")
        return page

    return answer


def unusual(stack: ApproveStack) -> str:
    """A request of a principal that tries several models."""
    for name in ("nova-pro", "nova-micro"):
        profile = PROFILE.replace("nova-2-lite", name)
        stack.put(waiting(sk=f"profile#{profile}", profile=profile))
    return stack.link(opened(stack))


PAGES |= {
    "unusual": unusual,
    "only shows": lambda stack: f"/request/{stack.links.token(Ticket(*opened(stack).key, 1, look_only=True))}",
}
ANSWERS: dict[str, Callable[..., "Page"]] = {
    "no name": after("Approve", lambda stack: stack.link(opened(stack)), " "),
    "decided before": after("Reject", lambda stack: stack.link(opened(stack))),
    "taken back": after("Take all 2 back", lambda stack: stack.link(two_active(stack), 1)),
    "link asked": after("Send the approvers a new link", expired),
}


class TestDeciding:
    """A person, a link, a click."""

    def test_a_request_is_approved_without_script(self, stack: ApproveStack, visit: Visit) -> None:
        """Choose a length, type a name and a reason, press the button: the page comes back and tells."""
        row = opened(stack)
        page = visit(stack.link(row))
        page.get_by_label("1 day").check()
        page.get_by_label("Reason").fill("For the pilot.")
        page.get_by_label("Your name").fill("Alice Ngo")
        page.get_by_role("button", name="Approve").click()
        page.get_by_text("Approved by Alice Ngo (unverified)").wait_for()
        assert page.url.endswith(stack.link(row))
        after = stack.row(row)
        assert (after.state, after.expires_at) == (State.APPROVED, stack.clock.now() + timedelta(days=1))

    def test_a_request_is_rejected_on_a_phone(self, stack: ApproveStack, visit: Visit) -> None:
        """Everything that it takes is there at 360 pixels."""
        row = opened(stack)
        page = visit(stack.link(row), PHONE, has_touch=True, is_mobile=True)
        page.get_by_label("Your name").fill("Bob")
        page.get_by_role("button", name="Reject").tap()
        page.get_by_text("Rejected by Bob (unverified)").wait_for()
        assert stack.row(row).state is State.REJECTED

    def test_a_grant_is_taken_back(self, stack: ApproveStack, visit: Visit) -> None:
        """By the same link, later."""
        row = two_active(stack)
        page = visit(stack.link(row, 1))
        page.get_by_label("Your name").first.fill("Alice")
        page.get_by_role("button", name="Take it back").click()
        page.get_by_text("Being taken back").wait_for()
        assert stack.row(row).state is State.REVOKING

    def test_a_new_link_is_asked_for_by_an_old_one(self, stack: ApproveStack, visit: Visit) -> None:
        """One button, without script."""
        page = visit(expired(stack))
        page.get_by_role("button", name="Send the approvers a new link").click()
        page.get_by_role("heading", name="A new link is asked for").wait_for()
        assert stack.row(active()).link_asked_at == stack.clock.now()

    def test_enter_in_a_field_decides_nothing(self, stack: ApproveStack, visit: Visit) -> None:
        """A decision is a button that somebody meant to press."""
        row = opened(stack)
        page = visit(stack.link(row))
        page.get_by_label("Your name").fill("Alice")
        page.get_by_label("Your name").press("Enter")
        page.wait_for_timeout(50)
        assert stack.row(row) == row

    def test_the_keyboard_is_enough(self, stack: ApproveStack, visit: Visit) -> None:
        """Tab through the form, choose with the arrows, press with the space bar."""
        row = opened(stack)
        page = visit(stack.link(row))
        page.get_by_role("radio").first.focus()
        for keys in ("ArrowUp", "Tab", "Tab", "A", "l", "Tab", "Space"):
            page.keyboard.press(keys)
        page.get_by_text("Approved by Al (unverified)").wait_for()
        assert (stack.row(row).state, stack.row(row).decided_by) == (State.APPROVED, "Al (unverified)")

    def test_without_a_name_the_browser_asks_for_it(self, stack: ApproveStack, visit: Visit) -> None:
        """Before anything is sent."""
        row = opened(stack)
        page = visit(stack.link(row))
        page.get_by_role("button", name="Approve").click()
        assert page.locator("#name:invalid").count() == 1
        assert stack.row(row) == row

    def test_a_form_on_another_site_decides_nothing(
        self, stack: ApproveStack, visit: Visit, address: str, browser: "Browser"
    ) -> None:
        """Another page knows the link and the seal, and sends them from the browser of an approver."""
        row = opened(stack)
        link = stack.link(row)
        seal = stack.get(link).csrf
        page = browser.new_page()
        page.set_content(
            f'<form method="post" action="{address}{link}"><input name="csrf" value="{seal}"><input name="name" '
            'value="M"><input name="length" value="none"><button name="decision" value="approve">Win</button></form>'
        )
        page.get_by_role("button").click()
        page.get_by_role("heading", name="This did not come from the page of the request").wait_for()
        assert stack.row(row) == row
        page.close()

    def test_nobody_can_put_the_page_in_a_frame(self, stack: ApproveStack, address: str, browser: "Browser") -> None:
        """So no click on another page lands on a button of ours."""
        link = stack.link(opened(stack))
        page = browser.new_page()
        page.set_content(f'<iframe src="{address}{link}"></iframe>')
        page.wait_for_timeout(200)
        assert all("Approve" not in frame.content() for frame in page.frames if frame is not page.main_frame)
        page.close()


class TestSignIn:
    """By a provider, with cookies that a browser keeps."""

    def test_a_person_signs_in_and_approves(
        self,
        browser: "Browser",
        monkeypatch: pytest.MonkeyPatch,
        ledger: Ledger,
        clock: StoppedClock,
    ) -> None:
        """From the link to the provider, back to the page, to the decision under the provider's name."""
        from axe_playwright_python.sync_playwright import Axe  # noqa: PLC0415 - only where there is a browser

        secret = boto3.client("secretsmanager").create_secret(Name="client", SecretString=CLIENT_SECRET)
        provider = Provider("", clock.now)
        with running(provider):
            settings = {
                "APPROVER_AUTH": "oidc",
                "OIDC_ISSUER": provider.issuer,
                "OIDC_CLIENT_ID": CLIENT_ID,
                "OIDC_CLIENT_SECRET_ARN": secret["ARN"],
                "OIDC_CLAIM": "groups",
                "OIDC_CLAIM_VALUE": "approvers",
            }
            stack = ApproveStack(monkeypatch, clock, ledger, **settings)
            row = opened(stack)
            with stack.serving() as address:
                provider.redirect_uri = f"{address}/signed-in"
                context = browser.new_context(java_script_enabled=False)
                page = context.new_page()
                page.goto(address + stack.link(row))
                assert "Signed in as alice@example.com" in page.inner_text("header")
                page.get_by_label("1 day").check()
                page.get_by_role("button", name="Approve").click()
                page.get_by_text("Approved by alice@example.com").wait_for()
                scripted = browser.new_context(storage_state=context.storage_state())
                reading = scripted.new_page()
                reading.goto(address + stack.link(row))
                assert "Signed in as alice@example.com" in reading.inner_text("header")
                assert Axe().run(reading).violations_count == 0
                scripted.close()
                context.close()
        assert stack.row(row).decided_by == "alice@example.com"


class TestReading:
    """Every page, in every way that it may be read."""

    @pytest.mark.parametrize("name", [*PAGES, *ANSWERS])
    def test_a_page_is_accessible_and_fits_a_phone(self, stack: ApproveStack, visit: Visit, name: str) -> None:
        """Axe finds nothing wrong, light at a desk and dark on a phone; at 360 pixels nothing is moved sideways."""
        from axe_playwright_python.sync_playwright import Axe  # noqa: PLC0415 - only where there is a browser

        page = visit(PAGES[name](stack), java_script_enabled=True) if name in PAGES else ANSWERS[name](stack, visit)
        for details in page.locator("details").all():
            details.evaluate("each => { each.open = true }")
        for scheme, viewport in (("light", DESK), ("dark", PHONE)):
            page.set_viewport_size(viewport)
            page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]  # one of its words
            results = Axe().run(page)
            assert results.violations_count == 0, f"{scheme}: {results.generate_report()}"
        assert page.evaluate("document.scrollingElement.scrollWidth") <= PHONE["width"]

    def test_on_a_phone_the_decision_is_one_tap_away(self, stack: ApproveStack, visit: Visit) -> None:
        """The link to it stands under the question; at a desk the form is beside it, and there is no link."""
        path = stack.link(opened(stack))
        page = visit(path, PHONE)
        page.get_by_role("link", name="To the decision").click()
        assert page.url.endswith("#decision")
        assert not visit(path).get_by_role("link", name="To the decision").is_visible()

    def test_hostile_text_is_text(self, stack: ApproveStack, visit: Visit) -> None:
        """Markup, marks of direction and line breaks show as what they are; nothing is loaded and nothing runs."""
        page = visit(stack.link(hostile(stack)), java_script_enabled=True)
        assert page.locator("img, script, iframe, object, embed, svg, link").count() == 0
        shown = page.inner_text("main")
        assert "<img src=x onerror=alert(1)>\\u202e<!channel>\\n${aws:username} *" in shown
        assert "\u202e" not in shown

    def test_the_style_is_the_one_that_the_policy_names(self, stack: ApproveStack, visit: Visit) -> None:
        """The page is not shown bare: its hash in the policy is right."""
        page = visit(stack.link(opened(stack)), java_script_enabled=True)
        assert (
            page.evaluate("getComputedStyle(document.querySelector('.primary')).backgroundColor") != "rgba(0, 0, 0, 0)"
        )
