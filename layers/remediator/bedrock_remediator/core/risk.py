"""What a person should look at twice before approving, as far as the ledger tells it."""

import enum
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Final

from msgspec import Struct

from bedrock_remediator.core.grant import DiagnosisKind, Grant
from bedrock_remediator.core.habits import Habits, Trait, address_name, client_name, distinct

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
    near = {_target(row) for row in others if abs(row.created_at - grant.created_at) <= _SHORT_TIME}
    return len(near | {_target(grant)}) >= _SEVERAL


def _target(grant: Grant) -> str:
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
