"""The principal's own policy that grants the model already, with the missing ARNs put in: the strategy `in-place`.

It is what a person does who follows the vendor's guide, and it touches what others wrote. So it happens only where
nobody else is affected (the policy is attached to this principal alone, and bounds nobody), only where what was
before is kept (a version is free), and only by adding. What was added is noted before it is written, under a seal that
nobody else can make; taking it away takes away that and nothing else. No version is deleted but those that say
what was there before with just that added, or, made since then, the same as the one in force.

The host of such a grant is a customer managed policy, which has versions, or an inline one.
"""

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple, Protocol, Self

from bedrock_remediator.aws.errors import RetryableError
from bedrock_remediator.aws.iam_policies import MOST_VERSIONS, Document, InlinePolicies, ManagedPolicies, ManagedPolicy
from bedrock_remediator.core.arn import Principal
from bedrock_remediator.core.grant import Grant, Written
from bedrock_remediator.core.iam.evaluation import Policy, PolicyKind
from bedrock_remediator.core.in_place import amend, as_list, read_statements, retract
from bedrock_remediator.core.policy import (
    MANAGED_LIMIT,
    Entitlement,
    NotOursError,
    PolicyTooLargeError,
    check,
    entitlement,
)
from bedrock_remediator.core.policy_grammar import INVOKE_ACTIONS, MARK, MODEL, PROFILE
from bedrock_remediator.flows.placement import inline, managed
from bedrock_remediator.flows.placement.compiled import gives
from bedrock_remediator.flows.placement.contract import Inspection, Owner, PlacementError, Proof, Record, explained
from bedrock_remediator.flows.placement.inline import QUOTA, size
from bedrock_remediator.flows.placement.seals import Seals, unverified


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


STRATEGY: Final = "in-place"


class InPlacePlacement:
    """Puts grants into the principal's own policies. `own_policies` reads them, None for no principal."""

    def __init__(
        self,
        own_policies: Callable[[Principal], Sequence[Policy] | None],
        managed_policies: ManagedPolicies,
        inline_policies: InlinePolicies,
        extra_actions: Sequence[str],
        seals: Seals,
    ) -> None:
        self._own_policies = own_policies
        self._managed = managed_policies
        self._inline = inline_policies
        self._extra_actions = tuple(extra_actions)
        self._seals = seals

    def apply(self, owner: Owner, grant: Grant, standing: Sequence[Grant], proof: Proof, record: Record) -> Written:
        """Put the missing ARNs into the first policy that takes them; see `Placement.apply`.

        Raises:
            PlacementError: No policy does (`in_place_unavailable`), or as for every strategy.
        """
        with explained():
            obstacles: list[str] = []
            for policy in self._candidates(owner, grant):
                edit = self._edit(owner, grant, standing, policy)
                if isinstance(edit, str):
                    obstacles.append(f"{policy.name} {edit}")
                elif edit:
                    written = self._note(edit, grant)
                    if grant.written and grant.written.policies not in ((), written.policies):
                        self.withdraw(owner, grant, standing, proof)
                    record(written)
                    if edit.document is not None:
                        edit.host.put(edit.document, written)
                    elif written == grant.written:
                        edit.host.tidy(written)
                    return written
        raise _unavailable(owner, obstacles)

    def withdraw(self, owner: Owner, grant: Grant, standing: Sequence[Grant], _proof: Proof, /) -> bool:
        """Take away what was added for the grant; see `Placement.withdraw`."""
        written = grant.written
        if written is None or not written.policies or not written.added:
            return True
        with explained():
            if not self._seals.genuine(grant):
                raise unverified(written, "it has no seal of this service", foreign=True)
            host = self._host(owner, written.policies[0])
            if host is None:
                self._require_absent(owner, written.policies[0])
                return False
            # Only what an edit of ours can have brought; a note that names anything else is not believed.
            added = [item for item in written.added if item.startswith(MARK) or _is_grantable(item)]
            others = self._noted(standing, written.policies[0])
            needed = _added(others, grant)
            shorter = retract(host.document, added, needed, entitlement(grant).actions)
            host.take_back(shorter, written, [row.written for row in others if row.written])
        return True

    def inspect(self, owner: Owner, standing: Sequence[Grant], /) -> Inspection:
        """Compare the policies that were edited with the grants; what others wrote there is theirs. See `Placement`."""
        held = {policy.arn or policy.name: policy.document for policy in self._own_policies(owner.principal) or ()}

        def hosted(row: Grant) -> list[Document]:
            names = row.written.policies if row.written else ()
            return [held[name] for name in names if name in held]

        return Inspection(lacking=frozenset(row.sk for row in standing if not gives(hosted(row), row)))

    def _edit(self, owner: Owner, grant: Grant, standing: Sequence[Grant], policy: Policy) -> "_Edit | str | None":
        """How a policy takes the grant; why it does not, in words that can follow its name; None if it is beside it."""
        wanted = entitlement(grant)
        if amend(policy.document, wanted, self._extra_actions, limit=_ENDLESS) is None:
            return None
        host = self._host(owner, policy.arn or policy.name)
        if host is None:
            return "is gone"
        noted = self._noted([grant], host.name)
        ours = _added([*self._noted(standing, host.name), *noted], grant)
        try:
            edit = amend(host.document, wanted, self._extra_actions, limit=host.room, ours=ours)
        except PolicyTooLargeError:
            return "has no room for more"
        if edit is None:
            return None
        changed = json.loads(edit.document) != host.document
        obstacle = host.obstacle(owner) if changed else None
        if obstacle:
            return obstacle
        require_only_added(host.document, json.loads(edit.document), wanted, self._extra_actions)
        return _Edit(host, edit.document if changed else None, edit.added, noted[0].written if noted else None)

    def _candidates(self, owner: Owner, grant: Grant) -> list[Policy]:
        """The principal's own policies: the one that holds the grant already, then managed ones, then inline ones."""
        policies = self._own_policies(owner.principal)
        if policies is None:
            raise RetryableError(f"{owner.principal.arn} has vanished")
        before = grant.written.policies if grant.written else ()
        own = [policy for policy in policies if _is_theirs(policy)]
        return sorted(
            own, key=lambda policy: ((policy.arn or policy.name) not in before, policy.arn is None, policy.name)
        )

    def _host(self, owner: Owner, name: str) -> Host | None:
        if name.startswith("arn:"):
            return ManagedHost.find(self._managed, name)
        return InlineHost.find(self._inline, owner.principal, name)

    def _require_absent(self, owner: Owner, name: str) -> None:
        """Have other reads agree that a policy is not there."""
        if not name.startswith("arn:"):
            self._inline.require_absent(owner.principal, name)
            return
        self._managed.require_absent(name)
        if name in (self._managed.attached(owner.principal) or ()):
            raise RetryableError(f"{name} is attached, and IAM says that it does not exist")

    def _note(self, edit: "_Edit", grant: Grant) -> Written:
        """What to keep of the edit. A second try must not forget what the first has noted."""
        known = edit.known
        before = edit.host.version if edit.document else None
        written = Written(
            strategy=STRATEGY,
            policies=(edit.host.name,),
            added=tuple(dict.fromkeys((*(known.added if known else ()), *edit.added))),
            previous_version=(known.previous_version if known else None) or before,
        )
        return self._seals.set(grant, written)

    def _noted(self, rows: Iterable[Grant], policy: str) -> list[Grant]:
        """The rows that say what was added to a policy for them, where that can be believed."""
        return [
            row
            for row in rows
            if row.written and row.written.policies == (policy,) and row.written.added and self._seals.genuine(row)
        ]


def _added(rows: Iterable[Grant], grant: Grant) -> list[str]:
    """What was added for these rows to the statements that a grant's ARNs go into: those with its actions."""
    actions = entitlement(grant).actions
    return [item for row in rows if row.written and entitlement(row).actions == actions for item in row.written.added]


class _Edit(NamedTuple):
    """How a policy takes a grant: its new document, None if it has all already, and what of it is the grant's.

    `known` is what an earlier try has noted of it.
    """

    host: Host
    document: str | None
    added: tuple[str, ...]
    known: Written | None


_ENDLESS: Final = 2**31


def require_only_added(before: Document, after: Document, wanted: Entitlement, extra_actions: Sequence[str]) -> None:
    """Make sure that an edit of somebody else's policy adds what the grant says, and changes nothing.

    Raises:
        NotOursError: It does more.
    """
    old, new = read_statements(before), read_statements(after)
    if {**before, "Statement": []} != {**after, "Statement": []} or len(new) < len(old):
        raise NotOursError("it changes more than the statements")
    for was, becomes in zip(old, new, strict=False):
        if was != becomes and not _only_gained(was, becomes, wanted.resources):
            raise NotOursError("it changes a statement in another way than by the grant's ARNs")
    appended = new[len(old) :]
    if appended:
        check({"Version": "2012-10-17", "Statement": appended}, extra_actions, within=[wanted])


def _only_gained(was: Any, becomes: Any, gained: Collection[str]) -> bool:
    if not isinstance(was, Mapping) or "Resource" not in was or {**becomes, "Resource": was["Resource"]} != was:
        return False
    before, after = as_list(was["Resource"]), as_list(becomes["Resource"])
    return after[: len(before)] == before and set(after[len(before) :]) <= set(gained)


def _is_grantable(item: str) -> bool:
    return bool(PROFILE.fullmatch(item) or MODEL.fullmatch(item))


def is_ours(policy: Policy) -> bool:
    """Whether it is one of this service's, by its name or path."""
    if policy.kind is PolicyKind.INLINE:
        return policy.name == inline.NAME
    return policy.kind is PolicyKind.MANAGED and f":policy{managed.PATH}" in (policy.arn or "")


def _is_theirs(policy: Policy) -> bool:
    """Whether it is the principal's own, and not one of this service's."""
    return policy.kind in (PolicyKind.INLINE, PolicyKind.MANAGED) and not is_ours(policy)


def _unavailable(owner: Owner, obstacles: Sequence[str]) -> PlacementError:
    why = "; ".join(obstacles) or "no policy of its own grants the model"
    return PlacementError(
        "in_place_unavailable",
        f"No policy of {owner.principal.kind} {owner.principal.name} takes the grant in place: {why}. Put the "
        "statements of the notice into its policies by hand, or use the policy strategy managed, and approve again.",
    )
