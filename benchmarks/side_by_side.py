"""Beside access-undenied-aws, which explains denials too: same events, same account, the same fake AWS on this machine.

The other tool runs as its command does, in an environment of its own that is made here (`pip` must find it), with this
project's boto3: the one that it asks for knows neither this Python nor endpoints on this machine. Its calls are
answered over HTTP by the sandbox's account, IAM's simulator included. This service's are the processes of two of its
functions, from the layer as it is built: triage, which explains and decides, and remediate, which writes and verifies.
Their calls are answered over HTTP too, with what the sandbox answered when it played the event through, in mode auto
with a rule that allows everything. So "whole" is a process each: its start, its imports, and its work. Both are asked
how many of the ARNs that the denied call needs end up in the policy that they propose, or write.

`python -m benchmarks.side_by_side`; without a place to install from it says so and measures nothing.
"""

import contextlib
import json
import subprocess
import sys
import tempfile
import threading
import time
import venv
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl

from botocore.awsrequest import AWSPreparedRequest
from botocore.compat import HTTPHeaders
from moto.core.models import botocore_stubber
from moto.core.serialize import XFormedAttributePicker, get_serializer_class
from moto.core.utils import get_service_model
from msgspec import Struct

from benchmarks import cold_start
from benchmarks.calls import sample
from sandbox.calls import Call
from sandbox.report import report
from sandbox.running import handle, time_after
from sandbox.stack import Options, Sandbox
from sandbox.world import DEFAULT_WORLD, read_world

PACKAGE: Final = "access-undenied-aws==0.1.5"
EVENTS: Final = (
    "geographic-profile",
    "global-profile",
    "application-profile",
    "identity-policy-denies",
    "service-control-policy",
)
_ROUNDS: Final = 5
_RULES: Final = '{"version": 1, "rules": [{"name": "all", "effect": "auto", "principals": ["arn:aws:iam::*:role/**", \
"arn:aws:iam::*:user/**"], "profiles": ["*", "arn:*"]}]}'
_ANALYZE: Final = """
import io, sys, time
import boto3
from access_undenied_aws import analysis, common, organizations
session = boto3.Session()
config = common.Config()
config.session, config.account_id, config.iam_client = session, sys.argv[2], session.client("iam")
config.cross_account_role_name, config.management_account_role_arn = "AccessUndeniedRole", None
config.output_file, config.suppress_output = None, False
begun = time.perf_counter()
with open(sys.argv[1]) as file:
    analysis.analyze_cloudtrail_events(config, file)
print("seconds", time.perf_counter() - begun, file=sys.stderr)
"""


_OURS: Final = """
import json, sys, time, types
with open(sys.argv[1]) as file:
    given = json.load(file)
import app
context = types.SimpleNamespace(**given["context"], get_remaining_time_in_millis=lambda: 300_000)
begun = time.perf_counter()
answer = app.handler(given["event"], context)
print("seconds", time.perf_counter() - begun, file=sys.stderr)
assert not answer["batchItemFailures"], answer
"""


class Compared(Struct, frozen=True, kw_only=True):
    """What a tool made of one event. `allowed` of the `needed` ARNs are in the policy that it proposes or writes.

    `seconds` are of the whole process, `inside` of the work alone, each the best of some rounds.
    """

    event: str
    tool: str
    answer: str
    calls: int
    allowed: int
    needed: int
    seconds: float
    inside: float


def measure(python: Path, layer: Path) -> Iterator[Compared]:
    """Each event by both; `python` is the interpreter of the other's environment, `layer` our built layer."""
    for event in EVENTS:
        with _sandbox(event) as sandbox:
            handle(sandbox, sample(event))
            content = report(sandbox)
        row, written = content["grants"][0], json.dumps(content["policies"])
        needed = frozenset(row["resources"]) or frozenset(filter(None, (row["profile"],)))
        granted = row["state"] == "active"
        for function in ("triage", "remediate"):
            timed = _ours(function, event, layer)
            if timed:
                yield Compared(
                    event=event,
                    tool=f"this service, {function}",
                    answer=row["reason_code"],
                    calls=timed[0],
                    allowed=sum(f'"{arn}"' in written for arn in needed) if granted else 0,
                    needed=len(needed),
                    seconds=timed[1],
                    inside=timed[2],
                )
        yield min((_theirs(python, event, needed) for _ in range(_ROUNDS)), key=lambda found: found.seconds)


def _sandbox(event: str) -> Sandbox:
    options = Options(parameters={"Mode": "auto"}, allowlist={"main": _RULES}, now=time_after(sample(event)))
    return Sandbox(read_world(DEFAULT_WORLD), options)


def _ours(function: str, event: str, layer: Path) -> tuple[int, float, float] | None:
    """A function's calls, and the best seconds of its process and of its work; None where it has no part in it."""
    recording = cold_start.recorded(function, event, "auto", {"main": _RULES})
    if recording is None:
        return None
    times = []
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        given = place / "given.json"
        given.write_text(json.dumps({"event": recording.event, "context": recording.context}, default=str))
        environment = recording.environment | cold_start.environment_of(function, layer, place)
        for _ in range(_ROUNDS):
            with cold_start.answering(recording.answers) as address:
                times.append(_timed([sys.executable, "-S", "-c", _OURS, str(given)], environment, address)[:2])
    return len(recording.answers), min(whole for whole, _ in times), min(inside for _, inside in times)


def _timed(command: list[str], environment: Mapping[str, str], address: str) -> tuple[float, float, str, str]:
    """Seconds of a process, those that it says its work took, and what it printed."""
    begun = time.perf_counter()
    done = subprocess.run(  # noqa: S603 - our own
        command, env={**environment, "AWS_ENDPOINT_URL": address}, capture_output=True, text=True, check=False
    )
    ended = time.perf_counter()
    inside = done.stderr.rpartition("seconds ")[2].split()
    return ended - begun, float(inside[0]) if done.returncode == 0 and inside else 0, done.stdout, done.stderr


def _theirs(python: Path, event: str, needed: frozenset[str]) -> Compared:
    with _sandbox(event) as sandbox, tempfile.TemporaryDirectory() as folder, _moto(sandbox) as (address, calls):
        file = Path(folder) / "event.json"
        file.write_text(json.dumps(sample(event)[0].event["detail"]))
        environment = {
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "AKIASANDBOX",
            "AWS_SECRET_ACCESS_KEY": "sandbox",
        }
        command = [str(python), "-c", _ANALYZE, str(file), sandbox.world.account]
        seconds, inside, output, errors = _timed(command, environment, address)
    return Compared(
        event=event,
        tool=PACKAGE,
        answer=str(_result(output).get("AssessmentResult") or errors.strip().rpartition("\n")[2][:80]),
        calls=len(calls),
        allowed=sum(f'"{arn}"' in output for arn in needed),
        needed=len(needed),
        seconds=seconds,
        inside=inside,
    )


def _result(output: str) -> Mapping[str, Any]:
    try:
        found = json.loads(output)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _simulated(sandbox: Sandbox, region: str, asked: Mapping[str, str]) -> tuple[int, Mapping[str, Any], bytes]:
    """What the sandbox's simulator answers to a request in IAM's form: `ActionNames.member.1` and so on."""
    parameters: dict[str, Any] = {}
    for name, value in asked.items():
        top, _, rest = name.partition(".member.")
        if not rest:
            parameters[top] = value
            continue
        number, *fields = rest.split(".")
        items = parameters.setdefault(top, {})
        if not fields:
            items[int(number)] = value
        elif len(fields) == 1:
            items.setdefault(int(number), {})[fields[0]] = value
        else:
            items.setdefault(int(number), {}).setdefault(fields[0], []).append(value)
    parameters = {
        name: [value[number] for number in sorted(value)] if isinstance(value, dict) else value
        for name, value in parameters.items()
    }
    operation = parameters.pop("Action")
    call = Call(
        service="iam",
        operation=operation,
        parameters=parameters,
        region=region,
        caller=None,
        account=sandbox.world.account,
    )
    model = get_service_model("iam")
    serializer = get_serializer_class("iam", "query")(
        operation_model=model.operation_model(operation),
        pretty_print=False,
        value_picker=XFormedAttributePicker(response_transformers=None),
    )
    written = serializer.serialize(sandbox.endpoint.answers[call.name](call))
    body = written["body"]
    return written["status_code"], written["headers"], body.encode() if isinstance(body, str) else body


@contextlib.contextmanager
def _moto(sandbox: Sandbox) -> Iterator[tuple[str, list[str]]]:
    """The sandbox's account in moto, behind a server on this machine; gives its address, and the calls made."""
    calls: list[str] = []

    class Replies(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            service, region = self.headers["Authorization"].split("/")[3], self.headers["Authorization"].split("/")[2]
            calls.append(service)
            asked = dict(parse_qsl(body.decode())) if service == "iam" else {}
            if asked.get("Action", "").startswith("Simulate"):
                self._reply(*_simulated(sandbox, region, asked))
                return
            headers = HTTPHeaders()
            for key, value in self.headers.items():
                headers[key] = value
            headers["x-moto-account-id"] = sandbox.world.account
            host = f"{service}.amazonaws.com" if service == "iam" else f"{service}.{region}.amazonaws.com"
            request = AWSPreparedRequest(self.command, f"https://{host}{self.path}", headers, body, stream_output=False)
            status, given, content = botocore_stubber.process_request(request) or (501, {}, "")
            self._reply(status, given, content.encode() if isinstance(content, str) else content)

        def _reply(self, status: int, given: Mapping[str, Any], data: bytes) -> None:
            self.send_response(status)
            for key, value in given.items():
                if key.lower() not in ("content-length", "date", "server"):
                    self.send_header(key, str(value))
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST  # noqa: N815 - the base class's name

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Replies) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}", calls
        server.shutdown()
        thread.join()


@contextlib.contextmanager
def installed() -> Iterator[Path | None]:
    """The interpreter of an environment with the other tool in it; None where it cannot be installed."""
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        python = Path(folder) / "bin" / "python"
        install: list[str | Path] = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        current = [f"{name}=={version(name)}" for name in ("boto3", "botocore", "s3transfer", "urllib3")]
        # It imports pkg_resources, which setuptools no longer brings.
        steps = ([PACKAGE, "setuptools<80"], ["--upgrade", "--no-deps", *current])
        done = [subprocess.run([*install, *step], capture_output=True, check=False) for step in steps]  # noqa: S603
        yield python if not any(each.returncode for each in done) else None


def main() -> None:
    """Print what both made of each event."""
    with installed() as python:
        if python is None:
            sys.exit(f"{PACKAGE} could not be installed here")
        print(*Compared.__struct_fields__, sep="\t")
        with cold_start.built_layer() as layer:
            rows = list(measure(python, layer))
        for each in rows:
            values = (getattr(each, name) for name in Compared.__struct_fields__)
            print(*(f"{value:.2f}" if isinstance(value, float) else value for value in values), sep="\t", flush=True)


if __name__ == "__main__":
    main()
