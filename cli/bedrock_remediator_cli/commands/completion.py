"""`completion`: the script that completes commands and options in a shell."""

from typing import Final

import click
from click.shell_completion import get_completion_class

from bedrock_remediator_cli.help import Command
from bedrock_remediator_cli.program import cli
from bedrock_remediator_cli.trouble import EnvironmentTrouble

_PROGRAM: Final = "bedrock-remediator"


_EXAMPLES: Final = (
    "bedrock-remediator completion bash > ~/.local/share/bash-completion/completions/bedrock-remediator",
    'bedrock-remediator completion zsh > "${fpath[1]}/_bedrock-remediator"',
    "bedrock-remediator completion fish > ~/.config/fish/completions/bedrock-remediator.fish",
)


@click.command(cls=Command, examples=_EXAMPLES)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> None:
    """Print the script that completes this program's words in SHELL."""
    kind = get_completion_class(shell)
    if kind is None:
        raise EnvironmentTrouble(f"click does not know how to complete in {shell}.")
    click.echo(kind(cli, {}, _PROGRAM, "_BEDROCK_REMEDIATOR_COMPLETE").source())
