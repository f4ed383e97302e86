"""Triage's parts put together: the adapters of one environment, made when they are first needed."""

from bedrock_remediator.aws.account_names import AccountNames
from bedrock_remediator.aws.authorization_details import AuthorizationDetailsReader
from bedrock_remediator.aws.bedrock import ProfileReader
from bedrock_remediator.aws.clients import Clients
from bedrock_remediator.aws.iam import IamReader
from bedrock_remediator.aws.ledger.write import Ledger
from bedrock_remediator.aws.messaging import RefusedQueue
from bedrock_remediator.aws.parameters import AllowlistReader
from bedrock_remediator.clock import Clock
from bedrock_remediator.core.accounts import READ_ROLE
from bedrock_remediator.flows.triage.investigation import Investigation
from bedrock_remediator.flows.triage.triage import Triage
from bedrock_remediator.settings import TriageSettings


def triage(settings: TriageSettings, home: str, clock: Clock) -> Triage:
    """The use case. `home` is the account that the function runs in."""
    policy = settings.policy
    clients = Clients(home, enrolled=policy.enrolled_accounts, role=READ_ROLE, clock=clock)
    iam = IamReader(clients.iam, clock)
    return Triage(
        ledger=Ledger(clients.dynamodb, policy.ledger_table, clock),
        investigation=Investigation(
            home=home,
            iam=iam,
            profiles=ProfileReader(clients.bedrock, clock),
            details=AuthorizationDetailsReader(clients.authorization_details, clock),
            policy=policy,
        ),
        allowlists=AllowlistReader(lambda: clients.ssm, policy.allowlist_path, clock),
        refuse=RefusedQueue(lambda: clients.sqs, settings.refused_queue_url),
        settings=policy,
        open_requests=settings.open_requests,
        clock=clock,
        reaches=clients.reaches,
        called=AccountNames(lambda: clients.organizations, home, clock, asks=bool(policy.enrolled_accounts)),
    )
