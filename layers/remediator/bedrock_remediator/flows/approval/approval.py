"""A person looks at a request, and decides.

    link, button or id --> ticket --> show --> what the row says now, and what may be done
                                  --> decide --> the decision, signed --> one conditional write --> decided
                                                                          somebody was first --> who, and when

Who the person is, and that they may decide, has been made sure of by whoever calls. Nothing here can reach IAM: what
was approved is applied by remediation, which believes the signature and not the row.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import Final, Protocol

from msgspec.structs import replace

from bedrock_remediator.aws.ledger.items import Due
from bedrock_remediator.aws.ledger.read import GrantWithCounters
from bedrock_remediator.aws.ledger.write import ConflictError
from bedrock_remediator.clock import Clock
from bedrock_remediator.core.approval import (
    GRANTING,
    MOST_LISTED,
    Answer,
    Approver,
    NotAllowedError,
    Refusal,
    Terms,
    Verb,
    decide,
    possible,
)
from bedrock_remediator.core.durations import offered
from bedrock_remediator.core.grant import Grant, State
from bedrock_remediator.core.signing import signable, signed
from bedrock_remediator.core.suspicion import risks
from bedrock_remediator.core.usage import counts_requests
from bedrock_remediator.core.waiting import link_due
from bedrock_remediator.flows.approval.results import (
    AlreadyDecided,
    Decided,
    LostRace,
    NotAllowed,
    NotFound,
    Result,
    Stale,
    View,
    log_decision,
)
from bedrock_remediator.flows.current_rows import CurrentRows, current, current_entries
from bedrock_remediator.flows.links.links import Ticket
from bedrock_remediator.notices.notice import Denials, request_id
from bedrock_remediator.notices.plan import plan

_DECIDED: Final = frozenset({State.APPROVED, State.REJECTED, State.REVOKING})
_GRANTED: Final = frozenset({State.APPROVED, State.APPLYING, State.ACTIVE})
_LIKELY: Final = (State.PENDING, State.FAILED, State.ACTIVE, State.APPROVED, State.APPLYING, State.REVOKING)
"""Where to look for a request first: where something can be done about it."""


class Rows(CurrentRows, Protocol):
    """What is asked of the ledger."""

    def grants(self, pk: str) -> list[Grant]:
        """Every row of a principal."""
        ...

    def with_counters(self, pk: str, sk: str) -> GrantWithCounters:
        """One row, with its principal's others and its counters."""
        ...

    def due(self, state: State, before: datetime | None = None, *, behind: Due | None = None) -> Iterator[Due]:
        """The rows in a state."""
        ...

    def decide(self, before: Grant, after: Grant) -> None:
        """Take a row where a decision takes it."""
        ...

    def ask_for_link(self, before: Grant, after: Grant) -> None:
        """Note that a new link is asked for."""
        ...


class Signer(Protocol):
    """The key that approvals are signed with."""

    def sign(self, message: bytes) -> bytes:
        """The MAC of a message."""
        ...


class Approval:
    """Shows requests and takes decisions.

    Args:
        ledger: The ledger.
        key: The key that approvals are signed with.
        terms: What the stack allows people.
        extra_actions: The actions that the stack grants beside invoking.
        clock: Tells the time.
    """

    def __init__(self, ledger: Rows, key: Signer, terms: Terms, extra_actions: Sequence[str], clock: Clock) -> None:
        self._ledger = ledger
        self._key = key
        self._terms = terms
        self._extra_actions = extra_actions
        self._clock = clock

    def show(self, ticket: Ticket) -> View | None:
        """What a person sees; None if there is no such row.

        Raises:
            RetryableError: The ledger does not answer at the moment.
        """
        known = self._ledger.with_counters(*ticket.key)
        row = known.grant
        if row is None:
            return None
        rows, seen = known.grants, known.denials
        counted = seen.first_at is not None and seen.last_at is not None
        return View(
            ticket=ticket,
            grant=row,
            open=ticket.version == row.version and row.state is State.PENDING,
            replaced=not _covers(row, ticket),
            verbs=_verbs(row, ticket),
            old_link=_is_old(row, ticket) and _covers(row, ticket) and bool(possible(row)),
            denials=Denials(count=seen.count, first_at=seen.first_at, last_at=seen.last_at) if counted else None,  # type: ignore[arg-type]  # both were looked at
            plan=plan(row, lambda: rows, self._extra_actions),
            risks=risks(row, rows),
            lengths=offered(row, self._terms.longest),
            standing=tuple(other for other in rows if other.state is State.ACTIVE),
        )

    def decide(self, ticket: Ticket, answer: Answer) -> Result:
        """Take a decision.

        Args:
            ticket: The request that the person came with. A waiting request is decided by its own ticket only; what
                became of it (failed, active) by any ticket of the same row, but that a link alone grants or extends
                nothing later than the version that it was made for.
            answer: The decision; its version is that of the row that was shown.

        Raises:
            RetryableError: The ledger or KMS does not answer at the moment.
        """
        row = self._ledger.grant(*ticket.key)
        if row is None:
            return NotFound()
        if answer.version != row.version:
            return _overtaken(row, answer.version, AlreadyDecided)
        if not _covers(row, ticket) or (row.state is State.PENDING and ticket.version != row.version):
            return Stale(row)
        if answer.verb in GRANTING and _is_old(row, ticket):
            error = NotAllowedError(Refusal.OLD_LINK)
            return NotAllowed(row, error.why, error.reason)
        if counts_requests(row) and answer.verb is Verb.REJECT:
            # It stands for all that the principal asks for.
            for each in self._reject(self._waiting(row.pk, but=row), answer.approver, answer.reason):
                log_decision(answer.verb, answer.approver, each)
        return self._take(row, answer)

    def reject_all(self, ticket: Ticket, approver: Approver, reason: str | None = None) -> list[Result]:
        """Reject every request that waits of the principal that a ticket is about.

        Returns:
            A result for each; none without the ticket's row.

        Raises:
            RetryableError: The ledger does not answer at the moment; some may be rejected already.
        """
        named = self._ledger.grant(*ticket.key)
        if named is None or not _covers(named, ticket):
            return []
        return self._reject(self._waiting(ticket.pk), approver, reason)

    def _waiting(self, pk: str, *, but: Grant | None = None) -> list[Grant]:
        left_out = but.key if but else None
        return [row for row in self._ledger.grants(pk) if row.state is State.PENDING and row.key != left_out]

    def _reject(self, rows: Iterable[Grant], approver: Approver, reason: str | None) -> list[Result]:
        return [
            self._take(row, Answer(verb=Verb.REJECT, version=row.version, approver=approver, reason=reason))
            for row in rows
        ]

    def revoke_all(self, ticket: Ticket, approver: Approver, reason: str | None = None) -> list[Result]:
        """Revoke every grant of the principal that a ticket is about.

        Returns:
            A result for each grant that stands, or is about to: one that is being applied cannot be revoked before it
            stands, and is not allowed. None without the ticket's row.

        Raises:
            RetryableError: The ledger does not answer at the moment; some may be revoked already.
        """
        named = self._ledger.grant(*ticket.key)
        if named is None or not _covers(named, ticket):
            return []
        return [
            self._take(row, Answer(verb=Verb.REVOKE, version=row.version, approver=approver, reason=reason))
            for row in self._ledger.grants(ticket.pk)
            if row.state in _GRANTED
        ]

    def ask_for_link(self, ticket: Ticket) -> bool:
        """Let the approvers be sent a new link, for somebody who has an expired one.

        A note on the row, which the ledger's stream carries to notify: the link goes where every link goes, and to
        nobody else. Whoever asked must not be told the answer, since it says something about the row.

        Returns:
            Whether one is sent: something can still be done about the row, and nobody asked within the last hour.

        Raises:
            RetryableError: The ledger does not answer at the moment.
        """
        row, now = self._ledger.grant(*ticket.key), self._clock.now()
        if row is None or not _covers(row, ticket) or not possible(row) or not link_due(row, now):
            return False
        try:
            self._ledger.ask_for_link(row, replace(row, link_asked_at=now))
        except ConflictError:
            return False
        return True

    def requests(
        self, state: State, behind: Due | None = None, most: int = MOST_LISTED
    ) -> tuple[list[Grant], Due | None]:
        """The rows in a state, those first that came into it first: a page of `most` of them.

        Args:
            state: The state.
            behind: Where the page before ended; None for the first.
            most: How many at the most.

        Returns:
            The rows, and where the page ends if there may be more.

        Raises:
            RetryableError: The ledger does not answer at the moment.
        """
        entries = current_entries(self._ledger, self._ledger.due(state, behind=behind))
        found = list(islice(((entry, row) for entry, row in entries if row.state is state), most))
        return [row for _, row in found], found[-1][0] if len(found) == most else None

    def find(self, wanted: str) -> Ticket | None:
        """The request of an id, as notices carry it, of any version that a row still tells of; None if there is none.

        An id is a digest, so this looks through the rows, those first about which something can be done.

        Raises:
            RetryableError: The ledger does not answer at the moment.
        """
        others = (state for state in State if state not in _LIKELY)
        for state in (*_LIKELY, *others):
            for row in self._rows(state):
                for version in range(row.version, row.first_version - 1, -1):
                    if request_id(replace(row, version=version)) == wanted:
                        return Ticket(*row.key, version)
        return None

    def _take(self, row: Grant, answer: Answer) -> Result:
        try:
            after = decide(row, answer, self._terms, self._clock.now())
        except NotAllowedError as error:
            return NotAllowed(row, error.why, error.reason)
        if after.state is State.APPROVED:
            after = signed(after, self._key.sign(signable(after)))
        try:
            self._ledger.decide(row, after)
        except ConflictError:
            now = self._ledger.grant(*row.key)
            return NotFound() if now is None else _overtaken(now, answer.version, LostRace)
        return Decided(after)

    def _rows(self, state: State) -> Iterator[Grant]:
        """The rows that the index has in a state, as they are now, in the index's order."""
        return current(self._ledger, self._ledger.due(state))


def _covers(row: Grant, ticket: Ticket) -> bool:
    """Whether the ticket is one of this row, and not of one under the same key before it."""
    return row.first_version <= ticket.version <= row.version


def _verbs(row: Grant, ticket: Ticket) -> frozenset[Verb]:
    foreign = not _covers(row, ticket) or (row.state is State.PENDING and ticket.version != row.version)
    verbs = frozenset() if foreign else possible(row)
    return verbs - GRANTING if _is_old(row, ticket) else verbs


def _is_old(row: Grant, ticket: Ticket) -> bool:
    """Whether somebody came by nothing but a link that was made for an earlier version of the row."""
    return ticket.bearer and ticket.version != row.version


def _overtaken(
    row: Grant, version: int, decided: Callable[[Grant, str, datetime, State], AlreadyDecided | LostRace]
) -> AlreadyDecided | LostRace | Stale:
    """What to tell somebody who saw a version that is no longer the row's."""
    step = row.step(version + 1)
    if step is None or step.state not in _DECIDED:
        return Stale(row)
    return decided(row, step.by, step.at, step.state)
