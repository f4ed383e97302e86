"""AWS calls and ledger writes for each kind of work, counted in the sandbox; tests/e2e/test_call_counts.py holds them.

Every call is made after the one before it, so the calls of a kind are its round trips too.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final

from msgspec import Struct

from benchmarks.parse import EVENTS
from sandbox.report import report
from sandbox.running import Given, handle, read_allowlist, read_events, time_after
from sandbox.stack import Options, Sandbox
from sandbox.world import DEFAULT_WORLD, read_world

RULES: Final = EVENTS.parent / "sandbox" / "worlds" / "demo-rules.yaml"
_WRITES: Final = ("dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:TransactWriteItems")


class Counted(Struct, frozen=True):
    """What one kind of work took; `calls` are attempts by service and operation."""

    name: str
    calls: Mapping[str, int]

    @property
    def total(self) -> int:
        """Every call."""
        return sum(self.calls.values())

    @property
    def writes(self) -> int:
        """Those that write to the ledger."""
        return sum(self.calls.get(operation, 0) for operation in _WRITES)

    def of(self, service: str) -> int:
        """Those to one service."""
        return sum(count for operation, count in self.calls.items() if operation.startswith(f"{service}:"))


class Kind(Struct, frozen=True):
    """A kind of work: the events, and how the stack is set up. Those of `before` come first and are not counted."""

    events: str
    mode: str = "approve"
    strategy: str = "managed"
    before: str | None = None


KINDS: Final = {
    "a refusal (service control policy)": Kind("service-control-policy"),
    "a repeat, minutes later": Kind("global-profile", before="global-profile"),
    "a first request": Kind("global-profile"),
    "a first automatic grant, managed": Kind("geographic-profile", "auto"),
    "a first automatic grant, inline": Kind("geographic-profile", "auto", "inline"),
    "a first automatic grant, in-place": Kind("geographic-profile", "auto", "in-place"),
}


def measure() -> Iterator[Counted]:
    """Every kind of work."""
    for name, kind in KINDS.items():
        yield Counted(name, counted(kind))


def counted(kind: Kind) -> dict[str, int]:
    """The calls of one kind of work, by service and operation."""
    first = sample(kind.before) if kind.before else []
    given = [renamed(event, 1) for event in sample(kind.events)]
    options = Options(
        parameters={"Mode": kind.mode, "PolicyStrategy": kind.strategy},
        allowlist=read_allowlist(RULES),
        now=time_after(given),
    )
    with Sandbox(read_world(DEFAULT_WORLD), options) as sandbox:
        handle(sandbox, first)
        before = Counter(_calls(sandbox))
        handle(sandbox, given)
        return dict(Counter(_calls(sandbox)) - before)


def sample(name: str) -> list[Given]:
    """The events of a file in `events/`."""
    return read_events([EVENTS / f"{name}.json"])


def renamed(given: Given, number: int) -> Given:
    """The same denial once more: another event."""
    event = json.loads(json.dumps(given.event))
    event["id"] = event["detail"]["eventID"] = f"{number:08x}-0000-4000-8000-000000000000"
    return Given(given.name, event)


def _calls(sandbox: Sandbox) -> dict[str, Any]:
    found: dict[str, Any] = report(sandbox)["calls"]
    return found
