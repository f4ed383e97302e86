"""The clients, each made when it is first used: making one costs more than anything else in a cold start."""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from botocore.config import Config

from bedrock_remediator.aws.errors import (
    STALE_CREDENTIALS,
    THROTTLED,
    NotEnrolledError,
    RetryableError,
    RoleMissingError,
)
from bedrock_remediator.aws.member_credentials import Credentials, MemberCredentials
from bedrock_remediator.aws.sessions import new_session
from bedrock_remediator.clock import Clock, SystemClock
from bedrock_remediator.core.enrolment import READ_ROLE, Enrolment, member_role_arn

if TYPE_CHECKING:
    import boto3
    from botocore.model import OperationModel
    from botocore.session import Session
    from mypy_boto3_bedrock import BedrockClient
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_iam import IAMClient
    from mypy_boto3_kms import KMSClient
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_ssm import SSMClient
    from mypy_boto3_sts import STSClient

    from bedrock_remediator.aws.account_names import Organizations

_APP: Final = "bedrock-access-remediator"
_KEPT: Final = 64
"""How many clients are kept whose account and region come from events. Each takes some hundred kilobytes."""

_CONFIG: Final = Config(  # type: ignore[call-arg]  # the stubs do not know user_agent_appid
    connect_timeout=2,
    read_timeout=10,
    retries={"mode": "standard", "total_max_attempts": 4},
    tcp_keepalive=True,
    user_agent_appid=_APP,
)
# IAM serves the whole account at a few requests a second, and throttles simulation readily (docs/aws-facts.md §4.5).
_IAM_CONFIG: Final = _CONFIG.merge(Config(retries={"mode": "standard", "total_max_attempts": 6}))
_SIMULATION: Final = "SimulatePrincipalPolicy"

_BRIEF_CONFIG: Final = _CONFIG.merge(Config(retries={"mode": "standard", "total_max_attempts": 2}))


# A publication whose answer is lost may have gone out: to send it again is for whoever can say so in it.
_SNS_CONFIG: Final = _CONFIG.merge(Config(retries={"total_max_attempts": 1}))

_QUICK_CONFIG: Final = _CONFIG.merge(
    Config(read_timeout=3, connect_timeout=1, retries={"mode": "standard", "total_max_attempts": 3})
)
"""For a person who waits: a call that gets no answer fails well before API Gateway and the function give up."""


class Clients:
    """The clients of one function's environment.

    Those for the service's own resources are the home account's. `iam` and `bedrock` are asked for by account, and
    Bedrock by region, since a denial names both: in another account than the home account they are a role's there.

    Args:
        home_account: The account that the function runs in (the handler takes it from the ARN in its context).
        enrolled: The other accounts that it may work in; see `Enrolment`.
        role: The name of the role that it assumes there.
        clock: Tells when the role is to be assumed anew.
        session: A person's own, to make the clients with; without one they are a function's (`aws/sessions.py`).
        quick: Whether clients for the service's own resources give up sooner, since somebody waits.
    """

    def __init__(  # noqa: PLR0913 - how each function reaches AWS, by name
        self,
        home_account: str,
        *,
        enrolled: Sequence[str] = (),
        role: str = READ_ROLE,
        clock: Clock | None = None,
        session: "boto3.session.Session | None" = None,
        quick: bool = False,
    ) -> None:
        self._given = session
        self._config = _QUICK_CONFIG if quick else _CONFIG
        self._enrolment = Enrolment(home_account, tuple(enrolled))
        self._role = role
        self._members = MemberCredentials(lambda: self._sts, self._role_arn, clock or SystemClock())
        self._kept: dict[tuple[str, str, str | None], tuple[Credentials | None, Any]] = {}

    @cached_property
    def dynamodb(self) -> "DynamoDBClient":
        """The ledger's."""
        client: DynamoDBClient = self._made("dynamodb", self._config)
        return client

    @cached_property
    def sns(self) -> "SNSClient":
        """The topics'. It tries once: `Publisher` knows what may be tried again."""
        client: SNSClient = self._made("sns", _SNS_CONFIG)
        return client

    @cached_property
    def sqs(self) -> "SQSClient":
        """The queues'."""
        client: SQSClient = self._made("sqs", self._config)
        return client

    @cached_property
    def ssm(self) -> "SSMClient":
        """Parameter Store's."""
        client: SSMClient = self._made("ssm", self._config)
        return client

    @cached_property
    def kms(self) -> "KMSClient":
        """The key's that signs approvals."""
        client: KMSClient = self._made("kms", self._config)
        return client

    @cached_property
    def organizations(self) -> "Organizations":
        """Organizations', for names that nobody waits long for."""
        client: Organizations = self._made("organizations", _BRIEF_CONFIG)
        return client

    @cached_property
    def secretsmanager(self) -> "SecretsManagerClient":
        """Secrets Manager's."""
        client: SecretsManagerClient = self._made("secretsmanager", self._config)
        return client

    def iam(self, account: str) -> "IAMClient":
        """IAM of an account.

        Raises:
            NotEnrolledError: The service does not work in that account.
            RoleMissingError: Its role there cannot be assumed.
            RetryableError: STS does not answer at the moment.
        """
        if account == self._enrolment.home:
            return self._iam
        client: IAMClient = self._client("iam", account, None, _IAM_CONFIG)
        return client

    def bedrock(self, account: str, region: str) -> "BedrockClient":
        """Bedrock's control plane of an account, in a region.

        Raises:
            NotEnrolledError: The service does not work in that account.
            RoleMissingError: Its role there cannot be assumed.
            RetryableError: STS does not answer at the moment.
        """
        client: BedrockClient = self._client("bedrock", account, region, _CONFIG)
        return client

    def authorization_details(self, account: str, region: str) -> Any:
        """IAM's Access Troubleshooter of an account, in a region: nobody waits long for it.

        Raises:
            NotEnrolledError: The service does not work in that account.
            RoleMissingError: Its role there cannot be assumed.
            RetryableError: STS does not answer at the moment.
        """
        return self._client("iam-toolbox", account, region, _BRIEF_CONFIG)

    def reaches(self, account: str) -> bool:
        """Whether the role in a member account can be assumed, as far as is known within a minute."""
        try:
            self._credentials(account)
        except (NotEnrolledError, RoleMissingError, RetryableError):
            return False
        return True

    def _client(self, service: str, account: str, region: str | None, config: Config) -> Any:
        """A client that is kept for as long as its credentials are good; the one unused for longest makes room."""
        credentials = self._credentials(account)
        key = (service, account, region)
        known = self._kept.pop(key, None)
        if known is None or known[0] is not credentials:
            known = (credentials, self._made_for(account, credentials, service, region, config))
            if len(self._kept) >= _KEPT:
                del self._kept[next(iter(self._kept))]
        self._kept[key] = known
        return known[1]

    def _made(self, service: str, config: Config, **place: Any) -> Any:
        make: Callable[..., Any] = self._given.client if self._given else self._session.create_client
        return make(service, config=config, **place)

    def _made_for(self, account: str, of: Credentials | None, service: str, region: str | None, config: Config) -> Any:
        """A client; a member account's is watched.

        One that throttles is spared, and credentials that AWS refuses are got anew. Simulating is throttled readily
        (docs/aws-facts.md §4.5), and who asks for it does without.
        """
        if of is None:
            return self._made(service, config, region_name=region)
        client = self._made(service, config, region_name=region, **of.keys)

        def watch(parsed: dict[str, Any], model: "OperationModel", **_: Any) -> None:
            code = parsed.get("Error", {}).get("Code")
            if code in STALE_CREDENTIALS:
                self._members.forget(account)
            elif code in THROTTLED and model.name != _SIMULATION:
                self._members.spare(account, f"{model.name}: {code}")

        client.meta.events.register("after-call", watch)
        return client

    def _credentials(self, account: str) -> Credentials | None:
        """A role's in a member account; None in the home account, where the function's own do."""
        if account == self._enrolment.home:
            return None
        if not self._enrolment.covers(account):
            raise NotEnrolledError(account)
        return self._members.of(account)

    def _role_arn(self, account: str) -> str:
        # An organization lies in one partition, so the roles lie in the one that the function runs in.
        partition = self._session.get_partition_for_region(self._session.get_config_variable("region"))
        return member_role_arn(partition, account, self._role)

    @cached_property
    def _iam(self) -> "IAMClient":
        client: IAMClient = self._made("iam", _IAM_CONFIG)
        return client

    @cached_property
    def _sts(self) -> "STSClient":
        """STS, at the endpoint of the function's own region, by AWS_STS_REGIONAL_ENDPOINTS in the template."""
        client: STSClient = self._made("sts", _CONFIG)
        return client

    @cached_property
    def _session(self) -> "Session":
        return new_session()
