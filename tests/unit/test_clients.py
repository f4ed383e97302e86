"""Clients are made when they are first used, and kept."""

import boto3
import pytest

from bedrock_remediator.aws.clients import Clients, NotEnrolledError

HOME = "123456789012"


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str | None]]:
    """The (service, region) of every client made."""
    made: list[tuple[str, str | None]] = []

    class Session:
        def client(self, service: str, region_name: str | None = None, **_: object) -> object:
            made.append((service, region_name))
            return object()

    monkeypatch.setattr(boto3.session, "Session", Session)
    return made


def test_nothing_is_made_before_it_is_used(made: list[tuple[str, str | None]]) -> None:
    """An environment that handles a refused denial never pays for IAM."""
    clients = Clients(HOME)
    assert made == []
    assert clients.dynamodb is clients.dynamodb
    assert made == [("dynamodb", None)]


def test_each_client_is_made_once(made: list[tuple[str, str | None]]) -> None:
    """Every service has one client, Bedrock one a region."""
    clients = Clients(HOME)
    for _ in range(2):
        assert all((clients.sns, clients.sqs, clients.ssm, clients.kms, clients.secretsmanager, clients.iam(HOME)))
        assert clients.bedrock(HOME, "us-east-1") is not clients.bedrock(HOME, "eu-west-1")
    services = ["bedrock", "bedrock", "iam", "kms", "secretsmanager", "sns", "sqs", "ssm"]
    assert sorted(service for service, _ in made) == services
    assert ("bedrock", "eu-west-1") in made


def test_clients_of_regions_are_bounded(made: list[tuple[str, str | None]]) -> None:
    """The region comes from an event, so the number of clients that are kept has an end."""
    clients = Clients(HOME)
    for number in range(40):
        clients.bedrock(HOME, f"us-east-{number}")
    assert len(clients._bedrock) == 16


@pytest.mark.parametrize("service", ["iam", "bedrock"])
def test_other_accounts_are_refused(made: list[tuple[str, str | None]], service: str) -> None:
    """There is a way into the home account only, and the error names the other one."""
    clients = Clients(HOME)
    with pytest.raises(NotEnrolledError) as refusal:
        clients.iam("111122223333") if service == "iam" else clients.bedrock("111122223333", "us-east-1")
    assert refusal.value.account == "111122223333"
    assert made == []
