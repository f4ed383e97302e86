"""Inference profiles and the set of ARNs that a call through one needs."""

import pytest

from bedrock_remediator.core.arn import ArnError
from bedrock_remediator.core.profile import FoundationModel, Profile

HERE = "arn:aws:bedrock:us-east-1:111122223333:inference-profile/"


def model(region: str) -> str:
    """A model's ARN."""
    return f"arn:aws:bedrock:{region}::foundation-model/amazon.nova-2-lite-v1:0"


def test_a_geographic_profile_needs_the_model_wherever_it_routes_and_at_home() -> None:
    """What AWS lists is kept as it is; the source region's own model is added where AWS leaves it out."""
    profile_id = "us.amazon.nova-2-lite-v1:0"
    listed = Profile.confirmed(
        HERE + profile_id, profile_id, "SYSTEM_DEFINED", [model("us-west-2"), model("us-east-1")]
    )
    assert listed.models == (model("us-east-1"), model("us-west-2"))
    omitted = Profile.confirmed(HERE + profile_id, profile_id, "SYSTEM_DEFINED", [model("us-west-2")])
    assert omitted.models == listed.models
    assert omitted.resources == (*sorted([*listed.models, HERE + profile_id]),)
    assert (listed.scope, listed.client_model_id) == ("us", profile_id)


def test_a_global_profile_needs_the_model_without_a_region() -> None:
    """The region-less model is added once, whether AWS lists it or not."""
    profile_id = "global.amazon.nova-2-lite-v1:0"
    for listed in ([model("us-east-1")], [model("us-east-1"), model("")]):
        profile = Profile.confirmed(HERE + profile_id, profile_id, "SYSTEM_DEFINED", listed)
        assert profile.models == (model(""), model("us-east-1"))
        assert profile.scope == "global"


def test_an_application_profile_needs_what_it_lists() -> None:
    """Nothing is added to an application profile, it has no scope, and clients name it by ARN."""
    arn = "arn:aws:bedrock:us-east-1:111122223333:application-inference-profile/q7xk2m9p0abc"
    profile = Profile.confirmed(arn, "q7xk2m9p0abc", "APPLICATION", [model("us-west-2")])
    assert (profile.models, profile.scope, profile.client_model_id) == ((model("us-west-2"),), None, arn)


def test_breadth_goes_by_how_many_places_and_not_by_their_names() -> None:
    """AWS's own before the account's, a geography before the world, and fewer places before more."""

    def profile(scope: str, *regions: str) -> Profile:
        profile_id = f"{scope}.amazon.nova-2-lite-v1:0"
        return Profile.confirmed(HERE + profile_id, profile_id, "SYSTEM_DEFINED", map(model, regions))

    arn = "arn:aws:bedrock:us-east-1:111122223333:application-inference-profile/q7xk2m9p0abc"
    own = Profile.confirmed(arn, "q7xk2m9p0abc", "APPLICATION", [model("us-east-1")])
    few, more, everywhere = (
        profile("z", "us-west-2"),
        profile("a", "ap-south-1", "us-west-2"),
        profile("global", "us-east-1"),
    )
    assert sorted([own, everywhere, more, few], key=lambda each: each.breadth) == [few, more, everywhere, own]


@pytest.mark.parametrize(
    ("arn", "models"),
    [
        (model("us-east-1"), [model("us-east-1")]),
        (HERE + "us.x", [HERE + "us.x"]),
        (HERE + "us.x", ["arn:aws:bedrock:*::foundation-model/x"]),
        ("nonsense", []),
    ],
)
def test_an_answer_that_holds_no_profile_is_refused(arn: str, models: list[str]) -> None:
    """A profile is made of a profile's ARN and models' ARNs only."""
    with pytest.raises(ArnError):
        Profile.confirmed(arn, "us.x", "SYSTEM_DEFINED", models)


def test_a_model_is_on_demand_if_aws_says_so() -> None:
    """Only ON_DEMAND among the inference types means that a model can be called directly."""
    for types, expected in ((["ON_DEMAND", "INFERENCE_PROFILE"], True), (["INFERENCE_PROFILE"], False), ([], False)):
        found = FoundationModel(arn=model("us-east-1"), id="amazon.nova-2-lite-v1:0", inference_types=frozenset(types))
        assert found.on_demand is expected
