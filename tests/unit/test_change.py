"""Messages about the ledger's changes."""

import json
from typing import Any

import pytest

from bedrock_remediator.core.grant import Event, Grant, State
from bedrock_remediator.flows.remediation.withdrawal import Change
from tests.builders.grants import NOON, pending_grant


def record(**image: Any) -> str:
    """A record of the stream, as the Pipe puts it into the queue."""
    full = {"pk": {"S": "p"}, "sk": {"S": "s"}, "state": {"S": "approved"}, "version": {"N": "3"}, **image}
    return json.dumps({"eventName": "MODIFY", "dynamodb": {"Keys": {}, "NewImage": full}})


def test_a_record_tells_the_row_and_its_state() -> None:
    """Key, state and version are all that is taken from it."""
    assert Change.read(record(reason={"S": "ignored"})) == Change("p", "s", "approved", 3)


@pytest.mark.parametrize(
    "body", ["", "[]", "{}", '{"dynamodb": {"NewImage": {"pk": {"S": "p"}}}}', "null", record(version={"S": "x"})]
)
def test_anything_else_is_no_change(body: str) -> None:
    """A body that is no such record is an error, so that the message ends where people look."""
    with pytest.raises(ValueError):  # noqa: PT011 - of whatever kind
        Change.read(body)


@pytest.mark.parametrize(
    ("state", "version", "expected"),
    [
        (State.APPROVED, 3, True),
        (State.APPLYING, 4, True),
        (State.APPLYING, 5, False),
        (State.ACTIVE, 5, False),
        (State.APPROVED, 4, False),
        (State.PENDING, 3, False),
        (State.FAILED, 4, False),
    ],
)
def test_an_approval_is_work_until_it_is_done(state: State, version: int, expected: bool) -> None:  # noqa: FBT001
    """As long as the row is as it was, or an earlier delivery has begun with it and not ended."""
    row = pending_grant(state=state, version=version)
    assert Change(row.pk, row.sk, "approved", 3).is_work(row) is expected


@pytest.mark.parametrize("state", [State.REVOKING, State.APPLYING])
def test_other_work_must_be_as_it_was(state: State) -> None:
    """A revocation, and an application that is driven again, are work at their own version only."""
    row = pending_grant(state=state, version=3)
    assert Change(row.pk, row.sk, state, 3).is_work(row)
    assert not Change(row.pk, row.sk, state, 2).is_work(row)


def ended(*states: State) -> Grant:
    """A row that was approved at version 3, and went on through these states."""
    steps = [Event(at=NOON, state=state, by="test", reason="test") for state in (State.APPROVED, *states)]
    return pending_grant(state=steps[-1].state, version=2 + len(steps), history=tuple(steps))


@pytest.mark.parametrize("state", sorted(State))
def test_a_message_that_comes_after_its_rows_end_was_overtaken(state: State) -> None:
    """Somebody else ended the row that was being applied: what was written for it may be left."""
    row = ended(State.APPLYING, state)
    finished = state in (State.FAILED, State.ROLLED_BACK)
    assert Change(row.pk, row.sk, "approved", 3).was_overtaken(row) is finished
    assert Change(row.pk, row.sk, "applying", 4).was_overtaken(row) is finished
    assert not Change(row.pk, row.sk, "approved", 2).was_overtaken(row)
    assert not Change(row.pk, row.sk, "applying", 5).was_overtaken(row)
    assert not Change(row.pk, row.sk, "revoking", 4).was_overtaken(row)


def test_a_row_that_was_never_applied_leaves_nothing() -> None:
    """Nothing is written before it is being applied."""
    row = ended(State.FAILED)
    assert not Change(row.pk, row.sk, "approved", 3).was_overtaken(row)


def test_a_row_that_was_revoked_since_was_not_overtaken() -> None:
    """It was in force and taken out: what others have put into their policies since is theirs."""
    row = ended(State.APPLYING, State.ACTIVE, State.REVOKING, State.REVOKED)
    assert not Change(row.pk, row.sk, "approved", 3).was_overtaken(row)


def test_a_row_that_is_gone_is_no_work() -> None:
    """Nothing is done without a row."""
    assert not Change("p", "s", "approved", 3).is_work(None)
