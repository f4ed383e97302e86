"""What a principal's denied calls have in common: where they came from, by which clients, what they were after.

One item of the ledger for each principal, bounded in size, written together with the rows that its denials open. It is
what `core/probing.py` holds a call against before anything is granted without asking.
"""

import hashlib
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from datetime import datetime, timedelta
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

KNOWN_AFTER: Final = timedelta(days=1)
"""How long ago an address or a client must have been seen first to count as known, and a principal that was made anew
under a name that is known."""

_ADDRESSES: Final = 20
_CLIENTS: Final = 10
"""How many are remembered. Half of the places are for those that are new, so that no number of them can push out what
is known."""
TARGETS: Final = 24
"""How many different targets are remembered: more than `ProbeProfiles` can be."""
_LONGEST: Final = 100


class Trait(Struct, frozen=True, omit_defaults=True):
    """One value and a time: when an address or client was seen first, or a target last.

    `founder` is the first address or client that the principal was ever seen with: it is known at once, since there
    was nothing to compare it with, and it is never forgotten, or another would come to be the first.
    """

    value: str
    at: datetime
    founder: bool = False


class Call(Struct, frozen=True, kw_only=True):
    """A denied call, as far as it tells of its caller; address and client are None where the record does not say.

    `caller` is the RoleId or UserId, which another principal of the same name does not have. `targets` is what the
    principal was denied in the same batch, with the time of each: this call's own and others'.
    """

    time: datetime
    caller: str
    address: str | None
    client: str | None
    targets: Mapping[str, datetime]


class Habits(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is known of a principal. Each list has what was used last at its end, and loses what was used longest ago.

    `principal_id` is the RoleId or UserId of whom that is known; None in one that was never written. If a principal
    of another id had the name before, `remade_at` is the time of the first call that told of it.

    `granted` is how many grants rules have made for it on `day` (`YYYY-MM-DD`, UTC). `revision` is 0 in one that was
    never written, and one more with each write. `crowded_at` is when there were last more new addresses, or more new
    clients, within a day than are remembered.
    """

    pk: str
    principal_id: str | None = None
    remade_at: datetime | None = None
    addresses: tuple[Trait, ...] = ()
    clients: tuple[Trait, ...] = ()
    targets: tuple[Trait, ...] = ()
    crowded_at: datetime | None = None
    day: str = ""
    granted: int = 0
    revision: int = 0

    def of(self, call: Call) -> "Habits":
        """What is known of whoever made the call.

        A principal that was deleted and made anew is another one: no address or client of its predecessor speaks for
        it. What was denied and granted under its name goes on to count, or to make it anew would begin a new day.
        """
        if self.principal_id in (None, call.caller):
            return replace(self, principal_id=call.caller)
        return replace(self, principal_id=call.caller, remade_at=call.time, addresses=(), clients=())

    def is_stranger(self, at: datetime) -> bool:
        """Whether it was made anew under a name that was known, and its first call was less than a day before."""
        return self.remade_at is not None and at - self.remade_at < KNOWN_AFTER

    def is_crowded(self, at: datetime) -> bool:
        """Whether more new addresses or clients than are remembered came within less than a day before."""
        return self.crowded_at is not None and at - self.crowded_at < KNOWN_AFTER

    def after(self, call: Call) -> "Habits":
        """The same with one more call."""
        known = self.of(call)
        targets = known.targets
        for name, time in sorted(call.targets.items(), key=lambda item: (item[1], item[0])):
            targets = _latest(targets, name, time, TARGETS)
        addresses, many_addresses = _used(known.addresses, call.address, call.time, _ADDRESSES)
        clients, many_clients = _used(known.clients, call.client, call.time, _CLIENTS)
        return replace(
            known,
            addresses=addresses,
            clients=clients,
            targets=targets,
            crowded_at=call.time if many_addresses or many_clients else known.crowded_at,
            revision=self.revision + 1,
        )

    def spent(self, day: str) -> "Habits":
        """The same with one more grant on that day."""
        return replace(self, day=day, granted=self.granted_on(day) + 1)

    def granted_on(self, day: str) -> int:
        """How many grants rules have made on that day."""
        return self.granted if self.day == day else 0


def is_new(traits: Iterable[Trait], value: str | None, at: datetime) -> bool:
    """Whether a value is none of those that a principal is known by.

    The first that was ever seen is known at once, since there is nothing to compare it with; any other a day after it
    was seen first, so that a stolen key's first call does not vouch for its second.
    """
    remembered = tuple(traits)
    if value is None or not remembered:
        return False
    return all(trait.value != value or _is_recent(trait, at) for trait in remembered)


def distinct(names: AbstractSet[str]) -> int:
    """How many different things the names stand for: a profile's id and its model's are one (`us.X` and `X`)."""
    return sum(not any(other.endswith(f".{name}") for other in names) for name in names)


def target_name(identifier: str) -> str:
    """A profile's or model's id, of an ARN its end, short enough to be kept."""
    name = identifier.rpartition("/")[2]
    return name if len(name) <= _LONGEST and name.isascii() else _digest(name)


def address_name(source_ip: str | None, vpc_endpoint: str | None = None) -> str | None:
    """Where a call came from: its address, or the AWS service that called; None where the record does not say.

    What came through a VPC endpoint goes by the endpoint: whoever owns a VPC chooses its addresses, so they say
    nothing of whose it is.
    """
    return _short(vpc_endpoint or (source_ip or "").strip().casefold())


def client_name(user_agent: str | None) -> str | None:
    """The kind of client that a user agent stands for: `boto3 os/linux`, `aws-cli os/macos`, `mozilla`.

    Versions are left out, since every upgrade changes them. The caller writes it: it is compared and never shown.
    """
    words = (user_agent or "").casefold().split()
    product = words[0].partition("/")[0] if words else ""
    if not product:
        return None
    systems = [word.partition("#")[0] for word in words if word.startswith("os/")]
    return _short(" ".join([product, *systems[:1]]))


def _short(text: str) -> str | None:
    if not text:
        return None
    return text if len(text) <= _LONGEST and text.isascii() else _digest(text)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()


def _is_recent(trait: Trait, at: datetime) -> bool:
    return not trait.founder and at - trait.at < KNOWN_AFTER


def _used(traits: tuple[Trait, ...], value: str | None, at: datetime, most: int) -> tuple[tuple[Trait, ...], bool]:
    """The list with the value at its end, with the time at which it was seen first; and whether too many are new."""
    if value is None:
        return traits, False
    known = next((trait for trait in traits if trait.value == value), Trait(value, at, founder=not traits))
    kept = [*(trait for trait in traits if trait.value != value), replace(known, at=min(at, known.at))]
    recent = [trait for trait in kept if _is_recent(trait, at)]
    crowded = len(recent) > most // 2
    if crowded:
        kept.remove(recent[0])
    elif len(kept) > most:
        kept.remove(next(trait for trait in kept if not trait.founder and trait not in recent))
    return tuple(kept), crowded


def _latest(traits: tuple[Trait, ...], value: str, at: datetime, most: int) -> tuple[Trait, ...]:
    """The list, sorted by time, with the value's latest time."""
    times = [trait.at for trait in traits if trait.value == value]
    others = (trait for trait in traits if trait.value != value)
    return tuple(sorted((*others, Trait(value, max([at, *times]))), key=lambda trait: trait.at))[-most:]
