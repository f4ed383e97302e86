"""What the functions read from their environment: once, at start, validated; template.yaml sets every variable.

A missing or bad variable stops the function at start with its name, so that a broken deployment shows at once and
not on the first denial.
"""

import enum
import os
import re
from collections.abc import Callable, Mapping
from typing import Self, TypeVar

from msgspec import Struct

Value = TypeVar("Value")

_ACTION = re.compile(r"bedrock:[A-Za-z]{1,64}")
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

    def items(self, name: str) -> tuple[str, ...]:
        """The variable as a list: separated by commas, and it may be empty, but it must be set."""
        if name not in self._variables:
            raise SettingError(f"{name} is not set")
        return tuple(item.strip() for item in self._variables[name].split(",") if item.strip())


def _truth(value: str) -> bool:
    if value not in ("true", "false"):
        raise ValueError("it must be true or false")
    return value == "true"


def _count(value: str) -> int:
    if not re.fullmatch(r"\d{1,6}", value):
        raise ValueError("it must be a whole number")
    return int(value)


def _path(value: str) -> str:
    if not _PARAMETER_PATH.fullmatch(value):
        raise ValueError("it must be a Parameter Store path such as /bedrock-access-remediator/allowlist")
    return value


class PolicySettings(Struct, frozen=True, kw_only=True):
    """What triage and remediate must agree on.

    MODE, PAUSED (true|false), POLICY_STRATEGY (managed|inline|in-place), ALLOWLIST_PATH (Parameter Store path),
    EXTRA_ACTIONS and GRANTABLE_PRINCIPALS (lists with commas; IAM ARN patterns), DEFAULT_GRANT_DAYS (0 = no expiry),
    LEDGER_TABLE.
    """

    ledger_table: str
    mode: Mode
    paused: bool
    strategy: Strategy
    allowlist_path: str
    extra_actions: tuple[str, ...]
    grantable_principals: tuple[str, ...]
    default_grant_days: int

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
        return cls(
            ledger_table=environment.text("LEDGER_TABLE"),
            mode=environment.read("MODE", Mode),
            paused=environment.read("PAUSED", _truth),
            strategy=environment.read("POLICY_STRATEGY", Strategy),
            allowlist_path=environment.read("ALLOWLIST_PATH", _path),
            extra_actions=extra_actions,
            grantable_principals=grantable,
            default_grant_days=environment.read("DEFAULT_GRANT_DAYS", _count),
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
    """What remediate reads: the policy settings, and VERIFY_SECONDS, how long to wait for IAM to settle."""

    policy: PolicySettings
    verify_seconds: int

    @classmethod
    def read(cls, variables: Mapping[str, str] = os.environ) -> Self:
        """Read and check the variables.

        Raises:
            SettingError: One is missing or bad.
        """
        return cls(
            policy=PolicySettings.read(variables), verify_seconds=Environment(variables).read("VERIFY_SECONDS", _count)
        )


class NotifySettings(Struct, frozen=True, kw_only=True):
    """What notify reads.

    LEDGER_TABLE, POLICY_STRATEGY, EXTRA_ACTIONS, APPROVALS_TOPIC_ARN and NOTICES_TOPIC_ARN.
    """

    ledger_table: str
    strategy: Strategy
    extra_actions: tuple[str, ...]
    approvals_topic_arn: str
    notices_topic_arn: str

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
        )
