"""Layers: what can refuse a call, one entry each (docs/aws-facts.md §2).

Closed by default: only a layer whose entry says so can be put right by a policy of the principal. A member of `Layer`
without an entry stops every function at start.
"""

import enum
from collections.abc import Iterable, Mapping
from typing import Final

from msgspec import Struct


class Layer(enum.StrEnum):
    """What refused the call. The first eight are policy layers; the others are refusals no policy explains."""

    IDENTITY = "identity"
    RESOURCE = "resource"
    BOUNDARY = "boundary"
    SESSION = "session"
    SCP = "scp"
    RCP = "rcp"
    VPC_ENDPOINT = "vpc_endpoint"
    ROLE_TRUST = "role_trust"
    MODEL_ACCESS = "model_access"
    MARKETPLACE = "marketplace"
    ACCOUNT = "account"
    API_KEY = "api_key"
    LEGACY = "legacy"
    UNKNOWN = "unknown"


class Effect(enum.StrEnum):
    """Whether the layer lacks an Allow (implicit) or holds a Deny (explicit)."""

    IMPLICIT = "implicit"
    EXPLICIT = "explicit"


class Entry(Struct, frozen=True):
    """What is known of a layer.

    `name` follows "Refused by". `phrase` is how refusals call a layer of policies; `refusals` are words by which a
    refusal that no policy explains is known. `fixable` tells whether a policy of the principal can put it right; None
    where only a person can say. `code` and `advice` are the reason that a layer gives which is not fixable, in a word
    and after a colon; `steps` what to do about it, where nothing more is known.
    """

    layer: Layer
    name: str
    steps: tuple[str, ...]
    phrase: str | None = None
    refusals: tuple[str, ...] = ()
    fixable: bool | None = False
    code: str = ""
    advice: str = ""


def by_layer(entries: Iterable[Entry]) -> Mapping[Layer, Entry]:
    """The entries, found by their layers.

    Raises:
        TypeError: A layer has no entry, or several, or one that is not fixable gives no code.
    """
    listed = list(entries)
    for layer in Layer:
        own = [entry for entry in listed if entry.layer is layer]
        if len(own) != 1:
            raise TypeError(f"core/layers.py has {len(own)} entries for the layer {layer.name}: give it one")
        if own[0].fixable is False and not (own[0].code and own[0].advice):
            raise TypeError(f"core/layers.py: {layer.name} is not fixable, so its entry needs a code and advice")
    return {entry.layer: entry for entry in listed}


_ENTRIES: Final = (
    Entry(
        Layer.IDENTITY,
        name="identity policies",
        phrase="identity-based policy",
        fixable=True,
        steps=(
            (
                "A policy of the principal itself denies the call. An Allow never beats a Deny, so no grant can help:"
                " whoever owns that policy has to narrow or remove the Deny, if the call is meant to work."
            ),
        ),
    ),
    Entry(
        Layer.RESOURCE,
        name="a resource-based policy",
        phrase="resource-based policy",
        code="resource_policy",
        advice="a resource-based policy does not allow it; the resource's owner can change that",
        steps=(
            "Ask the owner of the called resource to allow this principal in the resource's own policy.",
            "After that, the next denial of the call is looked at anew.",
        ),
    ),
    Entry(
        Layer.BOUNDARY,
        name="the permissions boundary",
        phrase="permissions boundary",
        code="boundary",
        advice="the principal's permissions boundary does not allow it, and no policy can exceed it",
        steps=(
            (
                "The principal's permissions boundary has to allow the actions on all the ARNs of the profile. Ask "
                "the team that owns the boundary; a grant beside the boundary has no effect."
            ),
        ),
    ),
    Entry(
        Layer.SESSION,
        name="a session policy",
        phrase="session policy",
        code="session_policy",
        advice="the session policy given when the role was assumed does not allow it",
        steps=(
            (
                "The role was assumed with a session policy that does not allow the call. Change the program or the "
                "tool that calls AssumeRole: leave the session policy away, or add the actions to it. The role itself"
                " needs no change."
            ),
        ),
    ),
    Entry(
        Layer.SCP,
        name="a service control policy",
        phrase="service control policy",
        code="scp",
        advice="a service control policy of the organization denies it; only its administrators can change that",
        steps=(
            (
                "An administrator of the AWS organization has to change the service control policy. No policy of this"
                " account can override it."
            ),
            (
                "Where the policy restricts regions (aws:RequestedRegion): an inference profile needs its source "
                "region and every destination region allowed, and a global profile also needs the value "
                "'unspecified'."
            ),
        ),
    ),
    Entry(
        Layer.RCP,
        name="a resource control policy",
        phrase="resource control policy",
        code="rcp",
        advice="a resource control policy of the organization denies it; only its administrators can change that",
        steps=(
            (
                "An administrator of the AWS organization has to change the resource control policy. No policy of "
                "this account can override it."
            ),
        ),
    ),
    Entry(
        Layer.VPC_ENDPOINT,
        name="a VPC endpoint's policy",
        phrase="VPC endpoint policy",
        code="vpc_endpoint",
        advice="the policy of the VPC endpoint that the call went through does not allow it",
        steps=(
            (
                "The policy of the VPC endpoint for bedrock-runtime has to allow the call. Ask the team that owns the"
                " VPC."
            ),
        ),
    ),
    Entry(
        Layer.ROLE_TRUST,
        name="a role's trust policy",
        phrase="role trust policy",
        code="role_trust",
        advice="a role's trust policy does not allow it",
        steps=("Change the trust policy of the role: it decides who may assume it.",),
    ),
    Entry(
        Layer.API_KEY,
        name="the rules for Bedrock API keys",
        code="api_key",
        advice="a Bedrock API key needs bedrock:CallWithBearerToken, which this service never grants",
        steps=(
            (
                "The call was made with an Amazon Bedrock API key whose owner lacks bedrock:CallWithBearerToken. API "
                "keys are outside of what this service grants: an administrator decides whether they may be used at "
                "all."
            ),
        ),
    ),
    Entry(
        Layer.LEGACY,
        name="the model's provider: it is a legacy model",
        refusals=(
            "marked by provider as Legacy",
            "reached the end of its life",
        ),
        code="legacy_model",
        advice="the provider has marked the model as legacy; move to a current model",
        steps=(
            (
                "The model's provider has retired it, or keeps it for recent users only. Move the client to an active"
                " model; no permission brings this one back."
            ),
        ),
    ),
    Entry(
        Layer.MARKETPLACE,
        name="AWS Marketplace",
        refusals=(
            "aws-marketplace:",
            "AWS Marketplace subscription",
            "INVALID_PAYMENT_INSTRUMENT",
        ),
        code="marketplace",
        advice=(
            "the account's Marketplace subscription to the model is missing or unfinished; after a change, "
            "wait a little"
        ),
        steps=(
            (
                "The model is sold through AWS Marketplace. Let somebody with aws-marketplace:ViewSubscriptions and "
                "aws-marketplace:Subscribe call the model once in this account; after that, nobody else needs those "
                "rights."
            ),
            (
                "Check that the account has a valid payment method, and try again after a few minutes: a fresh "
                "subscription takes that long."
            ),
        ),
    ),
    Entry(
        Layer.MODEL_ACCESS,
        name="Bedrock's model access",
        refusals=(
            "You don't have access to the model with the specified model ID",
            "Model use case details have not been submitted",
            "Model access is denied",
        ),
        code="model_access",
        advice=(
            "the account has no access to the model; bedrock:GetFoundationModelAvailability says which part of it is "
            "missing"
        ),
        steps=(
            (
                "Permissions are not the matter: the account has no access to the model. `aws bedrock "
                "get-foundation-model-availability --model-id <the model> --region <of the call>` says what is "
                "missing: the agreement, the authorization, the entitlement or the region."
            ),
            (
                "Anthropic's models need the use case form, once an account: open one of them in the Bedrock "
                "console's model catalog. Other providers' models are subscribed to by the first call of somebody "
                "with aws-marketplace:ViewSubscriptions and aws-marketplace:Subscribe."
            ),
            "Access can take some minutes to reach every region. After that the call works without any change in IAM.",
        ),
    ),
    Entry(
        Layer.ACCOUNT,
        name="AWS, for the account as a whole",
        refusals=(
            "Your account is not authorized to invoke this API operation",
            "not allowed from unsupported countries",
            "is not available for this account",
            "Your account is currently being verified",
            "is not available for channel program accounts",
        ),
        code="account",
        advice="AWS refuses the account or its location itself; AWS Support can tell why",
        steps=(
            (
                "AWS itself does not let this account use the model or the operation. Open a case with AWS Support; "
                "new accounts and some countries are restricted."
            ),
        ),
    ),
    Entry(
        Layer.UNKNOWN,
        name="not said",
        fixable=None,
        steps=(
            "Read the message below and look up the record in CloudTrail by its event id.",
            (
                "If the call should work, find out which policy refused it: with aws iam simulate-principal-policy, "
                "or with GetRequestAuthorizationDetails where the message gives an authorization id."
            ),
        ),
    ),
)
LAYERS: Final = by_layer(_ENTRIES)
"""Every layer. Of two whose `refusals` a message holds, the first is the one that refused."""

PHRASES: Final = {entry.phrase: entry.layer for entry in LAYERS.values() if entry.phrase}
"""How refusals call the layers of policies."""

REFUSALS: Final = tuple((words, entry.layer) for entry in LAYERS.values() for words in entry.refusals)
"""The words of refusals that no policy explains, in the order in which they are looked for."""
