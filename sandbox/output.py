"""Where the functions' own output goes: their JSON logs and metrics never reach the sandbox's stdout."""

import contextlib
import io
import sys
from collections import deque
from collections.abc import Iterator
from typing import Final, TextIO

MOST_LINES: Final = 10_000
"""Older output is forgotten: a stack that is kept up must not grow without end."""


class FunctionOutput(io.TextIOBase):
    """A text stream that keeps what functions print, and shows it on another stream if asked to.

    Loggers hold on to the stream they were made with, so there is one for the process.
    """

    def __init__(self) -> None:
        super().__init__()
        self.lines: deque[str] = deque(maxlen=MOST_LINES)
        self.shown_on: TextIO | None = None

    def write(self, text: str) -> int:
        """Keep the text."""
        self.lines.append(text)
        if self.shown_on is not None:
            self.shown_on.write(text)
        return len(text)

    def writable(self) -> bool:
        """Always."""
        return True

    @contextlib.contextmanager
    def captured(self) -> Iterator[None]:
        """Within the block, what is printed goes here, warnings and tracebacks included."""
        with contextlib.redirect_stdout(self), contextlib.redirect_stderr(self):
            yield

    def reset(self, *, verbose: bool) -> None:
        """Forget what was kept; `verbose` shows what comes on stderr."""
        self.lines.clear()
        self.shown_on = sys.stderr if verbose else None


FUNCTION_OUTPUT: Final = FunctionOutput()
