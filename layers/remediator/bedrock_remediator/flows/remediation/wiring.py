"""Remediate's parts put together: the adapters of one environment, made when they are first needed."""

from bedrock_remediator.aws.authorization_details import AuthorizationDetailsReader
from bedrock_remediator.aws.bedrock import ProfileReader
from bedrock_remediator.aws.clients import Clients
from bedrock_remediator.aws.iam import IamReader
from bedrock_remediator.aws.keys import ApprovalKey, MacKey
from bedrock_remediator.aws.ledger.write import Ledger
from bedrock_remediator.aws.parameters import AllowlistReader
from bedrock_remediator.aws.used_approvals import UsedApprovals
from bedrock_remediator.clock import Clock
from bedrock_remediator.core.accounts import WRITE_ROLE
from bedrock_remediator.flows.placement.choice import Placements
from bedrock_remediator.flows.placement.seals import Seals
from bedrock_remediator.flows.remediation.claims import Claims, Dependencies, SignedApprovals
from bedrock_remediator.flows.remediation.remediation import Remediation
from bedrock_remediator.flows.simulation import GrantSimulation
from bedrock_remediator.settings import RemediateSettings


def remediation(settings: RemediateSettings, home: str, clock: Clock) -> Remediation:
    """The use case. `home` is the account that the function runs in."""
    policy = settings.policy
    clients = Clients(home, enrolled=policy.enrolled_accounts, role=WRITE_ROLE, clock=clock)
    iam = IamReader(clients.iam, clock)
    seals = Seals(MacKey(lambda: clients.kms, settings.edit_key_id) if settings.edit_key_id else None)
    dependencies = Dependencies(
        home=home,
        identities=iam,
        profiles=ProfileReader(clients.bedrock, clock),
        allowlists=AllowlistReader(lambda: clients.ssm, policy.allowlist_path, clock),
        approvals=SignedApprovals(ApprovalKey(lambda: clients.kms, settings.approval_key_id)),
        uses=UsedApprovals(clients.dynamodb, settings.used_approvals_table),
        seals=seals,
    )
    return Remediation(
        Ledger(clients.dynamodb, policy.ledger_table, clock),
        Claims(dependencies, policy, clock),
        Placements(clients.iam, iam.own_policies, policy, seals),
        GrantSimulation(iam, policy.extra_actions, clock),
        AuthorizationDetailsReader(clients.authorization_details, clock),
        clock,
    )
