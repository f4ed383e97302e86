"""Drift: standing grants that AWS no longer shows as the ledger says. See core/drift.py for what is done about which.

The walk goes from principal to principal, some of them each run, and goes on the next time where it ended. A principal
that something is being done about, or was a moment ago, is left for later: IAM settles late. Nothing is ever read
from what the ledger does *not* hold, so an empty ledger takes nothing away. Principals of an account that does not
answer, or has no role for this service, are passed by: the other accounts are looked at all the same.
"""

import logging
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final, Protocol

from msgspec.structs import replace

from bedrock_remediator.aws.errors import NotEnrolledError, RetryableError, RoleMissingError
from bedrock_remediator.aws.ledger.write import ConflictError
from bedrock_remediator.clock import Clock
from bedrock_remediator.core.arn import ArnError, Principal
from bedrock_remediator.core.drift import Leave, Remedy, Renew, Repair, Report, Revoke
from bedrock_remediator.core.grant import Grant, Outcome, Remark, State
from bedrock_remediator.core.waiting import SETTLING, expired, remark_of
from bedrock_remediator.flows.upkeep.chores.comparison import Comparison
from bedrock_remediator.flows.upkeep.chores.contract import FAILED, OVERTAKEN, HasTime, Rows, Tally, step

logger = logging.getLogger(__name__)

PRINCIPALS_A_RUN: Final = 100
"""How many principals one run looks at: IAM serves a whole account at a few requests a second."""

_AT_WORK: Final = frozenset({State.APPROVED, State.APPLYING, State.REVOKING})
_WRITTEN: Final = frozenset({State.ACTIVE, State.REVOKED, State.ROLLED_BACK, State.FAILED})
"""States that remediate leaves rows in when it has changed policies."""

_IN_FORCE: Final = ("written", "verification", "applied_at", "simulated_at", "blocked_by", "remark")
"""Fields of a row that tell of a grant in force."""


class _SilentError(Exception):
    """IAM or Bedrock of an account does not answer at the moment."""


class Ledger(Rows, Protocol):
    """What is asked of the ledger beside rows."""

    def grants(self, pk: str) -> list[Grant]:
        """Every request and grant of a principal, read consistently."""
        ...

    def keep(self, before: Grant, after: Grant) -> None:
        """Take a row to its next state, and keep what stood as a row of its own."""
        ...

    def place(self, chore: str) -> str | None:
        """Where a chore goes on."""
        ...

    def put_place(self, chore: str, place: str) -> None:
        """Say where a chore goes on."""
        ...


class Drift:
    """Finds drift, principal by principal, and puts it right or asks.

    Args:
        ledger: The ledger.
        comparison: Says what to do about a principal's grants.
        clock: Tells the time.
        paused: Whether grants are paused: then only what is over is taken away.
        most: How many principals one run looks at.
    """

    name = "drift"

    def __init__(
        self, ledger: Ledger, comparison: Comparison, clock: Clock, *, paused: bool, most: int = PRINCIPALS_A_RUN
    ) -> None:
        self._ledger = ledger
        self._comparison = comparison
        self._clock = clock
        self._paused = paused
        self._most = most

    def run(self, has_time: HasTime) -> Tally:
        """See `Chore.run`."""
        tally: Tally = Counter()
        standing = sorted({entry.pk for entry in self._ledger.due(State.ACTIVE)})
        last = self._ledger.place(self.name) or ""
        ahead = [pk for pk in standing if pk > last] + [pk for pk in standing if pk <= last]
        silent: dict[str, _SilentError] = {}
        for pk in ahead:
            if tally["principals"] >= self._most or not has_time():
                break
            if (account := _account(pk)) in silent:
                continue
            try:
                tally += self._tend(pk)
            except _SilentError as error:
                silent[account] = error
                continue
            tally["principals"] += 1
            last = pk
        self._told(silent, tally)
        self._ledger.put_place(self.name, last)
        return tally

    def _told(self, silent: Mapping[str, _SilentError], tally: Tally) -> None:
        """Count the accounts that do not answer as failures; where none does, there is nothing else to tell.

        Raises:
            RetryableError: No account answers.
        """
        for account, error in silent.items():
            if not tally["principals"]:
                raise RetryableError(str(error)) from error
            logger.warning("an account does not answer", extra={"account": account, "reason": str(error)})
            tally[FAILED] += 1

    def _tend(self, pk: str) -> Tally:
        """Look at one principal; its trouble must not hold up the others."""
        try:
            return self._compare(pk)
        except NotEnrolledError:
            return Counter({"not_enrolled": 1})
        except RoleMissingError as error:
            logger.warning("a principal's grants cannot be looked at", extra={"pk": pk, "reason": str(error)})
            return Counter({"role_missing": 1})
        except ConflictError:
            return Counter({OVERTAKEN: 1})
        except (RetryableError, _SilentError):
            raise
        except Exception:
            logger.exception("a principal's grants could not be compared", extra={"pk": pk})
            return Counter({FAILED: 1})

    def _compare(self, pk: str) -> Tally:
        """Compare the grants of one principal with AWS, and act."""
        rows = self._ledger.grants(pk)
        if self._unsettled(rows):
            return Counter({"unsettled": 1})
        try:
            remedies = list(self._comparison.remedies(pk, rows))
        except RetryableError as error:
            raise _SilentError(str(error)) from error
        found = any(not isinstance(chosen, Leave) for _, chosen in remedies)
        if found and [row.version for row in self._ledger.grants(pk)] != [row.version for row in rows]:
            # Something was written while it was compared: what was seen may be half of it.
            return Counter({OVERTAKEN: 1})
        return Counter(done for row, chosen in remedies if (done := self._act(row, chosen)))

    def _unsettled(self, rows: Iterable[Grant]) -> bool:
        """Whether policies of the principal are being changed, or were so lately that IAM may not show it yet."""
        now = self._clock.now()
        return any(
            row.state in _AT_WORK or expired(row, now) or (row.state in _WRITTEN and now - row.updated_at < SETTLING)
            for row in rows
        )

    def _act(self, row: Grant, chosen: Remedy) -> str | None:
        match chosen:
            case Revoke():
                self._ledger.move(row, step(row, State.REVOKING, self._clock.now(), chosen.code, chosen.reason))
                return "revoked"
            case Repair():
                self._ledger.move(row, step(row, State.APPROVED, self._clock.now(), chosen.code, chosen.reason))
                return "repaired"
            case Renew():
                return self._renew(row, chosen)
            case Report():
                return self._report(row, chosen)
            case Leave():
                return self._settle(row)

    def _renew(self, row: Grant, chosen: Renew) -> str:
        """Approve or ask for the new set, with nothing in force of its own: what is, is kept beside it."""
        allowed = tuple(arn for arn in chosen.resources if arn in row.resources)
        anew = {"resources": chosen.resources, "allowed": allowed, **dict.fromkeys(_IN_FORCE)}
        if chosen.ask:
            anew |= {"decision": Outcome.ASK, "expires_at": None, "approval": None}
        to = State.PENDING if chosen.ask else State.APPROVED
        self._ledger.keep(row, step(row, to, self._clock.now(), chosen.code, chosen.reason, **anew))
        return "asked" if chosen.ask else "renewed"

    def _report(self, row: Grant, chosen: Report) -> str | None:
        """Note it on the row, from where the stream carries it to notify; once, as long as nothing changes."""
        known = remark_of(row)
        if known and known.code == chosen.code:
            return None
        remark = Remark(version=row.version, at=self._clock.now(), code=chosen.code, reason=chosen.reason)
        self._ledger.update(row, replace(row, remark=remark))
        return "reported"

    def _settle(self, row: Grant) -> str | None:
        """Nothing is wrong any more. While grants are paused nothing was looked at."""
        if self._paused or remark_of(row) is None:
            return None
        self._ledger.update(row, replace(row, remark=None))
        return "settled"


def _account(pk: str) -> str:
    """The account of a principal; of what is none, all of it."""
    try:
        return Principal.parse(pk).account
    except ArnError:
        return pk
