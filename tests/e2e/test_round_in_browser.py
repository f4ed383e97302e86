"""The whole round in a real browser: denied, asked, approved, applied, verified, ended. The stack is `serve`'s own.

    PICTURES=docs/pictures .venv/bin/python -m pytest tests/e2e/test_round_in_browser.py

takes the pictures of the documentation anew on the way.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.builders.browser import DESK, PATIENCE, PHONE, launched, needs_browser
from tests.builders.served import Served, served

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = needs_browser

DENIALS: Final = (Path(__file__).parents[2] / "events/six-denials-of-one-role.jsonl").read_bytes().splitlines()
PICTURES: Final = os.environ.get("PICTURES")

Open = Callable[..., "Page"]


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    """A browser."""
    with launched() as browser:
        yield browser


@pytest.fixture
def stack() -> Iterator[Served]:
    """A stack in which one role was denied a profile."""
    with served() as stack:
        stack.put(DENIALS[0])
        yield stack


@pytest.fixture
def open_link(browser: "Browser") -> Iterator[Open]:
    """Opens a link in a window of its own, without script."""
    contexts = []

    def open_link(link: str, **options: Any) -> "Page":
        settings: dict[str, Any] = {"viewport": DESK, "java_script_enabled": False, **options}
        context = browser.new_context(**settings)
        context.set_default_timeout(PATIENCE)
        contexts.append(context)
        page = context.new_page()
        page.goto(link)
        return page

    yield open_link
    for context in contexts:
        context.close()


def take(page: "Page", name: str, part: str | None = None) -> None:
    """Take a picture, if pictures are asked for: of what a window shows, or of one part."""
    if PICTURES:
        taken: Any = page.locator(part).first if part else page
        taken.screenshot(path=Path(PICTURES) / f"{name}.png")


def test_a_request_is_approved_applied_verified_and_ends(stack: Served, open_link: Open) -> None:
    """One person, one link: each time they come back, the page tells how it stands."""
    page = open_link(stack.link)
    page.get_by_label("30 days").check()
    page.get_by_label("Your name").fill("Alice Ngo")
    page.get_by_role("button", name="Approve").click()
    page.get_by_text("The missing permissions are in place.").wait_for()
    assert stack.states == ["active"]

    for denial in DENIALS[1:3]:
        stack.put(denial)
    link = stack.link
    take(open_link(link, color_scheme="dark"), "page-request-dark")
    take(open_link(link, viewport=PHONE, device_scale_factor=1.5), "page-request-phone")
    page = open_link(link)
    assert "several different models" in page.inner_text("main")
    take(page, "page-request")
    take(page, "page-policy", ".difference")
    page.get_by_label("1 day").check()
    page.get_by_label("Reason").first.fill("For the trial of the new search.")
    page.get_by_label("Your name").first.fill("Alice Ngo")
    page.get_by_role("button", name="Approve").click()
    page.get_by_text("The missing permissions are in place.").wait_for()
    told = page.inner_text("main")
    assert "Approved by Alice Ngo (unverified)" in told
    assert "simulated: IAM's policy simulator allows the call" in told
    take(page, "page-granted")
    assert sorted(stack.states) == ["active", "active", "pending"]

    stack.forward("25h")
    page = open_link(link)
    assert "may no longer call" in page.inner_text("h1")
    take(page, "page-ended")
    assert sorted(stack.states) == ["active", "pending", "revoked"]


def test_a_request_is_rejected_on_a_phone(stack: Served, open_link: Open) -> None:
    """With the reason, which the page keeps; nothing was granted."""
    page = open_link(stack.link, viewport=PHONE, is_mobile=True, has_touch=True)
    page.get_by_label("Reason").fill("Use the other account.")
    page.get_by_label("Your name").fill("Bob")
    page.get_by_role("button", name="Reject").tap()
    page.get_by_text("Rejected by Bob (unverified)").wait_for()
    take(page, "page-rejected-phone")
    assert "Use the other account." in page.inner_text("main")
    assert stack.states == ["rejected"]


def test_a_grant_is_taken_back(stack: Served, open_link: Open) -> None:
    """By the link that it was asked for with: the policy is gone from IAM."""
    page = open_link(stack.link)
    page.get_by_label("1 day").check()
    page.get_by_label("Your name").fill("Alice")
    page.get_by_role("button", name="Approve").click()
    page.get_by_text("The missing permissions are in place.").wait_for()
    page.get_by_label("Your name").fill("Alice")
    page.get_by_role("button", name="Take it back").click()
    page.get_by_text("The permissions that were added have been taken away again.").wait_for()
    assert stack.states == ["revoked"]


def test_a_link_that_is_too_old_says_so(stack: Served, open_link: Open) -> None:
    """After its three days."""
    link = stack.link
    stack.forward("73h")
    page = open_link(link, viewport={"width": DESK["width"], "height": 420})
    assert page.inner_text("h1") == "This link has expired"
    take(page, "page-expired")
