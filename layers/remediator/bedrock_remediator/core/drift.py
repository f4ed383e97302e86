"""What to do about a standing grant that is no longer as the ledger says.

| what is found                                    | what is done                                                      |
| ------------------------------------------------ | ----------------------------------------------------------------- |
| the principal is gone, or was made anew          | the grant is revoked: its successor gets nothing for it           |
| AWS routes the profile to more models            | a rule's grant is approved anew, and decided again; a person's is |
|                                                  | asked for anew. The old grant is kept meanwhile                   |
| the policy was detached or deleted, or says less | approved anew as it is: a rule's grant is decided again, a        |
| or more than the grants                          | person's keeps its signature, which says the same as before       |
| the policy says what this service never writes,  | reported: what somebody wrote there is not overwritten            |
| or others have it too; the profile is gone       |                                                                   |
| a repair that would not last, or is not allowed  | reported                                                          |

Whatever is approved anew is checked by remediation as if it were new. Nothing is done while grants are paused.
"""

from datetime import datetime, timedelta
from typing import Final

from msgspec import Struct

from bedrock_remediator.core.grant import Grant, Outcome, State
from bedrock_remediator.core.waiting import BY

REPAIRS: Final = 3
"""How often in `REPAIRS_WITHIN` a grant is put right before people are asked to find out who undoes it."""

REPAIRS_WITHIN: Final = timedelta(days=7)

_OVER: Final = frozenset({State.ACTIVE, State.REVOKING, State.REVOKED})
"""States in which a row no longer needs its old grant: another one stands in its place, or none shall."""


class Obstacle(Struct, frozen=True):
    """Why a policy cannot be written as the grants say: in one word, and in a sentence that says what to do."""

    code: str
    reason: str


class Found(Struct, frozen=True, kw_only=True):
    """What was found about one active grant.

    Attributes:
        needed: The ARNs that a call needs, as AWS says now; None where the profile does not exist any more.
        lacking: Whether the principal's policies no longer give all of the grant.
        excessive: Whether the policies of ours that hold it give more than the principal's grants.
        obstacle: What stands in the way of writing them.
        successor: For a kept grant, the state of the row that it was made from; None where there is none.
    """

    needed: tuple[str, ...] | None
    lacking: bool = False
    excessive: bool = False
    obstacle: Obstacle | None = None
    successor: State | None = None


class Powers(Struct, frozen=True, kw_only=True):
    """What may be done: whether the stack only observes, is paused, and may change this principal at all."""

    observing: bool = False
    paused: bool = False
    grantable: bool = True


class Leave(Struct, frozen=True):
    """Nothing."""


class Revoke(Struct, frozen=True):
    """Take the grant back."""

    code: str
    reason: str


class Repair(Struct, frozen=True):
    """Approve the same grant anew."""

    code: str
    reason: str


class Renew(Struct, frozen=True):
    """Approve the grant anew with other ARNs, or ask for that, and keep the old one meanwhile."""

    code: str
    reason: str
    resources: tuple[str, ...]
    ask: bool


class Report(Struct, frozen=True):
    """Tell people, and change nothing."""

    code: str
    reason: str


Remedy = Leave | Revoke | Repair | Renew | Report


def remedy(row: Grant, found: Found, powers: Powers, now: datetime) -> Remedy:
    """What to do about one active grant of a principal that exists."""
    if row.kept:
        return _let_go(found)
    if powers.paused:
        return Leave()
    if found.needed is None:
        return Report("profile_missing", f"{row.profile} does not exist any more: revoke the grant if nobody needs it.")
    if not set(found.needed) <= set(row.resources):
        return _complete(row, found.needed, powers)
    if not (found.lacking or found.excessive or found.obstacle):
        return Leave()
    return _put_right(row, found, powers, now)


def absent(row: Grant, now_id: str | None) -> Revoke:
    """What to do about a grant whose principal is gone, or whose name another one has now (`now_id`)."""
    if now_id is None:
        return Revoke("principal_missing", f"{row.pk} does not exist any more.")
    return Revoke("principal_recreated", f"{row.pk} was deleted and made again; its successor gets nothing for it.")


def _let_go(found: Found) -> Remedy:
    if found.successor in _OVER:
        return Revoke("replaced", "Another grant stands in its place.")
    if found.lacking:
        return Revoke("replaced", "It is not in force any more, and was only kept until another is decided on.")
    return Leave()


def _complete(row: Grant, needed: tuple[str, ...], powers: Powers) -> Remedy:
    """AWS routes the profile to models that the grant does not have, so calls fail now and then."""
    more = sorted(set(needed) - set(row.resources))
    what = f"AWS routes {row.model_id or row.profile} to {_counted(len(more), 'more model')} than were granted"
    if powers.observing or not powers.grantable:
        return Report("inputs_changed", f"{what}, so calls may fail. {_hands_off(powers)}")
    if row.decision is Outcome.AUTO:
        return Renew("models_changed", f"{what}; what its rule grants includes them.", needed, ask=False)
    return Renew(
        "inputs_changed",
        f"{what}, so calls may fail. What was granted stays as it is until somebody decides on the new set.",
        needed,
        ask=True,
    )


def _put_right(row: Grant, found: Found, powers: Powers, now: datetime) -> Remedy:
    if found.obstacle:
        return Report(found.obstacle.code, found.obstacle.reason)
    what = (
        "Its policy was changed, detached or deleted, and no longer gives all that was granted."
        if found.lacking
        else "Its policy gives more than was granted: somebody has changed it."
    )
    if powers.observing or not powers.grantable:
        return Report("policy_drifted", f"{what} {_hands_off(powers)}")
    if _repairs(row, now) >= REPAIRS:
        return Report(
            "drift_recurs",
            f"{what} It was put right {REPAIRS} times in a week, and does not stay so: find out what undoes it "
            "(Terraform's exclusive attachments, say), or revoke the grant.",
        )
    return Repair("policy_drifted", f"{what} It is put right.")


def _repairs(row: Grant, now: datetime) -> int:
    """How often upkeep has approved the row anew of late."""
    return sum(
        step.state is State.APPROVED and step.by == BY and now - step.at < REPAIRS_WITHIN for step in row.history
    )


def _hands_off(powers: Powers) -> str:
    if powers.observing:
        return "The stack only observes, so it is left as it is."
    return "It is not among the principals that this service may change, so it is left as it is."


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
