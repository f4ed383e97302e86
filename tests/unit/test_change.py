"""Messages about the ledger's changes."""

import json
from typing import Any

import pytest

from bedrock_remediator.core.grant import State
from bedrock_remediator.flows.remediation.change import Change
from tests.builders.grants import pending_grant


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


def test_a_row_that_is_gone_is_no_work() -> None:
    """Nothing is done without a row."""
    assert not Change("p", "s", "approved", 3).is_work(None)
