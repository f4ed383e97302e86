"""The settings of the deployed functions, from the stack's parameters: what triage would be told there."""

from bedrock_remediator.settings import Mode, PolicySettings, Strategy
from bedrock_remediator_cli.deployment import Deployment

_ALLOWLIST = "/bedrock-access-remediator/allowlist"
_EVERYBODY = "arn:*:iam::*:role/*,arn:*:iam::*:user/*"


def policy_settings(deployment: Deployment | None) -> PolicySettings:
    """The settings; without a stack those that its template has by default."""
    stack = deployment or Deployment(name="", status="", outputs={}, parameters={})
    return PolicySettings.read(
        {
            "LEDGER_TABLE": stack.outputs.get("LedgerTable", "none"),
            "MODE": stack.parameter("Mode", Mode.APPROVE.value),
            "PAUSED": stack.parameter("Paused", "false"),
            "POLICY_STRATEGY": stack.parameter("PolicyStrategy", Strategy.MANAGED.value),
            "ALLOWLIST_PATH": stack.parameter("AllowlistPath", _ALLOWLIST),
            "EXTRA_ACTIONS": stack.parameter("ExtraActions", ""),
            "GRANTABLE_PRINCIPALS": stack.parameter("GrantablePrincipals", _EVERYBODY),
            "DEFAULT_GRANT_DAYS": stack.parameter("DefaultGrantDays", "0"),
            "ENROLLED_ACCOUNTS": stack.parameter("EnrolledAccounts", ""),
        }
    )
