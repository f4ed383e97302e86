"""Attacks on the stack as template.yaml has it: a key that tries one model after the other, and a storm of notices."""

import json
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from sandbox.report import report
from sandbox.running import Given, handle, read_events, time_after
from sandbox.stack import Options, Sandbox
from sandbox.world import read_world

EVENTS: Final = Path(__file__).parents[2] / "events"
RULES: Final = """
version: 1
rules:
  - {name: everything, effect: auto, principals: ["arn:aws:iam::*:role/**"], profiles: ["*"]}
"""


def of(events: list[Given], **parameters: str) -> Sandbox:
    """The stack in mode auto, with a rule that allows everything."""
    given = {"Mode": "auto", **parameters}
    return Sandbox(read_world(), Options(parameters=given, allowlist={"main": RULES}, now=time_after(events)))


def read(name: str) -> list[Given]:
    """The events of a sample."""
    return read_events([EVENTS / name])


def from_elsewhere(given: Given, number: int) -> Given:
    """The same call from another address, as an event of its own."""
    event = json.loads(json.dumps(given.event))
    event["id"] = event["detail"]["eventID"] = f"{number:08x}-0000-4000-8000-000000000000"
    event["detail"]["sourceIPAddress"] = "203.0.113.9"
    return Given(given.name, event)


def test_a_key_that_tries_what_it_can_reach_gets_nothing() -> None:
    """A rule allows all six models; tried together they are more than ProbeProfiles, and people are alerted."""
    events = read("six-denials-of-one-role.jsonl")
    with of(events, ProbeProfiles="5") as stack:
        handle(stack, events)
        content = report(stack)
        assert stack.authorization.refusals == []
    assert Counter((row["state"], row["reason_code"], row["rule"]) for row in content["grants"]) == {
        ("pending", "probing", "everything"): 5,
        ("pending", "too_many_requests", None): 1,
    }
    assert content["calls"].get("iam:CreatePolicy", 0) == 0
    *alerts, last = content["notices"]
    assert [(each["topic"], each["subject"][:6]) for each in alerts] == [("approvals", "ALERT:")] * 5
    assert all("6 different models or profiles" in each["message"]["default"] for each in alerts)
    assert (last["topic"], last["attributes"]["reason_code"]) == ("approvals", "too_many_requests")


def test_a_key_that_is_used_elsewhere_is_asked_about() -> None:
    """What the principal's own address got by the rule, another one has to be granted by a person."""
    first, second, *_ = read("six-denials-of-one-role.jsonl")
    events = [first, from_elsewhere(second, 1)]
    with of(events) as stack:
        handle(stack, events)
        content = report(stack)
    assert [(row["state"], row["reason_code"]) for row in sorted(content["grants"], key=lambda row: row["state"])] == [
        ("active", "rule_auto"),
        ("pending", "new_address"),
    ]


def test_a_storm_of_notices_ends_in_one_digest() -> None:
    """Six grants at once, of which two are told one by one; upkeep tells of the others when the hour is over."""
    events = read("six-denials-of-one-role.jsonl")
    with of(events, MaxNoticesPerHour="2") as stack:
        handle(stack, events)
        before = report(stack)["notices"]
        stack.clock.advance(timedelta(hours=1).total_seconds())
        done: dict[str, Any] = stack.functions["UpkeepFunction"].invoke({"task": "upkeep"})
        after = report(stack)["notices"][len(before) :]
        assert stack.authorization.refusals == []
        assert stack.failures == []
    assert len(before) == 2
    assert done["storms"] == {"sent": 1}
    (digest,) = after
    folded = json.loads(digest["message"]["default"])
    assert folded["folded"] == {"total": 6, "told_here": 4, "by_event": {"granted": 6}}
    assert folded["counts"]["granted"] == 6
