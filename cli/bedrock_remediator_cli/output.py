"""How commands print: tables and sentences for people, or one JSON value and nothing else.

Answers go to stdout. Progress, notes and errors go to stderr, so that `--json` can be piped. Nothing printed here is
read as rich's markup, and text from outside loses its control characters: it could move a terminal's cursor.
"""

import json
import re
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, Protocol

import click
from msgspec import Struct
from rich import box
from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from bedrock_remediator_cli.trouble import DONE, FOUND

PATIENCE: Final = 2.0
"""Seconds after which a command shows what it is doing."""

_CONTROL: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


class Advance(Protocol):
    """Tells the progress bar of a step, or of several."""

    def __call__(self, steps: int = 1) -> None:
        """Move it on."""
        ...


def shown(text: str) -> str:
    """Text from outside as it may stand on a terminal: control characters and marks of direction become escapes."""
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


class Output(Struct, frozen=True):
    """Where a command prints. `as_json` says that stdout takes one JSON value and nothing else."""

    console: Console
    notes: Console
    as_json: bool

    @classmethod
    def made(cls, *, as_json: bool, no_color: bool) -> "Output":
        """For this process: colour on a terminal only, and never with --no-color or NO_COLOR."""
        color = True if no_color else None
        return cls(
            console=Console(no_color=color, highlight=False, markup=False, emoji=False, soft_wrap=True),
            notes=Console(stderr=True, no_color=color, highlight=False, markup=False, emoji=False, soft_wrap=True),
            as_json=as_json,
        )

    def answer(self, value: Any, people: Callable[[], None]) -> None:
        """The command's whole answer: the value with --json, else whatever `people` prints."""
        if self.as_json:
            click.echo(json.dumps(value, indent=2, ensure_ascii=False))
        else:
            people()

    def say(self, text: str | Text = "", style: str | None = None) -> None:
        """A line for people, on stdout."""
        self.console.print(Text(shown(text)) if isinstance(text, str) else text, style=style)

    def show(self, what: RenderableType) -> None:
        """Anything of rich's, on stdout. Text from outside in it must have passed `shown`."""
        self.console.print(what, soft_wrap=False)

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[str]], title: str | None = None) -> None:
        """A table for people; every cell passes `shown`."""
        table = Table(*columns, title=title, box=box.SIMPLE_HEAD, title_justify="left", pad_edge=False)
        for row in rows:
            table.add_row(*(Text(shown(cell), overflow="fold") for cell in row))
        self.show(table)

    def note(self, text: str) -> None:
        """A remark beside the answer, on stderr: what was left out, what could not be asked."""
        self.notes.print(Text(shown(text)), style="dim")

    @contextmanager
    def progress(self, doing: str, total: int | None = None) -> Iterator[Advance]:
        """Show on a terminal how far the block is, once it has taken two seconds.

        Gives a function to be told of each step (or several). `total` is the number of steps, None if unknown.
        """
        columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        progress = Progress(*columns, TimeElapsedColumn(), console=self.notes, transient=True)
        task = progress.add_task(doing, total=total)

        def advance(steps: int = 1) -> None:
            progress.advance(task, steps)

        if not self.notes.is_terminal:
            yield advance
            return
        timer = threading.Timer(PATIENCE, progress.start)
        timer.daemon = True
        timer.start()
        try:
            yield advance
        finally:
            timer.cancel()
            progress.stop()


def finish(*, found: bool) -> None:
    """End the command: with 1 if it found something or was refused, else with 0."""
    sys.exit(FOUND if found else DONE)
