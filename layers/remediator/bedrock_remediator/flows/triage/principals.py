"""Principals as IAM knows them, each read once a batch: IAM serves a whole account a few calls a second.

`resolve_role_path` finds which role a record means: a session's ARN does not tell the role's path, and IAM does.
"""

from datetime import datetime, timedelta
from typing import Final, Protocol, TypeVar

from botocore.exceptions import ClientError
from msgspec.structs import replace

from bedrock_remediator.aws.errors import NotEnrolledError, RetryableError, RoleMissingError
from bedrock_remediator.aws.iam import Identity
from bedrock_remediator.core.arn import Principal
from bedrock_remediator.core.cloudtrail import Denial, Unreadable
from bedrock_remediator.core.diagnosis.refusals import from_message


class Paths(Protocol):
    """What is asked of IAM about such a role."""

    def principal(self, principal: Principal) -> tuple[Principal, str] | None:
        """The principal with its true path, and its id; None if it does not exist."""
        ...


def resolve_role_path(denial: Denial | Unreadable, principals: Paths) -> Denial | Unreadable:
    """The denial with its role's path; as it is, where it does not matter or IAM refuses to tell.

    Raises:
        RetryableError: IAM does not answer.
    """
    caller = denial.caller
    if isinstance(denial, Unreadable) or caller.path_known or caller.principal is None or from_message(denial):
        return denial
    try:
        found = principals.principal(caller.principal)
    except (NotEnrolledError, RoleMissingError, ClientError):
        # The investigation says so, on a row of its own.
        return denial
    return replace(denial, caller=replace(caller, principal=found[0], path_known=True)) if found else denial


def refiled(denial: Denial | Unreadable, identity: Identity | None) -> Denial | Unreadable | None:
    """The denial under the true ARN of its principal, as it is to be handled anew; None where it has that already.

    A role's path never changes, so a record that gives it another one contradicts IAM, and is an alert. A user can have
    been moved, and is known by its UserId.
    """
    caller = denial.caller
    if identity is None or isinstance(denial, Unreadable) or caller.principal in (None, identity.principal):
        return None
    true = replace(caller, principal=identity.principal, path_known=True)
    moved = identity.principal.kind == "user" and identity.id == caller.id
    if moved or not caller.path_known:
        return replace(denial, caller=true)
    known = identity.principal.arn
    return Unreadable(
        event_id=denial.event_id,
        shared_event_id=denial.shared_event_id,
        time=denial.time,
        account=denial.account,
        region=denial.region,
        caller=true,
        code="identity_mismatch",
        reason=f"The record names {caller.partition_key}, and IAM knows the principal of that name as {known}.",
        message=denial.message,
        source_ip=denial.source_ip,
        user_agent=denial.user_agent,
    )


_KEPT: Final = 200
_RECENT: Final = timedelta(minutes=5)

_Key = tuple[str, str, str]
_Found = TypeVar("_Found")


class Source(Protocol):
    """What is asked of IAM."""

    def principal(self, principal: Principal) -> tuple[Principal, str] | None:
        """The principal with its true path, and its id; None if it does not exist."""
        ...

    def identity(self, principal: Principal) -> Identity | None:
        """The principal with its policies, None if it does not exist."""
        ...


class Principals:
    """Remembers for a batch what IAM said of a principal, that it does not answer included.

    A principal that is only asked about because nothing it calls exists may be known from the minutes before: how many
    calls of that kind there are is its own choice.
    """

    def __init__(self, iam: Source) -> None:
        self._iam = iam
        self._paths: dict[_Key, tuple[Principal, str] | RetryableError | None] = {}
        self._identities: dict[_Key, Identity | RetryableError | None] = {}
        self._recent: dict[_Key, tuple[datetime, Identity | None]] = {}

    def begin(self) -> None:
        """A new batch: everything is asked anew."""
        self._paths.clear()
        self._identities.clear()

    def principal(self, principal: Principal) -> tuple[Principal, str] | None:
        """The principal with its true path, and its id; None if it does not exist.

        Raises:
            RetryableError: IAM does not answer, or did not in this batch.
        """
        key = _key(principal)
        if key not in self._paths:
            try:
                self._paths[key] = self._iam.principal(principal)
            except RetryableError as error:
                self._paths[key] = error
        return _answer(self._paths[key])

    def identity(self, principal: Principal, now: datetime, *, recent: bool = False) -> Identity | None:
        """The principal with its policies, None if it does not exist.

        Args:
            principal: Which.
            now: The time.
            recent: Whether an answer of the last five minutes will do.

        Raises:
            RetryableError: IAM does not answer, or did not in this batch.
        """
        key = _key(principal)
        if recent and key in self._recent and now - self._recent[key][0] < _RECENT:
            return self._recent[key][1]
        if key not in self._identities:
            try:
                self._identities[key] = self._iam.identity(principal)
            except RetryableError as error:
                self._identities[key] = error
        identity = _answer(self._identities[key])
        self._recent.pop(key, None)
        if len(self._recent) >= _KEPT:
            del self._recent[next(iter(self._recent))]
        self._recent[key] = now, identity
        return identity


def _key(principal: Principal) -> _Key:
    """What IAM knows a principal by: names are unique whatever the path."""
    return principal.account, principal.kind, principal.name


def _answer(found: _Found | RetryableError) -> _Found:
    if isinstance(found, RetryableError):
        raise found
    return found
