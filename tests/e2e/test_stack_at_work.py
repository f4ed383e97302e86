"""The stack under load, in any order, and with mistakes in its template."""

import json
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import pytest

from sandbox.buses import ALL_MANAGEMENT_EVENTS
from sandbox.demonstration import repeated
from sandbox.intrinsics import TemplateError
from sandbox.report import report
from sandbox.running import Given, handle, read_events, time_after
from sandbox.stack import TEMPLATE, Options, Sandbox
from sandbox.world import read_world

EVENTS: Final = Path(__file__).parents[2] / "events"
PLATFORM: Final = "arn:aws:iam::123456789012:role/service/llm-platform"
RULES: Final = """
version: 1
rules:
  - name: everything
    effect: auto
    principals: ["arn:aws:iam::*:role/**", "arn:aws:iam::*:user/**"]
    profiles: ["*", "arn:*"]
"""
LEDGER_WRITES: Final = ("dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:TransactWriteItems")


def sandbox(events: Sequence[Given], **options: Any) -> Sandbox:
    """The stack in mode auto, with a rule that allows everything."""
    given = {"parameters": {"Mode": "auto"}, "allowlist": {"main": RULES}, "now": time_after(events), **options}
    return Sandbox(read_world(), Options(**given))


def sample(name: str) -> list[Given]:
    """A sample file's events."""
    return read_events([EVENTS / name])


def writes(content: dict[str, Any]) -> int:
    """How often the functions wrote to the ledger."""
    return sum(content["calls"].get(name, 0) for name in LEDGER_WRITES)


def test_a_second_copy_changes_nothing() -> None:
    """The same event once more changes no row and no policy, and sends nothing."""
    events = sample("geographic-profile.json")
    with sandbox(events) as stack:
        handle(stack, events)
        before = report(stack)
        handle(stack, events)
        after = report(stack)
    assert [before[part] for part in ("grants", "policies", "notices")] == [
        after[part] for part in ("grants", "policies", "notices")
    ]
    assert (writes(after), len(after["notices"])) == (writes(before), 1)


def test_a_burst_costs_batches_not_events() -> None:
    """500 repeats give one grant and one notice; 400 more events cost four more batches' writes, not 400."""

    def cost(repeats: int) -> int:
        events = list(repeated(sample("burst.json")[0], repeats))
        with sandbox(events) as stack:
            handle(stack, events)
            content = report(stack)
        assert [(grant["state"], grant["denials"]) for grant in content["grants"]] == [("active", repeats)]
        assert (len(content["notices"]), content["failures"]) == (1, [])
        return writes(content)

    assert cost(500) - cost(100) <= 2 * 4


@pytest.mark.parametrize("seed", range(2))
def test_six_denials_at_once_all_stand(seed: int) -> None:
    """Six denials of one role, triaged in any order and in batches at once while IAM is slow to settle, all stand."""
    events = sample("six-denials-of-one-role.jsonl")
    random.Random(seed).shuffle(events)  # noqa: S311 - nothing secret hangs on it
    with sandbox(events, seed=seed, settle_seconds=7) as stack:
        handle(stack, events)
        content = report(stack)
    assert [(grant["state"], grant["verification"]) for grant in content["grants"]] == [("active", "simulated")] * 6
    text = json.dumps(content["policies"][PLATFORM])
    assert all(arn in text for grant in content["grants"] for arn in grant["resources"])
    assert (len(content["notices"]), content["failures"]) == (6, [])


@pytest.mark.parametrize("seed", range(2))
def test_repeats_and_copies_at_once_are_counted_right(seed: int) -> None:
    """Repeats and copies, triaged in batches at once, are one grant with every call counted once."""
    events = list(repeated(sample("burst.json")[0], 40))
    events += events[:10]
    random.Random(seed).shuffle(events)  # noqa: S311 - nothing secret hangs on it
    with sandbox(events, seed=seed) as stack:
        handle(stack, events)
        content = report(stack)
    assert [(grant["state"], grant["denials"]) for grant in content["grants"]] == [("active", 40)]
    assert (len(content["notices"]), content["failures"]) == (1, [])


@pytest.fixture
def changed(tmp_path: Path) -> Callable[[str, str], Path]:
    """Makes a copy of template.yaml with one text in it replaced."""

    def make(old: str, new: str) -> Path:
        text = TEMPLATE.read_text(encoding="utf-8")
        assert old in text
        path = tmp_path / "template.yaml"
        path.write_text(text.replace(old, new, 1), encoding="utf-8")
        for folder in ("functions", "stacks"):
            (tmp_path / folder).symlink_to(TEMPLATE.parent / folder)
        return path

    return make


def test_a_plainly_enabled_rule_sees_nothing(changed: Callable[[str, str], Path]) -> None:
    """With a rule that is merely ENABLED no denial ever arrives: calls of models are read-only events."""
    events = sample("geographic-profile.json")
    with sandbox(events, template=changed(f"State: {ALL_MANAGEMENT_EVENTS}", "State: ENABLED")) as stack:
        assert len(handle(stack, events)) == 1


def test_a_right_that_is_missing_shows(changed: Callable[[str, str], Path]) -> None:
    """A call that the template does not allow is refused, and its denial is told with what AWS refused."""
    events = sample("geographic-profile.json")
    with sandbox(
        events, template=changed("Action: bedrock:GetInferenceProfile", "Action: bedrock:GetGuardrail")
    ) as stack:
        handle(stack, events)
        (row,) = (item for item in stack.ledger.items() if "state" in item)
        assert (row["state"], row["reason_code"], stack.failures) == ("reported", "lookup_refused", [])
        assert "GetInferenceProfile" in row["reason"]
        assert "bedrock:GetInferenceProfile" in stack.authorization.refusals[0]


def test_a_variable_that_is_missing_shows(changed: Callable[[str, str], Path]) -> None:
    """A function whose environment lacks a variable fails at start with its name."""
    events = sample("geographic-profile.json")
    with sandbox(events, template=changed("          REFUSED_QUEUE_URL:", "          ANOTHER_QUEUE_URL:")) as stack:
        handle(stack, events)
        errors = [run.error for run in stack.functions["TriageFunction"].invocations]
    assert errors[0] == "SettingError: REFUSED_QUEUE_URL is not set"


def test_a_wrong_filter_shows(changed: Callable[[str, str], Path]) -> None:
    """Where the pipe's filter leaves out `approved`, a grant is approved and never applied."""
    events = sample("geographic-profile.json")
    with sandbox(
        events, template=changed('"state": {"S": ["approved", "revoking"]}', '"state": {"S": ["revoking"]}')
    ) as stack:
        handle(stack, events)
        assert [grant["state"] for grant in report(stack)["grants"]] == ["approved"]


def test_a_timeout_that_does_not_fit_shows(changed: Callable[[str, str], Path]) -> None:
    """A visibility timeout below the function's timeout is refused, as AWS refuses it."""
    events = sample("geographic-profile.json")
    stack = sandbox(events, template=changed("VisibilityTimeout: 730", "VisibilityTimeout: 30"))
    with pytest.raises(TemplateError, match="visibility timeout"), stack:
        pass
