"""What a person decides about a grant: what may be decided, by whom, and the statement that is signed.

    pending --approve--> approved      failed --approve--> approved      active --extend--> approved, with another end
       +------reject---> rejected                                          +------revoke--> revoking

Nothing here asks who somebody is: an `Approver` is what a way in (link, sign-in, API, Slack) has made sure of.
"""

import base64
import enum
import hashlib
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Self

import msgspec
from msgspec import Struct

from bedrock_remediator.core import lengths
from bedrock_remediator.core.arn import ArnError, AssumedRole, Principal
from bedrock_remediator.core.grant import Grant, Outcome, State, Via
from bedrock_remediator.core.opening import cool_down

_NAME_LENGTH: Final = 100
_REASON_LENGTH: Final = 500
_PURPOSE: Final = b"bedrock-access-remediator/approval/1:"

_UNFIT = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


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
_GRANTING: Final = frozenset({Verb.APPROVE, Verb.EXTEND})


class Approver(Struct, frozen=True, kw_only=True):
    """Who decides.

    `name` goes into the row as `decided_by`. `arn` is the IAM or STS ARN of the caller, where the way in tells it.
    `person` is the name by which somebody else's records may know the same person: a session's name, say.
    """

    name: str
    via: Via
    arn: str | None = None
    person: str | None = None

    @classmethod
    def by_link(cls, typed: str) -> Self:
        """Whoever holds the link, under the name that was typed.

        Raises:
            ValueError: No name was typed.
        """
        return cls(name=f"{_cleaned_name(typed)} (unverified)", via=Via.LINK)

    @classmethod
    def by_oidc(cls, name: str) -> Self:
        """Whom the identity provider has signed in, by the name or e-mail address that it gave.

        Raises:
            ValueError: There is no name.
        """
        name = _cleaned_name(name)
        return cls(name=name, via=Via.OIDC, person=name)

    @classmethod
    def by_api(cls, user_arn: str) -> Self:
        """Who signed a request to the API.

        Raises:
            ArnError: It is not the ARN of an IAM user or role or of a role's session.
        """
        if identity(user_arn) is None:
            raise ArnError(user_arn, "the ARN of a user, a role or a role's session")
        return cls(name=user_arn, via=Via.API, arn=user_arn, person=_session_person(user_arn))

    @classmethod
    def by_slack(cls, user_id: str) -> Self:
        """A user of Slack, by the id that Slack signed.

        Raises:
            ValueError: There is no id.
        """
        return cls(name=f"slack:{_cleaned_name(user_id)}", via=Via.SLACK)


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
    NOT_POSSIBLE = "not_possible"


_REFUSALS: Final[Mapping[Refusal, str]] = {
    Refusal.OWN_REQUEST: "Nobody may approve access for themselves. Ask another approver.",
    Refusal.TOO_LONG: "A grant of this stack may not last so long. Choose a shorter time.",
    Refusal.PAUSED: "Grants are paused for the whole stack, so nothing can be approved now. The request stays open.",
    Refusal.OBSERVING: "The stack only observes, so nothing can be approved now.",
    Refusal.NOTHING_TO_GRANT: "There is no principal or resource that this request could grant anything on.",
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
    return msgspec.structs.replace(after, reason_code="approved_again", reason=reason)


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


def own_request(approver: Approver, grant: Grant) -> bool:
    """Whether somebody would decide about access of their own, as far as the two can be compared.

    The principal itself, in a session or not, is the same; so is the person after whom the denied session is named,
    as Identity Center and most federations name sessions.
    """
    if approver.arn is not None and grant.principal is not None:
        caller = identity(approver.arn)
        if caller is not None and caller == identity(grant.principal):
            return True
    session = grant.sighting.session
    return approver.person is not None and session is not None and approver.person.casefold() == session.casefold()


def may_approve(user_arn: str, roles: Iterable[str]) -> bool:
    """Whether a caller of the API is in a session of one of these roles.

    A session's ARN does not tell the role's path, and an account has no two roles of one name: paths do not count.
    """
    caller = identity(user_arn)
    return caller is not None and any(caller == identity(role) for role in roles)


def identity(arn: str) -> tuple[str, str, str, str] | None:
    """The role or user behind an ARN, that of a session included: (partition, account, kind, name); None for others."""
    try:
        principal = Principal.parse(arn)
    except ArnError:
        pass
    else:
        return principal.partition, principal.account, principal.kind, principal.name
    try:
        session = AssumedRole.parse(arn)
    except ArnError:
        return None
    return session.partition, session.account, "role", session.role


def statement(grant: Grant) -> bytes:
    """What a person has approved, as canonical JSON: the same for the row in every state that follows.

    Whatever of it changes later makes the signature void: the key, the version that was approved, the principal's
    id, the actions, the ARNs, the end, and who approved it when. A grant that is kept while its row asks for something
    else is still the one that was approved under the row's key.
    """
    fields = {
        "v": 1,
        "pk": grant.pk,
        "sk": grant.kept_for or grant.sk,
        "version": grant.decided_version,
        "principal_id": grant.principal_id,
        "actions": sorted(grant.actions),
        "resources": sorted(grant.resources),
        "profile": grant.profile,
        "expires_at": _moment(grant.expires_at),
        "approver": grant.decided_by,
        "via": grant.decided_via,
        "decided_at": _moment(grant.decided_at),
    }
    return msgspec.json.encode(fields, order="sorted")


def signable(grant: Grant) -> bytes:
    """What the signature is made of: the digest of the statement, since KMS takes no more than 4,096 bytes."""
    return _PURPOSE + hashlib.sha256(statement(grant)).hexdigest().encode()


def signed(grant: Grant, signature: bytes) -> Grant:
    """The approved row with its signature."""
    return msgspec.structs.replace(grant, approval=base64.b64encode(signature).decode())


def signature(grant: Grant) -> bytes | None:
    """The signature of an approved row; None for a row that cannot have one."""
    whole = None not in (grant.approval, grant.decided_by, grant.decided_at, grant.decided_via, grant.decided_version)
    if not whole or not 1 <= (grant.decided_version or 0) <= grant.version:
        return None
    try:
        return base64.b64decode(grant.approval or "", validate=True)
    except ValueError:
        return None


def _require(grant: Grant, answer: Answer, verb: Verb, terms: Terms) -> None:
    if answer.version != grant.version:
        raise StaleError(f"version {answer.version}, not {grant.version}")
    if verb not in possible(grant):
        raise NotAllowedError(Refusal.NOT_POSSIBLE)
    if verb in _GRANTING:
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
    reason = _cleaned(answer.reason or "", _REASON_LENGTH) or None
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


def _moment(time: datetime | None) -> str | None:
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if time else None


def _session_person(user_arn: str) -> str | None:
    """Whom a session is named after, where the name can only be a person's: an e-mail address."""
    try:
        session = AssumedRole.parse(user_arn).session
    except ArnError:
        return None
    return session if "@" in session else None


def _cleaned_name(text: str) -> str:
    name = _cleaned(text, _NAME_LENGTH)
    if not name:
        raise ValueError("a decision needs a name")
    return name


def _cleaned(text: str, limit: int) -> str:
    """One line without control characters, and no longer than it may be."""
    return " ".join(_UNFIT.sub(" ", text[: 4 * limit]).split())[:limit]
