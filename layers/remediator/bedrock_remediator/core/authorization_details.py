"""What IAM recorded of a refused request: which layer of policies stopped it (docs/aws-facts.md §4.12).

A refusal may carry an authorization id, by which IAM tells how each layer was evaluated. Its word on a layer is better
evidence than the message, which names one layer only, and than the simulator, which knows no session policy and no VPC
endpoint policy. It can make this service more careful, never less: a layer that stopped the call becomes the layer of
the denial, and nothing that it says allows anything.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from bedrock_remediator.core.cloudtrail import Denial
from bedrock_remediator.core.iam.patterns import matches
from bedrock_remediator.core.layers import LAYERS, Effect, Layer

_LAYERS: Final = {
    "RESOURCE_CONTROL_POLICY": Layer.RCP,
    "SERVICE_CONTROL_POLICY": Layer.SCP,
    "VPC_ENDPOINT": Layer.VPC_ENDPOINT,
    "RESOURCE": Layer.RESOURCE,
    "PERMISSIONS_BOUNDARY": Layer.BOUNDARY,
    "SESSION": Layer.SESSION,
    "PRINCIPAL": Layer.IDENTITY,
}
"""The checks that IAM lists, in the order in which one is named where several stop the call: a grant changes only what
the last of them says. A check of another type is a layer that is not known."""

_MODEL: Final = ":foundation-model/"
_EFFECTS: Final = {"EXPLICIT_DENY": Effect.EXPLICIT, "IMPLICIT_DENY": Effect.IMPLICIT}


class Stop(Struct, frozen=True, kw_only=True):
    """A layer that stopped the request.

    `policies` are the ARNs of its policies that matched; inline policies have none.
    """

    layer: Layer
    effect: Effect
    policies: tuple[str, ...] = ()


class Evaluation(Struct, frozen=True, kw_only=True):
    """How one action on one resource was evaluated: the layers that stopped it, in the order of `_LAYERS`."""

    action: str
    resource: str
    stops: tuple[Stop, ...] = ()


def read(pages: Iterable[Mapping[str, Any]]) -> tuple[Evaluation, ...]:
    """The evaluations in the answers of GetRequestAuthorizationDetails, whatever else they hold."""
    found = (each for page in pages for each in _mappings(page.get("evaluations")))
    return tuple(
        Evaluation(action=str(each.get("action", "")), resource=str(each.get("resource", "")), stops=_stops(each))
        for each in found
    )


def _stops(evaluation: Mapping[str, Any]) -> tuple[Stop, ...]:
    order = [*_LAYERS.values(), Layer.UNKNOWN]
    stops = [
        Stop(layer=_LAYERS.get(str(check.get("checkType")), Layer.UNKNOWN), effect=effect, policies=_policies(check))
        for check in _mappings(evaluation.get("checks"))
        if (effect := _EFFECTS.get(str(check.get("evaluatedEffect"))))
    ]
    return tuple(sorted(stops, key=lambda stop: (stop.effect is Effect.IMPLICIT, order.index(stop.layer))))


def _policies(check: Mapping[str, Any]) -> tuple[str, ...]:
    uris = (str(policy.get("uri", "")) for policy in _mappings(check.get("matchedPolicies")))
    return tuple(uri for uri in uris if uri.startswith("arn:"))


def _mappings(found: Any) -> Iterator[Mapping[str, Any]]:
    yield from (each for each in found or () if isinstance(each, Mapping)) if isinstance(found, list) else ()


def decisive(evaluations: Iterable[Evaluation], action: str, resource: str | None) -> Stop | None:
    """The stop that no identity policy can put right; None where there is none, or nothing is known.

    Args:
        evaluations: What IAM recorded of the request.
        action: The denied IAM action.
        resource: The ARN that was denied; None where the message names none, so that every evaluation counts. Of a
            Bedrock call the models that it reaches count, too: what is stopped there no grant puts right either.
    """
    same = [each for each in evaluations if each.action.lower() == action.lower()]
    first = [each for each in same if resource is None or _covers(each.resource, resource)]
    models = [each for each in same if _MODEL in each.resource] if resource is not None else []
    for each in (*first, *models):
        for stop in each.stops:
            if stop.layer is not Layer.IDENTITY or stop.effect is Effect.EXPLICIT:
                return stop
    return None


def _covers(recorded: str, resource: str) -> bool:
    """Whether an evaluation is about the ARN: IAM may record a pattern of ARNs, or none."""
    return recorded == "" or matches(recorded, resource)


def told(stop: Stop) -> str:
    """A stop in words, to stand after a colon: the layer, how it stopped the request, and the policies that matched."""
    how = ", ".join(("a Deny" if stop.effect is Effect.EXPLICIT else "no Allow", *stop.policies))
    return f"{LAYERS[stop.layer].name} ({how})"


def corrected(denial: Denial, evaluations: Iterable[Evaluation]) -> Denial:
    """The denial with the layer that stopped it, where IAM recorded another than the message names.

    Only a denial of which a grant might be the remedy is changed, and only so that it no longer is.
    """
    resource = str(denial.resource) if denial.resource else None
    stop = decisive(evaluations, denial.action, resource)
    if stop is None:
        return denial
    policy = stop.policies[0] if len(stop.policies) == 1 else None
    certain = denial.certain and stop.layer is not Layer.UNKNOWN
    return replace(denial, layer=stop.layer, effect=stop.effect, policy_arn=policy, certain=certain)
