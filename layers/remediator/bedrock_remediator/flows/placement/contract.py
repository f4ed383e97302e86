"""What every strategy is told: whose policies to change, which rows to believe, whom to tell before it writes."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from msgspec import Struct

from bedrock_remediator.core.arn import Principal
from bedrock_remediator.core.grant import Grant, Written
from bedrock_remediator.flows.placement.failure import PlacementError


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
