"""What the approve function reads from its environment: who may approve, and by which way in."""

import enum
import os
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Self

from msgspec import Struct

from bedrock_remediator.environment import Environment, SettingError, longest, truth
from bedrock_remediator.settings import LinkSettings, Mode

_ISSUER = re.compile(r"https://[^\s?#]+|http://127\.0\.0\.1(:[0-9]+)?(/[^\s?#]*)?")
_ROLE = re.compile(r"arn:[a-z-]+:iam::[0-9]{12}:role/[\x21-\x7e]+")
_SLACK_APPROVER = re.compile(r"[UWS][A-Z0-9]{2,20}")


class ApproverAuth(enum.StrEnum):
    """How the page knows who approves."""

    LINK = "link"
    OIDC = "oidc"


class OidcSettings(Struct, frozen=True, kw_only=True):
    """The organization's identity provider.

    OIDC_ISSUER, OIDC_CLIENT_ID, OIDC_CLIENT_SECRET_ARN (empty for a public client), and the claim that a person must
    have to approve, OIDC_CLAIM and OIDC_CLAIM_VALUE. There is always one: at many issuers anybody can have an account.
    """

    issuer: str
    client_id: str
    client_secret_arn: str | None
    claim: str
    claim_value: str


class SlackApprovalSettings(Struct, frozen=True, kw_only=True):
    """Whose buttons in Slack count.

    SLACK_SIGNING_SECRET_ARN (empty: no Slack), SLACK_TOKEN_SECRET_ARN, SLACK_TEAM_ID, SLACK_APP_ID, and
    SLACK_APPROVERS: ids of users (U…, W…) and of user groups (S…). SLACK_API_URL is where Slack's API is, and
    SLACK_QUEUE_URL the queue of the slack function, which answers whoever pressed a button.
    """

    signing_secret_arn: str
    token_secret_arn: str
    team_id: str
    app_id: str
    approvers: tuple[str, ...]
    api_url: str
    queue_url: str


class ApproveSettings(Struct, frozen=True, kw_only=True):
    """What approve reads.

    LEDGER_TABLE, MODE, PAUSED, POLICY_STRATEGY and EXTRA_ACTIONS as the other functions; MAX_GRANT_DAYS (the longest
    that a person may choose, 0 = no maximum), APPROVAL_KEY_ID (the KMS key that signs approvals), APPROVER_AUTH
    (link|oidc), APPROVER_ROLE_ARNS (roles that may use the API, with commas; may be empty), the links' settings,
    those of the identity provider, and Slack's. `oidc` is None under APPROVER_AUTH=link, `slack` without Slack.
    """

    ledger_table: str
    mode: Mode
    paused: bool
    strategy: str
    extra_actions: tuple[str, ...]
    longest: timedelta | None
    approval_key_id: str
    auth: ApproverAuth
    approver_roles: tuple[str, ...]
    links: LinkSettings
    oidc: OidcSettings | None
    slack: SlackApprovalSettings | None

    @classmethod
    def read(cls, variables: Mapping[str, str] = os.environ) -> Self:
        """Read and check the variables.

        Raises:
            SettingError: One is missing or bad.
        """
        environment = Environment(variables)
        auth = environment.read("APPROVER_AUTH", ApproverAuth)
        oidc, slack = _oidc(environment, auth), _slack(environment)
        return cls(
            ledger_table=environment.text("LEDGER_TABLE"),
            mode=environment.read("MODE", Mode),
            paused=environment.read("PAUSED", truth),
            strategy=environment.text("POLICY_STRATEGY"),
            extra_actions=environment.items("EXTRA_ACTIONS"),
            longest=environment.read("MAX_GRANT_DAYS", longest),
            approval_key_id=environment.text("APPROVAL_KEY_ID"),
            auth=auth,
            approver_roles=environment.items("APPROVER_ROLE_ARNS", _ROLE, "the ARN of a role"),
            links=LinkSettings.read(variables),
            oidc=oidc,
            slack=slack,
        )


def _oidc(environment: Environment, auth: ApproverAuth) -> OidcSettings | None:
    found = {
        name: environment.maybe(name)
        for name in ("OIDC_ISSUER", "OIDC_CLIENT_ID", "OIDC_CLIENT_SECRET_ARN", "OIDC_CLAIM", "OIDC_CLAIM_VALUE")
    }
    if auth is not ApproverAuth.OIDC:
        return None
    issuer = environment.text("OIDC_ISSUER")
    if not _ISSUER.fullmatch(issuer):
        raise SettingError(f"OIDC_ISSUER is {issuer!r}: it must be an https address without a query")
    return OidcSettings(
        issuer=issuer,
        client_id=environment.text("OIDC_CLIENT_ID"),
        client_secret_arn=found["OIDC_CLIENT_SECRET_ARN"],
        claim=environment.text("OIDC_CLAIM"),
        claim_value=environment.text("OIDC_CLAIM_VALUE"),
    )


def _slack(environment: Environment) -> SlackApprovalSettings | None:
    signing_secret = environment.maybe("SLACK_SIGNING_SECRET_ARN")
    for name in ("TOKEN_SECRET_ARN", "TEAM_ID", "APP_ID", "APPROVERS", "API_URL", "QUEUE_URL"):
        environment.maybe(f"SLACK_{name}")
    if signing_secret is None:
        return None
    environment.text("SLACK_APPROVERS")
    return SlackApprovalSettings(
        signing_secret_arn=signing_secret,
        token_secret_arn=environment.text("SLACK_TOKEN_SECRET_ARN"),
        team_id=environment.text("SLACK_TEAM_ID"),
        app_id=environment.text("SLACK_APP_ID"),
        approvers=environment.items("SLACK_APPROVERS", _SLACK_APPROVER, "the id of a user or a user group"),
        api_url=environment.text("SLACK_API_URL"),
        queue_url=environment.text("SLACK_QUEUE_URL"),
    )
