"""Remedies: the texts for what to do next, by the layer that refused."""

from collections.abc import Mapping
from typing import Final

from bedrock_remediator.core.denial import Layer

Steps = tuple[str, ...]
"""What to do, a sentence or a few for each step."""

BY_LAYER: Final[Mapping[Layer, Steps]] = {
    Layer.IDENTITY: (
        (
            "A policy of the principal itself denies the call. An Allow never beats a Deny, so no grant can help: "
            "whoever owns that policy has to narrow or remove the Deny, if the call is meant to work."
        ),
    ),
    Layer.RESOURCE: (
        "Ask the owner of the called resource to allow this principal in the resource's own policy.",
        "After that, the next denial of the call is looked at anew.",
    ),
    Layer.BOUNDARY: (
        (
            "The principal's permissions boundary has to allow the actions on all the ARNs of the profile. Ask the "
            "team that owns the boundary; a grant beside the boundary has no effect."
        ),
    ),
    Layer.SESSION: (
        (
            "The role was assumed with a session policy that does not allow the call. Change the program or the tool "
            "that calls AssumeRole: leave the session policy away, or add the actions to it. The role itself needs no "
            "change."
        ),
    ),
    Layer.SCP: (
        (
            "An administrator of the AWS organization has to change the service control policy. No policy of this "
            "account can override it."
        ),
        (
            "Where the policy restricts regions (aws:RequestedRegion): an inference profile needs its source region "
            "and every destination region allowed, and a global profile also needs the value 'unspecified'."
        ),
    ),
    Layer.RCP: (
        (
            "An administrator of the AWS organization has to change the resource control policy. No policy of this "
            "account can override it."
        ),
    ),
    Layer.VPC_ENDPOINT: (
        "The policy of the VPC endpoint for bedrock-runtime has to allow the call. Ask the team that owns the VPC.",
    ),
    Layer.ROLE_TRUST: ("Change the trust policy of the role: it decides who may assume it.",),
    Layer.MODEL_ACCESS: (
        (
            "Permissions are not the matter: the account has no access to the model. Open the Amazon Bedrock console "
            "in the region of the call, choose the model in the model catalog and request access; Anthropic's models "
            "also ask for use case details once an account."
        ),
        "Access can take some minutes to reach every region. After that the call works without any change in IAM.",
    ),
    Layer.MARKETPLACE: (
        (
            "The model is sold through AWS Marketplace. Let somebody with aws-marketplace:ViewSubscriptions and "
            "aws-marketplace:Subscribe call the model once in this account; after that, nobody else needs those rights."
        ),
        (
            "Check that the account has a valid payment method, and try again after a few minutes: a fresh "
            "subscription takes that long."
        ),
    ),
    Layer.ACCOUNT: (
        (
            "AWS itself does not let this account use the model or the operation. Open a case with AWS Support; new "
            "accounts and some countries are restricted."
        ),
    ),
    Layer.API_KEY: (
        (
            "The call was made with an Amazon Bedrock API key whose owner lacks bedrock:CallWithBearerToken. API keys "
            "are outside of what this service grants: an administrator decides whether they may be used at all."
        ),
    ),
    Layer.LEGACY: (
        (
            "The model's provider has retired it, or keeps it for recent users only. Move the client to an active "
            "model; no permission brings this one back."
        ),
    ),
    Layer.UNKNOWN: (
        "Read the message below and look up the record in CloudTrail by its event id.",
        (
            "If the call should work, find out which policy refused it: with aws iam simulate-principal-policy, or "
            "with GetRequestAuthorizationDetails where the message gives an authorization id."
        ),
    ),
}
