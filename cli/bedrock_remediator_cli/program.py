"""The program: its commands, each loaded when it is asked for, and the end of every trouble they meet.

Exit codes: 0 done, 1 a finding or a refusal, 2 usage or environment.
"""

import importlib
from collections.abc import Mapping
from typing import Any, Final

import click
from botocore.exceptions import BotoCoreError, ClientError

from bedrock_remediator_cli import __version__
from bedrock_remediator_cli.help import EXIT_CODES, write_lines
from bedrock_remediator_cli.trouble import EnvironmentTrouble, RefusedError, told

COMMANDS: Final[Mapping[str, str]] = {
    "explain": "Say what a refusal means, whether a policy can fix it, and write that policy.",
    "audit": "Find principals that may invoke a model and will fail, before anybody is denied.",
    "backfill": "Find denials of the past, show what the service would do, and send them through it.",
    "requests": "List, show, approve and reject requests, as the caller that AWS knows.",
    "grants": "List and show grants, take them back, or give them another end.",
    "redrive": "Show dead letters with their reasons, and put them back for a person to decide.",
    "doctor": "Check that denials arrive, the stack works and people are told.",
    "allowlist": "Check the allowlist's documents, push them, and see whom they would let in.",
    "completion": "Print the script that completes this program's words in a shell.",
}
"""Command -> what it does, in a line. `NAME` is the click command `command` of the module `commands/NAME.py`."""


class LateGroup(click.Group):
    """A group whose commands are imported when they run: completing a word must not wait for boto3."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order of the table."""
        return [*COMMANDS, *super().list_commands(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, None if there is none."""
        if cmd_name not in COMMANDS:
            return super().get_command(ctx, cmd_name)
        module = importlib.import_module(f"bedrock_remediator_cli.commands.{cmd_name.replace('-', '_')}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list in --help, from the table, so that help loads no command."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name]) for name in self.list_commands(ctx)])
        with formatter.section("Exit codes"):
            formatter.write_dl(EXIT_CODES)
        write_lines(formatter, "Example", ("bedrock-remediator explain error.txt",))

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; what goes wrong becomes a sentence on stderr and an exit code."""
        try:
            return super().invoke(ctx)
        except (EnvironmentTrouble, RefusedError) as trouble:
            click.echo(f"error: {trouble}", err=True)
            ctx.exit(trouble.exit_code)
        except (ClientError, BotoCoreError) as error:
            click.echo(f"error: {told(error)}", err=True)
            ctx.exit(EnvironmentTrouble.exit_code)


@click.group(cls=LateGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, message="%(prog)s %(version)s")
def cli() -> None:
    """Operate the Bedrock access remediator, and explain Amazon Bedrock's AccessDenied."""
