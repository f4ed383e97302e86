"""Upkeep by the template's own roles and settings, in the sandbox, over more than a month."""

from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from sandbox.running import handle, read_events, time_after
from sandbox.stack import Options, Sandbox
from sandbox.world import read_world

ROOT: Final = Path(__file__).parents[2]
RULES: Final = (ROOT / "sandbox/worlds/demo-rules.yaml").read_text(encoding="utf-8")
EVENTS: Final = ("geographic-profile", "wrong-prefix", "sso-role")
DAYS: Final = (1, 3, 32)
"""Long enough for a reminder, for a request to lapse, and for the rule's grant to end."""


def round_of(stack: Sandbox, task: str) -> dict[str, Any]:
    """What upkeep says that it did."""
    answer: dict[str, Any] = stack.functions["UpkeepFunction"].invoke({"task": task})
    return answer


@pytest.mark.parametrize("strategy", ["managed", "inline", "in-place"])
def test_the_template_allows_upkeep_all_that_it_does(strategy: str) -> None:
    """Under each strategy: no call is refused, no round fails, and a grant is taken back when it ends."""
    events = read_events([ROOT / f"events/{name}.json" for name in EVENTS])
    parameters = {"Mode": "auto", "PolicyStrategy": strategy}
    options = Options(parameters=parameters, allowlist={"main": RULES}, now=time_after(events))
    with Sandbox(read_world(), options) as stack:
        handle(stack, events)
        before = [row["state"] for row in stack.ledger.items() if "state" in row]
        for days in DAYS:
            stack.clock.advance(timedelta(days=days).total_seconds())
            round_of(stack, "upkeep")
            stack.run()
        assert round_of(stack, "digest")["digest"] == {"sent": 1}
        after = [row["state"] for row in stack.ledger.items() if "state" in row]
        assert stack.authorization.refusals == []
        assert stack.failures == []
    assert ("active" in before, "revoked" in before) == (True, False)
    assert ("active" in after, "revoked" in after) == (False, True)


def test_a_rule_written_while_a_request_waits_applies_to_it() -> None:
    """The request is approved by the rule, applied and verified; nobody needs to be asked."""
    events = read_events([ROOT / "events/geographic-profile.json"])
    with Sandbox(read_world(), Options(parameters={"Mode": "auto"}, now=time_after(events))) as stack:
        handle(stack, events)
        assert [row["state"] for row in stack.ledger.items() if "state" in row] == ["pending"]
        stack.parameters.put("/bedrock-access-remediator/allowlist/main", RULES)
        stack.clock.advance(120)
        assert round_of(stack, "upkeep")["reconsider"] == {"approved": 1}
        stack.run()
        (row,) = [row for row in stack.ledger.items() if "state" in row]
        assert (row["state"], row["rule"], row["verification"]) == ("active", "nova-for-developers", "simulated")
        assert round_of(stack, "upkeep")["reconsider"] == {}
        assert (stack.authorization.refusals, stack.failures) == ([], [])
