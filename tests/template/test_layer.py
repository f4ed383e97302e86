"""The layer as `sam build` makes it: skipped where Python 3.13 or a package index is missing."""

import fcntl
import os
import shutil
import subprocess
from pathlib import Path

import pytest

UNCHECKED_HASH = b"\x01\x00\x00\x00"
"""The second word of a .pyc that is taken without a look at its source (PEP 552)."""


@pytest.fixture(scope="module")
def layer(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The layer's `python` folder, built once for all of pytest's workers."""
    base = tmp_path_factory.getbasetemp()
    artifacts = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "layer"
    with artifacts.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (artifacts / "python").exists():
            build(root, artifacts)
    return artifacts / "python"


def build(root: Path, artifacts: Path) -> None:
    """Run the layer's Makefile, as `sam build` does; skip where it cannot run."""
    if not shutil.which("make"):
        pytest.skip("needs make")
    built = subprocess.run(  # noqa: S603 - our own Makefile
        ["make", "--directory", "layers/remediator", "build-RemediatorLayer", f"ARTIFACTS_DIR={artifacts}"],  # noqa: S607
        cwd=root,
        env={**os.environ, "PIP_RETRIES": "0", "PIP_DEFAULT_TIMEOUT": "20", "MAKEFLAGS": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    if built.returncode:
        shutil.rmtree(artifacts, ignore_errors=True)
    if "python3.13 is needed" in built.stderr or "No matching distribution" in built.stderr:
        pytest.skip("needs Python 3.13 and a package index")
    assert built.returncode == 0, built.stderr


def test_the_layer_holds_the_package_and_its_dependencies_only(layer: Path) -> None:
    """No boto3, which the runtime has, and nothing of pip's own."""
    found = {each.name.split("-")[0].removesuffix(".py") for each in layer.iterdir()} - {"__pycache__"}
    expected = {"bedrock_remediator", "aws_lambda_powertools", "jmespath", "msgspec", "yaml", "_yaml", "pyyaml"}
    expected |= {"itsdangerous", "jinja2", "markupsafe", "joserfc", "cryptography", "cffi", "pycparser"}
    expected |= {"slack_sdk", "slack", "authlib"}
    assert {each.split(".")[0] for each in found} == expected | {"_cffi_backend", "typing_extensions"}
    assert (layer / "bedrock_remediator" / "py.typed").exists()


def test_the_layer_has_the_descriptions_of_what_is_called(layer: Path) -> None:
    """Cut down: reading the whole ones took half a cold start."""
    models = layer / "bedrock_remediator" / "aws" / "models"
    calls = "bedrock dynamodb iam iam-toolbox kms organizations secretsmanager sns sqs ssm sts"
    assert {each.name for each in models.iterdir() if each.is_dir()} == set(calls.split())
    assert {each.name for each in models.iterdir() if each.suffix != ".json" and each.is_file()} == {
        "LICENSE.txt",
        "NOTICE",
    }
    assert sum(each.stat().st_size for each in models.rglob("*.json")) < 400_000


def test_the_layer_fits_both_architectures(layer: Path) -> None:
    """Every extension module is there for each."""
    modules = {each.name for each in layer.rglob("*.so")}
    assert not [name for name in modules if "-linux-gnu.so" not in name]
    for name in ("_core", "_yaml", "_rust", "_cffi_backend"):
        for architecture in ("aarch64", "x86_64"):
            assert f"{name}.cpython-313-{architecture}-linux-gnu.so" in modules


def test_every_module_is_compiled(layer: Path) -> None:
    """Python takes the .pyc as it is, and finds in it the path under which Lambda mounts the layer."""
    for source in layer.rglob("*.py"):
        compiled = source.parent / "__pycache__" / f"{source.stem}.cpython-313.pyc"
        data = compiled.read_bytes()
        assert data[4:8] == UNCHECKED_HASH, compiled
        assert str(layer).encode() not in data, compiled
    grant = layer / "bedrock_remediator" / "core" / "__pycache__" / "grant.cpython-313.pyc"
    assert b"/opt/python/bedrock_remediator/core/grant.py" in grant.read_bytes()


def test_nothing_in_the_layer_tells_when_or_by_whom_it_was_built(layer: Path) -> None:
    """One time on everything, and modes that do not depend on the umask."""
    files = list(layer.rglob("*"))
    assert {int(each.stat().st_mtime) for each in files} == {315619200}
    assert {each.stat().st_mode & 0o7777 for each in files} <= {0o644, 0o755}
