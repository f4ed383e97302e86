from datetime import timedelta

from bedrock_remediator.core.grant import State, conversation, steps_after, thread_id
from tests.builders.decisions import stepped, waiting
from tests.builders.grants import NOON
from tests.builders.notices import blocked_by_scp


def test_a_row_keeps_its_conversation_through_all_its_states() -> None:
    """Whatever becomes of a request is told where it was asked."""
    grant = waiting()
    later = stepped(grant, State.APPROVED, State.APPLYING, State.ACTIVE)
    assert conversation(later) == conversation(grant) == "2026-11-20T12:00:00Z"
    assert thread_id(later) == thread_id(grant)


def test_a_row_that_is_opened_anew_asks_anew() -> None:
    """Its conversation is another one."""
    again = waiting(created_at=NOON + timedelta(days=2), version=3)
    assert conversation(again) != conversation(waiting())
    assert thread_id(again) != thread_id(waiting())


def test_advice_that_comes_again_is_a_repeat() -> None:
    """It goes where it went before."""
    again = blocked_by_scp(created_at=NOON + timedelta(days=2), version=2)
    assert conversation(again) == conversation(blocked_by_scp()) == "advice"


def test_a_thread_is_named_by_a_digest() -> None:
    """Safe everywhere, the surrogates of a hostile key included."""
    assert len(thread_id(waiting(pk="account/1/x/\ud800"))) == 32


def test_the_steps_after_a_version_are_those_of_the_versions_above_it() -> None:
    """As far as the history goes back."""
    grant = stepped(waiting(), State.APPROVED, State.APPLYING, State.ACTIVE)
    states = [step.state for step in steps_after(grant, 2)]
    assert states == [State.APPLYING, State.ACTIVE]
    assert list(steps_after(grant, 4)) == []
    assert len(steps_after(grant, 0)) == 4
    assert list(steps_after(waiting(history=()), 0)) == []
