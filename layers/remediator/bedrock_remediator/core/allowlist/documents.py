"""Reading the two kinds of document that the allowlist is made of: rules, and the scopes of teams.

A document is YAML or JSON, read strictly, because what it says may open doors: a key given twice, an anchor, an alias,
a tag, a second document and deep nesting are errors, so nothing in a document can overrule or multiply what a reviewer
saw in it.

Reading goes on after a mistake, so that the author sees all of them at once and what is not wrong still counts.
"""

import ipaddress
import json
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Any, Final, TypeVar

from bedrock_remediator.core.allowlist.nodes import DEEPEST, LONGEST, DocumentError, Node
from bedrock_remediator.core.allowlist.rules import (
    MAIN,
    SCOPES,
    RuleEffect,
    Scope,
    destination_pattern,
    may_name_application_profile,
    model_pattern,
    principal_pattern,
    profile_pattern,
    shown,
)


def read_json(text: str) -> Node | None:
    """The document if it is JSON, without lines; None where YAML's reader must read it, or tell what is wrong.

    JSON is read by itself because YAML's reader is costly to import when a function starts.
    """
    if len(text) > LONGEST or not text.lstrip().startswith("{"):
        return None
    try:
        return _node(json.loads(text, object_pairs_hook=_unique), DEEPEST)
    except (ValueError, RecursionError):
        return None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    entries = dict(pairs)
    if len(entries) != len(pairs):
        raise ValueError("a key is given twice")
    return entries


def _node(value: Any, depth: int) -> Node:
    if not depth:
        raise ValueError("nested too deeply")
    if isinstance(value, dict):
        return Node({key: _node(inner, depth - 1) for key, inner in value.items()})
    if isinstance(value, list):
        return Node(tuple(_node(inner, depth - 1) for inner in value))
    return Node(value)


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


_DOCUMENT_NAME: Final = re.compile(r"[A-Za-z0-9.-][A-Za-z0-9_.-]*(?:/[A-Za-z0-9_.-]+)*")
"""What a document of rules may be called. Names that begin with an underscore are kept for this service."""

_VERSION: Final = 1
_EVERY_PROFILE: Final = "*"
"""Opens every system-defined profile: an application profile reaches nothing that these do not."""
_TARGETS: Final = ("profiles", "models", "destinations")

Errors = list[DocumentError]
Lacks = Callable[[Mapping[str, Node], Mapping[str, Any]], list[str]]
Found = TypeVar("Found")


def read_rules(name: str, text: str) -> tuple[tuple[Mapping[str, Any], ...], Errors]:
    """The rules of the document called `name`, each as the values of its fields, and the document's mistakes."""
    if not _DOCUMENT_NAME.fullmatch(name):
        return (), [DocumentError(f"this is not a document's name{did_you_mean(name, (SCOPES,))}", None)]
    return _read(text, _rules)


def read_scopes(text: str) -> tuple[Mapping[str, Scope], Errors]:
    """The scopes that the administrators gave, by the name of the team's document, and the mistakes in them."""
    scopes, errors = _read(text, _scopes)
    return dict(scopes), errors


def read_warnings(text: str) -> Errors:
    """What is no mistake in a document of rules and may still let through what its author means to stop."""
    from bedrock_remediator.core.allowlist.yaml import read_yaml  # noqa: PLC0415  for those who write documents only

    try:
        listed = items(entries(read_yaml(text), "the document")["rules"], "rules")
    except (DocumentError, KeyError):
        return []
    return [warning for number, item in enumerate(listed, 1) for warning in _warnings(item, _title(item, number))]


def _warnings(item: Node, title: str) -> Errors:
    found = item.value if isinstance(item.value, dict) else {}
    effect = found["effect"].value if "effect" in found else None
    if effect not in (RuleEffect.ASK, RuleEffect.NEVER):
        return []
    warnings = []
    if "principal_tags" in found:
        text = (
            "whoever may change the tags of a role or user can drop the tag and is then not caught by"
            f" `effect: {effect}`; name `principals:` instead, or let nobody but administrators tag them"
        )
        warnings.append(DocumentError(f"{title}: {text}", found["principal_tags"].line))
    if "profiles" in found and "models" in found:
        text = (
            "fields are joined by AND, so this catches only calls through these profiles that also reach these models,"
            " and no direct call; did you mean two rules, or `models:` alone?"
        )
        warnings.append(DocumentError(f"{title}: {text}", found["models"].line))
    named = next((each for each in _texts(found.get("profiles")) if _is_one_system_profile(each)), None)
    if named:
        text = (
            f"{shown(named)} is an ARN, so this does not catch an application profile that stands for the profile;"
            f" did you mean {shown(named.rpartition('/')[2])}?"
        )
        warnings.append(DocumentError(f"{title}: {text}", found["profiles"].line))
    return warnings


def _texts(node: Node | None) -> list[str]:
    listed = node.value if node and isinstance(node.value, tuple) else ()
    return [each.value for each in listed if isinstance(each.value, str)]


def _is_one_system_profile(pattern: str) -> bool:
    """Whether it is the ARN of some system-defined profiles, rather than of all of them."""
    return ":inference-profile/" in pattern and not pattern.endswith(":inference-profile/*")


def _read(text: str, interpret: Callable[[Node, Errors], tuple[Found, ...]]) -> tuple[tuple[Found, ...], Errors]:
    """Read JSON by the short way and, where that finds a mistake, again by the one that knows lines."""
    errors: Errors = []
    node = read_json(text)
    if node is not None:
        found = interpret(node, errors)
        if not errors:
            return found, errors
    from bedrock_remediator.core.allowlist.yaml import read_yaml  # noqa: PLC0415  costly, and JSON does not need it

    errors = []
    try:
        return interpret(read_yaml(text), errors), errors
    except DocumentError as error:
        return (), [error]


def _rules(node: Node, errors: Errors) -> tuple[Mapping[str, Any], ...]:
    body = _body(node, "rules", errors)
    rules: list[Mapping[str, Any]] = []
    names: set[str] = set()
    try:
        listed = items(body, "rules") if body else ()
    except DocumentError as error:
        errors.append(error)
        return ()
    for number, item in enumerate(listed, 1):
        title = _title(item, number)
        values = _fields(item, RULE_FIELDS, _rule_lacks, title, errors)
        if values is None:
            continue
        if values["name"] in names:
            errors.append(DocumentError(f"{title}: another rule has the same name", item.line))
        names.add(values["name"])
        rules.append(values)
    return tuple(rules)


def _scopes(node: Node, errors: Errors) -> tuple[tuple[str, Scope], ...]:
    body = _body(node, "scopes", errors)
    try:
        listed = entries(body, "scopes") if body else {}
    except DocumentError as error:
        errors.append(error)
        return ()
    scopes = []
    for name, item in listed.items():
        title = f"scope {shown(name)}"
        values = _fields(item, SCOPE_FIELDS, _scope_lacks, title, errors)
        if name == MAIN or not _DOCUMENT_NAME.fullmatch(name):
            errors.append(DocumentError(f"{title}: no team's document can be called so", item.line))
        elif values is not None:
            scopes.append((name, Scope(**values)))
    return tuple(scopes)


def _body(node: Node, key: str, errors: Errors) -> Node | None:
    """What the document is there for; None where it is of no version that is known here."""
    try:
        found = entries(node, "the document")
    except DocumentError as error:
        errors.append(error)
        return None
    errors += _unknown(found, ("version", key), "")
    version = found.get("version")
    if version is None or type(version.value) is not int or version.value != _VERSION:
        errors.append(DocumentError("the document must say `version: 1`", version.line if version else node.line))
        return None
    if key not in found:
        errors.append(DocumentError(f"the document must have `{key}:`", node.line))
    return found.get(key)


def _title(item: Node, number: int) -> str:
    """How messages call a rule: by its name, if it has one."""
    name = item.value.get("name") if isinstance(item.value, dict) else None
    return f"rule {shown(name.value)}" if name and isinstance(name.value, str) else f"rule {number}"


def _unknown(found: Mapping[str, Node], known: tuple[str, ...], title: str) -> Errors:
    return [
        DocumentError(f"{title}unknown key {shown(key)}{did_you_mean(key, known)}", node.line)
        for key, node in found.items()
        if key not in known
    ]


def _fields(
    node: Node, readers: Mapping[str, Reader], lacks: Lacks, title: str, errors: Errors
) -> Mapping[str, Any] | None:
    """The values of a rule or scope; None where anything about it is wrong."""
    try:
        found = entries(node, title)
    except DocumentError as error:
        errors.append(error)
        return None
    values: dict[str, Any] = {}
    wrong = _unknown(found, tuple(readers), f"{title}: ")
    for key, read in readers.items():
        if key not in found:
            continue
        try:
            values[key] = read(found[key])
        except DocumentError as error:
            wrong.append(DocumentError(f"{title}: {error.message}", error.line))
    wrong += (DocumentError(f"{title}: {lack}", node.line) for lack in lacks(found, values))
    errors += sorted(wrong, key=lambda error: error.line or 0)
    return None if wrong else values


def _rule_lacks(found: Mapping[str, Node], values: Mapping[str, Any]) -> list[str]:
    lacks = [f"`{key}:` is missing" for key in ("name", "effect") if key not in found]
    if values.get("effect") is RuleEffect.AUTO:
        needs = _open_ends(found, values, "principals", "principal_tags")
        lacks += (f"a rule with `effect: auto` needs {need}" for need in needs)
    return lacks


def _scope_lacks(found: Mapping[str, Node], values: Mapping[str, Any]) -> list[str]:
    return [f"a scope needs {need}" for need in _open_ends(found, values, "principals")]


def _open_ends(found: Mapping[str, Node], values: Mapping[str, Any], *whom: str) -> list[str]:
    """Whatever opens doors has to say for whom, and to what; of application profiles, to which models."""
    needs = [_alternatives(fields) for fields in (whom, _TARGETS) if found.keys().isdisjoint(fields)]
    profiles = values.get("profiles", ())
    opaque = next((each for each in profiles if may_name_application_profile(each)), None)
    if opaque and "models" not in found and _EVERY_PROFILE not in profiles:
        needs.append(
            f"`models:` beside the application profiles of {shown(opaque)}: whoever may make one chooses what it calls;"
            ' did you mean to add models: ["amazon.*"], or whichever they may call?'
        )
    return needs


def _alternatives(fields: tuple[str, ...]) -> str:
    *first, last = (f"`{key}:`" for key in fields)
    return f"{', '.join(first)} or {last}" if first else last
