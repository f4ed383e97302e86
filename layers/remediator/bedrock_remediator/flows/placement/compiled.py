"""Grants in policies of our own: all of a principal's standing grants, compiled to documents, written as a whole.

A policy is never read, amended and written back: it is made anew from the ledger, so that no writer can lose another's
grant (docs/aws-facts.md §4), and made again it is the same.

A row of the ledger is a claim, though, not a proof. Another row than the one at hand goes into the documents only if
our policies give the principal all that it claims already, or if it proves itself as if it were new. So writing an
`active` row into the ledger gives nobody anything.
"""

import logging
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Final, Protocol

from msgspec.structs import replace

from bedrock_remediator.aws.iam_policies import Document
from bedrock_remediator.core.grant import STANDING, Grant, Written
from bedrock_remediator.core.iam.evaluation import Holdings, Policy, PolicyKind, Request, Verdict, evaluate
from bedrock_remediator.core.iam.patterns import Context
from bedrock_remediator.core.policy import Entitlement, NotOursError, check, entitlement
from bedrock_remediator.flows.placement.contract import Inspection, Owner, PlacementError, Proof, Record, explained

logger = logging.getLogger(__name__)

_FOREVER: Final = "9999-12-31T23:59:59Z"


class Content(Protocol):
    """What a principal's policies of ours hold, and how it is replaced. Any method may raise what `explained` turns."""

    @property
    def documents(self) -> Sequence[Document]:
        """The documents in force."""
        ...

    def confirm(self) -> bool:
        """Whether anything is there; what was not found is not, as another read says.

        Raises:
            RetryableError: It does not say so.
        """
        ...

    def fit(self, entitlements: Iterable[Entitlement]) -> tuple[str, ...]:
        """The documents that grant exactly this, in the room there is."""
        ...

    def claim(self, count: int) -> tuple[str, ...]:
        """Make sure that this many documents can be written, to this principal and to nobody else; their names."""
        ...

    def replace(self, documents: Sequence[str]) -> None:
        """Put these documents in force, and nothing else."""
        ...

    @property
    def obstacle(self) -> PlacementError | None:
        """What would keep the documents from being replaced; None for nothing."""
        ...


class Store(Protocol):
    """Where the documents are kept: managed policies, or an inline one."""

    @property
    def strategy(self) -> str:
        """The name of the strategy."""
        ...

    def read(self, owner: Owner) -> Content:
        """What is there now."""
        ...


class CompiledPlacement:
    """Writes grants as compiled documents into a store."""

    def __init__(self, store: Store, extra_actions: Sequence[str]) -> None:
        self._store = store
        self._extra_actions = tuple(extra_actions)

    def apply(self, owner: Owner, grant: Grant, standing: Sequence[Grant], proof: Proof, record: Record) -> Written:
        """Make the principal's policies hold the grant beside the standing ones.

        Args:
            owner: The principal.
            grant: The grant, whose claims have been checked.
            standing: The other rows of this principal that stand, under this strategy.
            proof: Whether a row whose claims are not in the policies yet can be believed.
            record: Told what is about to be written, before the first write.

        Returns:
            What was written.

        Raises:
            PlacementError: It cannot be written. Nothing was, unless `record` was told.
            RetryableError: Passing trouble.
        """
        with explained():
            content = self._store.read(owner)
            wanted = [entitlement(row) for row in (grant, *_believed(content, standing, proof))]
            documents = self._checked(content.fit(wanted), wanted)
            written = Written(strategy=self._store.strategy, policies=content.claim(len(documents)))
            record(written)
            content.replace(documents)
        return written

    def withdraw(self, owner: Owner, grant: Grant, standing: Sequence[Grant], proof: Proof) -> bool:
        """Make the principal's policies hold the standing grants without this one. Arguments as for `apply`.

        Returns:
            Whether there was anything of ours to take it out of; that there was nothing is what two reads say.

        Raises:
            PlacementError: It cannot be taken away.
            RetryableError: Passing trouble.
        """
        with explained():
            content = self._store.read(owner)
            there = content.confirm()
            wanted = [entitlement(row) for row in _believed(content, standing, proof) if row.key != grant.key]
            documents = self._checked(content.fit(wanted), wanted)
            content.replace(documents)
        return there

    def inspect(self, owner: Owner, standing: Sequence[Grant], /) -> Inspection:
        """Compare the principal's policies of ours with its standing grants, and change nothing.

        Args:
            owner: The principal.
            standing: All of its rows that stand under this strategy.

        Raises:
            PlacementError: AWS refuses a look at them.
            RetryableError: Passing trouble.
        """
        with explained():
            content = self._store.read(owner)
            lacking = frozenset(row.sk for row in standing if not gives(content.documents, row))
            obstacle = content.obstacle
        if obstacle and obstacle.foreign and not lacking:
            # Somebody else's policy has the next name, which nobody needs.
            obstacle = None
        return Inspection(lacking=lacking, excessive=_exceeds(content.documents, standing), obstacle=obstacle)

    def _checked(self, documents: tuple[str, ...], wanted: Sequence[Entitlement]) -> tuple[str, ...]:
        """The documents, after the last look: ours by their grammar, and nothing in them that no grant says."""
        for document in documents:
            check(document, self._extra_actions, within=wanted)
        return documents


def _believed(content: Content, standing: Iterable[Grant], proof: Proof) -> list[Grant]:
    """The rows that are part of the policies: those that are so already, and those that prove themselves.

    Of a row that was approved anew and does not prove itself counts what is in force, until that is decided.
    """
    believed = []
    for row in standing:
        if gives(content.documents, row) or proof(row):
            believed.append(row)
        elif row.state not in STANDING and (rest := _rest(content.documents, row)):
            believed.append(rest)
        else:
            logger.error("a standing row is neither in force nor proven; left out", extra={"pk": row.pk, "sk": row.sk})
    return believed


def _rest(documents: Sequence[Document], row: Grant) -> Grant | None:
    """The part of a row's claims that is in force, until the moment that it claims; None if no model is left."""
    rest = replace(row, resources=tuple(each for each in row.resources if gives(documents, row, [each])))
    return rest if rest.models else None


def _exceeds(documents: Iterable[Document], standing: Iterable[Grant]) -> bool:
    """Whether documents of ours give more than the rows say; extra actions, which may have been others once, aside."""
    wanted = [entitlement(row) for row in standing]
    try:
        for document in documents:
            check(document, None, within=wanted)
    except NotOursError:
        return True
    return False


def gives(documents: Iterable[Document], row: Grant, resources: Iterable[str] | None = None) -> bool:
    """Whether documents of ours allow all that a row claims (or these ARNs of it), until the moment that it claims."""
    policies = tuple(Policy(name="own", kind=PolicyKind.MANAGED, document=document) for document in documents)
    holdings = Holdings(policies=policies)
    last = f"{row.expires_at - timedelta(seconds=1):%Y-%m-%dT%H:%M:%SZ}" if row.expires_at else _FOREVER
    claimed = entitlement(row)
    return bool(claimed.actions) and all(
        evaluate(holdings, Request(action, resource, _context(row, resource, last))).verdict is Verdict.ALLOWED
        for action in claimed.actions
        for resource in (claimed.resources if resources is None else resources)
    )


def _context(row: Grant, resource: str, time: str) -> Context:
    """What is known of a call that uses the grant."""
    through = (row.profile,) if row.profile and resource != row.profile else ()
    return {"aws:currenttime": (time,), "bedrock:inferenceprofilearn": through}
