"""`grants`: what stands, and taking it back or giving it another end."""

from typing import Final

import click

from bedrock_remediator.core.approval import Verb
from bedrock_remediator.core.grant import State
from bedrock_remediator_cli.decisions.asking import (
    Decision,
    checked_length,
    decide,
    requests_api,
    revoke_all,
    tell_list,
    tell_one,
)
from bedrock_remediator_cli.decisions.options import decision_options, list_options
from bedrock_remediator_cli.deployment import stack_option
from bedrock_remediator_cli.help import Command, Group
from bedrock_remediator_cli.options import Program, shared_options

_STANDING: Final = (State.ACTIVE, State.APPLYING, State.APPROVED, State.REVOKING)


@click.group(cls=Group, examples=("bedrock-remediator grants list", "bedrock-remediator grants revoke 3f9a1c"))
def command() -> None:
    """List and show grants, take them back, or give them another end.

    Calls the stack's /api with Signature Version 4, as a session of one of ApproverRoleArns.
    """


@command.command(
    "list",
    cls=Command,
    examples=("bedrock-remediator grants list", "bedrock-remediator grants list --principal role/llm- --json"),
)
@shared_options
@stack_option
@list_options("what stands")
def list_grants(program: Program, *, stack_name: str, states: tuple[str, ...], principal: str | None) -> None:
    """List the grants that stand, come or go."""
    wanted = tuple(map(State, states)) or _STANDING
    tell_list(program, requests_api(program, stack_name), wanted, principal)


@command.command(
    "show",
    short_help="Show a grant: until when, who decided, its history, the policy.",
    cls=Command,
    examples=("bedrock-remediator grants show 3f9a1c",),
)
@shared_options
@stack_option
@click.argument("identifier", metavar="ID")
def show_grant(program: Program, *, stack_name: str, identifier: str) -> None:
    """Show the grant ID (or how it begins): what it allows until when, who decided, its history, the policy."""
    tell_one(program, requests_api(program, stack_name), identifier)


@command.command(
    "revoke",
    short_help="Take a grant back, or all that a principal has.",
    cls=Command,
    examples=(
        "bedrock-remediator grants revoke 3f9a1c --reason 'Project ended'",
        "bedrock-remediator grants revoke arn:aws:iam::123456789012:role/llm-app",
    ),
)
@shared_options
@stack_option
@click.argument("what", metavar="ID|PRINCIPAL-ARN")
@decision_options
def revoke_grant(  # noqa: PLR0913 - one an option
    program: Program, *, stack_name: str, what: str, reason: str | None, version: int | None, yes: bool
) -> None:
    """Take the grant ID back; with a principal's ARN every active grant that it has.

    Put a `never` rule into the allowlist first where a denial should not bring it back.
    """
    api = requests_api(program, stack_name)
    if not what.startswith("arn:"):
        decide(program, api, what, Decision(verb=Verb.REVOKE, reason=reason, version=version), ask=not yes)
    elif version is not None:
        raise click.UsageError("--version is one grant's: name its id")
    else:
        revoke_all(program, api, what, reason, ask=not yes)


@command.command("extend", cls=Command, examples=("bedrock-remediator grants extend 3f9a1c --for 90d",))
@shared_options
@stack_option
@click.argument("identifier", metavar="ID")
@click.option(
    "--for", "length", callback=checked_length, metavar="TIME", required=True, help="How long from now: 30d, 12h, none."
)
@decision_options
def extend_grant(  # noqa: PLR0913 - one an option
    program: Program,
    *,
    stack_name: str,
    identifier: str,
    length: str,
    reason: str | None,
    version: int | None,
    yes: bool,
) -> None:
    """Give the grant ID another end, counted from now."""
    decision = Decision(verb=Verb.EXTEND, length=length, reason=reason, version=version)
    decide(program, requests_api(program, stack_name), identifier, decision, ask=not yes)
