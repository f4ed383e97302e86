"""The form of help texts: what a command does, its options, and examples that can be pasted."""

from collections.abc import Sequence
from typing import Any, Final

import click

EXIT_CODES: Final = (
    ("0", "done"),
    ("1", "a finding or a refusal"),
    ("2", "usage or environment: options, files, credentials, rights"),
)


class Command(click.Command):
    """A command with examples, which end its help as they are.

    Args:
        examples: Lines to paste, without the prompt.
    """

    def __init__(self, *args: Any, examples: Sequence[str], **options: Any) -> None:
        super().__init__(*args, **options)
        self.examples = tuple(examples)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Examples come last, unwrapped."""
        super().format_epilog(ctx, formatter)
        write_lines(formatter, "Examples", self.examples)


class Group(Command, click.Group):
    """A command of several, with examples at the end of its help."""


def write_lines(formatter: click.HelpFormatter, title: str, lines: Sequence[str]) -> None:
    """A section whose lines are not wrapped."""
    with formatter.section(title):
        for line in lines:
            formatter.write(f"{'':>{formatter.current_indent}}{line}\n")
