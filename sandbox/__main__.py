"""The command line: `python -m sandbox run|serve|demo`.

Exit codes: 0 handled, 1 something was left in a dead-letter queue, 2 bad input.
"""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from sandbox.deriving import DERIVED, derived_world, require_accounts
from sandbox.documents import BadInputError
from sandbox.intrinsics import TemplateError
from sandbox.running import Given, handle, read_allowlist, read_events, read_time, time_after
from sandbox.shell import leave_aws_settings
from sandbox.stack import Options, Sandbox
from sandbox.world import DEFAULT_WORLD, World, read_world

if TYPE_CHECKING:
    from sandbox.deciding import Answered

_FAILED: Final = 1
_BAD_INPUT: Final = 2

_FILE: Final = click.Path(path_type=Path)
_MODE: Final = click.Choice(["observe", "approve", "auto"])
_STRATEGY: Final = click.Choice(["managed", "inline", "in-place"])


def _parameters(mode: str, strategy: str, more: tuple[str, ...]) -> dict[str, str]:
    return {"Mode": mode, "PolicyStrategy": strategy, **_pairs(more, "--parameter")}


def _pairs(given: tuple[str, ...], option: str) -> dict[str, str]:
    """`NAME=VALUE` each.

    Raises:
        BadInputError: One has another form.
    """
    for each in given:
        if not each.partition("=")[0] or "=" not in each:
            raise BadInputError(f"{option} {each}: write NAME=VALUE")
    return dict(each.split("=", 1) for each in given)


def _common(command: Any) -> Any:
    """The options that every command with a stack takes."""
    for option in (
        click.option("--verbose", is_flag=True, help="Show the functions' own log on stderr."),
        click.option(
            "--slack-api", default=Options().slack_api, help="Address of what stands for Slack's API, slash at the end."
        ),
        click.option(
            "--secret", multiple=True, metavar="ARN=TEXT", help="A secret that a parameter names, such as Slack's."
        ),
        click.option("--parameter", multiple=True, metavar="NAME=VALUE", help="Another parameter of the template."),
        click.option(
            "--strategy", type=_STRATEGY, default="managed", show_default=True, help="Where grants are written."
        ),
        click.option("--mode", type=_MODE, default="approve", show_default=True, help="How far the service may go."),
        click.option("--allowlist", type=_FILE, help="Rules: a file, or a directory with a file for each document."),
        click.option(
            "--world",
            type=_FILE,
            default=DEFAULT_WORLD,
            help="The accounts as they begin, YAML or JSON; `derived` makes them from the events.",
        ),
    ):
        command = option(command)
    return command


class _Commands(click.Group):
    """The commands; bad input to any is told in one line."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (BadInputError, TemplateError) as error:
            click.echo(f"error: {error}", err=True)
            ctx.exit(_BAD_INPUT)


@click.group(cls=_Commands, help=__doc__)
def cli() -> None:
    """Run the stack on this machine."""


@cli.command()
@_common
@click.option("--decide", type=click.Choice(["approve", "reject"]), help="Answer every pending request.")
@click.option("--now", help="The time of the run; a quarter of an hour after the last event if not given.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of the story.")
@click.argument("files", type=_FILE, nargs=-1, required=True)
def run(  # noqa: PLR0913, PLR0917 - one a command-line option
    files: tuple[Path, ...],
    world: Path,
    allowlist: Path | None,
    mode: str,
    strategy: str,
    parameter: tuple[str, ...],
    secret: tuple[str, ...],
    slack_api: str,
    decide: str | None,
    now: str | None,
    as_json: bool,  # noqa: FBT001 - click passes a flag so
    verbose: bool,  # noqa: FBT001 - click passes a flag so
) -> None:
    """Handle the events in FILES, and tell what became of them.

    A file holds EventBridge events or CloudTrail records: one, an array, JSON lines, a log file of CloudTrail's
    (.json.gz too), or what `aws cloudtrail lookup-events` printed.
    """
    events = read_events(files)
    options = Options(
        parameters=_parameters(mode, strategy, parameter),
        allowlist=read_allowlist(allowlist),
        secrets=_pairs(secret, "--secret"),
        slack_api=slack_api,
        now=read_time(now) if now else time_after(events),
        verbose=verbose,
    )
    sys.exit(_run(Sandbox(_world(world, events), options), events, decide, as_json=as_json))


def _world(path: Path, events: list[Given]) -> World:
    """The world for some events, which must have their accounts.

    Raises:
        BadInputError: It cannot be read, or lacks one.
    """
    world = derived_world(events) if str(path) == DERIVED else read_world(path)
    require_accounts(world, events)
    return world


def _run(sandbox: Sandbox, events: list[Given], decision: str | None, *, as_json: bool) -> int:
    answers: list[Answered] = []

    def decide() -> None:
        from sandbox.deciding import decide_all  # noqa: PLC0415 - what is not asked for need not be loaded

        answers.extend(decide_all(sandbox, decision or ""))

    with sandbox:
        if as_json:
            from sandbox.report import report  # noqa: PLC0415 - what is not asked for need not be loaded

            handle(sandbox, events, decide if decision else None)
            click.echo(json.dumps(report(sandbox), indent=2))
        else:
            from sandbox.story import tell  # noqa: PLC0415 - what is not asked for need not be loaded

            tell(sandbox, events, decide=decide if decision else None)
        for refusal in sorted(set(sandbox.authorization.refusals)):
            click.echo(f"template.yaml does not allow a call. {refusal}", err=True)
        for answer in answers:
            if answer.problem:
                click.echo(f"not decided: {' '.join(answer.row)}: {answer.problem}", err=True)
        return _FAILED if sandbox.failures or any(answer.broken for answer in answers) else 0


_ROUTES: Final = """\b
GET  /                      what waits, and every notice, with their links
POST /events                events, as FILES of `run` hold them
GET  /notices               what was sent; the links in the mails work
     /grants /policies /calls /failures, /report for all
GET, POST /request/TOKEN    the page that a mail's link leads to
/api/requests               with --parameter ApproverRoleArns=ARN; sign as the
                            access key id ASIAAPPROVER1 (the signature is not verified)
POST /slack/interactions    with --parameter Slack..., --secret and --slack-api
POST /upkeep                a round of upkeep, as its schedule would start it
POST /digest                the digest, with --parameter DigestSchedule=...
POST /clock                 move the time on: {"forward": "72h"} or
                            {"to": "2026-12-24T18:00:00Z"}; then upkeep runs, if due
GET  /clock                 the time
"""


@cli.command(epilog=_ROUTES)
@_common
@click.option("--port", type=click.IntRange(0, 65_535), default=8734, show_default=True, help="0 takes any free one.")
@click.argument("files", type=_FILE, nargs=-1)
def serve(  # noqa: PLR0913, PLR0917 - one a command-line option
    files: tuple[Path, ...],
    port: int,
    world: Path,
    allowlist: Path | None,
    mode: str,
    strategy: str,
    parameter: tuple[str, ...],
    secret: tuple[str, ...],
    slack_api: str,
    verbose: bool,  # noqa: FBT001 - click passes a flag so
) -> None:
    """Keep a stack up, with its approval page, its API and Slack's route, until Ctrl-C.

    The events in FILES are put in at the start, and the links of the requests that they open are printed.
    """
    from sandbox.serving import serve as serve_stack  # noqa: PLC0415 - what is not asked for need not be loaded

    options = Options(
        parameters=_parameters(mode, strategy, parameter),
        allowlist=read_allowlist(allowlist),
        secrets=_pairs(secret, "--secret"),
        slack_api=slack_api,
        ticking=True,
        verbose=verbose,
    )
    events = read_events(files)
    serve_stack(_world(world, events), options, port, click.echo, events)


@cli.command()
@click.option("--all", "every_story", is_flag=True, help="Tell every story in full, not just the first.")
@click.option("--verbose", is_flag=True, help="Show the functions' own log on stderr.")
def demo(*, every_story: bool, verbose: bool) -> None:
    """Show a choice of the sample events being handled."""
    from sandbox.demonstration import demonstrate  # noqa: PLC0415 - what is not asked for need not be loaded

    sys.exit(_FAILED if demonstrate(verbose=verbose, every_story=every_story) else 0)


if __name__ == "__main__":
    leave_aws_settings()
    cli(prog_name="python -m sandbox")
