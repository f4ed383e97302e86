"""Wording: what an e-mail calls each occasion and diagnosis."""

from collections.abc import Mapping
from typing import Final

from bedrock_remediator.core.grant import DiagnosisKind, State
from bedrock_remediator.core.layers import Effect
from bedrock_remediator.notices.notice import Occasion

OUTCOMES: Final[Mapping[Occasion, str]] = {
    Occasion.REQUESTED: "A grant would repair it, and waits for a person's decision.",
    Occasion.GRANTED: "The missing permissions have been added.",
    Occasion.ROLLED_BACK: "A grant was tried, did not help, and was taken back.",
    Occasion.FAILED: "A grant was meant to repair it, and could not be applied.",
    Occasion.ADVICE: "Nothing was changed; the steps below say who can help.",
    Occasion.ALERT: "Nothing was granted, and nothing will be.",
    Occasion.REJECTED: "The request was rejected; nothing was granted.",
    Occasion.LAPSED: "The request has lapsed; nothing was granted.",
    Occasion.REVOKED: "The permissions that were added have been taken away again.",
    Occasion.REMINDED: "A grant would repair it, and still waits for a person's decision.",
    Occasion.LINK: "Somebody who has an expired link to it has asked for a new one, which is below.",
    Occasion.DRIFTED: "It was granted, AWS no longer shows it as it was granted, and nothing was changed.",
}

GRANTS: Final[Mapping[str, str]] = {
    "policy_drifted": "Its policy was not as granted any more, and has been put right.",
    "models_changed": "AWS routes the profile to more models now, and the rule's grant has been brought up to date.",
}
"""Better words for some grants, by their reason code."""

REPORTS: Final[Mapping[str, str]] = {
    "mode_observe": "Nothing was changed: the stack only observes.",
    "rule_never": "Nothing was changed: a rule says never.",
    "already_allowed": "Nothing was changed, and probably nothing needs to be.",
    "denied_despite_grant": "Nothing was changed: the grant stands, and was not enough.",
}
"""Better words for some reports, by their reason code."""

REQUESTS: Final[Mapping[DiagnosisKind, str]] = {
    DiagnosisKind.CONDITIONAL_ALLOW: (
        "A condition in its policies stands in the way: look at it before anything is granted."
    ),
    DiagnosisKind.WRONG_IDENTIFIER: (
        "Another id of the same model is granted already: change the client, or grant this one too."
    ),
}
"""Better words for some requests, by their diagnosis."""

DIAGNOSES: Final[Mapping[DiagnosisKind, str]] = {
    DiagnosisKind.MISSING_GRANT: "permissions are missing",
    DiagnosisKind.ALREADY_ALLOWED: "its policies allow the call already",
    DiagnosisKind.CONDITIONAL_ALLOW: "a condition in its policies stands in the way",
    DiagnosisKind.WRONG_IDENTIFIER: "the client uses another model id than it should",
    DiagnosisKind.NOT_FIXABLE: "no grant of this service can help",
    DiagnosisKind.LEAKED_KEY: "an access key has leaked",
    DiagnosisKind.UNKNOWN: "not understood, so nothing is granted",
}

EFFECTS: Final = {Effect.IMPLICIT: " (no Allow)", Effect.EXPLICIT: " (explicit Deny)"}

PLAN_TITLES: Final[Mapping[Occasion, str]] = {
    Occasion.REQUESTED: "The policy before and after, if you grant it",
    Occasion.REMINDED: "The policy before and after, if you grant it",
    Occasion.ADVICE: "The policy before and after, if it were granted",
}

GRANT_TITLES: Final[Mapping[State, str]] = {
    State.PENDING: "What would be granted",
    State.REPORTED: "What would be granted",
    State.ACTIVE: "What is granted",
    State.REVOKED: "What was taken away",
}

CALLER_LABELS: Final = {
    "session": "Session",
    "user_agent": "User agent",
    "model_id": "Model id",
    "message": "Message",
}
