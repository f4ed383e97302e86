"""What each field of a rule or scope may hold, and the value that it stands for."""

import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Any, Final, TypeVar

from bedrock_remediator.core.markup import DocumentError, Node
from bedrock_remediator.core.rule import RuleEffect
from bedrock_remediator.core.rule_patterns import (
    destination_pattern,
    model_pattern,
    principal_pattern,
    profile_pattern,
    shown,
)

Value = TypeVar("Value")
Reader = Callable[[Node], Any]

_LONGEST_GRANT: Final = timedelta(days=3650)
_MOST_GRANTS: Final = 100_000
_UNITS: Final = {"m": "minutes", "h": "hours", "d": "days"}

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9 ._-]{0,62}[A-Za-z0-9])?")
_ACCOUNT = re.compile(r"[0-9]{12}")
_REGION = re.compile(r"[a-z]{2,5}(?:-[a-z]+){1,3}-[0-9]{1,2}")
_DURATION = re.compile(r"([0-9]{1,6})([mhd])")
_BLOCK = re.compile(r"[0-9A-Fa-f:.]{2,45}/[0-9]{1,3}")
_VPC_ENDPOINT = re.compile(r"vpce-[0-9a-f]{8,17}")
_TAG_KEY = re.compile(r"[\w \-.:/=+@]{1,128}")
_TAG_VALUE = re.compile(r"[\w \-.:/=+@]{0,256}")


def did_you_mean(word: str, words: Iterable[str]) -> str:
    """The end of a sentence that proposes the word which was probably meant; empty where none is near."""
    import difflib  # noqa: PLC0415  wanted for mistakes only, so not when a function starts

    near = difflib.get_close_matches(word, tuple(words), n=1)
    return f'; did you mean "{near[0]}"?' if near else ""


def entries(node: Node, what: str) -> Mapping[str, Node]:
    """The node as a mapping.

    Raises:
        DocumentError: It is something else.
    """
    if not isinstance(node.value, dict):
        raise DocumentError(f"{what} must be a mapping, not {_kind(node)}", node.line)
    return node.value


def items(node: Node, what: str) -> tuple[Node, ...]:
    """The node as a list.

    Raises:
        DocumentError: It is something else.
    """
    if not isinstance(node.value, tuple):
        raise DocumentError(f"{what} must be a list, not {_kind(node)}", node.line)
    return node.value


def _kind(node: Node) -> str:
    if node.value is None:
        return "empty"
    if isinstance(node.value, tuple):
        return "a list"
    return "a mapping" if isinstance(node.value, dict) else shown(node.value)


def _text(node: Node, what: str) -> str:
    if isinstance(node.value, str):
        return node.value
    hint = "; put it in quotes" if isinstance(node.value, bool | int | float) else ""
    raise DocumentError(f"{what} must be text, not {_kind(node)}{hint}", node.line)


def _one(what: str, convert: Callable[[str], Value]) -> Callable[[Node], Value]:
    """A reader of one text."""

    def read(node: Node) -> Value:
        text = _text(node, what)
        try:
            return convert(text)
        except ValueError as error:
            raise DocumentError(f"{what}: {error}", node.line) from error

    return read


def _several(what: str, convert: Callable[[str], Value]) -> Callable[[Node], tuple[Value, ...]]:
    """A reader of a list of texts, which must hold at least one."""
    read = _one(what, convert)

    def read_all(node: Node) -> tuple[Value, ...]:
        found = items(node, what)
        if not found:
            raise DocumentError(f"{what} must not be empty; leave it out where it should not restrict", node.line)
        return tuple(read(item) for item in found)

    return read_all


def _name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise ValueError(f"{shown(text)} must be 1 to 64 of letters, digits, spaces, and . _ -")
    return text


def _effect(text: str) -> RuleEffect:
    if text not in tuple(RuleEffect):
        raise ValueError(f"{shown(text)} must be auto, ask or never{did_you_mean(text, tuple(RuleEffect))}")
    return RuleEffect(text)


def _account(text: str) -> str:
    if not _ACCOUNT.fullmatch(text):
        raise ValueError(f"{shown(text)} is not an account id: 12 digits, without wildcards")
    return text


def _region(text: str) -> str:
    if not _REGION.fullmatch(text):
        raise ValueError(f"{shown(text)} is not the name of a region, such as us-east-1; there are no wildcards here")
    return text


def _network(text: str) -> str:
    if not _BLOCK.fullmatch(text):
        raise ValueError(f"{shown(text)} is not a CIDR block, such as 10.0.0.0/8 (one address: 10.1.2.3/32)")
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise ValueError(f"{shown(text)} is not a CIDR block, such as 10.0.0.0/8") from None
    if network.network_address != ipaddress.ip_address(text.partition("/")[0]):
        raise ValueError(f'{shown(text)} has bits set behind its prefix; did you mean "{network}"?')
    return str(network)


def _vpc_endpoint(text: str) -> str:
    if not _VPC_ENDPOINT.fullmatch(text):
        raise ValueError(f"{shown(text)} is not the id of a VPC endpoint, such as vpce-0a1b2c3d4e5f60718")
    return text


def _duration(text: str) -> timedelta:
    found = _DURATION.fullmatch(text)
    if not found or not int(found[1]):
        raise ValueError(f"{shown(text)} must be a number above 0 and m, h or d (minutes, hours, days), such as 30d")
    duration = timedelta(**{_UNITS[found[2]]: int(found[1])})
    if duration > _LONGEST_GRANT:
        raise ValueError(f"{shown(text)} is more than ten years; leave it out for the stack's default")
    return duration


def _tag_value(text: str) -> str:
    if not _TAG_VALUE.fullmatch(text):
        raise ValueError(f"{shown(text)} cannot be a tag's value; values are matched exactly, without wildcards")
    return text


def _tags(node: Node) -> Mapping[str, tuple[str, ...]]:
    tags = entries(node, "principal_tags")
    if not tags:
        raise DocumentError("principal_tags must not be empty; leave it out where it should not restrict", node.line)
    found = {}
    for key, value in tags.items():
        what = f"principal_tags, {shown(key)}"
        if not _TAG_KEY.fullmatch(key):
            raise DocumentError(f"{what} cannot be a tag's key", value.line)
        several = isinstance(value.value, tuple)
        found[key] = _several(what, _tag_value)(value) if several else (_one(what, _tag_value)(value),)
    return found


def _grants(node: Node) -> int:
    if type(node.value) is not int or not 1 <= node.value <= _MOST_GRANTS:
        raise DocumentError(
            f"max_grants_per_day must be a whole number from 1 to {_MOST_GRANTS}, not {_kind(node)}", node.line
        )
    return node.value


RULE_FIELDS: Final[Mapping[str, Reader]] = {
    "name": _one("name", _name),
    "effect": _one("effect", _effect),
    "principals": _several("principals", principal_pattern),
    "principal_tags": _tags,
    "profiles": _several("profiles", profile_pattern),
    "models": _several("models", model_pattern),
    "destinations": _several("destinations", destination_pattern),
    "accounts": _several("accounts", _account),
    "regions": _several("regions", _region),
    "source_ips": _several("source_ips", _network),
    "source_vpces": _several("source_vpces", _vpc_endpoint),
    "expires_after": _one("expires_after", _duration),
    "max_grants_per_day": _grants,
}
"""The fields of a rule, in the order in which they are documented."""

SCOPE_FIELDS: Final[Mapping[str, Reader]] = {
    field: RULE_FIELDS[field] for field in ("principals", "accounts", "profiles", "models", "destinations")
}
"""The fields of a team's scope: what they hold is what they hold in a rule."""
