"""Builds the approval use case from the adapters, for the function and for the sandbox."""

from bedrock_remediator.approval_settings import ApproveSettings
from bedrock_remediator.aws.clients import Clients
from bedrock_remediator.aws.keys import ApprovalKey
from bedrock_remediator.aws.ledger.write import DecisionLedger
from bedrock_remediator.clock import Clock
from bedrock_remediator.core.approval import Terms
from bedrock_remediator.flows.approval.approval import Approval
from bedrock_remediator.settings import Mode


def approval(settings: ApproveSettings, clients: Clients, clock: Clock) -> Approval:
    """The use case."""
    terms = Terms(longest=settings.longest, paused=settings.paused, observing=settings.mode is Mode.OBSERVE)
    return Approval(
        DecisionLedger(clients.dynamodb, settings.ledger_table, clock),
        ApprovalKey(lambda: clients.kms, settings.approval_key_id),
        terms,
        settings.extra_actions,
        clock,
    )
