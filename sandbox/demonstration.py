"""`make demo`: a choice of the sample events, in one account, with a few rules, told as a story."""

import os
import sys
import uuid
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from sandbox.cases import Outcome
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
    "Amazon Bedrock denied some calls. The whole stack of template.yaml works on them here, in this process: nothing "
    "leaves this machine. The mode is auto, with the rules of sandbox/worlds/demo-rules.yaml; where no rule says auto, "
    "a person is asked."
)
_ASKED: Final = "application-profile"
"""The event whose request the mail that is shown asks about: no rule decides it."""
_MAIL_LINES: Final = 40
"""Of the mail that is shown; the link stands among its first lines."""
_NEXT: Final = (
    ("every story, not just the first", "make demo ALL=1"),
    ("press the buttons yourself", f"{{python}} -m sandbox serve events/{_ASKED}.json"),
    (
        "your own events",
        "{python} -m sandbox run --world derived FILE  (CloudTrail's files, or what lookup-events printed)",
    ),
    ("in your account", "README.md, Deploy it: begin in mode observe, which changes nothing"),
)


def demonstrate(*, verbose: bool, every_story: bool = False) -> bool:
    """Run the demonstration, with one story in full or all; whether something was left in a dead-letter queue."""
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
        outcome = tell(sandbox, events, console, stories=len(events) if every_story else 1)
        console.print(Padding(_mail(outcome), (1, 0, 0, 0)))
        console.print(Padding(_next_steps(), (1, 0, 0, 0)))
        return bool(sandbox.failures)


def _mail(outcome: Outcome) -> RenderableType:
    """The mail that asks a person; the page that its link leads to is served by `serve`."""
    case = next(case for case in outcome.cases if _ASKED in case.names)
    notice = next(notice for notice in case.notices if notice.topic == "approvals")
    lines = notice.message["email"].rstrip().splitlines()
    left = len(lines) - _MAIL_LINES
    if left > 0:
        lines[_MAIL_LINES:] = [f"… and {left} lines more"]
    return Panel(
        Text("\n".join(lines)),
        title=Text(f" The mail to the approvers: {notice.subject} "),
        title_align="left",
        border_style="yellow",
        padding=(0, 1),
    )


def _next_steps() -> RenderableType:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    python = os.path.relpath(sys.executable) if sys.prefix != sys.base_prefix else "python"
    for what, command in _NEXT:
        table.add_row(what, Text(command.format(python=python)))
    return Group(Text("What next", style="bold"), table)


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
