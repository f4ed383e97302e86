"""What a run ended with, as one plain object: the answer of `run --json`."""

from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from sandbox.population import own_policies
from sandbox.stack import Sandbox

COLUMNS: Final = (
    "principal",
    "profile",
    "model_id",
    "resources",
    "actions",
    "state",
    "version",
    "diagnosis",
    "decision",
    "reason_code",
    "reason",
    "layer",
    "rule",
    "verification",
    "denials",
    "expires_at",
)
"""A grant's keys. All but `denials` are the row's attributes of those names; a missing one is null."""

_LISTS: Final = ("resources", "actions")


def report(sandbox: Sandbox) -> dict[str, Any]:
    """Grants, policies, notices, calls and failures."""
    return {
        "grants": grants(sandbox),
        "policies": policies(sandbox),
        "notices": msgspec.to_builtins(sandbox.outbox.notices),
        "calls": sandbox.endpoint.tally.counts,
        "failures": msgspec.to_builtins(sandbox.failures),
    }


def grants(sandbox: Sandbox) -> list[dict[str, Any]]:
    """The ledger's rows, without the counters, markers and archived rows beside them."""
    items = sandbox.ledger.items()
    denials: Counter[tuple[str, str]] = Counter()
    for item in items:
        if item["sk"].startswith("seen#"):
            denials[item["pk"], item["row"]] += item["count"]
    return [_row(item, denials[item["pk"], item["sk"]]) for item in items if "state" in item]


def _row(item: Mapping[str, Any], denials: int) -> dict[str, Any]:
    row = {column: item.get(column, [] if column in _LISTS else None) for column in COLUMNS}
    return row | {"resources": sorted(row["resources"]), "denials": denials}


def policies(sandbox: Sandbox) -> dict[str, list[dict[str, Any]]]:
    """What every principal of the world holds of its own: inline and customer managed policies."""
    held: dict[str, list[dict[str, Any]]] = {}
    for arn, _ in sandbox.world.principals:
        entity = sandbox.accounts.directory(arn).entity(arn)
        own = own_policies(entity) if entity is not None else ()
        held[arn] = [{"name": name, "arn": policy_arn, "document": document} for name, policy_arn, document in own]
    return held
