"""Measure, and print tables: `make bench`."""

from rich.console import Console
from rich.table import Table

from benchmarks import calls, decide, parse

_BUDGET = 0.6


def main() -> None:
    """Print every figure."""
    console = Console()
    table = Table("record", "json.loads µs", "read µs", "times", title=f"Reading a record (budget {_BUDGET})")
    for parsed in parse.measure():
        style = "green" if parsed.ratio <= _BUDGET else "yellow"
        cells = (f"{parsed.json_loads:.1f}", f"{parsed.read:.1f}", f"[{style}]{parsed.ratio:.2f}[/]")
        table.add_row(parsed.name, *cells)
    console.print(table)
    table = Table("statements", "rules", "ms", title="Deciding without I/O (budget 1 ms at 50 and 200)")
    for decided in decide.measure():
        table.add_row(str(decided.statements), str(decided.rules), f"{decided.milliseconds:.2f}")
    console.print(table)
    services = ("iam", "bedrock", "dynamodb", "sns", "ssm")
    table = Table("work", "calls", "ledger writes", *services, title="AWS calls, counted in the sandbox")
    for counted in calls.measure():
        each = (str(counted.of(service)) for service in services)
        table.add_row(counted.name, str(counted.total), str(counted.writes), *each)
    console.print(table)


if __name__ == "__main__":
    main()
