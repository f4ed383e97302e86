"""The processes in which the built functions are tried are contained as on Lambda, as far as the machine allows."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sandbox.lambdas import InvocationError
from tests.builders import sandboxes
from tests.builders.shipped import running, shipping
from tests.conftest import Tell

pytestmark = pytest.mark.built

PROBE = """
import os, sys

def handler(event, context):
    if "megabytes" in event:
        return len(b"x" * (event["megabytes"] << 20))
    if event.get("raise"):
        raise ValueError("as asked")
    def writable(folder):
        try:
            open(os.path.join(folder, "probe"), "w").close()
            return True
        except OSError:
            return False
    return {
        "writable": [each for each in ("/var/task", "/opt", "/tmp", "/etc") if writable(each)],
        "tmp": os.listdir("/tmp"),
        "path": sys.path,
        "left": context.get_remaining_time_in_millis(),
        "memory": context.memory_limit_in_mb,
        "arn": context.invoked_function_arn,
        "environment": sorted(os.environ),
    }
"""


@pytest.fixture
def probe(tmp_path: Path) -> Iterator[SimpleNamespace]:
    """A function of a few lines in such a process: `invoke`, and how far it is contained."""
    build = tmp_path / "build"
    (build / "RemediatorLayer").mkdir(parents=True)
    (build / "Probe").mkdir()
    (build / "Probe" / "app.py").write_text(PROBE, encoding="utf-8")
    own = {"Probe": sandboxes.function("probe", "ProbeRole", MemorySize=128), "ProbeRole": sandboxes.role()}
    template = sandboxes.template(tmp_path, own, {"probe": PROBE})
    with shipping("newest", build) as shipped, running(shipped, sandboxes.world(), template=template) as sandbox:
        function = sandbox.functions["Probe"]
        answer = function.invoke({})
        yield SimpleNamespace(invoke=function.invoke, answer=answer, how=shipped.containments[0], arn=function.arn)


def test_only_tmp_can_be_written_to(probe: SimpleNamespace, tell: Tell) -> None:
    """A handler can write to /tmp, which is empty at first, and not to its code or its layer."""
    if probe.how.files is not None:
        tell(f"NOT ISOLATED: the file system was not read-only ({probe.how.files})")
        return
    assert probe.answer["writable"] == ["/tmp"]  # noqa: S108 - Lambda's
    assert probe.answer["tmp"] == ["probe"]
    assert probe.answer["path"].index("/var/task") < probe.answer["path"].index("/opt/python")
    assert probe.answer["path"].index("/opt/python") < probe.answer["path"].index("/var/runtime")


def test_memory_is_what_the_template_says(probe: SimpleNamespace, tell: Tell) -> None:
    """A handler that takes more memory than the template gives it is ended, and the next one starts anew."""
    assert probe.invoke({"megabytes": 40}) == 40 << 20
    if probe.how.memory is not None:
        tell(f"NOT ISOLATED: memory was measured only, not limited ({probe.how.memory})")
        return
    with pytest.raises(InvocationError, match="ended"):
        probe.invoke({"megabytes": 300})
    assert probe.invoke({})["memory"] == "128"


def test_what_a_handler_is_told(probe: SimpleNamespace) -> None:
    """The context has the function's ARN and the time that is left; nothing of this machine's environment is there."""
    answer: dict[str, Any] = probe.answer
    assert answer["arn"] == probe.arn
    assert 0 < answer["left"] <= 70_000
    assert not {"HOME", "USER", "VIRTUAL_ENV"} & set(answer["environment"])


def test_what_a_handler_raises_is_reported(probe: SimpleNamespace) -> None:
    """An exception reaches whoever invoked it, with its type and words, and the process goes on."""
    with pytest.raises(InvocationError, match="ValueError: as asked"):
        probe.invoke({"raise": True})
    assert probe.invoke({})["arn"] == probe.arn
