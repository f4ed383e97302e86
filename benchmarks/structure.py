"""How the code is cut: sizes, imports, interfaces, and what runs for one denial. `python -m benchmarks.structure`.

Nothing here is timed. What is imported and defined is read from the source; what runs is seen by Python's profiler
while the sandbox handles one event, counted over the code that ships (`functions/` and the layer).
"""

import ast
import re
import sys
import threading
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, Final

from msgspec import Struct
from rich.console import Console
from rich.table import Table

from benchmarks.calls import KINDS, counted
from sandbox.shell import leave_aws_settings

ROOT: Final = Path(__file__).parent.parent
RUNTIME: Final = ROOT / "layers" / "remediator"
_PARTS: Final = {
    "runtime": (RUNTIME, ROOT / "functions"),
    "command": (ROOT / "cli",),
    "sandbox": (ROOT / "sandbox",),
    "tests": (ROOT / "tests",),
}
_LONG: Final = 40
_PATHS: Final = {
    "denial → ledger": ("a first automatic grant, managed", "triage"),
    "grant → IAM": ("a first automatic grant, managed", "remediate"),
    "click → ledger": ("an approval, managed", "approve"),
    "stream → SNS": ("a first automatic grant, managed", "notify"),
}


class Part(Struct, frozen=True):
    """One part of the tree: files, their lines, and what stands in them.

    `imports_90` is how many of the project's own modules a module imports, at the 90th percentile.
    """

    name: str
    files: int
    lines: int
    classes: int
    protocols: int
    class_names_twice: int
    functions_over_40_lines: int
    comments: int
    one_importer: int
    imports_90: int


class Path_(Struct, frozen=True):  # noqa: N801 - a path through the code, not a file's
    """What runs in one function for one kind of work: files and functions of what ships."""

    name: str
    files: int
    functions: int


def parts() -> Iterator[Part]:
    """Every part, measured from its source."""
    for name, folders in _PARTS.items():
        yield _part(name, [file for folder in folders for file in sorted(folder.rglob("*.py"))])


def _part(name: str, files: list[Path]) -> Part:
    texts = {file: file.read_text(encoding="utf-8") for file in files}
    trees = {file: ast.parse(text) for file, text in texts.items()}
    nodes = [node for tree in trees.values() for node in ast.walk(tree)]
    classes = [node for node in nodes if isinstance(node, ast.ClassDef)]
    functions = [node for node in nodes if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
    imports = {_module(file): _imported(tree) for file, tree in trees.items()}
    own = {module: {each for each in found if each in imports} - {module} for module, found in imports.items()}
    importers: dict[str, set[str]] = defaultdict(set)
    for module, found in own.items():
        for each in found:
            importers[each].add(module)
    width = sorted(len(found) for found in own.values())
    named = Counter(node.name for node in classes)
    return Part(
        name,
        len(files),
        sum(text.count("\n") for text in texts.values()),
        len(classes),
        sum(any(isinstance(base, ast.Name) and base.id == "Protocol" for base in node.bases) for node in classes),
        sum(count > 1 for count in named.values()),
        sum((node.end_lineno or node.lineno) - node.lineno >= _LONG for node in functions),
        sum(len(re.findall(r"^\s*#(?!!)", text, re.MULTILINE)) for text in texts.values()),
        sum(len(found) == 1 for found in importers.values()),
        width[int(len(width) * 0.9)] if width else 0,
    )


def _module(file: Path) -> str:
    """The name that a module is imported by."""
    parents = [RUNTIME, ROOT / "cli", ROOT]
    base = next(parent for parent in parents if file.is_relative_to(parent))
    return ".".join(file.relative_to(base).with_suffix("").parts).removesuffix(".__init__")


def _imported(tree: ast.Module) -> set[str]:
    """The modules that a module may import: `from a import b` may mean a, or a.b."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def paths() -> Iterator[Path_]:
    """Every path through the code."""
    for name, (kind, function) in _PATHS.items():
        ran = _ran(kind)[function]
        yield Path_(name, len({code.co_filename for code in ran}), len(ran))


def files_run(kind: str, function: str) -> list[str]:
    """The files that run in one function for a kind of work, by their paths in the repository."""
    return sorted({str(Path(code.co_filename).relative_to(ROOT)) for code in _ran(kind)[function]})


def _ran(kind: str) -> Mapping[str, set[CodeType]]:
    """Function of the stack -> the code that ran in it."""
    ran: dict[str, set[CodeType]] = defaultdict(set)
    inside: list[str] = []
    shipped = (str(RUNTIME), str(ROOT / "functions"))

    def look(frame: FrameType, event: str, _: Any) -> None:
        code = frame.f_code
        if event not in {"call", "return"} or not code.co_filename.startswith(shipped):
            return
        handler = code.co_name == "handler" and code.co_filename.endswith("app.py")
        if event == "call":
            if handler:
                inside.append(Path(code.co_filename).parent.name)
            if inside and not code.co_name.startswith("<"):
                ran[inside[-1]].add(code)
        elif handler and inside:
            inside.pop()

    threading.setprofile(look)
    sys.setprofile(look)
    try:
        counted(kind, KINDS[kind])
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    return ran


def main() -> None:
    """Print both tables, and with `--files` the files that run for a first grant."""
    console = Console(width=max(Console().width, 150))
    for title, rows in (("What stands", list(parts())), ("What runs", list(paths()))):
        table = Table(*(name.replace("_", " ") for name in rows[0].__struct_fields__), title=title)
        for row in rows:
            table.add_row(*(str(getattr(row, name)) for name in row.__struct_fields__))
        console.print(table)
    if "--files" in sys.argv[1:]:
        for function in ("triage", "remediate"):
            console.print(f"\n{function}:", *files_run("a first automatic grant, managed", function), sep="\n  ")


if __name__ == "__main__":
    leave_aws_settings()
    main()
