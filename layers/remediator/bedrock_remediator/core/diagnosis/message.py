"""What the message alone decides, without a single call."""

from typing import Final

from bedrock_remediator.core.denial import Caller, Denial, Effect, Layer, Unreadable
from bedrock_remediator.core.diagnosis import Diagnosis, not_fixable
from bedrock_remediator.core.grant import DiagnosisKind
from bedrock_remediator.core.layers import LAYERS
from bedrock_remediator.core.policy_grammar import INVOKE_ACTIONS

QUARANTINE: Final = frozenset(
    {"AWSCompromisedKeyQuarantine", "AWSCompromisedKeyQuarantineV2", "AWSCompromisedKeyQuarantineV3"}
)
"""AWS managed policies that AWS attaches to a principal whose access key was found in public."""


def from_unreadable(record: Unreadable) -> Diagnosis:
    """What cannot be read is recorded, and never granted."""
    return Diagnosis(kind=DiagnosisKind.UNKNOWN, code=record.code, reason=record.reason, layer=Layer.UNKNOWN)


def from_message(denial: Denial) -> Diagnosis | None:
    """What the message alone decides: leaked keys, layers and refusals that no identity policy can put right."""
    if denial.policy_arn and is_quarantine(denial):
        return quarantined(denial.caller, denial.policy_arn)
    layer = LAYERS[denial.layer]
    if layer.fixable is False:
        return not_fixable(denial, layer.code, f"No identity policy can help: {layer.advice}.")
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


def is_quarantine(denial: Denial) -> bool:
    """Whether the message names the policy by which AWS blocks a leaked key."""
    return denial.policy_arn is not None and denial.policy_arn.rpartition("/")[2] in QUARANTINE


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
