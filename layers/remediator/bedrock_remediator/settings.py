"""What the functions read from their environment: once, at start, validated; template.yaml sets every variable.

A missing or bad variable stops the function at start with its name, so that a broken deployment shows at once and
not on the first denial.
"""

import enum
import os
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Self

from msgspec import Struct

from bedrock_remediator.core.suspicion import ProbeLimits
from bedrock_remediator.environment import Environment, address, count, longest, path, positive, truth

_ACTION = re.compile(r"bedrock:[A-Za-z]{1,64}")
_ARN_PATTERN = re.compile(r"arn:.*", re.DOTALL)
_ACCOUNT = re.compile(r"[0-9]{12}|\*")


class Mode(enum.StrEnum):
    """How far the service may go by itself."""

    OBSERVE = "observe"
    APPROVE = "approve"
    AUTO = "auto"


class Strategy(enum.StrEnum):
    """Where a grant is written."""

    MANAGED = "managed"
    INLINE = "inline"
    IN_PLACE = "in-place"


class PolicySettings(Struct, frozen=True, kw_only=True):
    """What triage, remediate and upkeep must agree on.

    MODE, PAUSED (true|false), POLICY_STRATEGY (managed|inline|in-place), ALLOWLIST_PATH (Parameter Store path),
    EXTRA_ACTIONS and GRANTABLE_PRINCIPALS (lists with commas; IAM ARN patterns), DEFAULT_GRANT_DAYS (0 = no expiry),
    ENROLLED_ACCOUNTS (ids with commas, or `*`; empty: the service's own account alone), LEDGER_TABLE.
    What rules may do by themselves for one principal: PROBE_PROFILES, PROBE_WINDOW_MINUTES,
    PRINCIPAL_GRANTS_PER_DAY (each at least 1), UNKNOWN_CALLER_ASKS (true|false).
    """

    ledger_table: str
    mode: Mode
    paused: bool
    strategy: Strategy
    allowlist_path: str
    extra_actions: tuple[str, ...]
    grantable_principals: tuple[str, ...]
    default_grant_days: int
    probes: ProbeLimits = ProbeLimits()
    enrolled_accounts: tuple[str, ...] = ()

    @classmethod
    def read(cls, variables: Mapping[str, str] = os.environ) -> Self:
        """Read and check the variables.

        Raises:
            SettingError: One is missing or bad.
        """
        environment = Environment(variables)
        return cls(
            ledger_table=environment.text("LEDGER_TABLE"),
            mode=environment.read("MODE", Mode),
            paused=environment.read("PAUSED", truth),
            strategy=environment.read("POLICY_STRATEGY", Strategy),
            allowlist_path=environment.read("ALLOWLIST_PATH", path),
            extra_actions=environment.items("EXTRA_ACTIONS", _ACTION, "a single action of bedrock, without wildcards"),
            grantable_principals=environment.items("GRANTABLE_PRINCIPALS", _ARN_PATTERN, "an ARN pattern"),
            default_grant_days=environment.read("DEFAULT_GRANT_DAYS", count),
            probes=ProbeLimits(
                profiles=environment.read("PROBE_PROFILES", positive),
                window=timedelta(minutes=environment.read("PROBE_WINDOW_MINUTES", positive)),
                grants_a_day=environment.read("PRINCIPAL_GRANTS_PER_DAY", positive),
                unknown_caller_asks=environment.read("UNKNOWN_CALLER_ASKS", truth),
            ),
            enrolled_accounts=environment.items("ENROLLED_ACCOUNTS", _ACCOUNT, "an account id, or *"),
        )


class TriageSettings(Struct, frozen=True, kw_only=True):
    """What triage reads.

    The policy settings; REFUSED_QUEUE_URL, where unreadable messages go with their reason; OPEN_REQUESTS_PER_PRINCIPAL,
    how many requests of one principal may wait for a person at once (at least 1).
    """

    policy: PolicySettings
    refused_queue_url: str
    open_requests: int

    @classmethod
    def read(cls, variables: Mapping[str, str] = os.environ) -> Self:
        """Read and check the variables.

        Raises:
            SettingError: One is missing or bad.
        """
        return cls(
            policy=PolicySettings.read(variables),
            refused_queue_url=Environment(variables).text("REFUSED_QUEUE_URL"),
            open_requests=Environment(variables).read("OPEN_REQUESTS_PER_PRINCIPAL", positive),
        )


class RemediateSettings(Struct, frozen=True, kw_only=True):
    """What remediate reads.

    The policy settings, VERIFY_SECONDS, how long to wait for IAM to settle, APPROVAL_KEY_ID, the KMS key by which
    a person's approval is told, USED_APPROVALS_TABLE, where it is remembered which were used, and EDIT_KEY_ID, the key
    that seals what is added in place, empty for no such key.
    """

    policy: PolicySettings
    verify_seconds: int
    approval_key_id: str
    used_approvals_table: str
    edit_key_id: str | None

    @classmethod
    def read(cls, variables: Mapping[str, str] = os.environ) -> Self:
        """Read and check the variables.

        Raises:
            SettingError: One is missing or bad.
        """
        return cls(
            policy=PolicySettings.read(variables),
            verify_seconds=Environment(variables).read("VERIFY_SECONDS", count),
            approval_key_id=Environment(variables).text("APPROVAL_KEY_ID"),
            used_approvals_table=Environment(variables).text("USED_APPROVALS_TABLE"),
            edit_key_id=Environment(variables).maybe("EDIT_KEY_ID"),
        )


class LinkSettings(Struct, frozen=True, kw_only=True):
    """How links to the page are signed, and how long they and the requests are good for.

    APPROVAL_KEYS_SECRET_ARN (Secrets Manager), APPROVAL_LAPSE_HOURS.
    """

    keys_secret_arn: str
    lapse_hours: int

    @classmethod
    def read(cls, variables: Mapping[str, str] = os.environ) -> Self:
        """Read and check the variables.

        Raises:
            SettingError: One is missing or bad.
        """
        environment = Environment(variables)
        return cls(
            keys_secret_arn=environment.text("APPROVAL_KEYS_SECRET_ARN"),
            lapse_hours=environment.read("APPROVAL_LAPSE_HOURS", positive),
        )


class NotifySettings(Struct, frozen=True, kw_only=True):
    """What notify reads.

    LEDGER_TABLE, POLICY_STRATEGY, EXTRA_ACTIONS, APPROVALS_TOPIC_ARN, NOTICES_TOPIC_ARN and AMAZON_Q_TOPIC_ARN (empty:
    no Amazon Q); NOTICES_PER_HOUR, how many go out one by one; APPROVAL_URL (the HTTP API's address, without a slash at
    its end), and the links' settings.
    """

    ledger_table: str
    strategy: Strategy
    extra_actions: tuple[str, ...]
    approvals_topic_arn: str
    notices_topic_arn: str
    amazon_q_topic_arn: str | None
    notices_an_hour: int
    approval_url: str
    links: LinkSettings

    @classmethod
    def read(cls, variables: Mapping[str, str] = os.environ) -> Self:
        """Read and check the variables.

        Raises:
            SettingError: One is missing or bad.
        """
        environment = Environment(variables)
        return cls(
            ledger_table=environment.text("LEDGER_TABLE"),
            strategy=environment.read("POLICY_STRATEGY", Strategy),
            extra_actions=environment.items("EXTRA_ACTIONS"),
            approvals_topic_arn=environment.text("APPROVALS_TOPIC_ARN"),
            notices_topic_arn=environment.text("NOTICES_TOPIC_ARN"),
            amazon_q_topic_arn=environment.maybe("AMAZON_Q_TOPIC_ARN"),
            notices_an_hour=environment.read("NOTICES_PER_HOUR", positive),
            approval_url=environment.read("APPROVAL_URL", address),
            links=LinkSettings.read(variables),
        )


class SlackSettings(Struct, frozen=True, kw_only=True):
    """What slack reads.

    LEDGER_TABLE, POLICY_STRATEGY, EXTRA_ACTIONS, MAX_GRANT_DAYS (0: no maximum); SLACK_API_URL, SLACK_TOKEN_SECRET_ARN
    (the bot's token), SLACK_CHANNEL_ID, SLACK_QUEUE_URL (the queue that it works on), SLACK_APPROVERS (ids with commas;
    empty: nobody decides in Slack, and there are no buttons).
    """

    ledger_table: str
    strategy: Strategy
    extra_actions: tuple[str, ...]
    longest: timedelta | None
    api_url: str
    token_secret_arn: str
    channel_id: str
    queue_url: str
    approvers: tuple[str, ...]

    @classmethod
    def read(cls, variables: Mapping[str, str] = os.environ) -> Self:
        """Read and check the variables.

        Raises:
            SettingError: One is missing or bad.
        """
        environment = Environment(variables)
        return cls(
            ledger_table=environment.text("LEDGER_TABLE"),
            strategy=environment.read("POLICY_STRATEGY", Strategy),
            extra_actions=environment.items("EXTRA_ACTIONS"),
            longest=environment.read("MAX_GRANT_DAYS", longest),
            api_url=environment.text("SLACK_API_URL"),
            token_secret_arn=environment.text("SLACK_TOKEN_SECRET_ARN"),
            channel_id=environment.text("SLACK_CHANNEL_ID"),
            queue_url=environment.text("SLACK_QUEUE_URL"),
            approvers=environment.items("SLACK_APPROVERS"),
        )


class UpkeepSettings(Struct, frozen=True, kw_only=True):
    """What upkeep reads.

    The policy settings; APPROVAL_LAPSE_HOURS, how long a request waits for a person; NOTICES_TOPIC_ARN, where the
    digest goes; NOTICES_PER_HOUR, how many notices of an hour are sent one by one. Whether anybody hears is looked for
    in that topic, in APPROVALS_TOPIC_ARN and in AMAZON_Q_TOPIC_ARN (empty: there is none); APPROVALS_EMAIL and
    NOTICES_EMAIL are the addresses that the stack has subscribed (empty: none).
    """

    policy: PolicySettings
    lapse_hours: int
    notices_topic_arn: str
    notices_an_hour: int
    approvals_topic_arn: str
    amazon_q_topic_arn: str | None
    approvals_email: str | None
    notices_email: str | None

    @classmethod
    def read(cls, variables: Mapping[str, str] = os.environ) -> Self:
        """Read and check the variables.

        Raises:
            SettingError: One is missing or bad.
        """
        environment = Environment(variables)
        return cls(
            policy=PolicySettings.read(variables),
            lapse_hours=environment.read("APPROVAL_LAPSE_HOURS", positive),
            notices_topic_arn=environment.text("NOTICES_TOPIC_ARN"),
            notices_an_hour=environment.read("NOTICES_PER_HOUR", positive),
            approvals_topic_arn=environment.text("APPROVALS_TOPIC_ARN"),
            amazon_q_topic_arn=environment.maybe("AMAZON_Q_TOPIC_ARN"),
            approvals_email=environment.maybe("APPROVALS_EMAIL"),
            notices_email=environment.maybe("NOTICES_EMAIL"),
        )
