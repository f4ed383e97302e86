"""What a subscriber sees before the text: the subject line, and the attributes to filter by."""

import re
from collections.abc import Mapping
from typing import Final

from bedrock_remediator.core.grant import DiagnosisKind
from bedrock_remediator.notices.notice import ASKING, Notice, Occasion, Severity, target, who

SUBJECT_LENGTH: Final = 99
"""SNS wants less than 100 characters of printable ASCII on one line."""

ATTRIBUTE_LENGTH: Final = 256
_SHORTEST_NAME: Final = 12
_LONGEST_ACCOUNT: Final = 24

_OPENINGS: Final[Mapping[Occasion, str]] = {
    Occasion.REQUESTED: "Bedrock access requested",
    Occasion.REMINDED: "Reminder: Bedrock access requested",
    Occasion.GRANTED: "Bedrock access granted",
    Occasion.ROLLED_BACK: "Bedrock access rolled back",
    Occasion.FAILED: "Bedrock access not granted",
    Occasion.ADVICE: "Bedrock access denied",
    Occasion.REJECTED: "Bedrock access rejected",
    Occasion.LAPSED: "Bedrock access request lapsed",
    Occasion.REVOKED: "Bedrock access revoked",
    Occasion.DRIFTED: "Bedrock access not as granted",
    Occasion.LINK: "New link, Bedrock access",
}

_ADVICE_OPENINGS: Final[Mapping[DiagnosisKind, str]] = {
    DiagnosisKind.ALREADY_ALLOWED: "Bedrock access already allowed",
    DiagnosisKind.CONDITIONAL_ALLOW: "Bedrock condition not met",
    DiagnosisKind.WRONG_IDENTIFIER: "Bedrock model id wrong",
    DiagnosisKind.NOT_FIXABLE: "Bedrock denial needs another fix",
    DiagnosisKind.UNKNOWN: "Bedrock denial not understood",
}

_CODE_OPENINGS: Final[Mapping[str, str]] = {
    "mode_observe": "Bedrock access would be granted",
    "denied_despite_grant": "Bedrock access granted, still denied",
    "too_many_targets": "Bedrock denials without end",
    "too_many_requests": "Bedrock access requested many times",
    "principal_missing": "Bedrock denial of a deleted principal",
    "principal_recreated": "Bedrock denial of a deleted principal",
    "policy_drifted": "Bedrock access restored",
    "models_changed": "Bedrock access brought up to date",
}


def headline(notice: Notice) -> str:
    """What happened, in a few words."""
    grant = notice.grant
    if notice.occasion is Occasion.ALERT:
        leaked = grant.diagnosis is DiagnosisKind.LEAKED_KEY
        return "ALERT: LEAKED AWS KEY, Bedrock denied" if leaked else "ALERT: suspicious Bedrock denial refused"
    opening = _OPENINGS[notice.occasion]
    if notice.occasion is Occasion.ADVICE:
        return _CODE_OPENINGS.get(grant.reason_code) or _ADVICE_OPENINGS.get(grant.diagnosis, opening)
    if notice.occasion is Occasion.GRANTED or notice.occasion in ASKING:
        opening = _CODE_OPENINGS.get(grant.reason_code, opening)
    if notice.occasion in ASKING and grant.diagnosis is DiagnosisKind.CONDITIONAL_ALLOW:
        opening = f"{opening}, condition unmet"
    return f"ALERT: {opening}" if notice.severity is Severity.ALERT else opening


def subject(notice: Notice) -> str:
    """What happened, to whom and where: one line of printable ASCII, shorter than 100 characters.

    The names give way first, longest first, then the line is cut.
    """
    grant = notice.grant
    opening = headline(notice)
    name, called, region = (_plain(part) for part in (who(grant), target(grant) or "", grant.region))
    # The service's own account goes without saying.
    member = _shortened(_plain(grant.account_name), _LONGEST_ACCOUNT) if grant.account_name else ""
    ending = f" ({', '.join(filter(None, (region, member)))})" if region or member else ""
    room = SUBJECT_LENGTH - len(opening) - len(": ") - len(ending) - (len(" -> ") if called else 0)
    name, called = _fitted(name, called, room)
    line = f"{opening}: {name}{' -> ' if called else ''}{called}{ending}"
    return line[:SUBJECT_LENGTH].rstrip()


def attributes(notice: Notice) -> dict[str, str]:
    """The message attributes that subscriptions filter by.

    Nine, because a queue with raw delivery takes ten at most; none is empty, because SNS takes no empty ones.
    """
    grant = notice.grant
    values = {
        "event": notice.occasion,
        "state": grant.state,
        "diagnosis": grant.diagnosis,
        "reason_code": grant.reason_code,
        "account": grant.account,
        "region": grant.region,
        "layer": grant.layer,
        "principal": grant.principal or grant.pk,
        "severity": notice.severity,
    }
    return {name: _plain(str(value))[:ATTRIBUTE_LENGTH] or "unknown" for name, value in values.items()}


def _plain(text: str) -> str:
    """What a subject or an attribute may hold, any other character replaced by a question mark."""
    return re.sub(r"[^A-Za-z0-9 ._:/@+=,()#>-]", "?", text)


def _fitted(name: str, called: str, room: int) -> tuple[str, str]:
    """Both cut in their middles to fit `room` characters together; what one does not need, the other may use."""
    half = max(room // 2, _SHORTEST_NAME)
    for_name = max(half, room - len(called))
    for_called = max(half, room - len(name))
    return _shortened(name, for_name), _shortened(called, for_called)


def _shortened(text: str, length: int) -> str:
    """The text without its middle: both ends of a name tell more than its beginning alone."""
    if len(text) <= length:
        return text
    tail = (length - 2) // 2
    return f"{text[: length - 2 - tail]}..{text[len(text) - tail :]}"
