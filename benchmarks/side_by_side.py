"""Beside access-undenied-aws, which explains denials too: same events, same account, the same fake AWS on this machine.

The other tool runs as its command does, in an environment of its own that is made here (`pip` must find it), with this
project's boto3: the one that it asks for knows neither this Python nor endpoints on this machine. Its calls are
answered by moto over HTTP; denials for which it asks the simulator are left out, as moto has none. Ours runs in the
sandbox in mode auto, with a rule that allows everything. Both are asked how many of the ARNs that the denied call
needs end up in the policy that they propose, or write.

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

from botocore.awsrequest import AWSPreparedRequest
from botocore.compat import HTTPHeaders
from moto.core.models import botocore_stubber
from msgspec import Struct

from benchmarks.calls import sample
from sandbox.report import report
from sandbox.running import handle, time_after
from sandbox.stack import Options, Sandbox
from sandbox.world import DEFAULT_WORLD, read_world

PACKAGE: Final = "access-undenied-aws==0.1.5"
EVENTS: Final = ("geographic-profile", "global-profile", "application-profile")
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


class Compared(Struct, frozen=True, kw_only=True):
    """What a tool made of one event. `allowed` of the `needed` ARNs are in the policy that it proposes or writes.

    `seconds` are of the whole process, `inside` of the work alone.
    """

    event: str
    tool: str
    answer: str
    calls: int
    allowed: int
    needed: int
    seconds: float
    inside: float


def measure(python: Path) -> Iterator[Compared]:
    """Each event by both; `python` is the interpreter of the other's environment."""
    for event in EVENTS:
        ours, needed = _ours(event)
        yield ours
        yield _theirs(python, event, needed)


def _sandbox(event: str) -> Sandbox:
    options = Options(parameters={"Mode": "auto"}, allowlist={"main": _RULES}, now=time_after(sample(event)))
    return Sandbox(read_world(DEFAULT_WORLD), options)


def _ours(event: str) -> tuple[Compared, frozenset[str]]:
    begun = time.perf_counter()
    with _sandbox(event) as sandbox:
        started = time.perf_counter()
        handle(sandbox, sample(event))
        ended = time.perf_counter()
        content = report(sandbox)
    row = content["grants"][0]
    needed = frozenset(row["resources"])
    written = json.dumps(content["policies"])
    return Compared(
        event=event,
        tool="this service",
        answer=row["reason_code"],
        calls=sum(content["calls"].values()),
        allowed=sum(f'"{arn}"' in written for arn in needed),
        needed=len(needed),
        seconds=ended - begun,
        inside=ended - started,
    ), needed


def _theirs(python: Path, event: str, needed: frozenset[str]) -> Compared:
    with _sandbox(event) as sandbox, tempfile.TemporaryDirectory() as folder, _moto(sandbox) as (address, calls):
        file = Path(folder) / "event.json"
        file.write_text(json.dumps(sample(event)[0].event["detail"]))
        environment = {
            "AWS_ENDPOINT_URL": address,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "AKIASANDBOX",
            "AWS_SECRET_ACCESS_KEY": "sandbox",
        }
        begun = time.perf_counter()
        done = subprocess.run(  # noqa: S603 - the interpreter that was made for it
            [python, "-c", _ANALYZE, str(file), sandbox.world.account],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        ended = time.perf_counter()
    answer = _result(done.stdout)
    inside = done.stderr.rpartition("seconds ")[2].strip()
    return Compared(
        event=event,
        tool=PACKAGE,
        answer=str(answer.get("AssessmentResult") or done.stderr.strip().rpartition("\n")[2][:80]),
        calls=len(calls),
        allowed=sum(f'"{arn}"' in done.stdout for arn in needed),
        needed=len(needed),
        seconds=ended - begun,
        inside=float(inside) if done.returncode == 0 else 0,
    )


def _result(output: str) -> Mapping[str, Any]:
    try:
        found = json.loads(output)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


@contextlib.contextmanager
def _moto(sandbox: Sandbox) -> Iterator[tuple[str, list[str]]]:
    """The sandbox's account in moto, behind a server on this machine; gives its address, and the calls made."""
    calls: list[str] = []

    class Replies(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            service, region = self.headers["Authorization"].split("/")[3], self.headers["Authorization"].split("/")[2]
            calls.append(service)
            headers = HTTPHeaders()
            for key, value in self.headers.items():
                headers[key] = value
            headers["x-moto-account-id"] = sandbox.world.account
            host = f"{service}.amazonaws.com" if service == "iam" else f"{service}.{region}.amazonaws.com"
            request = AWSPreparedRequest(self.command, f"https://{host}{self.path}", headers, body, stream_output=False)
            status, given, content = botocore_stubber.process_request(request) or (501, {}, "")
            data = content.encode() if isinstance(content, str) else content
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
        for each in measure(python):
            values = (getattr(each, name) for name in Compared.__struct_fields__)
            print(*(f"{value:.2f}" if isinstance(value, float) else value for value in values), sep="\t", flush=True)


if __name__ == "__main__":
    main()
