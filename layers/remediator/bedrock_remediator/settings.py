"""What the functions read from their environment: once, at start, validated; template.yaml sets every variable.

A missing or bad variable stops the function at start with its name, so that a broken deployment shows at once and
not on the first denial.
"""

import enum
import os
import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Self, TypeVar

from msgspec import Struct

from bedrock_remediator.core.probing import ProbeLimits

Value = TypeVar("Value")

_ACTION = re.compile(r"bedrock:[A-Za-z]{1,64}")
_ADDRESS = re.compile(r"https://[A-Za-z0-9.-]+(:\d+)?(/[A-Za-z0-9_-]+)*|http://127\.0\.0\.1(:\d+)?")
_ACCOUNT = re.compile(r"\d{12}|\*")
_PARAMETER_PATH = re.compile(r"(/[A-Za-z0-9_.-]+)+")


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


class SettingError(ValueError):
    """An environment variable is missing or bad; the message begins with its name."""


class Environment:
    """Reads variables, and raises with the variable's name."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = variables

    def text(self, name: str) -> str:
        """The variable, which must be there and not empty."""
        value = self._variables.get(name, "")
        if not value:
            raise SettingError(f"{name} is not set")
        return value

    def read(self, name: str, convert: Callable[[str], Value]) -> Value:
        """The variable, converted; a ValueError of the conversion becomes a SettingError."""
        value = self.text(name)
        try:
            return convert(value)
        except ValueError as error:
            raise SettingError(f"{name} is {value!r}: {error}") from error

    def maybe(self, name: str) -> str | None:
        """The variable, which must be set; None where it is empty."""
        if name not in self._variables:
            raise SettingError(f"{name} is not set")
        return self._variables[name] or None

    def items(self, name: str) -> tuple[str, ...]:
        """The variable as a list: separated by commas, and it may be empty, but it must be set."""
        if name not in self._variables:
            raise SettingError(f"{name} is not set")
        return tuple(item.strip() for item in self._variables[name].split(",") if item.strip())


def truth(value: str) -> bool:
    """Read `true` or `false`. Raises ValueError."""
    if value not in ("true", "false"):
        raise ValueError("it must be true or false")
    return value == "true"


def count(value: str) -> int:
    """Read a whole number of at most six digits. Raises ValueError."""
    if not re.fullmatch(r"\d{1,6}", value):
        raise ValueError("it must be a whole number")
    return int(value)


def positive(value: str) -> int:
    """Read a whole number of at most six digits that is not 0. Raises ValueError."""
    number = count(value)
    if not number:
        raise ValueError("it must be at least 1")
    return number


def address(value: str) -> str:
    """Read the address of an HTTP API. Raises ValueError."""
    if not _ADDRESS.fullmatch(value):
        raise ValueError("it must be an https address without a slash at its end")
    return value


def path(value: str) -> str:
    """Read a Parameter Store path. Raises ValueError."""
    if not _PARAMETER_PATH.fullmatch(value):
        raise ValueError("it must be a Parameter Store path such as /bedrock-access-remediator/allowlist")
    return value


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
        extra_actions = environment.items("EXTRA_ACTIONS")
        for action in extra_actions:
            if not _ACTION.fullmatch(action):
                raise SettingError(f"EXTRA_ACTIONS holds {action!r}: only single actions of bedrock, without wildcards")
        grantable = environment.items("GRANTABLE_PRINCIPALS")
        for pattern in grantable:
            if not pattern.startswith("arn:"):
                raise SettingError(f"GRANTABLE_PRINCIPALS holds {pattern!r}: only ARN patterns")
        enrolled = environment.items("ENROLLED_ACCOUNTS")
        for account in enrolled:
            if not _ACCOUNT.fullmatch(account):
                raise SettingError(f"ENROLLED_ACCOUNTS holds {account!r}: only account ids, or *")
        return cls(
            ledger_table=environment.text("LEDGER_TABLE"),
            mode=environment.read("MODE", Mode),
            paused=environment.read("PAUSED", truth),
            strategy=environment.read("POLICY_STRATEGY", Strategy),
            allowlist_path=environment.read("ALLOWLIST_PATH", path),
            extra_actions=extra_actions,
            grantable_principals=grantable,
            default_grant_days=environment.read("DEFAULT_GRANT_DAYS", count),
            probes=ProbeLimits(
                profiles=environment.read("PROBE_PROFILES", positive),
                window=timedelta(minutes=environment.read("PROBE_WINDOW_MINUTES", positive)),
                grants_a_day=environment.read("PRINCIPAL_GRANTS_PER_DAY", positive),
                unknown_caller_asks=environment.read("UNKNOWN_CALLER_ASKS", truth),
            ),
            enrolled_accounts=enrolled,
        )


class TriageSettings(Struct, frozen=True, kw_only=True):
    """What triage reads: the policy settings, and REFUSED_QUEUE_URL, where unreadable messages go with their reason."""

    policy: PolicySettings
    refused_queue_url: str

    @classmethod
    def read(cls, variables: Mapping[str, str] = os.environ) -> Self:
        """Read and check the variables.

        Raises:
            SettingError: One is missing or bad.
        """
        return cls(
            policy=PolicySettings.read(variables), refused_queue_url=Environment(variables).text("REFUSED_QUEUE_URL")
        )


class RemediateSettings(Struct, frozen=True, kw_only=True):
    """What remediate reads.

    The policy settings, VERIFY_SECONDS, how long to wait for IAM to settle, APPROVAL_KEY_ID, the KMS key by which
    a person's approval is told, and EDIT_KEY_ID, the one that seals what is added in place, empty for no such key.
    """

    policy: PolicySettings
    verify_seconds: int
    approval_key_id: str
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
            edit_key_id=Environment(variables).maybe("EDIT_KEY_ID"),
        )


def _lapse_hours(environment: Environment) -> int:
    hours = environment.read("APPROVAL_LAPSE_HOURS", count)
    if not hours:
        raise SettingError("APPROVAL_LAPSE_HOURS is 0: a request must last at least an hour")
    return hours


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
        return cls(keys_secret_arn=environment.text("APPROVAL_KEYS_SECRET_ARN"), lapse_hours=_lapse_hours(environment))


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
        days = environment.read("MAX_GRANT_DAYS", count)
        return cls(
            ledger_table=environment.text("LEDGER_TABLE"),
            strategy=environment.read("POLICY_STRATEGY", Strategy),
            extra_actions=environment.items("EXTRA_ACTIONS"),
            longest=timedelta(days=days) if days else None,
            api_url=environment.text("SLACK_API_URL"),
            token_secret_arn=environment.text("SLACK_TOKEN_SECRET_ARN"),
            channel_id=environment.text("SLACK_CHANNEL_ID"),
            queue_url=environment.text("SLACK_QUEUE_URL"),
            approvers=environment.items("SLACK_APPROVERS"),
        )


class UpkeepSettings(Struct, frozen=True, kw_only=True):
    """What upkeep reads.

    The policy settings; APPROVAL_LAPSE_HOURS, how long a request waits for a person; NOTICES_TOPIC_ARN, where the
    digest goes; NOTICES_PER_HOUR, how many notices of an hour are sent one by one.
    """

    policy: PolicySettings
    lapse_hours: int
    notices_topic_arn: str
    notices_an_hour: int

    @classmethod
    def read(cls, variables: Mapping[str, str] = os.environ) -> Self:
        """Read and check the variables.

        Raises:
            SettingError: One is missing or bad.
        """
        environment = Environment(variables)
        return cls(
            policy=PolicySettings.read(variables),
            lapse_hours=_lapse_hours(environment),
            notices_topic_arn=environment.text("NOTICES_TOPIC_ARN"),
            notices_an_hour=environment.read("NOTICES_PER_HOUR", positive),
        )
