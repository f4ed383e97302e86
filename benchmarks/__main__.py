"""Measure, and print tables: `make bench`. `--write` keeps them in docs/measured.md, with the date and the versions.

Every figure comes from this one run. It takes five to ten minutes, most of it for cold starts and storms.
"""

import argparse
import platform
import shutil
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct
from rich.console import Console
from rich.table import Table

from benchmarks import burst, calls, cold_start, cost, decide, parse, side_by_side, storm
from sandbox.shell import leave_aws_settings

_MEASURED: Final = Path(__file__).parent.parent / "docs" / "measured.md"
_PACKAGES: Final = ("aws-lambda-powertools", "boto3", "moto", "msgspec")
_FUNCTIONS: Final = ("triage", "approve", "remediate", "notify")


class Result(Struct, frozen=True):
    """A table of figures, or why there are none."""

    title: str
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    missing: str = ""

    def shown(self) -> Table | str:
        """For a terminal."""
        if self.missing:
            return f"{self.title}: {self.missing}"
        table = Table(*self.columns, title=self.title)
        for row in self.rows:
            table.add_row(*row)
        return table

    @property
    def markdown(self) -> str:
        """For a page."""
        lines = [self.columns, tuple("---" for _ in self.columns), *self.rows]
        content = self.missing or "\n".join(f"| {' | '.join(line)} |" for line in lines)
        return f"## {self.title}\n\n{content}\n"


def main() -> None:
    """Print every figure, as soon as it is there."""
    arguments = argparse.ArgumentParser(prog="python -m benchmarks")
    arguments.add_argument("--write", action="store_true", help=f"keep the tables in {_MEASURED.name}")
    write = arguments.parse_args().write
    console = Console(width=max(Console().width, 150))
    found = []
    for result in _results():
        console.print(result.shown())
        found.append(result)
    if write:
        _MEASURED.write_text("\n".join([_heading(), *(result.markdown for result in found)]), encoding="utf-8")


def _heading() -> str:
    versions = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    today = datetime.now(tz=UTC).date()
    return f"""# Measured

Written by `python -m benchmarks --write` on {today}, with Python {platform.python_version()}, {versions}, on
{platform.machine()}. [performance.md](performance.md) says what each table means and what was done about it.
"""


def _results() -> Iterator[Result]:
    yield _table(
        f"Reading a record (budget {parse.BUDGET} times)",
        ("record", "json.loads µs", "read µs", "times", "with nothing remembered µs"),
        ((each.name, each.json_loads, each.read, each.ratio, each.anew) for each in parse.measure()),
    )
    yield _table(
        f"Deciding without I/O (budget {decide.BUDGET} ms in the first row)",
        ("statements", "rules", "grants", "ms"),
        map(msgspec.structs.astuple, decide.measure()),
    )
    yield _table(
        "AWS calls, each function beginning cold",
        ("work", "calls, one after the other", *_FUNCTIONS, "ledger writes"),
        (
            (each.name, each.total, *(each.by.get(name, 0) for name in _FUNCTIONS), each.writes)
            for each in calls.measure()
        ),
    )
    yield _table(
        "Dollars a month",
        ("denials", "same every month", *cost.SERVICES, "total", "each told one by one"),
        (
            (f"{bill.denials:,}", bill.fixed, *bill.services.values(), bill.total, bill.one_by_one)
            for bill in cost.measure()
        ),
    )
    with cold_start.built_layer() as layer:
        yield _starts(layer)
        yield _beside(layer)
    yield _table(
        "A storm of denials through the whole stack",
        burst.Burst.__struct_fields__,
        map(msgspec.structs.astuple, burst.measure()),
    )
    yield _table(
        "A storm through triage alone, its ledger in a file",
        storm.Storm.__struct_fields__,
        map(msgspec.structs.astuple, storm.measure()),
    )


def _starts(layer: Path) -> Result:
    title = "Cold starts"
    if not shutil.which("valgrind"):
        return Result(title, missing="not measured, there is no valgrind here.")
    rows = map(msgspec.structs.astuple, cold_start.measure(layer))
    return _table(title, ("start", "million instructions", "times", "peak MB"), rows)


def _beside(layer: Path) -> Result:
    title = f"Beside {side_by_side.PACKAGE}"
    with side_by_side.installed() as python:
        if python is None:
            return Result(title, missing="not measured, it could not be installed here.")
        fields = side_by_side.Compared.__struct_fields__
        return _table(title, fields, map(msgspec.structs.astuple, side_by_side.measure(python, layer)))


def _table(title: str, columns: Iterable[str], rows: Iterable[Iterable[object]]) -> Result:
    cells = tuple(tuple(f"{cell:.2f}" if isinstance(cell, float) else str(cell) for cell in row) for row in rows)
    return Result(title, tuple(columns), cells)


if __name__ == "__main__":
    leave_aws_settings()
    main()
