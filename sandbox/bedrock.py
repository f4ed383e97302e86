"""Bedrock's inference profiles and foundation models, as the world has them in an account's regions."""

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from sandbox.calls import ApiError, Call
from sandbox.regions import partition_of
from sandbox.world import Account, FoundationModel, InferenceProfile

PAGE_LENGTH: Final = 100
_LARGEST_PAGE: Final = 1000
_CREATED: Final = datetime(2026, 1, 1, tzinfo=UTC)
_PROFILE_ARN = re.compile(r"arn:[a-z-]+:bedrock:([a-z0-9-]*):(\d{12}):((?:application-)?inference-profile)/([^/]+)")
_MODEL_ARN = re.compile(r"arn:[a-z-]+:bedrock:([a-z0-9-]*)::foundation-model/([^/]+)")


class Bedrock:
    """An account's answers for the calls that the service makes; anything else AWS has, nobody asks here."""

    def __init__(self, account: str, content: Account) -> None:
        self._account = account
        self._content = content
        self.answers: Mapping[str, Callable[[Call], Mapping[str, Any]]] = {
            "GetInferenceProfile": self._get_profile,
            "ListInferenceProfiles": self._list_profiles,
            "GetFoundationModel": self._get_model,
            "ListFoundationModels": self._list_models,
            "GetFoundationModelAvailability": self._availability,
        }

    def profile_arn(self, identifier: str, region: str) -> str:
        """The ARN that an identifier stands for in a region, whether or not there is such a profile."""
        if identifier.startswith("arn:"):
            return identifier
        found = next((profile for profile in self._profiles(region) if profile.id == identifier), None)
        profile = found or InferenceProfile(id=identifier, type="SYSTEM_DEFINED", models=())
        return profile.arn(self._account, region)

    def _profiles(self, region: str) -> tuple[InferenceProfile, ...]:
        return self._content.inference_profiles.get(region, ())

    def _get_profile(self, call: Call) -> Mapping[str, Any]:
        identifier = call.parameters["inferenceProfileIdentifier"]
        if identifier.startswith("arn:"):
            found = _PROFILE_ARN.fullmatch(identifier)
            if not found or (found[1], found[2]) != (call.region, self._account):
                raise ApiError("ValidationException", "The provided inference profile identifier is invalid.")
        for profile in self._profiles(call.region):
            if identifier in (profile.id, profile.arn(self._account, call.region)):
                return self._described(profile, call.region)
        raise ApiError("ResourceNotFoundException", f"Inference profile {identifier} was not found.", 404)

    def _list_profiles(self, call: Call) -> Mapping[str, Any]:
        # Without a filter AWS lists the system-defined ones.
        wanted = call.parameters.get("typeEquals", "SYSTEM_DEFINED")
        profiles = [profile for profile in self._profiles(call.region) if profile.type == wanted]
        start = int(call.parameters.get("nextToken", "0"))
        end = start + min(call.parameters.get("maxResults", PAGE_LENGTH), _LARGEST_PAGE)
        page = {"inferenceProfileSummaries": [self._described(one, call.region) for one in profiles[start:end]]}
        return page | ({"nextToken": str(end)} if end < len(profiles) else {})

    def _described(self, profile: InferenceProfile, region: str) -> dict[str, Any]:
        return {
            "inferenceProfileName": profile.name or profile.id,
            "inferenceProfileArn": profile.arn(self._account, region),
            "inferenceProfileId": profile.id,
            "models": [{"modelArn": arn} for arn in profile.models],
            "status": "ACTIVE",
            "type": profile.type,
            "createdAt": _CREATED,
            "updatedAt": _CREATED,
        }

    def _get_model(self, call: Call) -> Mapping[str, Any]:
        identifier = call.parameters["modelIdentifier"]
        found = _MODEL_ARN.fullmatch(identifier)
        if found and found[1] != call.region:
            raise ApiError("ValidationException", "The provided model identifier is invalid.")
        for model in self._models(call.region):
            if model.id == (found[2] if found else identifier):
                return {"modelDetails": _model_details(model, call.region)}
        raise ApiError(
            "ResourceNotFoundException", f"Could not resolve the foundation model from the identifier {identifier}", 404
        )

    def _list_models(self, call: Call) -> Mapping[str, Any]:
        wanted = call.parameters.get("byInferenceType")
        models = [each for each in self._models(call.region) if wanted is None or wanted in each.inference_types]
        return {"modelSummaries": [_model_details(model, call.region) for model in models]}

    def _availability(self, call: Call) -> Mapping[str, Any]:
        """Of a model that there is in the region, everything; AWS's own answer for another is not documented."""
        model_id = call.parameters["modelId"]
        if not any(model.id == model_id for model in self._models(call.region)):
            raise ApiError("ResourceNotFoundException", f"There is no model {model_id}.", 404)
        return {
            "modelId": model_id,
            "agreementAvailability": {"status": "AVAILABLE"},
            "authorizationStatus": "AUTHORIZED",
            "entitlementAvailability": "AVAILABLE",
            "regionAvailability": "AVAILABLE",
        }

    def _models(self, region: str) -> Iterator[FoundationModel]:
        yield from self._content.foundation_models.get(region, ())


def _model_details(model: FoundationModel, region: str) -> dict[str, Any]:
    return {
        "modelArn": f"arn:{partition_of(region)}:bedrock:{region}::foundation-model/{model.id}",
        "modelId": model.id,
        "modelName": model.id.partition(".")[2] or model.id,
        "providerName": model.id.partition(".")[0].title(),
        "inputModalities": ["TEXT"],
        "outputModalities": ["TEXT"],
        "responseStreamingSupported": True,
        "customizationsSupported": [],
        "inferenceTypesSupported": list(model.inference_types),
        "modelLifecycle": {"status": "ACTIVE"},
    }
