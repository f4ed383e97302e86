"""How long rows wait before upkeep does something about them: for a person, for remediate, for trouble to pass.

    pending, for half of its time --> reminded, once        active, past its end --> revoking
    pending, for all of it -------> lapsed                  failed for a passing reason --> approved, five times
    approved | applying | revoking, for a while --> driven again, five times; then failed, or, where something may
    stand in IAM, once a day until that is taken out

What is noted on a row without a new version (`reminded_at`, `driven_at`, `remark`, `link_asked_at`) holds for the stay
in the state that the row was in then. So nothing has to be cleared when a row moves, by whomever.

It knows rows and nothing else: every function that touches the ledger loads it.
"""

import itertools
from datetime import datetime, timedelta
from typing import Final

from bedrock_remediator.core.grant import Grant, Remark, State

SETTLING: Final = timedelta(minutes=10)
"""How long after a grant took effect denials may still arrive that it has put right (docs/aws-facts.md §1)."""


_ADVICE: Final = "advice#"


_FIRST_COOL_DOWN: Final = timedelta(hours=24)


_LONGEST_COOL_DOWN: Final = timedelta(days=7)


def is_advice(sk: str) -> bool:
    """Whether the row gives advice, rather than being about a grant."""
    return sk.startswith(_ADVICE)


def cool_down(cool_downs: int, now: datetime) -> datetime:
    """Until when repeats of a finished row only count: a day, doubled each time, a week at most."""
    rest: timedelta = _FIRST_COOL_DOWN * 2 ** min(cool_downs, 8)
    return now + min(rest, _LONGEST_COOL_DOWN)


BY: Final = "upkeep"
"""Who moved the row, in its history."""


MOST_TRIES: Final = 5
"""How often a stuck row is driven again before it fails, and how often one that failed in passing is tried again."""


PASSING: Final = frozenset({"check_refused", "iam_refused", "limit_exceeded", "member_role_missing", "write_denied"})
"""Reasons for which a grant failed that may be gone some hours later without anybody approving again: AWS refused a
call, as it does while roles and organization policies are being deployed, or until somebody has made room."""


RETRIED_FOR: Final = timedelta(hours=24)
"""How old a failure may be to be tried again: after that, what was approved may no longer be meant."""


LINK_PAUSE: Final = timedelta(hours=1)
"""Between two new links about one row: whoever has an old link could else fill the approvers' mailbox."""


_FIRST_PAUSE: Final = timedelta(minutes=15)


_LONGEST_PAUSE: Final = timedelta(hours=4)


_SELDOM: Final = timedelta(days=1)


def expired(row: Grant, now: datetime) -> bool:
    """Whether an active grant is past its end."""
    return row.state is State.ACTIVE and row.expires_at is not None and row.expires_at <= now


def lapse_due(row: Grant, lasting: timedelta, now: datetime) -> bool:
    """Whether a request has waited for a person as long as it may."""
    return row.state is State.PENDING and now - row.updated_at >= lasting


def reminder_due(row: Grant, lasting: timedelta, now: datetime) -> bool:
    """Whether a request has waited half of its time, and nobody was reminded of it."""
    return row.state is State.PENDING and not reminded(row) and now - row.updated_at >= lasting / 2


def reminded(row: Grant) -> bool:
    """Whether the approvers were reminded of the request since it began to wait."""
    return row.state is State.PENDING and row.reminded_at is not None and row.reminded_at >= row.updated_at


def drives(row: Grant) -> int:
    """How often the row was driven again since it came into its state."""
    return row.attempt if row.driven_at is not None and row.driven_at >= row.updated_at else 0


def stuck(row: Grant, now: datetime) -> bool:
    """Whether remediate should have taken the row to its next state by now.

    A quarter of an hour after it came into its state; after each time that it was driven again, twice as long, since
    it may only be waiting in a long queue.
    """
    if row.state not in (State.APPROVED, State.APPLYING, State.REVOKING):
        return False
    tried = drives(row)
    since = max(row.updated_at, row.driven_at or row.updated_at)
    return now - since >= (_SELDOM if tried > MOST_TRIES else pause(tried))


def hopeless(row: Grant) -> bool:
    """Whether a stuck row was driven often enough to give it up, and nothing of it can stand in IAM.

    What may stand there is remediate's to give up, which takes it out: see `given_up`. A revocation never is.
    """
    return row.state is not State.REVOKING and row.written is None and drives(row) >= MOST_TRIES


def given_up(row: Grant) -> bool:
    """Whether a row that was driven again is to be taken out of IAM instead of being tried once more, and to fail."""
    return row.state in (State.APPROVED, State.APPLYING) and drives(row) > MOST_TRIES


def retry_due(row: Grant, now: datetime) -> bool:
    """Whether a grant failed for a reason that passes, and long enough ago to try again."""
    if row.state is not State.FAILED or row.reason_code not in PASSING or (row.expires_at or now) < now:
        return False
    tried = retries(row)
    return tried < MOST_TRIES and pause(tried) <= now - row.updated_at <= RETRIED_FOR


def retries(row: Grant) -> int:
    """How often upkeep has tried the grant again, since somebody else approved it."""
    approvals = (
        step.by == BY and before.state is State.FAILED
        for before, step in reversed(tuple(itertools.pairwise(row.history)))
        if step.state is State.APPROVED
    )
    return sum(itertools.takewhile(bool, approvals))


def failed_again(row: Grant) -> bool:
    """Whether a grant failed, and is again one that upkeep has tried anew: people know of it already."""
    return row.state is State.FAILED and row.reason_code in PASSING and retries(row) > 0


def link_due(row: Grant, now: datetime) -> bool:
    """Whether the approvers may be sent a new link, since somebody asks for one: once an hour for each row."""
    return row.link_asked_at is None or now - row.link_asked_at >= LINK_PAUSE


def link_asked(row: Grant) -> bool:
    """Whether a new link was asked for since the row came into its state."""
    return row.link_asked_at is not None and row.link_asked_at >= row.updated_at


def remark_of(row: Grant) -> Remark | None:
    """What was found about the row as it stands; None for a remark about an earlier version of it."""
    return row.remark if row.remark is not None and row.remark.version == row.version else None


def pause(tried: int) -> timedelta:
    """How long to wait before the next try: a quarter of an hour, doubled each time, four hours at most."""
    longer: timedelta = _FIRST_PAUSE * 2**tried
    return min(longer, _LONGEST_PAUSE)
