"""The principal's own policy that grants the model already, with the missing ARNs put in: the strategy `in-place`.

It is what a person does who follows the vendor's guide, and it touches what others wrote. So it happens only where
nobody else is affected (the policy is attached to this principal alone, and bounds nobody), only where what was
before is kept (a version is free), and only by adding. What was added is noted before it is written, under a seal that
nobody else can make; taking it away takes away that and nothing else. No version is deleted but those that say
what was there before with just that added, or, made since then, the same as the one in force.
"""

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from bedrock_remediator.aws.errors import RetryableError
from bedrock_remediator.aws.iam_policies import Document, InlinePolicies, ManagedPolicies
from bedrock_remediator.core.arn import Principal
from bedrock_remediator.core.entitlement import Entitlement, entitlement
from bedrock_remediator.core.evaluation import Policy, PolicyKind
from bedrock_remediator.core.grant import Grant, Written
from bedrock_remediator.core.in_place import amend, retract
from bedrock_remediator.core.policy import NotOursError, PolicyTooLargeError, check
from bedrock_remediator.core.policy_grammar import MARK, MODEL, PROFILE
from bedrock_remediator.flows.placement import inline, managed
from bedrock_remediator.flows.placement.compiled import gives
from bedrock_remediator.flows.placement.contract import Inspection, Owner, Proof, Record
from bedrock_remediator.flows.placement.failure import PlacementError, explained
from bedrock_remediator.flows.placement.hosts import Host, InlineHost, ManagedHost
from bedrock_remediator.flows.placement.seals import Seals, unverified

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
    old, new = _statements(before), _statements(after)
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
    before, after = _several(was["Resource"]), _several(becomes["Resource"])
    return after[: len(before)] == before and set(after[len(before) :]) <= set(gained)


def _statements(document: Document) -> list[Any]:
    return _several(document.get("Statement", ()))


def _several(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _is_grantable(item: str) -> bool:
    return bool(PROFILE.fullmatch(item) or MODEL.fullmatch(item))


def _is_theirs(policy: Policy) -> bool:
    """Whether it is the principal's own, and not one of this service's."""
    if policy.kind is PolicyKind.INLINE:
        return policy.name != inline.NAME
    return policy.kind is PolicyKind.MANAGED and f":policy{managed.PATH}" not in (policy.arn or "")


def _unavailable(owner: Owner, obstacles: Sequence[str]) -> PlacementError:
    why = "; ".join(obstacles) or "no policy of its own grants the model"
    return PlacementError(
        "in_place_unavailable",
        f"No policy of {owner.principal.kind} {owner.principal.name} takes the grant in place: {why}. Put the "
        "statements of the notice into its policies by hand, or use the policy strategy managed, and approve again.",
    )
