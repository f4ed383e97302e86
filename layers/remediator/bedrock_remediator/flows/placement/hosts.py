"""The principal's own policies as hosts of a grant: a customer managed one, which has versions, or an inline one."""

import json
from collections.abc import Iterable, Sequence
from typing import Protocol, Self

from bedrock_remediator.aws.errors import RetryableError
from bedrock_remediator.aws.iam_policies import MOST_VERSIONS, Document, InlinePolicies, ManagedPolicies, ManagedPolicy
from bedrock_remediator.core.arn import Principal
from bedrock_remediator.core.grant import Written
from bedrock_remediator.core.in_place import retract
from bedrock_remediator.core.policy import MANAGED_LIMIT
from bedrock_remediator.core.policy_grammar import INVOKE_ACTIONS
from bedrock_remediator.flows.placement.contract import Owner
from bedrock_remediator.flows.placement.failure import PlacementError
from bedrock_remediator.flows.placement.inline import QUOTA, size


class Host(Protocol):
    """A policy that somebody else wrote.

    `name` is what is noted of it: the ARN, or the inline name. `document` is what it says, `version` the version in
    force, None where there are no versions. `room` is how long the document may be.
    """

    name: str
    document: Document
    version: str | None
    room: int

    def obstacle(self, owner: Owner) -> str | None:
        """Why nothing may be put into it, in words that can follow its name; None if something may."""
        ...

    def put(self, document: str, written: Written, /) -> None:
        """Write a longer document; the one before is kept where there are versions.

        Args:
            document: The document.
            written: What was noted of the addition.
        """
        ...

    def tidy(self, written: Written, /) -> None:
        """Delete the versions that an earlier `put` left whose answer got lost; `written` is what was noted of it."""
        ...

    def take_back(self, shorter: str | None, written: Written, others: Iterable[Written], /) -> None:
        """Write what is left when an addition is taken away.

        Args:
            shorter: The document; None if nothing is left of it.
            written: What was noted of the addition.
            others: What was noted of other additions to the same policy.

        Raises:
            PlacementError: It cannot be written.
        """
        ...


class InlineHost:
    """An inline policy of the principal."""

    version: str | None = None

    def __init__(
        self, policies: InlinePolicies, principal: Principal, name: str, documents: dict[str, Document]
    ) -> None:
        self._policies = policies
        self._principal = principal
        self.name = name
        self.document = documents[name]
        others = [document for other, document in documents.items() if other != name]
        self.room = QUOTA[principal.kind] - sum(map(size, others))

    @classmethod
    def find(cls, policies: InlinePolicies, principal: Principal, name: str) -> Self | None:
        """The principal's policy of that name, None if there is none."""
        documents = policies.all(principal)
        return cls(policies, principal, name, documents) if name in documents else None

    def obstacle(self, owner: Owner) -> str | None:
        """Nothing stands in the way: an inline policy is the principal's alone."""

    def put(self, document: str, _written: Written, /) -> None:
        """Write the document over the one that is there."""
        self._require_unchanged()
        self._policies.put(self._principal, self.name, document)

    def tidy(self, _written: Written, /) -> None:
        """Nothing is left by an inline policy that is written twice."""

    def take_back(self, shorter: str | None, _written: Written, _others: Iterable[Written], /) -> None:
        """Write the shorter document, or delete the policy where nothing is left."""
        if shorter is None:
            self._require_unchanged()
            self._policies.delete(self._principal, self.name)
        elif json.loads(shorter) != self.document:
            self._require_unchanged()
            self._policies.put(self._principal, self.name, shorter)

    def _require_unchanged(self) -> None:
        """Read once more right before a write, since IAM has no condition to write on (docs/aws-facts.md §7.18).

        What is left is the time of one call: who writes within it is still overwritten.

        Raises:
            RetryableError: Somebody has changed the policy. The next delivery begins with what it says then.
        """
        if self._policies.document(self._principal, self.name) != self.document:
            raise _changed(f"the inline policy {self.name} of {self._principal.arn}")


class ManagedHost:
    """A customer managed policy attached to the principal."""

    room = MANAGED_LIMIT

    def __init__(self, policies: ManagedPolicies, policy: ManagedPolicy) -> None:
        self._policies = policies
        self._policy = policy
        self.name = policy.arn
        self.version: str | None = policy.default_version
        self.document = policies.document(policy.arn, policy.default_version)

    @classmethod
    def find(cls, policies: ManagedPolicies, arn: str) -> Self | None:
        """The policy, None if there is none."""
        policy = policies.find(arn)
        return cls(policies, policy) if policy else None

    def obstacle(self, owner: Owner) -> str | None:
        """Others are affected, or nothing of what was before could be kept."""
        if self._policy.boundaries:
            return "is a permissions boundary as well"
        holders = self._policies.holders(self.name)
        if {(holder.kind, holder.id) for holder in holders} != {(owner.principal.kind, owner.id)}:
            return "is attached to others as well"
        if len(self._policies.versions(self.name)) >= MOST_VERSIONS:
            return f"has {MOST_VERSIONS} versions, as many as there may be, and this service deletes none of them"
        return None

    def put(self, document: str, written: Written, /) -> None:
        """Put the document in force as a new version."""
        if self._add(document):
            self.tidy(written)

    def tidy(self, written: Written, /) -> None:
        """Delete the versions with the addition that are not in force: IAM makes one each time that it is asked."""
        self._drop_ours(self._policies.versions(self.name), [written])

    def take_back(self, shorter: str | None, written: Written, others: Iterable[Written], /) -> None:
        """Go back to the version before if that is what is left, else put what is left in force as a new version."""
        if shorter is None:
            raise self._stuck("nothing would be left of the policy")
        versions = self._policies.versions(self.name)
        previous = written.previous_version
        if json.loads(shorter) != self.document:
            if previous in versions and json.loads(shorter) == self._policies.document(self.name, previous):
                self._require_unchanged()
                self._policies.put_in_force(self.name, previous)
                self.version, self.document = previous, json.loads(shorter)
            else:
                if len(versions) >= MOST_VERSIONS and not self._drop_ours(versions, [written, *others], most=1):
                    raise self._stuck(f"it has {MOST_VERSIONS} versions, and this service made none that it may delete")
                self._add(shorter)
        self.tidy(written)

    def _add(self, document: str) -> bool:
        """Put a document in force as a new version; returns whether it may be there twice."""
        self._require_unchanged()
        made = self._policies.add_version(self.name, document)
        self.version, self.document = made.id, json.loads(document)
        return made.repeated

    def _require_unchanged(self) -> None:
        """See once more, right before a version is put in force, that the one that was read still is.

        A version that somebody puts in force after this is not lost, but no longer in force. Whom the policy is
        attached to and bounds is counted again, too: a grant is for its principal alone.

        Raises:
            RetryableError: Somebody has changed the policy, or whose it is.
        """
        now = self._policies.find(self.name)
        read = (self.version, self._policy.attachments, self._policy.boundaries)
        if now is None or (now.default_version, now.attachments, now.boundaries) != read:
            raise _changed(self.name)

    def _drop_ours(self, versions: Sequence[str], notes: Sequence[Written], most: int = MOST_VERSIONS) -> int:
        """Delete versions, not in force, that are nothing but the one before an addition of ours with just that.

        And those made since then that say what the one in force says: of a call whose answer got lost.

        Returns:
            How many were deleted; the oldest go first.
        """
        if not any(note.previous_version in versions for note in notes):
            return 0
        documents = {version: self._policies.document(self.name, version) for version in versions}
        ours = [
            version
            for version, document in documents.items()
            if version != self.version
            and any(
                _made(document, note, documents) or (_later(version, note) and document == self.document)
                for note in notes
            )
        ]
        for version in ours[:most]:
            self._policies.delete_version(self.name, version)
        return len(ours[:most])

    def _stuck(self, why: str) -> PlacementError:
        return PlacementError(
            "in_place_stuck",
            f"What was put into {self.name} cannot be taken out again: {why}. Take it out by hand.",
        )


def _changed(what: str) -> RetryableError:
    return RetryableError(f"{what} was changed while it was edited in place; nothing was written over it")


def _later(version: str, note: Written) -> bool:
    """Whether a version was made after the one that was in force before an addition."""
    return note.previous_version is not None and int(version[1:]) > int(note.previous_version[1:])


def _made(document: Document, note: Written, documents: "dict[str, Document]") -> bool:
    """Whether a document is the version before an addition, with just that addition."""
    before = documents.get(note.previous_version or "")
    if before is None or document == before:
        return False
    # The note does not say which actions were granted; any that lead back to the version before did.
    possible = (INVOKE_ACTIONS, *((action,) for action in INVOKE_ACTIONS))
    less = [retract(document, note.added, (), actions) for actions in possible]
    return any(text is not None and json.loads(text) == before for text in less)
