"""Wording: what the page calls each state, each step and each choice."""

from collections.abc import Mapping
from typing import Final

from bedrock_remediator.core.grant import DiagnosisKind, State

PILLS: Final[Mapping[State, str]] = {
    State.PENDING: "Waiting for a decision",
    State.APPROVED: "Approved, about to be applied",
    State.APPLYING: "Being applied",
    State.ACTIVE: "Granted",
    State.REVOKING: "Being taken back",
    State.REVOKED: "Taken back",
    State.REJECTED: "Rejected",
    State.LAPSED: "Lapsed",
    State.ROLLED_BACK: "Rolled back",
    State.FAILED: "Could not be applied",
    State.REPORTED: "Nothing to grant",
}

TONES: Final[Mapping[State, str]] = {
    State.PENDING: "wait",
    State.APPROVED: "wait",
    State.APPLYING: "wait",
    State.ACTIVE: "good",
    State.REVOKING: "wait",
    State.ROLLED_BACK: "bad",
    State.FAILED: "bad",
}
"""The colour of the state; the others are plain."""

OUTCOMES: Final[Mapping[State, str]] = {
    State.APPROVED: "Approved. IAM is changed within a minute or so; look again then.",
    State.APPLYING: "Approved. IAM is being changed and the result verified at this moment; look again in a minute.",
    State.ACTIVE: "The missing permissions are in place.",
    State.REVOKING: "The permissions are being taken away at this moment; look again in a minute.",
    State.REVOKED: "The permissions that were added have been taken away again.",
    State.REJECTED: "Nothing was granted.",
    State.LAPSED: "Nobody decided in time, or the decision came too late. Nothing was granted.",
    State.ROLLED_BACK: "A grant was tried, certainly did not help, and was taken back.",
    State.FAILED: "It was approved and could not be applied. Nothing was granted.",
    State.REPORTED: "A grant would not help here, so nobody is asked for one.",
}

OUTCOMES_BY_CODE: Final[Mapping[tuple[State, str], str]] = {
    (State.REJECTED, "rule_never"): "A rule of the allowlist has come to say never. Nothing was granted.",
    (State.LAPSED, "mode_observe"): "The stack only observes by now, so nobody is asked any more. Nothing was granted.",
    (State.LAPSED, "principal_not_grantable"): (
        "This service may not change the principal any more, so nobody is asked. Nothing was granted."
    ),
    (State.LAPSED, "expired"): "The grant would have ended before it was applied. Nothing was granted.",
}
"""Better words for some ends, by their reason code."""

RELATIONS: Final[Mapping[State, str]] = {
    State.APPROVED: "will be allowed to call",
    State.APPLYING: "will be allowed to call",
    State.ACTIVE: "may call",
    State.REVOKING: "will no longer be allowed to call",
    State.REVOKED: "may no longer call",
}
"""What stands between the principal and the model in the headline; for all others, that it asked."""

ASKED: Final = "asked to call"

STEPS: Final[Mapping[State, str]] = {
    State.PENDING: "Asked for",
    State.APPROVED: "Approved",
    State.APPLYING: "IAM is changed",
    State.ACTIVE: "In effect",
    State.REVOKING: "To be taken back",
    State.REVOKED: "Taken back",
    State.REJECTED: "Rejected",
    State.LAPSED: "Lapsed",
    State.ROLLED_BACK: "Rolled back",
    State.FAILED: "Failed",
    State.REPORTED: "Reported",
}

IN_MOTION: Final = frozenset({State.APPROVED, State.APPLYING, State.REVOKING})
"""States that pass by themselves: the page says to look again."""

BRIEFLY: Final[Mapping[DiagnosisKind, str]] = {
    DiagnosisKind.MISSING_GRANT: "Its policies do not allow all that this call needs.",
    DiagnosisKind.CONDITIONAL_ALLOW: "A condition in its policies stands in the way of this call.",
    DiagnosisKind.WRONG_IDENTIFIER: "It may call the same model under another id already.",
    DiagnosisKind.ALREADY_ALLOWED: "Its policies allow the call already.",
    DiagnosisKind.NOT_FIXABLE: "No grant can help: something else refuses the call.",
    DiagnosisKind.LEAKED_KEY: "An access key of it has leaked.",
    DiagnosisKind.UNKNOWN: "Why could not be found out.",
}
"""The diagnosis in one sentence, under the headline."""

ACTIONS: Final[Mapping[str, str]] = {
    "bedrock:InvokeModel": "call the model",
    "bedrock:InvokeModelWithResponseStream": "call it and read the answer as a stream",
    "bedrock:UseInferenceProfile": "use the profile",
    "bedrock:GetFoundationModel": "read the model's description",
}
"""What an action lets the principal do."""
