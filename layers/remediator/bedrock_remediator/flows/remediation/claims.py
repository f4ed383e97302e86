"""Checking what a row of the ledger claims, against AWS, the allowlist and the approval: a row is not believed.

Whoever can write to the ledger could write any row. So before it is acted on, everything in it is derived again: that
it is about the principal and the profile that its key names, that AWS still describes the profile so, that the rule
that approved it still does and the principal's policies raise no question that is a person's to answer, or that a
person's approval is genuine.

`ClaimError` says why a row must not be applied. `Facts` asks AWS anew whom and what a row is about.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

from botocore.exceptions import ClientError
from msgspec import Struct
from msgspec.structs import replace

from bedrock_remediator.aws.errors import NotEnrolledError, RoleMissingError, error_code
from bedrock_remediator.aws.iam import Entity
from bedrock_remediator.aws.ledger.read import Background
from bedrock_remediator.clock import Clock
from bedrock_remediator.core import suspicion
from bedrock_remediator.core.accounts import STACK_PATH, Enrolment, GrantablePrincipals
from bedrock_remediator.core.allowlist import Allowlist
from bedrock_remediator.core.allowlist.rules import Subject
from bedrock_remediator.core.approval import LONGEST_WAIT, Use, stale, used
from bedrock_remediator.core.arn import ArnError, BedrockResource, Principal
from bedrock_remediator.core.cloudtrail import Caller, Denial
from bedrock_remediator.core.decision import Decision, decide
from bedrock_remediator.core.diagnosis import GRANTABLE, Diagnosis, policies
from bedrock_remediator.core.diagnosis.target import Target
from bedrock_remediator.core.grant import DiagnosisKind, Grant, Outcome, State, grant_length
from bedrock_remediator.core.iam.evaluation import Evaluator, Holdings
from bedrock_remediator.core.layers import Effect, Layer
from bedrock_remediator.core.policy import INVOKE_ACTIONS
from bedrock_remediator.core.profile import FoundationModel, Profile, ProfileType
from bedrock_remediator.core.request_context import RequestContext
from bedrock_remediator.core.signing import signable, signature
from bedrock_remediator.flows.placement.contract import Owner, PlacementError
from bedrock_remediator.flows.placement.in_place import is_ours
from bedrock_remediator.flows.placement.seals import Seals
from bedrock_remediator.flows.remediation.withdrawal import in_force
from bedrock_remediator.flows.subjects import Subjects
from bedrock_remediator.settings import PolicySettings

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef


class ClaimError(Exception):
    """The row must not be applied.

    `to` is the state it goes to instead, `code` the reason in one word, `reason` in a sentence; `changes` are fields
    that a person who is asked again must see as they are now.
    """

    def __init__(self, to: State, code: str, reason: str, **changes: Any) -> None:
        super().__init__(f"{code}: {reason}")
        self.to = to
        self.code = code
        self.reason = reason
        self.changes = changes


def inconsistent(why: str) -> ClaimError:
    """Two parts of the row do not go together."""
    return ClaimError(State.FAILED, "row_inconsistent", f"The ledger's row contradicts itself: {why}.")


class Identities(Protocol):
    """What is asked of IAM."""

    def principal(self, principal: Principal) -> tuple[Principal, str] | None:
        """The principal with its true path, and its id; None if there is none."""
        ...

    def entity(self, principal: Principal) -> Entity | None:
        """The principal with its true path, its id and its tags; None if there is none."""
        ...

    def holdings(self, entity: Entity) -> Holdings:
        """All that it holds."""
        ...


class Profiles(Protocol):
    """What is asked of Bedrock, always anew."""

    def profile(self, account: str, region: str, identifier: str, *, fresh: bool = False) -> Profile | None:
        """The profile, None if it does not exist there."""
        ...

    def profiles(
        self, account: str, region: str, *, only: ProfileType | None = None, fresh: bool = False
    ) -> tuple[Profile, ...]:
        """Every profile of the region, or only those of a type."""
        ...

    def model(self, account: str, region: str, model_id: str, *, fresh: bool = False) -> FoundationModel | None:
        """The foundation model, None if it does not exist there."""
        ...


class Facts:
    """Asks AWS about rows."""

    def __init__(self, identities: Identities, profiles: Profiles, enrolment: Enrolment) -> None:
        self._identities = identities
        self._profiles = profiles
        self._subjects = Subjects(profiles, enrolment)

    def existing(self, grant: Grant, principal: Principal) -> Entity:
        """The principal, which must be the one the row was made for.

        Raises:
            ClaimError: It is gone, or another.
            RetryableError: Passing trouble.
        """
        found = self._identities.entity(principal)
        if found is None:
            raise ClaimError(State.FAILED, "principal_missing", f"{principal.arn} does not exist any more.")
        if (found.principal, found.id) != (principal, grant.principal_id):
            reason = f"{principal.arn} was deleted and made again since the denial; its successor gets nothing for it."
            raise ClaimError(State.FAILED, "principal_recreated", reason)
        return found

    def target(self, grant: Grant) -> Target:
        """What is asked for, as AWS says now; the row must say the same.

        Raises:
            ClaimError: The profile or the model is gone, or not as the row has it.
            ArnError: The row names neither.
            RetryableError: Passing trouble.
        """
        if grant.profile:
            return Target(profile=self._profile(grant, grant.profile))
        return Target(model=self._model(grant, grant.resources[0]))

    def subject(self, grant: Grant, tags: Mapping[str, str], target: Target) -> Subject:
        """Who asks for it: this is what rules are held against.

        Raises:
            RetryableError: Passing trouble.
        """
        return self._subjects.of(
            principal=grant.pk,
            tags=tags,
            account=grant.account,
            region=grant.region,
            origin=grant.sighting,
            target=target.profile or grant.resources[0],
            fresh=True,
        )

    def listed(self, grant: Grant) -> tuple[Profile, ...]:
        """Every profile of the row's region. They are only compared with, so a list of the last minutes will do.

        Raises:
            RetryableError: Passing trouble.
        """
        return self._profiles.profiles(grant.account, grant.region)

    def _profile(self, grant: Grant, arn: str) -> Profile:
        named = BedrockResource.parse(arn)
        if not named.is_profile or (named.arn.account, named.arn.region) != (grant.account, grant.region):
            raise inconsistent("its profile is not one of its account and region")
        profile = self._profiles.profile(grant.account, grant.region, arn, fresh=True)
        if profile is None:
            raise ClaimError(State.FAILED, "profile_missing", f"{arn} does not exist any more.")
        if profile.arn != arn:
            raise inconsistent(f"AWS knows its profile as {profile.arn}")
        if profile.resources != tuple(sorted(grant.resources)):
            raise ClaimError(
                State.PENDING,
                "inputs_changed",
                f"AWS routes {profile.id} to other models than when the grant was approved, so it needs another look.",
                resources=profile.resources,
                allowed=tuple(each for each in grant.allowed if each in profile.resources),
                model_id=profile.client_model_id,
                simulated_at=None,
            )
        return profile

    def _model(self, grant: Grant, arn: str) -> FoundationModel:
        named = BedrockResource.parse(arn)
        if not named.is_model or named.arn.region != grant.region:
            raise inconsistent("its model is not one of its region")
        model = self._profiles.model(grant.account, grant.region, named.id, fresh=True)
        if model is None or model.arn != arn:
            raise ClaimError(State.FAILED, "model_missing", f"{arn} does not exist any more.")
        if not model.on_demand:
            raise ClaimError(State.FAILED, "model_needs_profile", f"{model.id} can be called only through a profile.")
        return model


class Approvals(Protocol):
    """Tells a genuine approval."""

    def verify(self, grant: Grant, /) -> bool:
        """Whether a person who may approve has approved exactly this: key, version, actions, ARNs and expiry."""
        ...


class Verifier(Protocol):
    """The key that approvals are signed with."""

    def verify(self, message: bytes, mac: bytes) -> bool:
        """Whether the key made that MAC of the message."""
        ...


class SignedApprovals:
    """Believes what approve has signed, and nothing else: the signature is made anew from what the row says now."""

    def __init__(self, key: Verifier) -> None:
        self._key = key

    def verify(self, grant: Grant, /) -> bool:
        """Whether approve has signed exactly this. What cannot be verified is not approved.

        Raises:
            RetryableError: Passing trouble.
        """
        mac = signature(grant)
        return mac is not None and self._key.verify(signable(grant), mac)


class Allowlists(Protocol):
    """Where the allowlist comes from."""

    def read(self) -> Allowlist:
        """The allowlist; documents that cannot be read are its problems."""
        ...


class Uses(Protocol):
    """Which approvals were used."""

    def last(self, grant: Grant, /) -> Use | None:
        """The last approval of a row's key that was used; None if none was."""
        ...

    def put(self, grant: Grant, use: Use, before: Use | None, /) -> "TransactWriteItemTypeDef":
        """The write of what is remembered of a row's key from now on, while it is as it was read."""
        ...


class Dependencies(Struct, frozen=True, kw_only=True):
    """Who is asked about a row's claims. `home` is the account that the service runs in."""

    home: str
    identities: Identities
    profiles: Profiles
    allowlists: Allowlists
    approvals: Approvals
    uses: Uses
    seals: Seals


class Claims:
    """Checks rows."""

    def __init__(self, dependencies: Dependencies, settings: PolicySettings, clock: Clock) -> None:
        self._ask = dependencies
        self._facts = Facts(
            dependencies.identities, dependencies.profiles, Enrolment(dependencies.home, settings.enrolled_accounts)
        )
        self._settings = settings
        self._grantable = GrantablePrincipals(settings.grantable_principals)
        self._clock = clock

    def confirm(self, grant: Grant, background: Background | None = None) -> Owner:
        """Make sure that a row may be applied, now.

        Args:
            grant: The row.
            background: What the ledger holds about the principal, by which it is told whether a rule may make one
                more grant for it; None for nothing.

        Returns:
            The principal, as IAM confirmed it.

        Raises:
            ClaimError: It may not.
            RetryableError: Passing trouble.
        """
        use = self._use(grant)
        self._require_timely(grant, use)
        owner, stands = self._confirm(grant, use)
        if grant.decision is Outcome.AUTO and not stands:
            self._require_calm(grant, background or Background(grant.pk, []))
        return owner

    def hold(self, grant: Grant) -> bool:
        """Whether a row that stands already would be applied now, however old it is.

        A person's approval must have been taken up by remediate before, or be young enough to be taken up now.

        Raises:
            RetryableError: Passing trouble.
        """
        use = self._use(grant)
        if grant.decision is Outcome.ASK and stale(use, grant, self._clock.now()):
            return False
        try:
            self._confirm(grant, use)
        except ClaimError:
            return False
        return not self._settings.paused

    def owner(self, grant: Grant) -> Owner:
        """The principal that a row is about, whether or not it is still the one that the row was made for.

        Raises:
            ClaimError: It is one that is never touched.
            NotEnrolledError: The service does not work in its account.
            RoleMissingError: The role in its account cannot be assumed.
            RetryableError: Passing trouble.
        """
        principal = self._principal(grant)
        found = self._ask.identities.principal(principal)
        return Owner(*found) if found else Owner(principal, None)

    @property
    def uses(self) -> Uses:
        """Which approvals were used."""
        return self._ask.uses

    def approved(self, grant: Grant) -> bool:
        """Whether a person has approved what a row says, genuinely, whatever became of it.

        Raises:
            RetryableError: Passing trouble.
        """
        return self._ask.approvals.verify(grant)

    def _use(self, grant: Grant) -> Use | None:
        return self._ask.uses.last(grant) if grant.decision is Outcome.ASK else None

    def _require_timely(self, grant: Grant, use: Use | None) -> None:
        """What was decided lately counts: by the time that is signed, or, of a rule, which decides anew, the row's."""
        now = self._clock.now()
        late = stale(use, grant, now) if grant.decision is Outcome.ASK else now - grant.updated_at > LONGEST_WAIT
        if late:
            raise ClaimError(
                State.LAPSED, "stale_approval", "The approval is older than 24 hours, so it counts no more."
            )
        if self._settings.paused:
            raise ClaimError(State.PENDING, "paused", "Grants are paused.")

    def _confirm(self, grant: Grant, use: Use | None) -> tuple[Owner, bool]:
        """The principal, and whether IAM shows that a row which is being applied has been written before."""
        stands = False
        try:
            principal = self._principal(grant)
            if not self._grantable.covers(principal.arn):
                reason = f"{principal.arn} is not among the principals that this service may change."
                raise ClaimError(State.FAILED, "principal_not_grantable", reason)
            self._require_consistent(grant)
            if grant.decision is Outcome.ASK:
                self._require_approval(grant, use)
            allowlist = self._ask.allowlists.read()
            entity = self._facts.existing(grant, principal)
            target = self._facts.target(grant)
            self._require_decided(
                grant, self._decide(grant, self._facts.subject(grant, entity.tags, target), allowlist)
            )
            if grant.decision is Outcome.AUTO:
                written = self._require_missing(grant, entity, target)
                stands = written and grant.state is not State.APPROVED
        except ArnError as error:
            raise inconsistent(str(error)) from error
        except NotEnrolledError as error:
            raise ClaimError(State.FAILED, "account_not_enrolled", f"{error}, so nothing is changed there.") from error
        except RoleMissingError as error:
            reason = f"The role {error.role_arn} cannot be assumed, so nothing was changed in account {error.account}."
            raise ClaimError(State.FAILED, "member_role_missing", reason) from error
        except ClientError as error:
            reason = f"AWS refused a check that comes before every grant ({error_code(error)}): {error}"
            raise ClaimError(State.FAILED, "check_refused", reason) from error
        return Owner(entity.principal, entity.id, entity.tags), stands

    def _require_approval(self, grant: Grant, use: Use | None) -> None:
        if not self._ask.approvals.verify(grant):
            reason = "No person's approval of exactly this grant can be verified."
            raise ClaimError(State.FAILED, "approval_unverified", reason)
        if used(use, grant):
            reason = "The approval was used before: what it had granted has ended. It needs a new one."
            raise ClaimError(State.FAILED, "approval_used", reason)

    def _principal(self, grant: Grant) -> Principal:
        try:
            principal = Principal.parse(grant.pk)
        except ArnError as error:
            raise inconsistent(str(error)) from error
        if grant.principal != grant.pk or grant.account != principal.account or grant.principal_id is None:
            raise inconsistent("its principal is not the one of its key")
        if principal.path.startswith(STACK_PATH):
            raise ClaimError(State.FAILED, "principal_not_grantable", "This service never changes a role of its own.")
        return principal

    def _require_consistent(self, grant: Grant) -> None:
        """The row's own fields go together."""
        targets = [f"profile#{grant.profile}"] if grant.profile else [f"model#{model}" for model in grant.resources]
        if targets != [grant.sk]:
            raise inconsistent("its profile or model is not the one of its key")
        if not grant.actions or not set(grant.actions) <= set(INVOKE_ACTIONS):
            raise inconsistent("it has other actions than those of invoking a model")
        if grant.expires_at is not None and grant.expires_at <= self._clock.now():
            raise ClaimError(State.LAPSED, "expired", "The grant would have ended before it was applied.")

    def _decide(self, grant: Grant, subject: Subject, allowlist: Allowlist) -> Decision:
        diagnosis = Diagnosis(
            kind=grant.diagnosis,
            code=grant.diagnosis.value,
            reason=grant.reason,
            grantable=grant.diagnosis in GRANTABLE,
            ask_only=grant.diagnosis in (DiagnosisKind.CONDITIONAL_ALLOW, DiagnosisKind.WRONG_IDENTIFIER),
        )
        return decide(
            mode=self._settings.mode.value,
            paused=self._settings.paused,
            diagnosis=diagnosis,
            allowlist=allowlist,
            subject=subject,
        )

    def _require_decided(self, grant: Grant, decision: Decision) -> None:
        """Nothing forbids the grant, and what is granted without asking is what the same rule still gives."""
        if decision.outcome is Outcome.REPORT:
            to = State.LAPSED if decision.code == "mode_observe" else State.FAILED
            raise ClaimError(to, decision.code, decision.reason)
        if grant.decision is Outcome.ASK:
            return
        if grant.decision is not Outcome.AUTO:
            raise inconsistent("nobody and nothing has approved it")
        if decision.outcome is not Outcome.AUTO or decision.rule != grant.rule:
            self._ask_again(f"It was approved by the rule {grant.rule!r}, and that is no longer so. {decision.reason}")
        length = grant_length(decision.expires_after, self._settings.default_grant_days)
        if length is None:
            return
        latest = min(grant.updated_at, self._clock.now()) + length
        if grant.expires_at is None or grant.expires_at > latest:
            self._ask_again(f"The rule {grant.rule!r} gives grants for a shorter time than it did.")

    def _require_missing(self, grant: Grant, entity: Entity, target: Target) -> bool:
        """What a rule grants is merely missing, as triage would find now: else a person decides, if a grant can help.

        This service's own policies are left out: triage looked before they held this grant, or others of the same
        batch. What it has put into the principal's own policy is told by remediate's seal.

        Returns:
            Whether a row that says it was written is in IAM already.
        """
        try:
            holdings = self._ask.identities.holdings(entity)
        except ClientError as error:
            reason = (
                f"AWS refused to show the principal's policies ({error_code(error)}), so a person must look at them."
            )
            raise ClaimError(State.PENDING, "policies_unreadable", reason) from error
        others = tuple(policy for policy in holdings.policies if not is_ours(policy))
        found = self._diagnosed(grant, entity, target, replace(holdings, policies=others))
        if _merely_missing(grant, found):
            now = found if len(others) == len(holdings.policies) else self._diagnosed(grant, entity, target, holdings)
            return in_force(grant) and now.kind is DiagnosisKind.ALREADY_ALLOWED
        if in_force(grant) and found.kind is DiagnosisKind.ALREADY_ALLOWED and self._noted(grant):
            return True
        if found.kind in (DiagnosisKind.NOT_FIXABLE, DiagnosisKind.LEAKED_KEY):
            reason = f"A grant would not help: {found.reason}"
            raise ClaimError(State.FAILED, "certainly_no_help", reason, layer=found.layer or grant.layer)
        raise ClaimError(
            State.PENDING,
            "diagnosis_changed",
            f"The rule {grant.rule!r} grants what is merely missing, and the principal's policies say otherwise now. "
            f"{found.reason}",
        )

    def _noted(self, grant: Grant) -> bool:
        """Whether remediate itself has noted what the row says was put into the principal's own policy."""
        try:
            return self._ask.seals.genuine(grant)
        except PlacementError as error:
            raise ClaimError(State.FAILED, error.code, error.reason) from error

    def _diagnosed(self, grant: Grant, entity: Entity, target: Target, holdings: Holdings) -> Diagnosis:
        """What is the matter by all that the principal holds, if AWS's message said that nothing allows the call."""
        principal = entity.principal
        caller = Caller(type=principal.kind, account=grant.account, principal=principal, path_known=True, id=entity.id)
        if quarantine := policies.from_quarantine(caller, holdings):
            return quarantine
        denied = grant.sighting.action
        denial = Denial(
            event_id=grant.sighting.event_id,
            shared_event_id=None,
            time=grant.sighting.time,
            account=grant.account,
            region=grant.region,
            caller=caller,
            action=denied if denied in grant.actions else grant.actions[0],
            resource=None,
            model_id=grant.model_id,
            layer=Layer.IDENTITY,
            effect=Effect.IMPLICIT,
            policy_arn=None,
            message="",
            certain=True,
            source_ip=None,
            user_agent=None,
        )
        known = RequestContext(
            principal=principal, principal_id=entity.id, tags=entity.tags, now=self._clock.now()
        ).keys
        return policies.from_policies(denial, target, Evaluator(holdings), known, lambda: self._facts.listed(grant))

    def _require_calm(self, grant: Grant, background: Background) -> None:
        """What a rule grants does not look like a probe: by what the other rows say, which this one cannot change."""
        rows, habits = background.grants, background.habits
        found = suspicion.of_rows(grant, rows, habits, self._settings.probes, self._clock.now())
        if found:
            raise ClaimError(State.PENDING, found.code, found.reason)

    def _ask_again(self, reason: str) -> NoReturn:
        raise ClaimError(State.PENDING, "rule_no_longer_allows", reason)


def _merely_missing(grant: Grant, diagnosis: Diagnosis) -> bool:
    """Whether a rule may give all the row's actions for it."""
    missing = diagnosis.kind is DiagnosisKind.MISSING_GRANT and not diagnosis.ask_only
    return missing and set(grant.actions) <= set(diagnosis.actions)
