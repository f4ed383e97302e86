"""Why a rule is about a grant or is not: which of its fields fails, and by which model, destination or tag."""

from collections.abc import Callable, Mapping
from typing import Final

from bedrock_remediator.core.allowlist import Allowlist
from bedrock_remediator.core.rule import Rule, RuleEffect, Scope, unmatched
from bedrock_remediator.core.subject import Subject


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
