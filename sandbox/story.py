"""Tells a person what a run did: a table of what came in and what became of it, and a story for each case.

A new policy is shown whole or summed up, the change of any other by what differs.
"""

import difflib
import json
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.rule import Rule
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from sandbox.cases import Case, Change, Outcome, observe
from sandbox.evaluator import listed
from sandbox.running import Given
from sandbox.stack import Sandbox

_LINE: Final = 86


def changed(change: Change) -> Text:
    """What was done to which policy."""
    verb = "created" if change.before is None else "deleted" if change.after is None else "changed"
    return Text(f"{verb} ").append(change.name, style="bold")


def document(change: Change, *, whole: bool) -> RenderableType:
    """What was written; `whole` shows a new policy as it is, otherwise it is summed up."""
    if change.before is not None or change.after is None:
        return Syntax(_difference(change), "diff", word_wrap=True, background_color="default")
    if whole:
        return Syntax(_compact(change.after), "json", word_wrap=True, background_color="default")
    return Text("\n".join(_summed_up(statement) for statement in change.after["Statement"]), style="dim")


def counted(number: int, noun: str) -> str:
    """So many of it, in words."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _summed_up(statement: Mapping[str, Any]) -> str:
    """A statement in one line."""
    actions, resources = listed(statement["Action"]), listed(statement["Resource"])
    keys = [key for block in statement.get("Condition", {}).values() for key in block]
    under = f", under {' and '.join(keys)}" if keys else ""
    return f"{statement['Effect']} {', '.join(actions)} on {counted(len(resources), 'ARN')}{under}"


def _difference(change: Change) -> str:
    before, after = (_compact(document).splitlines() if document else [] for document in (change.before, change.after))
    lines = difflib.unified_diff(before, after, lineterm="", n=2)
    return "\n".join(line for line in lines if line[:3] not in {"---", "+++"})


def _compact(document: Mapping[str, Any]) -> str:
    """A policy as JSON, its short lists on one line."""
    return _json(document, 0)


def _json(value: Any, depth: int) -> str:
    flat = json.dumps(value)
    if not isinstance(value, dict | list) or not value or len(flat) + 2 * depth <= _LINE:
        return flat
    inner, outer = "  " * (depth + 1), "  " * depth
    if isinstance(value, list):
        items = [f"{inner}{_json(item, depth + 1)}" for item in value]
        return "[\n" + ",\n".join(items) + f"\n{outer}]"
    items = [f"{inner}{json.dumps(key)}: {_json(item, depth + 1)}" for key, item in value.items()]
    return "{\n" + ",\n".join(items) + f"\n{outer}}}"


MOST_STORIES: Final = 16
"""Cases beyond these are in the table only."""

MOST_DOCUMENTS: Final = 2
"""New policies beyond these are summed up, statement by statement."""

_WIDTH: Final = 116
_STATE_STYLES: Final[Mapping[str, str]] = {
    "active": "bold green",
    "pending": "bold yellow",
    "approved": "yellow",
    "applying": "yellow",
    "reported": "cyan",
    "rolled_back": "magenta",
    "failed": "bold red",
    "leaked_key": "bold white on red",
}
_STATE_WORDS: Final[Mapping[str, str]] = {
    "active": "granted",
    "pending": "waits for a person",
    "reported": "advice given",
    "rolled_back": "taken back",
    "failed": "not applied",
}


def tell(
    sandbox: Sandbox,
    events: Sequence[Given],
    console: Console | None = None,
    decide: Callable[[], None] | None = None,
    *,
    stories: int = MOST_STORIES,
) -> Outcome:
    """Handle the events and tell what became of them.

    Args:
        sandbox: Where.
        events: What comes in.
        console: Where it is told; None for the terminal.
        decide: Answers what waits for a person.
        stories: How many cases are told in full; the others are in the table.
    """
    console = console or make_console()
    outcome = observe(sandbox, events, decide)
    for part in story(sandbox, outcome, stories):
        console.print(part)
    return outcome


def make_console() -> Console:
    """A console as wide as the terminal, within reason."""
    console = Console()
    return console if console.is_terminal else Console(width=_WIDTH)


def story(sandbox: Sandbox, outcome: Outcome, stories: int = MOST_STORIES) -> Iterator[RenderableType]:
    """The story's parts, in the order they are told."""
    yield overview(outcome)
    shown = 0
    for number, case in enumerate(outcome.cases[:stories], start=1):
        yield Padding(case_story(number, case, whole=shown < MOST_DOCUMENTS), (1, 0, 0, 0))
        shown += len(case.changes)
    left = len(outcome.cases) - stories
    if left > 0:
        yield Padding(Text(f"… and {left} more like this in the table above.", style="dim"), (1, 0, 0, 0))
    if sandbox.failures:
        yield Padding(dead_letters(sandbox), (1, 0, 0, 0))


def overview(outcome: Outcome) -> RenderableType:
    """The table: a line a case."""
    table = Table(title="What came in, and what became of it", title_style="bold", title_justify="left", expand=True)
    table.add_column("#", justify="right", style="dim")
    table.add_column("event", ratio=6, overflow="fold")
    table.add_column("who was denied what", ratio=8, overflow="fold")
    table.add_column("found, decided", ratio=6, overflow="fold")
    table.add_column("now", ratio=3, overflow="fold")
    table.add_column("denials", justify="right")
    for number, case in enumerate(outcome.cases, start=1):
        row = case.row
        table.add_row(
            str(number),
            _plain(", ".join(case.names)),
            _two_lines(_who(row), _what(row)),
            _two_lines(_words(row["diagnosis"]), _decision(row)),
            _state(row),
            f"{case.denials:,}",
        )
    for name in dict.fromkeys(given.name for given in outcome.unmatched):
        table.add_row("", _plain(name), Text("no denial of a model call: the rule lets it pass", style="dim"))
    return table


def case_story(number: int, case: Case, *, whole: bool = True) -> RenderableType:
    """One case: denied, found, decided, written, verified, told.

    `whole` shows what was written as it is; otherwise a new policy is summed up.
    """
    row = case.row
    lines: list[RenderableType] = [
        _line("denied", _denied(case)),
        _line("found", row["reason"]),
    ]
    if row.get("resources"):
        lines.append(_line("needs", _needs(row)))
    lines.append(_line("decided", _decided(row)))
    if row.get("decided_by"):
        lines.append(_line("answered", _answered(row)))
    for change in case.changes:
        lines += [_line("written", changed(change)), Padding(document(change, whole=whole), (0, 0, 0, 9))]
    if row.get("verification"):
        lines.append(_line("verified", _verified(row)))
    if row.get("model_id") and row["state"] in {"active", "pending"}:
        lines.append(_line("client", f"calls with modelId {row['model_id']}"))
    lines += [_line("told", f"{notice.topic} ← {notice.subject}") for notice in case.notices]
    title = _plain(f" {number} · {', '.join(case.names)} ", style="bold")
    return Panel(Group(*lines), title=title, title_align="left", border_style=_style(row), padding=(0, 1))


def _line(label: str, text: str | Text) -> RenderableType:
    grid = Table.grid(padding=(0, 1))
    grid.add_column(width=8, style="bold")
    grid.add_column(ratio=1, overflow="fold")
    grid.add_row(label, text if isinstance(text, Text) else _plain(text))
    return grid


def _denied(case: Case) -> Text:
    detail = case.event.get("detail")
    record = detail if isinstance(detail, Mapping) else {}
    message = textwrap.shorten(str(record.get("errorMessage")), 420, placeholder=" …")
    times = f" ({case.denials:,} times)" if case.denials > 1 else ""
    call = _plain(f"{record.get('eventName')} in {record.get('awsRegion')}{times}: ")
    return call + _plain(message, style="italic")


def _needs(row: Mapping[str, Any]) -> Text:
    allowed = set(row.get("allowed") or ())
    text = Text()
    for index, arn in enumerate(row["resources"]):
        held = arn in allowed
        text.append("\n" if index else "")
        text.append("✓ " if held else "+ ", style="dim" if held else "green")
        text.append(arn, style="dim" if held else "")
    return text


def _decided(row: Mapping[str, Any]) -> Text:
    words = {
        "auto": f"to grant it: rule {row.get('rule')!r} says so",
        "ask": f"to ask a person ({_words(row['reason_code'])})",
        "report": "to grant nothing and say what helps",
    }
    text = Text(words.get(row["decision"], row["decision"]))
    if row.get("expires_at"):
        text.append(f"; the grant ends {row['expires_at']}")
    return text.append(" → ").append(_state(row))


def _answered(row: Mapping[str, Any]) -> Text:
    reason = f": {row['decision_reason']}" if row.get("decision_reason") else ""
    return _plain(f"by {row['decided_by']}, {row['decided_via']}{reason} → ") + _state(row)


def _verified(row: Mapping[str, Any]) -> str:
    if row["verification"] == "simulated":
        return "IAM's simulator allows both actions on every ARN now"
    return "inconclusive: IAM's simulator gave no clear answer, so the grant stays"


def dead_letters(sandbox: Sandbox) -> RenderableType:
    """What ended in a dead-letter queue."""
    table = Table(title="Left in dead-letter queues", title_style="bold red", title_justify="left")
    table.add_column("queue")
    table.add_column("message", overflow="fold")
    for letter in sandbox.failures:
        reason = letter.attributes.get("reason", "")
        body = textwrap.shorten(json.dumps(letter.body), 300, placeholder=" …")
        table.add_row(letter.queue, _two_lines(reason, body) if reason else _plain(body, style="dim"))
    errors = sorted({run.error for function in sandbox.functions.values() for run in function.invocations if run.error})
    notes: list[RenderableType] = [_plain(error, style="red") for error in errors]
    return Group(table, *notes, Text("--verbose shows the functions' own log.", style="dim"))


def heading(text: str) -> RenderableType:
    """A line across the screen."""
    return Rule(Text(text, style="bold"), align="left")


def _plain(text: str, style: str = "") -> Text:
    """Text that came from outside, safe for a terminal: whatever it cannot print shows as a replacement character."""
    return Text("".join(character if character.isprintable() else "\ufffd" for character in text), style=style)


def _two_lines(first: str, second: str) -> Text:
    return _plain(first) + Text("\n") + _plain(second, style="dim")


def _who(row: Mapping[str, Any]) -> str:
    principal = row.get("principal")
    if principal is None:
        return str(row["pk"]).removeprefix("account/").replace("/", " ", 1)
    resource = principal.split(":", 5)[5]
    name = f"{resource.partition('/')[0]} {resource.rpartition('/')[2]}"
    return f"{name} in {row['account_name']}" if row.get("account_name") else name


def _what(row: Mapping[str, Any]) -> str:
    named = row.get("model_id") or row.get("profile") or ""
    return f"{str(named).rpartition('/')[2]} ({row['region']})" if named else f"in {row['region']}"


def _decision(row: Mapping[str, Any]) -> str:
    decision = _words(row["decision"])
    if row["decision"] == "auto":
        return f"auto: {row.get('rule')}"
    return decision if row["reason_code"] == row["diagnosis"] else f"{decision}: {_words(row['reason_code'])}"


def _words(text: str) -> str:
    return text.replace("_", " ")


def _style(row: Mapping[str, Any]) -> str:
    return "red" if row["diagnosis"] == "leaked_key" else _STATE_STYLES.get(row["state"], "white").rpartition(" ")[2]


def _state(row: Mapping[str, Any]) -> Text:
    if row["diagnosis"] == "leaked_key":
        return Text("alert sent", style=_STATE_STYLES["leaked_key"])
    return Text(_STATE_WORDS.get(row["state"], _words(row["state"])), style=_STATE_STYLES.get(row["state"], ""))
