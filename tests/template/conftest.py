"""The stack of template.yaml, as a deployment would make it."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import pytest

from sandbox.template import Stack, load, transformed
from tests.builders.powers import FOREIGN

ROOT = Path(__file__).parents[2]

SECRET = "arn:aws:secretsmanager:us-east-1:111122223333:secret"
EVERYTHING = {
    "PolicyStrategy": "in-place",
    "NotificationEmail": "ops@example.com",
    "ApproverEmail": "approvers@example.com",
    "SubscribeAdministrators": "arn:aws:iam::111122223333:role/administrator",
    "OperatorRoleArns": "arn:aws:iam::111122223333:role/operator",
    "DeployerRoleArns": "arn:aws:iam::111122223333:role/deployer,arn:aws:iam::111122223333:role/pipeline/deployer",
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

STACKS: Final = ["template.yaml", *sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("stacks/*.yaml"))]
HUB_ROLES: Final = f"arn:aws:iam::{FOREIGN}:role/bedrock-access-remediator-stack"
GIVEN: Final[Mapping[str, str]] = {
    **EVERYTHING,
    "HubAccountId": FOREIGN,
    "HubRegion": "us-east-1",
    "HubBusArn": f"arn:aws:events:us-east-1:{FOREIGN}:event-bus/denials",
    "HubReadRoleArns": f"{HUB_ROLES}/triage,{HUB_ROLES}/upkeep",
    "HubWriteRoleArn": f"{HUB_ROLES}/remediate",
    "PrimaryRegion": "us-east-1",
}
"""Every parameter of any of them that has no default, and what switches on everything."""


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


@pytest.fixture(scope="session", params=STACKS)
def any_stack(request: pytest.FixtureRequest) -> Stack:
    """Each of the templates in turn, with everything switched on. It is shared: read it, never change it."""
    path = ROOT / str(request.param)
    known = transformed(path.read_text(encoding="utf-8"), "us-east-1").get("Parameters", {})
    given = {name: GIVEN[name] for name in known if name in GIVEN}
    return load(path, parameters=given, account="111122223333", region="us-east-1")
