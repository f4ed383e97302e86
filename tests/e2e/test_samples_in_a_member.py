"""Every sample event once more, as if it had happened in a member account: by the two roles of stacks/member.yaml."""

import json
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from sandbox.documents import read_document
from sandbox.report import report
from sandbox.running import Given, events_of, handle, time_after
from sandbox.stack import Options, Sandbox
from sandbox.world import DEFAULT_WORLD, World, parse_world
from tests.builders.members import EVERYTHING, HUB

MEMBER: Final = "777788889999"
"""An account that no sample is about."""
EVENTS: Final = Path(__file__).parents[2] / "events"
RULES: Final = EVERYTHING.replace("role/**", 'role/**", "arn:aws:iam::*:user/**') + "    expires_after: 30d\n"
DAYS: Final = (1, 3, 32)
"""Long enough for a reminder, for a request to lapse, and for the rule's grants to end."""

Ends = Counter[tuple[str, str, str, str]]


def world(account: str) -> World:
    """The shipped world's account as the hub itself, or as a member of a hub that has nothing of its own."""
    shipped = read_document(DEFAULT_WORLD)
    home = {key: shipped.pop(key) for key in ("account", "region")}
    del shipped["accounts"]
    if account == HUB:
        return parse_world({**home, **shipped})
    return parse_world({**home, "accounts": {account: json.loads(json.dumps(shipped).replace(HUB, account))}})


def samples(account: str) -> Iterator[Given]:
    """The sample events, moved to an account."""
    for path in sorted(EVENTS.glob("*.json*")):
        yield from events_of(path.read_text(encoding="utf-8").replace(HUB, account), str(path), path.stem)


def ends(stack: Sandbox) -> Ends:
    """What the rows have come to, without whose they are."""
    rows: list[dict[str, Any]] = report(stack)["grants"]
    return Counter((row["state"], row["diagnosis"], row["reason_code"], str(row["verification"])) for row in rows)


def run(account: str, strategy: str) -> tuple[Ends, Ends]:
    """The ends after the samples, and after a month of upkeep; nothing is refused or left over on the way."""
    events = list(samples(account))
    options = Options(
        parameters={"Mode": "auto", "PolicyStrategy": strategy}, allowlist={"main": RULES}, now=time_after(events)
    )
    with Sandbox(world(account), options) as stack:
        handle(stack, events)
        first = ends(stack)
        for days in DAYS:
            stack.clock.advance(timedelta(days=days).total_seconds())
            stack.functions["UpkeepFunction"].invoke({"task": "upkeep"})
            stack.run()
        assert (stack.authorization.refusals, stack.failures) == ([], [])
        return first, ends(stack)


@pytest.mark.long
@pytest.mark.parametrize("strategy", ["managed", "inline", "in-place"])
def test_a_member_ends_as_the_hub_does(strategy: str) -> None:
    """Whatever the service does at home its roles let it do in a member, whichever the strategy, upkeep included."""
    at_home = run(HUB, strategy)
    assert run(MEMBER, strategy) == at_home
    assert {state for state, *_ in at_home[0]} >= {"active", "pending", "reported"}
    assert {state for state, *_ in at_home[1]} >= {"revoked", "lapsed", "reported"}
