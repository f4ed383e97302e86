"""What became of each event: the events of a run, matched with the ledger's rows, the policies and the notices."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct

from sandbox.report import policies
from sandbox.running import Given, handle
from sandbox.sns import Notice
from sandbox.stack import Sandbox

Policies = Mapping[str, Sequence[Mapping[str, Any]]]


class Change(Struct, frozen=True, kw_only=True):
    """A policy that a run wrote: its name, and its document before (None for a new one) and after (None if gone)."""

    name: str
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None


class Case(Struct, frozen=True, kw_only=True):
    """One row of the ledger, with the events that led to it and what followed.

    `names` are the files the events came from, `event` is the first of them, `row` the ledger's item, `denials` how
    many were counted. `changes` are the policies written for the row's principal; a principal's are told once, with
    its first row.
    """

    names: tuple[str, ...]
    event: Mapping[str, Any]
    row: Mapping[str, Any]
    denials: int
    changes: tuple[Change, ...]
    notices: tuple[Notice, ...]


class Outcome(Struct, frozen=True, kw_only=True):
    """A whole run: its cases in the order of the events, and the events that no rule matched."""

    cases: tuple[Case, ...]
    unmatched: tuple[Given, ...]
    events: int


def observe(sandbox: Sandbox, events: Sequence[Given], decide: Callable[[], None] | None = None) -> Outcome:
    """Handle the events and see what becomes of each; `decide` answers what then waits for a person."""
    before = policies(sandbox)
    unmatched = handle(sandbox, events, decide)
    changes = changed(before, policies(sandbox))
    items = sandbox.ledger.items()
    return Outcome(
        cases=tuple(_cases(items, events, changes, sandbox.outbox.notices)),
        unmatched=tuple(unmatched),
        events=len(events),
    )


def changed(before: Policies, after: Policies) -> dict[str, list[Change]]:
    """Principal -> the policies that differ."""
    return {principal: list(_changes(before.get(principal, ()), held)) for principal, held in after.items()}


def _changes(before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]]) -> Iterator[Change]:
    old = {(policy["arn"], policy["name"]): policy["document"] for policy in before}
    new = {(policy["arn"], policy["name"]): policy["document"] for policy in after}
    for key in [*new, *(key for key in old if key not in new)]:
        if old.get(key) != new.get(key):
            yield Change(name=key[0] or key[1], before=old.get(key), after=new.get(key))


def _cases(
    items: Sequence[Mapping[str, Any]],
    events: Sequence[Given],
    changes: Mapping[str, list[Change]],
    notices: Sequence[Notice],
) -> Iterator[Case]:
    rows = {(item["pk"], item["sk"]): item for item in items if "state" in item}
    found: dict[tuple[str, str], list[Given]] = {}
    denials: dict[tuple[str, str], int] = {}
    for item in items:
        if item["sk"].startswith("seen#"):
            key = item["pk"], item["row"]
            denials[key] = denials.get(key, 0) + item["count"]
            found.setdefault(key, []).extend(given for given in events if given.ids.intersection(item["event_ids"]))
    order = {id(given): index for index, given in enumerate(events)}
    told: set[str] = set()
    for key, own in sorted(found.items(), key=lambda pair: min((order[id(one)] for one in pair[1]), default=0)):
        if key not in rows or not own:
            continue
        principal = rows[key].get("principal") or ""
        written = tuple(changes.get(principal, ())) if principal not in told and _wrote(rows[key]) else ()
        told |= {principal} if written else set()
        yield Case(
            names=tuple(dict.fromkeys(given.name for given in own)),
            event=own[0].event,
            row=rows[key],
            denials=denials[key],
            changes=written,
            notices=tuple(notice for notice in notices if _is_about(notice, key)),
        )


def _wrote(row: Mapping[str, Any]) -> bool:
    return row["state"] in {"active", "applying", "revoking", "revoked"}


def _is_about(notice: Notice, key: tuple[str, str]) -> bool:
    try:
        request = json.loads(notice.message["default"])["request"]
    except (ValueError, KeyError, TypeError):
        return False
    return (request.get("pk"), request.get("sk")) == key
