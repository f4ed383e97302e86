"""Which role a record means, where it gives only the ARN of a session, which does not tell the role's path."""

from typing import Protocol

from msgspec.structs import replace

from bedrock_remediator.aws.errors import NotEnrolledError, RoleMissingError
from bedrock_remediator.core.arn import Principal
from bedrock_remediator.core.denial import Denial, Unreadable
from bedrock_remediator.core.diagnosis.message import from_message


class Paths(Protocol):
    """What is asked of IAM about such a role."""

    def principal(self, principal: Principal) -> tuple[Principal, str] | None:
        """The principal with its true path, and its id; None if it does not exist."""
        ...


def located(denial: Denial | Unreadable, principals: Paths) -> Denial | Unreadable:
    """The denial with its role's path; as it is, where the message alone says what is the matter.

    Raises:
        RetryableError: IAM does not answer.
    """
    caller = denial.caller
    if isinstance(denial, Unreadable) or caller.path_known or caller.principal is None or from_message(denial):
        return denial
    try:
        found = principals.principal(caller.principal)
    except (NotEnrolledError, RoleMissingError):
        # The investigation says so, on a row of its own.
        return denial
    return replace(denial, caller=replace(caller, principal=found[0], path_known=True)) if found else denial
