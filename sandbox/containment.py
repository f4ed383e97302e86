"""Starts a program as in Lambda's execution environment: code read-only, a /tmp of its own, memory limited.

Run by the interpreter that the function is to have, and by nothing else of ours: `python3.13 containment.py CELL`,
where CELL is JSON (see `Cell` in `sandbox/runtime.py`). It needs root and the right to make a mount namespace and a
memory cgroup. Whatever of that the machine refuses is left out, and one line of JSON on the cell's `report` descriptor
says what: `{"files": null or why not, "memory": null or why not, "task": folder, "layer": folder, "runtime": folder}`.
"""

import contextlib
import ctypes
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

_READ_ONLY, _REMOUNT, _BIND, _RECURSIVE, _PRIVATE = 0x1, 0x20, 0x1000, 0x4000, 0x40000
_NEW_MOUNTS: Final = 0x20000
_TMP_SIZE: Final = "size=512m"
_HIDDEN: Final = ("/var", "/opt", "/tmp")  # noqa: S108 - what Lambda has there is its own
_CGROUPS: Final = (
    (Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes"),
    (Path("/sys/fs/cgroup"), "memory.max"),
)
"""Where the first and the second version of cgroups are mounted, and the file that limits the memory there."""


def main(cell: Mapping[str, Any]) -> None:
    """Become the program, contained as far as this machine allows."""
    places = {name: cell[name] for name in ("task", "layer", "runtime")}
    memory = _why_not(lambda: _limit_memory(cell["cgroup"], cell["megabytes"] * 1024 * 1024))
    files = _why_not(lambda: _contain(cell, Path(cell["root"])))
    if files is None:
        places = {"task": "/var/task", "layer": "/opt", "runtime": "/var/runtime"}
    report = {"files": files, "memory": memory, **places}
    os.write(cell["report"], json.dumps(report).encode())
    os.close(cell["report"])
    os.chdir(places["task"])
    environment = {name: _placed(value, cell, places) for name, value in cell["environment"].items()}
    os.execve(sys.executable, [sys.executable, "-s", "-S", "-m", *cell["command"]], environment)  # noqa: S606 - our own


def _placed(value: str, cell: Mapping[str, Any], places: Mapping[str, str]) -> str:
    """A variable's value, where it says `{task}` and its like for a folder whose place was not known."""
    certificate = "/var/rapid/ca.pem" if places["task"] == "/var/task" else cell["certificate"]
    for name, place in {**places, "certificate": certificate}.items():
        value = value.replace(f"{{{name}}}", place)
    return value


def _why_not(do: Callable[[], None]) -> str | None:
    try:
        do()
    except OSError as error:
        return str(error)
    return None


def _limit_memory(name: str, limit: int) -> None:
    """Put this process into a memory cgroup of its own."""
    for folder, limit_file in _CGROUPS:
        group = folder / name
        with contextlib.suppress(FileExistsError, FileNotFoundError):
            group.mkdir()
        if (group / limit_file).exists():
            (group / limit_file).write_text(str(limit), encoding="ascii")
            with contextlib.suppress(OSError):
                (group / "memory.swap.max").write_text("0", encoding="ascii")
            (group / "cgroup.procs").write_text(str(os.getpid()), encoding="ascii")
            return
        with contextlib.suppress(OSError):
            group.rmdir()
    raise OSError("no memory cgroup can be made here")


def _contain(cell: Mapping[str, Any], root: Path) -> None:
    """Give this process a file system in which only /tmp can be written to."""
    library = ctypes.CDLL(None, use_errno=True)

    def check(result: int) -> None:
        if result != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))

    def mount(source: str | Path, target: str | Path, kind: str, flags: int, data: str = "") -> None:
        check(
            library.mount(
                str(source).encode(), str(target).encode(), kind.encode(), ctypes.c_ulong(flags), data.encode() or None
            )
        )

    def show(source: str | Path, place: str) -> None:
        target = Path(f"{root}{place}")
        target.mkdir(parents=True, exist_ok=True)
        mount(source, target, "none", _BIND)
        mount("none", target, "none", _BIND | _REMOUNT | _READ_ONLY)

    check(library.unshare(_NEW_MOUNTS))
    mount("none", "/", "none", _PRIVATE | _RECURSIVE)
    mount("/", root, "none", _BIND | _RECURSIVE)
    mount("none", root, "none", _BIND | _REMOUNT | _READ_ONLY)
    for folder in _HIDDEN:
        mount("tmpfs", f"{root}{folder}", "tmpfs", 0, _TMP_SIZE)
    show(cell["task"], "/var/task")
    show(cell["runtime"], "/var/runtime")
    for each in Path(cell["layer"]).iterdir():
        show(each, f"/opt/{each.name}")
    for prefix in _interpreter():
        show(prefix, prefix)
    (root / "var/rapid").mkdir()
    shutil.copyfile(cell["certificate"], root / "var/rapid/ca.pem")
    for folder in ("/var", "/opt"):
        mount("none", f"{root}{folder}", "tmpfs", _REMOUNT | _READ_ONLY)
    os.chroot(root)
    os.chdir("/")


def _interpreter() -> Iterator[str]:
    """The folders of the interpreter that would be hidden."""
    for folder in sorted({sys.base_prefix, str(Path(sys.executable).resolve().parent.parent)}):
        if any(folder.startswith(f"{hidden}/") for hidden in _HIDDEN):
            yield folder


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
