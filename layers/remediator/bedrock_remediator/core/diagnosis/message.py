"""What the message alone decides, without a single call."""

from typing import Final

from bedrock_remediator.core.denial import Caller, Denial, Effect, Layer, Unreadable
from bedrock_remediator.core.diagnosis import Diagnosis, not_fixable
from bedrock_remediator.core.grant import DiagnosisKind
from bedrock_remediator.core.policy_grammar import INVOKE_ACTIONS

QUARANTINE: Final = frozenset(
    {"AWSCompromisedKeyQuarantine", "AWSCompromisedKeyQuarantineV2", "AWSCompromisedKeyQuarantineV3"}
)
"""AWS managed policies that AWS attaches to a principal whose access key was found in public."""

_LAYER_ADVICE: Final = {
    Layer.SCP: (
        "scp",
        "a service control policy of the organization denies it; only its administrators can change that",
    ),
    Layer.RCP: (
        "rcp",
        "a resource control policy of the organization denies it; only its administrators can change that",
    ),
    Layer.BOUNDARY: ("boundary", "the principal's permissions boundary does not allow it, and no policy can exceed it"),
    Layer.SESSION: ("session_policy", "the session policy given when the role was assumed does not allow it"),
    Layer.VPC_ENDPOINT: ("vpc_endpoint", "the policy of the VPC endpoint that the call went through does not allow it"),
    Layer.RESOURCE: (
        "resource_policy",
        "a resource-based policy does not allow it; the resource's owner can change that",
    ),
    Layer.ROLE_TRUST: ("role_trust", "a role's trust policy does not allow it"),
    Layer.MODEL_ACCESS: (
        "model_access",
        "the account has no access to the model; it is requested in the Bedrock console",
    ),
    Layer.MARKETPLACE: (
        "marketplace",
        "the account's Marketplace subscription to the model is missing or unfinished; after a change, wait a little",
    ),
    Layer.ACCOUNT: ("account", "AWS refuses the account or its location itself; AWS Support can tell why"),
    Layer.API_KEY: ("api_key", "a Bedrock API key needs bedrock:CallWithBearerToken, which this service never grants"),
    Layer.LEGACY: ("legacy_model", "the provider has marked the model as legacy; move to a current model"),
}


def from_unreadable(record: Unreadable) -> Diagnosis:
    """What cannot be read is recorded, and never granted."""
    return Diagnosis(kind=DiagnosisKind.UNKNOWN, code=record.code, reason=record.reason, layer=Layer.UNKNOWN)


def from_message(denial: Denial) -> Diagnosis | None:
    """What the message alone decides: leaked keys, layers and refusals that no identity policy can put right."""
    if denial.policy_arn and denial.policy_arn.rpartition("/")[2] in QUARANTINE:
        return quarantined(denial.caller, denial.policy_arn)
    if advice := _LAYER_ADVICE.get(denial.layer):
        code, reason = advice
        return not_fixable(denial, code, f"No identity policy can help: {reason}.")
    if denial.effect is Effect.EXPLICIT:
        where = f" ({denial.policy_arn})" if denial.policy_arn else ""
        which = (
            "an identity-based policy" if denial.layer is Layer.IDENTITY else "a policy that the message does not name"
        )
        reason = f"An explicit deny in {which}{where} forbids it, and a deny wins over any grant."
        return not_fixable(denial, "explicit_deny", reason)
    if denial.action not in INVOKE_ACTIONS:
        reason = f"{denial.action} is not one of the actions that this service grants."
        return not_fixable(denial, "other_action", reason)
    return None


def quarantined(caller: Caller, policy: str) -> Diagnosis:
    """A leaked key: an alert, and never a request."""
    return Diagnosis(
        kind=DiagnosisKind.LEAKED_KEY,
        code="quarantined",
        reason=f"AWS has quarantined {_who(caller)} ({policy}) because an access key of it was found in public. "
        "Treat its keys as stolen: rotate them, and look at what they were used for.",
        layer=Layer.IDENTITY,
    )


def _who(caller: Caller) -> str:
    return f"{caller.principal.kind} {caller.principal.name}" if caller.principal else f"a caller of type {caller.type}"
