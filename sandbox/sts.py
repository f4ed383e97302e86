"""STS: a function of the stack becomes another role, for as long as it asked by the virtual clock.

Who may is not decided here: `sandbox/authorization.py` holds the caller's policies and the role's trust policy against
the call before it is answered.
"""

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from sandbox.calls import ApiError, Call
from sandbox.sessions import SECRET, AssumedRole

LONGEST_CHAINED: Final = 3600
"""Seconds: a function's own credentials are a role's session, and from one to the next it is an hour at most."""
_SHORTEST: Final = 900
_KNOWN: Final = frozenset({"RoleArn", "RoleSessionName", "DurationSeconds", "ExternalId", "Policy"})
_NAME: Final = re.compile(r"[\w+=,.@-]{2,64}", re.ASCII)


class SecurityTokens:
    """The sessions that were handed out.

    Attributes:
        sessions: Access key -> the session.

    Args:
        properties: A role's ARN -> its properties in the template that it comes from.
        now: The time.
    """

    def __init__(self, properties: Callable[[str], Mapping[str, Any]], now: Callable[[], datetime]) -> None:
        self.sessions: dict[str, AssumedRole] = {}
        self._properties = properties
        self._now = now
        self.answers: Mapping[str, Callable[[Call], Mapping[str, Any]]] = {"AssumeRole": self._assume}

    def check(self, call: Call) -> None:
        """Refuse a call whose session is over.

        Raises:
            ApiError: ExpiredToken, as the service words it.
        """
        if call.role is not None and self._now() >= call.role.expires:
            code = "ExpiredToken" if call.service in {"iam", "sts"} else "ExpiredTokenException"
            raise ApiError(code, "The security token included in the request is expired", 403)

    def _assume(self, call: Call) -> Mapping[str, Any]:
        given = call.parameters
        unknown = sorted(set(given) - _KNOWN)
        if unknown or call.caller is None:
            raise ApiError("ValidationError", f"the sandbox has only functions assume roles, without {unknown}")
        role, name = given["RoleArn"], given["RoleSessionName"]
        if not _NAME.fullmatch(name):
            raise ApiError("ValidationError", f"Value {name!r} at 'roleSessionName' failed to satisfy constraint")
        unique = hashlib.sha256(f"{role}/{name}/{len(self.sessions)}".encode()).hexdigest()
        session = AssumedRole(
            caller=call.caller,
            role=role,
            name=name,
            token=unique,
            expires=self._now() + timedelta(seconds=self._seconds(given)),
            policy=json.loads(given["Policy"]) if "Policy" in given else None,
        )
        key = f"ASIA{unique[:16].upper()}"
        self.sessions[key] = session
        return _described(key, session)

    def _seconds(self, given: Mapping[str, Any]) -> int:
        seconds = int(given.get("DurationSeconds", LONGEST_CHAINED))
        longest = int(self._properties(given["RoleArn"]).get("MaxSessionDuration", LONGEST_CHAINED))
        if not _SHORTEST <= seconds <= min(longest, LONGEST_CHAINED):
            raise ApiError(
                "ValidationError",
                "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining"
                if seconds > LONGEST_CHAINED
                else f"DurationSeconds must be from {_SHORTEST} to the MaxSessionDuration set for this role",
            )
        return seconds


def _described(key: str, session: AssumedRole) -> dict[str, Any]:
    partition, name = session.role.split(":")[1], session.role.rpartition("/")[2]
    return {
        "Credentials": {
            "AccessKeyId": key,
            "SecretAccessKey": SECRET,
            "SessionToken": session.token,
            "Expiration": session.expires,
        },
        "AssumedRoleUser": {
            "AssumedRoleId": f"AROA{hashlib.sha256(session.role.encode()).hexdigest()[:17].upper()}:{session.name}",
            "Arn": f"arn:{partition}:sts::{session.account}:assumed-role/{name}/{session.name}",
        },
    }
