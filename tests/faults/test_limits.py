"""More profiles for one principal than IAM has room for, under each strategy and at each limit.

What fits is compiled to fit. What does not fails as a whole, with the reason and what to do about it, and what was
granted before stands to the letter: nothing is ever cut short.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

import pytest
from msgspec import Struct

from bedrock_remediator.core.grant import Grant, State
from sandbox.sessions import session
from sandbox.world import World, parse_world
from tests.builders.small_world import ACCOUNT, REGION, denial
from tests.builders.soundness import grants
from tests.builders.stories import RULES, Stage, Story
from tests.conftest import Count

ROLE: Final = f"arn:aws:iam::{ACCOUNT}:role/app"
USER: Final = f"arn:aws:iam::{ACCOUNT}:user/dev"
_OWN_POLICY: Final = f"arn:aws:iam::{ACCOUNT}:policy/AppPolicy"
_INVOKE: Final = ["bedrock:InvokeModel", "bedrock:InvokeModelWithResponseStream"]


class Case(Struct, frozen=True, kw_only=True):
    """A limit.

    `models` is how many models each profile has, `held` what the principal holds before, `granted` how many grants fit,
    `code` and `advice` what the next one fails with. `versions` is how many versions its own policy has.
    """

    strategy: str
    principal: str
    models: int
    held: Mapping[str, Any] = {}
    granted: int
    code: str
    advice: str
    versions: int = 1


def _models(number: int, many: int) -> list[str]:
    return [f"arn:aws:bedrock:{REGION}::foundation-model/vendor.m-{number:02}-{each:03}" for each in range(many)]


def _document(*resources: str) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": _INVOKE, "Resource": [*resources]}]}


def _others(many: int) -> dict[str, Any]:
    """Managed policies that take up places."""
    return {
        f"Other{number}": _document(f"arn:aws:bedrock:{REGION}::foundation-model/o.{number}") for number in range(many)
    }


def _own(models: int, *, room: int) -> dict[str, Any]:
    """A policy that grants the first model of each profile, and is so long that `room` characters are left of 6,144."""
    document = _document(*(_models(number, models)[0] for number in range(4)))
    filler = {"Sid": "Filler", "Effect": "Deny", "Action": ["s3:GetObject"], "Resource": [""]}
    document["Statement"].append(filler)
    length = len("".join(str(document).split()))
    filler["Resource"] = ["arn:aws:s3:::" + "x" * (6_144 - room - length - 13)]
    return {"AppPolicy": document}


CASES: Final = {
    "a user's inline policies, 2,048 characters": Case(
        strategy="inline",
        principal=USER,
        models=5,
        granted=1,
        code="inline_quota_exceeded",
        advice="policy strategy managed",
    ),
    "a role's inline policies, 10,240 characters": Case(
        strategy="inline",
        principal=ROLE,
        models=60,
        granted=1,
        code="inline_quota_exceeded",
        advice="policy strategy managed",
    ),
    "a managed policy, 6,144 characters": Case(
        strategy="managed",
        principal=ROLE,
        models=100,
        granted=0,
        code="policy_too_large",
        advice="grant fewer profiles",
    ),
    "a role's 20 attachments": Case(
        strategy="managed",
        principal=ROLE,
        models=25,
        held={"managed": _others(18)},
        granted=2,
        code="limit_exceeded",
        advice="quota",
    ),
    "a user's 10 attachments": Case(
        strategy="managed",
        principal=USER,
        models=25,
        held={"managed": _others(8)},
        granted=2,
        code="limit_exceeded",
        advice="quota",
    ),
    "a policy of the principal's own, 6,144 characters": Case(
        strategy="in-place",
        principal=ROLE,
        models=5,
        held={"managed": _own(5, room=600)},
        granted=1,
        code="in_place_unavailable",
        advice="has no room for more",
    ),
    "five versions of the principal's own policy": Case(
        strategy="in-place",
        principal=ROLE,
        models=5,
        held={"managed": _own(5, room=3_000)},
        granted=0,
        versions=5,
        code="in_place_unavailable",
        advice="this service deletes none of them",
    ),
}


def _world(case: Case) -> World:
    kind = "roles" if case.principal == ROLE else "users"
    profiles = [
        {"id": f"p{number}", "type": "APPLICATION", "models": _models(number, case.models)}
        for number in range(case.granted + 1)
    ]
    held = {"name": case.principal.rpartition("/")[2], **case.held}
    return parse_world({"account": ACCOUNT, kind: [held], "inference_profiles": {REGION: profiles}})


def _crowd(case: Case) -> Story:
    def versions(_: Stage) -> None:
        client = session("AKIASANDBOX", REGION).client("iam")
        for _number in range(case.versions - 1):
            text = json.dumps(case.held["managed"]["AppPolicy"])
            client.create_policy_version(PolicyArn=_OWN_POLICY, PolicyDocument=text, SetAsDefault=True)

    def deny(stage: Stage) -> None:
        for number in range(case.granted + 1):
            arn = f"arn:aws:bedrock:{REGION}:{ACCOUNT}:application-inference-profile/p{number}"
            stage.deny(denial(case.principal, arn, number + 1, at=stage.sandbox.clock.now()))

    return Story(
        name="a crowd",
        watched="RemediateFunction",
        parameters={"PolicyStrategy": case.strategy},
        allowlist=RULES,
        world=lambda: _world(case),
        before=versions,
        act=deny,
    )


@pytest.mark.parametrize("name", CASES)
def test_what_does_not_fit_fails_as_a_whole(name: str, count: Count) -> None:
    """The grants that fit are in force and exact; the one that does not is failed, and says what to do."""
    case = CASES[name]
    rows: list[Grant] = []
    played = _crowd(case).play(look=lambda stage: rows.extend(grants(stage.sandbox)))
    assert not played.unsound
    assert not played.ending.lost
    rows.sort(key=lambda row: row.created_at)
    assert [row.state for row in rows] == [*([State.ACTIVE] * case.granted), State.FAILED]
    assert (rows[-1].reason_code, case.advice in rows[-1].reason) == (case.code, True), rows[-1].reason
    assert rows[-1].written is None
    count("limits", 1)
