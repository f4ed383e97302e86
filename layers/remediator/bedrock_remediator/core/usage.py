"""What one principal has caused of late, and how much of it is told by itself.

A denial costs its caller nothing. So what one principal can cause is bounded: requests that wait for a person, rows of
advice, and rows of each kind of alert. What goes beyond a bound is counted on one row for each, which is told once.
"""

import enum
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from bedrock_remediator.core.decision import Decision
from bedrock_remediator.core.diagnosis import Diagnosis
from bedrock_remediator.core.grant import DiagnosisKind, Grant, Outcome
from bedrock_remediator.core.waiting import is_advice

MOST_NAMED: Final = 20
"""How many of the requests beyond the bound are named."""

_SUSPICIOUS: Final = frozenset({"identity_mismatch", "too_many_alerts"})


class Share(enum.StrEnum):
    """What a new row takes from its principal's bounds.

    Alerts have a bound for each kind, so that no flood of one kind holds up the first of another.
    """

    REQUESTS = "requests"
    ADVICE = "advice"
    LEAKED_KEYS = "leaked_keys"
    MISMATCHES = "mismatches"


class Bounds(Struct, frozen=True, kw_only=True):
    """How much of one principal is told by itself: requests that wait, and rows of each other kind in a window."""

    requests: int = 5
    told: int = 8
    window: timedelta = timedelta(minutes=60)


class Usage(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What of its bounds a principal has used.

    `requests` are the sort keys of requests that its denials opened, those that have been decided since among them;
    `told` is when the latest rows of each other kind were opened. `revision` is 0 in one that was never written, and
    one more with each write.
    """

    pk: str
    requests: tuple[str, ...] = ()
    told: Mapping[Share, tuple[datetime, ...]] = {}
    revision: int = 0

    def full(self, share: Share, bounds: Bounds, now: datetime) -> bool:
        """Whether there is no room for one more."""
        if share is Share.REQUESTS:
            return len(self.requests) >= bounds.requests
        return len(self._lately(share, bounds, now)) >= bounds.told

    def waiting(self, waits: Callable[[str], bool]) -> "Usage":
        """The same, less the requests that do not wait any more. `waits` tells of a sort key."""
        return replace(self, requests=tuple(filter(waits, self.requests)))

    def after(self, share: Share, sk: str, bounds: Bounds, now: datetime) -> "Usage":
        """The same with one more row: its sort key, and when it was opened."""
        used = replace(self, revision=self.revision + 1)
        if share is Share.REQUESTS:
            return replace(used, requests=(*(each for each in self.requests if each != sk), sk))
        return replace(used, told={**self.told, share: (*self._lately(share, bounds, now), now)})

    def _lately(self, share: Share, bounds: Bounds, now: datetime) -> tuple[datetime, ...]:
        return tuple(at for at in self.told.get(share, ()) if now - at < bounds.window)


def share(sk: str, outcome: Outcome, diagnosis: Diagnosis) -> Share | None:
    """What a row takes from its principal's bounds, by its sort key, what is done about it, and why; None: nothing."""
    if outcome is Outcome.ASK:
        return Share.REQUESTS
    if outcome is not Outcome.REPORT or not is_advice(sk):
        return None
    if not is_alert(diagnosis.kind, diagnosis.code):
        return Share.ADVICE
    return Share.LEAKED_KEYS if diagnosis.kind is DiagnosisKind.LEAKED_KEY else Share.MISMATCHES


def is_alert(kind: DiagnosisKind, code: str) -> bool:
    """Whether advice is an alert: a leaked key, or an event that contradicts itself."""
    return kind is DiagnosisKind.LEAKED_KEY or code in _SUSPICIOUS


_BEYOND: Final = {
    Share.REQUESTS: "more#requests",
    Share.ADVICE: "advice#unknown#more#too_many_targets",
    Share.LEAKED_KEYS: "advice#leaked_key#more#too_many_alerts",
    Share.MISMATCHES: "advice#unknown#more#too_many_alerts",
}


def beyond_key(share: Share) -> str:
    """The sk of the row on which what is beyond a bound is counted."""
    return _BEYOND[share]


def beyond_counter(share: Share) -> str:
    """The fingerprint of that row's only counter."""
    return f"more#{share}"


def counts_requests(row: Grant) -> bool:
    """Whether a row only counts requests that are too many: nothing in it can be approved."""
    return row.sk == _BEYOND[Share.REQUESTS]


def beyond(share: Share, number: int, names: Sequence[str], bounds: Bounds) -> tuple[Diagnosis, Decision]:
    """What is said of denials that are beyond a bound, and done about them.

    Args:
        share: The bound.
        number: How many different ones there are at once.
        names: What they asked for, as AWS calls it; told of requests only, since other names are the caller's words.
        bounds: The bounds.
    """
    lately = f"within {int(bounds.window.total_seconds() // 60)} minutes"
    code = "too_many_alerts"
    kind, outcome = DiagnosisKind.UNKNOWN, Outcome.REPORT
    told = (
        f"There were {bounds.told + number} different alerts about this caller {lately}. The first {bounds.told} were "
        "told one by one; the others are counted here."
    )
    if share is Share.LEAKED_KEYS:
        kind = DiagnosisKind.LEAKED_KEY
    elif share is Share.ADVICE:
        code = "too_many_targets"
        told = (
            f"This caller was denied {bounds.told + number} different things {lately} that no grant can put right, "
            f"model ids that do not exist among them. The first {bounds.told} were told one by one; the others are "
            "only counted here."
        )
    elif share is Share.REQUESTS:
        code = "too_many_requests"
        outcome, told = Outcome.ASK, requests_told(names, bounds)
    diagnosis = Diagnosis(
        kind=kind,
        code=code,
        reason=told,
        candidates=named(names) if share is Share.REQUESTS else (),
        ask_only=True,
    )
    return diagnosis, Decision(outcome=outcome, code=code, reason=told)


def row_beyond(share: Share, opened_row: Grant) -> Grant:
    """The row under the key on which what is beyond a bound is counted."""
    return replace(opened_row, sk=_BEYOND[share])


def also_named(row: Grant, names: Iterable[str], bounds: Bounds) -> Grant:
    """The row that counts requests, naming these too, as far as there is room for names."""
    known = named((*row.candidates, *names))
    return row if known == row.candidates else replace(row, candidates=known, reason=requests_told(known, bounds))


def named(names: Iterable[str]) -> tuple[str, ...]:
    """The first names, each once."""
    return tuple(dict.fromkeys(names))[:MOST_NAMED]


def requests_told(names: Iterable[str], bounds: Bounds) -> str:
    """Why requests are counted on one row, and what the first of them asked for."""
    known = named(names)
    many = f"{MOST_NAMED} or more" if len(known) == MOST_NAMED else str(len(known))
    return (
        f"{bounds.requests} requests of this principal wait for a person already, so others are counted here and not "
        f"asked about one by one: {many} ({', '.join(known)}). To reject this rejects every request of the principal "
        "that waits. When fewer wait, the next denial opens a request of its own."
    )
