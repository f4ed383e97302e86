"""Who decides: how somebody is named in the row, what the API's callers must be, and whose request is their own."""

import re
from collections.abc import Iterable
from typing import Final, Self

from msgspec import Struct

from bedrock_remediator.core.arn import ArnError, AssumedRole, Principal
from bedrock_remediator.core.grant import Grant, Via

_NAME_LENGTH: Final = 100
_UNFIT = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


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


def one_line(text: str, limit: int) -> str:
    """What somebody typed, without control characters, and no longer than it may be."""
    return " ".join(_UNFIT.sub(" ", text[: 4 * limit]).split())[:limit]


def _session_person(user_arn: str) -> str | None:
    """Whom a session is named after, where the name can only be a person's: an e-mail address."""
    try:
        session = AssumedRole.parse(user_arn).session
    except ArnError:
        return None
    return session if "@" in session else None


def _cleaned_name(text: str) -> str:
    name = one_line(text, _NAME_LENGTH)
    if not name:
        raise ValueError("a decision needs a name")
    return name
