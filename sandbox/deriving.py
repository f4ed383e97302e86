"""A world made from events: their accounts, and their principals without policies (`--world derived`)."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, Final

from sandbox.documents import BadInputError
from sandbox.running import Given
from sandbox.world import World, parse_world

DERIVED: Final = "derived"
"""What `--world` says for it."""
_PARTS: Final = 6


def derived_world(events: Iterable[Given]) -> World:
    """A world in which every principal of the events exists, and holds nothing.

    The account of the first event is the hub's; the others are enrolled members. Profiles and models are those of the
    shipped catalogue. Of a session whose record does not name its role's path, the role has the path `/`.

    Raises:
        BadInputError: No event names an account.
    """
    regions: dict[str, dict[str, None]] = {}
    people: dict[str, dict[str, dict[str, dict[str, str]]]] = defaultdict(lambda: {"roles": {}, "users": {}})
    for given in events:
        account, region = account_of(given.event), given.event.get("region")
        if account is None:
            continue
        regions.setdefault(account, {})
        if isinstance(region, str) and region:
            regions[account][region] = None
        for kind, path, name in _principals(given.event, account):
            people[account][kind].setdefault(name.lower(), {"name": name, "path": path})
    if not regions:
        raise BadInputError("--world derived: no event names an account")
    hub, *members = regions
    content = {account: {kind: list(found.values()) for kind, found in people[account].items()} for account in regions}
    world: dict[str, Any] = {"account": hub, "region": next(iter(regions[hub]), "us-east-1"), **content[hub]}
    if members:
        world["accounts"] = {each: {"regions": list(regions[each]), **content[each]} for each in members}
    return parse_world(world, "--world derived")


def require_accounts(world: World, events: Iterable[Given]) -> None:
    """Make sure that the world has the account of every event.

    Raises:
        BadInputError: It lacks one; the message says what to do.
    """
    for given in events:
        account = account_of(given.event)
        if account is not None and account not in world.everywhere:
            raise BadInputError(
                f"{given.name}: its account, {account}, is not in the world. Make a world from the events with "
                "--world derived, or write one that has the account (docs/sandbox.md)"
            )


def account_of(event: Mapping[str, Any]) -> str | None:
    """The account that an event was delivered to; None where it names none."""
    account = event.get("account")
    return account if isinstance(account, str) and len(account) == 12 and account.isdigit() else None  # noqa: PLR2004 - an account's id


def _principals(event: Mapping[str, Any], account: str) -> list[tuple[str, str, str]]:
    """The role or user of the event's `userIdentity`, if it is one of the account: kind, path and name."""
    detail = event.get("detail")
    identity = detail.get("userIdentity") if isinstance(detail, dict) else None
    if not isinstance(identity, dict):
        return []
    session = identity.get("sessionContext")
    issuer = session.get("sessionIssuer") if isinstance(session, dict) else None
    assumed = issuer.get("arn") if isinstance(issuer, dict) and identity.get("type") == "AssumedRole" else None
    parts = str(assumed or identity.get("arn") or "").split(":", _PARTS - 1)
    if len(parts) != _PARTS or parts[4] != account:
        return []
    kind, _, rest = parts[5].partition("/")
    if kind == "assumed-role":
        return [("roles", "/", rest.partition("/")[0])]
    path, _, name = f"/{rest}".rpartition("/")
    return [(f"{kind}s", f"{path}/", name)] if kind in {"role", "user"} and name else []
