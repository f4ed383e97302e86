"""Which calls a revoked grant had still put right, so that their late records ask nothing (docs/aws-facts.md §1.9)."""

from datetime import timedelta
from typing import Any

import pytest

from bedrock_remediator.core.grant import Grant, State
from bedrock_remediator.core.lifecycle import is_repeat
from bedrock_remediator.core.waiting import SETTLING
from tests.builders.grants import pending_grant

APPLIED = pending_grant().created_at + timedelta(minutes=5)
REVOKED = APPLIED + timedelta(hours=8)


def revoked(**changes: Any) -> Grant:
    """A grant that was applied and revoked."""
    row = pending_grant(state=State.ACTIVE, applied_at=APPLIED)
    row = row.moved(State.REVOKING, at=REVOKED, by="somebody", reason="test", **changes)
    return row.moved(State.REVOKED, at=REVOKED + timedelta(seconds=5), by="remediate", reason="test")


@pytest.mark.parametrize(
    ("row", "until"),
    [
        (revoked(decided_at=REVOKED), REVOKED),
        (revoked(decided_at=APPLIED), APPLIED + SETTLING),
        (revoked(expires_at=REVOKED - timedelta(minutes=50)), REVOKED - timedelta(minutes=50)),
        (revoked(expires_at=REVOKED + timedelta(days=1), decided_at=REVOKED), REVOKED),
        (revoked(applied_at=None), pending_grant().created_at),
    ],
    ids=["by a person", "found gone", "ended", "by a person before its end", "never known to work"],
)
def test_a_call_of_before_the_end_is_a_repeat(row: Grant, until: Any) -> None:
    """A record of a call made while the grant surely worked only counts; the next call is a new question at once."""
    now = REVOKED + timedelta(days=1)
    assert is_repeat(row, until - timedelta(seconds=1), "", now)
    assert not is_repeat(row, until, "", now)
