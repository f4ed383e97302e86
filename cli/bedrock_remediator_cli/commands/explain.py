"""`explain`: what a refusal means and what to do about it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import click

from bedrock_remediator.core.arn import ArnError, BedrockResource, is_model_id
from bedrock_remediator_cli.explain import report
from bedrock_remediator_cli.explain.asking import explained
from bedrock_remediator_cli.explain.explanation import Explanation
from bedrock_remediator_cli.explain.refusals import heard
from bedrock_remediator_cli.explain.samples import Samples, gather
from bedrock_remediator_cli.explain.sources import read
from bedrock_remediator_cli.help import Command
from bedrock_remediator_cli.options import Program, shared_options
from bedrock_remediator_cli.output import finish

if TYPE_CHECKING:
    from bedrock_remediator_cli.explain.proposal import Form

_EXAMPLES: Final = (
    'bedrock-remediator explain "User: arn:aws:... is not authorized to perform: bedrock:InvokeModel on ..."',
    "bedrock-remediator explain error.log --as terraform",
    "python app.py 2>&1 | bedrock-remediator explain --model-id us.amazon.nova-lite-v1:0 -",
    "bedrock-remediator explain 111122223333_CloudTrail_us-east-1_20261123T0900Z.json.gz --json",
)


def _model_id(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    """An identifier or an ARN, as a client may pass it."""
    if value is None or is_model_id(value):
        return value
    try:
        return str(BedrockResource.parse(value))
    except ArnError as error:
        raise click.BadParameter("it is neither the id of a model or profile nor a Bedrock ARN") from error


@click.command(cls=Command, examples=_EXAMPLES)
@click.argument("given", nargs=-1, metavar="[TEXT | FILE... | -]")
@click.option(
    "--as",
    "form",
    type=click.Choice(["json", "terraform", "cloudformation", "cdk"]),
    help="How to write the policy (default: json).",
)
@click.option("--model-id", callback=_model_id, metavar="ID", help="The modelId that the client passes, if known.")
@click.option("--offline", is_flag=True, help="Do not ask AWS, whatever credentials there are.")
@shared_options
def command(
    program: Program, given: tuple[str, ...], form: "Form | None", model_id: str | None, *, offline: bool
) -> None:
    """Explain why Amazon Bedrock refused a call, and what to do.

    Give the error as it was printed (in a terminal, a log, a chat), or a file: a CloudTrail record, an EventBridge
    event, many of them as JSON, JSON lines or CloudTrail's .json.gz. Says who was denied what, which layer denied it,
    whether an identity policy can fix that, and the policy to add. Where there are AWS credentials of the account, it
    asks AWS as well, reading only, and says which answers are AWS's.
    """
    with program.output.progress("reading"):
        found = gather(read(given))
        refusals = heard(found.samples, model_id)
    explanations = explained(program, refusals, offline=offline)
    output = program.output
    output.answer(
        [each.fields(form) for each in explanations], lambda: report.show(output, explanations, form or "json")
    )
    _remarks(program, found, explanations)
    finish(found=not explanations or any(each.refusal.problem for each in explanations))


def _remarks(program: Program, found: Samples, explanations: Sequence[Explanation]) -> None:
    if found.foreign:
        program.output.note(f"{found.foreign} refusals of other services are left out.")
    if not explanations:
        other = f" ({found.other} records of calls that went well)" if found.other else ""
        program.output.note(f"No refusal was found{other}.")
