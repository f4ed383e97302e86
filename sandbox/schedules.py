"""EventBridge Scheduler, as far as it starts functions: asynchronously, with retries, and with dead letters."""

import contextlib
import json
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from sandbox.authorization import Authorization
from sandbox.clock import VirtualClock
from sandbox.intrinsics import TemplateError
from sandbox.lambdas import Function, InvocationError
from sandbox.queues import Queue
from sandbox.template import Stack

_RATE = re.compile(r"rate\((\d+) (minute|hour|day)s?\)")
_RETRIES: Final = 2
"""How often Lambda tries again what was invoked asynchronously, where nobody says otherwise."""
_WAITS: Final = (60, 120)
"""Seconds that it waits before it does so."""


class Schedule:
    """A schedule of the template. It does not start by itself: `start()` is its hour come.

    `every` is the time between two starts, None where a calendar (`cron`) says when; `input` is the function's event.

    Raises:
        TemplateError: Its target is no function of this stack, or its role may not invoke it.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - everything that a schedule is joined to
        self,
        stack: Stack,
        name: str,
        functions: Mapping[str, Function],
        queues: Mapping[str, Queue],
        authorization: Authorization,
        clock: VirtualClock,
    ) -> None:
        properties = stack.properties(name)
        target = properties["Target"]
        if target["Arn"] not in functions:
            raise TemplateError(f"{name}: {target['Arn']} is no function of this stack")
        self.name = name
        self._clock = clock
        self.every = _every(properties["ScheduleExpression"], name)
        self._function = functions[target["Arn"]]
        self.input = _input(target, name)
        authorization.need(target["RoleArn"], ("lambda:InvokeFunction",), self._function.arn, name)
        invocation = _invocation(stack, self._function)
        self._retries = int(invocation.get("MaximumRetryAttempts", _RETRIES))
        aside = invocation.get("DestinationConfig", {}).get("OnFailure", {}).get("Destination")
        if aside:
            authorization.need(self._function.role, ("sqs:SendMessage",), aside, name)
        self._aside = queues[aside] if aside else None

    def start(self) -> Any:
        """Invoke the function, again if it fails; gives its answer.

        Raises:
            InvocationError: It kept failing. The event went where the function's failures go.
        """
        for wait in _WAITS[: self._retries]:
            with contextlib.suppress(InvocationError):
                return self._function.invoke(self.input)
            self._clock.advance(wait)
        try:
            return self._function.invoke(self.input)
        except InvocationError as error:
            if self._aside is not None:
                self._aside.send(json.dumps(_gave_up(self._function, self.input, self._retries + 1, str(error))))
            raise


def _every(expression: str, name: str) -> timedelta | None:
    if expression.startswith("cron("):
        return None
    found = _RATE.fullmatch(expression)
    if found is None:
        raise TemplateError(f"{name}: the sandbox knows no schedule {expression!r}")
    return timedelta(**{f"{found[2]}s": int(found[1])})


def _input(target: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    try:
        value = json.loads(target.get("Input", "{}"))
    except ValueError as error:
        raise TemplateError(f"{name}: its input is not JSON") from error
    if not isinstance(value, dict):
        raise TemplateError(f"{name}: its input is no object")
    return value


def _invocation(stack: Stack, function: Function) -> Mapping[str, Any]:
    """How the function takes asynchronous invocations, as the template says it."""
    configured = stack.of_type("AWS::Lambda::EventInvokeConfig").values()
    return next((each for each in configured if each["FunctionName"] in {function.name, function.arn}), {})


def _gave_up(function: Function, event: Mapping[str, Any], times: int, error: str) -> dict[str, Any]:
    """What an on-failure destination is told of an asynchronous invocation."""
    return {
        "requestContext": {
            "functionArn": function.arn,
            "condition": "RetriesExhausted",
            "approximateInvokeCount": times,
        },
        "requestPayload": dict(event),
        "responsePayload": {"errorMessage": error},
    }
