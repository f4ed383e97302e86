"""A finding in a sentence, and what to do about it in another."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from bedrock_remediator.core.arn import Principal
from bedrock_remediator_cli.audit.findings import Finding, Kind, Level

_SHOWN: Final = 3


def sentence(principal: Principal, finding: Finding) -> str:
    """What is the matter."""
    return _SENTENCES[finding.kind](finding, f"{principal.kind} {principal.name}")


def advice(principal: Principal, finding: Finding) -> str:
    """What to do about it."""
    text = _advice(finding)
    if principal.identity_center and finding.fixable:
        return f"{text} The role is Identity Center's: the permission set is where the policy goes."
    return text


def listed(texts: Sequence[str]) -> str:
    """The first of some texts, and how many more there are."""
    unique = list(dict.fromkeys(texts))
    rest = len(unique) - _SHOWN
    return ", ".join(unique[:_SHOWN]) + (f" and {rest} more" if rest > 0 else "")


def _ids(finding: Finding) -> str:
    return listed([each.client_model_id for each in finding.affected])


def _models(finding: Finding) -> str:
    return listed([each.model_id for each in finding.affected])


def _in(finding: Finding) -> str:
    return f" ({finding.policy})" if finding.policy else ""


def _no_profile(finding: Finding, who: str) -> str:
    maybe = "" if finding.level is Level.ERROR else ", as far as can be seen,"
    return (
        f"{who} may invoke {_models(finding)}{_in(finding)}, which it can{maybe} only call through an inference "
        f"profile in {finding.region}, and is granted none of them."
    )


def _destination(finding: Finding, who: str) -> str:
    return (
        f"{who} may invoke {_ids(finding)} in {finding.region}{_in(finding)}, and not all that it routes to: "
        f"{_missing(finding)}. Calls fail whenever they are routed there."
    )


def _not_found(finding: Finding, who: str) -> str:
    return (
        f"{who} is granted {finding.subject[0]}{_in(finding)}, which does not exist in {finding.region}. "
        f"What exists there: {listed(finding.candidates)}."
    )


def _action(finding: Finding, who: str) -> str:
    verb = "is no IAM action" if len(finding.subject) == 1 else "are no IAM actions"
    return f"{who}: {listed(finding.subject)}{_in(finding)} {verb}, and IAM ignores what it does not know."


def _condition(finding: Finding, who: str) -> str:
    return (
        f"{who} is allowed {_ids(finding)} in {finding.region}{_in(finding)} under a condition on "
        f"{listed(finding.subject)} that such calls cannot meet for {_missing(finding)}."
    )


def _deny(finding: Finding, who: str) -> str:
    return f"{who} is allowed {_ids(finding)} in {finding.region}, and denied{_in(finding)} {_missing(finding)}."


def _boundary(finding: Finding, who: str) -> str:
    return (
        f"{who} is allowed {_ids(finding)} in {finding.region}, and its permissions boundary{_in(finding)} does not "
        f"let it reach {_missing(finding)}."
    )


def _organization(finding: Finding, who: str) -> str:
    may = "stops" if finding.level is Level.ERROR else "may stop"
    return (
        f"{who} is allowed {_ids(finding)} in {finding.region}, and a service control policy{_in(finding)} {may} "
        f"{_missing(finding)}."
    )


def _missing(finding: Finding) -> str:
    """What is missing, in few words: the profile itself, and the regions of the model."""
    profiles = {each.profile for each in finding.affected}
    missing = {arn for each in finding.affected for arn in each.missing}
    regions = sorted({arn.split(":")[3] or "no region (global)" for arn in missing - profiles})
    parts = ["the profile itself"] if missing & profiles else []
    return " and ".join([*parts, *([f"the model in {', '.join(regions)}"] if regions else [])])


_SENTENCES: Final[Mapping[Kind, Callable[[Finding, str], str]]] = {
    Kind.NO_PROFILE: _no_profile,
    Kind.DESTINATION_MISSING: _destination,
    Kind.PROFILE_NOT_FOUND: _not_found,
    Kind.UNKNOWN_ACTION: _action,
    Kind.CONDITION_NEVER_MET: _condition,
    Kind.EXPLICIT_DENY: _deny,
    Kind.BOUNDARY: _boundary,
    Kind.ORGANIZATION: _organization,
}


_BY_HAND: Final[Mapping[Kind, str]] = {
    Kind.NO_PROFILE: "A condition or a higher policy stands in the way too: change the statement by hand.",
    Kind.DESTINATION_MISSING: "A condition or a higher policy stands in the way too: change the statement by hand.",
    Kind.UNKNOWN_ACTION: "Allow bedrock:InvokeModel and bedrock:InvokeModelWithResponseStream: Converse is authorised "
    "by them.",
    Kind.CONDITION_NEVER_MET: "If the condition is no control that is meant so, widen it by hand to what the profile "
    "routes to.",
    Kind.EXPLICIT_DENY: "A deny wins over every grant: change it, or use a profile that stays within what it leaves.",
    Kind.BOUNDARY: "No policy can exceed the boundary: widen it, or use a profile that stays within it.",
    Kind.ORGANIZATION: "Only the organization's administrators can change it; or use a profile that stays within it.",
}


def _advice(finding: Finding) -> str:
    if finding.kind is Kind.PROFILE_NOT_FOUND:
        client = "" if finding.candidates[0].startswith("arn:") else ", and have the client use it as its modelId"
        return f"Grant {finding.candidates[0]} instead, with every model that it routes to{client}."
    if not finding.fixable:
        return _BY_HAND[finding.kind]
    if finding.kind is Kind.CONDITION_NEVER_MET:
        return "Allow the profile itself without the condition; only the models take it (--fix-plan writes both)."
    others = sorted({other for each in finding.affected for other in each.alternatives})
    choice = f" Other profiles of the same models: {listed(others)}." if others else ""
    return f"Grant {_ids(finding)} with every ARN that it needs (--fix-plan writes the policy).{choice}"
