"""A check of the deployed stack: what it found, and what to do about it."""

import enum
from collections.abc import Callable

from botocore.exceptions import ClientError
from msgspec import Struct

from bedrock_remediator.aws.errors import error_code
from bedrock_remediator.clock import Clock
from bedrock_remediator_cli.connection import Connection
from bedrock_remediator_cli.deployment import Deployment

REFUSED = frozenset({"AccessDenied", "AccessDeniedException", "AuthorizationError", "UnauthorizedOperation"})


class Status(enum.StrEnum):
    """How a check ended."""

    OK = "ok"
    LOOK = "look"
    """It may be meant so."""
    BROKEN = "broken"
    UNKNOWN = "unknown"
    """It could not be asked."""


class Check(Struct, frozen=True, kw_only=True):
    """What one check found; `advice` is what to do, None where there is nothing to do."""

    name: str
    status: Status
    found: str
    advice: str | None = None


class Ward(Struct, frozen=True, kw_only=True):
    """What checks work with: the way to AWS, the stack, the time, and the address of Slack's API."""

    aws: Connection
    stack: Deployment
    clock: Clock
    slack_api: str


def ok(name: str, found: str) -> Check:
    """All is well."""
    return Check(name=name, status=Status.OK, found=found)


def look(name: str, found: str, advice: str) -> Check:
    """Something that may be meant so."""
    return Check(name=name, status=Status.LOOK, found=found, advice=advice)


def broken(name: str, found: str, advice: str) -> Check:
    """Something that keeps the service from working."""
    return Check(name=name, status=Status.BROKEN, found=found, advice=advice)


def asked(name: str, check: Callable[[Ward], Check], ward: Ward) -> Check:
    """Make a check; one that AWS refuses says which right it lacks."""
    try:
        return check(ward)
    except ClientError as error:
        code = error_code(error)
        if code in REFUSED:
            found = f"You may not call {error.operation_name}."
            return Check(
                name=name, status=Status.UNKNOWN, found=found, advice="Ask somebody who may, or get the right."
            )
        found = f"{error.operation_name} failed: {code}: {error.response.get('Error', {}).get('Message', '')}"
        return Check(name=name, status=Status.BROKEN, found=found, advice="Look at what AWS says.")
