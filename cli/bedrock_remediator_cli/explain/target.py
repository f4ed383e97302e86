"""Which profile or model a refused call is about, by the form of its identifiers alone (docs/aws-facts.md §3).

What only AWS knows is not guessed: the destination regions of a profile, and the models of an application profile,
are left open and said to be. `inquiry.py` fills them in.
"""

from typing import Final, Literal

from msgspec import Struct

from bedrock_remediator.core.arn import Arn, ArnError, BedrockResource, is_model_id
from bedrock_remediator.core.profile import SCOPES_SEEN
from bedrock_remediator_cli.explain import wording
from bedrock_remediator_cli.explain.pasted import MASKED
from bedrock_remediator_cli.explain.refusals import Refusal

REGION: Final = "REGION"
MODEL: Final = "MODEL_ID"
ANY_REGION: Final = "*"

Kind = Literal["profile", "application", "model", "other"]


class Target(Struct, frozen=True, kw_only=True):
    """What the call is about.

    `profile` is an ARN, in which REGION stands where nothing tells it. `models` are the models' ARNs that a call needs
    beside it, or the model itself, with `*` for regions and MODEL_ID for a model that only AWS knows. `other` is a
    resource of another kind: a router, a custom model. `open` says what is not known, in sentences.
    """

    kind: Kind
    model_id: str | None
    profile: str | None = None
    models: tuple[str, ...] = ()
    other: str | None = None
    open: tuple[str, ...] = ()


def target(refusal: Refusal) -> Target | None:
    """What the refused call is about; None where nothing tells."""
    if refusal.needs_profile is not None:
        return None
    resource = refusal.bedrock_resource
    called = _called(refusal)
    if resource is not None and resource.is_profile:
        return _of_profile(resource)
    if resource is not None and resource.is_model:
        return called or _of_model(resource, refusal)
    if resource is not None:
        return Target(
            kind="other", model_id=None if resource.kind == "guardrail" else str(resource), other=str(resource)
        )
    return called if refusal.resource is None else None


def _called(refusal: Refusal) -> Target | None:
    """The profile that the request names, if it names one."""
    called = refusal.called or ""
    try:
        resource = BedrockResource.parse(called)
    except ArnError:
        scope = called.partition(".")[0]
        if scope not in SCOPES_SEEN or not is_model_id(called):
            return None
        return _of_profile(_profile(refusal, called))
    return _of_profile(resource) if resource.is_profile else None


def _profile(refusal: Refusal, profile_id: str) -> BedrockResource:
    """A system-defined profile's ARN, which is made of the caller's partition, region and account."""
    holder = refusal.holder
    partition = holder.partition if holder else _partition(refusal)
    account = holder.account if holder else MASKED
    arn = Arn(partition, "bedrock", refusal.region or REGION, account, f"inference-profile/{profile_id}")
    return BedrockResource(arn, "inference-profile", profile_id)


def _partition(refusal: Refusal) -> str:
    resource = refusal.bedrock_resource
    return resource.arn.partition if resource else "aws"


def _of_profile(resource: BedrockResource) -> Target:
    arn = resource.arn
    told = arn.region != REGION
    lacks = () if told else (wording.REGION_NOT_TOLD,)
    command = "aws bedrock get-inference-profile --inference-profile-identifier {}" + f" --region {arn.region}" * told
    if resource.kind == "application-inference-profile":
        return Target(
            kind="application",
            model_id=str(arn),
            profile=str(arn),
            models=(_model(arn.partition, ANY_REGION, MODEL),),
            open=(wording.APPLICATION_MODELS.format(command.format(shown_masked(str(arn)))),),
        )
    scope, _, model = resource.id.partition(".")
    if scope == "global":
        regions: tuple[str, ...] = (arn.region, "")
    else:
        regions = (ANY_REGION,)
        lacks = (*lacks, wording.ROUTED_REGIONS.format(command.format(resource.id)))
    return Target(
        kind="profile",
        model_id=resource.id,
        profile=str(arn),
        models=tuple(_model(arn.partition, region, model) for region in regions),
        open=lacks,
    )


def _of_model(resource: BedrockResource, refusal: Refusal) -> Target:
    if not resource.arn.region:
        # Only a global profile calls a model without a region.
        return _of_profile(_profile(refusal, f"global.{resource.id}"))
    direct = refusal.called in (resource.id, str(resource))
    return Target(
        kind="model",
        model_id=resource.id,
        models=(str(resource),),
        open=() if direct else (wording.MODEL_IN_DISGUISE,),
    )


def _model(partition: str, region: str, model_id: str) -> str:
    return f"arn:{partition}:bedrock:{region}::foundation-model/{model_id}"


def shown_masked(text: str) -> str:
    """The text with a placeholder for every masked account."""
    return text.replace(f":{MASKED}:", ":ACCOUNT_ID:")
