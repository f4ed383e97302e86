"""Triage a batch of denials: count what is known, look into what is new, write it down.

One message is one EventBridge event. Denials of one principal that are the same (`core/lifecycle.py`) are handled
together: a batch of repeats costs one read and one write for each kind, however many they are. A denial that is new is
investigated, decided, and opened as a row; the ledger's stream carries it on from there. What is beyond the bounds of
its principal (`core/usage.py`) only counts, in one write a batch.
"""

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Final, Protocol

from msgspec import Struct
from msgspec.structs import replace

from bedrock_remediator.aws.ledger.read import Known
from bedrock_remediator.aws.ledger.write import (
    CapReachedError,
    ConflictError,
    HabitsChangedError,
    Ledger,
    Seen,
    UsageChangedError,
)
from bedrock_remediator.clock import Clock
from bedrock_remediator.core import cloudtrail, lifecycle, waiting
from bedrock_remediator.core.cloudtrail import Delivery, Denial, RecordError, Unreadable
from bedrock_remediator.core.decision import CAP_REACHED
from bedrock_remediator.core.grant import FINISHED, DiagnosisKind, Grant, Outcome, State, grant_length
from bedrock_remediator.core.suspicion import Habits
from bedrock_remediator.core.usage import (
    Bounds,
    Share,
    Usage,
    also_named,
    beyond,
    beyond_counter,
    beyond_key,
    row_beyond,
    share,
)
from bedrock_remediator.flows.configuration import basis
from bedrock_remediator.flows.rule_cap import cap, today
from bedrock_remediator.flows.triage.batch import Group, Summary, counter, grouped, merged
from bedrock_remediator.flows.triage.investigation import Findings, Investigation
from bedrock_remediator.flows.triage.judge import Allowlists, Judge, Verdict
from bedrock_remediator.flows.triage.principals import refiled, resolve_role_path
from bedrock_remediator.settings import PolicySettings

logger = logging.getLogger(__name__)

_TRIES: Final = 3
_MORE_TRIES: Final = 8
"""Where only something else about the principal was in the way, of which many may be written at once."""
_DENIED_DESPITE_GRANT: Final = (
    "The grant was applied and calls are denied all the same: the policy was changed or detached since, or something "
    "that IAM's simulator does not see (a service control policy about the network, a session policy) stops them."
)


class Refuse(Protocol):
    """Where messages go that hold no event, with the reason."""

    def __call__(self, body: str, reason: str) -> None:
        """Put one there."""
        ...


class _Case(Struct):
    """One group as it is being settled: its counter and row as read, and the counter as it is to be written."""

    group: Group
    seen: Seen | None
    row: Grant | None
    counter: Seen
    now: datetime
    known: Known


class _BeyondError(Exception):
    """There is no room for the group's row within its principal's bounds: it only counts.

    `share` is the bound, `name` what was asked for, as AWS calls it.
    """

    def __init__(self, group: Group, share: Share, name: str | None) -> None:
        super().__init__(share)
        self.group = group
        self.share = share
        self.name = name


class _Batch(Struct):
    """What the ledger holds of a batch's groups, and those of them that are beyond a bound, with what they ask for."""

    known: Known
    beyond: dict[tuple[str, Share], list[tuple[Group, str | None]]]


class Triage:
    """Triages batches. Everything that it needs is given to it.

    `open_requests` is how many requests of one principal may wait for a person at once.
    `reaches` tells whether the role in a member account can be assumed now; asked only where it could not before.
    `called` tells what a member account is called; None for the service's own.
    """

    def __init__(  # noqa: PLR0913 - a use case is handed everything that it touches
        self,
        *,
        ledger: Ledger,
        investigation: Investigation,
        allowlists: Allowlists,
        refuse: Refuse,
        settings: PolicySettings,
        open_requests: int,
        clock: Clock,
        reaches: Callable[[str], bool] = lambda _: False,
        called: Callable[[str], str | None] = lambda _: None,
    ) -> None:
        self._ledger = ledger
        self._investigation = investigation
        self._judge = Judge(investigation, allowlists, settings, reaches)
        self._refuse = refuse
        self._settings = settings
        self._bounds = Bounds(requests=open_requests, told=settings.probes.profiles, window=settings.probes.window)
        self._clock = clock
        self._called = called

    def handle(
        self,
        messages: Mapping[str, str],
        has_time: Callable[[], bool] = lambda: True,
        deliveries: Mapping[str, Delivery] = MappingProxyType({}),
    ) -> Summary:
        """Triage the batch: message id -> body, and beside it how each message came.

        No message is lost: it is in the ledger, refused with its reason, or among the failed, to be delivered again.
        So is what there is no time for; `has_time` is asked before each group.
        """
        summary = Summary(counts=Counter(), opened=[], failed=set())
        unfit: dict[str, str] = {}
        self._investigation.principals.begin()
        groups = grouped(
            (message_id, _as_delivered(denial, deliveries.get(message_id)))
            for message_id, denial in self._read(messages, summary, unfit, has_time)
        )
        batch = _Batch(self._known(groups), {})
        for group in groups:
            if not has_time():
                # AWS is slow to answer. To be cut off would have all of the batch delivered again.
                summary.failed.update(group.messages)
                continue
            try:
                fate, opened = self._settle(group, batch.known)
            except _BeyondError as error:
                batch.beyond.setdefault((error.group.pk, error.share), []).append((error.group, error.name))
            except Exception:
                # One principal's trouble must not hold up the others: these messages alone are delivered again.
                logger.exception("triage of a denial failed", extra={"pk": group.pk, "messages": len(group.messages)})
                summary.failed.update(group.messages)
            else:
                summary.counts[fate] += len(group.messages)
                summary.opened += [opened] if opened else []
        self._settle_beyond(batch, summary)
        # Last, since a message that is refused twice is there twice: nothing can cut the batch off after it.
        self._set_aside(messages, unfit, summary)
        return summary

    def _set_aside(self, messages: Mapping[str, str], unfit: Mapping[str, str], summary: Summary) -> None:
        for message_id, reason in unfit.items():
            try:
                self._refuse(messages[message_id], reason)
            except Exception:
                logger.exception("a message could not be refused", extra={"reason": reason})
                summary.failed.add(message_id)
            else:
                summary.counts["refused"] += 1

    def _known(self, groups: Sequence[Group]) -> Known:
        """What the ledger holds of these groups: by one call, where each belongs to the row that was expected.

        It grows old while the batch is worked on. Every write holds the ledger to it, so whoever was overtaken is told.
        """
        expected = ((group.pk, self._investigation.expected_row(group.denial)) for group in groups)
        delivered = {group.key: key for group in groups if (key := group.delivered)}
        known = self._ledger.known(
            [*(group.key for group in groups), *delivered.values()], ((pk, sk) for pk, sk in expected if sk)
        )
        for group in groups:
            live = known.seen.get(delivered[group.key]) if group.key in delivered else None
            group.counted = frozenset(live.event_ids if live else ())
        others = {(seen.pk, seen.row) for seen in known.seen.values()} - known.rows.keys()
        known.rows.update(self._ledger.known((), others).rows)
        return known

    def _read(
        self, messages: Mapping[str, str], summary: Summary, unfit: dict[str, str], has_time: Callable[[], bool]
    ) -> Iterator[tuple[str, Denial | Unreadable]]:
        """The denials in the messages; what holds none is `unfit`, with its reason."""
        for message_id, body in messages.items():
            if not has_time():
                summary.failed.add(message_id)
                continue
            try:
                denial = resolve_role_path(cloudtrail.read(body), self._investigation.principals)
            except RecordError as error:
                unfit[message_id] = str(error)
            except Exception:
                logger.exception("locating a principal failed")
                summary.failed.add(message_id)
            else:
                yield message_id, denial

    def _settle(self, group: Group, known: Known) -> tuple[str, Grant | None]:
        """Count the group or open a row for it; where another batch was quicker, read again and decide again.

        Raises:
            _BeyondError: There is no room for its row.
        """
        for _ in range(_TRIES):
            try:
                return self._count_or_open(group, known)
            except ConflictError:
                known = self._known([group])
        raise ConflictError(*group.key)

    def _settle_beyond(self, batch: _Batch, summary: Summary) -> None:
        """Count what is beyond a bound of its principal: for each of them at once, however many denials there are."""
        for (pk, bound), groups in batch.beyond.items():
            one = merged([group for group, _ in groups], beyond_counter(bound))
            names = [name for _, name in groups if name]
            try:
                fate, opened = self._settle_one_beyond(bound, one, len(groups), names)
            except Exception:
                logger.exception("counting denials failed", extra={"pk": pk, "messages": len(one.messages)})
                summary.failed.update(one.messages)
            else:
                summary.counts[fate] += len(one.messages)
                summary.opened += [opened] if opened else []

    def _settle_one_beyond(
        self, bound: Share, group: Group, number: int, names: Sequence[str]
    ) -> tuple[str, Grant | None]:
        """Count what is beyond a bound, and open the row on which that is told if there is none."""
        key = (group.pk, beyond_key(bound))
        for _ in range(_TRIES):
            known = self._ledger.known([group.key], [key])
            seen, row = known.seen.get(group.key), known.rows[key]
            new = group.since(seen)
            if not new:
                return "copy", None
            case = _Case(group, seen, row, counter(group, seen, new), self._clock.now(), known)
            try:
                return "beyond_bounds", self._count_or_tell(case, bound, number, names)
            except ConflictError:
                continue
        raise ConflictError(*key)

    def _count_or_tell(self, case: _Case, bound: Share, number: int, names: Sequence[str]) -> Grant | None:
        diagnosis, decision = beyond(bound, number, names, self._bounds)
        configured = basis(self._settings, None)
        if case.row and lifecycle.is_repeat(case.row, case.group.denial.time, configured, case.now):
            naming = also_named(case.row, names, self._bounds)
            if naming != case.row and case.row.state is State.PENDING:
                self._ledger.update(case.row, naming)
            self._count(case, case.row)
            return None
        verdict = Verdict(findings=Findings(diagnosis=diagnosis), decision=decision, basis=configured)
        row = row_beyond(bound, self._row(case, verdict, case.row))
        self._ledger.open(row, replace(case.counter, row=row.sk), replaces=case.row)
        return row

    def _count_or_open(self, group: Group, known: Known) -> tuple[str, Grant | None]:
        seen = known.seen.get(group.key)
        new = group.since(seen)
        if not new:
            return "copy", None
        row = known.rows.get((group.pk, seen.row)) if seen else None
        case = _Case(group, seen, row, counter(group, seen, new), self._clock.now(), known)
        repeat = row is not None and lifecycle.is_repeat(row, max(new.values()), self._judge.basis(row), case.now)
        if seen and row and repeat and not self._looks_again(case, row):
            self._ledger.count(seen, case.counter)
            return "repeat", None
        return self._open(case, max(new.values()))

    def _open(self, case: _Case, latest: datetime) -> tuple[str, Grant | None]:
        """Investigate, decide, and write the row; or count after all, where the row turns out to be there."""
        case.group.denial = self._as_recorded(case.group.denial)
        verdict = self._judge.verdict(
            case.group.denial,
            case.now,
            sparing=self._usage(case).full(Share.ADVICE, self._bounds, case.now),
            counted=lambda found: self._full(case, self._wary(case, found, self._habits(case))),
        )
        if found := refiled(case.group.denial, verdict.findings.identity):
            group = case.group.anew(found)
            return self._settle(group, self._known([group]))
        owner = self._owner(case, verdict, latest)
        if owner and lifecycle.is_repeat(owner, latest, verdict.basis, case.now):
            self._count(case, owner)
            return "repeat", None
        sk = lifecycle.sort_key(case.group.denial, verdict.findings.diagnosis)
        known = case.known.rows.get((case.group.pk, sk))
        if (known is None or (case.seen is None and waiting.is_advice(sk))) and self._full(case, verdict):
            raise self._beyond(case, verdict)
        before = self._row_under(case, sk)
        unchanged = before != case.row or lifecycle.answers_as_before(before, verdict.findings.diagnosis)
        if before and unchanged and lifecycle.is_repeat(before, latest, verdict.basis, case.now):
            self._note_look(case, before)
            self._count(case, before, self._used(case, verdict))
            return "repeat", None
        standing = next((row for row in (case.row, before, owner) if row and row.state is State.ACTIVE), None)
        if standing:
            return "blocked", self._report_blocked(case, standing, verdict, latest)
        row = self._write(case, verdict, before)
        return row.state.value, row

    def _as_recorded(self, denial: Denial | Unreadable) -> Denial | Unreadable:
        """The denial as IAM recorded it, which is asked once: not again when another batch was quicker."""
        recorded = self._investigation.as_recorded(denial)
        return replace(recorded, authorization_id=None) if isinstance(recorded, Denial) else recorded

    def _looks_again(self, case: _Case, row: Grant) -> bool:
        """Whether a repeat is looked into: the row's answer is old, and rests on more than what the record says."""
        return lifecycle.is_stale(row, case.now) and not self._investigation.is_settled(case.group.denial)

    def _note_look(self, case: _Case, row: Grant) -> None:
        """Note on a row that it was looked into and answers as before, so that it is not for the next hour."""
        if lifecycle.is_stale(row, case.now):
            looked = replace(row, looked_at=case.now)
            self._ledger.update(row, looked)
            case.known.rows[row.key] = looked

    def _owner(self, case: _Case, verdict: Verdict, latest: datetime) -> Grant | None:
        """The row of the request or grant that a denial is about which the principal's policies allow by now.

        CloudTrail is late, and a profile is denied one model at a time: what was called before the grant took effect
        is no news of another kind, whatever resource its message names.
        """
        diagnosis, pk = verdict.findings.diagnosis, case.group.pk
        if diagnosis.kind is not DiagnosisKind.ALREADY_ALLOWED:
            return None
        keys = [(pk, sk) for sk in lifecycle.grant_keys(diagnosis)]
        rows = [row for row in self._ledger.rows(keys).values() if row.state not in FINISHED]
        if len(keys) == 1:
            return next(iter(rows), None)
        # Where the record does not say which profile was called, a grant explains it only if the call was before it.
        return next((row for row in rows if lifecycle.is_repeat(row, latest, verdict.basis, case.now)), None)

    def _row_under(self, case: _Case, sk: str) -> Grant | None:
        """The row, read unless the batch knows it."""
        key = (case.group.pk, sk)
        if key not in case.known.rows:
            case.known.rows[key] = self._ledger.grant(*key)
        return case.known.rows[key]

    def _habits(self, case: _Case) -> Habits:
        """What is known of the group's principal, read unless the batch knows it."""
        pk = case.group.pk
        if pk not in case.known.habits:
            case.known.habits[pk] = self._ledger.habits(pk)
        return case.known.habits[pk]

    def _usage(self, case: _Case) -> Usage:
        """What the group's principal has used of its bounds, read unless the batch knows it."""
        pk = case.group.pk
        if pk not in case.known.usage:
            case.known.usage[pk] = self._ledger.usage(pk)
        return case.known.usage[pk]

    def _share(self, case: _Case, verdict: Verdict) -> Share | None:
        diagnosis = verdict.findings.diagnosis
        return share(lifecycle.sort_key(case.group.denial, diagnosis), verdict.decision.outcome, diagnosis)

    def _full(self, case: _Case, verdict: Verdict) -> bool:
        """Whether a row of that verdict has no room within its principal's bounds."""
        bound = self._share(case, verdict)
        if bound is None or not self._usage(case).full(bound, self._bounds, case.now):
            return False
        if bound is not Share.REQUESTS:
            return True
        # Nobody who decides a request writes the usage: it is here that those which wait no more make room.
        pk, usage, rows = case.group.pk, self._usage(case), case.known.rows
        unknown = [(pk, sk) for sk in usage.requests if (pk, sk) not in rows]
        if unknown:
            rows.update(self._ledger.known((), unknown).rows)
        waiting = {sk for sk in usage.requests if (row := rows.get((pk, sk))) and row.state is State.PENDING}
        case.known.usage[pk] = usage.waiting(waiting.__contains__)
        return case.known.usage[pk].full(bound, self._bounds, case.now)

    def _used(self, case: _Case, verdict: Verdict) -> Usage | None:
        """What is used of the bounds with one more row of that verdict; None where it takes nothing of them."""
        bound = self._share(case, verdict)
        sk = lifecycle.sort_key(case.group.denial, verdict.findings.diagnosis)
        return self._usage(case).after(bound, sk, self._bounds, case.now) if bound else None

    def _beyond(self, case: _Case, verdict: Verdict) -> _BeyondError:
        bound = self._share(case, verdict)
        assert bound  # noqa: S101 - what takes nothing of the bounds is never beyond them
        return _BeyondError(case.group, bound, verdict.findings.diagnosis.model_id if bound is Share.REQUESTS else None)

    def _write(self, case: _Case, verdict: Verdict, before: Grant | None) -> Grant:
        """Write the row together with what is known of its principal, by which it was decided."""
        for _ in range(_MORE_TRIES):
            habits = self._habits(case)
            checked = self._wary(case, verdict, habits)
            if self._full(case, checked):
                raise self._beyond(case, checked)
            row, learned = self._row(case, checked, before), self._learned(case, checked, habits)
            used = self._used(case, checked)
            try:
                self._ledger.open(
                    row,
                    replace(case.counter, row=row.sk),
                    cap=cap(checked.decision, case.now),
                    replaces=before,
                    habits=learned,
                    usage=used,
                )
            except CapReachedError:
                verdict = verdict.asking("cap_reached", CAP_REACHED)
            except HabitsChangedError:
                del case.known.habits[case.group.pk]
            except UsageChangedError:
                del case.known.usage[case.group.pk]
            else:
                case.known.rows[row.key] = row
                if used:
                    case.known.usage[case.group.pk] = used
                case.known.habits[case.group.pk] = learned or habits
                return row
        raise ConflictError(*case.group.key)

    def _wary(self, case: _Case, verdict: Verdict, habits: Habits) -> Verdict:
        """The verdict, or a person's to decide where the call looks like a probe."""
        return verdict.wary(habits, case.group.call(case.now), self._settings.probes, case.now)

    def _learned(self, case: _Case, verdict: Verdict, habits: Habits) -> Habits | None:
        """What is known of the principal from now on; None where the denial tells nothing of it."""
        denial = case.group.denial
        if isinstance(denial, Unreadable) or denial.backfill or denial.caller.principal is None:
            return None
        learned = habits.after(case.group.call(case.now))
        return learned.spent(today(case.now)) if verdict.decision.outcome is Outcome.AUTO else learned

    def _report_blocked(self, case: _Case, standing: Grant, verdict: Verdict, latest: datetime) -> Grant | None:
        """The grant is in place and calls are denied all the same: say so once, and from then on only count.

        Each of the three writes finds its work done when the message comes again.
        """
        reason = _despite(standing, case.group.denial)
        advice = verdict.advising("denied_despite_grant", reason, basis(self._settings, None))
        sk = lifecycle.sort_key(case.group.denial, advice.findings.diagnosis)
        before = self._row_under(case, sk)
        row = None
        if before is None or not lifecycle.is_repeat(before, latest, advice.basis, case.now):
            row = self._row(case, advice, before)
            own = replace(case.counter, fingerprint=f"{sk}#{row.version}", row=sk, count=1, revision=1)
            self._ledger.open(row, own, replaces=before)
            case.known.rows[row.key] = row
        blocked = replace(standing, blocked_by=advice.findings.diagnosis.code)
        self._ledger.update(standing, blocked)
        case.known.rows[blocked.key] = blocked
        self._count(case, standing)
        return row

    def _count(self, case: _Case, row: Grant, used: Usage | None = None) -> None:
        """Count the group's events for that row; a first counter of advice takes from the principal's bounds, too."""
        if case.seen:
            self._ledger.count(case.seen, replace(case.counter, row=row.sk))
            return
        used = used if waiting.is_advice(row.sk) else None
        self._ledger.link(replace(case.counter, row=row.sk), row, used)
        if used:
            case.known.usage[case.group.pk] = used

    def _row(self, case: _Case, verdict: Verdict, before: Grant | None) -> Grant:
        identity = verdict.findings.identity
        principal = identity.principal if identity else case.group.denial.caller.principal
        return lifecycle.new_grant(
            case.group.denial,
            verdict.findings.diagnosis,
            verdict.decision,
            lifecycle.Circumstances(
                pk=case.group.pk,
                principal=principal.arn if principal else None,
                principal_id=identity.id if identity else None,
                basis=verdict.basis,
                grant_for=grant_length(verdict.decision.expires_after, self._settings.default_grant_days),
                simulated=verdict.simulated,
                replaces=before,
                now=case.now,
                account_name=self._called(case.group.denial.account),
            ),
        )


def _despite(standing: Grant, denial: Denial | Unreadable) -> str:
    """Why a call may be denied although its grant is in place."""
    if isinstance(denial, Unreadable) or denial.action in standing.actions:
        return _DENIED_DESPITE_GRANT
    return (
        f"The grant in place gives {', '.join(standing.actions)} alone: when it was made, something stopped the other "
        f"invocation action. If nothing stops {denial.action} any more, revoke the grant; the next denial is then "
        "decided anew, about both."
    )


def _as_delivered(denial: Denial | Unreadable, delivery: Delivery | None) -> Denial | Unreadable:
    """The denial, or as one that was sent again if it cannot have come straight from CloudTrail, whatever it says."""
    if isinstance(denial, Unreadable) or delivery is None or delivery.is_from_cloudtrail(denial.time):
        return denial
    return replace(denial, backfill=True)
