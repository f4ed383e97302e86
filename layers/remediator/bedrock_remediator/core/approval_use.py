"""What became of a person's approval: remediate takes each up once, and remembers the last one of every key.

    none, or an earlier one --taken up--> applying --> active --> as its grant has ended: revoked, failed, …
                                           |   ^
             failed for a passing reason --+   +-- tried again
                                           v   |
                                          approved

A row of the ledger can be put back as it was, signature included. So what counts is not what a row says, but what
remediate has written down where nobody else may write, and the time that is signed with the approval.
"""

from datetime import datetime, timedelta
from typing import Final

from msgspec import Struct

from bedrock_remediator.core.grant import STANDING, Grant, State
from bedrock_remediator.core.waiting import PASSING

LONGEST_WAIT: Final = timedelta(hours=24)
"""How old an approval may be when it is taken up: what was true then may not be by now."""


class Use(Struct, frozen=True, kw_only=True):
    """The last approval of a key that remediate has taken up or refused; it and all before it are used.

    `decided_at` and `decided_version` are those that are signed. `outcome` is `applying` or `active` while its grant
    stands, `approved` where it failed for a reason that passes and may be tried again, and else the state in which
    its grant, or the request, has ended. `since` is when it first failed so, since it last stood.
    """

    decided_at: datetime
    decided_version: int
    outcome: State
    since: datetime | None = None

    @property
    def order(self) -> tuple[datetime, int]:
        """What tells an earlier approval from a later one: the time, since a row that was lost begins at 1 again."""
        return self.decided_at, self.decided_version


def order(grant: Grant) -> tuple[datetime, int] | None:
    """Which approval a row shows, as `Use.order`; None where it shows none."""
    if grant.decided_at is None or grant.decided_version is None:
        return None
    return grant.decided_at.replace(microsecond=0), grant.decided_version


def stands(use: Use | None, grant: Grant) -> bool:
    """Whether the approval that a row shows was taken up, and its grant has not ended."""
    return use is not None and use.outcome in STANDING and use.order == order(grant)


def used(use: Use | None, grant: Grant) -> bool:
    """Whether the approval that a row shows counts no more: its grant has ended, or a later one was taken up."""
    shown = order(grant)
    if use is None or shown is None:
        return False
    return shown < use.order or (shown == use.order and use.outcome not in {*STANDING, State.APPROVED})


def stale(use: Use | None, grant: Grant, now: datetime) -> bool:
    """Whether a row shows an approval that was not taken up in time.

    One whose grant stands does not grow old. One that failed for a passing reason may be tried again as long.
    """
    if use is None or use.order != order(grant):
        return now - (grant.decided_at or grant.updated_at) > LONGEST_WAIT
    return use.outcome is State.APPROVED and now - (use.since or use.decided_at) > LONGEST_WAIT


def after_step(use: Use | None, grant: Grant, after: Grant) -> Use | None:
    """What is remembered after a step of a row whose approval is genuine.

    Args:
        use: What was remembered of the key.
        grant: The row before the step.
        after: The row after it.
    """
    shown = order(grant)
    if shown is None or used(use, grant):
        return use
    outcome, since = after.state, None
    if use is not None and use.order == shown and outcome is State.APPLYING:
        since = use.since
    if outcome is State.FAILED and after.reason_code in PASSING:
        outcome = State.APPROVED
        since = (use.since if use is not None and use.order == shown else None) or after.updated_at
    return Use(decided_at=shown[0], decided_version=shown[1], outcome=outcome, since=since)


def after_revocation(use: Use | None, grant: Grant, now: datetime) -> Use | None:
    """What is remembered after a grant was revoked: nothing that was decided until then counts any more.

    Of a grant that was kept until another stood in its place, that is its own approval, where it still shows it.
    """
    last = (now.replace(microsecond=0), grant.version)
    shown = order(grant)
    if grant.kept and grant.approval is not None and shown is not None:
        if use is not None and use.order > shown:
            return use
        last = shown
    if use is not None:
        last = max(last, use.order)
    return Use(decided_at=last[0], decided_version=last[1], outcome=State.REVOKED)
