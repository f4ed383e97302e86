"""Runs what ships: the built functions and layer, in processes of their own, as Lambda's Python runtime does.

```python
with Shipped(Path(".aws-sam/build"), Path(".runtime/newest"), python) as shipped:
    sandbox = Sandbox(world, Options(make_function=shipped.function, ticking=True, now=now))
    shipped.endpoint = sandbox.endpoint
    with sandbox:
        ...
```

A process is AWS's own runtime interface client (awslambdaric) with the boto3 beside it, which asks a Runtime API here
for work. It has the environment that CloudFormation would give the function, beside what Lambda adds; calls
`https://….amazonaws.com` by the endpoint rules that the layer ships; and is contained (`sandbox/containment.py`).
"""

import contextlib
import json
import os
import queue
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from http.server import ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Final, Self

from msgspec import Struct

from sandbox.clock import VirtualClock
from sandbox.endpoint import Endpoint
from sandbox.http_server import QuietHandler
from sandbox.interception import Interception
from sandbox.lambdas import Context, Function, Handler
from sandbox.sessions import SECRET
from sandbox.template import Stack

_VERSION: Final = "2018-06-01"
_LONGEST_START: Final = 60
_CGROUPS: Final = (Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup"))
_CONTAINMENT: Final = Path(__file__).with_name("containment.py")
_MEBIBYTE: Final = 1024


class HandlerError(Exception):
    """The handler raised, or its process ended; the message says what, as Lambda would report it."""


class Cell(Struct, frozen=True, kw_only=True):
    """What a process is given: folders, limits, and the environment (`sandbox/containment.py` reads it as JSON).

    `{task}`, `{layer}`, `{runtime}` and `{certificate}` in the environment stand for where those will be.
    """

    task: str
    layer: str
    runtime: str
    root: str
    certificate: str
    cgroup: str
    megabytes: int
    report: int
    command: tuple[str, ...]
    environment: Mapping[str, str]


class Containment(Struct, frozen=True, kw_only=True):
    """How far this machine allowed a process to be contained: None, or why not."""

    files: str | None
    memory: str | None
    task: str
    layer: str
    runtime: str


class RuntimeApi:
    """Lambda's Runtime API for one process: hands it events, and takes its answers."""

    def __init__(self, arn: str) -> None:
        self._arn = arn
        self._work: queue.Queue[tuple[str, float, bytes] | None] = queue.Queue()
        self._ends: queue.Queue[tuple[str, bytes]] = queue.Queue()
        handler = type("_Handler", (_Handler,), {"api": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self.address = f"127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def give(self, request_id: str, seconds: float, event: bytes) -> None:
        """Have the process handle an event within so many seconds from when it asks for it: it has started by then."""
        self._work.put((request_id, seconds, event))

    def take(self, seconds: float) -> tuple[str, bytes] | None:
        """How an event ended (`response`, `error` or `init`) and the body; None if nothing came in so many seconds."""
        with contextlib.suppress(queue.Empty):
            return self._ends.get(timeout=seconds)
        return None

    def close(self) -> None:
        """Serve no more."""
        self._work.put(None)
        self._server.shutdown()
        self._server.server_close()

    def next(self) -> tuple[list[tuple[str, str]], bytes] | None:
        """What the process is to do next, when there is something; None at the end."""
        work = self._work.get()
        if work is None:
            return None
        request_id, seconds, event = work
        headers = [
            ("Content-Type", "application/json"),
            ("Lambda-Runtime-Aws-Request-Id", request_id),
            ("Lambda-Runtime-Deadline-Ms", str(int((time.time() + seconds) * 1000))),
            ("Lambda-Runtime-Invoked-Function-Arn", self._arn),
        ]
        return headers, event

    def end(self, how: str, body: bytes) -> None:
        """Take the process's word on how it ended."""
        self._ends.put((how, body))


class _Handler(QuietHandler):
    api: ClassVar[RuntimeApi]
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:  # noqa: N802 - http.server's name
        work = self.api.next() if self.path == f"/{_VERSION}/runtime/invocation/next" else None
        if work is None:
            self.send(HTTPStatus.NOT_FOUND, [], b"")
        else:
            self.send(HTTPStatus.OK, work[0], work[1])

    def do_POST(self) -> None:  # noqa: N802 - http.server's name
        body = self._body()
        match self.path.strip("/").split("/"):
            case [_, "runtime", "invocation", _, "response" | "error" as how]:
                self.api.end(how, body)
            case [_, "runtime", "init", "error"]:
                self.api.end("init", body)
        self.send(HTTPStatus.ACCEPTED, [("Content-Type", "application/json")], b'{"status":"OK"}')

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body


class Process:
    """One execution environment of a function.

    Attributes:
        containment: How far it is contained.
        peak: The most memory that it held, in MB, as far as is known.
        ended: Whether it was ended.
    """

    def __init__(self, cell: Cell, arn: str, python: str, log: Path) -> None:
        self._api = RuntimeApi(arn)
        self._log = log
        self._cgroup = cell.cgroup
        self.peak = 0.0
        self.ended = False
        read, write = os.pipe()
        whole = {name: getattr(cell, name) for name in cell.__struct_fields__}
        whole["report"] = write
        whole["environment"] = {**cell.environment, "AWS_LAMBDA_RUNTIME_API": self._api.address}
        with log.open("ab") as output:
            self._process = subprocess.Popen(  # noqa: S603 - our own script
                [python, "-I", str(_CONTAINMENT), json.dumps(whole)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                pass_fds=[write],
            )
        os.close(write)
        with os.fdopen(read, "rb") as report:
            said = report.read()
        if not said:
            self.end()
            raise HandlerError(f"it did not start; its output is in {log}")
        self.containment = Containment(**json.loads(said))

    def handle(self, request_id: str, event: bytes, seconds: float, *, cold: bool) -> Any:
        """Have the handler handle an event; gives its answer.

        Raises:
            HandlerError: It raised, took longer, or ended.
        """
        allowed = seconds + (_LONGEST_START if cold else 0)
        self._api.give(request_id, seconds, event)
        until = time.monotonic() + allowed
        ended = None
        while ended is None and time.monotonic() < until and self._process.poll() is None:
            ended = self._api.take(0.2)
        ended = ended or self._api.take(0)
        self._measure()
        if ended is None:
            code = self._process.poll()
            self.end()
            how = f"took longer than {seconds} s" if code is None else f"ended ({code})"
            raise HandlerError(f"the process {how}; its output is in {self._log}")
        how, body = ended
        if how != "response":
            said = json.loads(body)
            if how == "init":
                self.end()
            raise HandlerError(f"{said.get('errorType')}: {said.get('errorMessage')}; its output is in {self._log}")
        return json.loads(body)

    def end(self) -> None:
        """End the process; nothing happens if it has ended."""
        if self.ended:
            return
        self.ended = True
        self._process.kill()
        self._process.wait()
        self._api.close()
        for folder in _CGROUPS:
            with contextlib.suppress(OSError):
                (folder / self._cgroup).rmdir()

    def _measure(self) -> None:
        with contextlib.suppress(OSError):
            text = Path(f"/proc/{self._process.pid}/status").read_text(encoding="ascii")
            found = next((line for line in text.splitlines() if line.startswith("VmHWM:")), "VmHWM: 0 kB")
            self.peak = max(self.peak, int(found.split()[1]) / _MEBIBYTE)


class BuiltFunction(Function):
    """A function of the stack as `sam build` made it, in processes of its own."""

    def __init__(self, shipped: "Shipped", stack: Stack, logical_id: str, root: Path, clock: VirtualClock) -> None:
        super().__init__(stack, logical_id, root, clock)
        self._shipped = shipped
        self._variables_of_template = stack.properties(logical_id).get("Environment", {}).get("Variables", {})
        self._region = stack.place.region
        self._handler_name = str(stack.properties(logical_id)["Handler"])
        self.processes: dict[int, Process] = {}

    def forget(self) -> None:
        """End its processes: the next invocation is a cold start."""
        super().forget()
        for process in self.processes.values():
            process.end()
        self.processes.clear()

    def _load(self, environment: int) -> Handler:
        def handle(event: Any, context: Context) -> Any:
            cold = environment not in self.processes
            if cold:
                self.processes[environment] = self._shipped.start(self._cell(environment), self)
            process = self.processes[environment]
            try:
                return process.handle(context.aws_request_id, json.dumps(event).encode(), self.timeout, cold=cold)
            except HandlerError:
                if process.ended:
                    del self.processes[environment]
                raise

        return handle

    def _cell(self, environment: int) -> Cell:
        shipped = self._shipped
        name = f"bedrock-access-remediator-{os.getpid()}-{self.logical_id}-{environment}"
        return Cell(
            task=str(shipped.build / self.logical_id),
            layer=str(shipped.build / "RemediatorLayer"),
            runtime=str(shipped.runtime),
            root=str(shipped.root),
            certificate=str(shipped.certificate),
            cgroup=name,
            megabytes=self.memory,
            report=-1,
            command=("awslambdaric", self._handler_name),
            environment=self._whole_environment(),
        )

    def _whole_environment(self) -> dict[str, str]:
        """The template's variables and Lambda's own, and how AWS is reached from here."""
        return {
            **{name: str(value) for name, value in self._variables_of_template.items()},
            "_HANDLER": self._handler_name,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_REGION": self._region,
            "AWS_DEFAULT_REGION": self._region,
            "AWS_EXECUTION_ENV": "AWS_Lambda_python3.13",
            "AWS_LAMBDA_FUNCTION_NAME": self.name,
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(self.memory),
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{self.name}",
            "AWS_LAMBDA_LOG_STREAM_NAME": "sandbox",
            "LAMBDA_TASK_ROOT": "{task}",
            "LAMBDA_RUNTIME_DIR": "{runtime}",
            "PYTHONPATH": "{layer}/python:{runtime}",
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "LANG": "en_US.UTF-8",
            "TZ": ":UTC",
            "HTTPS_PROXY": self._shipped.proxy,
            "AWS_CA_BUNDLE": "{certificate}",
            "SSL_CERT_FILE": "{certificate}",
        }


class Shipped:
    """What `sam build` made, with a runtime to run it in. A context manager: its processes end with it.

    Args:
        build: The folder of the built functions and layer.
        runtime: The folder that stands for Lambda's `/var/runtime`: awslambdaric and boto3.
        python: The interpreter of the template's runtime.
        others: Host outside AWS -> the address that stands for it.
    """

    def __init__(self, build: Path, runtime: Path, python: str, others: Mapping[str, str] | None = None) -> None:
        self.build = build.resolve()
        self.runtime = runtime.resolve()
        self.endpoint: Endpoint | None = None
        self.functions: list[BuiltFunction] = []
        self.containments: list[Containment] = []
        self._python = python
        self._others = others or {}
        self._closing = contextlib.ExitStack()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as opened:
            folder = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="shipped-")))
            self.root = folder / "root"
            self.root.mkdir()
            self.logs = Path(tempfile.mkdtemp(prefix="shipped-logs-"))
            interception = opened.enter_context(Interception(self._answering, folder, self._others))
            self.proxy, self.certificate = interception.url, interception.certificate
            opened.callback(self._end)
            self._closing = opened.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.close()

    def function(
        self, stack: Stack, logical_id: str, root: Path, clock: VirtualClock, replaced: Mapping[str, str]
    ) -> BuiltFunction:
        """A function of a stack; addresses outside stay as they are, and `others` stand for them."""
        del replaced
        made = BuiltFunction(self, stack, logical_id, root, clock)
        self.functions.append(made)
        return made

    def start(self, cell: Cell, function: Function) -> Process:
        """Start a process."""
        process = Process(cell, function.arn, self._python, self.logs / f"{function.logical_id}.log")
        self.containments.append(process.containment)
        return process

    @property
    def processes(self) -> Iterable[tuple[BuiltFunction, Process]]:
        """Those that run, with their functions."""
        return [(function, process) for function in self.functions for process in function.processes.values()]

    def _answering(self) -> Endpoint:
        if self.endpoint is None:
            raise RuntimeError("no sandbox's endpoint is connected")
        return self.endpoint

    def _end(self) -> None:
        for function in self.functions:
            function.forget()
