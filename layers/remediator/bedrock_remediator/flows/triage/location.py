"""Which role or user a record means: by its true path, which a session's ARN does not tell, and IAM knows."""

from typing import Protocol

from botocore.exceptions import ClientError
from msgspec.structs import replace

from bedrock_remediator.aws.errors import NotEnrolledError, RoleMissingError
from bedrock_remediator.aws.iam import Identity
from bedrock_remediator.core.arn import Principal
from bedrock_remediator.core.denial import Denial, Unreadable
from bedrock_remediator.core.diagnosis.message import from_message


class Paths(Protocol):
    """What is asked of IAM about such a role."""

    def principal(self, principal: Principal) -> tuple[Principal, str] | None:
        """The principal with its true path, and its id; None if it does not exist."""
        ...


def located(denial: Denial | Unreadable, principals: Paths) -> Denial | Unreadable:
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
