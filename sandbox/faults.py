"""Faults on the way to AWS: one call of a function is spoiled, in one of the ways in which calls fail.

Run a story once undisturbed and count the calls; then tell it again for each of them, and each way to spoil it.

```python
faults = Faults("RemediateFunction")
with Sandbox(world, Options(faults=faults)) as sandbox:
    faults.begin()
    ...
len(faults.calls)     # then Faults("RemediateFunction", Fault(place=1, way=Way.KILLED_AFTER)), and so on
```
"""

import enum
import json
from collections.abc import Callable
from typing import Final, TypeVar

from botocore.exceptions import ConnectTimeoutError, ReadTimeoutError
from msgspec import Struct

from sandbox.calls import ApiError, Call

CONNECT_SECONDS: Final = 2.0
READ_SECONDS: Final = 10.0
"""How long the service's clients wait for a connection, and for an answer (aws/clients.py)."""

_ADDRESS: Final = "https://aws.example"

Answer = TypeVar("Answer")


class DeathError(BaseException):
    """The function's environment is gone. Not an Exception: there is nobody left who could catch it."""


class Way(enum.StrEnum):
    """What happens to the call."""

    KILLED_BEFORE = "killed before"
    """The function dies before the call is made."""
    KILLED_AFTER = "killed after"
    """AWS does what it was asked, and the function dies before it hears of it."""
    REFUSED = "refused"
    """AWS answers with an error, and does nothing."""
    UNREACHED = "unreached"
    """There is no way to AWS: no connection before the time is up."""
    UNHEARD = "unheard"
    """AWS does what it was asked, and the answer does not arrive before the time is up."""
    OVERTAKEN = "overtaken"
    """Somebody else does something first, and then the call is made."""


class Lasting(enum.StrEnum):
    """Which calls of the same operation the fault meets, the one at its place included."""

    ONCE = "once"
    INVOCATION = "for one invocation"
    FOREVER = "for ever"


class Fault(Struct, frozen=True, kw_only=True):
    """What is spoiled: the call at a place (the first is 1), in which way, and how long that lasts.

    `meanwhile` is what somebody else does. With `about` only calls are met whose parameters hold that text; the place
    is then among those.
    """

    place: int
    way: Way
    error: ApiError | None = None
    lasting: Lasting = Lasting.ONCE
    meanwhile: Callable[[], None] = lambda: None
    about: str = ""

    def __str__(self) -> str:
        what = self.way if self.error is None else f"{self.way} ({self.error.code})"
        return f"call {self.place} {what} {self.lasting}"


class Faults:
    """Counts the calls of one function, and spoils one.

    Args:
        watched: The function's logical id.
        fault: What to spoil; None for nothing, to count.
    """

    def __init__(self, watched: str, fault: Fault | None = None) -> None:
        self.watched = watched
        self.fault = fault
        self.calls: list[Call] = []
        self.spoiled = 0
        self.wait: Callable[[float], None] = lambda _: None
        self.invocation: Callable[[str], int] = lambda _: 0
        self._counting = False
        self._busy = False
        self._hit: tuple[str, int] | None = None

    def begin(self) -> None:
        """Count from here on."""
        self._counting = True

    def end(self) -> None:
        """Count no more, and spoil nothing any more."""
        self._counting = False

    def around(self, call: Call, effect: Callable[[], Answer]) -> Answer:
        """Make the call, or what becomes of it.

        Raises:
            ApiError: What AWS answers.
            DeathError: The function is no more.
            HTTPClientError: No answer.
        """
        if not self._counting or call.caller != self.watched or self._busy:
            return effect()
        if self.fault is not None and self.fault.about not in json.dumps(call.parameters, default=str):
            return effect()
        self.calls.append(call)
        if self.fault is None or not self._meets(self.fault, call):
            return effect()
        self.spoiled += 1
        return self._spoil(self.fault, effect)

    def _meets(self, fault: Fault, call: Call) -> bool:
        invocation = self.invocation(self.watched)
        if len(self.calls) == fault.place:
            self._hit = call.name, invocation
            return True
        if self._hit is None or fault.lasting is Lasting.ONCE:
            return False
        name, first = self._hit
        return call.name == name and (fault.lasting is Lasting.FOREVER or invocation == first)

    def _spoil(self, fault: Fault, effect: Callable[[], Answer]) -> Answer:
        match fault.way:
            case Way.KILLED_BEFORE:
                raise DeathError
            case Way.KILLED_AFTER:
                _regardless(effect)
                raise DeathError
            case Way.REFUSED:
                raise fault.error or ApiError("InternalFailure", "a fault", 500)
            case Way.OVERTAKEN:
                self._busy = True
                fault.meanwhile()
                self._busy = False
                return effect()
            case Way.UNREACHED:
                self.wait(CONNECT_SECONDS)
                raise ConnectTimeoutError(endpoint_url=_ADDRESS)
            case Way.UNHEARD:
                _regardless(effect)
                self.wait(READ_SECONDS)
                raise ReadTimeoutError(endpoint_url=_ADDRESS)


def _regardless(effect: Callable[[], object]) -> None:
    """Make the call; nobody hears what AWS says."""
    try:
        effect()
    except ApiError:
        return
