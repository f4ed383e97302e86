"""What a person decides about a grant: what may be decided, and what becomes of the row.

    pending --approve--> approved      failed --approve--> approved      active --extend--> approved, with another end
       +------reject---> rejected                                          +------revoke--> revoking

Nothing here asks who somebody is: an `Approver` is what a way in (link, sign-in, API, Slack) has made sure of. It says
how somebody is named in the row and which requests are their own. A `Button` under a request in a chat only carries
which row it is about, at which version.

Remediate takes each approval up once, and remembers the last one of every key (`Use`):

    none, or an earlier one --taken up--> applying --> active --> as its grant has ended: revoked, failed, …
                                           |   ^
             failed for a passing reason --+   +-- tried again
                                           v   |
                                          approved

A row of the ledger can be put back as it was, signature included. So what counts is not what a row says, but what
remediate has written down where nobody else may write, and the time that is signed with the approval.
"""

import enum
import json
import re
import unicodedata
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final, Self

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from bedrock_remediator.core import durations
from bedrock_remediator.core.arn import ArnError, AssumedRole, Principal
from bedrock_remediator.core.grant import STANDING, Grant, Outcome, State, Via
from bedrock_remediator.core.usage import counts_requests
from bedrock_remediator.core.waiting import PASSING, cool_down

_NAME_LENGTH: Final = 100
_UNFIT = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")

_BETWEEN: Final = re.compile(r"[\W_]+")
_OF_MACHINES: Final = re.compile(r"i-[0-9a-f]+|[0-9]+|botocore-session-.*|aws-.*sdk.*", re.IGNORECASE)
"""Session names that AWS or its SDKs give, and that tell nobody."""


class Approver(Struct, frozen=True, kw_only=True):
    """Who decides.

    `name` goes into the row as `decided_by`. `arn` is the IAM or STS ARN of the caller, where the way in tells it.
    `names` are those that the way in has verified, by which other records may know the same person: an address, a
    session's name. `typed` is a name that nobody has verified.
    """

    name: str
    via: Via
    arn: str | None = None
    names: tuple[str, ...] = ()
    typed: str | None = None

    @classmethod
    def by_link(cls, typed: str) -> Self:
        """Whoever holds the link, under the name that was typed.

        Raises:
            ValueError: No name was typed.
        """
        typed = _cleaned_name(typed)
        return cls(name=f"{typed} (unverified)", via=Via.LINK, typed=typed)

    @classmethod
    def by_oidc(cls, name: str, names: Iterable[str] | None = None) -> Self:
        """Whom the identity provider has signed in.

        Args:
            name: The name or e-mail address that is recorded.
            names: What the provider calls the person: address, user name, subject. None for `name` alone.

        Raises:
            ValueError: There is no name.
        """
        name = _cleaned_name(name)
        return cls(name=name, via=Via.OIDC, names=(name,) if names is None else tuple(names))

    @classmethod
    def by_api(cls, user_arn: str) -> Self:
        """Who signed a request to the API.

        Raises:
            ArnError: It is not the ARN of an IAM user or role or of a role's session.
        """
        if identity(user_arn) is None:
            raise ArnError(user_arn, "the ARN of a user, a role or a role's session")
        return cls(name=user_arn, via=Via.API, arn=user_arn, names=_names_in(user_arn))

    @classmethod
    def by_slack(cls, user_id: str, address: str | None = None) -> Self:
        """A user of Slack, by the id that Slack signed, and the address that Slack has verified, where it says.

        Raises:
            ValueError: There is no id.
        """
        return cls(name=f"slack:{_cleaned_name(user_id)}", via=Via.SLACK, names=(address,) if address else ())


def own_request(approver: Approver, grant: Grant) -> bool:
    """Whether somebody would decide about access of their own, as far as the two can be compared.

    The principal itself, in a session or not, is the same; so is a person whom the way in has verified under a name
    that the denied call bears: the IAM user's, the session's (as Identity Center and most federations name sessions),
    or the source identity's. An address is the same as its part before the `@` where the other name has no domain.
    """
    if approver.arn is not None and grant.principal is not None:
        caller = identity(approver.arn)
        if caller is not None and caller == identity(grant.principal):
            return True
    return any(_same(one, other) for one in approver.names for other in _denied_names(grant))


def seems_own(approver: Approver, grant: Grant) -> bool:
    """Whether a name that nobody has verified is like one that the denied call bears."""
    typed = approver.typed
    return typed is not None and any(_alike(typed, other) for other in _denied_names(grant))


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


def one_line(text: str, limit: int) -> str:
    """What somebody typed, without control characters, and no longer than it may be."""
    return " ".join(_UNFIT.sub(" ", text[: 4 * limit]).split())[:limit]


def _denied_names(grant: Grant) -> tuple[str, ...]:
    """By which names the denied call tells a person, if it was one."""
    behind = identity(grant.principal) if grant.principal else None
    user = behind[3] if behind and behind[2] == "user" else None
    sighting = grant.sighting
    found = (user, sighting.source_identity, sighting.session)
    return tuple(name for name in found if name and not _OF_MACHINES.fullmatch(name))


def _names_in(user_arn: str) -> tuple[str, ...]:
    """Whom the ARN of a user or session is named after."""
    try:
        return (AssumedRole.parse(user_arn).session,)
    except ArnError:
        found = identity(user_arn)
    return (found[3],) if found and found[2] == "user" else ()


def _same(one: str, other: str) -> bool:
    (name, domain), (other_name, other_domain) = _parts(one), _parts(other)
    return name == other_name and (domain == other_domain or not domain or not other_domain)


def _alike(one: str, other: str) -> bool:
    """As `_same`, whatever stands between the words: `Alice Doe` is like `alice.doe@example.com`."""
    names = [_BETWEEN.sub("", _parts(text)[0]) for text in (one, other)]
    return bool(names[0]) and names[0] == names[1]


def _parts(text: str) -> tuple[str, str]:
    """A name without case, and the domain that it has as an address; what follows a `+` in one is no part of it."""
    name, _, domain = unicodedata.normalize("NFKC", text).casefold().strip().partition("@")
    return (name.partition("+")[0] or name if domain else name), domain


def _cleaned_name(text: str) -> str:
    name = one_line(text, _NAME_LENGTH)
    if not name:
        raise ValueError("a decision needs a name")
    return name


LONGEST: Final = 2000
"""Characters of a button's value that Slack takes."""


class Button(Struct, frozen=True, forbid_unknown_fields=True):
    """The row that was shown, and the length of the grant if nobody chooses another (`30d`); empty where one must."""

    pk: str
    sk: str
    version: int
    length: str

    @property
    def value(self) -> str | None:
        """The button's value; None if it is too long for one."""
        value = json.dumps(msgspec.to_builtins(self), separators=(",", ":"))
        return value if len(value) <= LONGEST else None

    @classmethod
    def read(cls, value: str) -> Self:
        """The button of a value.

        Raises:
            ValueError: It is none of ours.
        """
        return msgspec.json.decode(value, type=cls)


LONGEST_WAIT: Final = timedelta(hours=24)
"""How old an approval may be when it is taken up: what was true then may not be by now."""


class Use(Struct, frozen=True, kw_only=True):
    """The last approval of a key that remediate has taken up or refused; it and all before it are used.

    `decided_at` and `decided_version` are those that are signed. `outcome` is `applying` or `active` while its grant
    stands, `approved` where it failed for a reason that passes and may be tried again, and else the state in which
    its grant, or the request, has ended. `since` is when it first failed so, since it last stood.
    """

    decided_at: datetime
    decided_version: int
    outcome: State
    since: datetime | None = None

    @property
    def order(self) -> tuple[datetime, int]:
        """What tells an earlier approval from a later one: the time, since a row that was lost begins at 1 again."""
        return self.decided_at, self.decided_version


def order(grant: Grant) -> tuple[datetime, int] | None:
    """Which approval a row shows, as `Use.order`; None where it shows none."""
    if grant.decided_at is None or grant.decided_version is None:
        return None
    return grant.decided_at.replace(microsecond=0), grant.decided_version


def stands(use: Use | None, grant: Grant) -> bool:
    """Whether the approval that a row shows was taken up, and its grant has not ended."""
    return use is not None and use.outcome in STANDING and use.order == order(grant)


def used(use: Use | None, grant: Grant) -> bool:
    """Whether the approval that a row shows counts no more: its grant has ended, or a later one was taken up."""
    shown = order(grant)
    if use is None or shown is None:
        return False
    return shown < use.order or (shown == use.order and use.outcome not in {*STANDING, State.APPROVED})


def stale(use: Use | None, grant: Grant, now: datetime) -> bool:
    """Whether a row shows an approval that was not taken up in time.

    One whose grant stands does not grow old. One that failed for a passing reason may be tried again as long.
    """
    if use is None or use.order != order(grant):
        return now - (grant.decided_at or grant.updated_at) > LONGEST_WAIT
    return use.outcome is State.APPROVED and now - (use.since or use.decided_at) > LONGEST_WAIT


def after_step(use: Use | None, grant: Grant, after: Grant) -> Use | None:
    """What is remembered after a step of a row whose approval is genuine.

    Args:
        use: What was remembered of the key.
        grant: The row before the step.
        after: The row after it.
    """
    shown = order(grant)
    if shown is None or used(use, grant):
        return use
    outcome, since = after.state, None
    if use is not None and use.order == shown and outcome is State.APPLYING:
        since = use.since
    if outcome is State.FAILED and after.reason_code in PASSING:
        outcome = State.APPROVED
        since = (use.since if use is not None and use.order == shown else None) or after.updated_at
    return Use(decided_at=shown[0], decided_version=shown[1], outcome=outcome, since=since)


def after_revocation(use: Use | None, grant: Grant, now: datetime) -> Use | None:
    """What is remembered after a grant was revoked: nothing that was decided until then counts any more.

    Of a grant that was kept until another stood in its place, that is its own approval, where it still shows it.
    """
    last = (now.replace(microsecond=0), grant.version)
    shown = order(grant)
    if grant.kept and grant.approval is not None and shown is not None:
        if use is not None and use.order > shown:
            return use
        last = shown
    if use is not None:
        last = max(last, use.order)
    return Use(decided_at=last[0], decided_version=last[1], outcome=State.REVOKED)


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
    after = _granted(grant, answer, now, f"Approved, to last {durations.words(answer.length)}.")
    if grant.state is State.PENDING:
        return after
    reason = "It could not be granted before, and a person has approved it again."
    return replace(after, reason_code="approved_again", reason=reason)


def extend(grant: Grant, answer: Answer, terms: Terms, now: datetime) -> Grant:
    """Give a standing grant another end, counted from now. Raises as `decide`."""
    _require(grant, answer, Verb.EXTEND, terms)
    return _granted(grant, answer, now, f"Approved anew, to last {durations.words(answer.length)}.")


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
        (Refusal.TOO_LONG, not durations.allowed(answer.length, terms.longest)),
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
