"""Whom the allowlist would let in: each caller and target held against its rules, as mode `auto` would.

Rules match what AWS confirmed. Where AWS was not asked, the form of the identifiers stands for that.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from bedrock_remediator.core.allowlist import Allowlist, Subject
from bedrock_remediator.core.arn import ArnError, Principal
from bedrock_remediator.core.decision import decide
from bedrock_remediator.core.diagnosis import GRANTABLE, Diagnosis
from bedrock_remediator.core.grant import DiagnosisKind
from bedrock_remediator_cli.explain.explanation import Explanation
from bedrock_remediator_cli.trouble import EnvironmentTrouble


class Case(Struct, frozen=True, kw_only=True):
    """Who would get access to what, from where it is known, and whether a grant could help at all.

    `principal` None: the caller has no policy of its own. `doubt` says why a person would have to look.
    """

    where: str
    subject: Subject
    helps: bool
    doubt: str | None = None


class Outcome(Struct, frozen=True, kw_only=True):
    """What the rules make of a case: `decision` is auto, ask, or report; `others` match too and did not decide."""

    case: Case
    decision: str
    rule: str | None
    reason: str
    others: tuple[str, ...]

    def fields(self) -> dict[str, Any]:
        """It, for programs."""
        subject = self.case.subject
        return {
            "where": self.case.where,
            "principal": subject.principal or None,
            "account": subject.account,
            "region": subject.region,
            "profile": subject.profile_arn,
            "model_id": subject.profile_id or subject.model_id,
            "source_ip": subject.source_ip,
            "decision": self.decision,
            "rule": self.rule,
            "reason": self.reason,
            "other_rules": list(self.others),
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
    matching = [rule.label for rule in allowlist.rules if rule.matches(case.subject)] if case.helps else []
    return Outcome(
        case=case,
        decision=made.outcome.value,
        rule=made.rule,
        reason=made.reason,
        others=tuple(label for label in matching if label != made.rule),
    )


def of_explanation(explanation: Explanation, tags: Mapping[str, str]) -> Case | None:
    """The case of an explained denial; None where nothing tells who called what."""
    refusal, target = explanation.refusal, explanation.target
    holder = refusal.holder
    if holder is None or target is None:
        return None
    model = target.models[0] if target.profile is None and target.models else None
    return Case(
        where=refusal.where,
        subject=Subject(
            principal=holder.arn,
            tags=tags,
            account=holder.account,
            region=refusal.region or "",
            source_ip=refusal.denial.source_ip if refusal.denial else None,
            profile_arn=target.profile,
            profile_id=target.profile.rpartition("/")[2] if target.profile else None,
            model_arn=model,
            model_id=model.rpartition("/")[2] if model else None,
        ),
        helps=explanation.verdict.fixable is not False and not holder.service_owned,
        doubt=explanation.verdict.steps[0] if explanation.verdict.fixable is None else None,
    )


def of_results(file: str) -> list[Case]:
    """The cases in what `backfill --json` or `audit --json` printed. Tags are not in there.

    Raises:
        EnvironmentTrouble: The file is no such answer.
    """
    try:
        content = json.loads(Path(file).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise EnvironmentTrouble(f"{file} cannot be read as JSON: {error}") from error
    found = list(_distinct(_cases(content, file)))
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
        key = (subject.principal, subject.profile_arn, subject.model_arn, subject.region, case.helps)
        if key not in seen:
            seen.add(key)
            yield case


def _cases(value: Any, file: str) -> Iterator[Case]:
    if isinstance(value, list):
        for each in value:
            yield from _cases(each, file)
    elif isinstance(value, dict):
        principal = value.get("principal")
        if isinstance(principal, str) and isinstance(value.get("profiles"), list):
            yield from (_case(value, principal, each.get("arn"), None, file) for each in value["profiles"])
        elif isinstance(principal, str) and "model_id" in value:
            resources = value.get("resources") or [None]
            yield _case(value, principal, value.get("profile"), resources[0], file)
        else:
            for each in value.values():
                yield from _cases(each, file)


def _case(value: Mapping[str, Any], principal: str, profile: str | None, resource: str | None, file: str) -> Case:
    holder = _principal(principal)
    model = resource if profile is None else None
    return Case(
        where=file,
        subject=Subject(
            principal=principal,
            tags={},
            account=holder.account if holder else str(value.get("account") or ""),
            region=str(value.get("region") or ""),
            profile_arn=profile,
            profile_id=profile.rpartition("/")[2] if profile else None,
            model_arn=model,
            model_id=model.rpartition("/")[2] if model else None,
        ),
        helps=value.get("fixable", value.get("diagnosis", "missing_grant") in GRANTABLE) is True,
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
