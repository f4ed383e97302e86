"""A notice: which change of a grant people hear of, on which topic, and how urgent it is."""

import enum
import hashlib
import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Final

from msgspec import Struct

from bedrock_remediator.core.arn import ArnError, BedrockResource, Principal
from bedrock_remediator.core.grant import DiagnosisKind, Event, Grant, State
from bedrock_remediator.core.usage import is_alert
from bedrock_remediator.core.waiting import failed_again, link_asked, remark_of, reminded
from bedrock_remediator.notices.snippets import Snippets


class Occasion(enum.StrEnum):
    """What a notice is about."""

    REQUESTED = "requested"
    REMINDED = "reminded"
    GRANTED = "granted"
    ROLLED_BACK = "rolled_back"
    FAILED = "failed"
    ADVICE = "advice"
    ALERT = "alert"
    REJECTED = "rejected"
    LAPSED = "lapsed"
    REVOKED = "revoked"
    DRIFTED = "drifted"
    LINK = "link"


class Severity(enum.StrEnum):
    """Whether somebody has to do something: no, yes, or at once."""

    INFO = "info"
    ACTION = "action"
    ALERT = "alert"


class Audience(enum.StrEnum):
    """Which topic it goes to: the people who may approve, or everybody who wants to know."""

    APPROVALS = "approvals"
    NOTICES = "notices"


OCCASIONS: Final[Mapping[State, Occasion]] = {
    State.PENDING: Occasion.REQUESTED,
    State.ACTIVE: Occasion.GRANTED,
    State.ROLLED_BACK: Occasion.ROLLED_BACK,
    State.FAILED: Occasion.FAILED,
    State.REPORTED: Occasion.ADVICE,
    State.REJECTED: Occasion.REJECTED,
    State.LAPSED: Occasion.LAPSED,
    State.REVOKED: Occasion.REVOKED,
}
"""The states that people hear of; `approved`, `applying` and `revoking` pass by silently."""

ASKING: Final = frozenset({Occasion.REQUESTED, Occasion.REMINDED})
"""A person is to decide."""

FOR_APPROVERS: Final = ASKING | {Occasion.LINK}
"""What goes to the people who may approve, with a link by which they can act."""

FOLDABLE: Final = frozenset(Occasion) - FOR_APPROVERS - {Occasion.ALERT}
"""What a digest may tell of in place of single notices, in a storm of them."""

ALERTING: Final = frozenset(
    {"identity_mismatch", "approval_unverified", "approval_used", "row_inconsistent", "allowlist_incomplete", "probing"}
)
"""Reasons that point at an attack or at a guard that is down, whatever the state."""

QUIET: Final = frozenset({"mode_observe", "rule_never", "principal_missing", "principal_recreated"})
"""Advice on what was wanted so, or is over: nobody has to do anything."""

_SEVERITIES: Final[Mapping[Occasion, Severity]] = {
    Occasion.REQUESTED: Severity.ACTION,
    Occasion.REMINDED: Severity.ACTION,
    Occasion.DRIFTED: Severity.ACTION,
    Occasion.ROLLED_BACK: Severity.ACTION,
    Occasion.FAILED: Severity.ACTION,
    Occasion.ADVICE: Severity.ACTION,
    Occasion.ALERT: Severity.ALERT,
}


_CALLER_KEY = re.compile(r"account/\d+/([A-Za-z]+)/")


class Denials(Struct, frozen=True, kw_only=True):
    """How often the call was denied, copies of an event not counted, and from when to when."""

    count: int
    first_at: datetime
    last_at: datetime


class Plan(Struct, frozen=True, kw_only=True):
    """What a policy would say: the principal's whole compiled policy without and with the grant, and the grant alone.

    `own` is the grant alone, `snippets` the same for a person to paste: None where nobody should.
    """

    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    own: tuple[str, ...] = ()
    snippets: Snippets | None = None

    @property
    def actions(self) -> tuple[str, ...]:
        """The actions that the grant alone allows."""
        statements = (statement for text in self.own for statement in json.loads(text)["Statement"])
        return tuple(sorted({action for statement in statements for action in _listed(statement["Action"])}))


class Notice(Struct, frozen=True, kw_only=True):
    """All that a message is made from.

    `strategy` is where the stack writes grants (`managed`, `inline`, `in-place`). `lapses_at` is until when a
    person may decide. `may_be_duplicate` says that an earlier try may have got through, `more_folded` that this is the
    last one in its hour: what follows is told in a digest.

    `link` leads to the page where the request can be decided, and may let whoever has it decide: only the approvers'
    e-mail holds it. `page` leads there too, only to look, and may stand where others read along.
    """

    grant: Grant
    occasion: Occasion
    denials: Denials | None = None
    plan: Plan = Plan()
    strategy: str = "managed"
    lapses_at: datetime | None = None
    link: str | None = None
    page: str | None = None
    may_be_duplicate: bool = False
    more_folded: bool = False

    @property
    def audience(self) -> Audience:
        """Which topic it goes to."""
        return Audience.APPROVALS if self.occasion in FOR_APPROVERS else Audience.NOTICES

    @property
    def severity(self) -> Severity:
        """Whether somebody has to do something."""
        if self.grant.reason_code in ALERTING:
            return Severity.ALERT
        if self.occasion is Occasion.ADVICE and _expected(self.grant):
            return Severity.INFO
        return _SEVERITIES.get(self.occasion, Severity.INFO)

    @property
    def foldable(self) -> bool:
        """Whether a digest may tell of it instead, where there are too many: no request, and no alert."""
        return self.occasion in FOLDABLE and self.severity is not Severity.ALERT

    @property
    def of_one(self) -> str | None:
        """Who set it off, where anybody can set off any number: of one such caller only so many are sent in an hour.

        Callers that no policy could be attached to choose their own names: all of an account are one, for each reason.
        """
        if self.occasion not in (Occasion.ADVICE, Occasion.ALERT):
            return None
        grant = self.grant
        who_called = grant.pk if grant.principal else f"account/{grant.account}/{grant.reason_code}"
        return f"{self.occasion}#{grant.reason_code if self.occasion is Occasion.ALERT else ''}#{who_called}"

    @property
    def in_place(self) -> bool:
        """Whether the ARNs go, or went, into the principal's own policy: without condition and without end there."""
        return (self.grant.written.strategy if self.grant.written else self.strategy) == "in-place"

    @property
    def request_id(self) -> str:
        """A name for this version of the row that is safe everywhere and grants nothing."""
        return request_id(self.grant)


def occasion(grant: Grant) -> Occasion | None:
    """What the grant's state, or what was noted about it, is an occasion for; None where nobody is told."""
    if _unremarkable(grant):
        return None
    if reminded(grant):
        return Occasion.REMINDED
    if grant.state is State.ACTIVE and remark_of(grant):
        return Occasion.DRIFTED
    if grant.state is State.REPORTED and is_alert(grant.diagnosis, grant.reason_code):
        return Occasion.ALERT
    return OCCASIONS.get(grant.state)


def occasions(grant: Grant) -> tuple[Occasion, ...]:
    """All that people are told of a row as it stands: what it is an occasion for, and the link that was asked for."""
    stands = occasion(grant)
    return (*((stands,) if stands else ()), *((Occasion.LINK,) if link_asked(grant) else ()))


def request_id(grant: Grant) -> str:
    """A digest of the row's key and version, 32 hexadecimal digits."""
    key = "\0".join((grant.pk, grant.sk, str(grant.version)))
    return hashlib.sha256(key.encode(errors="backslashreplace")).hexdigest()[:32]


def who(grant: Grant) -> str:
    """The principal in a few words: `role llm-app`, or the type of the caller where there is no role or user.

    The caller's id stays out of it, since it may hold the name of the session, which the caller wrote.
    """
    try:
        principal = Principal.parse(grant.principal or "")
    except ArnError:
        found = _CALLER_KEY.match(grant.pk)
        return f"caller of type {found[1]}" if found else "unknown caller"
    return f"{principal.kind} {principal.name}"


def account(grant: Grant) -> str:
    """The account's id, and what Organizations calls it, where that is known."""
    name = grant.account_name
    return grant.account if name in (None, grant.account) else f"{grant.account} ({name})"


def target(grant: Grant) -> str | None:
    """What was called, as AWS confirmed it: the profile's id, or the model's; None where nothing is confirmed."""
    confirmed = grant.profile or next(iter(grant.resources), None)
    if confirmed is None:
        return None
    try:
        return BedrockResource.parse(confirmed).id
    except ArnError:
        return None


def last_step(grant: Grant) -> Event | None:
    """The change that led to the state, with who made it and why; None for a row that is as it was opened."""
    return grant.history[-1] if len(grant.history) > 1 else None


def _unremarkable(grant: Grant) -> bool:
    """Whether people know it already: what is kept, or gives way to another grant; what failed again in passing."""
    kept = grant.kept and (grant.state is State.ACTIVE or grant.reason_code == "replaced")
    return kept or failed_again(grant)


def _listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def _expected(grant: Grant) -> bool:
    return grant.reason_code in QUIET or grant.diagnosis is DiagnosisKind.ALREADY_ALLOWED
