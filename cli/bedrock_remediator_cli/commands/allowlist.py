"""`allowlist`: check its documents, push them, and see whom they would let in."""

from collections.abc import Mapping, Sequence
from typing import Final

import click
from botocore.exceptions import BotoCoreError, ClientError
from rich.text import Text

from bedrock_remediator.aws.bedrock import ProfileReader
from bedrock_remediator.aws.errors import RetryableError
from bedrock_remediator.aws.iam import IamReader
from bedrock_remediator.aws.parameters import AllowlistReader
from bedrock_remediator.clock import SystemClock
from bedrock_remediator.core.allowlist import Allowlist, parse
from bedrock_remediator.core.arn import Principal
from bedrock_remediator.core.profile import Profile
from bedrock_remediator_cli.allowlist import change, documents, trial
from bedrock_remediator_cli.allowlist.trial import Case, Outcome
from bedrock_remediator_cli.deployment import read_deployment, stack_option
from bedrock_remediator_cli.explain.asking import explained
from bedrock_remediator_cli.explain.refusals import heard
from bedrock_remediator_cli.explain.samples import gather
from bedrock_remediator_cli.explain.sources import read as read_sources
from bedrock_remediator_cli.help import Command
from bedrock_remediator_cli.options import Program, shared_options
from bedrock_remediator_cli.output import Output, finish, shown
from bedrock_remediator_cli.trouble import RefusedError

_DEFAULT_PATH: Final = "/bedrock-access-remediator/allowlist"
_FILES: Final = "FILE|NAME=FILE|DIR..."
_STYLES: Final = {"auto": "bold green", "ask": "bold yellow", "report": "bold red"}
_path_option = click.option("--path", metavar="PATH", help="Parameter Store path; else the stack's AllowlistPath.")


@click.group()
def command() -> None:
    """The rules that say what is granted without asking, what needs a person, and what never is.

    A document is a file, YAML or JSON, named for it (main.yaml, _scopes.yaml, team-search.yaml); NAME=FILE names it
    otherwise, and a folder holds several.
    """


@command.command(
    "check",
    cls=Command,
    examples=("bedrock-remediator allowlist check main.yaml", "bedrock-remediator allowlist check rules/ --json"),
)
@click.argument("files", nargs=-1, required=True, metavar=_FILES)
@shared_options
def check_files(program: Program, files: tuple[str, ...]) -> None:
    """Tell every mistake with its line, and what was probably meant. Asks nobody."""
    given = documents.read(files)
    found = documents.problems(given)
    rules = len(parse({each.name: each.text for each in given}).rules)
    value = {
        "problems": [{"file": each.file, "line": each.line, "message": each.message} for each in found],
        "rules": rules,
    }
    output = program.output
    output.answer(value, lambda: _tell_problems(output, found, f"{rules} rules, no mistake."))
    for remark in documents.remarks(given):
        output.note(remark)
    finish(found=bool(found))


@command.command(
    "push",
    cls=Command,
    examples=(
        "bedrock-remediator allowlist push main.yaml",
        "bedrock-remediator allowlist push rules/ --yes --path /bedrock-access-remediator/allowlist",
    ),
)
@click.argument("files", nargs=-1, required=True, metavar=_FILES)
@_path_option
@click.option("--yes", is_flag=True, help="Do not ask before writing.")
@stack_option
@shared_options
def push_files(program: Program, files: tuple[str, ...], path: str | None, stack_name: str, *, yes: bool) -> None:
    """Check the documents, show what changes, and write them to Parameter Store.

    They take effect within a minute. Documents that stand there and are not among the files are left alone.
    """
    given = documents.read(files)
    place = _path(program, path, stack_name)
    standing = change.standing(program.aws.ssm, place)
    texts = {name: each.text for name, each in standing.items()}
    output = program.output
    if found := documents.problems(given, texts):
        _tell_problems(output, found, "")
        raise RefusedError("Nothing was written: correct the mistakes first.")
    wanted = change.changes(given, standing)
    value = {
        "path": place,
        "changes": {each.document.name: each.kind for each in wanted},
        "left_alone": sorted(standing.keys() - {each.name for each in given}),
    }
    for remark in documents.remarks(given, texts):
        output.note(remark)
    if all(each.kind == "unchanged" for each in wanted):
        output.answer({**value, "written": []}, lambda: output.say("Nothing changes."))
        return
    for each in wanted:
        _tell_difference(output, each.difference)
    if not yes:
        click.confirm(f"Write this to {place}?", abort=True, err=True)
    written = change.push(program.aws.ssm, place, wanted)
    output.answer({**value, "written": written}, lambda: output.say(f"Written: {', '.join(written)}."))


@command.command(
    "test",
    cls=Command,
    examples=(
        "bedrock-remediator allowlist test main.yaml --event events/geographic-profile.json",
        "bedrock-remediator backfill --since 30d --json > past.json",
        "bedrock-remediator allowlist test rules/ --against past.json --rule nova-for-llm-apps",
    ),
)
@click.argument("files", nargs=-1, metavar=_FILES.replace("FILE|", "[FILE|", 1) + "]")
@click.option("--event", "events", multiple=True, metavar="FILE|-", help="A denial, as `explain` takes it; repeatable.")
@click.option("--against", multiple=True, metavar="FILE", help="What backfill --json or audit --json printed.")
@click.option("--rule", metavar="NAME", help="Only whom this rule decides about.")
@click.option("--offline", is_flag=True, help="Do not ask AWS for profiles, role paths and tags.")
@_path_option
@stack_option
@shared_options
def test_rules(  # noqa: PLR0913 - one an option
    program: Program,
    *,
    files: tuple[str, ...],
    events: tuple[str, ...],
    against: tuple[str, ...],
    rule: str | None,
    offline: bool,
    path: str | None,
    stack_name: str,
) -> None:
    """Say whom the rules would let in, and which rule decides, in mode auto. Without FILES, by the deployed rules.

    Of every other rule it says what keeps it from deciding: the model, the destination, or the field that does not fit.

    Nothing is changed. Backfilled events never apply by themselves; here they are judged as if CloudTrail brought them.
    """
    if not (events or against):
        raise click.UsageError("Give denials with --event, or results with --against.")
    allowlist = _allowlist(program, files, path, stack_name)
    if rule and rule not in {each.label for each in allowlist.rules}:
        raise click.BadParameter(f"there is no rule {rule}", param_hint="--rule")
    listed = _SystemDefined(program, offline=offline)
    cases = _of_events(program, events, allowlist, listed, offline=offline)
    cases += _of_results(program, against, allowlist, listed, offline=offline)
    outcomes = [trial.outcome(case, allowlist) for case in cases]
    kept = [each for each in outcomes if rule is None or each.rule == rule]
    output = program.output
    value = {"outcomes": [each.fields() for each in kept], "problems": list(allowlist.alerts)}
    output.answer(value, lambda: _tell_outcomes(output, kept))
    for problem in allowlist.alerts:
        output.note(f"The allowlist has a mistake: {problem}")
    finish(found=bool(allowlist.alerts))


def _path(program: Program, path: str | None, stack_name: str) -> str:
    if path:
        return path.rstrip("/")
    return read_deployment(program.aws, stack_name).parameter("AllowlistPath", _DEFAULT_PATH).rstrip("/")


def _allowlist(program: Program, files: Sequence[str], path: str | None, stack_name: str) -> Allowlist:
    if files:
        return parse({each.name: each.text for each in documents.read(files)})
    return AllowlistReader(lambda: program.aws.ssm, _path(program, path, stack_name), SystemClock()).read()


class _SystemDefined:
    """The system-defined profiles of a region, asked for where an application profile is looked at."""

    def __init__(self, program: Program, *, offline: bool) -> None:
        self._program = program
        self._offline = offline
        self._found: dict[tuple[str, str], tuple[Profile, ...]] = {}

    def __call__(self, account: str, region: str) -> tuple[Profile, ...]:
        if (account, region) not in self._found:
            self._found[account, region] = () if self._offline else self._asked(account, region)
        return self._found[account, region]

    def _asked(self, account: str, region: str) -> tuple[Profile, ...]:
        aws = self._program.aws
        try:
            if aws.session.get_credentials() is not None and region and aws.account == account:
                return ProfileReader(aws.clients.bedrock).profiles(account, region, only="SYSTEM_DEFINED")
            why = "there are no credentials of its account"
        except (ClientError, BotoCoreError, RetryableError) as error:
            why = str(error)
        self._program.output.note(
            f"Which profiles the application profiles of {account} stand for is not known, so rules that ask or forbid "
            f"by the ids of profiles may not show: {why}."
        )
        return ()


def _of_events(
    program: Program, events: Sequence[str], allowlist: Allowlist, listed: trial.SystemDefined, *, offline: bool
) -> list[Case]:
    if not events:
        return []
    known = explained(program, heard(gather(read_sources(events)).samples), offline=offline)
    cases = []
    for each in known:
        holder = each.refusal.holder
        tags = _tags(program, holder, allowlist, offline=offline) if holder else {}
        case = trial.of_explanation(each, tags, listed)
        if case is None:
            program.output.note(
                f"{each.refusal.where or 'A denial'} does not tell who called what, so no rule applies."
            )
        else:
            cases.append(case)
    return cases


def _of_results(
    program: Program, files: Sequence[str], allowlist: Allowlist, listed: trial.SystemDefined, *, offline: bool
) -> list[Case]:
    return [
        trial.with_tags(case, lambda holder: _tags(program, holder, allowlist, offline=offline))
        for file in files
        for case in trial.of_results(file, listed)
    ]


def _tags(program: Program, holder: Principal, allowlist: Allowlist, *, offline: bool) -> Mapping[str, str]:
    """The principal's tags, asked for only where a rule is about tags."""
    if offline or not any(rule.principal_tags for rule in allowlist.rules):
        return {}
    try:
        known = program.aws.session.get_credentials() is not None and program.aws.account == holder.account
        identity = IamReader(program.aws.clients.iam).identity(holder) if known else None
        why = "there are no credentials of its account" if not known else "it does not exist"
    except (ClientError, BotoCoreError, RetryableError) as error:
        identity, why = None, str(error)
    if identity is None:
        program.output.note(f"The tags of {holder.arn} are not known, so rules about tags do not fit: {why}.")
        return {}
    return identity.tags


def _tell_problems(output: Output, found: Sequence[documents.Problem], otherwise: str) -> None:
    for each in found:
        (output.notes.print if output.as_json else output.console.print)(Text(shown(str(each)), style="red"))
    if not found and otherwise:
        output.say(otherwise)


def _tell_difference(output: Output, lines: Sequence[str]) -> None:
    for line in lines:
        style = {"+": "green", "-": "red", "@": "cyan"}.get(line[:1], "")
        (output.notes.print if output.as_json else output.console.print)(Text(shown(line), style=style))


def _tell_outcomes(output: Output, outcomes: Sequence[Outcome]) -> None:
    for rule, decided in trial.by_rule(outcomes).items():
        output.say(f"rule {rule}" if rule else "no rule", style="bold")
        for each in decided:
            subject = each.case.subject
            what = subject.target or "-"
            place = f" in {subject.region}" if subject.region else ""
            output.say(
                Text.assemble(
                    "  ",
                    (f"{each.decision:<7}", _STYLES.get(each.decision, "")),
                    shown(f"{subject.principal} -> {what}{place}"),
                )
            )
            output.say(f"         {each.reason}", style="dim")
            for label, why in each.rules.items():
                output.say(f"         {shown(label)}: {shown(why)}", style="dim")
    if not outcomes:
        output.say("Nobody.")
