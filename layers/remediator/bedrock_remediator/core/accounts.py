"""Where this service may act: which principals it may change at all, and in which accounts.

`Enrolment` knows the accounts: the one it runs in, and those of its organization that are enrolled.

In an enrolled account `stacks/member.yaml` makes two roles that the service's functions assume: one to read with
(triage, upkeep), one to write with (remediate).
"""

from collections.abc import Iterable
from typing import Final

from msgspec import Struct

from bedrock_remediator.core.arn import Principal
from bedrock_remediator.core.iam.patterns import matches

STACK_PATH: Final = "/bedrock-access-remediator-stack/"
"""The path of this service's own roles: it never changes one of them."""


class GrantablePrincipals:
    """The principals covered by the operator's IAM ARN patterns, less this service's own roles and AWS's.

    The patterns are IAM's own (`*` crosses `/`), since the same ones bound remediate's rights in the template.
    """

    def __init__(self, patterns: Iterable[str]) -> None:
        self._patterns = tuple(patterns)

    def covers(self, arn: str) -> bool:
        """Whether a policy may be attached to this role or user.

        Raises:
            ArnError: It is not the ARN of a role or a user.
        """
        principal = Principal.parse(arn)
        if principal.path.startswith(STACK_PATH) or principal.service_owned:
            return False
        return any(matches(pattern, arn) for pattern in self._patterns)


EVERY_ACCOUNT: Final = "*"
"""Enrols every account whose events arrive: the hub's bus takes those of the organization and no others."""

READ_ROLE: Final = "bedrock-access-remediator-read"
"""The name of the role that triage and upkeep assume in a member account."""

WRITE_ROLE: Final = "bedrock-access-remediator-write"
"""The name of the role that remediate assumes in a member account."""


class Enrolment(Struct, frozen=True):
    """The accounts that the service works in.

    Attributes:
        home: The account that it runs in, which is always one of them.
        accounts: Ids of member accounts, or `*` among them for all.
    """

    home: str
    accounts: tuple[str, ...] = ()

    def covers(self, account: str) -> bool:
        """Whether the service works in an account."""
        return account == self.home or account in self.accounts or EVERY_ACCOUNT in self.accounts

    def owns(self, account: str | None, *, caller: str) -> bool:
        """Whether a VPC endpoint of an account is one of ours.

        `*` enrols whatever accounts send events, and an endpoint's account sends none: there, only an endpoint of the
        caller's own account is known to be.
        """
        if account is None:
            return False
        return account == self.home or account in self.accounts or (account == caller and self.covers(caller))


def member_role_arn(partition: str, account: str, name: str) -> str:
    """The ARN of one of the two roles in a member account."""
    return f"arn:{partition}:iam::{account}:role{STACK_PATH}{name}"
