"""Clients are made when they are first used, and kept; in member accounts they are a role's there."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from bedrock_remediator.aws.clients import Clients
from bedrock_remediator.aws.errors import NotEnrolledError, RetryableError, RoleMissingError
from bedrock_remediator.core.accounts import READ_ROLE, WRITE_ROLE
from tests.builders.clocks import StoppedClock

HOME = "123456789012"
MEMBER = "444455556666"
OTHER = "777788889999"
GET_ROLE = SimpleNamespace(name="GetRole")
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


class Client:
    """A client: what it was made with, and STS's one operation."""

    def __init__(self, aws: "Aws", service: str, region: str | None, keys: Mapping[str, str]) -> None:
        self.service = service
        self.region = region
        self.keys = keys
        self.meta = SimpleNamespace(events=self)
        self._aws = aws

    def register(self, event: str, watch: Any) -> None:
        """Keep what wants to hear of answers."""
        assert event == "after-call"
        self.hear = watch

    def assume_role(self, **asked: Any) -> Mapping[str, Any]:
        """Credentials that say how often the role was asked for."""
        self._aws.assumed.append(asked)
        if self._aws.refusal:
            raise ClientError({"Error": {"Code": self._aws.refusal, "Message": "no"}}, "AssumeRole")
        lasting = timedelta(seconds=asked["DurationSeconds"])
        return {
            "Credentials": {
                "AccessKeyId": f"ASIA{len(self._aws.assumed)}",
                "SecretAccessKey": "secret",
                "SessionToken": "token",
                "Expiration": self._aws.clock.now() + lasting,
            }
        }


class Aws:
    """Takes botocore's place: remembers the clients that were made and the roles that were assumed."""

    def __init__(self) -> None:
        self.clock = StoppedClock(NOW)
        self.made: list[Client] = []
        self.assumed: list[Mapping[str, Any]] = []
        self.refusal: str | None = None

    def clients(self, *enrolled: str, role: str = READ_ROLE) -> Clients:
        """The clients of a function whose service works in these accounts."""
        return Clients(HOME, enrolled=enrolled, role=role, clock=self.clock)

    @property
    def services(self) -> list[tuple[str, str | None]]:
        """(service, region) of every client made, in order."""
        return [(client.service, client.region) for client in self.made]


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Aws:
    """AWS, as far as clients see it."""
    aws = Aws()

    class Session:
        region_name = "us-east-1"

        def get_config_variable(self, name: str) -> str:
            assert name == "region"
            return self.region_name

        def get_partition_for_region(self, region: str) -> str:
            return "aws-cn" if region.startswith("cn-") else "aws"

        def create_client(
            self, service: str, region_name: str | None = None, config: object = None, **keys: str
        ) -> Client:
            assert config is not None
            client = Client(aws, service, region_name, keys)
            aws.made.append(client)
            return client

    monkeypatch.setattr("bedrock_remediator.aws.clients.new_session", Session)
    return aws


def test_nothing_is_made_before_it_is_used(aws: Aws) -> None:
    """An environment that handles a refused denial never pays for IAM."""
    clients = aws.clients()
    assert aws.made == []
    assert clients.dynamodb is clients.dynamodb
    assert aws.services == [("dynamodb", None)]


def test_each_client_is_made_once(aws: Aws) -> None:
    """Every service has one client, Bedrock one a region; in the home account none needs STS."""
    clients = aws.clients(MEMBER)
    for _ in range(2):
        assert all((clients.sns, clients.sqs, clients.ssm, clients.kms, clients.secretsmanager, clients.iam(HOME)))
        assert clients.bedrock(HOME, "us-east-1") is not clients.bedrock(HOME, "eu-west-1")
    services = ["bedrock", "bedrock", "iam", "kms", "secretsmanager", "sns", "sqs", "ssm"]
    assert sorted(service for service, _ in aws.services) == services
    assert ("bedrock", "eu-west-1") in aws.services
    assert not any(client.keys for client in aws.made)


def test_nobody_waits_longer_than_the_function_may() -> None:
    """A call that never gets an answer fails before API Gateway does (30 s), and before approve does (20 s)."""
    config = Clients(HOME, quick=True)._config
    tries = config.retries["total_max_attempts"]  # type: ignore[attr-defined]  # the stubs leave the fields out
    longest_pauses = sum(2.0**each for each in range(tries - 1))
    assert tries * config.read_timeout + longest_pauses < 15  # type: ignore[attr-defined]  # as above


def test_clients_of_accounts_and_regions_are_bounded(aws: Aws) -> None:
    """Both come from an event, so the number of clients that are kept has an end; the longest unused one goes."""
    clients = aws.clients()
    kept = clients.bedrock(HOME, "eu-west-1")
    for number in range(100):
        clients.bedrock(HOME, f"us-east-{number}")
        assert clients.bedrock(HOME, "eu-west-1") is kept
    assert len(clients._kept) == 64


@pytest.mark.parametrize("service", ["iam", "bedrock"])
def test_accounts_that_are_not_enrolled_are_refused(aws: Aws, service: str) -> None:
    """Nothing is asked of AWS, and the error names the account."""
    clients = aws.clients(MEMBER)
    with pytest.raises(NotEnrolledError) as refusal:
        clients.iam(OTHER) if service == "iam" else clients.bedrock(OTHER, "us-east-1")
    assert refusal.value.account == OTHER
    assert aws.made == []


@pytest.mark.parametrize("enrolled", [MEMBER, "*"])
def test_a_member_accounts_clients_are_its_roles(aws: Aws, enrolled: str) -> None:
    """One call of STS serves IAM and Bedrock in every region of the account."""
    clients = aws.clients(enrolled, role=WRITE_ROLE)
    made: list[Any] = [
        clients.iam(MEMBER),
        clients.bedrock(MEMBER, "eu-central-1"),
        clients.bedrock(MEMBER, "eu-west-1"),
    ]
    assert [(client.service, client.region) for client in made] == [
        ("iam", None),
        ("bedrock", "eu-central-1"),
        ("bedrock", "eu-west-1"),
    ]
    keys = {"aws_access_key_id": "ASIA1", "aws_secret_access_key": "secret", "aws_session_token": "token"}
    assert all(client.keys == keys for client in made)
    assert aws.assumed == [
        {
            "RoleArn": f"arn:aws:iam::{MEMBER}:role/bedrock-access-remediator-stack/bedrock-access-remediator-write",
            "RoleSessionName": "bedrock-access-remediator",
            "DurationSeconds": 3600,
        }
    ]


def test_every_account_has_credentials_of_its_own(aws: Aws) -> None:
    """What one account gave never signs a call in another."""
    clients = aws.clients("*")
    first: Any = clients.iam(MEMBER)
    second: Any = clients.iam(OTHER)
    assert first.keys["aws_access_key_id"] != second.keys["aws_access_key_id"]
    assert clients.iam(MEMBER) is first


def test_credentials_are_renewed_before_they_expire(aws: Aws) -> None:
    """Ten minutes before, longer than any function runs."""
    clients = aws.clients(MEMBER)
    first = clients.iam(MEMBER)
    aws.clock.time += timedelta(minutes=50) - timedelta(seconds=1)
    assert clients.iam(MEMBER) is first
    aws.clock.time += timedelta(seconds=1)
    assert clients.iam(MEMBER) is not first
    assert len(aws.assumed) == 2


def test_a_missing_role_is_asked_for_once_a_minute(aws: Aws) -> None:
    """A storm of denials in an account without the role does not become a storm at STS; other accounts are served."""
    clients = aws.clients("*")
    aws.refusal = "AccessDenied"
    for _ in range(3):
        with pytest.raises(RoleMissingError) as refusal:
            clients.iam(MEMBER)
        assert refusal.value.account == MEMBER
        assert not clients.reaches(MEMBER)
    assert len(aws.assumed) == 1
    aws.refusal = None
    assert clients.iam(OTHER) is not None
    aws.clock.time += timedelta(minutes=1)
    assert clients.reaches(MEMBER)


def test_trouble_with_sts_passes(aws: Aws) -> None:
    """Throttling is no missing role: the next try asks again."""
    clients = aws.clients(MEMBER)
    aws.refusal = "Throttling"
    with pytest.raises(RetryableError):
        clients.iam(MEMBER)
    aws.refusal = None
    assert clients.iam(MEMBER) is not None


@pytest.mark.parametrize("code", ["InvalidClientTokenId", "UnrecognizedClientException", "ExpiredToken"])
def test_credentials_that_aws_refuses_are_got_anew(aws: Aws, code: str) -> None:
    """A role that is deployed anew makes void what its predecessor gave."""
    clients = aws.clients(MEMBER)
    first: Any = clients.iam(MEMBER)
    first.hear(parsed={"Error": {"Code": "AccessDenied"}}, model=GET_ROLE)
    first.hear(parsed={"Role": {}}, model=GET_ROLE)
    again: Any = clients.iam(MEMBER)
    assert again is first
    first.hear(parsed={"Error": {"Code": code}}, model=GET_ROLE)
    assert clients.iam(MEMBER) is not first


def test_the_number_of_accounts_remembered_has_an_end(aws: Aws) -> None:
    """With every account of an organization enrolled, the oldest credentials make room."""
    clients = aws.clients("*")
    for number in range(300):
        clients.iam(f"{number:012}")
    assert len(clients._members._known) == 256


def test_an_account_that_throttles_is_spared_for_a_moment(aws: Aws) -> None:
    """Botocore has waited long for it, and the others of the batch shall not wait as long again for its next denial."""
    clients = aws.clients("*")
    throttled: Any = clients.bedrock(MEMBER, "eu-west-1")
    throttled.hear(parsed={"Error": {"Code": "ThrottlingException"}}, model=SimpleNamespace(name="GetInferenceProfile"))
    with pytest.raises(RetryableError, match="GetInferenceProfile: ThrottlingException"):
        clients.iam(MEMBER)
    assert clients.iam(OTHER) is not None
    aws.clock.time += timedelta(seconds=10)
    assert clients.bedrock(MEMBER, "eu-west-1") is throttled


def test_a_simulator_that_throttles_spares_nobody(aws: Aws) -> None:
    """It does so readily, and a request is opened without its answer."""
    clients = aws.clients(MEMBER)
    client: Any = clients.iam(MEMBER)
    client.hear(parsed={"Error": {"Code": "Throttling"}}, model=SimpleNamespace(name="SimulatePrincipalPolicy"))
    assert clients.iam(MEMBER) is client
