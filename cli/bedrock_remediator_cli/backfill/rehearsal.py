"""What the service would do with past denials: its own triage, with a ledger that only this process has.

Triage reads IAM, Bedrock and the allowlist as it does in its function, by the rights of whoever runs the command.
Where the stack's own ledger may be read, rows that stand there count; nothing is written to it.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

from msgspec import Struct

from bedrock_remediator.aws.authorization_details import AuthorizationDetailsReader
from bedrock_remediator.aws.bedrock import ProfileReader
from bedrock_remediator.aws.clients import Clients
from bedrock_remediator.aws.iam import IamReader
from bedrock_remediator.aws.ledger.read import Known, LedgerReader
from bedrock_remediator.aws.ledger.write import Cap, Ledger, Seen
from bedrock_remediator.aws.parameters import AllowlistReader
from bedrock_remediator.clock import Clock
from bedrock_remediator.core.grant import Grant
from bedrock_remediator.core.suspicion import Habits
from bedrock_remediator.core.usage import Usage
from bedrock_remediator.flows.triage.investigation import Investigation
from bedrock_remediator.flows.triage.triage import Triage
from bedrock_remediator.settings import PolicySettings
from bedrock_remediator_cli.backfill.records import PastDenial

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_BATCH = 100


class Failed(Struct, frozen=True):
    """An event that could not be looked into, and why."""

    event: str
    reason: str


class Row(Struct, frozen=True, kw_only=True):
    """A row that the denials would open, or that is there already, and when how many of them were."""

    grant: Grant
    count: int
    first_at: datetime
    last_at: datetime
    standing: bool


class Rehearsed(Struct, frozen=True, kw_only=True):
    """What the denials would come to. `counts` are events by fate, as triage counts them."""

    rows: tuple[Row, ...]
    counts: Mapping[str, int]
    failed: tuple[Failed, ...]


class Rehearsal:
    """Triages without a trace.

    Args:
        home: The account.
        clients: Its clients.
        settings: The stack's settings.
        open_requests: How many requests of one principal may wait at once.
        real: Reads the stack's ledger; None where it may not be read.
        clock: Tells the time.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - each is another part of the stack
        self,
        home: str,
        clients: Clients,
        settings: PolicySettings,
        open_requests: int,
        real: LedgerReader | None,
        clock: Clock,
    ) -> None:
        iam = IamReader(clients.iam, clock)
        self._ledger = _MemoryLedger(real)
        self._refused: dict[str, str] = {}
        self._trouble = _Trouble()
        self._triage = Triage(
            ledger=self._ledger,
            investigation=Investigation(
                home=home,
                iam=iam,
                profiles=ProfileReader(clients.bedrock, clock),
                details=AuthorizationDetailsReader(clients.authorization_details, clock),
                policy=settings,
            ),
            allowlists=AllowlistReader(lambda: clients.ssm, settings.allowlist_path, clock),
            refuse=lambda body, reason: self._refused.update({body: reason}),
            settings=settings,
            open_requests=open_requests,
            clock=clock,
        )

    def of(self, denials: Sequence[PastDenial]) -> Iterable[int]:
        """Triage them; gives how many are done, batch by batch. Then ask for `result`."""
        for start in range(0, len(denials), _BATCH):
            batch = denials[start : start + _BATCH]
            with self._trouble.listening():
                summary = self._triage.handle({denial.id: denial.body for denial in batch})
            self._ledger.tally(summary.counts, summary.failed)
            yield len(batch)

    def result(self) -> Rehearsed:
        """What they came to."""
        reason = self._trouble.reason
        found = self._ledger.result()
        # What AWS refused to tell the person who asks, it may well tell the stack: that is no answer.
        refused = [row for row in found if row.grant.reason_code == "lookup_refused" and not row.standing]
        events = {*self._ledger.failed, *(row.grant.sighting.event_id for row in refused)}
        rows = tuple(row for row in found if row not in refused)
        failed = tuple(Failed(event, reason) for event in sorted(events))
        return Rehearsed(rows=rows, counts=self._ledger.counts, failed=failed)


class _Trouble(logging.Handler):
    """Hears what triage logs of a denial that it failed on, and keeps it off the terminal."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.reason = "it could not be looked into"

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the error's own words."""
        error = record.exc_info[1] if record.exc_info else None
        if error is not None:
            self.reason = str(error)

    def listening(self) -> "_Listening":
        """Hear the layer's log within the block."""
        return _Listening(self)


class _Listening:
    def __init__(self, handler: logging.Handler) -> None:
        self._handler = handler
        self._logger = logging.getLogger("bedrock_remediator")

    def __enter__(self) -> None:
        self._logger.addHandler(self._handler)
        self._before, self._logger.propagate = self._logger.propagate, False

    def __exit__(self, *_: object) -> None:
        self._logger.removeHandler(self._handler)
        self._logger.propagate = self._before


class _MemoryLedger(Ledger):
    """The ledger's part in triage, in this process; what it does not have is read from the real one."""

    def __init__(self, real: LedgerReader | None) -> None:
        super().__init__(cast("DynamoDBClient", None), "")
        self._real = real
        self._rows: dict[tuple[str, str], Grant] = {}
        self._counters: dict[tuple[str, str], Seen] = {}
        self._habits: dict[str, Habits] = {}
        self._usage: dict[str, Usage] = {}
        self.counts: dict[str, int] = {}
        self.failed: set[str] = set()

    def tally(self, counts: Mapping[str, int], failed: Iterable[str]) -> None:
        """Add up what became of a batch."""
        for fate, number in counts.items():
            self.counts[fate] = self.counts.get(fate, 0) + number
        self.failed |= set(failed)

    def result(self) -> tuple[Row, ...]:
        """The rows, with the denials that were counted for each."""
        found: list[Row] = []
        own: dict[tuple[str, str], list[Seen]] = {}
        for counter in self._counters.values():
            own.setdefault((counter.pk, counter.row), []).append(counter)
        for key, counters in own.items():
            row = self._rows.get(key) or (self._real.grant(*key) if self._real else None)
            if row is None:
                continue
            found.append(
                Row(
                    grant=row,
                    count=sum(each.count for each in counters),
                    first_at=min(each.first_at for each in counters),
                    last_at=max(each.last_at for each in counters),
                    standing=key not in self._rows,
                )
            )
        return tuple(sorted(found, key=lambda each: each.grant.key))

    def known(self, counters: Iterable[tuple[str, str]], rows: Iterable[tuple[str, str]]) -> Known:
        """The counters, what else is kept of their principals, and the rows."""
        counted, wanted = list(counters), list(rows)
        principals = {pk for pk, _ in counted}
        found = Known(
            {},
            dict.fromkeys(wanted),
            {pk: Habits(pk=pk) for pk in principals},
            {pk: Usage(pk=pk) for pk in principals},
        )
        if self._real:
            real = self._real.known(
                (key for key in counted if key not in self._counters), (key for key in wanted if key not in self._rows)
            )
            found.seen.update(real.seen)
            found.rows.update(real.rows)
            found.habits.update(real.habits)
            found.usage.update(real.usage)
        found.seen.update({key: self._counters[key] for key in counted if key in self._counters})
        found.rows.update({key: self._rows[key] for key in wanted if key in self._rows})
        found.habits.update({pk: self._habits[pk] for pk in found.habits if pk in self._habits})
        found.usage.update({pk: self._usage[pk] for pk in found.usage if pk in self._usage})
        return found

    def rows(self, keys: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Grant]:
        """The rows of these keys."""
        return {key: row for key in keys if (row := self.grant(*key))}

    def habits(self, pk: str) -> Habits:
        """What is known of a principal."""
        if pk in self._habits:
            return self._habits[pk]
        return self._real.habits(pk) if self._real else Habits(pk=pk)

    def usage(self, pk: str) -> Usage:
        """What a principal has used of its bounds."""
        if pk in self._usage:
            return self._usage[pk]
        return self._real.usage(pk) if self._real else Usage(pk=pk)

    def grant(self, pk: str, sk: str) -> Grant | None:
        """One row."""
        if (pk, sk) in self._rows:
            return self._rows[pk, sk]
        return self._real.grant(pk, sk) if self._real else None

    def open(  # noqa: PLR0913 - the ledger's own
        self,
        grant: Grant,
        seen: Seen,
        *,
        cap: Cap | None = None,  # noqa: ARG002 - the ledger's own
        replaces: Grant | None = None,  # noqa: ARG002 - the ledger's own
        habits: Habits | None = None,
        usage: Usage | None = None,
    ) -> None:
        """Write a row, its counter, and what is known of its principal."""
        self._rows[grant.key] = grant
        self._counters[seen.key] = seen
        if habits:
            self._habits[habits.pk] = habits
        if usage:
            self._usage[usage.pk] = usage

    def link(self, seen: Seen, row: Grant | None = None, usage: Usage | None = None) -> None:  # noqa: ARG002 - the ledger's own
        """Write a counter."""
        self._counters[seen.key] = seen
        if usage:
            self._usage[usage.pk] = usage

    def count(self, before: Seen, after: Seen) -> None:  # noqa: ARG002 - the ledger's own
        """Write a counter."""
        self._counters[after.key] = after

    def update(self, before: Grant, after: Grant) -> None:  # noqa: ARG002 - the ledger's own
        """Write a row."""
        self._rows[after.key] = after


def row_content(row: Row) -> dict[str, Any]:
    """A row for programs."""
    grant = row.grant
    return {
        "principal": grant.principal,
        "account": grant.account,
        "region": grant.region,
        "state": grant.state,
        "standing": row.standing,
        "diagnosis": grant.diagnosis,
        "decision": grant.decision,
        "rule": grant.rule,
        "reason_code": grant.reason_code,
        "reason": grant.reason,
        "layer": grant.layer,
        "profile": grant.profile,
        "model_id": grant.model_id,
        "resources": list(grant.resources),
        "actions": list(grant.actions),
        "candidates": list(grant.candidates),
        "denials": row.count,
        "first_at": f"{row.first_at:%Y-%m-%dT%H:%M:%SZ}",
        "last_at": f"{row.last_at:%Y-%m-%dT%H:%M:%SZ}",
    }
