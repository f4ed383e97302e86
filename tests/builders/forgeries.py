"""Rows that somebody who may write to the table could write, made of two genuine ones."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, Final

from msgspec.structs import replace

from bedrock_remediator.aws.ledger.items import grant_item
from bedrock_remediator.core.grant import Grant, Outcome, State, Written
from tests.builders.small_world import ACCOUNT, APP, BARE, MEANT, models, profile_arn
from tests.builders.soundness import grants
from tests.builders.stories import Stage

RULE: Final = "app-nova-0"
RULES: Final = f"""
version: 1
rules:
  - {{name: {RULE}, effect: auto, principals: ["{APP}"], profiles: ["us.amazon.nova-0-v1:0"]}}
"""
_OWN: Final = f"arn:aws:iam::{ACCOUNT}:policy/AppPolicy"
_ANYTHING: Final = ("arn:aws:bedrock:*::foundation-model/*", "arn:aws:bedrock:*:*:inference-profile/*")

Forgery = Callable[[Grant, Grant], Grant]


def _about(row: Grant, number: int, **changes: Any) -> Grant:
    """The row for another profile, complete and consistent, as if it had just been approved."""
    arn = profile_arn(number)
    told = {
        "sk": f"profile#{arn}",
        "profile": arn,
        "model_id": f"us.amazon.nova-{number}-v1:0",
        "resources": tuple(sorted((arn, *models(number)))),
        "allowed": (),
        "state": State.APPROVED,
        "written": None,
        "applied_at": None,
        "verification": None,
    }
    return replace(row, **{**told, **changes})


def _for(row: Grant, principal: str, number: int, **changes: Any) -> Grant:
    return _about(row, number, pk=principal, principal=principal, **changes)


def _written(strategy: str, *policies: str, added: tuple[str, ...] = ()) -> Written:
    return Written(strategy=strategy, policies=policies, added=added)


FORGERIES: Final[Mapping[str, Forgery]] = {
    "ARNs of another profile": lambda auto, _: _about(auto, 2, resources=(profile_arn(3), *models(3))),
    "wildcard ARNs": lambda auto, _: _about(auto, 3, resources=_ANYTHING),
    "a wildcard for a profile": lambda auto, _: _about(
        auto, 4, sk=f"profile#{profile_arn(4)[:-6]}*", profile=f"{profile_arn(4)[:-6]}*", resources=_ANYTHING
    ),
    "a rule that does not say so": lambda auto, _: _about(auto, 5),
    "a rule that is not there": lambda auto, _: _about(auto, 6, rule="everything"),
    "other actions": lambda auto, _: _about(auto, 7, actions=("bedrock:*", "iam:*")),
    "another principal's": lambda auto, _: _for(auto, MEANT, 0),
    "a principal that is not its key's": lambda auto, _: _about(auto, 0, pk=BARE),
    "a principal of the stack's own": lambda auto, _: _for(
        auto, f"arn:aws:iam::{ACCOUNT}:role/bedrock-access-remediator-stack/remediate", 0
    ),
    "a direct model": lambda auto, _: _about(
        auto, 0, sk=f"model#{models(2)[0]}", profile=None, resources=(models(2)[0],)
    ),
    "no signature": lambda _, asked: _about(asked, 2, approval=None),
    "a signature of another row": lambda _, asked: _about(asked, 3),
    "a signature for another principal": lambda _, asked: _for(asked, MEANT, 1),
    "a signature of another version": lambda _, asked: _about(asked, 4, decided_version=asked.version),
    "another approver": lambda _, asked: _about(asked, 5, decided_by="the chief"),
    "a longer end": lambda _, asked: _about(asked, 6, expires_at=asked.updated_at + timedelta(days=900)),
    "no decision of anybody's": lambda _, asked: _about(
        asked, 7, decision=Outcome.AUTO, rule=None, approval=None, decided_by=None
    ),
    "said to be being applied": lambda auto, _: _for(
        auto, MEANT, 2, state=State.APPLYING, written=_written("managed", _OWN)
    ),
    "written to somebody else's policy": lambda auto, _: _for(
        auto, MEANT, 4, written=_written("in-place", _OWN, added=models_of_app())
    ),
    "to be taken out of somebody else's policy": lambda auto, _: _for(
        auto, MEANT, 5, state=State.REVOKING, written=_written("managed", _OWN)
    ),
    "to be taken out of somebody else's policy, in place": lambda auto, _: _for(
        auto, MEANT, 6, state=State.REVOKING, written=_written("in-place", _OWN, added=models_of_app())
    ),
    "to be taken out of the principal's own policy": lambda auto, _: _about(
        auto, 5, state=State.REVOKING, written=_written("in-place", _OWN, added=models_of_app())
    ),
    "given up, and put into the principal's own policy before": lambda auto, _: _about(
        auto, 6, state=State.APPLYING, rule="everything", written=_written("in-place", _OWN, added=models_of_app())
    ),
    "to be taken out of an inline policy": lambda auto, _: _for(
        auto, MEANT, 7, state=State.REVOKING, written=_written("inline", "No")
    ),
}
"""By name: what is made of a row that a rule approved (APP's) and one that a person approved."""


def models_of_app() -> tuple[str, ...]:
    """What AppPolicy grants of its own."""
    return tuple(models(number)[0] for number in range(3))


def genuine(stage: Stage) -> tuple[Grant, Grant]:
    """The rows that forgeries are made of, both in force."""
    rows = {row.decision: row for row in grants(stage.sandbox) if row.state is State.ACTIVE}
    return rows[Outcome.AUTO], rows[Outcome.ASK]


def forge(stage: Stage, name: str, **changes: Any) -> Grant:
    """Write one straight into the table; gives the row."""
    row = replace(FORGERIES[name](*genuine(stage)), updated_at=stage.sandbox.clock.now(), **changes)
    stage.sandbox.ledger.put(grant_item(row))
    return row


def _again(stood: Grant, now: Grant, **changes: Any) -> Grant:
    """The row as it stood, signature included, a version above the one that there is."""
    return replace(stood, **{"version": now.version + 1, "state": State.APPROVED, **changes})


_NEVER_WRITTEN: Final = {"written": None, "applied_at": None, "verification": None}

REPLAYS: Final[Mapping[str, Forgery]] = {
    "approved": lambda stood, now: _again(stood, now, **_NEVER_WRITTEN),
    "approved, to be repaired": _again,
    "as it was signed, as if the row were new": lambda stood, _: replace(
        stood, state=State.APPROVED, version=stood.decided_version or 1, history=(), **_NEVER_WRITTEN
    ),
    "being applied": lambda stood, now: _again(stood, now, state=State.APPLYING),
    "active": lambda stood, now: _again(stood, now, state=State.ACTIVE),
    "failed a moment ago, for a reason that passes": lambda stood, now: _again(
        stood, now, state=State.FAILED, reason_code="iam_refused"
    ),
    "kept, approved": lambda stood, now: _again(stood, now, sk=f"kept#{stood.sk}", **_NEVER_WRITTEN),
    "kept, active": lambda stood, now: _again(stood, now, sk=f"kept#{stood.sk}", state=State.ACTIVE),
}
"""By name: how a row that a person approved, and whose grant has ended, is put back (as it stood, as it is now)."""


def replay(stage: Stage, name: str, stood: Grant) -> Grant:
    """Put a row back; gives it."""
    now = next(row for row in grants(stage.sandbox) if row.key == stood.key)
    row = replace(REPLAYS[name](stood, now), updated_at=stage.sandbox.clock.now())
    stage.sandbox.ledger.put(grant_item(row))
    return row
