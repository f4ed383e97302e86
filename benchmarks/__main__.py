"""Measure, and print tables: `make bench`. It takes about ten minutes, most of them for the last two tables."""

import shutil
from collections.abc import Iterable

import msgspec
from rich.console import Console
from rich.table import Table

from benchmarks import audit, burst, calls, cold_start, cost, decide, parse

_SERVICES = ("iam", "bedrock", "dynamodb", "sns", "ssm", "secretsmanager")


def main() -> None:
    """Print every figure."""
    console = Console()
    console.print(_reading())
    console.print(_deciding())
    console.print(_auditing())
    console.print(_calls())
    console.print(_bills())
    console.print(
        _table("A storm of denials", burst.Burst.__struct_fields__, map(msgspec.structs.astuple, burst.measure()))
    )
    if shutil.which("valgrind"):
        console.print(_starts())
    else:
        console.print("Cold starts are not measured: there is no valgrind here.")


def _reading() -> Table:
    rows = (
        (
            each.name,
            each.json_loads,
            each.read,
            f"{each.ratio:.2f}{'' if each.ratio <= parse.BUDGET else ' !'}",
            each.anew,
        )
        for each in parse.measure()
    )
    columns = ("record", "json.loads µs", "read µs", "times", "with nothing remembered µs")
    return _table(f"Reading a record (budget {parse.BUDGET} times)", columns, rows)


def _deciding() -> Table:
    title = f"Deciding without I/O (budget {decide.BUDGET} ms in the first row)"
    return _table(title, ("statements", "rules", "grants", "ms"), map(msgspec.structs.astuple, decide.measure()))


def _auditing() -> Table:
    title = f"Auditing an account (budget {audit.BUDGET} s in the first row)"
    columns = ("principals", "s", "findings", "MB at most")
    return _table(title, columns, map(msgspec.structs.astuple, audit.measure()))


def _calls() -> Table:
    rows = (
        (each.name, each.total, each.writes, *(each.of(service) for service in _SERVICES)) for each in calls.measure()
    )
    return _table("AWS calls, counted in the sandbox", ("work", "calls", "ledger writes", *_SERVICES), rows)


def _bills() -> Table:
    rows = (
        (f"{bill.denials:,}", bill.fixed, *bill.services.values(), bill.total, bill.one_by_one)
        for bill in cost.measure()
    )
    columns = ("denials", "same every month", *cost.SERVICES, "total", "each told one by one")
    return _table("Dollars a month", columns, rows)


def _starts() -> Table:
    with cold_start.built_layer() as layer:
        rows = [msgspec.structs.astuple(each) for each in cold_start.measure(layer)]
    return _table("Cold starts", ("start", "million instructions", "times", "peak MB"), rows)


def _table(title: str, columns: Iterable[str], rows: Iterable[Iterable[object]]) -> Table:
    table = Table(*columns, title=title)
    for row in rows:
        table.add_row(*(f"{cell:.2f}" if isinstance(cell, float) else str(cell) for cell in row))
    return table


if __name__ == "__main__":
    main()
