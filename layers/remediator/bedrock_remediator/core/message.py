"""The grammar of Bedrock's refusals: from the text of an error to who, what, on what, and which layer.

Forms and sources: docs/aws-facts.md §2. The text is AWS's, but the caller writes parts of it (session name, model
identifier), so only a message that fits a known form from its first character to its last is read; all else is
`Unread`. A form that does not name its layer, or that ends in a sentence nobody has seen yet, is read with `certain`
False: good enough to ask a person, never to act alone.
"""

import re
from functools import lru_cache
from typing import Final, Literal

from msgspec import Struct

from bedrock_remediator.core.layers import PHRASES, REFUSALS, Effect, Layer

TRUNCATED_BYTES: Final = 1021
"""CloudTrail cuts error messages at 1 KB; a cut inside a character of up to four bytes leaves this many."""

UnreadCode = Literal["message_missing", "message_truncated", "message_unreadable"]


class Refusal(Struct, frozen=True, kw_only=True):
    """What was refused, and by what.

    `action` is an IAM action with its service; it and `resource` are None where the form leaves them out.
    `authorization_id` is what GetRequestAuthorizationDetails is asked by; None where the message gives none.
    """

    action: str | None
    resource: str | None
    layer: Layer
    effect: Effect | None
    policy_arn: str | None
    certain: bool
    authorization_id: str | None = None


class Message(Struct, frozen=True):
    """What a refusal's text says. All of it is text, nothing confirmed.

    `principal` is None where the form leaves it out.
    """

    principal: str | None
    refusal: Refusal


class Unread(Struct, frozen=True):
    """A text that fits no known form."""

    code: UnreadCode
    reason: str


_LAYER: Final = "|".join(PHRASES)

_WHO = re.compile(r"User: ([^ ]++) is not authorized to perform: (.++)", re.DOTALL)

_DENIED = re.compile(
    r"""
    (?P<action>[a-z0-9-]++:[A-Za-z0-9]++)
    (?:\ on\ resource:\ (?:[A-Za-z-]++\ ){0,3}?(?P<resource>\S++))?
    (?:
        \ because\ no\ (?P<implicit>(?:LAYER))\ allows\ the\ (?P<again>\S++)\ action
      |
        (?P<explicit>\ with\ an\ explicit\ deny)
        (?:
            \ in\ (?:an?\ |the\ )?(?P<layer>LAYER)
            (?:\ transitively\ through\ (?:an?\ |the\ )?[A-Za-z-]++(?:\ [A-Za-z-]++){0,3})?
            (?::\ (?P<policy>arn:[a-z0-9-]++:[a-z0-9-]++:[a-z0-9-]*+:(?:[0-9]{12}|aws)?:[A-Za-z0-9/_+=,.@-]++))?
        )?
    )?
    (?:\.?
        (?:\ Go\ to\ https://\S++\ for\ complete\ details,\ or\ call\ the\ GetRequestAuthorizationDetails\ API
           \ with\ the\ following\ authorization\ id:\ (?P<authorization>\S++))?
    )
    (?P<unknown>(?<=\.)\ [^\n]++)?
    """.replace("LAYER", _LAYER.replace(" ", r"\ ")),
    re.VERBOSE,
)

_CONSOLE_WHO = re.compile(r"User:\s++(\S++)\s++Action:\s++(.++)", re.DOTALL)

_CONSOLE = re.compile(
    r"(?P<action>[a-z0-9-]++:[A-Za-z0-9]++)\s++On resource\(s\):\s++(?P<resource>\S++)"
    r"(?:\s++Context:\s++(?:an?|the|no)\s++(?P<layer>" + _LAYER + r")\s++"
    r"(?P<effect>explicitly denies|allows)\s++the\s++(?:\S++\s++)?action)?\.?\s*+"
)

_AUTHORIZATION_ID = re.compile(r"([0-9a-z]{1,256})\.?")

_DENY_WORDS = re.compile(r"\bden(?:y|ied|ies)\b", re.IGNORECASE)

_REFUSALS: Final = tuple(
    (words, Message(None, Refusal(action=None, resource=None, layer=layer, effect=None, policy_arn=None, certain=True)))
    for words, layer in REFUSALS
)


def read(text: str | None, *, whole: bool = False) -> Message | Unread:
    """Read the text of a refusal, as CloudTrail records it.

    Args:
        text: The text.
        whole: It was never cut off at 1 KB, because it is not from CloudTrail.

    Returns:
        What it says, or why it cannot be read. It never raises, whatever the text.
    """
    if not whole and (
        len(text or "") >= TRUNCATED_BYTES
        or (text and not text.isascii() and len(text.encode(errors="replace")) >= TRUNCATED_BYTES)
    ):
        return Unread("message_truncated", "The error message was cut off at 1 KB, so its end is not known.")
    text = text.strip() if text else ""
    if not text:
        return Unread("message_missing", "The record carries no error message.")
    if (found := _WHO.match(text)) and (refusal := _refused(found[2])):
        return refusal if isinstance(refusal, Unread) else Message(found[1], refusal)
    if (found := _CONSOLE_WHO.match(text)) and (refusal := _refused_in_console(found[2])):
        return Message(found[1], refusal)
    plain = text.replace("\u2019", "'")
    for words, message in _REFUSALS:
        if words in plain:
            return message
    return Unread("message_unreadable", "The error message has no form that is known.")


# A caller's name is its own; what it is refused is the same for many, so that is remembered.
@lru_cache(maxsize=1024)
def _refused(text: str) -> Refusal | Unread | None:
    """What stands after the caller in a denial by IAM; None if it has another form."""
    found = _DENIED.fullmatch(text)
    if not found:
        return None
    action, resource, implicit, again, explicit, layer, policy, authorization, unknown = found.groups()
    named = layer or implicit
    if unknown and _DENY_WORDS.search(unknown):
        return Unread("message_unreadable", "The error message ends in a sentence about a deny that is not known.")
    effect = Effect.EXPLICIT if explicit else Effect.IMPLICIT if implicit else None
    return Refusal(
        action=action,
        resource=_bare(resource, ends=not named and not explicit),
        layer=_layer(action, named),
        effect=effect,
        policy_arn=policy.removesuffix(".") if policy else None,
        certain=named is not None and not unknown and (again is None or again == action),
        authorization_id=_authorization_id(authorization) if authorization else None,
    )


def _authorization_id(text: str) -> str | None:
    """The id by which AWS explains the refusal, without the full stop of its sentence; None where it is no such id."""
    found = _AUTHORIZATION_ID.fullmatch(text)
    return found[1] if found else None


def _layer(action: str, words: str | None) -> Layer:
    """The layer that the words name. An API key's own right is refused in the same words, and no grant gives it."""
    if action == "bedrock:CallWithBearerToken":
        return Layer.API_KEY
    return PHRASES[words] if words else Layer.UNKNOWN


def _bare(resource: str | None, *, ends: bool) -> str | None:
    """The resource without the full stop of a sentence that it may end."""
    return resource.removesuffix(".") if resource and ends else resource


@lru_cache(maxsize=1024)
def _refused_in_console(text: str) -> Refusal | None:
    """The same in the console's layout."""
    found = _CONSOLE.fullmatch(text)
    if not found:
        return None
    action, resource, layer, effect = found.groups()
    return Refusal(
        action=action,
        resource=resource,
        layer=_layer(action, layer),
        effect=None if not effect else Effect.IMPLICIT if effect == "allows" else Effect.EXPLICIT,
        policy_arn=None,
        certain=layer is not None,
    )
