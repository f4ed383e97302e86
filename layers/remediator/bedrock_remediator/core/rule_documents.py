"""The two kinds of document that the allowlist is made of: rules, and the scopes of teams.

Reading goes on after a mistake, so that the author sees all of them at once and what is not wrong still counts.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from bedrock_remediator.core.markup import DocumentError, Node, read_json
from bedrock_remediator.core.rule import MAIN, SCOPES, RuleEffect, Scope
from bedrock_remediator.core.rule_fields import RULE_FIELDS, SCOPE_FIELDS, Reader, did_you_mean, entries, items
from bedrock_remediator.core.rule_patterns import may_name_application_profile, shown

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
    from bedrock_remediator.core.yaml_document import read_yaml  # noqa: PLC0415  for those who write documents only

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
    from bedrock_remediator.core.yaml_document import read_yaml  # noqa: PLC0415  costly, and JSON does not need it

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
