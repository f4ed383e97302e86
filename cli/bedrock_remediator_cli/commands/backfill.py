"""`backfill`: denials of the past, what the service would do with them, and sending them through it."""

from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import click
from botocore.exceptions import ClientError
from msgspec import Struct

from bedrock_remediator.aws.errors import RetryableError
from bedrock_remediator.aws.ledger.read import LedgerReader
from bedrock_remediator.clock import SystemClock
from bedrock_remediator_cli.backfill import reading, rehearsal, sending
from bedrock_remediator_cli.backfill.offline import offline_rows
from bedrock_remediator_cli.backfill.pace import Pace
from bedrock_remediator_cli.backfill.reading import period
from bedrock_remediator_cli.backfill.records import PastDenial, denials
from bedrock_remediator_cli.backfill.settings import open_requests, policy_settings
from bedrock_remediator_cli.deployment import Deployment, not_an_operator, read_deployment, stack_option
from bedrock_remediator_cli.help import Command
from bedrock_remediator_cli.options import Program, shared_options
from bedrock_remediator_cli.output import finish
from bedrock_remediator_cli.trouble import EnvironmentTrouble

_EXAMPLES: Final = (
    "bedrock-remediator backfill --since 7d",
    "bedrock-remediator backfill --since 30d --send",
    "bedrock-remediator backfill --since 30d s3://org-trail/AWSLogs/o-example/123456789012/CloudTrail/",
    "bedrock-remediator backfill --since 30d --athena --table cloudtrail_logs",
    "bedrock-remediator backfill --since 30d --athena --table cloudtrail_logs --run --database default",
)
_NO_QUEUE: Final = "Name the stack with --stack-name."


class _Options(Struct, frozen=True, kw_only=True):
    """What the user asked for."""

    since: datetime
    until: datetime
    sources: tuple[str, ...]
    regions: tuple[str, ...]
    table: str
    place: reading.Place | None


@click.command(cls=Command, examples=_EXAMPLES)
@shared_options
@stack_option
@click.argument("sources", nargs=-1, metavar="[FILE|DIR|s3://BUCKET/PREFIX]...")
@click.option("--since", default="7d", show_default=True, metavar="TIME", help="7d, 36h or 2026-11-19T00:00:00Z.")
@click.option("--until", metavar="TIME", help="The same; else now.")
@click.option("--regions", metavar="LIST", help="Look these regions up, with commas; else --region's.")
@click.option("--athena", "by_athena", is_flag=True, help="Print the query for an organization's trail.")
@click.option("--run", "run_query", is_flag=True, help="With --athena: run it, and read what it finds.")
@click.option("--table", default="cloudtrail_logs", show_default=True, help="With --athena: the trail's table.")
@click.option("--database", default="default", show_default=True, help="With --run: the table's database.")
@click.option("--workgroup", default="primary", show_default=True, help="With --run: the workgroup that it runs in.")
@click.option("--output-location", metavar="s3://...", help="With --run: for results, if the workgroup has no place.")
@click.option("--offline", is_flag=True, help="Ask AWS nothing about what was denied.")
@click.option("--send", "send_them", is_flag=True, help="Put the denials through the deployed queue.")
@click.option("--yes", is_flag=True, help="With --send: do not ask first.")
def command(  # noqa: PLR0913 - one an option
    program: Program,
    *,
    stack_name: str,
    sources: tuple[str, ...],
    since: str,
    until: str | None,
    regions: str | None,
    by_athena: bool,
    run_query: bool,
    table: str,
    database: str,
    workgroup: str,
    output_location: str | None,
    offline: bool,
    send_them: bool,
    yes: bool,
) -> None:
    """Find denials of the past, show what the service would do with them, and with --send let it do so.

    Looks in CloudTrail's event history (LookupEvents: 90 days, two requests a second), in CloudTrail's own files, or
    by Athena in the table of an organization's trail. Sent events are marked as backfilled: they never apply by
    themselves, whatever a rule says, and an event that was sent or seen before changes nothing.
    """
    if run_query and not by_athena:
        raise click.UsageError("--run needs --athena")
    if by_athena and sources:
        raise click.UsageError("--athena reads its table: leave files and buckets out")
    first, last = period(since, until, SystemClock().now())
    if by_athena and not run_query:
        if send_them:
            raise click.UsageError("--send needs --run: a printed query finds nothing")
        text = reading.query(table, first, last)
        program.output.answer({"query": text}, lambda: program.output.say(text))
        return
    options = _Options(
        since=first,
        until=last,
        sources=sources,
        regions=tuple(filter(None, (each.strip() for each in (regions or "").split(",")))),
        table=table,
        place=reading.Place(workgroup=workgroup, database=database, output=output_location) if run_query else None,
    )
    try:
        _backfill(program, options, stack_name, offline=offline, send_them=send_them, ask=not yes)
    except RetryableError as error:
        raise EnvironmentTrouble(f"AWS did not answer in time: {error}") from error


def _backfill(  # noqa: PLR0913 - the flags change what is done
    program: Program, options: _Options, stack_name: str, *, offline: bool, send_them: bool, ask: bool
) -> None:
    output = program.output
    with output.progress("looking for denials") as advance:
        found = sorted(
            denials(_records(program, options, advance), options.since, options.until), key=lambda each: each.time
        )
    deployment = None if offline and not send_them else _deployment(program, stack_name, needed=send_them)
    result: dict[str, Any] = {
        "since": f"{options.since:%Y-%m-%dT%H:%M:%SZ}",
        "until": f"{options.until:%Y-%m-%dT%H:%M:%SZ}",
        "denials": len(found),
        **(_offline(found) if offline else _rehearsed(program, deployment, found)),
        "sent": None,
    }
    if not output.as_json:
        _tell(program, result)
    if send_them and deployment and found and (not ask or _agreed(len(found), stack_name)):
        result["sent"] = _sent(program, deployment, found)
    output.answer(result, lambda: _tell_sent(program, result))
    sent = result["sent"]
    finish(found=bool(result["failed"] or (sent and sent["refused"])))


def _records(program: Program, options: _Options, advance: Callable[[], None]) -> Iterator[bytes]:
    aws, clock = program.aws, SystemClock()
    if options.place:
        query = reading.query(options.table, options.since, options.until)
        yield from reading.run(aws.client("athena"), query, options.place, clock)
    elif options.sources:
        for source in options.sources:
            if source.startswith("s3://"):
                yield from reading.from_bucket(aws.client("s3"), source, options.since, advance)
            else:
                yield from reading.from_folder(Path(source), advance)
    else:
        if clock.now() - options.since > reading.KEPT_FOR:
            program.output.note("CloudTrail's event history has 90 days; for older denials name files or use --athena.")
        since = max(options.since, clock.now() - reading.KEPT_FOR)
        for region in options.regions or (aws.region,):
            pace = Pace(clock, reading.SECONDS_BETWEEN)
            yield from reading.looked_up(aws.client("cloudtrail", region), pace, since, options.until, advance)


def _deployment(program: Program, name: str, *, needed: bool) -> Deployment | None:
    """The stack; where it is not needed and not there, what its template has by default is assumed, and said."""
    try:
        return read_deployment(program.aws, name)
    except (EnvironmentTrouble, ClientError) as error:
        if needed:
            raise
        program.output.note(f"The stack's settings are not known, so its defaults are assumed ({error})")
        return None


def _offline(found: list[PastDenial]) -> dict[str, Any]:
    return {"mode": None, "rows": list(offline_rows(found)), "counts": {}, "failed": []}


def _rehearsed(program: Program, deployment: Deployment | None, found: list[PastDenial]) -> dict[str, Any]:
    settings = policy_settings(deployment)
    if not found:
        return {"mode": settings.mode, "rows": [], "counts": {}, "failed": []}
    aws = program.aws
    rehearsed = rehearsal.Rehearsal(
        aws.account, aws.clients, settings, open_requests(deployment), _reader(program, deployment), SystemClock()
    )
    with program.output.progress("looking into denials", len(found)) as advance:
        for done in rehearsed.of(found):
            advance(done)
    result = rehearsed.result()
    if (
        deployment
        and deployment.parameter("EnrolledAccounts", "")
        and any(row.grant.account != aws.account for row in result.rows)
    ):
        program.output.note(
            "Member accounts are read by the service's own roles alone: here they count as not enrolled."
        )
    return {
        "mode": settings.mode,
        "rows": [rehearsal.row_content(row) for row in result.rows],
        "counts": dict(result.counts),
        "failed": [{"event": each.event, "reason": each.reason} for each in result.failed],
    }


def _reader(program: Program, deployment: Deployment | None) -> LedgerReader | None:
    """Reads the stack's ledger, if that is allowed."""
    if deployment is None or "LedgerTable" not in deployment.outputs:
        return None
    reader = LedgerReader(program.aws.client("dynamodb"), deployment.outputs["LedgerTable"])
    try:
        reader.grant("nobody", "nothing")
    except ClientError as error:
        program.output.note(f"The ledger may not be read, so what is there already is not known ({error})")
        return None
    return reader


def _agreed(count: int, stack_name: str) -> bool:
    return click.confirm(f"Send {count} denials through {stack_name}? Requests may go out to approvers", err=True)


def _sent(program: Program, deployment: Deployment, found: list[PastDenial]) -> dict[str, Any]:
    url = deployment.output("DenialsQueueUrl", _NO_QUEUE)
    try:
        with program.output.progress("sending", len(found)) as advance:
            sent = sending.send(program.aws.client("sqs"), url, found, SystemClock(), advance)
    except ClientError as error:
        trouble = not_an_operator(error)
        if trouble is None:
            raise
        raise trouble from error
    return {"count": sent.count, "refused": dict(sent.refused)}


_DOES: Final = {"pending": "asks", "approved": "applies", "reported": "reports", None: "open"}


def _tell(program: Program, result: dict[str, Any]) -> None:
    output = program.output
    for row in result["rows"]:
        does = _DOES.get(row["state"], row["state"])
        what = row.get("profile") or row.get("resource") or row.get("model_id") or "-"
        output.say(f"{does}  {row['principal'] or row['account']}", style="bold")
        times = "once" if row["denials"] == 1 else f"{row['denials']} times"
        output.say(f"  denied {what.rpartition('/')[2]} {times}, last at {row['last_at']}")
        output.say(f"  {row['reason_code'] or '-'}: {row['reason']}\n")
    for each in result["failed"]:
        output.say(f"not looked into: event {each['event']}: {each['reason']}", style="yellow")
    output.say(
        f"{result['denials']} denials between {result['since']} and {result['until']}"
        + (
            f"; the stack's mode is {result['mode']}, and backfilled events never apply by themselves."
            if result["mode"]
            else "."
        )
    )


def _tell_sent(program: Program, result: dict[str, Any]) -> None:
    sent = result["sent"]
    if sent is None:
        return
    for event, reason in sent["refused"].items():
        program.output.say(f"not sent: event {event}: {reason}", style="yellow")
    program.output.say(
        f"{sent['count']} denials are in the queue. `bedrock-remediator requests list` shows what waits."
    )
