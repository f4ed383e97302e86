"""The seal on a note of an edit in place: what it covers, and what cannot be one."""

from base64 import b64encode
from typing import Any

import pytest
from msgspec.structs import replace

from bedrock_remediator.core.grant import State, Written, kept_copy
from bedrock_remediator.core.signing import seal, sealable, sealed
from tests.builders.grants import ACCOUNT, MODELS, NOON, PROFILE, pending_grant

NOTE = Written(
    strategy="in-place",
    policies=(f"arn:aws:iam::{ACCOUNT}:policy/AppPolicy",),
    added=(PROFILE, *MODELS),
    previous_version="v1",
)


def test_a_seal_is_kept_in_the_note() -> None:
    """As text; the rest of the note stays as it is."""
    note = sealed(NOTE, b"\x00mac\xff")
    assert seal(note) == b"\x00mac\xff"
    assert replace(note, seal=None) == NOTE


@pytest.mark.parametrize("text", [None, "no base64!", "YQ", "ä"])
def test_what_cannot_be_a_seal_is_none(text: str | None) -> None:
    """Whoever writes rows may write anything there."""
    assert seal(replace(NOTE, seal=text)) is None


@pytest.mark.parametrize(
    ("of_row", "of_note"),
    [
        ({"pk": f"arn:aws:iam::{ACCOUNT}:role/other"}, {}),
        ({"sk": "profile#other"}, {}),
        ({"principal_id": "AROAOTHER"}, {}),
        ({}, {"strategy": "managed"}),
        ({}, {"policies": ("AppPolicy",)}),
        ({}, {"added": MODELS}),
        ({}, {"previous_version": None}),
    ],
)
def test_whatever_a_note_says_is_sealed(of_row: dict[str, Any], of_note: dict[str, Any]) -> None:
    """With another principal, row, policy, addition or version the seal is another."""
    row = pending_grant()
    assert sealable(replace(row, **of_row), replace(NOTE, **of_note)) != sealable(row, NOTE)


def test_a_seal_outlives_what_becomes_of_the_row() -> None:
    """Its state, its version and its end change; the copy that is kept under another key has the same seal."""
    row = pending_grant(principal_id="AROAEXAMPLE")
    later = replace(row, state=State.ACTIVE, version=9, expires_at=NOON, updated_at=NOON, reason_code="other")
    assert sealable(later, NOTE) == sealable(row, NOTE)
    assert sealable(kept_copy(later), NOTE) == sealable(row, NOTE)
    assert sealable(row, replace(NOTE, seal=b64encode(b"x").decode())) == sealable(row, NOTE)


def test_what_is_sealed_fits_into_kms() -> None:
    """KMS makes MACs of at most 4,096 bytes, however much was added."""
    much = replace(NOTE, added=tuple(f"{MODELS[0]}-{number}" for number in range(500)))
    assert len(sealable(pending_grant(), much)) < 4096
