"""The way to AWS: sessions and clients for the profile and the region that the user named, made when first used.

Tests use the same code: within a sandbox (`sandbox.stack.Sandbox`) every client of the process is answered by it.
"""

from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import boto3
from botocore.config import Config
from botocore.exceptions import NoRegionError

from bedrock_remediator.aws.clients import Clients

if TYPE_CHECKING:
    from mypy_boto3_iam import IAMClient
    from mypy_boto3_ssm import SSMClient
    from mypy_boto3_sts.type_defs import GetCallerIdentityResponseTypeDef

CONFIG: Final = Config(
    connect_timeout=5, read_timeout=30, retries={"mode": "standard", "total_max_attempts": 6}, tcp_keepalive=True
)


class Connection:
    """AWS as the user named it.

    Args:
        profile: A profile of the shared configuration; None = what botocore's own chain finds.
        region: The region; None = the profile's, or the environment's.
    """

    def __init__(self, profile: str | None = None, region: str | None = None) -> None:
        self._profile = profile
        self._region = region
        self._made: dict[tuple[str, str], Any] = {}

    @property
    def profile_named(self) -> bool:
        """Whether the user named a profile on the command line."""
        return self._profile is not None

    @cached_property
    def session(self) -> boto3.Session:
        """The session.

        Raises:
            botocore.exceptions.ProfileNotFound: There is no such profile.
        """
        return boto3.Session(profile_name=self._profile, region_name=self._region)

    @property
    def region(self) -> str:
        """The region.

        Raises:
            botocore.exceptions.NoRegionError: Nothing names one.
        """
        region: str | None = self.session.region_name
        if not region:
            raise NoRegionError
        return region

    @cached_property
    def identity(self) -> "GetCallerIdentityResponseTypeDef":
        """Who the credentials belong to: `Account`, `Arn`, `UserId`. The one call that needs no right."""
        return self.session.client(
            "sts", region_name=self.session.region_name or "us-east-1", config=CONFIG
        ).get_caller_identity()

    @property
    def account(self) -> str:
        """The account of the credentials."""
        return self.identity["Account"]

    @property
    def partition(self) -> str:
        """The partition of the credentials (`aws`, `aws-cn`, `aws-us-gov`, …)."""
        return self.identity["Arn"].split(":")[1]

    def client(self, service: str, region: str | None = None) -> Any:
        """A client of any service, in this region or another: one for all who ask."""
        key = service, region or self.region
        if key not in self._made:
            self._made[key] = self.session.client(service, region_name=key[1], config=CONFIG)  # type: ignore[call-overload]  # any service
        return self._made[key]

    @cached_property
    def iam(self) -> "IAMClient":
        """IAM's client; it needs no region of the user's."""
        return self.session.client("iam", region_name=self.session.region_name or "us-east-1", config=CONFIG)

    @cached_property
    def ssm(self) -> "SSMClient":
        """Parameter Store's client."""
        return self.session.client("ssm", region_name=self.region, config=CONFIG)

    @cached_property
    def clients(self) -> Clients:
        """The clients as the layer's adapters (`bedrock_remediator.aws`) take them, in the credentials' account."""
        return Clients(self.account, session=self.session)
