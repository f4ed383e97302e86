"""What triage has found out about a denial and what is done about it, before it is a row."""

from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace

from bedrock_remediator.core import probing
from bedrock_remediator.core.decision import Decision
from bedrock_remediator.core.grant import DiagnosisKind, Outcome
from bedrock_remediator.core.habits import Call, Habits
from bedrock_remediator.flows.rule_cap import today
from bedrock_remediator.flows.triage.investigation import Findings


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

    def wary(self, habits: Habits, call: Call, limits: probing.ProbeLimits, now: datetime) -> "Verdict":
        """The same, but a person decides where a rule would grant something that looks like a probe."""
        if self.decision.outcome is not Outcome.AUTO:
            return self
        found = probing.of_call(habits, call, limits, day=today(now), address_expected=self.decision.address_expected)
        return self.asking(found.code, found.reason) if found else self
