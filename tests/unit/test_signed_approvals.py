"""Which approvals remediation believes."""

from datetime import timedelta

import msgspec

from bedrock_remediator.core.approval import decide
from bedrock_remediator.core.grant import State
from bedrock_remediator.core.signing import signable, signed
from bedrock_remediator.flows.remediation.claims import SignedApprovals
from tests.builders.decisions import ANYTHING, FakeMac, answer, stepped, waiting
from tests.builders.grants import NOON

APPROVED = decide(waiting(), answer(length=timedelta(days=1)), ANYTHING, NOON)
SIGNED = signed(APPROVED, FakeMac().sign(signable(APPROVED)))
BELIEVED = SignedApprovals(FakeMac())


def test_what_approve_has_signed_is_believed_in_every_state_that_follows() -> None:
    """Remediation asks when it applies the grant, and again when it writes it anew beside another."""
    assert BELIEVED.verify(SIGNED)
    assert BELIEVED.verify(stepped(SIGNED, State.APPLYING))
    assert BELIEVED.verify(stepped(SIGNED, State.APPLYING, State.ACTIVE))


def test_what_nobody_has_signed_is_not_believed() -> None:
    """A row that claims to be approved, with no signature, one of another row, or one that is none."""
    other = signed(APPROVED, FakeMac().sign(signable(msgspec.structs.replace(APPROVED, sk="profile#other"))))
    for row in (APPROVED, other, msgspec.structs.replace(SIGNED, approval="!")):
        assert not BELIEVED.verify(row)
