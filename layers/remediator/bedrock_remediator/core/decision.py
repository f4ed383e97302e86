"""What is done about a diagnosis: apply it, ask a person, or only report it; and the rule or reason that says so."""

from datetime import timedelta

from msgspec import Struct

from bedrock_remediator.core.allowlist import Allowlist
from bedrock_remediator.core.allowlist.rules import Rule, RuleEffect, Subject
from bedrock_remediator.core.diagnosis import Diagnosis
from bedrock_remediator.core.grant import Outcome

__all__ = ["CAP_REACHED", "Decision", "Subject", "decide", "reported"]

CAP_REACHED = "The rule that allows it has made all the grants that it may make today."
"""Why a person is asked although a rule says auto."""

_LONGEST_PROBLEM = 300


class Decision(Struct, frozen=True, kw_only=True):
    """What is to be done, and why: `code` in one word, `reason` in a sentence for people.

    `rule` is the label of the rule that matched, also where something else decided (the mode, say): the rule that
    would have. `expires_after` is how long it lets a grant last; None leaves that to the stack's default.
    `max_grants_per_day` is the rule's cap, given with an automatic decision only; the ledger holds to it.
    `address_expected` is whether the rule names the networks or VPC endpoints that calls come from, and this one did.
    """

    outcome: Outcome
    code: str
    reason: str
    rule: str | None = None
    expires_after: timedelta | None = None
    max_grants_per_day: int | None = None
    address_expected: bool = False


def decide(  # noqa: PLR0913  each is a different reason to say no
    *,
    mode: str,
    paused: bool,
    diagnosis: Diagnosis,
    allowlist: Allowlist,
    subject: Subject,
    backfill: bool = False,
) -> Decision:
    """Decide about one diagnosis. Never beats ask beats auto; without a rule a person is asked.

    Args:
        mode: `observe`, `approve` or `auto`; whatever is none of these asks.
        paused: Whether grants are stopped.
        diagnosis: What is the matter; where no grant could help there is nothing to decide.
        allowlist: The rules; what could not be read of them keeps what it may concern from being automatic.
        subject: Who would get what, as AWS confirmed it.
        backfill: Whether the event was put in by a person rather than delivered by CloudTrail.
    """
    if not diagnosis.grantable:
        return reported(diagnosis)
    rule = allowlist.strongest(subject)
    if rule and rule.effect is RuleEffect.NEVER:
        return _because(Outcome.REPORT, "rule_never", f"{_title(rule)} forbids this grant.", rule)
    by_rules = _by_rules(diagnosis, allowlist, rule, subject, backfill=backfill)
    if mode == "observe":
        would = "would apply it" if by_rules.outcome is Outcome.AUTO else "would ask a person"
        reason = f"The mode is observe, so nothing is changed. Mode auto {would}: {by_rules.reason}"
        return _because(Outcome.REPORT, "mode_observe", reason, rule)
    if paused:
        return _because(Outcome.ASK, "paused", "Grants are paused.", rule)
    if mode != "auto" and not diagnosis.ask_only:  # else the diagnosis says more about why a person is asked
        return _because(
            Outcome.ASK, "mode_approve", "The mode is approve, so a person decides about every grant.", rule
        )
    return by_rules


def reported(diagnosis: Diagnosis) -> Decision:
    """What is done about what no grant can change."""
    return Decision(outcome=Outcome.REPORT, code=diagnosis.code, reason=diagnosis.reason)


def _by_rules(
    diagnosis: Diagnosis, allowlist: Allowlist, rule: Rule | None, subject: Subject, *, backfill: bool
) -> Decision:
    """What mode auto does."""
    if diagnosis.ask_only:
        return _because(Outcome.ASK, diagnosis.code, diagnosis.reason, rule)
    if backfill:
        return _because(Outcome.ASK, "backfill", "A backfilled event never applies by itself.", rule)
    if problem := allowlist.problem_about(subject):
        reason = (
            "The allowlist cannot be read completely, so no rule applies by itself to this grant "
            f"({problem[:_LONGEST_PROBLEM]})."
        )
        return _because(Outcome.ASK, "allowlist_incomplete", reason, rule)
    if rule is None:
        return _without_rule(allowlist.elsewhere(subject))
    if rule.effect is RuleEffect.AUTO:
        return _because(Outcome.AUTO, "rule_auto", f"{_title(rule)} allows this grant.", rule)
    return _because(Outcome.ASK, "rule_asks", f"{_title(rule)} wants a person to decide.", rule)


def _without_rule(elsewhere: Rule | None) -> Decision:
    if elsewhere:
        reason = (
            f"{_title(elsewhere)} allows this grant only to calls from its own networks "
            "(source_ips, source_vpces), and nothing shows that this call came from one of them."
        )
        return _because(Outcome.ASK, "outside_source_ips", reason, None)
    return _because(Outcome.ASK, "no_rule", "No rule of the allowlist is about this grant.", None)


def _title(rule: Rule) -> str:
    """The rule, and which version of which document says so."""
    where = f" ({rule.document}, version {rule.version})" if rule.version is not None else ""
    return f"The rule {rule.label!r}{where}"


def _because(outcome: Outcome, code: str, reason: str, rule: Rule | None) -> Decision:
    return Decision(
        outcome=outcome,
        code=code,
        reason=reason,
        rule=rule.label if rule else None,
        expires_after=rule.expires_after if rule else None,
        max_grants_per_day=rule.max_grants_per_day if rule and outcome is Outcome.AUTO else None,
        address_expected=bool(rule and rule.names_origin),
    )
