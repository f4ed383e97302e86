"""A cold start, counted in instructions, against what any function that uses these services pays.

The floor imports boto3 and makes clients of IAM, SNS and DynamoDB, and calls nothing. A function is measured from the
layer as it is built, by its handler's import alone, and by the import and one whole event: the sandbox plays the
event through first, and what AWS answered there is answered again, over HTTP, to the function alone in a process.

Instructions are valgrind's (callgrind), with Python's hash seed fixed: the same on any machine of one architecture,
to a few in a thousand. Waiting costs none. Run it by itself (`python -m benchmarks.cold_start`): it takes minutes.
"""

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar, Final
from unittest.mock import patch

from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from msgspec import Struct

from benchmarks.calls import RULES
from benchmarks.parse import EVENTS
from sandbox.deciding import decide_all
from sandbox.endpoint import Endpoint
from sandbox.lambdas import Context, Function
from sandbox.running import handle, read_allowlist, read_events
from sandbox.stack import Options, Sandbox
from sandbox.world import DEFAULT_WORLD, read_world

Answer = tuple[int, Mapping[str, str], bytes]
"""Status, headers and body."""

ROOT: Final = EVENTS.parent
FLOOR: Final = """
import boto3
for service in ("iam", "sns", "dynamodb"):
    boto3.client(service, region_name="us-east-1")
"""
FLOOR_AND_CALLS: Final = """
import boto3
iam, sns, dynamodb = (boto3.client(service, region_name="us-east-1") for service in ("iam", "sns", "dynamodb"))
iam.get_role(RoleName="role")
sns.publish(TopicArn="arn:aws:sns:us-east-1:123456789012:topic", Message="message")
dynamodb.get_item(TableName="table", Key={"pk": {"S": "key"}})
"""
_FLOOR_ANSWERS: Final[Sequence[Answer]] = (
    (200, {}, b"<GetRoleResponse><GetRoleResult></GetRoleResult></GetRoleResponse>"),
    (200, {}, b"<PublishResponse><PublishResult><MessageId>1</MessageId></PublishResult></PublishResponse>"),
    (200, {}, b"{}"),
)
_RUNTIME: Final = ("boto3", "botocore", "dateutil", "jmespath", "s3transfer", "urllib3")
_IMPORT: Final = "import app\n"
_EVENT: Final = """
import json, sys, types
import app
with open(sys.argv[1]) as file:
    given = json.load(file)
context = types.SimpleNamespace(**given["context"], get_remaining_time_in_millis=lambda: 300_000)
answer = app.handler(given["event"], context)
assert not answer.get("batchItemFailures") and answer.get("statusCode", 200) == 200, answer
"""
_MEASURED_IN_PROCESS: Final = """
with open("/proc/self/status") as file:
    print("peak", next(line.split()[1] for line in file if line.startswith("VmHWM")))
"""
_COLLECTED: Final = re.compile(r"Collected : (\d+)")


class Recording(Struct):
    """What one function was given first, and what AWS answered to it until it was done."""

    environment: dict[str, str]
    event: Mapping[str, Any]
    context: dict[str, Any]
    answers: list[Answer]


class Started(Struct, frozen=True):
    """Millions of instructions and peak memory in MB of one start, and how many times the floor's instructions."""

    name: str
    instructions: float
    ratio: float
    megabytes: float


class _Case(Struct, frozen=True):
    """A function, and the event in `events/` and the mode that bring it its work; without an event, its import."""

    name: str
    function: str
    event: str | None = None
    mode: str = "auto"


CASES: Final = (
    _Case("triage, import", "triage"),
    _Case("remediate, import", "remediate"),
    _Case("notify, import", "notify"),
    _Case("triage, a refusal", "triage", "service-control-policy"),
    _Case("triage, a first automatic grant", "triage", "geographic-profile"),
    _Case("remediate, a grant written and verified", "remediate", "geographic-profile"),
    _Case("notify, a grant made", "notify", "geographic-profile"),
    _Case("notify, a request with links", "notify", "global-profile", "approve"),
    _Case("approve, import", "approve"),
    _Case("approve, the page of a request", "approve", "global-profile", "approve"),
)


def measure(layer: Path) -> Iterator[Started]:
    """The floor, then each case. `layer` is a built layer's `python` folder.

    Raises:
        subprocess.CalledProcessError: A start failed; its output has been shown.
    """
    _compile_runtime()
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        floor, peak = _cost(place, FLOOR, _environment(layer, ROOT), ())
        yield Started("boto3 and three clients (the floor)", floor / 1e6, 1, peak)
        found, peak = _cost(place, FLOOR_AND_CALLS, _environment(layer, ROOT), _FLOOR_ANSWERS)
        yield Started("the same, and one call by each", found / 1e6, found / floor, peak)
        for case in CASES:
            mode = "approve" if case.function == "approve" else case.mode
            recording = recorded(case.function, case.event or "geographic-profile", mode)
            assert recording, case
            environment = recording.environment | environment_of(case.function, layer, place)
            if case.event is None:
                found, peak = _cost(place, _IMPORT, environment, ())
            else:
                found, peak = _cost(place, _EVENT, environment, recording.answers, recording)
            yield Started(case.name, found / 1e6, found / floor, peak)


def _compile_runtime() -> None:
    """Have boto3 and what it brings compiled, as on Lambda: an environment that was copied has stale `.pyc`."""
    folders = [f"{sysconfig.get_path('purelib')}/{name}" for name in _RUNTIME]
    subprocess.run([sys.executable, "-m", "compileall", "-q", *folders], check=True)  # noqa: S603


def recorded(function: str, event: str, mode: str, allowlist: Mapping[str, str] | None = None) -> Recording | None:
    """Play an event through the sandbox, as of now, and keep what a function's first invocation saw; None for none."""
    now = datetime.now(UTC).replace(microsecond=0)
    given = read_events([EVENTS / f"{event}.json"])
    given[0].event["detail"]["eventTime"] = f"{now - timedelta(minutes=15):%Y-%m-%dT%H:%M:%SZ}"
    parameters = {"Mode": mode, "PolicyStrategy": "managed", "VerifySeconds": "0"}
    recordings: dict[str, Recording] = {}
    invoke, serve = Function.invoke, Endpoint.serve
    running: list[str] = []

    def invoked(self: Function, event: Mapping[str, Any]) -> Any:
        if self.logical_id not in recordings:
            running.append(self.logical_id)
            recordings[self.logical_id] = Recording(dict(self._environment), event, _context(self), [])
        try:
            return invoke(self, event)
        finally:
            running.clear()

    def served(
        self: Endpoint, operation: str, parameters: Mapping[str, Any], request: AWSPreparedRequest
    ) -> AWSResponse:
        response = serve(self, operation, parameters, request)
        for name in running:
            recordings[name].answers.append((response.status_code, dict(response.headers), response.content))
        return response

    with (
        patch.object(Function, "invoke", invoked),
        patch.object(Endpoint, "serve", served),
        Sandbox(
            read_world(DEFAULT_WORLD),
            Options(parameters=parameters, allowlist=allowlist or read_allowlist(RULES), now=now),
        ) as sandbox,
    ):
        handle(sandbox, given)
        decide_all(sandbox, "approve")
    return recordings.get(f"{function.capitalize()}Function")


def _context(function: Function) -> dict[str, Any]:
    return vars(Context(function, "00000000-0000-0000-0000-000000000000", lambda: 300)) | {"_seconds_left": None}


def environment_of(function: str, layer: Path, place: Path) -> dict[str, str]:
    """What a function's process is given beside its own variables; `place` is a folder to work in."""
    # A function is shipped as source: Lambda compiles its few lines at every start.
    folder = place / function
    shutil.copytree(ROOT / "functions" / function, folder, dirs_exist_ok=True)
    shutil.rmtree(folder / "__pycache__", ignore_errors=True)
    return _environment(layer, folder)


def _environment(layer: Path, folder: Path) -> dict[str, str]:
    """The layer first, as on Lambda; boto3 from this environment, as it were the runtime's."""
    paths = (folder, layer, sysconfig.get_path("purelib"))
    return {
        "PYTHONPATH": os.pathsep.join(map(str, paths)),
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
        "AWS_ACCESS_KEY_ID": "AKIASANDBOX",
        "AWS_SECRET_ACCESS_KEY": "sandbox",
    }


def _cost(
    place: Path,
    code: str,
    environment: Mapping[str, str],
    answers: Sequence[Answer],
    recording: Recording | None = None,
) -> tuple[int, float]:
    """Instructions under callgrind, and peak memory in MB without it."""
    arguments = []
    if recording is not None:
        given = place / "given.json"
        given.write_text(json.dumps({"event": recording.event, "context": recording.context}, default=str))
        arguments = [str(given)]
    with answering(answers) as address:
        output = _run([sys.executable, "-S", "-c", code + _MEASURED_IN_PROCESS, *arguments], environment, address)
    valgrind = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={os.devnull}"]
    with answering(answers) as address:
        counted = _run([*valgrind, sys.executable, "-S", "-c", code, *arguments], environment, address)
    found = _COLLECTED.search(counted)
    assert found, counted
    return int(found[1]), int(output.rpartition("peak ")[2]) / 1024


def _run(command: list[str], environment: Mapping[str, str], address: str) -> str:
    done = subprocess.run(  # noqa: S603 - our own
        command, env={**environment, "AWS_ENDPOINT_URL": address}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        print(done.stdout, done.stderr, file=sys.stderr)
        done.check_returncode()
    return done.stdout + done.stderr


@contextlib.contextmanager
def answering(answers: Sequence[Answer]) -> Iterator[str]:
    """A server on this machine that gives these answers in their order; gives its address."""
    waiting = iter(answers)

    class Replies(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        lock: ClassVar = threading.Lock()

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            with self.lock:
                status, headers, body = next(waiting, (404, {}, b"{}"))
            self.send_response(status)
            for key, value in headers.items():
                if key.lower() not in ("content-length", "transfer-encoding", "date", "server"):
                    self.send_header(key, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_PUT = do_POST  # noqa: N815 - the base class's names

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Replies) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@contextlib.contextmanager
def built_layer() -> Iterator[Path]:
    """The layer as `sam build` makes it, made anew."""
    with tempfile.TemporaryDirectory() as name:
        subprocess.run(  # noqa: S603
            [  # noqa: S607 - make, wherever it is
                "make",
                "--quiet",
                "--directory",
                str(ROOT / "layers" / "remediator"),
                "build-RemediatorLayer",
                f"ARTIFACTS_DIR={name}",
                f"LAMBDA_PYTHON={sys.executable}",
            ],
            check=True,
            capture_output=True,
        )
        yield Path(name) / "python"


def main() -> None:
    """Build the layer, and print each start as it is measured."""
    with built_layer() as layer:
        print(f"{'start':42}{'million instructions':>22}{'times':>7}{'peak MB':>9}")
        for each in measure(layer):
            print(f"{each.name:42}{each.instructions:22.0f}{each.ratio:7.2f}{each.megabytes:9.0f}", flush=True)


if __name__ == "__main__":
    main()
