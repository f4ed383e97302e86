"""Deciding again about a request: what a changed configuration makes of it, and what stays a person's."""

from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from bedrock_remediator.core.accounts import Enrolment
from bedrock_remediator.core.allowlist import Allowlist, parse
from bedrock_remediator.core.allowlist.rules import Subject, subject
from bedrock_remediator.core.arn import ArnError
from bedrock_remediator.core.decision import Decision
from bedrock_remediator.core.grant import Cause, DiagnosisKind, Grant, Outcome, Sighting
from bedrock_remediator.core.lifecycle import asked_again, decide_again, target, unless_unusual
from bedrock_remediator.core.profile import Profile
from bedrock_remediator.core.suspicion import Habits, Trait
from tests.builders.grants import MODELS, NOON, PROFILE, ROLE, pending_grant

CAUSE = Cause(code="missing_grant", reason="The call needs 4 ARNs, and 4 of them are missing.")
ASKS = Decision(outcome=Outcome.ASK, code="no_rule", reason="No rule is about it.")
AUTO = Decision(outcome=Outcome.AUTO, code="rule_auto", reason="The rule 'nova' allows this grant.", rule="nova")

NOBODY = Habits(pk=ROLE)


def rules(effect: str, more: str = "") -> Allowlist:
    """One rule about the role, with more fields."""
    text = f"version: 1\nrules: [{{name: nova, effect: {effect}, principals: ['{ROLE}'], profiles: ['us.*']{more}}}]"
    found = parse({"main": text})
    assert not found.problems
    return found


def asked(**changes: Any) -> Grant:
    """A request that triage opened, with its cause."""
    return pending_grant(**{"cause": CAUSE} | changes)


def of(row: Grant, tags: dict[str, str]) -> Subject:
    """What rules are held against."""
    return subject(
        principal=row.pk,
        tags=tags,
        account=row.account,
        region=row.region,
        origin=row.sighting,
        enrolment=Enrolment(row.account),
        target=target(row),
    )


def decided(row: Grant, allowlist: Allowlist, **terms: Any) -> tuple[Outcome, str]:
    """What is decided in mode auto, and by which code."""
    given: dict[str, Any] = {"mode": "auto", "paused": False, **terms}
    found = decide_again(row, allowlist, of(row, given.pop("tags", {})), **given)
    return found.outcome, found.code


@pytest.mark.parametrize(
    ("effect", "terms", "expected"),
    [
        ("auto", {}, (Outcome.AUTO, "rule_auto")),
        ("ask", {}, (Outcome.ASK, "rule_asks")),
        ("never", {}, (Outcome.REPORT, "rule_never")),
        ("never", {"mode": "approve"}, (Outcome.REPORT, "rule_never")),
        ("auto", {"mode": "approve"}, (Outcome.ASK, "mode_approve")),
        ("auto", {"mode": "observe"}, (Outcome.REPORT, "mode_observe")),
        ("auto", {"paused": True}, (Outcome.ASK, "paused")),
    ],
)
def test_the_configuration_of_today_decides(effect: str, terms: dict[str, Any], expected: tuple[Outcome, str]) -> None:
    """Mode, pause and rules, in the order in which they decide about a new denial."""
    assert decided(asked(), rules(effect), **terms) == expected


def test_what_a_person_must_judge_stays_theirs() -> None:
    """A condition that was not met, a guess, a backfilled event; a row that does not tell counts as one of them."""
    row = asked(cause=replace(CAUSE, code="profile_choice", ask_only=True), reason_code="paused")
    assert decided(row, rules("auto")) == (Outcome.ASK, "profile_choice")
    assert decided(asked(cause=None, reason_code="mode_approve"), rules("auto")) == (Outcome.ASK, "mode_approve")
    assert decided(row, rules("never")) == (Outcome.REPORT, "rule_never")


def test_rules_are_held_against_all_that_they_may_name() -> None:
    """The principal's tags, the address of the call, and the model where it is called directly."""
    tagged = rules("auto", ", principal_tags: {team: [ml]}")
    assert decided(asked(), tagged) == (Outcome.ASK, "no_rule")
    assert decided(asked(), tagged, tags={"team": "ml"}) == (Outcome.AUTO, "rule_auto")
    near = rules("auto", ", source_ips: ['10.0.0.0/8']")
    assert decided(asked(), near) == (Outcome.ASK, "outside_source_ips")
    sighting = Sighting(event_id="e", time=NOON, source_ip="10.1.2.3")
    assert decided(asked(sighting=sighting), near) == (Outcome.ASK, "outside_source_ips")
    own = replace(sighting, vpc_endpoint="vpce-0a1b2c3d", vpc_endpoint_account=asked().account)
    assert decided(asked(sighting=own), near) == (Outcome.AUTO, "rule_auto")
    direct = asked(sk=f"model#{MODELS[0]}", profile=None, resources=(MODELS[0],))
    assert decided(direct, rules("auto")) == (Outcome.ASK, "no_rule")
    by_model = parse(
        {"main": f"version: 1\nrules: [{{name: nova, effect: auto, principals: ['{ROLE}'], models: ['*']}}]"}
    )
    assert decided(direct, by_model) == (Outcome.AUTO, "rule_auto")
    assert (target(direct), of(direct, {}).target) == (MODELS[0], "amazon.nova-2-lite-v1:0")


def test_a_request_for_an_application_profile_names_one() -> None:
    """By the kind that its ARN has: which system-defined profile it stands for is for AWS to say."""
    arn = PROFILE.replace("inference-profile/us.amazon.nova-2-lite-v1:0", "application-inference-profile/q7xk2m9p0abc")
    row = asked(sk=f"profile#{arn}", profile=arn, resources=(arn, *MODELS))
    assert target(row) == Profile(arn=arn, id="q7xk2m9p0abc", type="APPLICATION", models=MODELS)


def test_a_row_about_nothing_is_not_decided() -> None:
    """Nobody could say about what."""
    with pytest.raises(ArnError):
        target(asked(profile=None, resources=()))


def test_what_is_unusual_stays_a_persons() -> None:
    """A rule would apply it, but the principal has tried several models: the sentence says so."""
    others = [
        asked(sk=f"profile#{name}", profile=PROFILE.replace("nova-2-lite", name)) for name in ("nova-pro", "nova-micro")
    ]
    found = unless_unusual(AUTO, asked(), others, NOBODY)
    assert (found.outcome, found.code, found.rule) == (Outcome.ASK, "unusual", "nova")
    assert "Within an hour" in found.reason
    assert unless_unusual(AUTO, asked(), [], NOBODY) == AUTO
    assert unless_unusual(ASKS, asked(), others, NOBODY) == ASKS


def test_what_is_unusual_by_what_is_known_stays_a_persons() -> None:
    """Nobody's request tells of what was refused for good; what is known of the principal does."""
    targets = tuple(Trait(f"us.nova-{number}", NOON) for number in range(3))
    habits = replace(NOBODY, principal_id=asked().principal_id, targets=targets)
    assert unless_unusual(AUTO, asked(), [], habits).code == "unusual"
    assert unless_unusual(AUTO, asked(), [], replace(habits, targets=targets[:2])) == AUTO


def test_a_request_that_still_waits_tells_why_today() -> None:
    """What was found stays, what was decided is told anew, and version and state stay, so that its links do."""
    row = asked(reason_code="mode_approve", reason=f"{CAUSE.reason} The mode is approve.", basis="old")
    after = asked_again(row, ASKS, "new", 3600)
    assert after == replace(
        row, reason_code="no_rule", reason=f"{CAUSE.reason} No rule is about it.", basis="new", grant_seconds=3600
    )


@pytest.mark.parametrize("changes", [{"reason_code": "inputs_changed"}, {"cause": None}])
def test_what_was_found_since_is_not_told_over(changes: dict[str, Any]) -> None:
    """AWS routes elsewhere than it did: no rule makes that untrue. Nor is a sentence made up where there is none."""
    row = asked(reason="As it was.", **changes)
    assert asked_again(row, ASKS, "new", None) == replace(row, basis="new")


def test_a_lift_of_a_condition_is_never_automatic() -> None:
    """Triage says so of every such denial."""
    row = asked(
        diagnosis=DiagnosisKind.CONDITIONAL_ALLOW,
        cause=Cause(code="condition_not_met", reason="A guardrail is required.", ask_only=True),
    )
    assert decided(row, rules("auto")) == (Outcome.ASK, "condition_not_met")


def test_a_rules_length_is_kept() -> None:
    """For the grant that it makes."""
    found = decide_again(asked(), rules("auto", ", expires_after: 30d"), of(asked(), {}), mode="auto", paused=False)
    assert found.expires_after == timedelta(days=30)
