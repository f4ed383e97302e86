"""The settings of the deployed functions, from the stack's parameters: what triage would be told there.

Member accounts are left out: only the service's own roles may read there.
"""

from typing import Final

from bedrock_remediator.settings import Mode, PolicySettings, Strategy
from bedrock_remediator_cli.deployment import Deployment

_ALLOWLIST: Final = "/bedrock-access-remediator/allowlist"
_EVERYBODY: Final = "arn:*:iam::*:role/*,arn:*:iam::*:user/*"


def policy_settings(deployment: Deployment | None) -> PolicySettings:
    """The settings; without a stack those that its template has by default."""
    stack = deployment or Deployment(name="", status="", outputs={}, parameters={})
    return PolicySettings(
        ledger_table=stack.outputs.get("LedgerTable", ""),
        mode=Mode(stack.parameter("Mode", Mode.APPROVE.value)),
        paused=stack.parameter("Paused", "false") == "true",
        strategy=Strategy(stack.parameter("PolicyStrategy", Strategy.MANAGED.value)),
        allowlist_path=stack.parameter("AllowlistPath", _ALLOWLIST),
        extra_actions=_listed(stack.parameter("ExtraActions", "")),
        grantable_principals=_listed(stack.parameter("GrantablePrincipals", _EVERYBODY)),
        default_grant_days=int(stack.parameter("DefaultGrantDays", "0")),
    )


def open_requests(deployment: Deployment | None) -> int:
    """How many requests of one principal may wait at once; without a stack the template's default."""
    return int(deployment.parameter("OpenRequestsPerPrincipal", "5")) if deployment else 5


def _listed(text: str) -> tuple[str, ...]:
    return tuple(filter(None, (each.strip() for each in text.split(","))))
