"""Whom the allowlist would let in: each caller and target held against its rules, as mode `auto` would.

Rules match what AWS confirmed. Where AWS was not asked, the form of the identifiers stands for that.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from bedrock_remediator.core.allowlist import Allowlist
from bedrock_remediator.core.arn import ArnError, Principal
from bedrock_remediator.core.decision import decide
from bedrock_remediator.core.diagnosis import GRANTABLE, Diagnosis
from bedrock_remediator.core.enrolment import Enrolment
from bedrock_remediator.core.grant import DiagnosisKind
from bedrock_remediator.core.profile import Profile, ProfileType
from bedrock_remediator.core.subject import Origin, Subject, subject
from bedrock_remediator_cli.allowlist.mismatch import why
from bedrock_remediator_cli.explain.explanation import Explanation
from bedrock_remediator_cli.explain.target import MODEL
from bedrock_remediator_cli.trouble import EnvironmentTrouble

SystemDefined = Callable[[str, str], tuple[Profile, ...]]
"""(account, region) -> the system-defined profiles there; none where AWS is not asked."""


class Case(Struct, frozen=True, kw_only=True):
    """Who would get access to what, from where it is known, and whether a grant could help at all.

    `principal` None: the caller has no policy of its own. `doubt` says why a person would have to look.
    """

    where: str
    subject: Subject
    helps: bool
    doubt: str | None = None


class Outcome(Struct, frozen=True, kw_only=True):
    """What the rules make of a case: `decision` is auto, ask, or report; `others` match too and did not decide.

    `rules` says of every rule why it decides or does not.
    """

    case: Case
    decision: str
    rule: str | None
    reason: str
    others: tuple[str, ...]
    rules: Mapping[str, str]

    def fields(self) -> dict[str, Any]:
        """It, for programs."""
        subject = self.case.subject
        return {
            "where": self.case.where,
            "principal": subject.principal or None,
            "account": subject.account,
            "region": subject.region,
            "profile": subject.profile_arn,
            "model_id": subject.target,
            "models": list(subject.reach.ids),
            "destinations": list(subject.reach.destinations),
            "equivalents": list(subject.equivalents),
            "source_ip": subject.source_ip,
            "vpc_endpoint": subject.vpc_endpoint,
            "decision": self.decision,
            "rule": self.rule,
            "reason": self.reason,
            "other_rules": list(self.others),
            "rules": [{"rule": label, "why": why} for label, why in self.rules.items()],
        }


def outcome(case: Case, allowlist: Allowlist) -> Outcome:
    """Hold a case against the rules."""
    diagnosis = Diagnosis(
        kind=DiagnosisKind.MISSING_GRANT if case.helps else DiagnosisKind.NOT_FIXABLE,
        code="unclear" if case.doubt else "missing_grant" if case.helps else "not_fixable",
        reason=case.doubt or "No grant would help, so no rule is asked.",
        grantable=case.helps,
        ask_only=case.doubt is not None,
    )
    made = decide(mode="auto", paused=False, diagnosis=diagnosis, allowlist=allowlist, subject=case.subject)
    rules = allowlist.rules if case.helps else ()
    matching = [rule.label for rule in rules if rule.matches(case.subject)]
    return Outcome(
        case=case,
        decision=made.outcome.value,
        rule=made.rule,
        reason=made.reason,
        others=tuple(label for label in matching if label != made.rule),
        rules={rule.label: why(rule, case.subject, allowlist) for rule in rules},
    )


def of_explanation(explanation: Explanation, tags: Mapping[str, str], system_defined: SystemDefined) -> Case | None:
    """The case of an explained denial; None where nothing tells who called what."""
    refusal, target = explanation.refusal, explanation.target
    holder = refusal.holder
    if holder is None or target is None:
        return None
    return Case(
        where=refusal.where,
        subject=_subject(
            holder.arn,
            tags,
            holder.account,
            refusal.region or "",
            target.profile,
            target.models,
            system_defined,
            refusal.denial or _NOWHERE,
        ),
        helps=explanation.verdict.fixable is not False and not holder.service_owned,
        doubt=explanation.verdict.steps[0] if explanation.verdict.fixable is None else None,
    )


def of_results(file: str, system_defined: SystemDefined) -> list[Case]:
    """The cases in what `backfill --json` or `audit --json` printed. Tags are not in there.

    Raises:
        EnvironmentTrouble: The file is no such answer.
    """
    try:
        content = json.loads(Path(file).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise EnvironmentTrouble(f"{file} cannot be read as JSON: {error}") from error
    found = list(_distinct(_cases(content, file, system_defined)))
    if not found:
        raise EnvironmentTrouble(f"{file} holds no row of `backfill --json` and no finding of `audit --json`.")
    return found


def with_tags(case: Case, tags: Callable[[Principal], Mapping[str, str]]) -> Case:
    """The case with its principal's tags."""
    holder = _principal(case.subject.principal)
    return replace(case, subject=replace(case.subject, tags=tags(holder))) if holder else case


def _distinct(cases: Iterable[Case]) -> Iterator[Case]:
    seen = set()
    for case in cases:
        subject = case.subject
        key = (subject.principal, subject.profile_arn, subject.models, subject.region, case.helps)
        if key not in seen:
            seen.add(key)
            yield case


def _cases(value: Any, file: str, system_defined: SystemDefined) -> Iterator[Case]:
    if isinstance(value, list):
        for each in value:
            yield from _cases(each, file, system_defined)
    elif isinstance(value, dict):
        principal = value.get("principal")
        if isinstance(principal, str) and isinstance(value.get("profiles"), list):
            for each in value["profiles"]:
                yield _case(value, principal, each.get("arn"), each.get("needed"), file, system_defined)
        elif isinstance(principal, str) and "model_id" in value:
            yield _case(value, principal, value.get("profile"), value.get("resources"), file, system_defined)
        else:
            for each in value.values():
                yield from _cases(each, file, system_defined)


def _case(  # noqa: PLR0913, PLR0917 - what a row and a finding have in common
    value: Mapping[str, Any],
    principal: str,
    profile: str | None,
    resources: Sequence[str] | None,
    file: str,
    system_defined: SystemDefined,
) -> Case:
    holder = _principal(principal)
    account = holder.account if holder else str(value.get("account") or "")
    models = tuple(arn for arn in resources or () if arn != profile)
    region = str(value.get("region") or "")
    return Case(
        where=file,
        subject=_subject(principal, {}, account, region, profile, models, system_defined, _NOWHERE),
        helps=value.get("fixable", value.get("diagnosis", "missing_grant") in GRANTABLE) is True,
    )


class _Nowhere(Struct, frozen=True):
    """Where a call came from of which no record tells."""

    source_ip: str | None = None
    vpc_endpoint: str | None = None
    vpc_endpoint_account: str | None = None


_NOWHERE: Final = _Nowhere()


def _subject(  # noqa: PLR0913, PLR0917 - its parts
    principal: str,
    tags: Mapping[str, str],
    account: str,
    region: str,
    profile: str | None,
    models: tuple[str, ...],
    system_defined: SystemDefined,
    origin: Origin,
) -> Subject:
    """What rules are held against, of what is known; what only AWS knows of the models is left out."""
    known = tuple(model for model in models if not model.endswith(f"/{MODEL}"))
    target: Profile | str | None = known[0] if known else None
    listed: tuple[Profile, ...] = ()
    if profile:
        application = ":application-inference-profile/" in profile
        kind: ProfileType = "APPLICATION" if application else "SYSTEM_DEFINED"
        target = Profile(arn=profile, id=profile.rpartition("/")[2], type=kind, models=known)
        listed = system_defined(account, region) if application and known else ()
    return subject(
        principal=principal,
        tags=tags,
        account=account,
        region=region,
        origin=origin,
        enrolment=Enrolment(account),
        target=target,
        system_defined=listed,
    )


def _principal(arn: str) -> Principal | None:
    try:
        return Principal.parse(arn)
    except ArnError:
        return None


def by_rule(outcomes: Sequence[Outcome]) -> dict[str | None, list[Outcome]]:
    """The outcomes by the rule that decided."""
    found: dict[str | None, list[Outcome]] = {}
    for each in outcomes:
        found.setdefault(each.rule, []).append(each)
    return found
