"""What becomes of each sample event, by the template's own pattern, filters, roles and environment.

The mode is auto, and one rule allows everything: what is not granted here is never granted by itself.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from sandbox.cases import Case, Outcome, observe
from sandbox.demonstration import BURST, SHOWN
from sandbox.running import read_events, time_after
from sandbox.stack import Options, Sandbox
from sandbox.world import read_world

EVENTS: Final = Path(__file__).parents[2] / "events"
RULES: Final = """
version: 1
rules:
  - name: everything
    effect: auto
    principals: ["arn:aws:iam::*:role/**", "arn:aws:iam::*:user/**"]
    models: ["*"]
"""

GRANTED: Final = ("active", "missing_grant", "rule_auto")

UNKNOWABLE: Final = {"guardrail-required-by-scp", "network-perimeter-by-scp"}

EXPECTED: Final = {
    "account-not-authorized": ("reported", "not_fixable", "account"),
    "account-not-offered-the-model": ("reported", "not_fixable", "account"),
    "account-not-enrolled": ("reported", "not_fixable", "account_not_enrolled"),
    "already-allowed": ("reported", "already_allowed", "already_allowed"),
    "another-account-calls": ("reported", "not_fixable", "other_account"),
    "another-source-region": GRANTED,
    "api-key": ("reported", "not_fixable", "api_key"),
    "application-profile": GRANTED,
    "application-profiles-only": ("pending", "wrong_identifier", "other_scope_granted"),
    "bare-record": GRANTED,
    "burst": GRANTED,
    "console-wording": GRANTED,
    "deny-that-may-apply": ("pending", "conditional_allow", "deny_may_apply"),
    "destination-blocked-by-scp": ("reported", "not_fixable", "certainly_no_help"),
    "federated-user": ("reported", "not_fixable", "federated_user"),
    "forged-principal": ("reported", "unknown", "identity_mismatch"),
    "geographic-profile": GRANTED,
    "global-profile": GRANTED,
    "guardrail-denied": ("reported", "not_fixable", "other_action"),
    "guardrail-required": ("pending", "conditional_allow", "condition_not_met"),
    "guardrail-required-by-scp": GRANTED,
    "identity-center-user": ("reported", "not_fixable", "identity_center_user"),
    "identity-policy-denies": ("reported", "not_fixable", "explicit_deny"),
    "invoke-model-only": GRANTED,
    "layer-not-named": ("pending", "missing_grant", "layer_unknown"),
    "leaked-key": ("reported", "leaked_key", "quarantined"),
    "legacy-model": ("reported", "not_fixable", "legacy_model"),
    "managed-prompt": ("pending", "missing_grant", "model_or_profile"),
    "marketplace": ("reported", "not_fixable", "marketplace"),
    "member-account": GRANTED,
    "model-access": ("reported", "not_fixable", "model_access"),
    "model-called-directly": GRANTED,
    "model-in-another-region": GRANTED,
    "model-that-only-profiles-serve": ("pending", "missing_grant", "profile_choice"),
    "model-without-region": GRANTED,
    "network-perimeter-by-scp": GRANTED,
    "other-action-denied-by-scp": GRANTED,
    "own-vpc-endpoint": GRANTED,
    "payment-instrument": ("reported", "not_fixable", "marketplace"),
    "permissions-boundary": ("reported", "not_fixable", "boundary"),
    "principal-deleted": ("reported", "unknown", "principal_missing"),
    "private-address": GRANTED,
    "profile-not-in-this-region": ("reported", "wrong_identifier", "profile_not_found"),
    "profile-of-another-account": ("reported", "wrong_identifier", "profile_elsewhere"),
    "profile-of-another-region": ("reported", "wrong_identifier", "profile_elsewhere"),
    "prompt-router": ("reported", "not_fixable", "unsupported_resource"),
    "provisioned-throughput": ("reported", "not_fixable", "unsupported_resource"),
    "region-lock": ("pending", "conditional_allow", "region_not_allowed"),
    "request-parameters-missing": GRANTED,
    "resource-control-policy": ("reported", "not_fixable", "rcp"),
    "role-under-a-false-path": ("reported", "unknown", "identity_mismatch"),
    "root-user": ("reported", "not_fixable", "scp"),
    "same-call-recorded-twice": GRANTED,
    "scp-beneath-a-missing-grant": ("reported", "not_fixable", "certainly_no_help"),
    "service-control-policy": ("reported", "not_fixable", "scp"),
    "service-control-policy-named": ("reported", "not_fixable", "scp"),
    "session-policy": ("reported", "not_fixable", "session_policy"),
    "six-denials-of-one-role": GRANTED,
    "sso-role": ("reported", "not_fixable", "permission_set"),
    "truncated-message": ("reported", "unknown", "message_truncated"),
    "unknown-wording": ("reported", "unknown", "message_unreadable"),
    "use-case-not-submitted": ("reported", "not_fixable", "model_access"),
    "variable-in-the-account": GRANTED,
    "vpc-endpoint-policy": ("reported", "not_fixable", "vpc_endpoint"),
    "wildcard-in-the-resource": ("reported", "unknown", "resource_unreadable"),
    "wrapped-model": GRANTED,
    "wrong-prefix": ("pending", "wrong_identifier", "other_scope_granted"),
}
"""Each file's rows: state, diagnosis, reason."""

PASSED_BY: Final = {"successful-call", "throttled-call"}
"""Events that the rule lets pass."""


@pytest.fixture(scope="module")
def handled() -> Iterator[tuple[Sandbox, Outcome]]:
    """All sample events, handled by one stack at once."""
    events = read_events(sorted(EVENTS.glob("*.json*")))
    options = Options(parameters={"Mode": "auto"}, allowlist={"main": RULES}, now=time_after(events))
    with Sandbox(read_world(), options) as sandbox:
        yield sandbox, observe(sandbox, events)


def cases(outcome: Outcome, name: str) -> list[Case]:
    """The rows that a file's events led to."""
    return [case for case in outcome.cases if name in case.names]


def test_every_sample_has_its_expectation() -> None:
    """Each file in events/ is expected to end somewhere, and each expectation has its file."""
    assert {path.stem for path in EVENTS.glob("*.json*")} == set(EXPECTED) | PASSED_BY


def test_every_sample_is_described() -> None:
    """The table in events/README.md names every file."""
    text = (EVENTS / "README.md").read_text(encoding="utf-8")
    assert [path.name for path in EVENTS.glob("*.json*") if f"`{path.name}`" not in text] == []


@pytest.mark.parametrize("name", EXPECTED)
def test_where_a_sample_ends(handled: tuple[Sandbox, Outcome], name: str) -> None:
    """Each sample ends in its state, for its reason, with one notice a row."""
    found = cases(handled[1], name)
    ends = {(case.row["state"], case.row["diagnosis"], case.row["reason_code"]) for case in found}
    assert ends == {EXPECTED[name]}
    assert [len(case.notices) for case in found] == [1] * len(found)


def test_what_is_no_denial_passes_by(handled: tuple[Sandbox, Outcome]) -> None:
    """Calls that were not denied leave no row."""
    assert {given.name for given in handled[1].unmatched} == PASSED_BY


def test_nothing_is_left_over(handled: tuple[Sandbox, Outcome]) -> None:
    """No message ends in a dead-letter queue, no function fails, and the template allows every call."""
    sandbox, _ = handled
    assert sandbox.failures == []
    assert [run for function in sandbox.functions.values() for run in function.invocations if run.error] == []
    assert sandbox.authorization.refusals == []


@pytest.mark.parametrize("name", [name for name, end in EXPECTED.items() if end == GRANTED])
def test_a_grant_is_verified(handled: tuple[Sandbox, Outcome], name: str) -> None:
    """What was granted was simulated after the write, and every ARN that it needs is there.

    Unless an SCP asks for what no simulation can give (docs/aws-facts.md §4.5).
    """
    for case in cases(handled[1], name):
        assert case.row["verification"] == ("inconclusive" if name in UNKNOWABLE else "simulated")
        assert case.row["resources"]


def test_six_grants_of_one_role_stand_together(handled: tuple[Sandbox, Outcome]) -> None:
    """Six denials of one role give six rows and one policy that holds all six profiles."""
    found = cases(handled[1], "six-denials-of-one-role")
    profiles = {case.row["profile"] for case in found}
    (change,) = [change for case in found for change in case.changes]
    assert change.after is not None
    resources = {arn for statement in change.after["Statement"] for arn in statement["Resource"]}
    assert len(profiles) == 6
    assert profiles <= resources


def test_an_action_that_is_stopped_is_not_granted(handled: tuple[Sandbox, Outcome]) -> None:
    """The row and the policy name the action that was denied, and not the one that the organization forbids."""
    (case,) = cases(handled[1], "other-action-denied-by-scp")
    (change,) = case.changes
    assert change.after is not None
    actions = {action for statement in change.after["Statement"] for action in statement["Action"]}
    assert case.row["actions"] == ["bedrock:InvokeModel"]
    assert "bedrock:InvokeModelWithResponseStream" not in actions


def test_one_call_counts_once(handled: tuple[Sandbox, Outcome]) -> None:
    """Two records of one call are one denial."""
    assert [case.denials for case in cases(handled[1], "same-call-recorded-twice")] == [1]


def test_the_demonstration_shows_samples() -> None:
    """What `make demo` shows is among the samples."""
    assert {*SHOWN, BURST} <= set(EXPECTED)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("region-lock", ("aws:RequestedRegion", "us.amazon.nova-2-lite-v1:0")),
        ("application-profiles-only", ("application-inference-profile/q7xk2m9p0abc", "ArnLike")),
        ("deny-that-may-apply", ("aws:SourceIp", "NotIpAddress")),
    ],
)
def test_what_a_person_must_look_at_is_shown(
    handled: tuple[Sandbox, Outcome], name: str, shown: tuple[str, ...]
) -> None:
    """The notice has the statement and what to call, and neither a snippet nor a command that defeats a control."""
    (case,) = cases(handled[1], name)
    (notice,) = case.notices
    email = notice.message["email"]
    assert [text for text in shown if text not in email] == []
    assert "terraform" not in email.lower()
    assert "aws iam" not in email
