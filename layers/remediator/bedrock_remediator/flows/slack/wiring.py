"""Builds the use cases for Slack from the adapters, for the functions and for the sandbox."""

from typing import Final

from bedrock_remediator.approval_settings import SlackApprovalSettings
from bedrock_remediator.aws.clients import Clients
from bedrock_remediator.aws.keys import Secrets
from bedrock_remediator.aws.ledger.write import Ledger
from bedrock_remediator.aws.messaging import SlackQueue
from bedrock_remediator.aws.slack_messages import SlackMessages
from bedrock_remediator.clock import Clock
from bedrock_remediator.flows.slack.api import SlackApi
from bedrock_remediator.flows.slack.decision import Decisions, SlackDecision
from bedrock_remediator.flows.slack.posting import SlackPosting
from bedrock_remediator.flows.slack.trust import SlackApprovers, SlackSignature
from bedrock_remediator.settings import SlackSettings

MEMBERS_TIMEOUT: Final = 1
"""Seconds that Slack has to say who is in a group: it waits three for our answer, the decision included."""


class SecretText:
    """A secret that is one word: a token, a signing secret."""

    def __init__(self, secrets: Secrets, arn: str) -> None:
        self._secrets = secrets
        self._arn = arn

    def __call__(self, *, fresh: bool = False) -> str:
        """The secret; `fresh` for one that was read some seconds ago at most.

        Raises:
            RetryableError: Secrets Manager is throttling or does not answer.
            SecretError: It holds no text.
            botocore.exceptions.ClientError: It cannot be read.
        """
        return self._secrets.text(self._arn, fresh=fresh).strip()


def slack_posting(settings: SlackSettings, clients: Clients, clock: Clock) -> SlackPosting:
    """What the slack function does."""
    secrets = Secrets(lambda: clients.secretsmanager, clock)
    return SlackPosting(
        ledger=Ledger(clients.dynamodb, settings.ledger_table, clock),
        messages=SlackMessages(clients.dynamodb, settings.ledger_table),
        slack=SlackApi(SecretText(secrets, settings.token_secret_arn), settings.api_url),
        settings=settings,
        clock=clock,
    )


def slack_decision(
    settings: SlackApprovalSettings, approval: Decisions, clients: Clients, clock: Clock
) -> SlackDecision:
    """What the approve function does on Slack's route."""
    secrets = Secrets(lambda: clients.secretsmanager, clock)
    token = SecretText(secrets, settings.token_secret_arn)
    return SlackDecision(
        approval,
        SlackSignature(SecretText(secrets, settings.signing_secret_arn), clock),
        SlackApprovers(settings.approvers, SlackApi(token, settings.api_url, timeout=MEMBERS_TIMEOUT), clock),
        SlackQueue(lambda: clients.sqs, settings.queue_url),
        settings,
    )
