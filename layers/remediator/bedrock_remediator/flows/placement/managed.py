"""Customer managed policies of our own, attached to the principal: the strategy `managed`.

`arn:…:policy/bedrock-access-remediator/role.NAME.1` and so on, numbered without gaps: the first number that is free
ends the search. So they are made in order and removed in reverse order. A policy is ours if its tag says so and its
document keeps to our grammar; anything else under that name is left as it is.
"""

import json
import logging
from collections.abc import Iterable, Sequence
from typing import Final

from bedrock_remediator.aws.errors import RetryableError
from bedrock_remediator.aws.iam_policies import (
    MOST_VERSIONS,
    Document,
    Holder,
    ManagedPolicies,
    ManagedPolicy,
    RefusedError,
)
from bedrock_remediator.core.policy import Entitlement, NotOursError, check, compile_policies
from bedrock_remediator.flows.placement.contract import Owner, PlacementError

logger = logging.getLogger(__name__)

PATH: Final = "/bedrock-access-remediator/"
"""The path of our policies; the function's IAM rights end there."""

MARK: Final = {"managed-by": "bedrock-access-remediator"}
"""The tag of our policies."""

LEDGER_TAG: Final = "ledger"
"""The tag that tells one deployment's policies from another's: the name of its ledger's table."""

PRINCIPAL_TAG: Final = "principal-id"
"""The tag with the RoleId or UserId that the policy is for."""


class ManagedStore:
    """Our managed policies. `ledger` is the name of the ledger's table."""

    strategy = "managed"

    def __init__(self, policies: ManagedPolicies, extra_actions: Sequence[str], ledger: str) -> None:
        self._policies = policies
        self._extra_actions = tuple(extra_actions)
        self._ledger = ledger

    def read(self, owner: Owner) -> "ManagedContent":
        """Find the principal's policies, up to the first number that is free or taken by somebody else."""
        return ManagedContent(self._policies, owner, self._extra_actions, self._ledger)


class ManagedContent:
    """One principal's managed policies of ours."""

    def __init__(self, policies: ManagedPolicies, owner: Owner, extra_actions: Sequence[str], ledger: str) -> None:
        self._policies = policies
        self._owner = owner
        self._extra_actions = tuple(extra_actions)
        self._tags = {**MARK, PRINCIPAL_TAG: owner.id or "", LEDGER_TAG: ledger}
        self._found: list[tuple[ManagedPolicy, Document]] = []
        self._in_the_way: PlacementError | None = None
        while policy := policies.find(self._arn(len(self._found) + 1)):
            try:
                self._found.append((policy, self._own(policy)))
            except PlacementError as error:
                self._in_the_way = error
                break
        attached = any(policy.attachments for policy, _ in self._found)
        self._attached = self._attachments() if attached else frozenset()

    @property
    def documents(self) -> Sequence[Document]:
        """The documents that the principal has by attached policies of ours."""
        return [document for policy, document in self._found if policy.arn in self._attached]

    @property
    def obstacle(self) -> PlacementError | None:
        """A policy that somebody has edited or given to others too, or that is not ours and has the next name."""
        try:
            self.claim(len(self._found))
        except PlacementError as error:
            return error
        return self._in_the_way

    def confirm(self) -> bool:
        """Compare what was not found with what is attached; where nothing was, ask for the policy in another way."""
        if self._in_the_way:
            return True
        attached = self._attached if self._found else self._attachments()
        found = {policy.arn for policy, _ in self._found}
        hidden = sorted(arn for arn in attached - found if self._is_numbered(arn))
        if hidden:
            raise RetryableError(f"{hidden[0]} is attached, and IAM says that it, or one before it, does not exist")
        if not self._found:
            self._policies.require_absent(self._arn(1))
        return bool(self._found)

    def fit(self, entitlements: Iterable[Entitlement]) -> tuple[str, ...]:
        """As many documents as it takes."""
        return compile_policies(entitlements, self._extra_actions)

    def claim(self, count: int) -> tuple[str, ...]:
        """The ARNs for this many documents.

        Raises:
            PlacementError: One is not ours (`policy_not_ours`), or others would get the grant too (`policy_shared`).
        """
        if self._in_the_way and count > len(self._found):
            raise self._in_the_way
        for policy, _ in self._found[:count]:
            self._require_sole_holder(policy)
        return tuple(self._arn(number) for number in range(1, count + 1))

    def replace(self, documents: Sequence[str]) -> None:
        """Write what differs, attach what is not attached, then remove what is too many, the last first."""
        if self._in_the_way and not self._in_the_way.foreign:
            # It bears our tag and may still grant what is to be taken away: nobody may believe that it does not.
            raise self._in_the_way
        for number, document in enumerate(documents, 1):
            self._write(number, document)
        for policy, _ in reversed(self._found[len(documents) :]):
            self._remove(policy.arn)

    def _write(self, number: int, document: str) -> None:
        if number <= len(self._found):
            policy, current = self._found[number - 1]
            self._change(policy, current, document)
        else:
            self._create(number, document)
        if self._arn(number) not in self._attached:
            self._policies.attach(self._owner.principal, self._arn(number))

    def _create(self, number: int, document: str) -> None:
        arn, principal = self._arn(number), self._owner.principal
        about = f"What {principal.kind} {principal.name} may invoke on Bedrock. Compiled from a ledger: edits are lost."
        try:
            self._policies.create(PATH, arn.rpartition("/")[2], document, self._tags, about)
        except RefusedError as error:
            # An answer that got lost, and botocore asked again; else another path has the name.
            policy = self._policies.find(arn) if error.code == "EntityAlreadyExists" else None
            if policy is None:
                raise
            self._change(policy, self._own(policy), document)

    def _change(self, policy: ManagedPolicy, current: Document, document: str) -> None:
        """Put the document in force in a policy of ours, unless it is."""
        if any(policy.tags.get(key) != value for key, value in self._tags.items()):
            # A principal that was deleted and made again inherits the name, not what was granted.
            self._policies.tag(policy.arn, self._tags)
        if json.loads(document) == current:
            return
        versions = self._policies.versions(policy.arn)
        if len(versions) >= MOST_VERSIONS:
            oldest = next(version for version in versions if version != policy.default_version)
            self._policies.delete_version(policy.arn, oldest)
        self._policies.add_version(policy.arn, document)

    def _remove(self, arn: str) -> None:
        """Take the policy from the principal, and out of the account unless somebody else was given it."""
        self._policies.detach(self._owner.principal, arn)
        policy = self._policies.find(arn)
        if policy is None:
            raise RetryableError(f"{arn} was there a moment ago, and IAM says that it does not exist")
        for version in self._policies.versions(arn):
            if version != policy.default_version:
                self._policies.delete_version(arn, version)
        try:
            self._policies.delete(arn)
        except RefusedError as error:
            if error.code != "DeleteConflict":
                raise
            self._require_others(policy)
            logger.warning("a policy of ours is attached to others too; detached, not deleted", extra={"arn": arn})

    def _require_others(self, policy: ManagedPolicy) -> None:
        """Make sure that it is others who keep a policy from being deleted, and not the principal.

        Raises:
            RetryableError: It is attached to the principal still, or to nobody: IAM has not settled.
        """
        holders = self._policies.holders(policy.arn)
        # Where it bounds somebody, the principal may be among the holders for that alone.
        mine = any(_is(each, owner=self._owner) for each in holders)
        if not holders or (mine and (not policy.boundaries or policy.arn in self._attachments())):
            raise RetryableError(f"{policy.arn} was detached, and IAM does not delete it yet")

    def _attachments(self) -> frozenset[str]:
        """The principal's attached policies of our path.

        Raises:
            RetryableError: IAM says that there is no such principal, and has just said who it is.
        """
        attached = self._policies.attached(self._owner.principal, PATH)
        if attached is None and self._owner.id is not None:
            raise RetryableError(f"IAM says that {self._owner.principal.arn} does not exist, and knew it a moment ago")
        return attached or frozenset()

    def _own(self, policy: ManagedPolicy) -> Document:
        """What a policy of ours says.

        Raises:
            PlacementError: It is not ours, or is not as we left it.
        """
        ledger = policy.tags.get(LEDGER_TAG, self._tags[LEDGER_TAG])
        if not MARK.items() <= policy.tags.items():
            raise _not_ours(policy.arn, "it does not have this service's tag", foreign=True)
        if ledger != self._tags[LEDGER_TAG]:
            why = f"it belongs to another deployment of this service, whose ledger is {ledger}"
            raise _not_ours(policy.arn, why, foreign=True)
        document = self._policies.document(policy.arn, policy.default_version)
        try:
            # Whatever extra actions it has: an earlier deployment may have been set up with others.
            check(document, None)
        except NotOursError as error:
            why = f"somebody has edited it, and it is not a document that this service writes any more ({error})"
            raise _not_ours(policy.arn, why, foreign=False) from error
        return document

    def _require_sole_holder(self, policy: ManagedPolicy) -> None:
        mine = policy.arn in self._attached
        if policy.attachments <= mine and not policy.boundaries:
            return
        principal = self._owner.principal
        holders = self._policies.holders(policy.arn)
        others = sorted(f"{each.kind} {each.name}" for each in holders if not _is(each, owner=self._owner))
        if others or policy.boundaries:
            whose = ", ".join(others) or f"{principal.kind} {principal.name} as its permissions boundary"
            raise PlacementError(
                "policy_shared",
                f"{policy.arn} is attached to {whose} as well, which would get the grant too. Detach it there, and "
                "approve again.",
            )

    def _is_numbered(self, arn: str) -> bool:
        """Whether it is one of the names that the principal's policies have."""
        start, _, number = arn.rpartition(".")
        return number.isdecimal() and self._arn(1).rpartition(".")[0] == start

    def _arn(self, number: int) -> str:
        principal = self._owner.principal
        name = f"{principal.kind}.{principal.name}.{number}"
        return f"arn:{principal.partition}:iam::{principal.account}:policy{PATH}{name}"


def _not_ours(arn: str, why: str, *, foreign: bool) -> PlacementError:
    reason = f"{arn} is left as it is: {why}. Rename or remove it, and approve again."
    return PlacementError("policy_not_ours", reason, foreign=foreign)


def _is(holder: Holder, owner: Owner) -> bool:
    return (holder.kind, holder.id) == (owner.principal.kind, owner.id)
