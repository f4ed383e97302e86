"""Whether a call looks like a stolen key that tries out what it can reach: then a person decides, whatever a rule says.

Denials teach whoever holds a key which models to ask for, and a rule that grants by itself would answer. So what a rule
may do by itself is bounded for each principal: by the number of different things it was denied of late, by grants a
day, and by where its calls have come from before.

`Habits` is what a principal's denied calls have in common: where they came from, by which clients, what they were
after. It is one item of the ledger for each principal, bounded in size, written with the rows that its denials open.

`Risk` is what a person should look at twice before approving, as far as the ledger tells it.
"""

import enum
import hashlib
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from datetime import datetime, timedelta
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from bedrock_remediator.core.grant import DiagnosisKind, Grant, Outcome

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


class ProbeLimits(Struct, frozen=True, kw_only=True):
    """What rules may do by themselves for one principal.

    As long as it was denied no more than `profiles` different profiles or models within `window`, and rules have made
    fewer than `grants_a_day` grants for it that day (UTC). `unknown_caller_asks`: an address or a kind of client that
    is new for it asks, and so does a principal that was made anew.
    """

    profiles: int = 8
    window: timedelta = timedelta(minutes=60)
    grants_a_day: int = 10
    unknown_caller_asks: bool = True


class Suspicion(Struct, frozen=True):
    """Why a person must decide: `code` in one word, `reason` in a sentence that holds nothing the caller wrote."""

    code: str
    reason: str


def of_call(habits: Habits, call: Call, limits: ProbeLimits, *, day: str, address_expected: bool) -> Suspicion | None:
    """What speaks against granting without asking, by what is known of the principal; None where nothing does.

    Args:
        habits: What was known before the call.
        call: The call, with what else the principal was denied at the same time.
        limits: What rules may do.
        day: The day (`YYYY-MM-DD`, UTC) that a grant would count for.
        address_expected: Whether the rule itself names where calls come from, this one's place among them.
    """
    times = {trait.value: trait.at for trait in habits.targets} | dict(call.targets)
    near = {name for name, time in times.items() if abs(time - call.time) <= limits.window}
    if suspicion := _by_numbers(near, habits.granted_on(day), limits):
        return suspicion
    return _by_caller(habits.of(call), call, address_expected=address_expected) if limits.unknown_caller_asks else None


def _by_caller(known: Habits, call: Call, *, address_expected: bool) -> Suspicion | None:
    if known.is_stranger(call.time):
        return Suspicion(
            "new_principal",
            "The principal was deleted and made again, and less than a day is known of the one that has its name now.",
        )
    if not address_expected and known.is_crowded(call.time):
        return Suspicion(
            "many_callers",
            "Within a day this principal's denied calls came from more new addresses, or by more new kinds of client, "
            "than are remembered, as if somebody wanted to push out those that are known.",
        )
    if not address_expected and is_new(known.addresses, call.address, call.time):
        return Suspicion("new_address", "The call came from an address that is new for this principal.")
    if is_new(known.clients, call.client, call.time):
        return Suspicion("new_client", "The call was made by a kind of client that is new for this principal.")
    return None


def of_rows(
    row: Grant, others: Iterable[Grant], habits: Habits, limits: ProbeLimits, now: datetime
) -> Suspicion | None:
    """The same by the numbers alone, from the principal's rows: a forged row can only add to what speaks against it.

    What was denied and can be nobody's grant has no such row, or too many of them: of that the habits tell.

    Args:
        row: The row that a rule has approved.
        others: The principal's requests and grants; the row itself and copies that are kept do not count.
        habits: What is known of the principal.
        limits: What rules may do.
        now: The time.
    """
    rows = [other for other in others if other.key != row.key and not other.kept]
    # By the times of the calls: what was put in by hand long after is no probe of now.
    near = [other for other in rows if now - other.sighting.time <= limits.window]
    recent = {_target(other) for other in near if other.diagnosis is not DiagnosisKind.UNKNOWN}
    today = [each for each in rows if each.decision is Outcome.AUTO and each.applied_at and _same_day(each, now)]
    told = {trait.value for trait in habits.targets if now - trait.at <= limits.window}
    # Not counted together: a profile that was denied by one of its models has another name in either.
    return _by_numbers({*recent, _target(row)}, len(today), limits) or _by_numbers(told, len(today), limits)


def _by_numbers(targets: set[str], granted: int, limits: ProbeLimits) -> Suspicion | None:
    denied = distinct(targets)
    if denied > limits.profiles:
        minutes = int(limits.window.total_seconds() // 60)
        return Suspicion(
            "probing",
            f"This principal was denied {denied} different models or profiles within {minutes} minutes, as if somebody "
            "tried out what they can reach.",
        )
    if granted >= limits.grants_a_day:
        return Suspicion(
            "principal_cap_reached",
            f"Rules have made {granted} grants for this principal today, and may make no more.",
        )
    return None


def _target(row: Grant) -> str:
    """What a row is about: the profile or model that would be granted, or what the advice names."""
    parts = row.sk.split("#")
    return target_name(row.profile or (parts[2] if len(parts) > 2 else parts[-1]))  # noqa: PLR2004  advice#kind#resource


def _same_day(row: Grant, now: datetime) -> bool:
    return row.applied_at is not None and row.applied_at.date() == now.date()


_SHORT_TIME: Final = timedelta(hours=1)
_SEVERAL: Final = 3


class RiskKind(enum.StrEnum):
    """What is unusual."""

    CONDITIONAL_ALLOW = "conditional_allow"
    FIRST_REQUEST = "first_request"
    MANY_CALLERS = "many_callers"
    MANY_GRANTS = "many_grants"
    NEW_ADDRESS = "new_address"
    NEW_CLIENT = "new_client"
    NEW_PRINCIPAL = "new_principal"
    OUTSIDE_SOURCE_IPS = "outside_source_ips"
    SEVERAL_MODELS = "several_models"


class Risk(Struct, frozen=True):
    """One remark: its kind, and a sentence of ours that holds nothing the caller wrote."""

    kind: RiskKind
    text: str


_TEXTS: Final[Mapping[RiskKind, str]] = {
    RiskKind.CONDITIONAL_ALLOW: (
        "A statement of its policies decides the call by a condition that was not met, or that cannot be checked from "
        "here. Somebody put it there on purpose, and a grant may pass it by."
    ),
    RiskKind.FIRST_REQUEST: "This is the first time that this principal was denied such a call.",
    RiskKind.MANY_CALLERS: (
        "Within a day this principal's denied calls came from more new addresses, or by more new kinds of client, than "
        "are remembered, as if somebody wanted to push out those that are known."
    ),
    RiskKind.MANY_GRANTS: "Rules have made as many grants today as they may, and this is one more.",
    RiskKind.OUTSIDE_SOURCE_IPS: (
        "A rule would have granted it, had the call come from the rule's networks. Where it came from, or that nothing "
        "shows it, is all that is not as the rule says."
    ),
    RiskKind.NEW_ADDRESS: "The call came from an address that no other denied call of this principal came from.",
    RiskKind.NEW_CLIENT: "The call was made by another kind of client than this principal's other denied calls.",
    RiskKind.NEW_PRINCIPAL: (
        "The principal was deleted and made again not long before: it has the name of one that is known, and is "
        "another one."
    ),
    RiskKind.SEVERAL_MODELS: (
        "Within an hour this principal was denied several different models or profiles, as if somebody tried out what "
        "they can reach."
    ),
}


_BY_CODE: Final[Mapping[str, RiskKind]] = {
    "cap_reached": RiskKind.MANY_GRANTS,
    "many_callers": RiskKind.MANY_CALLERS,
    "new_address": RiskKind.NEW_ADDRESS,
    "new_client": RiskKind.NEW_CLIENT,
    "new_principal": RiskKind.NEW_PRINCIPAL,
    "outside_source_ips": RiskKind.OUTSIDE_SOURCE_IPS,
    "principal_cap_reached": RiskKind.MANY_GRANTS,
    "probing": RiskKind.SEVERAL_MODELS,
}
"""What was found when the row was decided, which its neighbours may not show any more."""


def risks(grant: Grant, rows: Iterable[Grant], habits: Habits | None = None) -> tuple[Risk, ...]:
    """What is unusual about a request, the gravest first.

    Args:
        grant: The request.
        rows: The rows of its principal, the request's own included or not.
        habits: What is known of its principal, where the rows are not all of them; None where they are.
    """
    others = [row for row in rows if row.key != grant.key]
    known = habits if habits and habits.principal_id == grant.principal_id else Habits(pk=grant.pk)
    found = {
        RiskKind.CONDITIONAL_ALLOW: grant.diagnosis is DiagnosisKind.CONDITIONAL_ALLOW,
        RiskKind.SEVERAL_MODELS: _several(grant, others) or _denied_lately(grant, habits),
        RiskKind.OUTSIDE_SOURCE_IPS: False,
        RiskKind.MANY_CALLERS: known.is_crowded(grant.sighting.time),
        RiskKind.MANY_GRANTS: False,
        RiskKind.NEW_PRINCIPAL: False,
        RiskKind.NEW_ADDRESS: _new(_address(grant), [*map(_address, others), *_before(grant, known.addresses)]),
        RiskKind.NEW_CLIENT: _new(_client(grant), [*map(_client, others), *_before(grant, known.clients)]),
        RiskKind.FIRST_REQUEST: not others and grant.first_version == 1,
    }
    decided = _BY_CODE.get(grant.reason_code)
    return tuple(Risk(kind, _TEXTS[kind]) for kind, unusual in found.items() if unusual or kind is decided)


def _several(grant: Grant, others: Iterable[Grant]) -> bool:
    near = {_named_target(row) for row in others if abs(row.created_at - grant.created_at) <= _SHORT_TIME}
    return len(near | {_named_target(grant)}) >= _SEVERAL


def _named_target(grant: Grant) -> str:
    """What was called: two rows about one profile are one."""
    return grant.profile or grant.model_id or grant.sk


def _new(value: str | None, others: Iterable[str | None]) -> bool:
    """Whether a value is known, others are, and it is none of them."""
    known = {other for other in others if other}
    return bool(value and known and value not in known)


def _client(grant: Grant) -> str | None:
    return client_name(grant.sighting.user_agent)


def _address(grant: Grant) -> str | None:
    return address_name(grant.sighting.source_ip, grant.sighting.vpc_endpoint)


def _before(grant: Grant, traits: Iterable[Trait]) -> list[str]:
    """What was known before the request's call."""
    return [trait.value for trait in traits if trait.at < grant.sighting.time]


def _denied_lately(grant: Grant, habits: Habits | None) -> bool:
    """The same as `_several`, of what was denied and is nobody's request."""
    times = habits.targets if habits else ()
    near = {trait.value for trait in times if abs(trait.at - grant.sighting.time) <= _SHORT_TIME}
    return distinct(near) >= _SEVERAL
