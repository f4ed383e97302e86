"""What to ask of IAM's simulator, and what its answers prove."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from bedrock_remediator.core.arn import ArnError
from bedrock_remediator.core.denial import Effect, Layer
from bedrock_remediator.core.verification import Helpfulness, holds_for_each_region, judge, questions

PROFILE = "arn:aws:bedrock:us-east-1:123456789012:inference-profile/global.amazon.nova-2-lite-v1:0"
MODEL = "arn:aws:bedrock:{}::foundation-model/amazon.nova-2-lite-v1:0"
ACTION = "bedrock:InvokeModel"


class Answer(Struct, frozen=True):
    """What the simulator says."""

    action: str = ACTION
    resource: str = PROFILE
    decision: str = "allowed"
    organizations: bool | None = None
    boundary: bool | None = None
    missing_context: tuple[str, ...] = ()


def test_one_question_is_about_every_region() -> None:
    """Only if the answer depends on the region is each asked about by itself, for a call's context holds for all."""
    east, west = MODEL.format("us-east-1"), MODEL.format("us-west-2")
    (asked,) = questions(PROFILE, [west, PROFILE, east])
    assert (asked.region, asked.resources) == (None, (PROFILE, east, west))
    assert asked.context == {"bedrock:InferenceProfileArn": PROFILE}
    assert [(part.region, part.resources) for part in asked.by_region()] == [
        ("us-east-1", (PROFILE, east)),
        ("us-west-2", (west,)),
    ]
    assert asked.by_region()[1].context == {
        "bedrock:InferenceProfileArn": PROFILE,
        "aws:RequestedRegion": "us-west-2",
    }


def test_a_single_region_is_given_at_once() -> None:
    """There is nothing to save then; and a region-less ARN, which may be refused, stands in nobody's way."""
    asked = questions(PROFILE, [MODEL.format("us-east-1"), PROFILE, MODEL.format("")])
    assert [question.region for question in asked] == ["us-east-1", "unspecified"]


@pytest.mark.parametrize(
    ("answer", "holds"),
    [
        (Answer(), True),
        (Answer(decision="implicitDeny"), True),
        (Answer(missing_context=("aws:requestedregion",)), False),
        (Answer(decision="explicitDeny"), False),
        (Answer(decision="implicitDeny", organizations=False), False),
    ],
)
def test_an_answer_without_a_region_holds_where_none_is_asked_for(answer: Answer, *, holds: bool) -> None:
    """And never where it is a certain refusal."""
    assert holds_for_each_region([Answer(), answer]) is holds


def test_a_model_without_a_region_is_requested_in_an_unspecified_one() -> None:
    """For the region-less model of a global profile, AWS sets aws:RequestedRegion to `unspecified`."""
    (asked,) = questions(PROFILE, [MODEL.format("")])
    assert asked.region == asked.context["aws:RequestedRegion"] == "unspecified"


def test_a_direct_call_goes_through_no_profile() -> None:
    """Without a profile its condition key is not given."""
    (asked,) = questions(None, [MODEL.format("us-east-1")])
    assert asked.context == {"aws:RequestedRegion": "us-east-1"}


def test_what_is_no_arn_cannot_be_asked_about() -> None:
    """A resource with a wildcard never reaches the simulator."""
    with pytest.raises(ArnError):
        questions(None, [MODEL.format("*")])


def test_a_grant_helps_if_all_is_allowed() -> None:
    """Only where every answer is good."""
    judgement = judge([Answer(), Answer(resource=MODEL.format("us-east-1"))])
    assert judgement.helpfulness is Helpfulness.HELPS
    assert judgement.layer is None


@pytest.mark.parametrize(
    ("changes", "layer", "effect"),
    [
        ({"decision": "explicitDeny"}, Layer.IDENTITY, Effect.EXPLICIT),
        ({"decision": "explicitDeny", "boundary": True, "organizations": True}, Layer.IDENTITY, Effect.EXPLICIT),
        ({"decision": "explicitDeny", "boundary": False}, Layer.BOUNDARY, Effect.EXPLICIT),
        ({"decision": "explicitDeny", "organizations": False}, Layer.SCP, Effect.EXPLICIT),
        ({"decision": "implicitDeny", "organizations": False}, Layer.SCP, Effect.IMPLICIT),
        ({"decision": "implicitDeny", "boundary": False}, Layer.BOUNDARY, Effect.IMPLICIT),
        ({"decision": "implicitDeny", "organizations": False, "boundary": False}, Layer.SCP, Effect.IMPLICIT),
    ],
)
def test_a_certain_refusal_names_its_layer(changes: dict[str, Any], layer: Layer, effect: Effect) -> None:
    """An explicit deny, the organization and the boundary are what no grant can overcome."""
    judgement = judge([Answer(), msgspec.structs.replace(Answer(), **changes)])
    assert judgement.helpfulness is Helpfulness.CERTAINLY_NOT
    assert (judgement.layer, judgement.effect) == (layer, effect)
    assert ACTION in judgement.reason
    assert PROFILE in judgement.reason


@pytest.mark.parametrize(
    "changes",
    [
        {"decision": "implicitDeny"},
        {"decision": "implicitDeny", "organizations": True, "boundary": True},
        {"decision": "explicitDeny", "missing_context": ("bedrock:GuardrailIdentifier",)},
        {"decision": "implicitDeny", "organizations": False, "missing_context": ("aws:SourceVpce",)},
    ],
)
def test_a_refusal_that_may_not_be_one_proves_nothing(changes: dict[str, Any]) -> None:
    """IAM settles late, and without its key a negated condition looks like a deny."""
    judgement = judge([msgspec.structs.replace(Answer(), **changes)])
    assert judgement.helpfulness is Helpfulness.INCONCLUSIVE
    assert judgement.layer is None
    assert all(key in judgement.reason for key in changes.get("missing_context", ()))


def test_no_answer_proves_nothing() -> None:
    """Silence is not consent, not even beside good answers."""
    assert judge([]).helpfulness is Helpfulness.INCONCLUSIVE
    assert judge([Answer()], unanswered=1).helpfulness is Helpfulness.INCONCLUSIVE


answers = st.builds(
    Answer,
    decision=st.sampled_from(["allowed", "explicitDeny", "implicitDeny"]),
    organizations=st.sampled_from([None, True, False]),
    boundary=st.sampled_from([None, True, False]),
    missing_context=st.sampled_from([(), ("aws:SourceVpce",)]),
)


@given(st.lists(answers, max_size=4), st.randoms())
def test_the_order_of_answers_changes_no_verdict(given_answers: list[Answer], random: Any) -> None:
    """What is proved does not depend on which answer comes first."""
    shuffled = random.sample(given_answers, len(given_answers))
    assert judge(shuffled).helpfulness is judge(given_answers).helpfulness


@given(st.lists(answers, min_size=1, max_size=4))
def test_a_reason_can_stand_after_a_colon(given_answers: list[Answer]) -> None:
    """It begins in lower case and ends with a full stop."""
    reason = judge(given_answers).reason
    assert reason[0].islower()
    assert reason.endswith(".")
