"""A person's decision: what becomes of the row, and what is not accepted."""

from datetime import timedelta
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from bedrock_remediator.core.approval import (
    Approver,
    NotAllowedError,
    Refusal,
    StaleError,
    Terms,
    Verb,
    decide,
    possible,
)
from bedrock_remediator.core.grant import Event, Grant, Outcome, State, Via, Written, kept_copy
from bedrock_remediator.core.usage import Share, row_beyond
from tests.builders.decisions import ANYTHING, BOB, answer, stepped, waiting
from tests.builders.grants import NOON, ROLE

LATER = NOON + timedelta(hours=1)
ACTIVE = stepped(waiting(), State.APPROVED, State.APPLYING, State.ACTIVE)
FAILED = stepped(waiting(), State.APPROVED, State.FAILED)


def refusal(grant: Grant, verb: Verb = Verb.APPROVE, terms: Terms = ANYTHING, **changes: Any) -> Refusal:
    """Why a decision is not accepted."""
    with pytest.raises(NotAllowedError) as error:
        decide(grant, answer(verb, grant.version, **changes), terms, LATER)
    assert error.value.reason.endswith(".")
    return error.value.why


def test_approving_names_who_when_and_until_when() -> None:
    """The row is approved one version higher, with everything that a later reader asks about the decision."""
    row = decide(waiting(), answer(length=timedelta(days=1), reason="They asked\n me."), ANYTHING, LATER)
    assert (row.state, row.version, row.decided_version) == (State.APPROVED, 2, 2)
    assert (row.decided_by, row.decided_at, row.decided_via) == ("Alice (unverified)", LATER, Via.LINK)
    assert (row.decision_reason, row.approval) == ("They asked me.", None)
    assert (row.grant_seconds, row.expires_at) == (86400, LATER + timedelta(days=1))
    assert row.history[-1] == Event(
        at=LATER,
        state=State.APPROVED,
        by="Alice (unverified)",
        reason="Approved, to last 1 day. They asked me.",
    )
    assert row.reason_code == "no_rule"


def test_approving_without_end() -> None:
    """A grant without end has neither a length nor an end, whatever the rule would have given."""
    row = decide(waiting(grant_seconds=60, expires_at=NOON), answer(), ANYTHING, LATER)
    assert (row.grant_seconds, row.expires_at, row.decision_reason) == (None, None, None)


def test_what_a_person_approves_is_no_rules_decision_any_more() -> None:
    """A row that a rule had approved and that failed asks for the person's signature from then on."""
    failed = msgspec.structs.replace(FAILED, decision=Outcome.AUTO, rule="nova", cool_down_until=LATER)
    row = decide(failed, answer(version=3), ANYTHING, LATER)
    assert (row.state, row.decision, row.rule, row.cool_down_until) == (State.APPROVED, Outcome.ASK, None, None)
    assert row.reason_code == "approved_again"


def test_rejecting_starts_a_cool_down() -> None:
    """Repeats of what was rejected only count for a day."""
    row = decide(waiting(), answer(Verb.REJECT, reason="No."), Terms(longest=None, paused=True), LATER)
    assert (row.state, row.cool_down_until) == (State.REJECTED, LATER + timedelta(days=1))
    assert row.history[-1].reason == "Rejected. No."


def test_revoking_forgets_the_approval() -> None:
    """What was taken back carries no signature that somebody could use again."""
    row = decide(
        msgspec.structs.replace(ACTIVE, approval="bWFj"), answer(Verb.REVOKE, 4, approver=BOB), ANYTHING, LATER
    )
    assert (row.state, row.approval, row.decided_by) == (State.REVOKING, None, "bob@example.com")


def test_extending_is_approving_anew() -> None:
    """The grant gets another end from now on, and what was written for it is kept in mind."""
    active = msgspec.structs.replace(ACTIVE, written=Written(strategy="managed", policies=("arn",)), applied_at=NOON)
    row = decide(active, answer(Verb.EXTEND, 4, length=timedelta(hours=2)), ANYTHING, LATER)
    assert (row.state, row.expires_at, row.written) == (State.APPROVED, LATER + timedelta(hours=2), active.written)
    assert row.history[-1].reason == "Approved anew, to last 2 hours."


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("verb", Verb)
def test_only_what_is_possible_is_done(state: State, verb: Verb) -> None:
    """What the page offers for a state works, and nothing else does."""
    row = waiting(state=state)
    if verb in possible(row):
        assert decide(row, answer(verb), ANYTHING, LATER).version == 2
    else:
        assert refusal(row, verb) is Refusal.NOT_POSSIBLE


def test_another_version_is_stale() -> None:
    """A decision about a row that has moved on, or is not there yet, is none."""
    for version in (1, 3):
        with pytest.raises(StaleError):
            decide(waiting(version=2), answer(version=version), ANYTHING, LATER)


@pytest.mark.parametrize(
    ("terms", "why"),
    [
        (Terms(longest=None, paused=True), Refusal.PAUSED),
        (Terms(longest=None, observing=True), Refusal.OBSERVING),
        (Terms(longest=timedelta(days=7)), Refusal.TOO_LONG),
    ],
)
def test_the_stack_sets_terms(terms: Terms, why: Refusal) -> None:
    """A grant without end is refused under a maximum, and any grant while nothing would be granted."""
    assert refusal(waiting(), terms=terms) is why
    assert refusal(ACTIVE, Verb.EXTEND, terms=terms) is why


def test_the_maximum_itself_is_allowed() -> None:
    """Exactly as long as people may grant, and not a second longer."""
    week = timedelta(days=7)
    assert decide(waiting(), answer(length=week), Terms(longest=week), LATER).grant_seconds == 604800
    assert refusal(waiting(), terms=Terms(longest=week), length=week + timedelta(seconds=1)) is Refusal.TOO_LONG
    assert refusal(waiting(), length=timedelta()) is Refusal.TOO_LONG


@pytest.mark.parametrize("changes", [{"resources": ()}, {"principal": None}, {"principal_id": None}])
def test_nothing_is_approved_that_grants_nothing(changes: dict[str, Any]) -> None:
    """A row without ARNs, or without a principal that exists, can only be rejected."""
    assert refusal(waiting(**changes)) is Refusal.NOTHING_TO_GRANT
    assert decide(waiting(**changes), answer(Verb.REJECT), ANYTHING, LATER).state is State.REJECTED


def test_what_is_kept_while_something_else_is_asked_can_only_be_revoked() -> None:
    """It ends as it was approved, or is replaced by what is asked."""
    assert possible(kept_copy(ACTIVE)) == {Verb.REVOKE}


def test_ones_own_request_can_be_rejected_and_revoked_but_not_approved_or_extended() -> None:
    """Giving up access is everybody's right."""
    me = Approver.by_api(ROLE)
    assert refusal(waiting(), approver=me) is Refusal.OWN_REQUEST
    assert refusal(ACTIVE, Verb.EXTEND, approver=me) is Refusal.OWN_REQUEST
    assert decide(waiting(), answer(Verb.REJECT, approver=me), ANYTHING, LATER).state is State.REJECTED
    assert decide(ACTIVE, answer(Verb.REVOKE, 4, approver=me), ANYTHING, LATER).state is State.REVOKING


def test_a_typed_name_like_the_callers_is_recorded_with_the_decision() -> None:
    """It is no proof, so it is not refused; whoever reads of the grant is told."""
    row = waiting()
    row = replace(row, sighting=replace(row.sighting, session="alice@example.com", source_identity=None))
    mine = decide(row, answer(approver=Approver.by_link("Alice"), reason="Needed."), ANYTHING, LATER)
    assert mine.decision_reason == "(The name that was typed is like that of the caller who was denied.) Needed."
    assert "is like that of the caller" in mine.history[-1].reason
    other = decide(row, answer(approver=Approver.by_link("Bob"), reason="Needed."), ANYTHING, LATER)
    assert other.decision_reason == "Needed."


def test_what_only_counts_requests_can_be_rejected_and_not_approved() -> None:
    """There is nothing in it that could be granted."""
    row = row_beyond(Share.REQUESTS, waiting())
    assert possible(row) == {Verb.REJECT}
    assert refusal(row, length=timedelta(days=1)) is Refusal.NOT_POSSIBLE
