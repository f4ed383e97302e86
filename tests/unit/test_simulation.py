"""What to ask of IAM's simulator, and what its answers prove (docs/aws-facts.md §4.5)."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from bedrock_remediator.core.arn import ArnError
from bedrock_remediator.core.iam.evaluation import Finding, Verdict
from bedrock_remediator.core.layers import Effect, Layer
from bedrock_remediator.core.simulation import Helpfulness, Invocation, Judgement, OwnEvaluation, judge, questions

PROFILE = "arn:aws:bedrock:us-east-1:123456789012:inference-profile/global.amazon.nova-2-lite-v1:0"
MODEL = "arn:aws:bedrock:{}::foundation-model/amazon.nova-2-lite-v1:0"
EAST, WEST, NOWHERE = MODEL.format("us-east-1"), MODEL.format("us-west-2"), MODEL.format("")
INVOKE, STREAM = "bedrock:InvokeModel", "bedrock:InvokeModelWithResponseStream"


class Answer(Struct, frozen=True):
    """What the simulator says."""

    action: str = INVOKE
    resource: str = PROFILE
    decision: str = "allowed"
    organizations: bool | None = None
    boundary: bool | None = None
    missing_context: tuple[str, ...] = ()


BY_SCP: dict[str, Any] = {"decision": "explicitDeny", "organizations": False}
BY_BOUNDARY: dict[str, Any] = {"decision": "implicitDeny", "organizations": True, "boundary": False}
BY_DENY: dict[str, Any] = {"decision": "explicitDeny", "organizations": True}
OPEN: dict[str, Any] = {"decision": "implicitDeny", "organizations": True}


def call(**changes: Any) -> Invocation:
    """A call of the profile: AWS said that no identity-based policy allows InvokeModel on it."""
    default = Invocation(
        profile=PROFILE, resources=(PROFILE, EAST, WEST), actions=(INVOKE,), action=INVOKE, unallowed=PROFILE
    )
    return msgspec.structs.replace(default, **changes)


def unread(_action: str, _resource: str) -> Finding | None:
    """The principal's policies are not at hand."""


def saying(verdict: Verdict, *, boundary: bool = False) -> OwnEvaluation:
    """Our own evaluation says that of everything."""
    return lambda _action, _resource: Finding(verdict, boundary=boundary)


def judged(*answers: Answer, of: Invocation | None = None, own: OwnEvaluation = unread, **changes: Any) -> Judgement:
    """What the answers prove; what they leave out is allowed."""
    asked = of or call(**changes)
    pairs = [Answer(action, resource) for action in asked.actions for resource in asked.resources]
    return judge(asked, [*pairs, *answers], own)


def test_each_region_is_a_question() -> None:
    """The context entries hold for a whole question, and aws:RequestedRegion differs (docs/aws-facts.md §4.5)."""
    asked = questions(call(resources=(WEST, NOWHERE, PROFILE, EAST)))
    assert [(each.region, each.resources) for each in asked] == [
        ("us-east-1", (PROFILE, EAST)),
        ("us-west-2", (WEST,)),
        ("unspecified", (NOWHERE,)),
    ]


def test_what_was_denied_is_asked_first() -> None:
    """Its answer tells what the others are worth."""
    asked = questions(call(unallowed=WEST))
    assert [each.region for each in asked] == ["us-west-2", "us-east-1"]


def test_what_is_no_arn_cannot_be_asked_about() -> None:
    """A resource with a wildcard never reaches the simulator."""
    with pytest.raises(ArnError):
        questions(call(resources=(MODEL.format("*"),)))


def test_a_grant_helps_if_all_is_allowed() -> None:
    """Only where every answer is good."""
    judgement = judged()
    assert (judgement.helpfulness, judgement.layer, judgement.actions) == (Helpfulness.HELPS, None, (INVOKE,))


@pytest.mark.parametrize(("changes", "effect"), [(BY_SCP, Effect.EXPLICIT), ({**OPEN, "organizations": False}, None)])
def test_an_scp_is_believed_where_it_lets_the_denied_pair_pass(changes: dict[str, Any], effect: Effect | None) -> None:
    """It knows enough of the call then, and a call fails if an SCP blocks one destination region."""
    judgement = judged(Answer(resource=WEST, **changes))
    assert (judgement.helpfulness, judgement.layer) == (Helpfulness.CERTAINLY_NOT, Layer.SCP)
    assert judgement.effect is (effect or Effect.IMPLICIT)
    assert f"{INVOKE} on {WEST}" in judgement.reason


def test_an_scp_is_believed_whatever_keys_identity_policies_lacked() -> None:
    """MissingContextValues lists keys of identity policies alone, also of statements about something else."""
    judgement = judged(Answer(resource=WEST, missing_context=("aws:sourcevpc",), **BY_SCP))
    assert judgement.layer is Layer.SCP
    assert judgement.helpfulness is Helpfulness.CERTAINLY_NOT


def test_an_scp_is_not_believed_where_aws_itself_contradicts_it() -> None:
    """It stops the very pair that AWS said lacks but an identity policy: it hangs on keys that nobody can give."""
    judgement = judged(Answer(**BY_SCP), Answer(resource=WEST, **BY_SCP))
    assert (judgement.helpfulness, judgement.layer) == (Helpfulness.INCONCLUSIVE, Layer.SCP)
    assert "a service control policy" in judgement.reason
    assert "condition key" in judgement.reason
    assert not judgement.passing


@pytest.mark.parametrize("changes", [{"unallowed": None}, {"action": None}])
def test_an_scp_is_not_believed_where_aws_did_not_name_the_identity_layer(changes: dict[str, Any]) -> None:
    """Nothing tells whether the simulator knows enough of the call."""
    judgement = judged(Answer(resource=WEST, **BY_SCP), **changes)
    assert (judgement.helpfulness, judgement.layer) == (Helpfulness.INCONCLUSIVE, Layer.SCP)
    assert "cannot know" in judgement.reason


def test_an_scp_is_not_believed_while_the_denied_pair_has_no_answer() -> None:
    """Its answer is what the others are held to."""
    asked = call()
    judgement = judge(asked, [Answer(resource=WEST, **BY_SCP)], unread)
    assert judgement.helpfulness is Helpfulness.INCONCLUSIVE


def test_the_denied_pair_may_lie_outside_the_grant() -> None:
    """Only what the organization says of it counts: the grant is not about it."""
    outside = Answer(resource=MODEL.format("eu-west-1"), **OPEN)
    assert judged(outside, unallowed=outside.resource).helpfulness is Helpfulness.HELPS
    judgement = judged(outside, Answer(resource=WEST, **BY_SCP), unallowed=outside.resource)
    assert judgement.helpfulness is Helpfulness.CERTAINLY_NOT


@pytest.mark.parametrize("verdict", [Verdict.DENIED, Verdict.NOT_ALLOWED])
def test_the_boundary_is_believed_where_our_own_evaluation_agrees(verdict: Verdict) -> None:
    """The boundary can be read, so our own evaluation decides."""
    judgement = judged(Answer(**BY_BOUNDARY), own=saying(verdict, boundary=True))
    assert (judgement.helpfulness, judgement.layer) == (Helpfulness.CERTAINLY_NOT, Layer.BOUNDARY)


@pytest.mark.parametrize(
    "own", [unread, saying(Verdict.CONDITIONAL, boundary=True), saying(Verdict.NOT_ALLOWED), saying(Verdict.ALLOWED)]
)
def test_the_boundary_is_not_believed_otherwise(own: OwnEvaluation) -> None:
    """Nothing says that the simulator reports the keys of a boundary (docs/aws-facts.md §4.5)."""
    judgement = judged(Answer(**BY_BOUNDARY), own=own)
    assert (judgement.helpfulness, judgement.layer) == (Helpfulness.INCONCLUSIVE, Layer.BOUNDARY)
    assert "permissions boundary" in judgement.reason


def test_a_boundary_behind_an_scp_is_looked_into() -> None:
    """That the SCP is not believed does not hide what can be read."""
    both = Answer(decision="explicitDeny", organizations=False, boundary=False)
    judgement = judged(both, own=saying(Verdict.NOT_ALLOWED, boundary=True))
    assert (judgement.helpfulness, judgement.layer) == (Helpfulness.CERTAINLY_NOT, Layer.BOUNDARY)


def test_a_deny_is_believed_where_our_own_evaluation_agrees() -> None:
    """Whatever keys were missing, perhaps to other statements."""
    judgement = judged(Answer(missing_context=("aws:sourcevpc",), **BY_DENY), own=saying(Verdict.DENIED))
    assert (judgement.helpfulness, judgement.layer) == (Helpfulness.CERTAINLY_NOT, Layer.IDENTITY)


def test_a_deny_that_we_cannot_be_sure_of_is_not_believed() -> None:
    """A Null test of a key that is not known looks like a certain Deny to the simulator."""
    judgement = judged(Answer(**BY_DENY), own=saying(Verdict.CONDITIONAL))
    assert (judgement.helpfulness, judgement.layer) == (Helpfulness.INCONCLUSIVE, Layer.IDENTITY)
    assert "hangs on" in judgement.reason


@pytest.mark.parametrize(
    ("answer", "helpfulness"),
    [
        (Answer(resource=WEST, **BY_DENY), Helpfulness.CERTAINLY_NOT),
        (Answer(resource=WEST, missing_context=("aws:sourceip",), **BY_DENY), Helpfulness.INCONCLUSIVE),
        (Answer(**BY_DENY), Helpfulness.INCONCLUSIVE),
    ],
)
def test_a_deny_without_our_own_evaluation(answer: Answer, helpfulness: Helpfulness) -> None:
    """It counts if no key was missing, and it lets the pair pass of which AWS said that nothing denies it."""
    assert judged(answer).helpfulness is helpfulness


def test_missing_keys_are_named() -> None:
    """A reader learns what a refusal depends on."""
    assert "aws:sourceip" in judged(Answer(resource=WEST, missing_context=("aws:sourceip",), **BY_DENY)).reason
    assert "aws:sourceip" in judged(Answer(missing_context=("aws:sourceip",), **OPEN)).reason


def test_an_implicit_deny_proves_nothing() -> None:
    """IAM may not have settled: it is worth asking again."""
    judgement = judged(Answer(**OPEN))
    assert (judgement.helpfulness, judgement.passing) == (Helpfulness.INCONCLUSIVE, True)
    assert "yet" in judgement.reason


@pytest.mark.parametrize("unanswerable", [True, False])
def test_no_answer_proves_nothing(*, unanswerable: bool) -> None:
    """Asking again is worth it unless the simulator refuses the question."""
    judgement = judge(call(), [], unread, unanswerable=unanswerable)
    assert (judgement.helpfulness, judgement.answered) == (Helpfulness.INCONCLUSIVE, False)
    assert judgement.passing is not unanswerable


def test_nothing_asked_is_nothing_proved() -> None:
    """A grant of nothing does not help."""
    assert judge(call(resources=()), [], unread).helpfulness is Helpfulness.INCONCLUSIVE


@pytest.mark.parametrize("own", [unread, saying(Verdict.DENIED)])
@pytest.mark.parametrize("changes", [BY_SCP, BY_DENY])
def test_what_stops_another_action_takes_it_out_of_the_grant(changes: dict[str, Any], own: OwnEvaluation) -> None:
    """It was not denied, so it decides about nothing else."""
    judgement = judged(Answer(action=STREAM, resource=WEST, **changes), own=own, actions=(INVOKE, STREAM))
    assert (judgement.helpfulness, judgement.actions) == (Helpfulness.HELPS, (INVOKE,))


def test_what_cannot_be_said_of_another_action_changes_nothing() -> None:
    """It stays in the grant, and does not make the grant doubtful."""
    judgement = judged(Answer(action=STREAM, **BY_DENY), own=saying(Verdict.CONDITIONAL), actions=(INVOKE, STREAM))
    assert (judgement.helpfulness, judgement.actions) == (Helpfulness.HELPS, (INVOKE, STREAM))


def test_every_action_decides_where_the_denied_one_is_not_known() -> None:
    """A row without a record of its action is about all that it grants."""
    judgement = judged(Answer(action=STREAM, **OPEN), actions=(INVOKE, STREAM), action=None)
    assert judgement.helpfulness is Helpfulness.INCONCLUSIVE


answers = st.builds(
    Answer,
    st.sampled_from([INVOKE, STREAM]),
    st.sampled_from([PROFILE, EAST, WEST]),
    st.sampled_from(["allowed", "implicitDeny", "explicitDeny"]),
    st.sampled_from([None, True, False]),
    st.sampled_from([None, True, False]),
    st.sampled_from([(), ("aws:sourcevpc",)]),
)


@given(st.lists(answers, max_size=6), st.sampled_from([None, PROFILE, WEST]))
def test_only_the_denied_action_condemns_a_grant(given_answers: list[Answer], unallowed: str | None) -> None:
    """Whatever is said of the other action, the judgement of the denied one is the same."""
    asked = call(actions=(INVOKE, STREAM), unallowed=unallowed)
    alone = [answer for answer in given_answers if answer.action == INVOKE]
    assert judge(asked, given_answers, unread).helpfulness is judge(asked, alone, unread).helpfulness


@given(st.lists(answers, max_size=6))
def test_without_the_word_of_aws_no_scp_condemns_a_grant(given_answers: list[Answer]) -> None:
    """Where the message named no layer with certainty, nothing tells what the simulator's refusal is worth."""
    judgement = judge(call(unallowed=None), given_answers, unread)
    assert judgement.helpfulness is not Helpfulness.CERTAINLY_NOT or judgement.layer is not Layer.SCP
