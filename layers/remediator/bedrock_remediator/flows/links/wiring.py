"""Builds the links to the page from the adapters, for the functions that make them and the one that reads them."""

from datetime import timedelta

from bedrock_remediator.aws.clients import Clients
from bedrock_remediator.aws.keys import Keyring, Secrets
from bedrock_remediator.clock import Clock
from bedrock_remediator.flows.links.links import Links
from bedrock_remediator.settings import LinkSettings


def keyring(settings: LinkSettings, clients: Clients, clock: Clock) -> Keyring:
    """The keys that links, cookies and forms are signed with."""
    return Keyring(Secrets(lambda: clients.secretsmanager, clock), settings.keys_secret_arn)


def links(settings: LinkSettings, keys: Keyring, clock: Clock, base_url: str = "") -> Links:
    """The links to the page; without `base_url`, for who only reads them."""
    return Links(keys, base_url, timedelta(hours=settings.lapse_hours), clock)
