"""The seal on a note of what was put into somebody else's policy: what it is made of, and where it is kept.

A policy of IAM does not tell who wrote which of its ARNs. So what a row says was added for its grant is what will be
taken away again, and whoever can write rows could have ARNs taken away that others put there. Only remediate can make
a seal (see flows/placement/seals.py).
"""

from typing import Final

from msgspec.structs import replace

from bedrock_remediator.core import macs
from bedrock_remediator.core.grant import Grant, Written

_PURPOSE: Final = b"bedrock-access-remediator/edit/1:"


def sealable(grant: Grant, written: Written) -> bytes:
    """What the seal of a note is made of: whose grant it is, where it was put, and what of it.

    It stays the same in every state of the row, and for the copy that is kept while the row asks for something else.
    """
    fields = {
        "v": 1,
        "pk": grant.pk,
        "sk": grant.kept_for or grant.sk,
        "principal_id": grant.principal_id,
        "strategy": written.strategy,
        "policies": written.policies,
        "added": written.added,
        "previous_version": written.previous_version,
    }
    return macs.digest(_PURPOSE, macs.canonical(fields))


def sealed(written: Written, mac: bytes) -> Written:
    """The note with its seal."""
    return replace(written, seal=macs.kept(mac))


def seal(written: Written) -> bytes | None:
    """The seal of a note; None for a note without one, or with what cannot be one."""
    return macs.read(written.seal)
