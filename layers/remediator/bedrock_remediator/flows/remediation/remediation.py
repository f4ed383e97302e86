"""Remediate: put an approved grant into force, or take a revoked one out. The only flow that changes IAM.

    approved --claims hold--> applying --write--> verify --+--> active
       |                         |                         +--> rolled_back    it certainly does not help
       +--> pending, lapsed,     +--> failed                                   it cannot be written
            failed
    revoking --take out--> revoked

What may have been done to a policy stands in the ledger before it is done, and a row that ends as failed or
rolled_back leaves IAM as the other standing grants say. Nobody else ends a row that may have been written: one that was
tried in vain for hours is taken out here. Every step can be repeated: a message that is delivered again
ends as the first delivery would have. Trouble that passes is raised, so that the queue delivers the message again;
what would end the same again ends the row.
"""

import contextlib
import logging
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Protocol

from msgspec.structs import replace

from bedrock_remediator.aws.errors import NotEnrolledError, RetryableError, RoleMissingError
from bedrock_remediator.aws.ledger.read import Background
from bedrock_remediator.aws.ledger.write import ConflictError
from bedrock_remediator.clock import Clock
from bedrock_remediator.core.approval import after_revocation, after_step, stands
from bedrock_remediator.core.authorization_details import Evaluation, decisive, told
from bedrock_remediator.core.grant import ASKED, FINISHED, STANDING, Grant, Outcome, State, Verification, Written
from bedrock_remediator.core.message import Refusal
from bedrock_remediator.core.simulation import Helpfulness, Judgement
from bedrock_remediator.core.waiting import MOST_TRIES, cool_down, given_up
from bedrock_remediator.flows.placement.choice import Placements
from bedrock_remediator.flows.placement.contract import Owner, PlacementError
from bedrock_remediator.flows.remediation.claims import ClaimError, Claims
from bedrock_remediator.flows.remediation.withdrawal import Change, Withdrawal, in_force
from bedrock_remediator.flows.simulation import GrantSimulation

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

logger = logging.getLogger(__name__)

BY: Final = "remediate"
"""Who moved the row, in its history."""

_FORECAST_HOLDS: Final = timedelta(minutes=10)
_NOT_APPLIED: Final = (
    f"It was approved, and {MOST_TRIES} further attempts have not applied it: see remediate's log and dead letters."
)
_IAM_REGIONS: Final = {"aws": "us-east-1", "aws-cn": "cn-north-1", "aws-us-gov": "us-gov-west-1"}
"""Where IAM answers calls, and so records refusals, by partition."""
_VERIFICATIONS: Final = {
    Helpfulness.HELPS: Verification.SIMULATED,
    Helpfulness.INCONCLUSIVE: Verification.INCONCLUSIVE,
}


class Rows(Protocol):
    """What is asked of the ledger."""

    def grant(self, pk: str, sk: str) -> Grant | None:
        """One row, read consistently."""
        ...

    def grants(self, pk: str) -> list[Grant]:
        """Every request and grant of a principal, read consistently."""
        ...

    def background(self, pk: str) -> Background:
        """The same, and what is known of the principal."""
        ...

    def move(self, before: Grant, after: Grant, *also: "TransactWriteItemTypeDef") -> None:
        """Take a row to its next state, and write something else with it."""
        ...

    def keep(self, before: Grant, after: Grant, *also: "TransactWriteItemTypeDef") -> None:
        """Take a row to its next state, and keep what stood as a row of its own."""
        ...

    def update(self, before: Grant, after: Grant) -> None:
        """Note something on a row."""
        ...


class Details(Protocol):
    """What IAM recorded of refused requests."""

    def evaluations(self, account: str, region: str, authorization_id: str) -> tuple[Evaluation, ...]:
        """How a request was evaluated; empty where nothing can be learned."""
        ...


class RevocationError(Exception):
    """A grant cannot be taken out of IAM. The row stays in revoking, and the message ends where people look."""


class Remediation:
    """Works on one change at a time; those of one principal must come one after the other."""

    def __init__(  # noqa: PLR0913, PLR0917 - its parts
        self,
        ledger: Rows,
        claims: Claims,
        placements: Placements,
        simulation: GrantSimulation,
        details: Details,
        clock: Clock,
    ) -> None:
        self._ledger = ledger
        self._claims = claims
        self._placements = placements
        self._withdrawal = Withdrawal(ledger, claims.hold, placements, clock)
        self._simulation = simulation
        self._details = details
        self._clock = clock

    def handle(self, change: Change, *, settle: timedelta, deadline: datetime) -> Grant | None:
        """Do what a change of the ledger asks for.

        Args:
            change: The change.
            settle: How long IAM is given to settle after a write.
            deadline: When to stop waiting for that, whatever is left.

        Returns:
            The row as it is afterwards; None where there is nothing to do any more.

        Raises:
            RetryableError: Passing trouble.
            ConflictError: Somebody else moved the row.
            RevocationError: A grant cannot be taken out.
        """
        background = self._ledger.background(change.pk)
        row = next((row for row in background.grants if row.sk == change.sk), None)
        if row is not None and change.was_overtaken(row):
            self._clear(row)
        if row is None or not change.is_work(row):
            return None
        if row.state is State.REVOKING:
            return self._revoke(row)
        return self._grant(row, background, settle, deadline)

    def _clear(self, row: Grant) -> None:
        """Take out what a delivery before this one may have written, and did not live to take out."""
        with contextlib.suppress(ClaimError):
            self._withdrawal.take_out(row, self._claims.owner(row))
            self._forget(row)

    def _grant(self, row: Grant, background: Background, settle: timedelta, deadline: datetime) -> Grant | None:
        if given_up(row):
            return self._refuse(row, ClaimError(State.FAILED, "not_applied", _NOT_APPLIED))
        try:
            owner = self._claims.confirm(row, background)
            foreseen = self._foreseen(row, owner)
        except ClaimError as error:
            return self._refuse(row, error)
        # Set by an earlier try, or when the grant was in force before: then IAM may hold something of it.
        touched = row.written is not None
        if row.state is State.APPROVED:
            written = row.written or Written(strategy=self._placements.strategy(row), policies=())
            row = self._move(row, State.APPLYING, "Checked once more against AWS and the rules.", written=written)

        def record(written: Written) -> None:
            nonlocal row, touched
            touched = True
            if written.added:
                row = self._note(row, written)

        try:
            standing = self._withdrawal.standing(row, owner)
            written = self._placements.placement(row).apply(owner, row, standing, self._claims.hold, record)
        except PlacementError as error:
            if touched:
                self._withdrawal.take_out(row, owner)
            return self._end(row, State.FAILED, error.code, error.reason + self._recorded(row, error.refused))
        judgement = self._simulation.after(row, owner.tags, foreseen=foreseen, wait=settle, deadline=deadline)
        try:
            done = self._verify(row, owner, written, judgement)
        except ConflictError:
            self._undo_if_superseded(row, owner)
            return None
        self._let_go(done, standing)
        return done

    def _foreseen(self, row: Grant, owner: Owner) -> bool:
        """Before the first write: unless it was asked a moment ago, ask whether the grant would help at all.

        Returns:
            Whether it was asked here, and will.

        Raises:
            ClaimError: It certainly will not.
            RetryableError: Passing trouble.
        """
        fresh = row.simulated_at is not None and self._clock.now() - row.simulated_at <= _FORECAST_HOLDS
        if row.state is not State.APPROVED or fresh:
            return False
        forecast = self._simulation.before(row, owner.tags)
        if forecast.helpfulness is Helpfulness.CERTAINLY_NOT:
            reason = f"The grant would not help: {forecast.reason}"
            raise ClaimError(
                State.FAILED, "certainly_no_help", reason, layer=forecast.layer or row.layer, effect=forecast.effect
            )
        return forecast.helpfulness is Helpfulness.HELPS

    def _refuse(self, row: Grant, error: ClaimError) -> Grant:
        """What the row claims does not hold: it goes where the error says, or, once it was being applied, fails."""
        if row.state is State.APPROVED and error.to is State.PENDING:
            return self._ask_again(row, error)
        if row.written is not None:
            try:
                self._withdrawal.take_out(row, self._claims.owner(row), row.applied_at)
            except ClaimError:
                # Not a principal that anything can have been written to.
                logger.warning("nothing to take back", extra={"pk": row.pk, "sk": row.sk})
        to = error.to if row.state is State.APPROVED else State.FAILED
        return self._end(row, to, error.code, error.reason, **error.changes)

    def _ask_again(self, row: Grant, error: ClaimError) -> Grant:
        """A person must look at it. Where the grant was in force before, it stays so meanwhile, as a row of its own."""
        changes = {"decision": Outcome.ASK, "rule": None, "expires_at": None, **error.changes}
        if not in_force(row):
            return self._move(row, State.PENDING, error.reason, reason_code=error.code, **changes)
        nothing_stands = dict.fromkeys(("written", "verification", "applied_at"))
        after = self._step(row, State.PENDING, error.reason, reason_code=error.code, **nothing_stands, **changes)
        self._ledger.keep(row, after, *self._use(row, after))
        return after

    def _verify(self, row: Grant, owner: Owner, written: Written, judgement: Judgement) -> Grant:
        """Keep what was written unless it certainly does not help."""
        if judgement.helpfulness is Helpfulness.CERTAINLY_NOT:
            self._withdrawal.take_out(row, owner, self._clock.now())
            reason = f"The grant was written and taken back, because it does not help: {judgement.reason}"
            layer = judgement.layer or row.layer
            return self._end(row, State.ROLLED_BACK, "did_not_help", reason, layer=layer, effect=judgement.effect)
        return self._move(
            row,
            State.ACTIVE,
            f"{ASKED}{judgement.reason}",
            written=written,
            verification=_VERIFICATIONS[judgement.helpfulness],
            applied_at=self._clock.now(),
            cool_down_until=None,
            blocked_by=None,
        )

    def _undo_if_superseded(self, row: Grant, owner: Owner) -> None:
        """Somebody else has moved the row on since it was written: to where it stands, or nobody would take it out."""
        now = self._ledger.grant(*row.key)
        if now is None or now.state not in STANDING:
            self._withdrawal.take_out(row, owner)
        if now is not None and now.state in (State.FAILED, State.ROLLED_BACK):
            self._forget(now)

    def _forget(self, row: Grant) -> None:
        """Nothing of a row that has ended is in IAM any more."""
        if row.written is not None:
            self._ledger.update(row, replace(row, written=None))

    def _let_go(self, row: Grant, standing: Iterable[Grant]) -> None:
        """What was kept in force until this grant stands is not needed any more; upkeep sees to it if this fails."""
        for other in standing:
            if row.state is State.ACTIVE and other.state is State.ACTIVE and other.kept_for == row.sk:
                with contextlib.suppress(ConflictError, RetryableError):
                    self._move(other, State.REVOKING, "Another grant stands in its place.", reason_code="replaced")

    def _revoke(self, row: Grant) -> Grant:
        try:
            owner = self._claims.owner(row)
            self._withdrawal.take(row, owner, row.applied_at)
        except (ClaimError, PlacementError) as error:
            raise RevocationError(f"{row.sk} of {row.pk} cannot be revoked: {error.reason}") from error
        except (NotEnrolledError, RoleMissingError) as error:
            raise RevocationError(f"{row.sk} of {row.pk} cannot be revoked: {error}") from error
        return self._move(row, State.REVOKED, "Taken out of the principal's policies.")

    def _recorded(self, row: Grant, refused: Refusal | None) -> str:
        """A sentence on which layer stopped a write, where IAM recorded it; nothing where that cannot be learned."""
        if refused is None or refused.authorization_id is None or refused.action is None:
            return ""
        region = _IAM_REGIONS.get(row.pk.split(":")[1])
        if region is None:
            return ""
        found = self._details.evaluations(row.account, region, refused.authorization_id)
        stop = decisive(found, refused.action, refused.resource)
        return f" IAM recorded what stopped it: {told(stop)}." if stop else ""

    def _end(self, row: Grant, to: State, code: str, reason: str, **changes: Any) -> Grant:
        rest = cool_down(row.cool_downs, self._clock.now()) if to in FINISHED else None
        forgotten = {"written": None, "verification": None, "applied_at": None, "cool_down_until": rest}
        return self._move(row, to, reason, reason_code=code, **{**forgotten, **changes})

    def _move(self, row: Grant, to: State, because: str, **changes: Any) -> Grant:
        after = self._step(row, to, because, **changes)
        self._ledger.move(row, after, *self._use(row, after))
        return after

    def _use(self, row: Grant, after: Grant) -> "list[TransactWriteItemTypeDef]":
        """What is remembered of a person's approval, written with the step by which it is taken up or has ended."""
        if after.state is State.REVOKED:
            known = self._claims.uses.last(row)
            becomes = after_revocation(known, row, self._clock.now())
        elif after.state is State.REVOKING or row.decision is not Outcome.ASK:
            return []
        elif after.state not in STANDING and not self._claims.approved(row):
            # Remembered, a forged approval of tomorrow would keep genuine ones out. What stands was verified.
            return []
        else:
            known = self._claims.uses.last(row)
            # Of what is kept in force while something else is asked for, the approval still stands.
            kept = after.state is State.PENDING and in_force(row) and stands(known, row)
            becomes = known if kept else after_step(known, row, after)
        return [] if becomes is None or becomes == known else [self._claims.uses.put(row, becomes, known)]

    def _step(self, row: Grant, to: State, because: str, **changes: Any) -> Grant:
        if "reason_code" in changes:
            changes["reason"] = because
        return replace(row.moved(to, at=self._clock.now(), by=BY, reason=because), **changes)

    def _note(self, row: Grant, written: Written) -> Grant:
        if written == row.written:
            return row
        after = replace(row, written=written)
        self._ledger.update(row, after)
        return after
