"""A pace for calls that AWS allows only so many of a second."""

from collections.abc import Callable
from typing import Any, Final

from botocore.exceptions import ClientError

from bedrock_remediator.aws.errors import error_code
from bedrock_remediator.clock import Clock

_THROTTLED: Final = frozenset({"ThrottlingException", "Throttling", "RequestLimitExceeded", "TooManyRequestsException"})
_TRIES: Final = 6


class Pace:
    """Makes calls no faster than agreed, and waits longer each time AWS still says that it is too fast.

    Args:
        clock: Waits.
        seconds: How long to leave between two calls.
    """

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock = clock
        self._seconds = seconds
        self._begun = False

    def call(self, ask: Callable[..., Any], **arguments: Any) -> Any:
        """Make a call in its turn.

        Raises:
            botocore.exceptions.ClientError: AWS refused, or is still too busy after six tries.
        """
        for tried in range(1, _TRIES + 1):
            if self._begun:
                self._clock.sleep(self._seconds)
            self._begun = True
            try:
                return ask(**arguments)
            except ClientError as error:
                if error_code(error) not in _THROTTLED or tried == _TRIES:
                    raise
                self._clock.sleep(2.0**tried)
        raise AssertionError("the last try returns or raises")
