"""The boto3 clients, each made when it is first used: making one costs more than anything else in a cold start."""

from functools import cached_property
from typing import TYPE_CHECKING, Final

import boto3
from botocore.config import Config

if TYPE_CHECKING:
    from mypy_boto3_bedrock import BedrockClient
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_iam import IAMClient
    from mypy_boto3_kms import KMSClient
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_ssm import SSMClient

_APP: Final = "bedrock-access-remediator"
_REGIONS_KEPT: Final = 16

_CONFIG: Final = Config(  # type: ignore[call-arg]  # the stubs do not know user_agent_appid
    connect_timeout=2,
    read_timeout=10,
    retries={"mode": "standard", "total_max_attempts": 4},
    tcp_keepalive=True,
    user_agent_appid=_APP,
)
# IAM serves the whole account at a few requests a second, and throttles simulation readily (docs/aws-facts.md §4.5).
_IAM_CONFIG: Final = _CONFIG.merge(Config(retries={"mode": "standard", "total_max_attempts": 6}))


class NotEnrolledError(Exception):
    """The service has no way into that account."""

    def __init__(self, account: str) -> None:
        super().__init__(f"account {account} is not enrolled")
        self.account = account


class Clients:
    """The clients of one function's environment.

    `home_account` is the account the function runs in, the only one enrolled (the handler takes it from the ARN in
    its context). `iam` and `bedrock` are asked for by account, and Bedrock by region: a denial names both.
    """

    def __init__(self, home_account: str) -> None:
        self.home_account = home_account
        self._bedrock: dict[tuple[str, str], BedrockClient] = {}

    @cached_property
    def dynamodb(self) -> "DynamoDBClient":
        """The ledger's."""
        return self._session.client("dynamodb", config=_CONFIG)

    @cached_property
    def sns(self) -> "SNSClient":
        """The topics'."""
        return self._session.client("sns", config=_CONFIG)

    @cached_property
    def sqs(self) -> "SQSClient":
        """The queues'."""
        return self._session.client("sqs", config=_CONFIG)

    @cached_property
    def ssm(self) -> "SSMClient":
        """Parameter Store's."""
        return self._session.client("ssm", config=_CONFIG)

    @cached_property
    def kms(self) -> "KMSClient":
        """The key's that signs approvals."""
        return self._session.client("kms", config=_CONFIG)

    @cached_property
    def secretsmanager(self) -> "SecretsManagerClient":
        """Secrets Manager's."""
        return self._session.client("secretsmanager", config=_CONFIG)

    def iam(self, account: str) -> "IAMClient":
        """IAM of an account.

        Raises:
            NotEnrolledError: The account is another one than the home account.
        """
        self._require_enrolled(account)
        return self._iam

    def bedrock(self, account: str, region: str) -> "BedrockClient":
        """Bedrock's control plane of an account, in a region.

        Raises:
            NotEnrolledError: The account is another one than the home account.
        """
        self._require_enrolled(account)
        key = (account, region)
        if key not in self._bedrock:
            if len(self._bedrock) >= _REGIONS_KEPT:
                del self._bedrock[next(iter(self._bedrock))]
            self._bedrock[key] = self._session.client("bedrock", region_name=region, config=_CONFIG)
        return self._bedrock[key]

    @cached_property
    def _iam(self) -> "IAMClient":
        return self._session.client("iam", config=_IAM_CONFIG)

    @cached_property
    def _session(self) -> boto3.session.Session:
        return boto3.session.Session()

    def _require_enrolled(self, account: str) -> None:
        if account != self.home_account:
            raise NotEnrolledError(account)
