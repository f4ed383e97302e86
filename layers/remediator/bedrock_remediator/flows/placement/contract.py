"""What every strategy is told: whose policies to change, which rows to believe, whom to tell before it writes.

`PlacementError` says why a grant cannot be written, in words that tell a person what to do about it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final, Protocol

from msgspec import Struct

from bedrock_remediator.aws.iam_policies import RefusedError
from bedrock_remediator.core.arn import Principal
from bedrock_remediator.core.grant import Grant, Written
from bedrock_remediator.core.message import Message, Refusal, read
from bedrock_remediator.core.policy import NotOursError, PolicyTooLargeError


class PlacementError(Exception):
    """The grant cannot be written, or not be taken away, and another try would end the same.

    `code` is the reason in one word, `reason` in a sentence that says what to do. `foreign` is True where what stands
    in its place is not this service's: then nothing of ours is there either. `refused` is what AWS's own refusal says,
    if it was one.
    """

    def __init__(self, code: str, reason: str, *, foreign: bool = False, refused: Refusal | None = None) -> None:
        super().__init__(f"{code}: {reason}")
        self.code = code
        self.reason = reason
        self.foreign = foreign
        self.refused = refused


_REFUSALS: Final = {
    "LimitExceeded": (
        "limit_exceeded",
        (
            "a quota of IAM is reached. Remove policies or versions that are not needed, or have the quota raised, "
            "and approve again."
        ),
    ),
    "EntityAlreadyExists": (
        "policy_name_taken",
        (
            "a policy of that name exists under another path, and names are unique in an account. Rename or remove "
            "it, and approve again."
        ),
    ),
    "UnmodifiableEntity": (
        "principal_unmodifiable",
        "AWS lets only the service that owns the principal change it. Add the statements where it is managed.",
    ),
    "MalformedPolicyDocument": (
        "policy_rejected",
        "IAM does not take the document. This is a fault of this service: report it with this sentence.",
    ),
    "AccessDenied": (
        "write_denied",
        (
            "this service may not change the principal: see GrantablePrincipals and PolicyStrategy in its stack, and "
            "the organization's policies."
        ),
    ),
}


@contextmanager
def explained() -> Iterator[None]:
    """Turn what goes wrong for good inside into a `PlacementError`.

    Raises:
        PlacementError: AWS refused a call, or no document fits.
    """
    try:
        yield
    except RefusedError as error:
        code, advice = _REFUSALS.get(
            error.code, ("iam_refused", "see what it says, and approve again when it is right.")
        )
        foreign = error.code == "EntityAlreadyExists"
        said = read(error.message, whole=True)
        raise PlacementError(
            code,
            f"IAM refused {error.operation} ({error.message.rstrip('.')}): {advice}",
            foreign=foreign,
            refused=said.refusal if isinstance(said, Message) else None,
        ) from error
    except PolicyTooLargeError as error:
        raise PlacementError(
            "policy_too_large",
            f"The grants of this principal do not fit into a policy: {error}. Revoke grants that are not needed, or "
            "grant fewer profiles, and approve again.",
        ) from error
    except NotOursError as error:
        # The last look before the write: the document is not one that this service may write.
        raise PlacementError(
            "document_refused",
            f"The document to be written breaks this service's own rules ({error}). This is a fault of this service: "
            "report it with this sentence.",
        ) from error


class Owner(Struct, frozen=True):
    """A principal as IAM confirmed it; `id` is its RoleId or UserId, None where it does not exist any more.

    `tags` are its tags where they were asked for.
    """

    principal: Principal
    id: str | None
    tags: Mapping[str, str] = {}


Proof = Callable[[Grant], bool]
"""Whether a row that claims to stand can be believed, though the principal's policies do not show it yet."""

Record = Callable[[Written], None]
"""Keeps what is about to be written, so that it can be taken back whatever happens next."""


class Inspection(Struct, frozen=True, kw_only=True):
    """How what IAM holds compares with the grants that stand.

    Attributes:
        lacking: The sks of the grants that their policies no longer give in full.
        excessive: Whether policies that are ours alone give more than the grants; False where that cannot be told.
        obstacle: What keeps the policies from being written as the grants say; None for nothing.
    """

    lacking: frozenset[str]
    excessive: bool = False
    obstacle: PlacementError | None = None


class Placement(Protocol):
    """A strategy: how a grant gets into a principal's policies, and out again.

    Both can be repeated, and interrupted anywhere: the next try ends as the first would have.
    """

    def apply(self, owner: Owner, grant: Grant, standing: Sequence[Grant], proof: Proof, record: Record, /) -> Written:
        """Put the grant in beside the standing ones; see `CompiledPlacement.apply`."""
        ...

    def withdraw(self, owner: Owner, grant: Grant, standing: Sequence[Grant], proof: Proof, /) -> bool:
        """Take the grant out, and leave the standing ones; see `CompiledPlacement.withdraw`."""
        ...

    def inspect(self, owner: Owner, standing: Sequence[Grant], /) -> Inspection:
        """Compare IAM with the grants that stand, and change nothing; see `CompiledPlacement.inspect`."""
        ...
