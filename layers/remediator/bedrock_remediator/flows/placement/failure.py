"""Why a grant cannot be written, in words that tell a person what to do about it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from bedrock_remediator.aws.iam_policies import RefusedError
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
