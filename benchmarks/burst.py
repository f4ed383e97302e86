"""A storm of denials, 95 in 100 of them repeats, through the whole stack in the sandbox.

Every twentieth denial is of a role that was not denied before; half of the roles are refused by a service control
policy, half lack the grant. The rest repeat one that came earlier. Half of the storm is compared with all of it:
what is flat or linear shows. `python -m benchmarks.burst 100000` takes a larger one.

Memory is the whole process's, the sandbox and its copy of AWS included; time too.
"""

import random
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct

from benchmarks import tell
from benchmarks.apart import apart
from benchmarks.calls import Counted, sample
from sandbox.lambdas import Function
from sandbox.report import report
from sandbox.running import Given, time_after
from sandbox.shell import leave_aws_settings
from sandbox.stack import Options, Sandbox
from sandbox.world import DEFAULT_WORLD, Role, read_world

_NEW: Final = 20
"""One denial in so many is new."""
_PUT_AT_ONCE: Final = 1000


class Burst(Struct, frozen=True, kw_only=True):
    """What a storm took. Milliseconds are of triage's own invocations, a denial; memory is in MB."""

    denials: int
    new: int
    calls: int
    writes: int
    notices: int
    milliseconds: float
    megabytes: float


def measure(denials: int = 10_000) -> Iterator[Burst]:
    """Half of so many, and all."""
    return apart(_measured, (denials // 2, denials))


def _measured(denials: int) -> Burst:
    roles = denials // _NEW
    world = read_world(DEFAULT_WORLD)
    world = msgspec.structs.replace(world, roles=tuple(Role(name=f"burst-{number}") for number in range(roles)))
    kinds = (sample("service-control-policy")[0], sample("global-profile")[0])
    seconds: defaultdict[str, float] = defaultdict(float)
    invoke = Function.invoke

    def timed(self: Function, event: Any) -> Any:
        begun = time.process_time()
        try:
            return invoke(self, event)
        finally:
            seconds[self.logical_id] += time.process_time() - begun

    options = Options(parameters={"Mode": "approve"}, now=time_after(kinds) + timedelta(hours=1))
    Function.invoke = timed  # type: ignore[method-assign]
    try:
        with Sandbox(world, options) as sandbox:
            for number, given in enumerate(storm(kinds, denials), 1):
                sandbox.put(given.event)
                if number % _PUT_AT_ONCE == 0:
                    sandbox.run()
            sandbox.run()
            content = report(sandbox)
    finally:
        Function.invoke = invoke  # type: ignore[method-assign]
    assert sum(row["denials"] for row in content["grants"]) == denials
    counted = Counted("burst", content["calls"], {})
    return Burst(
        denials=denials,
        new=len(content["grants"]),
        calls=counted.total,
        writes=counted.writes,
        notices=len(content["notices"]),
        milliseconds=seconds["TriageFunction"] / denials * 1e3,
        megabytes=peak(),
    )


def storm(kinds: tuple[Given, Given], denials: int) -> Iterator[Given]:
    """The denials: every twentieth of a role not seen before, the others like one that came earlier."""
    dice = random.Random(1)  # noqa: S311 - any order will do
    texts = [msgspec.json.encode(kind.event).decode() for kind in kinds]
    names = [kind.event["detail"]["userIdentity"]["sessionContext"]["sessionIssuer"]["userName"] for kind in kinds]
    seen = 0
    for number in range(denials):
        seen += number % _NEW == 0
        role = seen - 1 if number % _NEW == 0 else dice.randrange(seen)
        text, name = texts[role % 2], names[role % 2]
        # The new roles have no path.
        for before, after in ((f"role/service/{name}", f"role/{name}"), (f"/{name}", f"/burst-{role}")):
            text = text.replace(before, after)
        event = msgspec.json.decode(text.replace(f'"{name}"', f'"burst-{role}"'))
        event["id"] = event["detail"]["eventID"] = f"{number:08x}-0000-4000-8000-000000000000"
        yield Given("burst", event)


def peak() -> float:
    """The most memory that this process has had, in MB."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def main() -> None:
    """Print the figures of a storm of as many denials as the command says."""
    print(*Burst.__struct_fields__, sep="\t")
    tell(measure(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000))


if __name__ == "__main__":
    leave_aws_settings()
    main()
