"""One inline policy of our own in the principal: the strategy `inline`.

All inline policies of a principal share one quota, so the room there is depends on what others have written; the
document is compiled to fit it, and nothing is written that IAM would refuse.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from bedrock_remediator.aws.iam_policies import Document, InlinePolicies
from bedrock_remediator.core.arn import PrincipalKind
from bedrock_remediator.core.policy import Entitlement, NotOursError, PolicyTooLargeError, check, compile_policies
from bedrock_remediator.flows.placement.contract import Owner, PlacementError

NAME: Final = "bedrock-access-remediator"
"""The name of our inline policy."""

QUOTA: Final[Mapping[PrincipalKind, int]] = {"user": 2048, "role": 10240}
"""Characters in all inline policies of a principal together, white space not counted (docs/aws-facts.md §4)."""


def size(document: Document) -> int:
    """How many characters of a quota a document takes."""
    return len("".join(json.dumps(document, ensure_ascii=False, separators=(",", ":")).split()))


class InlineStore:
    """Our inline policy."""

    strategy = "inline"

    def __init__(self, policies: InlinePolicies, extra_actions: Sequence[str]) -> None:
        self._policies = policies
        self._extra_actions = tuple(extra_actions)

    def read(self, owner: Owner) -> "InlineContent":
        """Read all inline policies of the principal."""
        return InlineContent(self._policies, owner, self._extra_actions)


class InlineContent:
    """One principal's inline policy of ours, and the room that the others leave."""

    def __init__(self, policies: InlinePolicies, owner: Owner, extra_actions: Sequence[str]) -> None:
        self._policies = policies
        self._owner = owner
        self._extra_actions = tuple(extra_actions)
        found = policies.all(owner.principal)
        self._own = found.pop(NAME, None)
        self._room = QUOTA[owner.principal.kind] - sum(map(size, found.values()))
        self._in_the_way = self._foreign(self._own) if self._own is not None else None

    @property
    def documents(self) -> Sequence[Document]:
        """Our document, if there is one."""
        return [] if self._own is None or self._in_the_way else [self._own]

    @property
    def obstacle(self) -> PlacementError | None:
        """A policy of that name that is not ours, or that somebody has edited."""
        return self._in_the_way

    def confirm(self) -> bool:
        """Ask for our policy by its name if it is not among those listed."""
        if self._own is None:
            self._policies.require_absent(self._owner.principal, NAME)
        return self._own is not None

    def fit(self, entitlements: Iterable[Entitlement]) -> tuple[str, ...]:
        """One document in the room there is.

        Raises:
            PlacementError: It does not fit (`inline_quota_exceeded`).
        """
        try:
            documents = compile_policies(entitlements, self._extra_actions, limit=self._room)
        except PolicyTooLargeError as error:
            raise self._too_large() from error
        if len(documents) > 1:
            raise self._too_large()
        return documents

    def claim(self, count: int) -> tuple[str, ...]:
        """The policy's name.

        Raises:
            PlacementError: There is one of that name, and it is not ours (`policy_not_ours`).
        """
        if self._in_the_way:
            raise self._in_the_way
        return (NAME,) * count

    def replace(self, documents: Sequence[str]) -> None:
        """Write the document, or remove the policy where there is none.

        Raises:
            PlacementError: There is one of that name, and it is not ours (`policy_not_ours`).
        """
        self.claim(len(documents))
        for document in documents:
            if json.loads(document) != self._own:
                self._policies.put(self._owner.principal, NAME, document)
        if self._own is not None and not documents:
            self._policies.delete(self._owner.principal, NAME)

    def _too_large(self) -> PlacementError:
        kind = self._owner.principal.kind
        return PlacementError(
            "inline_quota_exceeded",
            f"The inline policies of a {kind} may have {QUOTA[kind]} characters together, and the others of this one "
            f"leave {max(self._room, 0)}, which the grants do not fit in. Make them shorter or managed, or use the "
            "policy strategy managed, and approve again.",
        )

    def _foreign(self, own: Mapping[str, Any]) -> PlacementError | None:
        try:
            check(own, None)
        except NotOursError as error:
            principal = self._owner.principal
            return PlacementError(
                "policy_not_ours",
                f"The inline policy {NAME} of {principal.kind} {principal.name} is left as it is: its document is not "
                f"one that this service writes ({error}). Rename or remove it, and approve again.",
                foreign=True,
            )
        return None
