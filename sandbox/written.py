"""How the change of a policy is shown: a new one whole or summed up, any other by what differs."""

import difflib
import json
from collections.abc import Mapping
from typing import Any, Final

from rich.console import RenderableType
from rich.syntax import Syntax
from rich.text import Text

from sandbox.cases import Change
from sandbox.evaluator import listed

_LINE: Final = 86


def changed(change: Change) -> Text:
    """What was done to which policy."""
    verb = "created" if change.before is None else "deleted" if change.after is None else "changed"
    return Text(f"{verb} ").append(change.name, style="bold")


def document(change: Change, *, whole: bool) -> RenderableType:
    """What was written; `whole` shows a new policy as it is, otherwise it is summed up."""
    if change.before is not None or change.after is None:
        return Syntax(_difference(change), "diff", word_wrap=True, background_color="default")
    if whole:
        return Syntax(_compact(change.after), "json", word_wrap=True, background_color="default")
    return Text("\n".join(_summed_up(statement) for statement in change.after["Statement"]), style="dim")


def counted(number: int, noun: str) -> str:
    """So many of it, in words."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _summed_up(statement: Mapping[str, Any]) -> str:
    """A statement in one line."""
    actions, resources = listed(statement["Action"]), listed(statement["Resource"])
    keys = [key for block in statement.get("Condition", {}).values() for key in block]
    under = f", under {' and '.join(keys)}" if keys else ""
    return f"{statement['Effect']} {', '.join(actions)} on {counted(len(resources), 'ARN')}{under}"


def _difference(change: Change) -> str:
    before, after = (_compact(document).splitlines() if document else [] for document in (change.before, change.after))
    lines = difflib.unified_diff(before, after, lineterm="", n=2)
    return "\n".join(line for line in lines if line[:3] not in {"---", "+++"})


def _compact(document: Mapping[str, Any]) -> str:
    """A policy as JSON, its short lists on one line."""
    return _json(document, 0)


def _json(value: Any, depth: int) -> str:
    flat = json.dumps(value)
    if not isinstance(value, dict | list) or not value or len(flat) + 2 * depth <= _LINE:
        return flat
    inner, outer = "  " * (depth + 1), "  " * depth
    if isinstance(value, list):
        items = [f"{inner}{_json(item, depth + 1)}" for item in value]
        return "[\n" + ",\n".join(items) + f"\n{outer}]"
    items = [f"{inner}{json.dumps(key)}: {_json(item, depth + 1)}" for key, item in value.items()]
    return "{\n" + ",\n".join(items) + f"\n{outer}}}"
