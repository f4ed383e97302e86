"""`requests`: what waits for a person, and deciding it."""

import click

from bedrock_remediator.core.approval import Verb
from bedrock_remediator.core.grant import State
from bedrock_remediator_cli.decisions.asking import (
    Decision,
    checked_length,
    decide,
    reject_all,
    requests_api,
    tell_list,
    tell_one,
)
from bedrock_remediator_cli.decisions.options import decision_options, list_options
from bedrock_remediator_cli.deployment import stack_option
from bedrock_remediator_cli.help import Command, Group
from bedrock_remediator_cli.options import Program, shared_options


@click.group(
    cls=Group, examples=("bedrock-remediator requests list", "bedrock-remediator requests approve 3f9a1c --for 30d")
)
def command() -> None:
    """List, show, approve and reject requests, as the caller that AWS knows.

    Calls the stack's /api with Signature Version 4, so that what is recorded is who you are, and nobody approves for
    themselves. It needs a session of one of ApproverRoleArns.
    """


@command.command(
    "list",
    cls=Command,
    examples=("bedrock-remediator requests list", "bedrock-remediator requests list --state rejected --json"),
)
@shared_options
@stack_option
@list_options("pending")
def list_requests(program: Program, *, stack_name: str, states: tuple[str, ...], principal: str | None) -> None:
    """List requests, those that wait unless another state is asked for."""
    wanted = tuple(map(State, states)) or (State.PENDING,)
    tell_list(program, requests_api(program, stack_name), wanted, principal)


@command.command(
    "show",
    short_help="Show a request: why, since when, its history, the policy.",
    cls=Command,
    examples=("bedrock-remediator requests show 3f9a1c",),
)
@shared_options
@stack_option
@click.argument("identifier", metavar="ID")
def show_request(program: Program, *, stack_name: str, identifier: str) -> None:
    """Show the request ID (or how it begins): why, since when, what it would grant, its history, the policy."""
    tell_one(program, requests_api(program, stack_name), identifier)


@command.command(
    "approve",
    short_help="Approve a request, after showing what it grants.",
    cls=Command,
    examples=("bedrock-remediator requests approve 3f9a1c --for 30d --reason 'Agreed with the team'",),
)
@shared_options
@stack_option
@click.argument("identifier", metavar="ID")
@click.option(
    "--for",
    "length",
    callback=checked_length,
    metavar="TIME",
    required=True,
    help="How long it shall last: 30d, 12h, none.",
)
@decision_options
def approve_request(  # noqa: PLR0913 - one an option
    program: Program,
    *,
    stack_name: str,
    identifier: str,
    length: str,
    reason: str | None,
    version: int | None,
    yes: bool,
) -> None:
    """Approve the request ID, after showing what it grants. A grant that failed can be approved again."""
    decision = Decision(verb=Verb.APPROVE, length=length, reason=reason, version=version)
    decide(program, requests_api(program, stack_name), identifier, decision, ask=not yes)


@command.command(
    "reject",
    short_help="Reject a request, or all of a principal.",
    cls=Command,
    examples=(
        "bedrock-remediator requests reject 3f9a1c --yes",
        "bedrock-remediator requests reject arn:aws:iam::123456789012:role/llm-app",
    ),
)
@shared_options
@stack_option
@click.argument("what", metavar="ID|PRINCIPAL-ARN")
@decision_options
def reject_request(  # noqa: PLR0913 - one an option
    program: Program, *, stack_name: str, what: str, reason: str | None, version: int | None, yes: bool
) -> None:
    """Reject the request ID; with a principal's ARN every request of it that waits.

    Repeats of what was rejected are only counted for a while.
    """
    api = requests_api(program, stack_name)
    if not what.startswith("arn:"):
        decide(program, api, what, Decision(verb=Verb.REJECT, reason=reason, version=version), ask=not yes)
    elif version is not None:
        raise click.UsageError("--version is one request's: name its id")
    else:
        reject_all(program, api, what, reason, ask=not yes)
