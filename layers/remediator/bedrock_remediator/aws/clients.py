"""The clients, each made when it is first used: making one costs more than anything else in a cold start.

The session is botocore's, with no more of AWS in it than this service calls. Most of a cold start used to be botocore
reading about what is never called: descriptions of every operation of IAM and DynamoDB, the endpoints of every service,
handlers for the peculiarities of S3 or EC2. The layer has descriptions with the few operations that are called
(`service_models.py` beside its Makefile makes them when it is built); what is not there is read from botocore's own.
boto3 would add nothing to a client but its import. What each of these is worth stands in docs/performance.md.

Credentials in member accounts are those of one role in each, assumed when it is first needed and again before they
expire.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from botocore import handlers
from botocore.config import Config
from botocore.exceptions import ClientError, DataNotFoundError, UnknownServiceError
from botocore.loaders import Loader
from botocore.session import Session
from msgspec import Struct

from bedrock_remediator.aws.cache import AgedCache
from bedrock_remediator.aws.errors import (
    STALE_CREDENTIALS,
    THROTTLED,
    NotEnrolledError,
    RetryableError,
    RoleMissingError,
    error_code,
    passing_trouble,
)
from bedrock_remediator.clock import Clock, SystemClock
from bedrock_remediator.core.accounts import READ_ROLE, Enrolment, member_role_arn

if TYPE_CHECKING:
    import boto3
    from botocore.model import OperationModel
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


MODELS: Final = Path(__file__).parent / "models"
"""Where the layer has the descriptions. In a checkout there is no such folder, and botocore's own are read."""

SERVICES: Final = frozenset(
    {
        "bedrock",
        "dynamodb",
        "iam",
        "iam-toolbox",
        "kms",
        "organizations",
        "secrets-manager",
        "sns",
        "sqs",
        "ssm",
        "sts",
    },
)
"""The services that are called, as botocore's events name them."""


def new_session(models: Path | None = None) -> Session:
    """A session in the environment of the function. `models` is where descriptions are looked for first."""
    session = Session(include_builtin_handlers=False)
    session.register_component("data_loader", ModelLoader(models or MODELS))
    events = session.get_component("event_emitter")
    register = {handlers.REGISTER_FIRST: events.register_first, handlers.REGISTER_LAST: events.register_last}
    for event, handler, *place in handlers.BUILTIN_HANDLERS:
        if concerns_us(event):
            register.get(place[0] if place else None, events.register)(event, handler)
    return session


def concerns_us(event: str) -> bool:
    """Whether an event of botocore (`before-call.s3.PutObject`, say) can happen to a client of ours."""
    kind, _, rest = event.partition(".")
    return kind != "docs" and rest.partition(".")[0] in {"", "*", *SERVICES}


class ModelLoader(Loader):
    """Reads a description from one folder where it is there, and else from where botocore does."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._own = Loader(extra_search_paths=[str(folder)], include_default_search_paths=False)

    def load_service_model(self, service_name: str, type_name: str, api_version: str | None = None) -> Any:
        """The description of a service; one that the folder lacks is botocore's."""
        try:
            return self._own.load_service_model(service_name, type_name, api_version)
        except (DataNotFoundError, UnknownServiceError):
            return super().load_service_model(service_name, type_name, api_version)

    def load_data_with_path(self, name: str) -> Any:
        """A file's content and its path."""
        try:
            return self._own.load_data_with_path(name)
        except DataNotFoundError:
            return super().load_data_with_path(name)

    def is_builtin_path(self, path: str) -> bool:  # noqa: ARG002 - the base class's
        """Yes: what the folder holds is botocore's own, so the rules for endpoints go with it."""
        return True


_SESSION_NAME: Final = "bedrock-access-remediator"
_LASTING: Final = timedelta(hours=1)
"""All that AWS gives to a role that is assumed with another role's credentials."""
_RENEWED_BEFORE: Final = timedelta(minutes=10)
"""Longer than any function runs, so that none is left with credentials that end under its hands."""

_ACCOUNTS_KEPT: Final = 256
_REFUSED_FOR: Final = timedelta(minutes=1)
"""A storm of denials in an account without the role costs a call a minute, not one a denial."""
_SPARED_FOR: Final = timedelta(seconds=10)
"""botocore has tried for long by then: whoever asks next for the account must not wait as long again, and hold up all
others of its batch."""


class Credentials(Struct, frozen=True):
    """What a role's session signs its calls with."""

    access_key: str
    secret_key: str
    token: str
    expires: datetime

    @property
    def keys(self) -> dict[str, str]:
        """As boto3 takes them for a client."""
        return {
            "aws_access_key_id": self.access_key,
            "aws_secret_access_key": self.secret_key,
            "aws_session_token": self.token,
        }


class MemberCredentials:
    """Credentials by account; one account's trouble is not felt in another.

    Args:
        sts: Makes the client for STS when it is first needed.
        role_arn: The ARN of the role to assume in an account.
        clock: Tells when credentials are to be renewed.
    """

    def __init__(self, sts: "Callable[[], STSClient]", role_arn: Callable[[str], str], clock: Clock) -> None:
        self._sts = sts
        self._role_arn = role_arn
        self._clock = clock
        self._known: dict[str, Credentials] = {}
        self._refused: AgedCache[str, str] = AgedCache(_ACCOUNTS_KEPT, _REFUSED_FOR, clock)
        self._spared: AgedCache[str, str] = AgedCache(_ACCOUNTS_KEPT, _SPARED_FOR, clock)

    def of(self, account: str) -> Credentials:
        """The credentials in an account: the same ones until they are renewed.

        Raises:
            RoleMissingError: The role cannot be assumed, or could not a moment ago.
            RetryableError: STS does not answer at the moment, or the account is spared.
            botocore.exceptions.ClientError: STS refuses for another reason.
        """
        throttled = self._spared.get(account)
        if throttled is not None:
            raise RetryableError(f"account {account} is spared for a moment: {throttled}")
        known = self._known.get(account)
        if known is not None and self._clock.now() < known.expires - _RENEWED_BEFORE:
            return known
        refused = self._refused.get(account)
        if refused is not None:
            raise RoleMissingError(account, refused)
        made = self._assumed(account)
        self.forget(account)
        if len(self._known) >= _ACCOUNTS_KEPT:
            del self._known[next(iter(self._known))]
        self._known[account] = made
        return made

    def forget(self, account: str) -> None:
        """Assume the role anew the next time: AWS does not take what it gave any more."""
        self._known.pop(account, None)

    def spare(self, account: str, reason: str) -> None:
        """Leave an account alone for a moment, since it throttles."""
        self._spared.put(account, reason)

    def _assumed(self, account: str) -> Credentials:
        arn = self._role_arn(account)
        with passing_trouble(f"assuming {arn}"):
            try:
                answer = self._sts().assume_role(
                    RoleArn=arn, RoleSessionName=_SESSION_NAME, DurationSeconds=int(_LASTING.total_seconds())
                )
            except ClientError as error:
                # The same answer for a role that does not exist, and for one that trusts others.
                if error_code(error) == "AccessDenied":
                    self._refused.put(account, arn)
                    raise RoleMissingError(account, arn) from error
                raise
        given = answer["Credentials"]
        return Credentials(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"], given["Expiration"])


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
        session: A person's own, to make the clients with; without one they are a function's (`aws/clients.py`).
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
