"""Builds the notification use case from the adapters."""

from bedrock_remediator.aws.clients import Clients
from bedrock_remediator.aws.ledger.write import Ledger
from bedrock_remediator.aws.messaging import Publisher
from bedrock_remediator.clock import Clock
from bedrock_remediator.flows.links.wiring import keyring, links
from bedrock_remediator.flows.notification.notification import Notification
from bedrock_remediator.settings import NotifySettings


def notification(settings: NotifySettings, home: str, clock: Clock) -> Notification:
    """The use case. `home` is the account that the function runs in."""
    clients = Clients(home)
    keys = keyring(settings.links, clients, clock)
    return Notification(
        ledger=Ledger(clients.dynamodb, settings.ledger_table, clock),
        publisher=Publisher(clients.sns),
        links=links(settings.links, keys, clock, settings.approval_url),
        settings=settings,
        clock=clock,
    )
