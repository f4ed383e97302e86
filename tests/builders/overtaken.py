"""Stories of grants that are ended before they are in force: by somebody else, or since they were tried for hours."""

from typing import Any, Final

from msgspec.structs import replace

from bedrock_remediator.aws.ledger.items import grant_item
from bedrock_remediator.core.grant import Grant, State
from bedrock_remediator.core.waiting import MOST_TRIES
from sandbox.calls import Call
from tests.builders.small_world import APP, denial, profile_arn
from tests.builders.soundness import grants
from tests.builders.stories import Stage

WANTED: Final = denial(APP, profile_arn(2), 3)
"""Beside whatever else the principal was granted."""


def _row(stage: Stage) -> Grant:
    return next(row for row in grants(stage.sandbox) if row.profile == profile_arn(2))


def _takes_into_force(call: Call) -> bool:
    """Whether remediate says of the row that it is in force."""
    if (call.caller, call.name) != ("RemediateFunction", "dynamodb:UpdateItem"):
        return False
    values: dict[str, Any] = call.parameters.get("ExpressionAttributeValues", {})
    key: str = call.parameters["Key"]["sk"]["S"]
    return values.get(":state", {}).get("S") == State.ACTIVE and key.endswith(profile_arn(2))


def ended_by_another(stage: Stage) -> None:
    """A grant is wanted, and when it is written, somebody else has said that it failed."""

    def end(call: Call) -> None:
        if _takes_into_force(call) and (row := _row(stage)).state is State.APPLYING:
            reason = "It takes too long."
            failed = row.moved(State.FAILED, at=stage.sandbox.clock.now(), by="somebody", reason=reason)
            stage.sandbox.ledger.put(grant_item(replace(failed, reason_code="not_applied", reason=reason)))

    stage.sandbox.endpoint.refusals.append(end)
    stage.deny(WANTED)


def tried_for_hours(stage: Stage) -> None:
    """A grant is written, and was never said to be in force, however often upkeep drove it."""
    stage.deny(WANTED)
    active = _row(stage)
    assert active.written
    stuck = replace(
        active,
        state=State.APPLYING,
        version=active.version - 1,
        history=active.history[:-1],
        written=active.written if active.written.added else replace(active.written, policies=()),
        applied_at=None,
        verification=None,
        attempt=MOST_TRIES,
        driven_at=stage.sandbox.clock.now(),
    )
    stage.sandbox.ledger.put(grant_item(stuck))


def given_up(stage: Stage) -> None:
    """Upkeep comes round once more."""
    stage.later(hours=5)
    stage.round("upkeep")
