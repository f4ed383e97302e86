"""What is done about a standing grant that AWS no longer shows as the ledger says."""

from datetime import timedelta
from typing import Any

import pytest

from bedrock_remediator.core.drift import (
    REPAIRS,
    REPAIRS_WITHIN,
    Found,
    Leave,
    Obstacle,
    Powers,
    Remedy,
    Renew,
    Repair,
    Report,
    Revoke,
    absent,
    remedy,
)
from bedrock_remediator.core.grant import Event, Grant, Outcome, State, kept_copy
from bedrock_remediator.core.waiting import BY
from tests.builders.grants import MODELS, NOON, PROFILE, pending_grant

MORE = (*pending_grant().resources, "arn:aws:bedrock:us-west-1::foundation-model/amazon.nova-2-lite-v1:0")
EDITED = Obstacle("policy_not_ours", "Somebody has edited it.")


def active(**changes: Any) -> Grant:
    """A grant that a rule made."""
    return pending_grant(**{"state": State.ACTIVE, "version": 3, "decision": Outcome.AUTO, "rule": "nova"} | changes)


def found(**changes: Any) -> Found:
    """All is as it should be, but for the changes."""
    return Found(**{"needed": active().resources} | changes)


def code(chosen: Remedy) -> str:
    """Its code."""
    assert not isinstance(chosen, Leave)
    return chosen.code


def repaired(times: int, ago: timedelta = timedelta(days=1), by: str = BY) -> tuple[Event, ...]:
    """The history of a grant that was approved anew."""
    return (Event(at=NOON - ago, state=State.APPROVED, by=by, reason="drift"),) * times


def test_what_is_as_it_should_be_is_left() -> None:
    """And what AWS no longer routes to does no harm."""
    assert remedy(active(), found(), Powers(), NOON) == Leave()
    assert remedy(active(), found(needed=(PROFILE, *MODELS[:1])), Powers(), NOON) == Leave()


@pytest.mark.parametrize("change", ["lacking", "excessive"])
@pytest.mark.parametrize("decision", [Outcome.AUTO, Outcome.ASK])
def test_a_changed_policy_is_put_right(change: str, decision: Outcome) -> None:
    """Whoever approved the grant: what is approved anew is the same."""
    chosen = remedy(active(decision=decision), found(**{change: True}), Powers(), NOON)
    assert isinstance(chosen, Repair)
    assert chosen.code == "policy_drifted"
    assert ("more than" in chosen.reason) is (change == "excessive")


def test_what_keeps_drifting_is_reported() -> None:
    """After three repairs in a week somebody has to find out who undoes them; a week later it is tried again."""
    drift = found(lacking=True)
    assert isinstance(remedy(active(history=repaired(REPAIRS - 1)), drift, Powers(), NOON), Repair)
    assert code(remedy(active(history=repaired(REPAIRS)), drift, Powers(), NOON)) == "drift_recurs"
    assert isinstance(remedy(active(history=repaired(REPAIRS, REPAIRS_WITHIN)), drift, Powers(), NOON), Repair)
    assert isinstance(remedy(active(history=repaired(REPAIRS, by="alice")), drift, Powers(), NOON), Repair)


def test_what_somebody_wrote_is_not_overwritten() -> None:
    """A policy that this service would not write is reported with the words that say what to do."""
    assert remedy(active(), found(lacking=True, obstacle=EDITED), Powers(), NOON) == Report(EDITED.code, EDITED.reason)
    assert remedy(active(), found(obstacle=EDITED), Powers(), NOON) == Report(EDITED.code, EDITED.reason)


@pytest.mark.parametrize("powers", [Powers(observing=True), Powers(grantable=False)])
def test_without_the_power_it_is_only_reported(powers: Powers) -> None:
    """A stack that observes, or may not change the principal, says so."""
    assert remedy(active(), found(lacking=True), powers, NOON) == Report(
        "policy_drifted",
        "Its policy was changed, detached or deleted, and no longer gives all that was granted. "
        + (
            "The stack only observes, so it is left as it is."
            if powers.observing
            else "It is not among the principals that this service may change, so it is left as it is."
        ),
    )
    assert code(remedy(active(), found(needed=MORE), powers, NOON)) == "inputs_changed"
    assert isinstance(remedy(active(), found(needed=MORE), powers, NOON), Report)


def test_a_rules_grant_that_became_incomplete_is_approved_anew() -> None:
    """Remediation decides it again, with all the models."""
    chosen = remedy(active(), found(needed=MORE), Powers(), NOON)
    assert isinstance(chosen, Renew)
    assert (chosen.code, chosen.ask, chosen.resources) == ("models_changed", False, MORE)
    assert "1 more model than" in chosen.reason


def test_a_persons_grant_that_became_incomplete_is_asked_for_anew() -> None:
    """Nobody has approved the new models."""
    chosen = remedy(active(decision=Outcome.ASK, resources=(PROFILE, *MODELS[:1])), found(), Powers(), NOON)
    assert isinstance(chosen, Renew)
    assert (chosen.code, chosen.ask) == ("inputs_changed", True)
    assert "2 more models than" in chosen.reason


def test_a_profile_that_is_gone_is_reported() -> None:
    """The grant gives nothing any more; a person revokes it."""
    chosen = remedy(active(), found(needed=None), Powers(), NOON)
    assert isinstance(chosen, Report)
    assert chosen.code == "profile_missing"


def test_nothing_is_approved_while_grants_are_paused() -> None:
    """Nor reported: it would be put right a moment later."""
    for drift in (found(lacking=True), found(needed=MORE), found(needed=None)):
        assert remedy(active(), drift, Powers(paused=True), NOON) == Leave()


@pytest.mark.parametrize("successor", [None, *State])
@pytest.mark.parametrize("lacking", [True, False])
def test_a_kept_grant_goes_when_it_is_not_needed(successor: State | None, lacking: bool) -> None:  # noqa: FBT001
    """When its row stands or was revoked, or when it is not in force any more; also while grants are paused."""
    over = successor in (State.ACTIVE, State.REVOKING, State.REVOKED)
    kept, facts = kept_copy(active()), found(lacking=lacking, successor=successor)
    chosen = remedy(kept, facts, Powers(paused=True), NOON)
    assert isinstance(chosen, Revoke if over or lacking else Leave)
    assert isinstance(chosen, Leave) or chosen.code == "replaced"


def test_a_principal_that_is_gone_loses_its_grants() -> None:
    """Also where another has its name by now."""
    assert absent(active(), None).code == "principal_missing"
    assert absent(active(), "AROAANOTHER").code == "principal_recreated"
