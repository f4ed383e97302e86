"""`make demo`: a choice of the sample events, in one account, with a few rules, told as a story."""

import uuid
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from rich.padding import Padding
from rich.text import Text

from sandbox.running import Given, read_events, read_time, time_after
from sandbox.stack import Options, Sandbox
from sandbox.story import heading, make_console, tell
from sandbox.world import read_world

EVENTS: Final = Path(__file__).parent.parent / "events"
RULES: Final = Path(__file__).parent / "worlds" / "demo-rules.yaml"
REPEATS: Final = 500

SHOWN: Final = (
    "geographic-profile",
    "global-profile",
    "model-in-another-region",
    "application-profile",
    "service-control-policy",
    "wrong-prefix",
    "guardrail-required",
    "sso-role",
    "leaked-key",
    "model-access",
)
BURST: Final = "burst"

_INTRODUCTION: Final = (
    "Amazon Bedrock denied some calls. What follows is the whole stack of template.yaml at work on them, in this "
    "process and with nothing leaving it: EventBridge rule, queue, triage, ledger, pipe, remediate, notify. The mode "
    "is auto, with the rules of sandbox/worlds/demo-rules.yaml; where no rule says auto, a person is asked."
)


def demonstrate(*, verbose: bool) -> bool:
    """Run the demonstration; whether something was left in a dead-letter queue."""
    console = make_console()
    console.print(heading("bedrock-access-remediator"))
    console.print(Padding(Text(_INTRODUCTION), (0, 0, 1, 0)))
    events = chosen_events()
    options = Options(
        parameters={"Mode": "auto"},
        allowlist={"main": RULES.read_text(encoding="utf-8")},
        now=time_after(events),
        verbose=verbose,
    )
    with Sandbox(read_world(), options) as sandbox:
        tell(sandbox, events, console)
        return bool(sandbox.failures)


def chosen_events() -> list[Given]:
    """The events shown, and the burst: one denial that a client's retries repeat."""
    return [
        *read_events(EVENTS / f"{name}.json" for name in SHOWN),
        *(repeat for given in read_events([EVENTS / f"{BURST}.json"]) for repeat in repeated(given, REPEATS)),
    ]


def repeated(given: Given, times: int) -> Iterator[Given]:
    """The same call again and again, a second apart: each another event to CloudTrail."""
    detail = given.event["detail"]
    first = read_time(detail["eventTime"])
    for index in range(times):
        unique = {name: _another(detail[name], index) for name in ("eventID", "requestID")}
        when = (first + timedelta(seconds=index)).strftime("%Y-%m-%dT%H:%M:%SZ")
        event: dict[str, Any] = {
            **given.event,
            "id": _another(given.event["id"], index),
            "time": when,
            "detail": {**detail, **unique, "eventTime": when},
        }
        yield Given(given.name, event)


def _another(identifier: str, index: int) -> str:
    return identifier if index == 0 else str(uuid.uuid5(uuid.NAMESPACE_URL, f"{identifier}/{index}"))
