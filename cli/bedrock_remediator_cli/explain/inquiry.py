"""The same explanation with what AWS says: the profile, the principal's policies, and IAM's simulator.

It is the service's own investigation (`flows/triage/investigation.py`) with the user's rights. What the user may not
ask stays as the message tells it, and is said to.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Final

from botocore.exceptions import ClientError
from msgspec.structs import replace

from bedrock_remediator.aws.authorization_details import AuthorizationDetailsReader
from bedrock_remediator.aws.bedrock import ProfileReader
from bedrock_remediator.aws.clients import Clients
from bedrock_remediator.aws.errors import RetryableError
from bedrock_remediator.aws.iam import IamReader
from bedrock_remediator.clock import SystemClock
from bedrock_remediator.core.cloudtrail import Caller, Denial
from bedrock_remediator.core.diagnosis import Diagnosis, defeats_a_control
from bedrock_remediator.core.diagnosis.target import nearest
from bedrock_remediator.core.grant import DiagnosisKind
from bedrock_remediator.core.policy_grammar import INVOKE_ACTIONS
from bedrock_remediator.core.profile import Profile
from bedrock_remediator.flows.triage.investigation import Findings, Investigation
from bedrock_remediator.notices.remedies import BY_DIAGNOSIS
from bedrock_remediator.settings import Mode, PolicySettings, Strategy
from bedrock_remediator_cli.explain import proposal, wording
from bedrock_remediator_cli.explain.explanation import Explanation
from bedrock_remediator_cli.explain.refusals import Refusal
from bedrock_remediator_cli.explain.target import Target
from bedrock_remediator_cli.explain.verdict import Verdict, can, cannot, unknown

BEDROCK: Final = "Amazon Bedrock (GetInferenceProfile, ListInferenceProfiles)"
IAM: Final = "IAM (the principal's policies)"
SIMULATOR: Final = "IAM (the principal's policies and SimulatePrincipalPolicy)"

_ANY_PRINCIPAL: Final = ("arn:*",)
_DENIED: Final = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"})
_ADVICE_STANDS: Final = frozenset({"permission_set"})
"""Diagnoses that say where the policy goes, not that none helps."""

_NOT_THERE: Final = frozenset({"profile_not_found", "model_not_found"})

Note = Callable[[str], None]

_SETTINGS: Final = PolicySettings(
    ledger_table="",
    mode=Mode.OBSERVE,
    paused=False,
    strategy=Strategy.MANAGED,
    allowlist_path="/none",
    extra_actions=(),
    grantable_principals=_ANY_PRINCIPAL,
    default_grant_days=0,
)


class Inquiry:
    """Asks AWS in the account of the credentials.

    Args:
        account: That account.
        clients: Its clients.
        region: Where nothing tells the region of a call.
        now: The time; it stands for that of a call whose text does not tell it.
        note: Told why AWS was not asked, or could not be.
    """

    def __init__(self, account: str, clients: Clients, region: str | None, now: datetime, note: Note) -> None:
        self._account = account
        self._region = region
        self._now = now
        self._note = note
        self._profiles = ProfileReader(clients.bedrock)
        iam = IamReader(clients.iam)
        self._iam = iam
        details = AuthorizationDetailsReader(clients.authorization_details, SystemClock())
        self._investigation = Investigation(
            home=self._account, iam=iam, profiles=self._profiles, details=details, policy=_SETTINGS
        )

    def ask(self, explanation: Explanation) -> Explanation:
        """The explanation with what AWS says of the call; as it is where AWS cannot be asked."""
        refusal = explanation.refusal
        region = refusal.region or self._region
        if region is None or refusal.problem:
            return explanation
        if refusal.needs_profile is not None:
            return self._with_profiles_of(explanation, refusal.needs_profile, region)
        if explanation.verdict.fixable is False:
            return explanation
        if refusal.account != self._account:
            self._note(self._why_not(refusal))
            return explanation
        denial = refusal.denial or self._denial(refusal, region)
        if denial is None or not proposal.invokes(refusal.action):
            return explanation
        return self._investigated(explanation, denial)

    def _why_not(self, refusal: Refusal) -> str:
        if refusal.account:
            return wording.NOT_ASKED_ACCOUNT.format(self._account, refusal.account)
        return wording.NOT_ASKED_CALLER if refusal.holder is None else wording.NOT_ASKED_MASKED

    def _denial(self, refusal: Refusal, region: str) -> Denial | None:
        """The call as the service would know it, had it come by CloudTrail at this moment."""
        holder = refusal.holder
        if holder is None or refusal.action is None:
            return None
        caller = Caller(
            type="AssumedRole" if holder.kind == "role" else "IAMUser",
            account=holder.account,
            principal=holder,
            path_known=False,
            id="unknown",
        )
        return Denial(
            event_id="pasted",
            shared_event_id=None,
            time=self._now,
            account=holder.account,
            region=region,
            caller=caller,
            action=_iam_action(refusal.action),
            resource=refusal.bedrock_resource,
            model_id=refusal.called,
            layer=refusal.layer,
            effect=refusal.effect,
            policy_arn=refusal.policy_arn,
            authorization_id=refusal.authorization_id,
            message="",
            certain=not refusal.doubtful and refusal.layer.value != "unknown",
            source_ip=None,
            user_agent=None,
        )

    def _investigated(self, explanation: Explanation, denial: Denial) -> Explanation:
        try:
            recorded = self._investigation.as_recorded(denial)
            findings = self._investigation.investigate(recorded, self._now)
            if recorded != denial:
                self._note(wording.RECORDED)
            diagnosis = findings.diagnosis
            simulated = None
            if diagnosis.grantable and findings.identity:
                simulated = self._investigation.would_help(denial, findings, self._now)
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") not in _DENIED:
                raise
            self._note(wording.MAY_NOT_ASK.format(error.operation_name))
            return self._with_profile(explanation, denial)
        except RetryableError as error:
            self._note(f"AWS did not answer: {error}")
            return explanation
        diagnosis = simulated or diagnosis
        said = SIMULATOR if simulated else IAM if findings.identity else BEDROCK
        return self._concluded(explanation, Findings(diagnosis=diagnosis, identity=findings.identity), said)

    def _concluded(self, explanation: Explanation, findings: Findings, said: str) -> Explanation:
        diagnosis, identity = findings.diagnosis, findings.identity
        refusal = explanation.refusal
        if identity:
            refusal = replace(refusal, holder=identity.principal)
        judged = _judged(diagnosis, explanation)
        meant = _target(diagnosis, explanation.target)
        document = (_document(diagnosis) or explanation.document) if judged.fixable else None
        sources = {**explanation.sources, "fixable_by_identity_policy": said}
        if diagnosis.profile or diagnosis.candidates:
            sources |= {"profile": BEDROCK, "model_id": BEDROCK, "policy": BEDROCK}
        return replace(
            explanation,
            refusal=refusal,
            target=meant,
            verdict=judged,
            document=document,
            sources=sources,
            layer=diagnosis.layer.value if diagnosis.layer else explanation.layer,
            model_id=diagnosis.model_id or (meant.model_id if meant else None),
        )

    def _with_profile(self, explanation: Explanation, denial: Denial) -> Explanation:
        """The explanation with the profile as AWS describes it, where the policies could not be read."""
        meant = explanation.target
        if meant is None or meant.profile is None:
            return explanation
        try:
            profile = self._profiles.profile(denial.account, denial.region, meant.profile)
        except (ClientError, RetryableError):
            return explanation
        if profile is None:
            return explanation
        steps = tuple(step for step in explanation.verdict.steps if step not in meant.open)
        return replace(
            explanation,
            target=_confirmed(profile),
            verdict=replace(explanation.verdict, steps=steps),
            document=proposal.confirmed(profile.arn, profile.models) if explanation.document else None,
            sources=explanation.sources | {"profile": BEDROCK, "model_id": BEDROCK, "policy": BEDROCK},
        )

    def _with_profiles_of(self, explanation: Explanation, model: str, region: str) -> Explanation:
        """Which profiles serve the model that a client named by its own id."""
        try:
            candidates = nearest(model, self._profiles.profiles(self._account, region))
        except (ClientError, RetryableError) as error:
            self._note(f"The profiles of {region} could not be listed: {error}")
            return explanation
        if not candidates:
            return explanation
        steps = (wording.PROFILE_NEEDED.format(model), f"In {region} these serve it: {', '.join(candidates)}.")
        return replace(
            explanation,
            verdict=cannot(*steps),
            model_id=candidates[0] if len(candidates) == 1 else None,
            sources=explanation.sources | {"model_id": BEDROCK},
        )


def _iam_action(action: str) -> str:
    """The IAM action of an operation that is none itself."""
    return "bedrock:InvokeModelWithResponseStream" if "Stream" in action else "bedrock:InvokeModel"


def _judged(diagnosis: Diagnosis, explanation: Explanation) -> Verdict:
    steps = BY_DIAGNOSIS.get(diagnosis.kind, ())
    if diagnosis.code in _ADVICE_STANDS or diagnosis.kind is DiagnosisKind.MISSING_GRANT:
        said = tuple(step for step in explanation.verdict.steps if step not in _open(explanation))
        return can(
            diagnosis.reason, *(step for step in said if step not in (wording.SAME_WORDS, wording.LAYER_NOT_TOLD))
        )
    called = diagnosis.profile.arn if diagnosis.profile else None
    if defeats_a_control(diagnosis.kind, called, diagnosis.candidates, diagnosis.evidence):
        statement = (wording.STATEMENT.format(diagnosis.evidence),) if diagnosis.evidence else ()
        return unknown(diagnosis.reason, *statement)
    if diagnosis.code == "other_scope_granted":
        return can(diagnosis.reason)
    if diagnosis.kind is DiagnosisKind.UNKNOWN:
        return unknown(diagnosis.reason)
    return cannot(diagnosis.reason, *steps)


def _open(explanation: Explanation) -> tuple[str, ...]:
    return explanation.target.open if explanation.target else ()


def _target(diagnosis: Diagnosis, before: Target | None) -> Target | None:
    if diagnosis.code in _NOT_THERE:
        return None
    if diagnosis.profile:
        return _confirmed(diagnosis.profile)
    if diagnosis.model_arn:
        return Target(kind="model", model_id=diagnosis.model_id, models=(diagnosis.model_arn,))
    return before


def _confirmed(profile: Profile) -> Target:
    return Target(
        kind="profile" if profile.type == "SYSTEM_DEFINED" else "application",
        model_id=profile.client_model_id,
        profile=profile.arn,
        models=profile.models,
    )


def _document(diagnosis: Diagnosis) -> proposal.Document | None:
    if not diagnosis.resources:
        return None
    profile = diagnosis.profile.arn if diagnosis.profile else None
    return proposal.confirmed(
        profile, [arn for arn in diagnosis.resources if arn != profile], diagnosis.actions or INVOKE_ACTIONS
    )
