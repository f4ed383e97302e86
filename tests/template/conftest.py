"""The stack of template.yaml, as a deployment would make it."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from sandbox.template import Stack, load

ROOT = Path(__file__).parents[2]

SECRET = "arn:aws:secretsmanager:us-east-1:111122223333:secret"
EVERYTHING = {
    "PolicyStrategy": "in-place",
    "NotificationEmail": "ops@example.com",
    "SubscribeAdministrators": "arn:aws:iam::111122223333:role/administrator",
    "OperatorRoleArns": "arn:aws:iam::111122223333:role/operator",
    "ApproverAuth": "oidc",
    "ApproverRoleArns": "arn:aws:iam::111122223333:role/people/approver",
    "OidcIssuer": "https://login.example.com/tenant/",
    "OidcClientId": "client",
    "OidcClientSecretArn": f"{SECRET}:client-AbCdEf",
    "OidcClaim": "groups",
    "OidcClaimValue": "Bedrock approvers",
    "SlackChannelId": "C0123",
    "SlackTokenSecretArn": f"{SECRET}:slack-token-AbCdEf",
    "SlackSigningSecretArn": f"{SECRET}:slack-signing-AbCdEf",
    "SlackTeamId": "T0123",
    "SlackAppId": "A0123",
    "SlackApprovers": "U0123, S0456",
    "AmazonQTopic": "true",
    "DigestSchedule": "cron(0 7 ? * MON-FRI *)",
    "OrganizationId": "o-exampleorgid",
    "EnrolledAccounts": "444455556666,777788889999",
}
"""What switches on everything that has a condition."""


@pytest.fixture(scope="session")
def root() -> Path:
    """The project's folder."""
    return ROOT


@pytest.fixture(scope="session")
def deploy() -> Callable[..., Stack]:
    """Gives the stack for parameters; the others are at their defaults, and the one that has none is `link`."""

    def deploy(**parameters: str) -> Stack:
        given = {"ApproverAuth": "link", **parameters}
        return load(ROOT / "template.yaml", parameters=given, account="111122223333", region="us-east-1")

    return deploy


@pytest.fixture(scope="session")
def stack(deploy: Callable[..., Stack]) -> Stack:
    """The stack with every parameter at its default. It is shared: read it, never change it."""
    return deploy()


@pytest.fixture(scope="session")
def everything() -> Mapping[str, str]:
    """The parameters that switch on everything that has a condition."""
    return EVERYTHING


@pytest.fixture(scope="session")
def whole(deploy: Callable[..., Stack]) -> Stack:
    """The stack with everything switched on. It is shared: read it, never change it."""
    return deploy(**EVERYTHING)
