"""What Amazon Bedrock says of inference profiles and foundation models, in one account and region."""

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from botocore.exceptions import ClientError

from bedrock_remediator.aws.cache import AgedCache
from bedrock_remediator.aws.errors import error_code, passing_trouble
from bedrock_remediator.clock import Clock, SystemClock
from bedrock_remediator.core.arn import ArnError
from bedrock_remediator.core.profile import FoundationModel, Profile, ProfileType

if TYPE_CHECKING:
    from mypy_boto3_bedrock import BedrockClient
    from mypy_boto3_bedrock.type_defs import GetInferenceProfileResponseTypeDef, InferenceProfileSummaryTypeDef

_TYPES: Final[tuple[ProfileType, ...]] = ("SYSTEM_DEFINED", "APPLICATION")
_PAGE: Final = 1000
_ENTRIES: Final = 1000
_LISTS: Final = 64
_AGE: Final = timedelta(minutes=5)
_ABSENT_AGE: Final = timedelta(minutes=1)
_UNKNOWN: Final = frozenset({"ResourceNotFoundException", "ValidationException"})


class ProfileReader:
    """Reads profiles and models, and remembers them for five minutes; what there is not, for one.

    Asked with `fresh=True` it always asks AWS: what is about to be granted must be what AWS says now. Every method
    raises `RetryableError` on throttling, and what `client_for(account, region)` raises.
    """

    def __init__(self, client_for: Callable[[str, str], "BedrockClient"], clock: Clock | None = None) -> None:
        self._client_for = client_for
        clock = clock or SystemClock()
        self._profiles: AgedCache[tuple[str, str, str], Profile] = AgedCache(_ENTRIES, _AGE, clock)
        self._lists: AgedCache[tuple[str, str, ProfileType], tuple[Profile, ...]] = AgedCache(_LISTS, _AGE, clock)
        self._models: AgedCache[tuple[str, str, str], FoundationModel] = AgedCache(_ENTRIES, _AGE, clock)
        self._no_profiles: AgedCache[tuple[str, str, str], bool] = AgedCache(_ENTRIES, _ABSENT_AGE, clock)
        self._no_models: AgedCache[tuple[str, str, str], bool] = AgedCache(_ENTRIES, _ABSENT_AGE, clock)

    def profile(self, account: str, region: str, identifier: str, *, fresh: bool = False) -> Profile | None:
        """The profile with this id or ARN; None where AWS knows none in that account and region.

        Raises:
            ArnError: AWS's answer holds an ARN of a kind that no profile has.
        """
        key = (account, region, identifier)
        known = None if fresh else self._profiles.get(key)
        if known or (not fresh and self._no_profiles.get(key)):
            return known
        with passing_trouble("reading an inference profile"):
            try:
                answer = self._client_for(account, region).get_inference_profile(inferenceProfileIdentifier=identifier)
            except ClientError as error:
                if error_code(error) not in _UNKNOWN:
                    raise
                self._no_profiles.put(key, value=True)
                return None
        profile = _profile(answer)
        self._remember(account, region, identifier, profile)
        return profile

    def profiles(
        self, account: str, region: str, *, only: ProfileType | None = None, fresh: bool = False
    ) -> tuple[Profile, ...]:
        """Every profile of the account in the region: AWS's own, sorted by id, then the account's application ones.

        `only` leaves the others out, and saves the call that lists them. One whose description cannot be read is left
        out too: it is no candidate for anything.
        """
        types = (only,) if only else _TYPES
        return tuple(profile for each in types for profile in self._of_type(account, region, each, fresh=fresh))

    def _of_type(self, account: str, region: str, profile_type: ProfileType, *, fresh: bool) -> tuple[Profile, ...]:
        key = (account, region, profile_type)
        known = None if fresh else self._lists.get(key)
        if known is not None:
            return known
        listed = tuple(sorted(self._list(account, region, profile_type), key=lambda profile: profile.id))
        for profile in listed:
            self._remember(account, region, profile.id, profile)
        self._lists.put(key, listed)
        return listed

    def model(self, account: str, region: str, model_id: str, *, fresh: bool = False) -> FoundationModel | None:
        """The foundation model with this id; None where AWS knows none in that region."""
        key = (account, region, model_id)
        known = None if fresh else self._models.get(key)
        if known or (not fresh and self._no_models.get(key)):
            return known
        with passing_trouble("reading a foundation model"):
            try:
                answer = self._client_for(account, region).get_foundation_model(modelIdentifier=model_id)
            except ClientError as error:
                if error_code(error) not in _UNKNOWN:
                    raise
                self._no_models.put(key, value=True)
                return None
        details = answer["modelDetails"]
        model = FoundationModel(
            arn=details["modelArn"],
            id=details["modelId"],
            inference_types=frozenset(details.get("inferenceTypesSupported", ())),
        )
        self._models.put(key, model)
        return model

    def _remember(self, account: str, region: str, asked: str, profile: Profile) -> None:
        for identifier in {asked, profile.id, profile.arn}:
            self._profiles.put((account, region, identifier), profile)

    def _list(self, account: str, region: str, profile_type: ProfileType) -> list[Profile]:
        client = self._client_for(account, region)
        profiles: list[Profile] = []
        token: dict[str, str] = {}
        while True:
            with passing_trouble("listing inference profiles"):
                answer = client.list_inference_profiles(typeEquals=profile_type, maxResults=_PAGE, **token)
            for summary in answer.get("inferenceProfileSummaries", []):
                try:
                    profiles.append(_profile(summary))
                except ArnError:
                    continue
            if not answer.get("nextToken"):
                return profiles
            token = {"nextToken": answer["nextToken"]}


def _profile(answer: "GetInferenceProfileResponseTypeDef | InferenceProfileSummaryTypeDef") -> Profile:
    return Profile.confirmed(
        arn=answer["inferenceProfileArn"],
        profile_id=answer["inferenceProfileId"],
        profile_type=answer["type"],
        models=[model["modelArn"] for model in answer["models"] if "modelArn" in model],
        name=answer.get("inferenceProfileName", ""),
    )
