"""`audit`: which principals may invoke a model and will fail, before anybody is denied."""

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import click
from botocore.exceptions import ClientError
from rich.text import Text

from bedrock_remediator.aws.errors import RetryableError
from bedrock_remediator.clock import SystemClock
from bedrock_remediator_cli.audit import fix_plan, wording
from bedrock_remediator_cli.audit.account import AccountReader
from bedrock_remediator_cli.audit.audit import Audit
from bedrock_remediator_cli.audit.catalogue import Catalogue, read_catalogues
from bedrock_remediator_cli.audit.findings import Audited, Kind, Level
from bedrock_remediator_cli.audit.organization import Ceiling, read_ceiling
from bedrock_remediator_cli.audit.report import content, sarif
from bedrock_remediator_cli.help import Command
from bedrock_remediator_cli.options import Program, shared_options
from bedrock_remediator_cli.output import Output, finish
from bedrock_remediator_cli.trouble import EnvironmentTrouble

_EXAMPLES: Final = (
    "bedrock-remediator audit --regions us-east-1,eu-central-1",
    "bedrock-remediator audit --sarif bedrock.sarif --fix-plan plan/",
    "bedrock-remediator audit --json | jq '.findings[] | select(.fixable) | .principal'",
)
_FILE: Final = click.Path(path_type=Path, dir_okay=False)
_FOLDER: Final = click.Path(path_type=Path, file_okay=False)
_WORDS: Final = {Level.ERROR: "will fail", Level.WARNING: "may fail", Level.NOTE: "untidy"}
_STYLES: Final = {Level.ERROR: "bold red", Level.WARNING: "bold yellow", Level.NOTE: "dim"}
_REGION: Final = re.compile(r"[a-z]{2,5}(-[a-z]+)+-[0-9]{1,2}")


@click.command(cls=Command, examples=_EXAMPLES)
@shared_options
@click.option("--regions", metavar="LIST", help="Regions that calls are made from, with commas; else --region's.")
@click.option("--sarif", "sarif_file", type=_FILE, metavar="FILE", help="Also write the findings as SARIF 2.1.0.")
@click.option("--fix-plan", "plan_folder", type=_FOLDER, metavar="DIR", help="Write the missing policies into DIR.")
@click.option("--notes", is_flag=True, help="Show what is only untidy, too.")
def command(
    program: Program, *, regions: str | None, sarif_file: Path | None, plan_folder: Path | None, notes: bool
) -> None:
    """Find the principals that may invoke a model and will fail, before anybody is denied.

    Reads every role, user, group and policy of the account, the inference profiles and models of the regions, and the
    service control policies where they may be read. Changes nothing. Ends with 1 if calls will fail.
    """
    try:
        catalogues, ceiling = _surroundings(program, _regions(program, regions))
        audit = Audit(catalogues, ceiling, f"{SystemClock().now():%Y-%m-%dT%H:%M:%SZ}")
        audited = _audited(program, audit)
    except RetryableError as error:
        raise EnvironmentTrouble(f"AWS did not answer in time: {error}") from error
    if sarif_file:
        _write(sarif_file, sarif(audited))
    plans = tuple(fix_plan.plans(audited)) if plan_folder else ()
    if plan_folder:
        fix_plan.write(plans, plan_folder)
    result = {
        "account": program.aws.account,
        "regions": [each.region for each in catalogues],
        "principals": audit.examined,
        "service_control_policies": list(ceiling.policies) if ceiling else None,
        "findings": [each for one in audited for each in content(one)],
        "plans": [{"principal": plan.principal.arn, "files": list(plan.names)} for plan in plans],
    }
    program.output.answer(result, lambda: _tell(program.output, audited, audit.examined, notes=notes))
    if plan_folder:
        program.output.note(f"{sum(len(plan.names) for plan in plans)} policies are in {plan_folder}; see plan.json.")
    finish(found=any(finding.level is not Level.NOTE for one in audited for finding in one.findings))


def _regions(program: Program, named: str | None) -> Sequence[str]:
    if named is None:
        return (program.aws.region,)
    regions = tuple(dict.fromkeys(filter(None, (each.strip() for each in named.split(",")))))
    for region in regions:
        if not _REGION.fullmatch(region):
            raise click.BadParameter(f"{region!r} is no region", param_hint="--regions")
    if not regions:
        raise click.BadParameter("it names no region", param_hint="--regions")
    return regions


def _surroundings(program: Program, regions: Sequence[str]) -> tuple[list[Catalogue], Ceiling | None]:
    """What can be invoked, and what the organization leaves."""
    aws, output = program.aws, program.output
    catalogues = []
    with output.progress("reading inference profiles", len(regions)) as advance:
        for catalogue in read_catalogues(aws.clients.bedrock, aws.account, regions):
            catalogues.append(catalogue)
            advance()
    for catalogue in catalogues:
        if catalogue.on_demand is None:
            output.note(
                f"{catalogue.region}: you may not call bedrock:ListFoundationModels, so which models need a "
                "profile is not known, and such findings are warnings."
            )
        if not catalogue.profiles:
            output.note(f"{catalogue.region}: there are no inference profiles.")
    ceiling = read_ceiling(aws.client("organizations", _organizations_region(aws.partition)), aws.account)
    if ceiling is None:
        output.note("Service control policies were not looked at: there is no organization, or you may not read it.")
    return catalogues, ceiling


def _organizations_region(partition: str) -> str:
    """Where the partition's AWS Organizations is."""
    return {"aws-cn": "cn-northwest-1", "aws-us-gov": "us-gov-west-1"}.get(partition, "us-east-1")


def _audited(program: Program, audit: Audit) -> list[Audited]:
    """Every principal with findings; the account's pages are let go as they have been examined."""
    reader = AccountReader(program.aws.iam)
    with program.output.progress("reading policies and groups") as advance:
        for read in reader.read_policies():
            advance(read)
    audited: list[Audited] = []
    advanced = 0
    with program.output.progress("examining principals", _principals(program)) as advance:
        for page in audit.of(reader):
            advance(audit.examined - advanced)
            advanced = audit.examined
            audited += page
    return sorted(audited, key=lambda each: each.principal.arn)


def _principals(program: Program) -> int | None:
    """How many roles and users there are, for the progress; None where that may not be asked."""
    try:
        summary = program.aws.iam.get_account_summary()["SummaryMap"]
    except ClientError:
        return None
    return summary.get("Roles", 0) + summary.get("Users", 0)


def _write(path: Path, content: Any) -> None:
    try:
        path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise EnvironmentTrouble(f"{path} cannot be written: {error.strerror}") from error


def _tell(output: Output, audited: Sequence[Audited], examined: int, *, notes: bool) -> None:
    shown = [
        (one.principal, finding)
        for one in audited
        for finding in one.findings
        if notes or finding.level is not Level.NOTE
    ]
    for principal, finding in shown:
        heading = Text(f"{_WORDS[finding.level]} ", style=_STYLES[finding.level])
        heading.append(f"{principal.kind}{principal.path}{principal.name}", style="bold")
        heading.append(f"  {finding.kind.value}", style="dim")
        output.say(heading)
        output.say(f"  {wording.sentence(principal, finding)}")
        output.say(f"  {wording.advice(principal, finding)}\n")
    if shown:
        output.table(("finding", "principals", *_WORDS.values(), "fixable"), _summary(audited))
    levels = Counter(finding.level for one in audited for finding in one.findings)
    output.say(
        f"{examined} principals examined: {levels[Level.ERROR]} findings will fail, {levels[Level.WARNING]} may fail, "
        f"{levels[Level.NOTE]} are only untidy."
    )


def _summary(audited: Sequence[Audited]) -> Iterator[tuple[str, ...]]:
    """Each kind of finding: of how many principals, how many at each level, and how many a policy would help."""
    found = [(one.principal.arn, finding) for one in audited for finding in one.findings]
    for kind in Kind:
        some = [(arn, finding) for arn, finding in found if finding.kind is kind]
        if some:
            levels = Counter(finding.level for _, finding in some)
            counts = (len({arn for arn, _ in some}), *(levels[level] for level in _WORDS))
            yield (kind.value, *map(str, counts), str(sum(finding.fixable for _, finding in some)))
