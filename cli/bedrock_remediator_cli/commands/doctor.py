"""`doctor`: whether the deployed service hears, works and tells; and a synthetic denial through it."""

from collections.abc import Callable
from typing import Any, Final
from urllib.parse import urlsplit

import click
from botocore.exceptions import ClientError

from bedrock_remediator.aws.errors import RetryableError, error_code
from bedrock_remediator.clock import SystemClock
from bedrock_remediator_cli import __version__
from bedrock_remediator_cli.deployment import Deployment, not_an_operator, read_deployment, stack_option
from bedrock_remediator_cli.doctor import arrival, beliefs, telling, working
from bedrock_remediator_cli.doctor.beliefs import Belief, Held, Place
from bedrock_remediator_cli.doctor.check import REFUSED, Check, Status, Ward, asked
from bedrock_remediator_cli.doctor.synthetic import Synthetic, Watch, Watched, synthetic_denial
from bedrock_remediator_cli.help import Command
from bedrock_remediator_cli.options import Program, shared_options
from bedrock_remediator_cli.output import Output, finish
from bedrock_remediator_cli.trouble import EnvironmentTrouble

_EXAMPLES: Final = (
    "bedrock-remediator doctor",
    "bedrock-remediator doctor --send-test-event",
    "bedrock-remediator doctor --beliefs --json > beliefs.json",
    "bedrock-remediator doctor --json | jq '.checks[] | select(.status != \"ok\")'",
)
_SLACK: Final = "https://slack.com/api/"
_CHECKS: Final[tuple[tuple[str, Callable[[Ward], Check]], ...]] = (
    ("stack", working.stack),
    ("version", working.version),
    ("mode", working.mode),
    ("trail", arrival.trail),
    ("rule", arrival.rule),
    ("queue policy", arrival.queue_policy),
    ("allowlist", working.allowlist),
    ("subscriptions", telling.topics),
    ("slack", telling.slack),
    ("dead letters", working.dead_letters),
)
_STYLES: Final = {Status.OK: "green", Status.LOOK: "yellow", Status.BROKEN: "bold red", Status.UNKNOWN: "dim"}
_BELIEF_STYLES: Final = {Held.YES: "green", Held.NO: "yellow", Held.NOT_TRIED: "dim"}


@click.command(cls=Command, examples=_EXAMPLES)
@shared_options
@stack_option
@click.option("--send-test-event", "send_event", is_flag=True, help="Put a synthetic denial through the stack.")
@click.option(
    "--wait", default=180, show_default=True, type=click.IntRange(10, 900), metavar="SECONDS", help="How long for it."
)
@click.option("--beliefs", "try_beliefs", is_flag=True, help="Try what this project believes about AWS, by reading.")
@click.option("--slack-api", default=_SLACK, hidden=True)
def command(  # noqa: PLR0913 - the command's options
    program: Program, *, stack_name: str, send_event: bool, wait: int, try_beliefs: bool, slack_api: str
) -> None:
    """Check that denials arrive, that the stack works, and that people are told; say what to do where not.

    With --send-test-event a denial of a role that does not exist goes through the denials queue, and the command waits
    for the row in the ledger and for its notice. It cannot grant anything: there is nobody to grant to, and it is
    marked as backfilled. It does not test the trail and the rule, which stand before the queue. Sending needs a session
    of one of OperatorRoleArns, waiting the right to read the ledger.

    With --beliefs nothing is checked but what this project believes about AWS and could not confirm: each belief is
    tried with your own rights to read, in this account and region, and a stack is not needed. With --json the answer
    holds no account's id: attach it to a bug report.
    """
    if try_beliefs:
        _try_beliefs(program, stack_name)
    if urlsplit(slack_api).scheme != "https" and urlsplit(slack_api).hostname != "127.0.0.1":
        raise click.BadParameter("Slack is asked by https only", param_hint="--slack-api")
    clock = SystemClock()
    stack = read_deployment(program.aws, stack_name)
    ward = Ward(aws=program.aws, stack=stack, clock=clock, slack_api=slack_api)
    checks: list[Check] = []
    with program.output.progress("checking", len(_CHECKS)) as advance:
        for name, check in _CHECKS:
            checks.append(asked(name, check, ward))
            advance()
    if not program.output.as_json:
        _tell(program.output, checks)
    test = _tested(program, stack, wait) if send_event else None
    answer = {
        "stack": stack_name,
        "checks": [
            {"name": each.name, "status": each.status, "found": each.found, "advice": each.advice} for each in checks
        ],
        "test_event": test,
    }
    program.output.answer(answer, lambda: _tell_test(program.output, test))
    unwell = any(each.status in {Status.LOOK, Status.BROKEN} for each in checks)
    finish(found=unwell or (test is not None and not test["well"]))


def _try_beliefs(program: Program, stack_name: str) -> None:
    found: list[Belief] = []
    with program.output.progress("trying", len(beliefs.QUESTIONS)) as advance:
        for belief in beliefs.tried(Place(program.aws, stack_name, SystemClock())):
            found.append(belief)
            advance()
    answer = {
        "version": __version__,
        "region": program.aws.region,
        "beliefs": [
            {"fact": each.fact, "says": each.says, "held": each.held, "seen": each.seen, "changes": each.changes}
            for each in found
        ],
    }

    def tell() -> None:
        for each in found:
            program.output.say(f"{each.held:<13} {each.fact:<6} {each.says}", style=_BELIEF_STYLES[each.held])
            program.output.say(f"{'':<20} {each.seen}")
            if each.changes:
                program.output.say(f"{'':<20} {each.changes}")

    program.output.answer(answer, tell)
    finish(found=any(each.held is Held.NO for each in found))


def _tell(output: Output, checks: list[Check]) -> None:
    for each in checks:
        output.say(f"{each.status:<8} {each.name:<14} {each.found}", style=_STYLES[each.status])
        if each.advice:
            output.say(f"{'':<23} {each.advice}")


def _tested(program: Program, stack: Deployment, patience: int) -> dict[str, Any]:
    """Send the event and watch it."""
    aws, clock = program.aws, SystemClock()
    url = stack.output("DenialsQueueUrl", "Is it this service's stack?")
    table = stack.output("LedgerTable", "Is it this service's stack?")
    event = synthetic_denial(aws.account, aws.partition, aws.region, clock.now())
    _send(program, url, event)
    program.output.note(f"A denial of {event.principal}, which does not exist, is in the queue.")
    try:
        with program.output.progress("waiting for the notice"):
            watch = Watch(aws.client("dynamodb"), table, clock)
            seen = watch.of(event, patience, program.output.note)
    except ClientError as error:
        if error_code(error) not in REFUSED:
            raise
        return _result(event, None, "You may not read the ledger, so whether it arrived is not known: see the notices.")
    except RetryableError as error:
        raise EnvironmentTrouble(f"The ledger did not answer in time: {error}") from error
    return _result(event, seen, _missing(seen, patience))


def _send(program: Program, url: str, event: Synthetic) -> None:
    try:
        program.aws.client("sqs").send_message(QueueUrl=url, MessageBody=event.body)
    except ClientError as error:
        trouble = not_an_operator(error)
        if trouble is None:
            raise
        raise trouble from error


def _missing(seen: Watched, patience: int) -> str | None:
    if seen.row is None:
        return (
            f"No row came within {patience} seconds: see the log of TriageFunctionName and the dead letters of the "
            "denials queue."
        )
    if seen.notice_seconds is None:
        return (
            f"The row is there, and no notice went out within {patience} seconds: see the log of NotifyFunctionName "
            "and its dead letters."
        )
    if not seen.well:
        return f"The row ended as {seen.row.state}, and a test event must end as reported: look at it before all else."
    return None


def _result(event: Synthetic, seen: Watched | None, trouble: str | None) -> dict[str, Any]:
    row = seen.row if seen else None
    return {
        "event": event.id,
        "principal": event.principal,
        "well": bool(seen and seen.well),
        "state": row.state if row else None,
        "reason_code": row.reason_code if row else None,
        "row_seconds": seen.row_seconds if seen else None,
        "notice_seconds": seen.notice_seconds if seen else None,
        "trouble": trouble,
    }


def _tell_test(output: Output, test: dict[str, Any] | None) -> None:
    if test is None:
        return
    if test["trouble"]:
        output.say(f"test event {test['event']}: {test['trouble']}", style="bold red")
        return
    output.say(
        f"The test event {test['event']} was reported ({test['reason_code']}) after about {test['row_seconds']:.0f} "
        f"seconds, and its notice went out after about {test['notice_seconds']:.0f}. Its row stays in the ledger.",
        style="green",
    )
