"""What is signed, and how a row keeps the MACs: a person's approval, and the note of what was put into a policy.

Remediation believes the signature of an approval, and not the row.

A policy of IAM does not tell who wrote which of its ARNs. So what a row says was added for its grant is what will be
taken away again, and whoever can write rows could have ARNs taken away that others put there. Only remediate can make
a seal (see flows/placement/seals.py).
"""

import base64
import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from bedrock_remediator.core.grant import Grant, Written


def canonical(fields: Mapping[str, Any]) -> bytes:
    """Fields as JSON that is the same whenever they are."""
    return msgspec.json.encode(fields, order="sorted")


def digest(purpose: bytes, content: bytes) -> bytes:
    """What a MAC is made of: a digest, since KMS takes no more than 4,096 bytes, after what it is for."""
    return purpose + hashlib.sha256(content).hexdigest().encode()


def mac_text(mac: bytes) -> str:
    """A MAC as a row holds it."""
    return base64.b64encode(mac).decode()


def mac_of(text: str | None) -> bytes | None:
    """The MAC that a row holds; None for none, or for what cannot be one."""
    try:
        return base64.b64decode(text, validate=True) if text is not None else None
    except ValueError:
        return None


_SEAL_PURPOSE: Final = b"bedrock-access-remediator/edit/1:"


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
    return digest(_SEAL_PURPOSE, canonical(fields))


def sealed(written: Written, mac: bytes) -> Written:
    """The note with its seal."""
    return replace(written, seal=mac_text(mac))


def seal(written: Written) -> bytes | None:
    """The seal of a note; None for a note without one, or with what cannot be one."""
    return mac_of(written.seal)


_APPROVAL_PURPOSE: Final = b"bedrock-access-remediator/approval/1:"


def statement(grant: Grant) -> bytes:
    """What a person has approved, as canonical JSON: the same for the row in every state that follows.

    Whatever of it changes later makes the signature void: the key, the version that was approved, the principal's
    id, the actions, the ARNs, the end, and who approved it when. A grant that is kept while its row asks for something
    else is still the one that was approved under the row's key.
    """
    fields = {
        "v": 1,
        "pk": grant.pk,
        "sk": grant.kept_for or grant.sk,
        "version": grant.decided_version,
        "principal_id": grant.principal_id,
        "actions": sorted(grant.actions),
        "resources": sorted(grant.resources),
        "profile": grant.profile,
        "expires_at": _moment(grant.expires_at),
        "approver": grant.decided_by,
        "via": grant.decided_via,
        "decided_at": _moment(grant.decided_at),
    }
    return canonical(fields)


def signable(grant: Grant) -> bytes:
    """What the signature is made of: the digest of the statement."""
    return digest(_APPROVAL_PURPOSE, statement(grant))


def signed(grant: Grant, signature: bytes) -> Grant:
    """The approved row with its signature."""
    return replace(grant, approval=mac_text(signature))


def signature(grant: Grant) -> bytes | None:
    """The signature of an approved row; None for a row that cannot have one."""
    whole = None not in (grant.approval, grant.decided_by, grant.decided_at, grant.decided_via, grant.decided_version)
    if not whole or not 1 <= (grant.decided_version or 0) <= grant.version:
        return None
    return mac_of(grant.approval)


def _moment(time: datetime | None) -> str | None:
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if time else None
