"""The configuration that decides about denials: what triage, remediate and upkeep must see alike."""

import hashlib

import msgspec

from bedrock_remediator.core.allowlist import Allowlist
from bedrock_remediator.settings import PolicySettings


def basis(settings: PolicySettings, allowlist: Allowlist | None) -> str:
    """A digest of it: another one ends a finished row's cool-down, and lets upkeep decide again about what waits.

    Of advice it is made without an allowlist: no rule has a say in what no grant can change.
    """
    content = msgspec.json.encode((settings, allowlist), order="sorted")
    return hashlib.sha256(content).hexdigest()[:16]
