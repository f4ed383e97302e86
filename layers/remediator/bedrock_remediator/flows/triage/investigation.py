"""Investigate one denial: gather the evidence, cheapest first, and stop as soon as it decides.

The order is that of `core/diagnosis`. What the message alone decides makes no call to IAM or Bedrock.
"""

import logging
from datetime import datetime
from typing import Protocol

from msgspec import Struct
from msgspec.structs import replace

from bedrock_remediator.aws.errors import RetryableError, RoleMissingError
from bedrock_remediator.aws.iam import Identity
from bedrock_remediator.aws.ledger.items import is_key
from bedrock_remediator.core import lifecycle
from bedrock_remediator.core.accounts import Enrolment, GrantablePrincipals
from bedrock_remediator.core.allowlist.rules import Subject
from bedrock_remediator.core.authorization_details import Evaluation, corrected
from bedrock_remediator.core.cloudtrail import Denial, Unreadable
from bedrock_remediator.core.diagnosis import Diagnosis, refusals
from bedrock_remediator.core.diagnosis import policies as held_policies
from bedrock_remediator.core.diagnosis import target as targets
from bedrock_remediator.core.diagnosis.target import Target, Wanted
from bedrock_remediator.core.grant import DiagnosisKind
from bedrock_remediator.core.iam.evaluation import Evaluator, Finding, Request, Verdict
from bedrock_remediator.core.policy import Entitlement, PolicyTooLargeError, compile_policies
from bedrock_remediator.core.profile import FoundationModel, Profile, ProfileType
from bedrock_remediator.core.request_context import Keys, RequestContext, keys_of_resource
from bedrock_remediator.core.simulation import Helpfulness, Invocation, Judgement
from bedrock_remediator.flows.simulation import Simulator, forecast
from bedrock_remediator.flows.subjects import Subjects
from bedrock_remediator.flows.triage.principals import Principals, Source
from bedrock_remediator.settings import PolicySettings

logger = logging.getLogger(__name__)


class Iam(Simulator, Source, Protocol):
    """What is asked of IAM."""


class Profiles(Protocol):
    """What is asked of Bedrock."""

    def profile(self, account: str, region: str, identifier: str) -> Profile | None:
        """The profile, None if it does not exist there."""
        ...

    def profiles(
        self, account: str, region: str, *, only: ProfileType | None = None, fresh: bool = False
    ) -> tuple[Profile, ...]:
        """Every profile of the region, or only those of a type."""
        ...

    def model(self, account: str, region: str, model_id: str) -> FoundationModel | None:
        """The foundation model, None if it does not exist there."""
        ...


class Details(Protocol):
    """What IAM recorded of refused requests."""

    def evaluations(self, account: str, region: str, authorization_id: str) -> tuple[Evaluation, ...]:
        """How a request was evaluated; empty where nothing can be learned."""
        ...


class Findings(Struct, frozen=True, kw_only=True):
    """What an investigation found: the diagnosis, and the principal as IAM knows it where it was asked."""

    diagnosis: Diagnosis
    identity: Identity | None = None


class _Described(Struct, frozen=True):
    """What Bedrock says of that which a denial points at: the profile, or the model and the profiles that serve it."""

    profile: Profile | None = None
    model: FoundationModel | None = None
    serving: tuple[Profile, ...] = ()

    @property
    def exists(self) -> bool:
        """Whether there is such a thing."""
        return bool(self.profile or self.model or self.serving)


class Investigation:
    """Finds out what a denial is about. `home` is the account that the service runs in."""

    def __init__(self, *, home: str, iam: Iam, profiles: Profiles, details: Details, policy: PolicySettings) -> None:
        self._enrolment = Enrolment(home, policy.enrolled_accounts)
        self._iam = iam
        self.principals = Principals(iam)
        self._profiles = profiles
        self._details = details
        self._subjects = Subjects(profiles, self._enrolment)
        self._extra_actions = policy.extra_actions
        self._grantable = GrantablePrincipals(policy.grantable_principals)

    def investigate(self, denial: Denial | Unreadable, now: datetime, *, sparing: bool = False) -> Findings:
        """Diagnose one denial.

        `sparing` is for a caller that calls one thing after the other that there is not: what the region's list of
        profiles does not name is then called unknown, without a look at it alone.

        Raises:
            botocore.exceptions.ClientError: AWS refused a call.
            RetryableError: AWS does not answer at the moment.
        """
        settled = self._settled(denial)
        if settled:
            return Findings(diagnosis=settled)
        assert isinstance(denial, Denial)  # noqa: S101 - what cannot be read is settled
        try:
            advice = refusals.from_caller(denial, self._grantable.covers)
            if advice:
                return Findings(diagnosis=advice if sparing else self._with_target(denial, advice))
            return self._of_principal(denial, now, sparing=sparing)
        except RoleMissingError as error:
            return Findings(diagnosis=refusals.from_missing_role(denial, error.role_arn))

    def as_recorded(self, denial: Denial | Unreadable) -> Denial | Unreadable:
        """The denial with the layer that IAM recorded as having stopped the call, where it can be asked.

        It is asked only about a denial that a grant might be the remedy for: nothing that it says makes one.
        """
        if not isinstance(denial, Denial) or denial.authorization_id is None or self.is_settled(denial):
            return denial
        found = self._details.evaluations(denial.account, denial.region, denial.authorization_id)
        return corrected(denial, found)

    def subject(self, findings: Findings, denial: Denial) -> Subject:
        """Who asks for what, as AWS confirmed it: this is what rules are held against.

        Raises:
            botocore.exceptions.ClientError: AWS refused a call.
            RetryableError: AWS does not answer at the moment.
        """
        identity, diagnosis = findings.identity, findings.diagnosis
        return self._subjects.of(
            principal=identity.principal.arn if identity else "",
            tags=identity.tags if identity else {},
            account=denial.account,
            region=denial.region,
            origin=denial,
            target=diagnosis.profile or diagnosis.model_arn,
        )

    def expected_row(self, denial: Denial | Unreadable) -> str | None:
        """The sk of the row that the denial will most likely belong to, guessed without a call; None for no guess.

        It is read together with the denial's counter then; the guess decides nothing.
        """
        diagnosis = self._settled(denial)
        if diagnosis is None and isinstance(denial, Denial):
            diagnosis = refusals.from_caller(denial, self._grantable.covers)
        if diagnosis:
            return lifecycle.sort_key(denial, diagnosis)
        want = targets.wanted(denial) if isinstance(denial, Denial) else None
        if not isinstance(want, Wanted):
            return None
        if want.profile and want.profile.startswith("arn:"):
            sk = f"profile#{want.profile}"
        elif want.direct:
            sk = f"model#{want.model_arn}"
        else:
            return None
        # What the caller named may be of any length, and one key that is too long would void the batch's read.
        return sk if is_key(denial.caller.partition_key, sk) else None

    def is_settled(self, denial: Denial | Unreadable) -> bool:
        """Whether the record and the configuration alone decide, so that to look again can tell nothing else."""
        if self._settled(denial) or not isinstance(denial, Denial):
            return True
        return refusals.from_caller(denial, self._grantable.covers) is not None

    def _settled(self, denial: Denial | Unreadable) -> Diagnosis | None:
        """What the record alone decides."""
        if stranger := refusals.from_stranger(denial):
            return stranger
        if isinstance(denial, Unreadable):
            return refusals.from_unreadable(denial)
        return refusals.from_message(denial) or refusals.from_account(denial, self._enrolment)

    def _with_target(self, denial: Denial, advice: Diagnosis) -> Diagnosis:
        """The advice with what the policy elsewhere would have to hold, where the denial names a profile."""
        want = targets.wanted(denial)
        if isinstance(want, Diagnosis) or want.profile is None:
            return advice
        profile = self._profiles.profile(denial.account, denial.region, want.profile)
        target = targets.from_profile(denial, want, profile) if profile else None
        return target.explain(advice) if isinstance(target, Target) else advice

    def _of_principal(self, denial: Denial, now: datetime, *, sparing: bool) -> Findings:
        want = targets.wanted(denial)
        if isinstance(want, Diagnosis):
            return Findings(diagnosis=want)
        want = want if sparing else self._of_model(denial, want)
        assert denial.caller.principal is not None  # noqa: S101 - from_caller has answered where there is none
        # Bedrock first: anybody can call what there is not, and IAM answers the whole account a few times a second.
        described = self._described(denial, want) if not sparing or self._listed(denial, want) else _Described()
        identity = self.principals.identity(denial.caller.principal, now, recent=not described.exists)
        if identity is None or identity.created_at > denial.time:
            return Findings(diagnosis=_gone(denial, identity))
        if found := held_policies.from_quarantine(denial.caller, identity.holdings):
            return Findings(diagnosis=found, identity=identity)
        if advice := refusals.from_caller(confirmed(denial, identity), self._grantable.covers):
            return Findings(diagnosis=self._with_target(denial, advice), identity=identity)
        known = _context(identity, now, denial).keys
        policies = Evaluator(identity.holdings)
        target = self._target(denial, want, described, policies, known)
        if isinstance(target, Diagnosis):
            return Findings(diagnosis=target, identity=identity)
        diagnosis = held_policies.from_policies(
            denial, target, policies, known, lambda: self._profiles.profiles(denial.account, denial.region)
        )
        return Findings(diagnosis=diagnosis, identity=identity)

    def _of_model(self, denial: Denial, want: Wanted) -> Wanted:
        """What the denial points at, where the request's id turns out to be a model's, and no profile's."""
        called = want.profile
        if called is None or called.startswith("arn:"):
            return want
        if self._profiles.profile(denial.account, denial.region, called):
            return want
        model = self._profiles.model(denial.account, denial.region, called)
        return targets.of_model(denial, model) if model else want

    def _described(self, denial: Denial, want: Wanted) -> _Described:
        """What Bedrock says of that which the denial points at."""
        account, region = denial.account, denial.region
        if want.misplaced:
            return _Described()
        if want.profile:
            return _Described(profile=self._profiles.profile(account, region, want.profile))
        model_id, model_arn = want.model_id or "", want.model_arn or ""
        model = None if want.direct is False else self._profiles.model(account, region, model_id)
        if want.direct and model and model.on_demand:
            return _Described(model=model)
        listed = self._profiles.profiles(account, region)
        return _Described(model=model, serving=tuple(item for item in listed if model_arn in item.models))

    def _listed(self, denial: Denial, want: Wanted) -> bool:
        """Whether the region's list of profiles names what the denial points at; the list is read now and then."""
        listed = self._profiles.profiles(denial.account, denial.region)
        if want.profile:
            return any(want.profile in (item.id, item.arn) for item in listed)
        return any(want.model_arn in item.models for item in listed)

    def _target(
        self, denial: Denial, want: Wanted, described: _Described, policies: Evaluator, known: Keys
    ) -> Target | Diagnosis:
        """What the call needs, as AWS describes it."""
        if want.misplaced:
            # The list is enough: whoever names others' profiles may name any number of them.
            listed = self._profiles.profiles(denial.account, denial.region)
            named = want.misplaced
            own = next((item for item in listed if named.is_profile and item.id == named.id), None)
            return targets.from_misplaced(denial, named, own, listed)
        if want.profile:
            if described.profile:
                return targets.from_profile(denial, want, described.profile)
            listed = self._profiles.profiles(denial.account, denial.region)
            return targets.from_missing_profile(denial, want.profile, listed)
        held = [item for item in described.serving if _holds(denial, item, policies, known)]
        return targets.choose(denial, want, described.model, described.serving, held)

    def would_help(self, denial: Denial, findings: Findings, now: datetime) -> Diagnosis | None:
        """Ask IAM's simulator whether the grant would help; a grant that certainly would not is advice instead.

        Args:
            denial: The denial.
            findings: What was found about it: a diagnosis that a grant is the remedy for, and the principal.
            now: The time.

        Returns:
            The diagnosis, less the actions that something stops whatever is granted, or the advice in its place; None
            where no answer could be had.
        """
        diagnosis, identity = findings.diagnosis, findings.identity
        assert identity is not None  # noqa: S101 - nothing is granted to a principal that was not looked at
        profile = diagnosis.profile.arn if diagnosis.profile else None
        call = Invocation(
            profile=profile,
            resources=diagnosis.resources,
            actions=diagnosis.actions,
            action=denial.action,
            unallowed=denial.unallowed,
        )
        context = _context(identity, now, denial)
        policies = Evaluator(identity.holdings)

        def own(action: str, resource: str) -> Finding:
            return policies.evaluate(Request(action, resource, context.keys | keys_of_resource(profile, resource)))

        wanted = Entitlement(
            profile=profile,
            models=tuple(arn for arn in diagnosis.resources if arn != profile),
            actions=diagnosis.actions,
        )
        try:
            documents = compile_policies([wanted], self._extra_actions)
            judgement = forecast(self._iam, call, context, own, documents=documents)
        except PolicyTooLargeError:
            # Whether there is room is for remediate to say, which knows where it would be written.
            return None
        except RetryableError:
            logger.warning("the simulator gave no answer", exc_info=True)
            return None
        return _judged(diagnosis, judgement) if judgement.answered else None


def _judged(diagnosis: Diagnosis, judgement: Judgement) -> Diagnosis:
    """The diagnosis with what the simulator has proved about its grant."""
    if judgement.helpfulness is not Helpfulness.CERTAINLY_NOT:
        left_out = [action for action in diagnosis.actions if action not in judgement.actions]
        stopped = f" {', '.join(left_out)} is left out: something stops it, whatever is granted." if left_out else ""
        return replace(diagnosis, actions=judgement.actions, reason=f"{diagnosis.reason}{stopped}")
    return replace(
        diagnosis,
        kind=DiagnosisKind.NOT_FIXABLE,
        code="certainly_no_help",
        reason=f"A grant would not help: {judgement.reason}",
        layer=judgement.layer or diagnosis.layer,
        grantable=False,
    )


def confirmed(denial: Denial, identity: Identity) -> Denial:
    """The denial with its principal as IAM knows it, path included."""
    return replace(denial, caller=replace(denial.caller, principal=identity.principal, path_known=True))


def _context(identity: Identity, now: datetime, denial: Denial) -> RequestContext:
    """What is known of the principal's calls, and of the denied one."""
    return RequestContext(
        principal=identity.principal,
        principal_id=identity.id,
        tags=identity.tags,
        now=now,
        session=denial.caller.session,
        source_ip=denial.source_ip,
        vpc_endpoint=denial.vpc_endpoint,
    )


def _holds(denial: Denial, profile: Profile, policies: Evaluator, known: Keys) -> bool:
    """Whether the principal's policies allow the denied action on the profile itself, if not on all its models."""
    context = held_policies.contexts(Target(profile=profile), profile.arn, known)
    return policies.evaluate(Request(denial.action, profile.arn, context)).verdict is Verdict.ALLOWED


def _gone(denial: Denial, identity: Identity | None) -> Diagnosis:
    gone = identity is None
    return Diagnosis(
        kind=DiagnosisKind.UNKNOWN,
        code="principal_missing" if gone else "principal_recreated",
        reason="The principal does not exist any more."
        if gone
        else "The principal was deleted and made anew since the denied call: its successor is granted nothing for it.",
        layer=denial.layer,
    )
