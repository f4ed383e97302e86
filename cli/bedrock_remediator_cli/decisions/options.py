"""The options that subcommands of `requests` and `grants` share."""

from collections.abc import Callable
from typing import Any, Final

import click

from bedrock_remediator.core.grant import State

Command = Callable[..., Any]

_STATES: Final = click.Choice([state.value for state in State])


def list_options(usual: str) -> Callable[[Command], Command]:
    """Add --state and --principal; `usual` says which states are listed without."""

    def add(command: Command) -> Command:
        return _added(
            command,
            click.option(
                "--state", "states", type=_STATES, multiple=True, help=f"Others than {usual}; may be given again."
            ),
            click.option("--principal", metavar="TEXT", help="Only principals whose ARN has TEXT in it."),
        )

    return add


def decision_options(command: Command) -> Command:
    """Add --reason, --version and --yes."""
    return _added(
        command,
        click.option("--reason", metavar="TEXT", help="Goes into the history and the notice."),
        click.option(
            "--version", "version", type=click.IntRange(1), metavar="N", help="Only if it still is version N."
        ),
        click.option("--yes", is_flag=True, help="Do not ask first."),
    )


def _added(command: Command, *options: Callable[[Command], Command]) -> Command:
    """The command with options, which its help shows in this order."""
    for option in reversed(options):
        command = option(command)
    return command
