"""What a person has approved, as it is signed: remediation believes the signature and not the row."""

from datetime import UTC, datetime
from typing import Final

from msgspec.structs import replace

from bedrock_remediator.core import macs
from bedrock_remediator.core.grant import Grant

_PURPOSE: Final = b"bedrock-access-remediator/approval/1:"


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
    return macs.canonical(fields)


def signable(grant: Grant) -> bytes:
    """What the signature is made of: the digest of the statement."""
    return macs.digest(_PURPOSE, statement(grant))


def signed(grant: Grant, signature: bytes) -> Grant:
    """The approved row with its signature."""
    return replace(grant, approval=macs.kept(signature))


def signature(grant: Grant) -> bytes | None:
    """The signature of an approved row; None for a row that cannot have one."""
    whole = None not in (grant.approval, grant.decided_by, grant.decided_at, grant.decided_via, grant.decided_version)
    if not whole or not 1 <= (grant.decided_version or 0) <= grant.version:
        return None
    return macs.read(grant.approval)


def _moment(time: datetime | None) -> str | None:
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if time else None
