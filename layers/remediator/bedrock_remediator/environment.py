"""Reads variables of a function's environment, each checked, and refuses by name what is missing or bad."""

import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Final, TypeVar

Value = TypeVar("Value")

_TEN_YEARS: Final = 3650
_ADDRESS = re.compile(r"https://[A-Za-z0-9.-]+(:[0-9]+)?(/[A-Za-z0-9_-]+)*|http://127\.0\.0\.1(:[0-9]+)?")
_PARAMETER_PATH = re.compile(r"(/[A-Za-z0-9_.-]+)+")


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

    def items(self, name: str, pattern: re.Pattern[str] | None = None, kind: str = "") -> tuple[str, ...]:
        """The variable as a list: separated by commas, and it may be empty, but it must be set.

        Args:
            name: Its name.
            pattern: What every item must match, if there is such.
            kind: What an item is, for the message.
        """
        found = tuple(item.strip() for item in (self.maybe(name) or "").split(",") if item.strip())
        for item in found:
            if pattern and not pattern.fullmatch(item):
                raise SettingError(f"{name} holds {item!r}, which is not {kind}")
        return found


def truth(value: str) -> bool:
    """Read `true` or `false`. Raises ValueError."""
    if value not in ("true", "false"):
        raise ValueError("it must be true or false")
    return value == "true"


def count(value: str) -> int:
    """Read a whole number of at most six digits. Raises ValueError."""
    if not re.fullmatch(r"[0-9]{1,6}", value):
        raise ValueError("it must be a whole number")
    return int(value)


def positive(value: str) -> int:
    """Read a whole number of at most six digits that is not 0. Raises ValueError."""
    number = count(value)
    if not number:
        raise ValueError("it must be at least 1")
    return number


def longest(value: str) -> timedelta | None:
    """Read the days that a grant may last at most, ten years of them; 0 is no maximum. Raises ValueError."""
    days = count(value)
    if days > _TEN_YEARS:
        raise ValueError(f"ten years ({_TEN_YEARS}) are the most; 0 is no maximum")
    return timedelta(days=days) if days else None


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
