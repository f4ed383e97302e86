"""What is signed of an approval, and what is left of it on the row."""

import json
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from bedrock_remediator.core.approval import Approver, decide
from bedrock_remediator.core.grant import State, kept_copy
from bedrock_remediator.core.signing import signable, signature, signed, statement
from tests.builders.decisions import ANYTHING, answer, stepped, waiting
from tests.builders.grants import NOON

LATER = NOON + timedelta(hours=1)


def test_signatures_cover_the_whole_decision() -> None:
    """Everything that decides about what is granted, to whom, until when and by whom is in the statement."""
    row = decide(waiting(), answer(length=timedelta(hours=1)), ANYTHING, LATER)
    assert json.loads(statement(row)) == {
        "v": 1,
        "pk": row.pk,
        "sk": row.sk,
        "version": 2,
        "principal_id": row.principal_id,
        "actions": list(row.actions),
        "resources": list(row.resources),
        "profile": row.profile,
        "expires_at": "2026-11-20T14:00:00Z",
        "approver": "Alice (unverified)",
        "via": "link",
        "decided_at": "2026-11-20T13:00:00Z",
    }


def test_a_name_is_signed_as_it_was_typed() -> None:
    """Other alphabets included."""
    row = waiting(decided_by=Approver.by_link("Ålice <b>").name)
    assert json.loads(statement(row))["approver"] == "Ålice <b> (unverified)"


def test_signatures_are_made_of_a_text_that_kms_takes() -> None:
    """However many ARNs a row has."""
    row = waiting(resources=tuple(f"arn:{number}" for number in range(1000)))
    assert len(statement(row)) > 4096 > len(signable(row))


def test_signatures_come_back_from_the_row() -> None:
    """In every state that follows the approval."""
    row = signed(decide(waiting(), answer(), ANYTHING, LATER), b"mac")
    assert signature(row) == b"mac"
    active = stepped(row, State.APPLYING, State.ACTIVE)
    assert signature(active) == b"mac"
    assert statement(active) == statement(kept_copy(active)) == statement(row)


@pytest.mark.parametrize(
    "changes",
    [
        {"approval": None},
        {"approval": "not base64!"},
        {"approval": "é"},
        {"decided_by": None},
        {"decided_at": None},
        {"decided_via": None},
        {"decided_version": None},
        {"decided_version": 3},
        {"decided_version": 0},
    ],
)
def test_signatures_are_none_on_a_row_that_nobody_has_approved(changes: dict[str, Any]) -> None:
    """Nor on one that was decided in a version it has not reached."""
    row = signed(decide(waiting(), answer(), ANYTHING, LATER), b"mac")
    assert signature(msgspec.structs.replace(row, **changes)) is None
