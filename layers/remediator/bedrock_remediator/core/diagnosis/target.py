"""Which inference profile or model the denied call needs (docs/aws-facts.md §3)."""

import difflib
import json
from collections.abc import Iterable, Sequence

from msgspec import Struct
from msgspec.structs import replace

from bedrock_remediator.core.arn import ArnError, BedrockResource, is_model_id
from bedrock_remediator.core.denial import Denial
from bedrock_remediator.core.diagnosis import Diagnosis, not_fixable
from bedrock_remediator.core.grant import DiagnosisKind
from bedrock_remediator.core.profile import FoundationModel, Profile


class Target(Struct, frozen=True, kw_only=True):
    """What the denied call needs, as AWS confirmed it: a profile, or a model that can be called directly.

    `note` says what had to be inferred, in a sentence; `ask_only` that the inference is a person's to confirm.
    `instead` is True where the client called a model that only profiles serve and must use the profile's id.
    """

    profile: Profile | None = None
    model: FoundationModel | None = None
    candidates: tuple[str, ...] = ()
    note: str = ""
    code: str = ""
    ask_only: bool = False
    instead: bool = False

    @property
    def resources(self) -> tuple[str, ...]:
        """Every ARN that a policy must allow."""
        if self.profile:
            return self.profile.resources
        return (self.model.arn,) if self.model else ()

    @property
    def model_id(self) -> str | None:
        """What the client should pass as `modelId`."""
        if self.profile:
            return self.profile.client_model_id
        return self.model.id if self.model else None

    def explain(self, diagnosis: Diagnosis) -> Diagnosis:
        """The diagnosis with what is known of the target filled in."""
        return replace(
            diagnosis,
            profile=self.profile,
            model_arn=self.model.arn if self.model else None,
            model_id=diagnosis.model_id or self.model_id,
            resources=self.resources,
            candidates=diagnosis.candidates or self.candidates,
        )


class Wanted(Struct, frozen=True, kw_only=True):
    """What the denial points at, before AWS is asked: a profile's identifier or ARN, or a model.

    `model_arn` is the denied foundation model. `direct` tells whether the client named the model itself; None where
    the record does not say.
    """

    profile: str | None = None
    model_arn: str | None = None
    model_id: str | None = None
    direct: bool | None = None


def wanted(denial: Denial) -> Wanted | Diagnosis:
    """What to ask AWS about: from the message's resource first, the request's `modelId` second."""
    called = denial.model_id if denial.model_id and _names_something(denial.model_id) else None
    resource = denial.resource or _requested_resource(denial)
    if resource is None:
        if called and not called.startswith("arn:"):
            return Wanted(profile=called, model_id=called)
        return Diagnosis(
            kind=DiagnosisKind.UNKNOWN,
            code="resource_unknown",
            reason="Neither the message nor the request says which model or profile was called.",
            layer=denial.layer,
        )
    if resource.is_profile:
        return Wanted(profile=str(resource))
    if not resource.is_model:
        reason = f"The call needs a {resource.kind}: this service grants inference profiles and foundation models only."
        return not_fixable(denial, "unsupported_resource", reason)
    here = resource.arn.region == denial.region
    if called is None or called in (resource.id, str(resource)):
        # In another region than the caller's, a model is reached by a profile only, whatever the request says.
        direct = False if not here else None if called is None else True
        return Wanted(model_arn=str(resource), model_id=resource.id, direct=direct)
    return Wanted(profile=called, model_arn=str(resource), model_id=resource.id)


def _names_something(called: str) -> bool:
    """Whether the request's `modelId`, which the caller wrote, can be an identifier at all."""
    try:
        return is_model_id(called) or bool(BedrockResource.parse(called))
    except ArnError:
        return False


def _requested_resource(denial: Denial) -> BedrockResource | None:
    try:
        resource = BedrockResource.parse(denial.model_id or "")
    except ArnError:
        return None
    here = resource.arn.account in ("", denial.account) and resource.arn.region == denial.region
    return resource if here else None


def from_missing_profile(denial: Denial, identifier: str, existing: Iterable[Profile]) -> Diagnosis:
    """No such profile in that account and region: the nearest that exist there."""
    name = identifier.rpartition("/")[2]
    candidates = nearest(name, existing)
    hint = f" What exists there: {', '.join(candidates)}." if candidates else " No profile there resembles it."
    return Diagnosis(
        kind=DiagnosisKind.WRONG_IDENTIFIER,
        code="profile_not_found",
        reason=f"There is no inference profile {shown(name)} in {denial.region}.{hint}",
        layer=denial.layer,
        candidates=candidates,
        model_id=candidates[0] if len(candidates) == 1 else None,
    )


def nearest(name: str, existing: Iterable[Profile]) -> tuple[str, ...]:
    """Identifiers of profiles that the name may have meant: of the same model first, else alike in spelling."""
    profiles = sorted(existing, key=lambda profile: profile.id)
    same_model = [
        profile.client_model_id
        for profile in profiles
        if any(name == model or name.endswith(f".{model}") for model in profile.model_ids)
    ]
    if same_model:
        return tuple(same_model)
    ids = [profile.client_model_id for profile in profiles]
    return tuple(difflib.get_close_matches(name, ids, n=3, cutoff=0.75))


def shown(text: str) -> str:
    """Caller's text in a sentence: printable ASCII, in quotes, 200 characters at most."""
    return json.dumps(text[:200])


def choose(
    denial: Denial, want: Wanted, model: FoundationModel | None, serving: Sequence[Profile], held: Sequence[Profile]
) -> Target | Diagnosis:
    """Which profile a denied model belongs to, or whether the model itself was called.

    Args:
        denial: The denial.
        want: What it points at: a model.
        model: The model as AWS describes it in the source region, None if it does not exist there.
        serving: The source region's profiles that route to the denied model.
        held: Those of them that the principal may invoke already.
    """
    names = tuple(profile.client_model_id for profile in serving)
    direct = want.direct is not False and model is not None and model.on_demand
    if direct and not (want.direct is None and held):
        return Target(
            model=model,
            ask_only=want.direct is None,
            code="" if want.direct else "model_or_profile",
            note=""
            if want.direct
            else "The record does not say whether the model was called directly or by a profile.",
        )
    if len(held) == 1:
        return Target(profile=held[0], candidates=names, instead=want.direct is True)
    if not serving:
        return Diagnosis(
            kind=DiagnosisKind.WRONG_IDENTIFIER if model is None else DiagnosisKind.UNKNOWN,
            code="model_not_found" if model is None else "no_profile_serves_model",
            reason=f"No inference profile in {denial.region} routes to {shown(want.model_id or '')}"
            + (", and there is no such model there." if model is None else ", and it cannot be called without one."),
            layer=denial.layer,
        )
    return Target(
        profile=min(held or serving, key=lambda profile: profile.breadth),
        candidates=names,
        ask_only=True,
        instead=want.direct is True,
        code="profile_choice",
        note="The model is called through a profile, and the record does not say which. "
        f"{len(serving)} serve it in {denial.region}: {', '.join(names)}.",
    )


def from_profile(denial: Denial, want: Wanted, profile: Profile) -> Target | Diagnosis:
    """The profile that the denial names, if what was denied belongs to it."""
    if want.model_arn and want.model_arn not in profile.models:
        return Diagnosis(
            kind=DiagnosisKind.UNKNOWN,
            code="resource_not_in_profile",
            reason=f"{profile.id} does not route to {want.model_arn}, so the record contradicts itself or AWS's list.",
            layer=denial.layer,
        )
    guessed = denial.resource is None
    return Target(
        profile=profile,
        ask_only=guessed,
        code="profile_from_request" if guessed else "",
        note="The message names no resource; the profile is the one that the request names." if guessed else "",
    )
