"""What `pip install .` puts in: built as pip builds it, without asking a package index."""

import subprocess
import sys
import tomllib
import zipfile
from email.parser import Parser
from pathlib import Path
from typing import Any, Final

import pytest

from bedrock_remediator_cli import __version__

ROOT: Final = Path(__file__).parents[2]
PROJECT: Final[dict[str, Any]] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel of this tree."""
    pytest.importorskip("hatchling", reason="the environment is older than the locked requirements: make setup")
    folder = tmp_path_factory.mktemp("wheel")
    done = subprocess.run(  # noqa: S603 - this interpreter, this tree
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return zipfile.ZipFile(next(folder.glob("*.whl")))


def test_the_wheel_holds_both_packages_whole(wheel: zipfile.ZipFile) -> None:
    """Every module, the templates of the approval page and the marker for type checkers; no test and no sandbox."""
    held = set(wheel.namelist())
    for root, package in ((ROOT / "cli", "bedrock_remediator_cli"), (ROOT / "layers/remediator", "bedrock_remediator")):
        files = [path for path in (root / package).rglob("*") if path.is_file() and "__pycache__" not in path.parts]
        assert {str(path.relative_to(root)) for path in files} <= held
    tops = {name.partition("/")[0] for name in held}
    assert {name for name in tops if not name.endswith(".dist-info")} == {
        "bedrock_remediator",
        "bedrock_remediator_cli",
    }


def test_the_wheel_brings_the_command(wheel: zipfile.ZipFile) -> None:
    """Under its name, in this version, with everything that its modules import."""
    info = next(name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")).rpartition("/")[0]
    entry = wheel.read(f"{info}/entry_points.txt").decode()
    assert "bedrock-remediator = bedrock_remediator_cli.__main__:main" in entry
    metadata = Parser().parsestr(wheel.read(f"{info}/METADATA").decode())
    assert metadata["Version"] == __version__
    assert len(metadata.get_all("Requires-Dist", [])) == len(PROJECT["dependencies"])


def test_what_is_installed_has_what_the_layer_needs() -> None:
    """Each requirement of the layer is one of the package's too, none of them pinned to one version."""
    needed = {
        line.strip()
        for line in (ROOT / "layers/remediator/requirements.in").read_text(encoding="utf-8").splitlines()
        if line.strip() and not line.startswith("#")
    }
    declared = dict(each.split(">=") for each in PROJECT["dependencies"])
    assert needed | {"boto3", "click", "rich"} == set(declared)
    assert all(bound and "<" not in bound for bound in declared.values())


def test_every_module_of_the_command_can_be_imported_without_the_tests() -> None:
    """The packages need nothing of this tree beside them."""
    code = (
        "import importlib, pkgutil, bedrock_remediator_cli as package\n"
        "for each in pkgutil.walk_packages(package.__path__, package.__name__ + '.'):\n"
        "    importlib.import_module(each.name)\n"
    )
    paths = f"{ROOT / 'cli'}:{ROOT / 'layers' / 'remediator'}"
    done = subprocess.run(  # noqa: S603 - this interpreter, code of this file
        [sys.executable, "-c", code],
        env={"PYTHONPATH": paths, "PATH": "/usr/bin"},
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
