import pytest

from bedrock_remediator.core.arn import Arn
from bedrock_remediator.core.grant import Cause, DiagnosisKind, Grant, Outcome, State, Verification
from bedrock_remediator.core.layers import Effect, Layer
from bedrock_remediator.notices.advice import destinations, next_steps, permission_set, principal_of
from bedrock_remediator.notices.plan import plan
from bedrock_remediator.notices.remedies import BY_CODE
from tests.builders.grants import ACCOUNT, MODELS, PROFILE
from tests.builders.notices import (
    QUARANTINE,
    SSO_ROLE,
    advice,
    blocked_by_scp,
    conditional,
    granted,
    leaked_key,
    requested,
    wrong_prefix,
)
from tests.builders.notices import permission_set as sso


def said(grant: Grant) -> str:
    """The steps as one text."""
    return " ".join(next_steps(grant))


@pytest.mark.parametrize("state", [state for state in State if state not in (State.APPLYING, State.REVOKING)])
@pytest.mark.parametrize("diagnosis", DiagnosisKind)
def test_every_state_and_diagnosis_has_advice(state: State, diagnosis: DiagnosisKind) -> None:
    """Nobody is left without a next step, whatever the layer and even if the reason code is new."""
    for layer in Layer:
        assert next_steps(requested(state=state, diagnosis=diagnosis, layer=layer, reason_code="brand_new"))


@pytest.mark.parametrize("code", BY_CODE)
def test_every_text_of_a_code_has_its_blanks_filled(code: str) -> None:
    """No text reaches a reader with a blank in it."""
    for state in (State.PENDING, State.REPORTED, State.FAILED, State.LAPSED):
        row = requested(state=state, reason_code=code, decision=Outcome.ASK, model_id=None)
        assert "{" not in said(row)


def test_a_request_tells_how_to_grant_and_how_to_refuse() -> None:
    """A plain request names both answers."""
    assert "To grant or refuse it: open the page" in said(requested())
    assert "To grant it without this service:" in said(requested())


def test_a_special_request_says_first_what_is_special() -> None:
    """Why it asks comes before how to decide."""
    assert next_steps(requested(reason_code="cap_reached"))[0].startswith("The rule's limit")
    assert len(next_steps(requested(reason_code="cap_reached"))) == 4


def test_a_wrong_prefix_shows_both_ways_out() -> None:
    """Either the client changes to what is granted, or what it called is granted too, with where that routes to."""
    either, other = next_steps(wrong_prefix())
    assert "change the client" in either
    assert "global.amazon.nova-2-lite-v1:0" in either
    assert "grant us.amazon.nova-2-lite-v1:0 too" in other
    assert "us-east-1, us-east-2, us-west-2" in other
    assert "the identifier that is granted already" in said(wrong_prefix(candidates=()))


def test_a_wrong_prefix_in_mode_observe_shows_both_ways_out_too() -> None:
    """Observing changes what is done, not what the ways out are."""
    steps = next_steps(wrong_prefix(state=State.REPORTED, reason_code="mode_observe"))
    assert steps[0].startswith("Either change the client")
    assert "Mode is 'observe'" in steps[2]


def test_a_conditional_allow_is_never_widened() -> None:
    """The advice sends people to the condition, and gives no way around it."""
    for row in (conditional(), conditional(state=State.REPORTED), conditional(reason_code="mode_observe")):
        assert "put that condition there on purpose" in said(row)
        assert "snippet" not in said(row)


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("condition_not_met", "send what the condition asks for"),
        ("region_not_allowed", "in certain regions only"),
        ("access_ended", "for a time only"),
        ("deny_may_apply", "no grant wins over a Deny"),
    ],
)
def test_a_condition_is_advised_on_by_what_it_is_on(code: str, says: str) -> None:
    """Whatever word the decision has for the request (a pause, say), the diagnosis's own code chooses the text."""
    paused = conditional(reason_code="paused", cause=Cause(code=code, reason="", ask_only=True))
    for row in (conditional(reason_code=code), conditional(reason_code=code, state=State.REPORTED), paused):
        assert says in said(row)
        assert "no commands to make it are given here" in said(row)
        assert "snippet" not in said(row)


def test_application_profiles_alone_are_not_passed_by() -> None:
    """A model held by application profiles only, or under a condition on them: change the client, and no commands."""
    app = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/q7xk2m9p0abc"
    for row in (wrong_prefix(candidates=(app,)), wrong_prefix(evidence="{}")):
        assert "Change the client" in said(row)
        assert "no commands to make it are given here" in said(row)
        assert "snippet" not in said(row)
        assert plan(row, list, ()).snippets is None
    called = wrong_prefix(candidates=(app,), profile=app.replace("q7xk", "a1b2"))
    assert "snippet" in said(called)


def test_a_profile_that_does_not_exist_has_candidates_or_a_command() -> None:
    """The advice names what exists in the region, or how to list it."""
    found = advice("profile_not_found", DiagnosisKind.WRONG_IDENTIFIER, candidates=("us.amazon.nova-2-lite-v1:0",))
    assert "us.amazon.nova-2-lite-v1:0" in said(found)
    lost = advice("profile_not_found", DiagnosisKind.WRONG_IDENTIFIER)
    assert "aws bedrock list-inference-profiles --region us-east-1" in said(lost)


def test_a_layer_beyond_iam_names_who_can_help() -> None:
    """A service control policy is the organization's, and the advice names the policy."""
    steps = next_steps(blocked_by_scp())
    assert "service_control_policy/p-example" in steps[0]
    assert "administrator of the AWS organization" in steps[1]
    assert len(next_steps(blocked_by_scp(denying_policy=None))) == 2


def test_a_permission_set_is_named() -> None:
    """The fix for a role of Identity Center is in its permission set, by that set's name."""
    assert permission_set(sso()) == "DataScientists"
    assert "Permission sets, DataScientists" in said(sso())
    odd = SSO_ROLE.replace("_0123456789abcdef", "")
    assert permission_set(sso(principal=odd)) == "AWSReservedSSO_DataScientists"
    assert permission_set(requested()) is None


def test_a_caller_without_principal_is_told_to_use_a_role() -> None:
    """Where nothing can be attached, the advice is a role, unless a Deny is what refuses."""
    nobody = advice("something_new", principal=None)
    assert "no IAM role or user" in said(nobody)
    assert "Allow never beats a Deny" in said(advice("x", principal=None, effect=Effect.EXPLICIT))


def test_a_leaked_key_starts_with_distrust() -> None:
    """The first step is to treat the credentials as stolen; nothing is granted and the block is not lifted first."""
    steps = next_steps(leaked_key())
    assert steps[0].startswith("Treat the credentials as stolen")
    assert steps[-1].startswith("Only after that")
    assert "the caller" in said(leaked_key(principal=None, denying_policy=QUARANTINE))


def test_a_grant_says_how_sure_it_is() -> None:
    """Simulated is said to be simulated, and inconclusive to be inconclusive; neither is said to work."""
    assert "simulator says that it is allowed now" in said(granted())
    assert "could not be confirmed" in said(granted(verification=Verification.INCONCLUSIVE))
    assert next_steps(granted(model_id=None))[0] == "Call again."


def test_a_failure_tells_its_cause_or_how_to_go_on() -> None:
    """A known reason has its own text, any other the general one."""
    assert "made again under the same name" in said(requested(state=State.FAILED, reason_code="principal_recreated"))
    assert "Remove the cause" in said(requested(state=State.FAILED, reason_code="write_denied"))


def test_a_grant_that_does_not_help_sends_people_to_what_refuses() -> None:
    """Rolled back, or never written for that reason: the layer that simulation named is the one to look at."""
    assert "Allow never beats a Deny" in said(granted(state=State.ROLLED_BACK))
    failed = said(granted(state=State.FAILED, reason_code="certainly_no_help", layer=Layer.SCP))
    assert "administrator of the AWS organization" in failed
    assert "permissions boundary" in said(granted(state=State.ROLLED_BACK, layer=Layer.BOUNDARY))


def test_the_end_of_a_request_tells_what_comes_next() -> None:
    """Rejected, lapsed and revoked rows each say what to expect."""
    assert "rejected the request" in said(requested(state=State.REJECTED))
    assert "Nobody decided in time" in said(requested(state=State.LAPSED))
    assert "came too late" in said(requested(state=State.LAPSED, reason_code="stale_approval"))
    assert "take it out there too" in said(granted(state=State.REVOKED))


def test_destinations_are_the_regions_of_the_models() -> None:
    """Each region once; a model without region may be anywhere; what is no ARN is not guessed at."""
    everywhere = str(Arn("aws", "bedrock", "", "", "foundation-model/amazon.nova-2-lite-v1:0"))
    assert destinations(requested(resources=(PROFILE, MODELS[0], everywhere))) == "any commercial region, us-east-1"
    assert destinations(requested(resources=("nonsense",))) == "unknown"


def test_what_is_no_principal_is_none() -> None:
    """A row without a principal, or with text that is none, has no principal."""
    assert principal_of(requested(principal=None)) is None
    assert principal_of(requested(principal=f"arn:aws:iam::{ACCOUNT}:root")) is None
