"""Who decides: how somebody is named in the row, what the API's callers must be, and whose request is their own."""

import re
import unicodedata
from collections.abc import Iterable
from typing import Final, Self

from msgspec import Struct

from bedrock_remediator.core.arn import ArnError, AssumedRole, Principal
from bedrock_remediator.core.grant import Grant, Via

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
