"""Inference profiles as AWS describes them, and what must be granted to call one (docs/aws-facts.md §3)."""

from collections.abc import Iterable
from typing import Final, Literal, Self

from msgspec import Struct

from bedrock_remediator.core.arn import Arn, ArnError, BedrockResource

ProfileType = Literal["SYSTEM_DEFINED", "APPLICATION"]

SCOPES_SEEN: Final = frozenset({"us", "eu", "apac", "jp", "au", "ca", "us-gov", "global"})
"""What ids of system-defined profiles have been seen to begin with (docs/aws-facts.md §3): nothing is decided by it."""


class Profile(Struct, frozen=True, kw_only=True):
    """An inference profile, confirmed by GetInferenceProfile in its account and region.

    `models` are the foundation-model ARNs as AWS returned them, sorted, and those that a call needs beside them
    where AWS leaves them out (docs/aws-facts.md §3): the model in the profile's own region, and for a `global.`
    profile the model without a region. An application profile needs what it lists and nothing else. `name` is what
    whoever made it called it.
    """

    arn: str
    id: str
    type: ProfileType
    models: tuple[str, ...]
    name: str = ""

    @classmethod
    def confirmed(
        cls, arn: str, profile_id: str, profile_type: ProfileType, models: Iterable[str], name: str = ""
    ) -> Self:
        """Build one from the fields of GetInferenceProfile or ListInferenceProfiles.

        Raises:
            ArnError: AWS's answer holds an ARN of a kind that no profile has.
        """
        profile = BedrockResource.parse(arn)
        if not profile.is_profile:
            raise ArnError(arn, "the ARN of an inference profile")
        listed = [BedrockResource.parse(model) for model in models]
        for model in listed:
            if not model.is_model:
                raise ArnError(str(model), "the ARN of a foundation model")
        complete = {str(model) for model in listed}
        if profile_type == "SYSTEM_DEFINED":
            regions = (profile.arn.region, "") if profile_id.startswith("global.") else (profile.arn.region,)
            complete |= {
                str(Arn(model.arn.partition, "bedrock", region, "", model.arn.resource))
                for model in listed
                for region in regions
            }
        return cls(arn=arn, id=profile_id, type=profile_type, models=tuple(sorted(complete)), name=name)

    @property
    def model_ids(self) -> frozenset[str]:
        """The identifiers of the foundation models it routes to (one, as far as is known)."""
        return frozenset(model.rpartition("/")[2] for model in self.models)

    @property
    def scope(self) -> str | None:
        """The prefix that names where it routes to (`us`, `eu`, `global`), if its id is a model id with a prefix."""
        for model_id in self.model_ids:
            if self.id.endswith(f".{model_id}"):
                return self.id[: -len(model_id) - 1]
        return None

    @property
    def breadth(self) -> tuple[bool, bool, int, str]:
        """Sorts by how far it sends data: AWS's own first, a geography before the world, few places before many."""
        return self.type != "SYSTEM_DEFINED", self.scope == "global", len(self.models), self.id

    @property
    def resources(self) -> tuple[str, ...]:
        """Every ARN that a policy must allow for calls to succeed, sorted."""
        return tuple(sorted((self.arn, *self.models)))

    @property
    def client_model_id(self) -> str:
        """What a client passes as `modelId`: the id, or the whole ARN of an application profile."""
        return self.id if self.type == "SYSTEM_DEFINED" else self.arn

    @property
    def label(self) -> str:
        """The same for a sentence: an application profile's id says nothing, so its name stands beside the ARN."""
        named = self.type == "APPLICATION" and self.name not in ("", self.id)
        return f"{self.arn} ({self.name})" if named else self.client_model_id


class FoundationModel(Struct, frozen=True, kw_only=True):
    """A foundation model, confirmed by GetFoundationModel in a region.

    `inference_types` are AWS's words: ON_DEMAND, PROVISIONED, INFERENCE_PROFILE.
    """

    arn: str
    id: str
    inference_types: frozenset[str]

    @property
    def on_demand(self) -> bool:
        """Whether it can be called directly, without an inference profile."""
        return "ON_DEMAND" in self.inference_types
