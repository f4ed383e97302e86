"""Whether a person has approved a grant."""

from typing import Protocol

from bedrock_remediator.core.approval_statement import signable, signature
from bedrock_remediator.core.grant import Grant


class Approvals(Protocol):
    """Tells a genuine approval."""

    def verify(self, grant: Grant, /) -> bool:
        """Whether a person who may approve has approved exactly this: key, version, actions, ARNs and expiry."""
        ...


class Verifier(Protocol):
    """The key that approvals are signed with."""

    def verify(self, message: bytes, mac: bytes) -> bool:
        """Whether the key made that MAC of the message."""
        ...


class NoApprovals:
    """No way to approve is set up: nothing that claims to be approved by a person is."""

    def verify(self, _grant: Grant, /) -> bool:
        """No."""
        return False


class SignedApprovals:
    """Believes what approve has signed, and nothing else: the signature is made anew from what the row says now."""

    def __init__(self, key: Verifier) -> None:
        self._key = key

    def verify(self, grant: Grant, /) -> bool:
        """Whether approve has signed exactly this. What cannot be verified is not approved.

        Raises:
            RetryableError: Passing trouble.
        """
        mac = signature(grant)
        return mac is not None and self._key.verify(signable(grant), mac)
