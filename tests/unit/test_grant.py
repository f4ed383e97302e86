"""A grant's row and the arrows of its state machine."""

from datetime import timedelta

import pytest
from msgspec.structs import replace

from bedrock_remediator.core.accounts import GrantablePrincipals
from bedrock_remediator.core.arn import ArnError
from bedrock_remediator.core.grant import (
    FINISHED,
    HISTORY_LENGTH,
    TRANSITIONS,
    Grant,
    IllegalTransitionError,
    State,
    grant_length,
    message_group,
)
from tests.builders.grants import NOON, pending_grant


@pytest.mark.parametrize("start", State)
@pytest.mark.parametrize("to", State)
def test_only_drawn_arrows_can_be_walked(start: State, to: State) -> None:
    """A move along an arrow gives the next version with the step in its history; any other move is an error."""
    row: Grant = replace(pending_grant(), state=start, version=4)
    if to in TRANSITIONS[start]:
        moved = row.moved(to, at=NOON, by="test", reason="because")
        assert (moved.state, moved.version, moved.history[-1].reason) == (to, 5, "because")
    else:
        with pytest.raises(IllegalTransitionError):
            row.moved(to, at=NOON, by="test", reason="because")


def test_every_state_is_reachable_and_finished_ones_end() -> None:
    """Each state but the first ones is the target of an arrow, and only a failed row leaves a finished state."""
    reached = set().union(*TRANSITIONS.values()) | {State.REPORTED, State.PENDING, State.APPROVED}
    assert reached == set(State)
    assert {state for state in FINISHED if TRANSITIONS[state]} == {State.FAILED}


def test_history_keeps_the_last_twenty_steps() -> None:
    """A row that moves for ever does not grow for ever."""
    row = replace(pending_grant(), state=State.PENDING)
    for _ in range(HISTORY_LENGTH):
        row = row.moved(State.APPROVED, at=NOON, by="test", reason="on")
        row = row.moved(State.PENDING, at=NOON, by="test", reason="back")
    assert len(row.history) == HISTORY_LENGTH


def test_models_are_the_resources_without_the_profile() -> None:
    """The set of ARNs is the profile and its models."""
    row = pending_grant()
    assert row.profile is not None
    assert set(row.models) | {row.profile} == set(row.resources)


def test_a_message_group_fits_sqs() -> None:
    """SQS takes message groups of 128 characters at most; an ARN with a long path is longer."""
    arn = "arn:aws:iam::111122223333:role/" + "p/" * 250 + "app"
    assert len(message_group(arn)) == 64
    assert message_group(arn) != message_group(arn + "x")
    assert replace(pending_grant(), pk=arn).group == message_group(arn)


def test_pending_grant_lasts_as_its_rule_says_else_as_the_stack_does() -> None:
    """No rule and no default mean no end."""
    assert grant_length(timedelta(hours=1), 30) == timedelta(hours=1)
    assert grant_length(None, 30) == timedelta(days=30)
    assert grant_length(None, 0) is None


@pytest.mark.parametrize(
    ("arn", "covered"),
    [
        ("arn:aws:iam::111122223333:role/llm/app", True),
        ("arn:aws:iam::111122223333:role/llm/team/app", True),
        ("arn:aws:iam::111122223333:role/other", False),
        ("arn:aws:iam::111122223333:user/llm/app", False),
        ("arn:aws:iam::111122223333:role/bedrock-access-remediator-stack/llm/x", False),
        ("arn:aws:iam::111122223333:role/aws-reserved/sso.amazonaws.com/llm/x", False),
    ],
)
def test_grantable_principals(arn: str, covered: bool) -> None:  # noqa: FBT001 - a parameter
    """Only what the operator's patterns cover is changed, and never AWS's roles or this service's own."""
    patterns = ["arn:aws:iam::*:role/llm/*", "arn:aws:iam::*:role/bedrock-access-remediator-stack/*"]
    patterns.append("arn:aws:iam::*:role/aws-reserved/*")
    assert GrantablePrincipals(patterns).covers(arn) is covered


def test_what_is_no_principal_is_not_asked_about() -> None:
    """An ARN of another kind is an error, not a no."""
    with pytest.raises(ArnError):
        GrantablePrincipals(["*"]).covers("arn:aws:s3:::bucket")
