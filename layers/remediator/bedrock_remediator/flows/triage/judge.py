"""What is the matter with a denial and what is done about it, under the configuration of the moment.

The answer is a `Verdict`, which is not a row yet.
"""

import logging
from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from botocore.exceptions import ClientError, ParamValidationError
from msgspec import Struct
from msgspec.structs import replace

from bedrock_remediator.aws.errors import error_code
from bedrock_remediator.core import suspicion, waiting
from bedrock_remediator.core.allowlist import Allowlist
from bedrock_remediator.core.arn import ArnError
from bedrock_remediator.core.cloudtrail import Denial, Unreadable
from bedrock_remediator.core.decision import Decision, decide, reported
from bedrock_remediator.core.diagnosis.refusals import from_refused_lookup
from bedrock_remediator.core.grant import FINISHED, DiagnosisKind, Grant, Outcome
from bedrock_remediator.core.suspicion import Call, Habits
from bedrock_remediator.flows.configuration import basis
from bedrock_remediator.flows.rule_cap import today
from bedrock_remediator.flows.triage.investigation import Findings, Investigation
from bedrock_remediator.settings import PolicySettings


class Verdict(Struct, frozen=True, kw_only=True):
    """What was found and what is done about it, and under which configuration (its digest, `basis`)."""

    findings: Findings
    decision: Decision
    basis: str
    simulated: bool = False

    def asking(self, code: str, reason: str) -> "Verdict":
        """The same, but a person decides."""
        return replace(self, decision=replace(self.decision, outcome=Outcome.ASK, code=code, reason=reason))

    def advising(self, code: str, reason: str, basis: str) -> "Verdict":
        """The same, but nothing is granted, whatever the rules say."""
        diagnosis = self.findings.diagnosis
        if diagnosis.grantable or diagnosis.kind is DiagnosisKind.ALREADY_ALLOWED:
            diagnosis = replace(diagnosis, code=code, reason=reason, grantable=False)
        decision = Decision(outcome=Outcome.REPORT, code=diagnosis.code, reason=diagnosis.reason)
        return replace(self, findings=replace(self.findings, diagnosis=diagnosis), decision=decision, basis=basis)

    def wary(self, habits: Habits, call: Call, limits: suspicion.ProbeLimits, now: datetime) -> "Verdict":
        """The same, but a person decides where a rule would grant something that looks like a probe."""
        if self.decision.outcome is not Outcome.AUTO:
            return self
        found = suspicion.of_call(habits, call, limits, day=today(now), address_expected=self.decision.address_expected)
        return self.asking(found.code, found.reason) if found else self


logger = logging.getLogger(__name__)


class Allowlists(Protocol):
    """Where the allowlist comes from."""

    def read(self) -> Allowlist:
        """The allowlist; documents that cannot be read are its problems."""
        ...


class Judge:
    """Judges denials.

    Args:
        investigation: Finds out what is the matter.
        allowlists: The rules.
        settings: Mode, pause and the other parameters.
        reaches: Whether the service has a way into an account by now.
    """

    def __init__(
        self,
        investigation: Investigation,
        allowlists: Allowlists,
        settings: PolicySettings,
        reaches: Callable[[str], bool],
    ) -> None:
        self._investigation = investigation
        self._allowlists = allowlists
        self._settings = settings
        self._reaches = reaches

    def verdict(
        self,
        denial: Denial | Unreadable,
        now: datetime,
        *,
        sparing: bool = False,
        counted: Callable[[Verdict], bool] = lambda _: False,
    ) -> Verdict:
        """What is the matter and what is done; a grant that certainly would not help is advice, and nobody is asked.

        Args:
            denial: The denial.
            now: The time.
            sparing: As `Investigation.investigate` has it.
            counted: Whether a request of that verdict would only be counted: then the simulator is not asked.

        Raises:
            RetryableError: AWS does not answer.
        """
        findings = self._findings(denial, now, sparing=sparing)
        # A refusal that no grant can change is none of the rules' business: they are not even read.
        allowlist = self._allowlists.read() if findings.diagnosis.grantable else None
        verdict = Verdict(
            findings=findings,
            decision=self._decision(findings, denial, allowlist),
            basis=basis(self._settings, allowlist),
        )
        considered = verdict.decision.outcome is not Outcome.REPORT or verdict.decision.code == "mode_observe"
        if not (findings.identity and findings.diagnosis.grantable and considered and isinstance(denial, Denial)):
            return verdict
        if counted(verdict):
            return verdict
        helped = self._investigation.would_help(denial, findings, now)
        if helped is None:
            return verdict
        findings = replace(findings, diagnosis=helped)
        return Verdict(
            findings=findings,
            decision=self._decision(findings, denial, allowlist),
            basis=basis(self._settings, allowlist if helped.grantable else None),
            simulated=True,
        )

    def _findings(self, denial: Denial | Unreadable, now: datetime, *, sparing: bool) -> Findings:
        """What is the matter. Where AWS refuses to tell, that is the finding: to ask again would be refused again."""
        try:
            return self._investigation.investigate(denial, now, sparing=sparing)
        except ClientError as error:
            logger.exception("AWS refused a call that reads", extra={"operation": error.operation_name})
            answer = f"AWS refused {error.operation_name} to this service ({error_code(error)})"
        except (ArnError, ParamValidationError) as error:
            logger.exception("AWS's answer cannot be read, or the question not be asked")
            answer = f"AWS could not be asked about it, or its answer not be read ({type(error).__name__})"
        return Findings(diagnosis=from_refused_lookup(answer))

    def basis(self, row: Grant) -> str:
        """The digest of the configuration that a row would be judged under now; only a finished row asks for it."""
        if row.state not in FINISHED:
            return ""
        if row.reason_code == "member_role_missing" and self._reaches(row.account):
            # The role was deployed since, which is a change of what the service can do there.
            return ""
        if waiting.is_advice(row.sk):
            return basis(self._settings, None)
        allowlist = self._allowlists.read()
        # An allowlist that cannot be read for a moment is no new configuration.
        settled = allowlist.fetched and not allowlist.problems
        return basis(self._settings, allowlist) if settled else row.basis or ""

    def _decision(self, findings: Findings, denial: Denial | Unreadable, allowlist: Allowlist | None) -> Decision:
        if allowlist is None or not (findings.diagnosis.grantable and isinstance(denial, Denial)):
            return reported(findings.diagnosis)
        return decide(
            mode=self._settings.mode.value,
            paused=self._settings.paused,
            diagnosis=findings.diagnosis,
            allowlist=allowlist,
            subject=self._investigation.subject(findings, denial),
            backfill=denial.backfill,
        )
