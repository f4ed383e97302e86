"""What a person decides about a grant: what may be decided, and what becomes of the row.

    pending --approve--> approved      failed --approve--> approved      active --extend--> approved, with another end
       +------reject---> rejected                                          +------revoke--> revoking

Nothing here asks who somebody is: an `Approver` is what a way in (link, sign-in, API, Slack) has made sure of.
"""

import enum
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from bedrock_remediator.core import lengths
from bedrock_remediator.core.approvers import Approver, one_line, own_request, seems_own
from bedrock_remediator.core.grant import Grant, Outcome, State
from bedrock_remediator.core.opening import cool_down
from bedrock_remediator.core.usage import counts_requests

_REASON_LENGTH: Final = 500
_SEEMS_OWN: Final = "(The name that was typed is like that of the caller who was denied.)"


class Verb(enum.StrEnum):
    """What a person can do."""

    APPROVE = "approve"
    REJECT = "reject"
    REVOKE = "revoke"
    EXTEND = "extend"


_POSSIBLE: Final[Mapping[State, frozenset[Verb]]] = {
    State.PENDING: frozenset({Verb.APPROVE, Verb.REJECT}),
    State.FAILED: frozenset({Verb.APPROVE}),
    State.ACTIVE: frozenset({Verb.REVOKE, Verb.EXTEND}),
}
GRANTING: Final = frozenset({Verb.APPROVE, Verb.EXTEND})
"""What makes a grant, or makes it last: both name a length."""

MOST_LISTED: Final = 200
"""How many requests of a state are listed at once, on one page."""

REVOKE_ALL: Final = "revoke_all"
"""The word by which pages and programs ask to revoke every grant of a principal at once, each by `Verb.REVOKE`."""

REJECT_ALL: Final = "reject_all"
"""The same for every request of a principal that waits, each by `Verb.REJECT`."""


class Answer(Struct, frozen=True, kw_only=True):
    """What a person decides.

    `version` is that of the row that the person looked at. `length` is how long the grant shall last from now, None
    for no end; only approving and extending ask for it.
    """

    verb: Verb
    version: int
    approver: Approver
    reason: str | None = None
    length: timedelta | None = None


class Terms(Struct, frozen=True, kw_only=True):
    """What the stack allows people: `longest` length of a grant (None: no maximum), and whether it grants at all.

    `paused` and `observing` are the parameters Paused and Mode: what was approved meanwhile would only come back.
    """

    longest: timedelta | None
    paused: bool = False
    observing: bool = False


class Refusal(enum.StrEnum):
    """Why a decision is not accepted."""

    OWN_REQUEST = "own_request"
    TOO_LONG = "too_long"
    PAUSED = "paused"
    OBSERVING = "observing"
    NOTHING_TO_GRANT = "nothing_to_grant"
    OLD_LINK = "old_link"
    NOT_POSSIBLE = "not_possible"


_REFUSALS: Final[Mapping[Refusal, str]] = {
    Refusal.OWN_REQUEST: "Nobody may approve access for themselves. Ask another approver.",
    Refusal.TOO_LONG: "A grant of this stack may not last so long. Choose a shorter time.",
    Refusal.PAUSED: "Grants are paused for the whole stack, so nothing can be approved now. The request stays open.",
    Refusal.OBSERVING: "The stack only observes, so nothing can be approved now.",
    Refusal.NOTHING_TO_GRANT: "There is no principal or resource that this request could grant anything on.",
    Refusal.OLD_LINK: (
        "This link was made for an earlier version of the request. By it a grant can be taken back, and nothing else. "
        "Let the approvers be sent a new link."
    ),
    Refusal.NOT_POSSIBLE: "That cannot be done to a grant in this state.",
}


class NotAllowedError(Exception):
    """The decision is not accepted: `why` in a word, `reason` in a sentence for the person."""

    def __init__(self, why: Refusal) -> None:
        self.why = why
        self.reason = _REFUSALS[why]
        super().__init__(f"{why}: {self.reason}")


class StaleError(Exception):
    """The person looked at another version of the row than the one that there is."""


def possible(grant: Grant) -> frozenset[Verb]:
    """What people may do with a row as it stands."""
    verbs = _POSSIBLE.get(grant.state, frozenset())
    if counts_requests(grant):
        verbs -= GRANTING
    # What is kept while something else is asked for in its place ends as it is, or is replaced.
    return verbs - {Verb.EXTEND} if grant.kept else verbs


def decide(grant: Grant, answer: Answer, terms: Terms, now: datetime) -> Grant:
    """The row after a person's decision, one version higher; an approved one still lacks its signature.

    Raises:
        StaleError: The answer is about another version of the row.
        NotAllowedError: The decision is not accepted.
    """
    return _DECISIONS[answer.verb](grant, answer, terms, now)


def approve(grant: Grant, answer: Answer, terms: Terms, now: datetime) -> Grant:
    """Approve a request, or again a grant that failed. Raises as `decide`."""
    _require(grant, answer, Verb.APPROVE, terms)
    after = _granted(grant, answer, now, f"Approved, to last {lengths.words(answer.length)}.")
    if grant.state is State.PENDING:
        return after
    reason = "It could not be granted before, and a person has approved it again."
    return replace(after, reason_code="approved_again", reason=reason)


def extend(grant: Grant, answer: Answer, terms: Terms, now: datetime) -> Grant:
    """Give a standing grant another end, counted from now. Raises as `decide`."""
    _require(grant, answer, Verb.EXTEND, terms)
    return _granted(grant, answer, now, f"Approved anew, to last {lengths.words(answer.length)}.")


def reject(grant: Grant, answer: Answer, terms: Terms, now: datetime) -> Grant:
    """Reject a request; its repeats only count for a while. Raises as `decide`."""
    _require(grant, answer, Verb.REJECT, terms)
    rest = cool_down(grant.cool_downs, now)
    return _decided(grant, State.REJECTED, answer, now, "Rejected.", cool_down_until=rest)


def revoke(grant: Grant, answer: Answer, terms: Terms, now: datetime) -> Grant:
    """Take a standing grant back. Raises as `decide`."""
    _require(grant, answer, Verb.REVOKE, terms)
    return _decided(grant, State.REVOKING, answer, now, "To be revoked.")


_DECISIONS: Final = {Verb.APPROVE: approve, Verb.REJECT: reject, Verb.REVOKE: revoke, Verb.EXTEND: extend}


def _require(grant: Grant, answer: Answer, verb: Verb, terms: Terms) -> None:
    if answer.version != grant.version:
        raise StaleError(f"version {answer.version}, not {grant.version}")
    if verb not in possible(grant):
        raise NotAllowedError(Refusal.NOT_POSSIBLE)
    if verb in GRANTING:
        _require_granting(grant, answer, terms)


def _require_granting(grant: Grant, answer: Answer, terms: Terms) -> None:
    hindrances = (
        (Refusal.NOTHING_TO_GRANT, not grant.resources or None in (grant.principal, grant.principal_id)),
        (Refusal.OWN_REQUEST, own_request(answer.approver, grant)),
        (Refusal.PAUSED, terms.paused),
        (Refusal.OBSERVING, terms.observing),
        (Refusal.TOO_LONG, not lengths.allowed(answer.length, terms.longest)),
    )
    for why, stands in hindrances:
        if stands:
            raise NotAllowedError(why)


def _granted(grant: Grant, answer: Answer, now: datetime, done: str) -> Grant:
    """Approved by a person, so no rule stands behind it any more: remediation asks for the signature."""
    if seems_own(answer.approver, grant):
        answer = replace(answer, reason=f"{_SEEMS_OWN} {answer.reason or ''}")
    return _decided(
        grant,
        State.APPROVED,
        answer,
        now,
        done,
        decision=Outcome.ASK,
        rule=None,
        grant_seconds=int(answer.length.total_seconds()) if answer.length else None,
        expires_at=now + answer.length if answer.length else None,
        cool_down_until=None,
    )


def _decided(grant: Grant, to: State, answer: Answer, now: datetime, done: str, **changes: Any) -> Grant:
    reason = one_line(answer.reason or "", _REASON_LENGTH) or None
    return grant.moved(
        to,
        at=now,
        by=answer.approver.name,
        reason=f"{done} {reason}" if reason else done,
        decided_by=answer.approver.name,
        decided_at=now,
        decided_via=answer.approver.via,
        decided_version=grant.version + 1,
        decision_reason=reason,
        approval=None,
        **changes,
    )
