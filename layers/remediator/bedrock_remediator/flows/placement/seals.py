"""Seals on notes of edits in place: what remediate has noted itself is told from what somebody wrote into the table."""

from typing import Protocol

from botocore.exceptions import BotoCoreError, ClientError

from bedrock_remediator.aws.errors import error_code
from bedrock_remediator.core.grant import Grant, Written
from bedrock_remediator.core.signing import seal, sealable, sealed
from bedrock_remediator.flows.placement.contract import PlacementError


class Sealer(Protocol):
    """The key that only remediate may use."""

    def sign(self, message: bytes) -> bytes:
        """The MAC of a message."""
        ...

    def verify(self, message: bytes, mac: bytes) -> bool:
        """Whether the key made that MAC of the message."""
        ...


class Seals:
    """Sets and checks seals. Without a key, where the stack does not write in place, there are none."""

    def __init__(self, key: Sealer | None) -> None:
        self._key = key

    def set(self, grant: Grant, written: Written) -> Written:
        """The note with its seal; one of nothing needs none.

        Raises:
            PlacementError: There is no key, or KMS refuses: what cannot be noted must not be written.
            RetryableError: Passing trouble.
        """
        if not written.added:
            return written
        if self._key is None:
            raise _unavailable("this stack's PolicyStrategy is another")
        try:
            return sealed(written, self._key.sign(sealable(grant, written)))
        except (ClientError, BotoCoreError) as error:
            raise _unavailable(f"KMS refused to seal what was to be added ({_code(error)})") from error

    def genuine(self, row: Grant) -> bool:
        """Whether remediate itself has noted what a row says was added for it.

        Raises:
            PlacementError: KMS refuses to say.
            RetryableError: Passing trouble.
        """
        mac = seal(row.written) if row.written else None
        if row.written is None or mac is None or self._key is None:
            return False
        try:
            return self._key.verify(sealable(row, row.written), mac)
        except (ClientError, BotoCoreError) as error:
            raise unverified(row.written, f"KMS refused to verify it, {_code(error)}") from error


def unverified(written: Written, why: str, *, foreign: bool = False) -> PlacementError:
    """Nothing is taken out of a policy on the word of a note that cannot be verified."""
    policies = ", ".join(written.policies)
    return PlacementError(
        "in_place_unverified",
        f"That this service put the ARNs into {policies} that the ledger's row names cannot be verified ({why}), so "
        "nothing was taken out. Take out by hand what should not be there.",
        foreign=foreign,
    )


def _unavailable(why: str) -> PlacementError:
    return PlacementError(
        "in_place_unavailable",
        f"Nothing can be written in place: {why}. Put the statements of the notice into the principal's policies by "
        "hand, or look at PolicyStrategy and the key EditKey of the stack, and approve again.",
    )


def _code(error: ClientError | BotoCoreError) -> str:
    return error_code(error) if isinstance(error, ClientError) else type(error).__name__
