"""Requests that wait under a configuration that is no longer the one they were asked under: decide about them again.

    pending --a rule allows it by now--> approved      pending --a rule forbids it by now-------------> rejected
    pending --it is still a person's---> pending       pending --nobody may be given it any more------> lapsed

AWS is asked for the tags that a rule may be about, and for the system-defined profiles that an application profile may
stand for. What a rule approves here, remediate decides by itself once more before it writes, and what a person is still
asked is only told in the words of today. A request that somebody decides on meanwhile is theirs.
"""

from collections.abc import Mapping
from datetime import timedelta
from itertools import islice
from typing import Final, Protocol

from msgspec.structs import replace

from bedrock_remediator.aws.errors import NotEnrolledError, RetryableError, RoleMissingError
from bedrock_remediator.aws.ledger.read import Background
from bedrock_remediator.aws.ledger.write import Cap, CapReachedError
from bedrock_remediator.clock import Clock
from bedrock_remediator.core.accounts import GrantablePrincipals
from bedrock_remediator.core.allowlist import Allowlist
from bedrock_remediator.core.allowlist.rules import Subject
from bedrock_remediator.core.arn import Principal
from bedrock_remediator.core.decision import CAP_REACHED, Decision
from bedrock_remediator.core.grant import Grant, Outcome, State, grant_length
from bedrock_remediator.core.lifecycle import asked_again, cause_of, decide_again, target, told, unless_unusual
from bedrock_remediator.core.usage import counts_requests
from bedrock_remediator.core.waiting import cool_down
from bedrock_remediator.flows.configuration import basis
from bedrock_remediator.flows.current_rows import current
from bedrock_remediator.flows.rule_cap import cap
from bedrock_remediator.flows.subjects import Subjects
from bedrock_remediator.flows.upkeep.chores.contract import FAILED, HasTime, Rows, Tally, step, tend
from bedrock_remediator.settings import PolicySettings

REQUESTS_A_RUN: Final = 200
"""How many requests one run decides about: a change of the rules may be about all that wait."""

_NOBODY_DECIDED: Final = dict.fromkeys(
    ("decided_by", "decided_at", "decided_via", "decided_version", "decision_reason", "approval")
)


class Ledger(Rows, Protocol):
    """What is asked of the ledger beside rows."""

    def background(self, pk: str) -> Background:
        """A principal's requests and grants, and what is known of it."""
        ...

    def approve(self, before: Grant, after: Grant, cap: Cap | None) -> None:
        """Take a request where a rule takes it, and count it against the rule's limit."""
        ...


class Allowlists(Protocol):
    """Where the allowlist comes from."""

    def read(self) -> Allowlist:
        """The allowlist; documents that cannot be read are its problems."""
        ...


class Tags(Protocol):
    """What is asked of IAM."""

    def tags(self, principal: Principal) -> Mapping[str, str]:
        """The principal's own tags; none for one that does not exist."""
        ...


class Reconsideration:
    """Decides again.

    Args:
        ledger: The ledger.
        allowlists: The rules.
        principals: Asked for tags, where a rule asks for them.
        subjects: Puts together what rules are held against.
        settings: Mode, pause and the other parameters.
        clock: Tells the time.
        most: How many requests one run decides about.
    """

    name = "reconsider"

    def __init__(  # noqa: PLR0913, PLR0917 - its parts
        self,
        ledger: Ledger,
        allowlists: Allowlists,
        principals: Tags,
        subjects: Subjects,
        settings: PolicySettings,
        clock: Clock,
        most: int = REQUESTS_A_RUN,
    ) -> None:
        self._ledger = ledger
        self._allowlists = allowlists
        self._principals = principals
        self._subjects = subjects
        self._settings = settings
        self._grantable = GrantablePrincipals(settings.grantable_principals)
        self._clock = clock
        self._most = most
        self._silent: set[str] = set()

    def run(self, has_time: HasTime) -> Tally:
        """See `Chore.run`. An allowlist that cannot be read completely decides nothing."""
        allowlist = self._allowlists.read()
        if allowlist.problems:
            return Tally({"allowlist_unreadable": 1})
        today = basis(self._settings, allowlist)
        waiting = current(self._ledger, self._ledger.due(State.PENDING), has_time)
        self._silent.clear()
        others = (
            row for row in waiting if row.state is State.PENDING and row.basis != today and not counts_requests(row)
        )
        return tend(islice(others, self._most), lambda row: self._tend(row, allowlist, today), has_time)

    def _tend(self, row: Grant, allowlist: Allowlist, today: str) -> str:
        if not self._grantable.covers(row.pk):
            reason = f"{row.pk} is no longer among the principals that this service may change."
            return self._close(row, State.LAPSED, "principal_not_grantable", reason, today)
        try:
            subject = self._subject(row, allowlist)
        except (NotEnrolledError, RoleMissingError):
            return "out_of_reach"
        if subject is None or allowlist.problem_about(subject):
            return FAILED if subject is None else "allowlist_unreadable"
        return self._decide(row, subject, allowlist, today)

    def _decide(self, row: Grant, subject: Subject, allowlist: Allowlist, today: str) -> str:
        decision = decide_again(row, allowlist, subject, mode=self._settings.mode.value, paused=self._settings.paused)
        if decision.outcome is Outcome.REPORT:
            to = State.LAPSED if decision.code == "mode_observe" else State.REJECTED
            return self._close(row, to, decision.code, decision.reason, today)
        if decision.outcome is Outcome.AUTO:
            background = self._ledger.background(row.pk)
            decision = unless_unusual(decision, row, background.grants, background.habits)
        if decision.outcome is Outcome.AUTO:
            try:
                return self._approve(row, decision, today)
            except CapReachedError:
                decision = replace(decision, outcome=Outcome.ASK, code="cap_reached", reason=CAP_REACHED)
        self._ledger.update(row, asked_again(row, decision, today, _seconds(self._length(decision))))
        return "still_asked"

    def _subject(self, row: Grant, allowlist: Allowlist) -> Subject | None:
        """Who asks for what; None where the principal's account does not answer in this run."""
        tagged = any(rule.principal_tags for rule in allowlist.rules)
        if row.account in self._silent:
            return None
        try:
            return self._subjects.of(
                principal=row.pk,
                tags=self._principals.tags(Principal.parse(row.pk)) if tagged else {},
                account=row.account,
                region=row.region,
                origin=row.sighting,
                target=target(row),
            )
        except RetryableError:
            # Other accounts' requests are decided about all the same.
            self._silent.add(row.account)
            return None

    def _approve(self, row: Grant, decision: Decision, today: str) -> str:
        """Approve it by the rule, as triage would have; raises CapReachedError."""
        now, length = self._clock.now(), self._length(decision)
        after = step(
            row,
            State.APPROVED,
            now,
            decision.code,
            told(cause_of(row).reason, decision),
            decision=Outcome.AUTO,
            rule=decision.rule,
            grant_seconds=_seconds(length),
            expires_at=now + length if length else None,
            basis=today,
            **_NOBODY_DECIDED,
        )
        self._ledger.approve(row, after, cap(decision, now))
        return "approved"

    def _close(self, row: Grant, to: State, code: str, reason: str, today: str) -> str:
        now = self._clock.now()
        rest = cool_down(row.cool_downs, now)
        self._ledger.move(row, step(row, to, now, code, reason, cool_down_until=rest, basis=today))
        return to.value

    def _length(self, decision: Decision) -> timedelta | None:
        return grant_length(decision.expires_after, self._settings.default_grant_days)


def _seconds(length: timedelta | None) -> int | None:
    return int(length.total_seconds()) if length else None
