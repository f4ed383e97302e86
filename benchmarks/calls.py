"""AWS calls and ledger writes for each kind of work, counted in the sandbox; tests/e2e/test_call_counts.py holds them.

Every function begins cold, so that nothing is remembered from before. Within a function every call is made after the
one before it, and one function begins when another has ended: so the calls are round trips too, one after the other.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Final

from msgspec import Struct

from benchmarks.parse import EVENTS
from sandbox.deciding import decide_all
from sandbox.running import Given, handle, read_allowlist, read_events, time_after
from sandbox.shell import leave_aws_settings
from sandbox.stack import Options, Sandbox
from sandbox.world import DEFAULT_WORLD, read_world

RULES: Final = EVENTS.parent / "sandbox" / "worlds" / "demo-rules.yaml"
_WRITES: Final = ("dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:TransactWriteItems")


class Counted(Struct, frozen=True):
    """What one kind of work took: attempts by service and operation in `calls`, by function in `by`."""

    name: str
    calls: Mapping[str, int]
    by: Mapping[str, int]

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
    """A kind of work: the events, and how the stack is set up. Those of `before` come first and are not counted.

    Where `buttons` of the request's page are pressed, only what the last of them sets off is counted: the page, the
    button, the page again.
    """

    events: str
    mode: str = "approve"
    strategy: str = "managed"
    before: str | None = None
    buttons: tuple[str, ...] = ()


_STRATEGIES: Final = ("managed", "inline", "in-place")
KINDS: Final = {
    "a refusal (service control policy)": Kind("service-control-policy"),
    "a repeat, minutes later": Kind("global-profile", before="global-profile"),
    "a first request": Kind("global-profile"),
    **{f"a first automatic grant, {each}": Kind("geographic-profile", "auto", each) for each in _STRATEGIES},
    **{f"an approval, {each}": Kind("geographic-profile", strategy=each, buttons=("approve",)) for each in _STRATEGIES},
    **{
        f"a revocation, {each}": Kind("geographic-profile", strategy=each, buttons=("approve", "revoke"))
        for each in _STRATEGIES
    },
}
_STATE: Final = {"approve": "pending", "revoke": "active"}
"""What a button is pressed on."""


def measure() -> Iterator[Counted]:
    """Every kind of work."""
    for name, kind in KINDS.items():
        yield counted(name, kind)


def counted(name: str, kind: Kind) -> Counted:
    """The calls of one kind of work."""
    given = [renamed(event, 1) for event in sample(kind.events)]
    options = Options(
        parameters={"Mode": kind.mode, "PolicyStrategy": kind.strategy},
        allowlist=read_allowlist(RULES),
        now=time_after(given),
    )
    with Sandbox(read_world(DEFAULT_WORLD), options) as sandbox:
        handle(sandbox, sample(kind.before) if kind.before else [])
        steps: list[Callable[[], object]] = [partial(handle, sandbox, given)]
        steps += [partial(_press, sandbox, button) for button in kind.buttons]
        for step in steps[:-1]:
            step()
        for function in sandbox.functions.values():
            function.forget()
        before = sandbox.endpoint.tally.by_function
        steps[-1]()
        made = sandbox.endpoint.tally.by_function - before
    calls: Counter[str] = Counter()
    by: Counter[str] = Counter()
    for (function_id, call), count in made.items():
        calls[call] += count
        by[function_id.removesuffix("Function").lower()] += count
    return Counted(name, dict(calls), dict(by))


def _press(sandbox: Sandbox, button: str) -> None:
    (answer,) = decide_all(sandbox, button, _STATE[button])
    assert answer.problem is None, answer.problem
    sandbox.run()


def sample(name: str) -> list[Given]:
    """The events of a file in `events/`."""
    return read_events([EVENTS / f"{name}.json"])


def renamed(given: Given, number: int) -> Given:
    """The same denial once more: another event."""
    event = json.loads(json.dumps(given.event))
    event["id"] = event["detail"]["eventID"] = f"{number:08x}-0000-4000-8000-000000000000"
    return Given(given.name, event)


def main() -> None:
    """Print how many calls each kind of work takes."""
    for each in measure():
        print(each.name, each.total, *(f"{name}: {number}" for name, number in sorted(each.by.items())), sep="\t")


if __name__ == "__main__":
    leave_aws_settings()
    main()
