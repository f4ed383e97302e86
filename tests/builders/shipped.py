"""What `make build` made, in Lambda's runtime, for tests: where it is, and sandboxes whose functions are that."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, Final

from sandbox.running import Given, time_after
from sandbox.runtime import Shipped
from sandbox.stack import Options, Sandbox
from sandbox.world import World

ROOT: Final = Path(__file__).parents[2]
BUILD: Final = ROOT / ".aws-sam" / "build"
RUNTIMES: Final = ROOT / ".runtime"
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d)?Z?)?|\d{8}T\d{6}Z")


@cache
def python() -> str:
    """The interpreter of the template's runtime: the real one, not what stands for it in PATH."""
    found = shutil.which("python3.13")
    assert found, "python3.13 is needed: the layer's .pyc files fit no other"
    command = [found, "-c", "import sys; print(sys.executable)"]
    return subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout.strip()  # noqa: S603


@contextmanager
def shipping(runtime: str, build: Path = BUILD, **options: Any) -> Iterator[Shipped]:
    """Built functions with a runtime of `.runtime`."""
    folder = RUNTIMES / runtime
    assert (build / "RemediatorLayer").is_dir(), f"{build} is not there: run `make build`"
    assert (folder / "awslambdaric").is_dir(), f"{folder} is not there: run `make runtime`"
    with Shipped(build, folder, python(), **options) as shipped:
        yield shipped


@contextmanager
def running(shipped: Shipped, world: World, **options: Any) -> Iterator[Sandbox]:
    """A sandbox whose functions are processes: it goes by the machine's clock, as they do."""
    sandbox = Sandbox(world, Options(make_function=shipped.function, ticking=True, now=datetime.now(UTC), **options))
    shipped.endpoint = sandbox.endpoint
    with sandbox:
        yield sandbox


def recent(events: list[Given]) -> list[Given]:
    """The events, all moved by as much as makes them recent: a process cannot be told that it is another day."""
    return _moved_by(events, datetime.now(UTC).replace(microsecond=0) - time_after(events))


def happening(events: list[Given]) -> list[Given]:
    """The events, each moved to this moment: their principals were made a moment ago."""
    return [moved for each in events for moved in _moved_by([each], _ago(each))]


def _ago(given: Given) -> timedelta:
    time = datetime.fromisoformat(given.event["detail"]["eventTime"])
    return datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=1) - time


def _moved_by(events: list[Given], distance: timedelta) -> list[Given]:
    return [Given(each.name, json.loads(_moved(json.dumps(each.event), distance))) for each in events]


def _moved(text: str, distance: timedelta) -> str:
    def later(found: re.Match[str]) -> str:
        return (datetime.fromisoformat(found[0]) + distance).strftime("%Y-%m-%dT%H:%M:%SZ")

    return re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", later, text)


def timeless(content: Any) -> Any:
    """JSON without its times, which are later where real processes work."""
    return json.loads(_TIME.sub("TIME", json.dumps(content, sort_keys=True)))


def files(folder: Path) -> dict[str, tuple[int, int]]:
    """Every file under a folder, with its size and when it was changed."""
    found = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in found}
