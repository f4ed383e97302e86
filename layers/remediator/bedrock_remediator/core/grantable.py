"""Which principals this service may change at all, whatever a rule or a person says."""

from collections.abc import Iterable
from typing import Final

from bedrock_remediator.core.arn import Principal
from bedrock_remediator.core.patterns import matches

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
