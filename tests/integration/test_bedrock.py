"""Reading inference profiles and models from Bedrock's answers."""

from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber

from bedrock_remediator.aws.bedrock import ProfileReader
from bedrock_remediator.aws.errors import RetryableError
from tests.builders.clocks import StoppedClock
from tests.builders.grants import ACCOUNT, MODELS, NOON, PROFILE

if TYPE_CHECKING:
    from mypy_boto3_bedrock import BedrockClient

REGION = "us-east-1"
ID = "us.amazon.nova-2-lite-v1:0"
MODEL_ID = "amazon.nova-2-lite-v1:0"
APPLICATION = f"arn:aws:bedrock:{REGION}:{ACCOUNT}:application-inference-profile/q7xk2m9p0abc"


def described(arn: str = PROFILE, identifier: str = ID, kind: str = "SYSTEM_DEFINED", **changes: Any) -> dict[str, Any]:
    """A profile as Bedrock describes it."""
    return {
        "inferenceProfileName": identifier,
        "inferenceProfileArn": arn,
        "inferenceProfileId": identifier,
        "models": [{"modelArn": model} for model in MODELS],
        "status": "ACTIVE",
        "type": kind,
        "createdAt": NOON,
        **changes,
    }


@pytest.fixture
def client(aws: None) -> "BedrockClient":
    """A client that answers only what it is told to."""
    return boto3.client("bedrock")


@pytest.fixture
def stubber(client: "BedrockClient") -> Iterator[Stubber]:
    """What tells it."""
    with Stubber(client) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


@pytest.fixture
def reader(client: "BedrockClient", clock: StoppedClock) -> ProfileReader:
    """A reader of one account and region."""
    return ProfileReader(lambda account, region: {(ACCOUNT, REGION): client}[account, region], clock)


def test_a_profile_is_what_aws_says_it_is(reader: ProfileReader, stubber: Stubber) -> None:
    """The ARN, the id, the type and every model come from GetInferenceProfile."""
    stubber.add_response("get_inference_profile", described(), {"inferenceProfileIdentifier": ID})
    profile = reader.profile(ACCOUNT, REGION, ID)
    assert profile
    assert (profile.arn, profile.id, profile.type, profile.models) == (PROFILE, ID, "SYSTEM_DEFINED", MODELS)


def test_a_profile_is_remembered_under_its_id_and_its_arn(reader: ProfileReader, stubber: Stubber) -> None:
    """Whichever way it is asked for, the second question costs no call."""
    stubber.add_response("get_inference_profile", described())
    assert reader.profile(ACCOUNT, REGION, ID) is reader.profile(ACCOUNT, REGION, PROFILE)


def test_a_profile_is_forgotten_after_five_minutes(
    reader: ProfileReader, stubber: Stubber, clock: StoppedClock
) -> None:
    """AWS adds destination regions to profiles."""
    for models in (MODELS, MODELS[:1]):
        stubber.add_response("get_inference_profile", described(models=[{"modelArn": model} for model in models]))
    reader.profile(ACCOUNT, REGION, ID)
    clock.time += timedelta(minutes=5)
    profile = reader.profile(ACCOUNT, REGION, ID)
    assert profile
    assert profile.models == MODELS[:1]


def test_a_fresh_profile_is_always_asked_for(reader: ProfileReader, stubber: Stubber) -> None:
    """What is about to be granted is what AWS says now, and everybody else learns of it."""
    for models in (MODELS, MODELS[:1]):
        stubber.add_response("get_inference_profile", described(models=[{"modelArn": model} for model in models]))
    reader.profile(ACCOUNT, REGION, ID)
    fresh = reader.profile(ACCOUNT, REGION, ID, fresh=True)
    assert fresh
    assert fresh.models == MODELS[:1]
    assert reader.profile(ACCOUNT, REGION, PROFILE) is fresh


@pytest.mark.parametrize("code", ["ResourceNotFoundException", "ValidationException"])
def test_what_aws_does_not_know_is_none(
    reader: ProfileReader, stubber: Stubber, clock: StoppedClock, code: str
) -> None:
    """An unknown id is an answer, which holds for a minute: then it may have been made since."""
    for operation in ("get_inference_profile", "get_foundation_model"):
        stubber.add_client_error(operation, code, http_status_code=400)
    assert reader.profile(ACCOUNT, REGION, "us.amazon.nova-9") is None
    assert reader.model(ACCOUNT, REGION, "amazon.nova-9") is None
    clock.time += timedelta(seconds=59)
    assert reader.profile(ACCOUNT, REGION, "us.amazon.nova-9") is None
    assert reader.model(ACCOUNT, REGION, "amazon.nova-9") is None
    clock.time += timedelta(seconds=1)
    stubber.add_response("get_inference_profile", described())
    assert reader.profile(ACCOUNT, REGION, "us.amazon.nova-9")


def test_what_is_about_to_be_granted_is_asked_for_though_it_was_unknown(
    reader: ProfileReader, stubber: Stubber
) -> None:
    """And whoever asks then hears of it, too."""
    stubber.add_client_error("get_inference_profile", "ResourceNotFoundException", http_status_code=400)
    stubber.add_response("get_inference_profile", described())
    assert reader.profile(ACCOUNT, REGION, ID) is None
    fresh = reader.profile(ACCOUNT, REGION, ID, fresh=True)
    assert fresh
    assert reader.profile(ACCOUNT, REGION, ID) is fresh


def test_what_is_unknown_takes_bounded_room(reader: ProfileReader, stubber: Stubber) -> None:
    """However many ids are invented, the latest thousand are remembered."""
    for _ in range(1_002):
        stubber.add_client_error("get_inference_profile", "ResourceNotFoundException", http_status_code=400)
    for number in range(1_001):
        assert reader.profile(ACCOUNT, REGION, f"us.acme.{number}") is None
    assert reader.profile(ACCOUNT, REGION, "us.acme.1000") is None
    assert reader.profile(ACCOUNT, REGION, "us.acme.0") is None


def test_a_refusal_is_no_unknown_profile(reader: ProfileReader, stubber: Stubber) -> None:
    """A service without the right to look must not tell people that their profile does not exist."""
    for operation in ("get_inference_profile", "get_foundation_model"):
        stubber.add_client_error(operation, "AccessDeniedException", http_status_code=403)
    with pytest.raises(ClientError):
        reader.profile(ACCOUNT, REGION, ID)
    with pytest.raises(ClientError):
        reader.model(ACCOUNT, REGION, MODEL_ID)


def test_throttling_is_left_to_the_queue(reader: ProfileReader, stubber: Stubber) -> None:
    """Throttling passes."""
    for operation in ("get_inference_profile", "get_foundation_model", "list_inference_profiles"):
        stubber.add_client_error(operation, "ThrottlingException", http_status_code=429)
    with pytest.raises(RetryableError):
        reader.profile(ACCOUNT, REGION, ID)
    with pytest.raises(RetryableError):
        reader.model(ACCOUNT, REGION, MODEL_ID)
    with pytest.raises(RetryableError):
        reader.profiles(ACCOUNT, REGION)


OWN_KIND = {"typeEquals": "SYSTEM_DEFINED", "maxResults": 1000}


def list_both(stubber: Stubber) -> None:
    """Let Bedrock list two pages of its own profiles, one of them unreadable, and one of the account's."""
    other = described(f"{PROFILE[:-1]}1", f"{ID[:-1]}1")
    odd = described(models=[{"modelArn": f"arn:aws:bedrock:{REGION}:{ACCOUNT}:custom-model/x"}])
    own = described(APPLICATION, "q7xk2m9p0abc", "APPLICATION")
    for page, asked in (
        ({"inferenceProfileSummaries": [other, odd], "nextToken": "more"}, {"typeEquals": "SYSTEM_DEFINED"}),
        ({"inferenceProfileSummaries": [described()]}, {"typeEquals": "SYSTEM_DEFINED", "nextToken": "more"}),
        ({"inferenceProfileSummaries": [own]}, {"typeEquals": "APPLICATION"}),
    ):
        stubber.add_response("list_inference_profiles", page, {"maxResults": 1000, **asked})


def test_profiles_of_both_types_are_listed(reader: ProfileReader, stubber: Stubber) -> None:
    """Every page of both types, sorted; a profile that cannot be read is no candidate and holds up nobody."""
    list_both(stubber)
    listed = reader.profiles(ACCOUNT, REGION)
    assert [profile.id for profile in listed] == [ID, f"{ID[:-1]}1", "q7xk2m9p0abc"]


def test_a_list_is_remembered_with_its_profiles(reader: ProfileReader, stubber: Stubber) -> None:
    """A list tells all that GetInferenceProfile would, so nothing in it is asked for again."""
    list_both(stubber)
    listed = reader.profiles(ACCOUNT, REGION)
    assert reader.profiles(ACCOUNT, REGION) == listed
    assert reader.profile(ACCOUNT, REGION, APPLICATION) == listed[-1]


def test_a_model_tells_how_it_can_be_called(reader: ProfileReader, stubber: Stubber) -> None:
    """The inference types are AWS's words, and the second question costs no call."""
    details = {"modelArn": MODELS[0], "modelId": MODEL_ID, "inferenceTypesSupported": ["ON_DEMAND", "PROVISIONED"]}
    stubber.add_response("get_foundation_model", {"modelDetails": details}, {"modelIdentifier": MODEL_ID})
    for _ in range(2):
        model = reader.model(ACCOUNT, REGION, MODEL_ID)
        assert model
        assert (model.arn, model.id, model.on_demand) == (MODELS[0], MODEL_ID, True)


def test_a_model_without_types_cannot_be_called_directly(reader: ProfileReader, stubber: Stubber) -> None:
    """AWS may leave the types out; then nothing is assumed."""
    stubber.add_response("get_foundation_model", {"modelDetails": {"modelArn": MODELS[0], "modelId": MODEL_ID}})
    model = reader.model(ACCOUNT, REGION, MODEL_ID, fresh=True)
    assert model
    assert not model.on_demand
