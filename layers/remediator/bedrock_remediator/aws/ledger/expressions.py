"""DynamoDB expressions for the two things the ledger says: "while it is as I read it" and "change what differs".

Names and values go through placeholders (`#state`, `:state`), since many attribute names are reserved words.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

ABSENT: Final = "attribute_not_exists(pk)"
"""The condition that there is no item under the key."""


def unchanged(item: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """The condition that these attributes are as in this item (absent, where it has none), with its placeholders."""
    names = sorted(names)
    known = [name for name in names if name in item]
    tests = [f"#{name} = :was_{name}" if name in item else f"attribute_not_exists(#{name})" for name in names]
    values = {f":was_{name}": item[name] for name in known}
    return {
        "ConditionExpression": " AND ".join(tests),
        "ExpressionAttributeNames": {f"#{name}": name for name in names},
        **({"ExpressionAttributeValues": values} if values else {}),
    }


def changed_names(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """The attributes that differ, sorted."""
    return sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))


def update(before: Mapping[str, Any], after: Mapping[str, Any], guard: Iterable[str]) -> dict[str, Any]:
    """An UpdateItem that makes one item the other, if the attributes in `guard` are still as in the first.

    Only what differs is written, so that an attribute which somebody else has changed meanwhile, and which neither
    the change nor the guard names, stays. Something must differ.
    """
    names = changed_names(before, after)
    written = [name for name in names if name in after]
    removed = [name for name in names if name not in after]
    clauses = []
    if written:
        clauses.append("SET " + ", ".join(f"#{name} = :{name}" for name in written))
    if removed:
        clauses.append("REMOVE " + ", ".join(f"#{name}" for name in removed))
    condition = unchanged(before, guard)
    return {
        "UpdateExpression": " ".join(clauses),
        "ConditionExpression": condition["ConditionExpression"],
        "ExpressionAttributeNames": condition["ExpressionAttributeNames"] | {f"#{name}": name for name in names},
        "ExpressionAttributeValues": {
            **condition.get("ExpressionAttributeValues", {}),
            **{f":{name}": after[name] for name in written},
        },
    }


def already_made(
    found: Mapping[str, Any], before: Mapping[str, Any], after: Mapping[str, Any], guard: Iterable[str]
) -> bool:
    """Whether an update is there already: it was our own, and only its answer was lost."""
    return all(found.get(name) == after.get(name) for name in {*changed_names(before, after), *guard})
