"""When a rule's grant becomes a person's decision."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from bedrock_remediator.core.grant import DiagnosisKind, Grant, Outcome, State
from bedrock_remediator.core.suspicion import Call, Habits, ProbeLimits, of_call, of_rows
from tests.builders.grants import NOON, ROLE, pending_grant

DAY = "2026-11-20"
LIMITS = ProbeLimits(profiles=3, window=timedelta(minutes=60), grants_a_day=2)
MINUTE = timedelta(minutes=1)


def call(
    *names: str,
    at: datetime = NOON,
    address: str | None = "192.0.2.1",
    client: str | None = "boto3",
    caller: str = "AROAFIRST",
) -> Call:
    """A call, and what was denied with it."""
    return Call(time=at, caller=caller, address=address, client=client, targets=dict.fromkeys(names or ("a",), at))


def code(habits: Habits, this: Call, *, limits: ProbeLimits = LIMITS, expected: bool = False) -> str | None:
    """The code of what speaks against it."""
    found = of_call(habits, this, limits, day=DAY, address_expected=expected)
    return found.code if found else None


def known(*names: str, minutes: int = 10) -> Habits:
    """A principal that was denied these, from its usual place."""
    habits = Habits(pk=ROLE)
    for name in names:
        habits = habits.after(call(name, at=NOON - minutes * MINUTE))
    return habits


def test_a_principal_never_seen_is_compared_with_nothing() -> None:
    """So that a rule is of use for a new application."""
    assert code(Habits(pk=ROLE), call()) is None


def test_more_different_targets_than_allowed_are_a_probe() -> None:
    """The one that goes past the number asks, and what was denied before stays granted."""
    assert code(known("b", "c"), call("a")) is None
    assert code(known("b", "c", "d"), call("a")) == "probing"
    found = of_call(known("b", "c", "d"), call("a"), LIMITS, day=DAY, address_expected=True)
    assert found
    assert "4 different models or profiles within 60 minutes" in found.reason


def test_what_comes_in_one_batch_is_counted_before_any_of_it() -> None:
    """Twenty models at once are a probe for the first of them too."""
    assert code(Habits(pk=ROLE), call("a", "b", "c", "d")) == "probing"


def test_what_was_long_ago_does_not_count() -> None:
    """Only what lies within the window, on either side: events come in no order."""
    assert code(known("b", "c", "d", minutes=61), call("a")) is None
    assert code(known("b", "c", "d", minutes=-30), call("a")) == "probing"


def test_the_same_target_again_is_no_other() -> None:
    """Nor is a profile's model another than the profile."""
    habits = known("us.amazon.nova-pro-v1:0", "amazon.nova-pro-v1:0", "us.b.c", "us.d.e")
    assert code(habits, call("us.d.e")) is None


def test_a_principals_grants_of_a_day_are_bounded() -> None:
    """And the next day begins anew."""
    habits = known("b").spent(DAY).spent(DAY)
    assert code(habits, call()) == "principal_cap_reached"
    assert code(known("b").spent(DAY), call()) is None
    assert code(known("b").spent("2026-11-19").spent("2026-11-19"), call()) is None


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"address": "203.0.113.9"}, "new_address"),
        ({"client": "aws-cli"}, "new_client"),
        ({"address": "203.0.113.9", "client": "aws-cli"}, "new_address"),
        ({"address": None, "client": None}, None),
    ],
)
def test_a_new_address_or_client_asks(changed: Mapping[str, Any], expected: str | None) -> None:
    """Where there is something to compare with."""
    assert code(known("b"), call(**changed)) == expected
    assert code(known("b"), call(**changed), limits=replace(LIMITS, unknown_caller_asks=False)) is None


def test_a_principal_made_anew_asks() -> None:
    """Wherever it calls from, for a day: it is not the one that is known."""
    successor = call(caller="AROASECOND")
    assert code(known("b"), successor) == code(known("b"), successor, expected=True) == "new_principal"
    assert code(known("b"), successor, limits=replace(LIMITS, unknown_caller_asks=False)) is None
    habits = known("b").after(successor)
    assert code(habits, call(caller="AROASECOND", at=NOON + 23 * 60 * MINUTE)) == "new_principal"
    assert code(habits, call(caller="AROASECOND", at=NOON + 24 * 60 * MINUTE)) is None
    assert code(habits, call(caller="AROASECOND", at=NOON + 24 * 60 * MINUTE, address="new")) == "new_address"


def test_numbers_are_those_of_the_name() -> None:
    """To delete a principal and make it anew gives it no new day."""
    habits = known("b", "c", "d").spent(DAY).spent(DAY)
    assert code(habits, call("a", caller="AROASECOND")) == "probing"
    assert code(habits, call("b", caller="AROASECOND")) == "principal_cap_reached"


def test_a_rule_that_names_networks_vouches_for_the_address() -> None:
    """And not for the client."""
    assert code(known("b"), call(address="203.0.113.9"), expected=True) is None
    assert code(known("b"), call(address="203.0.113.9", client="aws-cli"), expected=True) == "new_client"


def row(name: str, **changes: Any) -> Grant:
    """A row about a profile, which a rule has granted."""
    arn = f"arn:aws:bedrock:us-east-1:123456789012:inference-profile/{name}"
    made = {"sk": f"profile#{arn}", "profile": arn, "decision": Outcome.AUTO, "state": State.APPROVED}
    return pending_grant(**{**made, **changes})


def rows_code(this: Grant, *others: Grant, habits: Habits | None = None) -> str | None:
    """The code of what speaks against it, ten minutes after noon."""
    found = of_rows(this, others, habits or Habits(pk=ROLE), LIMITS, NOON + 10 * MINUTE)
    return found.code if found else None


def test_other_rows_show_a_probe() -> None:
    """Rows of any kind, that were opened within the window; the row itself counts once, and kept copies not."""
    advice = pending_grant(sk="advice#not_fixable#arn:aws:bedrock:us-east-1::foundation-model/x#scp", profile=None)
    model = pending_grant(sk="model#arn:aws:bedrock:us-east-1::foundation-model/y", profile=None)
    assert rows_code(row("a"), row("a"), row("b"), advice, replace(row("a"), sk="kept#x")) is None
    assert rows_code(row("a"), row("b"), advice, model) == "probing"
    before = replace(row("b").sighting, time=NOON - 51 * MINUTE)
    assert rows_code(row("a"), row("b", sighting=before), advice, model) is None
    unread = [replace(advice, sk=f"advice#unknown#{number}#x", diagnosis=DiagnosisKind.UNKNOWN) for number in range(9)]
    assert rows_code(row("a"), row("b"), advice, *unread) is None
    assert rows_code(row("a"), row("b"), advice, pending_grant(sk="odd", profile=None)) == "probing"


def test_what_was_denied_and_is_nobodys_request_is_a_probe_too() -> None:
    """It is told by what is known of the principal; a profile that was denied by its model counts once."""
    assert rows_code(row("a"), habits=known("b", "c", "d", "e")) == "probing"
    assert rows_code(row("a"), habits=known("b", "c", "d", "e", minutes=51)) is None
    named = [row(f"q{number}") for number in range(2)]
    assert rows_code(row("a"), *named, habits=known("nova-1", "nova-2", "a")) is None


def test_other_rows_show_what_rules_granted_today() -> None:
    """What people granted, what was granted yesterday, and what waits behind it does not count."""
    before = NOON - timedelta(hours=5)
    today = [row(name, state=State.ACTIVE, applied_at=before, created_at=before) for name in "bc"]
    assert rows_code(row("a"), *today) == "principal_cap_reached"
    assert rows_code(row("a"), today[0], replace(today[1], decision=Outcome.ASK)) is None
    assert rows_code(row("a"), today[0], replace(today[1], applied_at=NOON - timedelta(hours=13))) is None
    assert rows_code(row("a"), today[0], row("d"), row("e", sighting=replace(row("e").sighting, time=before))) is None


def test_an_overflow_of_new_addresses_asks_for_a_day() -> None:
    """Even of the principal's own address: somebody may want to make what is known forgotten."""
    habits = known("a", minutes=24 * 60)
    for number in range(11):
        habits = habits.after(call("a", at=NOON - 5 * MINUTE, address=f"203.0.113.{number}"))
    assert code(habits, call("b")) == "many_callers"
    assert code(habits, call("b"), expected=True) is None
    assert code(habits, call("b"), limits=replace(LIMITS, unknown_caller_asks=False)) is None
    assert code(habits, call("b", at=NOON + 24 * 60 * MINUTE)) is None
