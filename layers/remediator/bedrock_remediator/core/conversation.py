"""The conversation that a change of a row belongs to: one thread in a chat, however often the row moves."""

import hashlib
from collections.abc import Sequence
from datetime import UTC
from typing import Final

from bedrock_remediator.core.grant import Event, Grant, State

ADVICE: Final = "advice"


def conversation(grant: Grant) -> str:
    """Which of the row's conversations this is.

    A row that is opened anew asks anew, in a conversation of its own. Advice that comes again is a repeat, and belongs
    to the conversation it began.
    """
    if grant.state is State.REPORTED:
        return ADVICE
    return grant.created_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def thread_id(grant: Grant) -> str:
    """A name for the conversation that is safe everywhere and grants nothing, 32 hexadecimal digits."""
    key = "\0".join((grant.pk, grant.sk, conversation(grant)))
    return hashlib.sha256(key.encode(errors="backslashreplace")).hexdigest()[:32]


def steps_after(grant: Grant, version: int) -> Sequence[Event]:
    """What has happened to the row since it was at a version, as far as its history goes back."""
    later = range(max(version + 1, grant.first_version), grant.version + 1)
    return [step for step in map(grant.step, later) if step]
