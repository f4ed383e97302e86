"""What AWS says now of whom and what a row is about: always asked anew, and the row must say the same."""

from collections.abc import Mapping
from typing import Protocol

from bedrock_remediator.aws.iam import Entity
from bedrock_remediator.core.arn import BedrockResource, Principal
from bedrock_remediator.core.enrolment import Enrolment
from bedrock_remediator.core.grant import Grant, State
from bedrock_remediator.core.profile import FoundationModel, Profile, ProfileType
from bedrock_remediator.core.subject import Subject
from bedrock_remediator.flows.remediation.claim_error import ClaimError, inconsistent
from bedrock_remediator.flows.subjects import Subjects


class Identities(Protocol):
    """What is asked of IAM."""

    def principal(self, principal: Principal) -> tuple[Principal, str] | None:
        """The principal with its true path, and its id; None if there is none."""
        ...

    def entity(self, principal: Principal) -> Entity | None:
        """The principal with its true path, its id and its tags; None if there is none."""
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

    def subject(self, grant: Grant, tags: Mapping[str, str]) -> Subject:
        """Who asks for what, as AWS says now; the row must say the same.

        Raises:
            ClaimError: The profile or the model is gone, or not as the row has it.
            ArnError: The row names neither.
            RetryableError: Passing trouble.
        """
        target = self._profile(grant, grant.profile) if grant.profile else self._model(grant, grant.resources[0]).arn
        return self._subjects.of(
            principal=grant.pk,
            tags=tags,
            account=grant.account,
            region=grant.region,
            origin=grant.sighting,
            target=target,
            fresh=True,
        )

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
