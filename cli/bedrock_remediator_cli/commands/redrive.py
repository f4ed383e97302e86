"""`redrive`: what lies among the dead letters and why, and putting it back for a person to decide."""

from datetime import UTC, datetime
from typing import Any, Final

import click
from botocore.exceptions import ClientError

from bedrock_remediator_cli.deployment import Deployment, not_an_operator, read_deployment, stack_option
from bedrock_remediator_cli.help import Command
from bedrock_remediator_cli.options import Program, shared_options
from bedrock_remediator_cli.output import finish
from bedrock_remediator_cli.redriving import LINES, NOT_REDRIVEN, Letter, Line, Outcome, letters, redrive, release

_EXAMPLES: Final = (
    "bedrock-remediator redrive",
    "bedrock-remediator redrive denials rule --send",
    "bedrock-remediator redrive remediations --send --yes",
)
_COUNT: Final = "ApproximateNumberOfMessages"


@click.command(cls=Command, examples=_EXAMPLES)
@shared_options
@stack_option
@click.argument("queues", nargs=-1, type=click.Choice([*LINES, *NOT_REDRIVEN]), metavar="[QUEUE]...")
@click.option("--send", "send_them", is_flag=True, help="Put them back; else they are only shown.")
@click.option("--yes", is_flag=True, help="With --send: do not ask first.")
@click.option(
    "--most", default=1000, show_default=True, type=click.IntRange(1), metavar="N", help="At most so many of a queue."
)
def command(  # noqa: PLR0913 - one an option
    program: Program, *, stack_name: str, queues: tuple[str, ...], send_them: bool, yes: bool, most: int
) -> None:
    """Show the dead letters with their reasons, and with --send put them back where they were to go.

    QUEUE is denials, rule, remediations or slack (else all that are deployed); pipe, notify and upkeep are shown with
    what to do instead. Denials come back marked, and a person decides about them, whatever a rule says. What was put
    among the dead letters by anybody but the service stays there, and so does what would be refused again. Reading
    takes sqs:ReceiveMessage, ChangeMessageVisibility and GetQueueAttributes, deleting sqs:DeleteMessage, and sending a
    session of one of OperatorRoleArns. Remove the cause first.
    """
    stack = read_deployment(program.aws, stack_name)
    output = program.output
    told: list[dict[str, Any]] = []
    for name in queues or (*LINES, *NOT_REDRIVEN):
        if name in NOT_REDRIVEN:
            told.append(_only_counted(program, stack, name))
        elif LINES[name].output in stack.outputs:
            told.append(_of_queue(program, stack, name, most, send_them=send_them, ask=not yes))
        elif queues:
            output.note(f"The stack {stack_name} has no queue {name}.")
        if told and not output.as_json:
            _tell(program, told[-1], send_them=send_them)
    output.answer({"stack": stack_name, "queues": told}, lambda: None)
    finish(found=any(each["refused"] or each["stay"] for each in told))


def _only_counted(program: Program, stack: Deployment, name: str) -> dict[str, Any]:
    url = stack.output(f"{name.capitalize()}DeadLettersUrl", "Is it this service's stack?")
    answer = program.aws.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=[_COUNT])
    count = int(answer["Attributes"][_COUNT])
    return {
        "queue": name,
        "waiting": count,
        "letters": [],
        "stay": 0,
        "sent": 0,
        "refused": {},
        "instead": NOT_REDRIVEN[name],
    }


def _of_queue(  # noqa: PLR0913 - the flags change what is done
    program: Program, stack: Deployment, name: str, most: int, *, send_them: bool, ask: bool
) -> dict[str, Any]:
    client, line = program.aws.client("sqs"), LINES[name]
    url, back = (stack.output(each, "Is it this service's stack?") for each in (line.output, line.back))
    source = client.get_queue_attributes(QueueUrl=back, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    found = list(letters(client, line, url, source, most))
    going = [each for each in found if each.stays is None]
    outcome = Outcome(sent=(), refused={})
    try:
        if send_them and going and (not ask or _agreed(len(going), name, stack.name)):
            outcome = _sent(program, line, url, back, going)
    finally:
        gone = set(outcome.sent)
        release(client, url, [each for each in found if each.id not in gone])
    return {
        "queue": name,
        "waiting": len(found) - len(outcome.sent),
        "letters": [_content(each) for each in found],
        "stay": len(found) - len(going),
        "sent": len(outcome.sent),
        "refused": dict(outcome.refused),
        "instead": None,
    }


def _sent(program: Program, line: Line, url: str, back: str, going: list[Letter]) -> Outcome:
    try:
        with program.output.progress("sending", len(going)) as advance:
            return redrive(program.aws.client("sqs"), line, url, back, going, advance)
    except ClientError as error:
        trouble = not_an_operator(error)
        if trouble is None:
            raise
        raise trouble from error


def _agreed(count: int, name: str, stack_name: str) -> bool:
    return click.confirm(f"Put {count} dead letters of {name} back through {stack_name}?", err=True)


def _content(letter: Letter) -> dict[str, Any]:
    return {
        "id": letter.id,
        "about": letter.about,
        "why": letter.why,
        "sent_at": f"{datetime.fromtimestamp(letter.sent_at / 1000, UTC):%Y-%m-%dT%H:%M:%SZ}",
        "stays": letter.stays,
    }


def _tell(program: Program, queue: dict[str, Any], *, send_them: bool) -> None:
    output = program.output
    if not queue["waiting"] and not queue["sent"]:
        output.say(f"{queue['queue']}: nothing.")
        return
    output.say(f"{queue['queue']}: {queue['waiting'] + queue['sent']} found", style="bold")
    for each in queue["letters"]:
        output.say(f"  {each['sent_at']}  {each['about']}")
        output.say(f"    {each['why']}")
        if each["stays"]:
            output.say(f"    It stays: {each['stays']}.", style="yellow")
    for letter, reason in queue["refused"].items():
        output.say(f"  not sent: {letter}: {reason}", style="yellow")
    if queue["instead"]:
        output.say(f"  Nothing is sent of these. {queue['instead']}")
    elif send_them:
        output.say(f"  {queue['sent']} went back.")
    else:
        output.say("  Nothing was sent: --send does it.")
