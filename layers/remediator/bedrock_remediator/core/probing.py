"""Whether a call looks like a stolen key that tries out what it can reach: then a person decides, whatever a rule says.

Denials teach whoever holds a key which models to ask for, and a rule that grants by itself would answer. So what a rule
may do by itself is bounded for each principal: by the number of different things it was denied of late, by grants a
day, and by where its calls have come from before.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from msgspec import Struct

from bedrock_remediator.core.grant import DiagnosisKind, Grant, Outcome
from bedrock_remediator.core.habits import Call, Habits, distinct, is_new, target_name


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
