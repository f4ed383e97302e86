"""What others wrote: the caller's own words, and the policy statement that decided. Shown, never believed."""

import ipaddress
import json
from typing import Any, Final, TypeGuard

import msgspec

from bedrock_remediator.core.grant import Grant
from bedrock_remediator.notices.text import visible

SESSION_LENGTH: Final = 64
USER_AGENT_LENGTH: Final = 256
MODEL_ID_LENGTH: Final = 256
MESSAGE_LENGTH: Final = 1024
STATEMENT_LENGTH: Final = 8000
_OUR_PATH: Final = "/bedrock-access-remediator/"
_OUR_FILES: Final = ("stacks/member.yaml",)


def caller_words(grant: Grant) -> dict[str, str]:
    """What the caller wrote or could write: nobody has checked any of it. What is not known is left out."""
    sighting = grant.sighting
    words = {
        "session": (sighting.session, SESSION_LENGTH),
        "user_agent": (sighting.user_agent, USER_AGENT_LENGTH),
        "model_id": (None if confirmed(grant) else grant.model_id, MODEL_ID_LENGTH),
        "message": (sighting.message, MESSAGE_LENGTH),
    }
    return {name: visible(text, limit) for name, (text, limit) in words.items() if text}


def known_names(grant: Grant) -> frozenset[str]:
    """What stays readable in a text although it looks like a host: what AWS returned, and names of this project's.

    An address is AWS's word only where it is one: the caller may have written something else into that field.
    """
    ours = [name for name in (grant.written.policies if grant.written else ()) if f":policy{_OUR_PATH}" in name]
    arns = [arn for arn in (grant.profile, *grant.resources, *grant.allowed, *ours) if arn]
    names = [*grant.candidates, *([grant.model_id] if grant.model_id and confirmed(grant) else ())]
    address = grant.sighting.source_ip
    return frozenset([*arns, *map(_last_part, arns), *names, *([address] if _is_address(address) else ()), *_OUR_FILES])


def _last_part(arn: str) -> str:
    return arn.partition("/")[2] or arn


def _is_address(text: str | None) -> TypeGuard[str]:
    try:
        ipaddress.ip_address(text or "")
    except ValueError:
        return False
    return True


def confirmed(grant: Grant) -> bool:
    """Whether AWS confirmed what was called; if not, the model's identifier is the caller's own word."""
    return bool(grant.resources)


def statement(grant: Grant) -> Any:
    """The statement that decided: as JSON's values, as visible text where it is no JSON or too long, else None."""
    if not grant.evidence:
        return None
    if len(grant.evidence) > STATEMENT_LENGTH:
        return visible(grant.evidence, STATEMENT_LENGTH)
    try:
        return msgspec.json.decode(grant.evidence)
    except (ValueError, RecursionError):
        return visible(grant.evidence, STATEMENT_LENGTH)


def statement_lines(grant: Grant) -> list[str]:
    """The statement for people: indented JSON, printable ASCII."""
    shown = statement(grant)
    if shown is None:
        return []
    return [shown] if isinstance(shown, str) else json.dumps(shown, indent=2).splitlines()
