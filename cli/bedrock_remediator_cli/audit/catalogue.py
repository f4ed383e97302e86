"""What can be invoked in a region: its inference profiles, and which of its models need none."""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Final

from botocore.exceptions import ClientError
from msgspec import Struct

from bedrock_remediator.aws.bedrock import ProfileReader
from bedrock_remediator.core.profile import Profile

if TYPE_CHECKING:
    from mypy_boto3_bedrock import BedrockClient

_REFUSED: Final = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"})


class Catalogue(Struct, frozen=True, kw_only=True):
    """One region, as AWS describes it to this account.

    `on_demand` are the ids of the models that can be called without a profile; None where they may not be listed.
    """

    region: str
    profiles: tuple[Profile, ...]
    on_demand: frozenset[str] | None

    def serving(self, model_id: str) -> Iterator[Profile]:
        """The profiles that route to a model."""
        return (profile for profile in self.profiles if model_id in profile.model_ids)


def read_catalogues(
    client_for: Callable[[str, str], "BedrockClient"], account: str, regions: Sequence[str]
) -> Iterator[Catalogue]:
    """The catalogue of each region, as it has been read.

    Raises:
        botocore.exceptions.ClientError: The profiles cannot be listed.
        RetryableError: AWS does not answer at the moment.
    """
    profiles = ProfileReader(client_for)
    for region in regions:
        yield Catalogue(
            region=region,
            profiles=profiles.profiles(account, region),
            on_demand=_on_demand(client_for(account, region)),
        )


def _on_demand(client: "BedrockClient") -> frozenset[str] | None:
    try:
        summaries = client.list_foundation_models(byInferenceType="ON_DEMAND")["modelSummaries"]
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") in _REFUSED:
            return None
        raise
    return frozenset(summary["modelId"] for summary in summaries)
