"""Whom the allowlist would let in: each caller and target held against its rules, as mode `auto` would.

Rules match what AWS confirmed. Where AWS was not asked, the form of the identifiers stands for that.

`why` says which field of a rule fails, and by which model, destination or tag.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from bedrock_remediator.core.accounts import Enrolment
from bedrock_remediator.core.allowlist import Allowlist
from bedrock_remediator.core.allowlist.rules import Origin, Rule, RuleEffect, Scope, Subject, subject, unmatched
from bedrock_remediator.core.arn import ArnError, Principal
from bedrock_remediator.core.decision import decide
from bedrock_remediator.core.diagnosis import GRANTABLE, Diagnosis
from bedrock_remediator.core.grant import DiagnosisKind
from bedrock_remediator.core.profile import Profile, ProfileType
from bedrock_remediator_cli.explain.explanation import Explanation
from bedrock_remediator_cli.explain.target import MODEL
from bedrock_remediator_cli.trouble import EnvironmentTrouble


def why(rule: Rule, subject: Subject, allowlist: Allowlist) -> str:
    """One sentence: the rule decides, matches and is overruled, or does not match and by what."""
    failed = rule.failed_by(subject)
    if failed is None:
        deciding = allowlist.strongest(subject)
        if deciding is None or deciding.label == rule.label:
            problem = allowlist.problem_about(subject) if rule.effect is RuleEffect.AUTO else None
            return f"It matches, but the allowlist has a mistake: {problem}." if problem else "It decides."
        if deciding.effect is rule.effect:
            return f"It matches, and the rule {deciding.label} comes before it."
        return f"It matches, and the rule {deciding.label} is stronger: {deciding.effect} beats {rule.effect}."
    field = failed.removeprefix("scope.")
    limits: Rule | Scope = rule.scope if failed.startswith("scope.") and rule.scope else rule
    of = f"the scope of {rule.document}: {field}" if limits is not rule else field
    return f"{of}: {_reason(field, limits, subject, every=rule.effect is RuleEffect.AUTO)}"


def _reason(field: str, limits: Rule | Scope, subject: Subject, *, every: bool) -> str:
    """What is the matter with a field."""
    if isinstance(limits, Rule) and field in _OF_RULES:
        return _OF_RULES[field](limits, subject)
    reach = subject.reach
    if field == "profiles":
        return _profiles(subject, every=every)
    if field == "models":
        wrong = _names(limits.models, reach.ids, subject.models, every=every)
        return _several("reaches", wrong, "model", every=every)
    if field == "destinations":
        wrong = unmatched(limits.destinations, reach.destinations)
        return _several("routes to", wrong, "destination", every=every)
    value = {"accounts": subject.account, "regions": subject.region, "principals": subject.principal}[field]
    return f"{value or 'what is not known'} is none of them."


def _names(patterns: tuple[str, ...], ids: tuple[str, ...], arns: tuple[str, ...], *, every: bool) -> tuple[str, ...]:
    """The ids of those models that the patterns are not about."""
    by_id = unmatched(patterns, ids)
    wrong = [arn for arn in unmatched(patterns, arns) if arn.rpartition("/")[2] in by_id]
    return tuple(dict.fromkeys(arn.rpartition("/")[2] for arn in wrong)) if every else ids


def _several(verb: str, wrong: tuple[str, ...], noun: str, *, every: bool) -> str:
    if not wrong:
        return f"which {noun}s it {verb} is not known."
    some = ", ".join("unknown regions" if each == "*" else each for each in wrong)
    rest = f"which the rule does not name; auto needs every {noun} to match" if every else "none of which it names"
    return f"it {verb} {some}, {rest}."


def _profiles(subject: Subject, *, every: bool) -> str:
    if subject.profile_arn is None:
        return "no profile was called, but the model itself."
    if not subject.through_application_profile:
        return f"{subject.profile_id} is none of them."
    if every or not subject.equivalents:
        return f"{subject.profile_arn} is none of them; an application profile is named by its ARN."
    return f"neither {subject.profile_arn} nor {', '.join(subject.equivalents)}, for which it stands, is one of them."


def _tags(rule: Rule, subject: Subject) -> str:
    wrong = [key for key, values in rule.principal_tags.items() if subject.tags.get(key) not in values]
    return ", ".join(f"the tag {key} is {subject.tags.get(key, 'not there')}" for key in wrong) + "."


def _endpoint(_: Rule, subject: Subject) -> str:
    return f"the call came through {subject.vpc_endpoint or 'no VPC endpoint that its record names'}."


def _address(rule: Rule, subject: Subject) -> str:
    if subject.source_ip is None:
        return "no record tells where the call came from."
    anywhere = ("0.0.0.0/0", "::/0")
    if subject.is_within(anywhere, rule.source_vpces):
        return f"{subject.source_ip} is in none of them."
    through = f" through {subject.vpc_endpoint}" if subject.vpc_endpoint else ""
    return (
        f"the call came from {subject.source_ip}{through}, which proves nothing: what is no address never does, and a "
        "private one, or one behind a VPC endpoint, only with an endpoint of source_vpces or of an enrolled account."
    )


_OF_RULES: Final[Mapping[str, Callable[[Rule, Subject], str]]] = {
    "principal_tags": _tags,
    "source_ips": _address,
    "source_vpces": _endpoint,
}


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
