"""Lambda: loads a function's code as the template says, and invokes it in an environment of its own."""

import contextlib
import functools
import importlib.util
import itertools
import json
import os
import traceback
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

from msgspec import Struct

from sandbox.clock import DeadlineError, VirtualClock
from sandbox.faults import DeathError
from sandbox.interleaving import Interleaving
from sandbox.output import FUNCTION_OUTPUT
from sandbox.sessions import SECRET, only, session
from sandbox.template import SOURCE_BUCKET, Stack

_KEPT: Final = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "PYTHONHASHSEED", "COVERAGE_PROCESS_START")
_DEFAULT_TIMEOUT: Final = 3


Handler = Callable[[Any, "Context"], Any]


class InvocationError(Exception):
    """A function raised, or ran out of time; the message says which and what."""


class Context:
    """What Lambda tells a handler about its invocation."""

    def __init__(self, function: "Function", request_id: str, seconds_left: Callable[[], float]) -> None:
        self.function_name = function.name
        self.function_version = "$LATEST"
        self.invoked_function_arn = function.arn
        self.memory_limit_in_mb = function.memory
        self.aws_request_id = request_id
        self.log_group_name = f"/aws/lambda/{function.name}"
        self.log_stream_name = "sandbox"
        self._seconds_left = seconds_left

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds of virtual time until the timeout."""
        return max(0, int(self._seconds_left() * 1000))


class Invocation(Struct, frozen=True, kw_only=True):
    """One invocation, for the story: how many records it was given, and the error it ended with."""

    function: str
    records: int
    error: str | None = None


class Function:
    """A function of the stack.

    Args:
        stack: The stack.
        logical_id: The function's logical id.
        root: The folder that the template is in.
        clock: Virtual time, for the timeout.
        replaced: Values of the environment that are others here: addresses outside this machine.
    """

    def __init__(
        self,
        stack: Stack,
        logical_id: str,
        root: Path,
        clock: VirtualClock,
        replaced: Mapping[str, str] | None = None,
    ) -> None:
        properties = stack.properties(logical_id)
        self.logical_id = logical_id
        self.arn = stack.arn(logical_id)
        self.name = stack.ref(logical_id)
        self.role: str = properties["Role"]
        self.timeout = int(properties.get("Timeout", _DEFAULT_TIMEOUT))
        self.memory = int(properties.get("MemorySize", 128))
        self.access_key = f"ASIA{logical_id.upper()}"
        self.invocations: list[Invocation] = []
        self._clock = clock
        self._handler: str = properties["Handler"]
        self._folder = _source(properties["Code"], root)
        self._environment = self._variables(properties, stack.place.region, replaced or {})
        self._session = session(self.access_key, stack.place.region)
        self._loaded: dict[int, Handler] = {}
        self._numbers = itertools.count(1)

    def _variables(self, properties: Mapping[str, Any], region: str, replaced: Mapping[str, str]) -> dict[str, str]:
        given = properties.get("Environment", {}).get("Variables", {})
        return {
            **{name: os.environ[name] for name in _KEPT if name in os.environ},
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_REGION": region,
            "AWS_DEFAULT_REGION": region,
            "AWS_LAMBDA_FUNCTION_NAME": self.name,
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(self.memory),
            "AWS_EXECUTION_ENV": f"AWS_Lambda_{properties.get('Runtime', 'python3.13')}",
            # A person's own configuration must not leak in.
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            **{name: replaced.get(str(value), str(value)) for name, value in given.items()},
        }

    @contextlib.contextmanager
    def _environed(self) -> Iterator[None]:
        with (
            patch.dict(os.environ, self._environment, clear=True),
            only(self._session),
            FUNCTION_OUTPUT.captured(),
        ):
            yield

    def invoke(self, event: Mapping[str, Any]) -> Any:
        """Call the handler with a copy of the event; gives its answer, as JSON would carry it.

        Raises:
            InvocationError: It raised, ran out of time, or answered what is no JSON.
        """
        with self._environed():
            return self._run(event, environment=0)

    def invoke_together(self, events: Sequence[Mapping[str, Any]], turns: Interleaving) -> list[Any]:
        """Call the handler once an event, all at once, each in an execution environment of its own.

        Gives the answers in the events' order, an InvocationError in the place of one that failed.
        """
        with self._environed():
            ended = turns.run(
                [functools.partial(self._run, event, environment=index) for index, event in enumerate(events)]
            )
        return [end.result if end.error is None else end.error for end in ended]

    def forget(self) -> None:
        """Drop its execution environments, as Lambda does when nobody calls: the next invocation is a cold start."""
        self._loaded.clear()

    def _run(self, event: Mapping[str, Any], *, environment: int) -> Any:
        request_id = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{self.arn}/{next(self._numbers)}"))
        records = len(event.get("Records", ()))
        try:
            with self._clock.limited(self.timeout) as seconds_left:
                handler = self._load(environment)
                answer = handler(json.loads(json.dumps(event)), Context(self, request_id, seconds_left))
                answer = json.loads(json.dumps(answer))
        except DeadlineError:
            self._loaded.pop(environment, None)
            raise self._failed(records, f"timed out after {self.timeout} seconds") from None
        except DeathError:
            self._loaded.pop(environment, None)
            raise self._failed(records, "the environment is gone") from None
        except Exception as error:
            FUNCTION_OUTPUT.write(traceback.format_exc())
            raise self._failed(records, f"{type(error).__name__}: {error}") from error
        self.invocations.append(Invocation(function=self.logical_id, records=records))
        return answer

    def _failed(self, records: int, error: str) -> InvocationError:
        self.invocations.append(Invocation(function=self.logical_id, records=records, error=error))
        return InvocationError(f"{self.logical_id}: {error}")

    def _load(self, environment: int) -> Handler:
        """The handler of an execution environment; its first invocation loads the module, as a cold start does."""
        if environment not in self._loaded:
            self._session.refill_quotas()
            module_name, _, attribute = self._handler.rpartition(".")
            path = self._folder / f"{module_name}.py"
            name = f"sandbox_function_{self.logical_id}_{environment}_{id(self)}"
            spec = importlib.util.spec_from_file_location(name, path)
            if spec is None or spec.loader is None or not path.is_file():
                raise FileNotFoundError(f"{self.logical_id}: there is no {path}")
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
            self._loaded[environment] = getattr(module, attribute)
        return self._loaded[environment]


def _source(code: Mapping[str, str], root: Path) -> Path:
    if code.get("S3Bucket") != SOURCE_BUCKET:
        raise FileNotFoundError(f"the code of a function is not in this repository: {code}")
    return root / code["S3Key"]
