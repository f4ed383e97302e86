"""What is done about a diagnosis."""

from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from bedrock_remediator.core.allowlist import Allowlist
from bedrock_remediator.core.allowlist.rules import Rule, RuleEffect, Subject
from bedrock_remediator.core.decision import Decision, decide
from bedrock_remediator.core.diagnosis import Diagnosis
from bedrock_remediator.core.grant import DiagnosisKind, Outcome
from bedrock_remediator.core.layers import Layer

MISSING = Diagnosis(
    kind=DiagnosisKind.MISSING_GRANT,
    code="missing_grant",
    reason="It is missing.",
    layer=Layer.IDENTITY,
    grantable=True,
)
NOT_FIXABLE = Diagnosis(
    kind=DiagnosisKind.NOT_FIXABLE, code="scp", reason="An SCP denies it.", layer=Layer.SCP, grantable=False
)
CONDITIONAL = Diagnosis(
    kind=DiagnosisKind.CONDITIONAL_ALLOW,
    code="condition_not_met",
    reason="A guardrail is required.",
    layer=Layer.IDENTITY,
    grantable=True,
    ask_only=True,
)
SUBJECT = Subject(
    principal="arn:aws:iam::123456789012:role/llm-app",
    tags={},
    account="123456789012",
    region="us-east-1",
    profile_arn="arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.amazon.nova-2-lite-v1:0",
    profile_id="us.amazon.nova-2-lite-v1:0",
    models=("arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-2-lite-v1:0",),
)


def rule(effect: str, name: str | None = None, **fields: Any) -> Rule:
    """A rule about everything, called by its effect."""
    return Rule(name=name or effect, effect=RuleEffect(effect), document="main", **fields)


AUTO = rule("auto", expires_after=timedelta(days=30), max_grants_per_day=20)


def decided(*rules: Rule, diagnosis: Diagnosis = MISSING, problems: tuple[str, ...] = (), **given: Any) -> Decision:
    """The decision under these rules, in mode auto unless something else is given."""
    allowlist = Allowlist(rules=rules, problems=problems)
    arguments: dict[str, Any] = {"mode": "auto", "paused": False, "subject": SUBJECT, **given}
    return decide(diagnosis=diagnosis, allowlist=allowlist, **arguments)


def test_a_rule_applies() -> None:
    """In mode auto, a rule that says auto applies the grant for as long, and as often, as the rule says."""
    assert decided(AUTO) == Decision(
        outcome=Outcome.AUTO,
        code="rule_auto",
        reason="The rule 'auto' allows this grant.",
        rule="auto",
        expires_after=timedelta(days=30),
        max_grants_per_day=20,
    )


def test_the_default_is_to_ask() -> None:
    """Where no rule is about the grant, a person is asked."""
    elsewhere = rule("auto", accounts=("111122223333",))
    expected = Decision(outcome=Outcome.ASK, code="no_rule", reason="No rule of the allowlist is about this grant.")
    assert decided() == decided(elsewhere) == expected


@pytest.mark.parametrize(
    ("rules", "code"),
    [
        ("auto", "rule_auto"),
        ("auto ask", "rule_asks"),
        ("ask auto", "rule_asks"),
        ("auto never ask", "rule_never"),
        ("never ask auto", "rule_never"),
        ("ask never", "rule_never"),
    ],
)
def test_never_beats_ask_beats_auto(rules: str, code: str) -> None:
    """The strongest effect among the rules that match decides, whatever their order."""
    assert decided(*map(rule, rules.split())).code == code


def test_the_first_of_equals_is_named() -> None:
    """Of several rules with the same effect the first decides, so the administrators' before a team's."""
    found = decided(rule("auto", "first", max_grants_per_day=1), rule("auto", "second", max_grants_per_day=2))
    assert (found.rule, found.max_grants_per_day) == ("first", 1)


@pytest.mark.parametrize(
    ("given", "outcome", "code", "reason"),
    [
        ({"diagnosis": NOT_FIXABLE}, "report", "scp", "An SCP denies it."),
        ({"mode": "approve"}, "ask", "mode_approve", "The mode is approve, so a person decides about every grant."),
        ({"mode": "AUTO"}, "ask", "mode_approve", "The mode is approve, so a person decides about every grant."),
        ({"paused": True}, "ask", "paused", "Grants are paused."),
        ({"diagnosis": CONDITIONAL}, "ask", "condition_not_met", "A guardrail is required."),
        ({"backfill": True}, "ask", "backfill", "A backfilled event never applies by itself."),
        (
            {"problems": ("main: x", "y")},
            "ask",
            "allowlist_incomplete",
            "The allowlist cannot be read completely, so no rule applies by itself to this grant (main: x).",
        ),
        (
            {"mode": "observe"},
            "report",
            "mode_observe",
            "The mode is observe, so nothing is changed. Mode auto would apply it: The rule 'auto' allows this grant.",
        ),
        (
            {"mode": "observe", "backfill": True},
            "report",
            "mode_observe",
            (
                "The mode is observe, so nothing is changed. Mode auto would ask a person: "
                "A backfilled event never applies by itself."
            ),
        ),
    ],
)
def test_what_keeps_a_rule_from_applying(given: dict[str, Any], outcome: str, code: str, reason: str) -> None:
    """Each thing that stands before a rule that says auto has its code and its sentence."""
    found = decided(AUTO, **given)
    assert (found.outcome, found.code, found.reason) == (Outcome(outcome), code, reason)
    assert found.max_grants_per_day is None


def test_the_rule_that_would_have_decided_is_kept() -> None:
    """Where the mode decides, the matching rule and its duration go along, so that a person can approve just that."""
    found = decided(AUTO, mode="approve")
    assert (found.rule, found.expires_after) == ("auto", timedelta(days=30))


@pytest.mark.parametrize(
    "given",
    [
        {"mode": "observe"},
        {"mode": "approve"},
        {"paused": True},
        {"diagnosis": CONDITIONAL},
        {"backfill": True},
        {"problems": ("main: x",)},
    ],
)
def test_never_stands_before_everything_else(given: dict[str, Any]) -> None:
    """A prohibition is reported as one, whatever else would have kept the grant from being made."""
    found = decided(AUTO, rule("never"), **given)
    assert (found.outcome, found.code, found.rule) == (Outcome.REPORT, "rule_never", "never")
    assert found.reason == "The rule 'never' forbids this grant."


def test_the_order_of_reasons() -> None:
    """Of several reasons to ask the first of a fixed order is told: as each is removed, the next one shows."""
    given: dict[str, Any] = {
        "paused": True,
        "diagnosis": CONDITIONAL,
        "mode": "approve",
        "backfill": True,
        "problems": ("x",),
    }
    codes = [decided(rule("ask"), **given).code]
    for removed in list(given):
        del given[removed]
        codes.append(decided(rule("ask"), **given).code)
    assert codes == ["paused", "condition_not_met", "mode_approve", "backfill", "allowlist_incomplete", "rule_asks"]


def test_a_long_problem_is_cut() -> None:
    """A problem of any length leaves a reason that can be shown."""
    assert len(decided(AUTO, problems=("x" * 5000,)).reason) < 500


def test_a_call_from_outside_a_rules_networks_asks_and_says_so() -> None:
    """Only where nothing but the address is in the way, and no other rule decides."""
    office = rule("auto", "office", source_ips=("192.0.2.0/24",))
    asked = decided(office, subject=replace(SUBJECT, source_ip="203.0.113.9"))
    assert (asked.outcome, asked.code, asked.rule) == (Outcome.ASK, "outside_source_ips", None)
    assert "'office'" in asked.reason
    inside = decided(office, subject=replace(SUBJECT, source_ip="192.0.2.7"))
    assert (inside.outcome, inside.address_expected) == (Outcome.AUTO, True)
    elsewhere = rule("auto", "office", source_ips=("192.0.2.0/24",), accounts=("444455556666",))
    assert decided(elsewhere).code == "no_rule"
    assert decided(rule("ask", "office", source_ips=("192.0.2.0/24",))).code == "no_rule"
    assert decided(office, AUTO).address_expected is False


def test_a_call_through_a_rules_own_endpoint_is_expected() -> None:
    """Its address then needs not be known; a private address without the endpoint asks."""
    inside = rule("auto", "inside", source_vpces=("vpce-0a1b2c3d",))
    call = replace(SUBJECT, source_ip="10.1.2.3")
    through = decided(inside, subject=replace(call, vpc_endpoint="vpce-0a1b2c3d"))
    assert (through.outcome, through.address_expected) == (Outcome.AUTO, True)
    assert decided(inside, subject=call).code == "outside_source_ips"
    assert decided(rule("auto", "private", source_ips=("10.0.0.0/8",)), subject=call).code == "outside_source_ips"


def test_a_decision_names_the_document_and_its_version() -> None:
    """As Parameter Store counts them, so that one can look up what stood there."""
    for effect, verb in (("auto", "allows this grant"), ("ask", "wants a person to decide"), ("never", "forbids this")):
        found = decided(replace(rule(effect, "mine"), document="team-a", version=3))
        assert found.reason.startswith(f"The rule 'team-a/mine' (team-a, version 3) {verb}")
