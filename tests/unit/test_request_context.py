"""The condition keys of a call that are known (docs/aws-facts.md §4.5)."""

from typing import Any

import pytest

from bedrock_remediator.core.arn import ArnError, Principal
from bedrock_remediator.core.request_context import RequestContext, key_type, keys_of_resource, requested_region
from tests.builders.grants import MODELS, NOON, PROFILE, ROLE

USER = "arn:aws:iam::123456789012:user/nova-developer"


def context(arn: str = ROLE, **changes: Any) -> RequestContext:
    """What is known of a principal's calls at noon."""
    return RequestContext(principal=Principal.parse(arn), now=NOON, **changes)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("aws:CurrentTime", "date"),
        ("aws:EpochTime", "numeric"),
        ("aws:SourceIp", "ip"),
        ("aws:SecureTransport", "boolean"),
        ("aws:PrincipalTag/aws:CurrentTime", "string"),
        ("bedrock:InferenceProfileArn", "string"),
    ],
)
def test_a_key_has_its_type(name: str, kind: str) -> None:
    """A time that is given as text is no time to the simulator."""
    assert key_type(name) == kind


def test_a_model_without_a_region_is_requested_in_an_unspecified_one() -> None:
    """For the region-less model of a global profile, AWS sets aws:RequestedRegion to `unspecified` (§3.4)."""
    assert requested_region(MODELS[0]) == "us-east-1"
    assert requested_region(MODELS[0].replace("us-east-1", "")) == "unspecified"
    with pytest.raises(ArnError):
        requested_region("*")


def test_the_profile_itself_is_called_through_none() -> None:
    """Only the models have the profile in their context."""
    assert keys_of_resource(PROFILE, MODELS[1])["bedrock:inferenceprofilearn"] == (PROFILE,)
    assert keys_of_resource(PROFILE, PROFILE)["bedrock:inferenceprofilearn"] == ()
    assert keys_of_resource(None, MODELS[1]) == {
        "bedrock:inferenceprofilearn": (),
        "aws:requestedregion": ("us-east-2",),
    }


def test_a_user_has_a_name_and_an_id() -> None:
    """A role has no aws:username, and its aws:userid is that of a session."""
    user = context(USER, principal_id="AIDAEXAMPLE").keys
    assert (user["aws:username"], user["aws:userid"]) == (("nova-developer",), ("AIDAEXAMPLE",))
    assert "aws:userid" not in context(USER).keys
    role = context(principal_id="AROAEXAMPLE", session="i-1")
    assert role.keys["aws:username"] == ()
    assert "aws:userid" not in role.keys
    assert role.entries(None, "us-east-1")["aws:userid"] == "AROAEXAMPLE:i-1"


def test_both_evaluations_know_the_same() -> None:
    """What is certain for our own evaluation is told the simulator in the same words."""
    for arn in (ROLE, USER):
        given = {name.lower(): value for name, value in context(arn).entries(PROFILE, "us-east-1").items()}
        assert {key: values[0] for key, values in context(arn).keys.items() if values}.items() <= given.items()


@pytest.mark.parametrize("address", ["10.20.30.40", "fd00::1", "bedrock.amazonaws.com", "AWS Internal", ""])
def test_an_address_within_a_network_is_not_told(address: str) -> None:
    """AWS has no aws:SourceIp for it that anybody here would know."""
    assert "aws:SourceIp" not in context(source_ip=address).entries(None, "us-east-1")


def test_an_address_of_the_internet_is_told() -> None:
    """Unless the call came through a VPC endpoint, where the key does not exist."""
    assert context(source_ip="8.8.8.8").entries(None, "us-east-1")["aws:SourceIp"] == "8.8.8.8"
    through = context(source_ip="8.8.8.8", vpc_endpoint="vpce-1")
    assert "aws:SourceIp" not in through.entries(None, "us-east-1")
    assert "aws:sourceip" not in context(source_ip="8.8.8.8").keys


def test_tags_are_told_the_simulator_alone() -> None:
    """A session may have others than its role, so our own evaluation does not count on them."""
    tagged = context(tags={"team": "ml"})
    assert tagged.entries(None, "us-east-1")["aws:PrincipalTag/team"] == "ml"
    assert not any("tag" in key for key in tagged.keys)
