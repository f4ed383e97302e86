"""Which inference profile or model the denied call needs (docs/aws-facts.md §3)."""

import difflib
import json
from collections.abc import Iterable, Sequence
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from bedrock_remediator.core.arn import Arn, ArnError, BedrockResource, is_model_id
from bedrock_remediator.core.cloudtrail import Denial
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
    the record does not say. `misplaced` is what was named, where it cannot belong to the caller's account and region.
    """

    profile: str | None = None
    model_arn: str | None = None
    model_id: str | None = None
    direct: bool | None = None
    misplaced: BedrockResource | None = None


_UNSUPPORTED: Final = {
    "prompt-router": "a prompt router, which needs the action on the router itself and on every profile and model that "
    "it routes to",
    "default-prompt-router": "a prompt router, which needs the action on the router itself and on every profile and "
    "model that it routes to",
    "provisioned-model": "a model with provisioned throughput, which needs the action on the ARN of its throughput",
    "custom-model": "a custom model, which is called by its provisioned throughput or its deployment",
    "custom-model-deployment": "the deployment of a custom model, which needs the action on the deployment's ARN",
    "imported-model": "an imported model, which needs the action on its own ARN",
    "async-invoke": "an asynchronous invocation, which is no model",
    "marketplace": "an endpoint of Bedrock Marketplace, which needs rights of its own",
    "sagemaker": "an endpoint of Bedrock Marketplace, which needs rights of its own",
}
"""What a call can name beside profiles and models, by a word of its ARN, and what each needs (docs/aws-facts.md §3)."""

_GRANTED: Final = ("inference-profile", "application-inference-profile", "foundation-model")
_PROMPT: Final = "prompt"
"""A managed prompt: the call is one of the model or profile that the prompt names."""
_HIDDEN: Final = "HIDDEN_DUE_TO_"
"""How CloudTrail's stand-ins for a value that it withholds begin."""


def wanted(denial: Denial) -> Wanted | Diagnosis:
    """What to ask AWS about: from the message's resource first, the request's `modelId` second."""
    called = denial.model_id if denial.model_id and _names_something(denial.model_id) else None
    named = _arn(called)
    for each, granted in ((denial.resource, _GRANTED), (named, (*_GRANTED, _PROMPT))):
        if each and _kind(each) not in granted:
            return _unsupported(denial, _UNSUPPORTED.get(_kind(each), f"a resource of the kind {shown(_kind(each))}"))
    requested = named if isinstance(named, BedrockResource) else None
    if requested and requested.kind == _PROMPT:
        called = requested = None
    resource = denial.resource or requested
    if resource is None:
        return Wanted(profile=called, model_id=called) if called else _nothing_named(denial)
    # Only the message can say that a model of another region is needed: what the client names is where it calls.
    here = denial.resource is not None or resource.arn.region == denial.region
    if _is_misplaced(resource, denial) or not here:
        return Wanted(misplaced=resource)
    if resource.is_profile:
        return Wanted(profile=str(resource))
    return _wanted_model(denial, resource, called, requested)


def _wanted_model(denial: Denial, model: BedrockResource, called: str | None, named: BedrockResource | None) -> Wanted:
    """What a denied model points at: the profile that the request names, or the model itself."""
    if named and named.is_profile and _is_misplaced(named, denial):
        return Wanted(misplaced=named)
    if named.is_profile if named else called not in (None, model.id):
        return Wanted(profile=called, model_arn=str(model), model_id=model.id)
    return _model_alone(denial, model, told=(named.id if named else called) == model.id)


def _model_alone(denial: Denial, model: BedrockResource, *, told: bool) -> Wanted:
    """A denied model of which the request names no profile; `told` is whether it names that model."""
    # A prompt, or another model, does not tell how the denied one was reached.
    # In another region than the caller's, a model is reached by a profile only, whatever the request says.
    direct = (True if told else None) if model.arn.region == denial.region else False
    return Wanted(model_arn=str(model), model_id=model.id, direct=direct)


def of_model(denial: Denial, model: FoundationModel) -> Wanted:
    """What the denial points at, where the id in the request is that of a model, and of no profile."""
    resource = denial.resource or BedrockResource.parse(model.arn)
    return _model_alone(denial, resource, told=denial.resource is None)


def _names_something(called: str) -> bool:
    """Whether the request's `modelId`, which the caller wrote, can be an identifier at all."""
    if called.startswith(_HIDDEN):
        return False
    try:
        return is_model_id(called) or Arn.parse(called).service != "bedrock" or bool(BedrockResource.parse(called))
    except ArnError:
        return False


def _arn(called: str | None) -> BedrockResource | Arn | None:
    """The ARN that the request names: one of Bedrock's, or another service's; None where it names none."""
    if called is None or not called.startswith("arn:"):
        return None
    arn = Arn.parse(called)
    return BedrockResource.parse(called) if arn.service == "bedrock" else arn


def _is_misplaced(resource: BedrockResource, denial: Denial) -> bool:
    """Whether a profile or model cannot be the caller's: of another account, region or partition."""
    principal, arn = denial.caller.principal, resource.arn
    if principal and arn.partition != principal.partition:
        return True
    if resource.is_model:
        return arn.account != ""
    return (arn.account, arn.region) != (denial.account, denial.region)


def _kind(named: BedrockResource | Arn) -> str:
    """The word by which `_UNSUPPORTED` knows it."""
    return named.kind if isinstance(named, BedrockResource) else named.service


def _unsupported(denial: Denial, what: str) -> Diagnosis:
    reason = f"The client calls {what}: this service grants inference profiles and foundation models only."
    return not_fixable(denial, "unsupported_resource", reason)


def _nothing_named(denial: Denial) -> Diagnosis:
    return Diagnosis(
        kind=DiagnosisKind.UNKNOWN,
        code="resource_unknown",
        reason="Neither the message nor the request says which model or profile was called.",
        layer=denial.layer,
    )


def from_misplaced(
    denial: Denial, named: BedrockResource, own: Profile | None, existing: Iterable[Profile]
) -> Diagnosis:
    """The call names what belongs to another account, region or partition: what there is in the caller's own.

    Args:
        denial: The denial.
        named: What the call names.
        own: The profile of the same id in the caller's account and region, None if there is none.
        existing: Every profile there, to look for the nearest among.
    """
    candidates = (own.client_model_id,) if own else nearest(named.id, existing)
    hint = f": {', '.join(candidates)}." if candidates else ", and none there resembles it."
    return Diagnosis(
        kind=DiagnosisKind.WRONG_IDENTIFIER,
        code="profile_elsewhere",
        reason=f"The client calls {shown(str(named))}, which does not belong to account {denial.account} in region "
        f"{denial.region}. A call from there needs a profile or model of that account and region{hint}",
        layer=denial.layer,
        candidates=candidates,
        model_id=candidates[0] if len(candidates) == 1 else None,
    )


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
    found = _chosen(denial, want, model, serving, held)
    if isinstance(found, Diagnosis):
        return found
    if denial.resource is not None:
        return _compared(denial, denial.resource, found)
    if found.ask_only:
        return found
    note = "The message names no resource; the model is the one that the request names."
    return replace(found, ask_only=True, code="profile_from_request", note=note)


def _chosen(
    denial: Denial, want: Wanted, model: FoundationModel | None, serving: Sequence[Profile], held: Sequence[Profile]
) -> Target | Diagnosis:
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
    if denial.resource is None:
        return Target(
            profile=profile,
            ask_only=True,
            code="profile_from_request",
            note="The message names no resource; the profile is the one that the request names.",
        )
    return _compared(denial, denial.resource, Target(profile=profile))


def _compared(denial: Denial, denied: BedrockResource, target: Target) -> Target:
    """The target, for a person to confirm where the request names something else than the message denies.

    A call of a profile, or of a model that profiles serve, can be denied on any of the models that the profile routes
    to (docs/aws-facts.md §3.4), and of a call that is denied on a profile the record may name the model (§1.6). An id
    and its ARN say the same, and so does a model's ARN in another region, since the call is one of the model here. A
    prompt says nothing.
    """
    called = denial.model_id
    if called is None or not _names_something(called):
        return target
    named = _arn(called)
    same = [denied, *map(BedrockResource.parse, target.resources)]
    if isinstance(named, BedrockResource):
        agrees = named.kind == _PROMPT or _wherever(named) in map(_wherever, same)
    else:
        agrees = called in (each.id for each in same) or (
            target.profile is not None and called in target.profile.model_ids
        )
    if agrees:
        return target
    contradiction = (
        f"The record contradicts itself: the message denies {denied}, but the request names {shown(called)}."
    )
    note = " ".join(filter(None, (contradiction, target.note)))
    return replace(target, ask_only=True, code="record_contradicts_itself", note=note)


def _wherever(resource: BedrockResource) -> BedrockResource:
    """A model without its region; anything else as it is."""
    return replace(resource, arn=replace(resource.arn, region="")) if resource.is_model else resource
