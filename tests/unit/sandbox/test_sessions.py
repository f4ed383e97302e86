"""The clients of the sandbox's callers, which are made once a process."""

import pytest
from botocore.config import Config

from bedrock_remediator.aws.clients import Clients
from sandbox.sessions import CallerSession, only
from tests.builders.sandboxes import ACCOUNT, REGION


@pytest.fixture
def caller(monkeypatch: pytest.MonkeyPatch) -> CallerSession:
    """The session of a function, in its environment."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "ASIAWORKER")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "sandbox")
    monkeypatch.setenv("AWS_REGION", REGION)
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    return CallerSession("ASIAWORKER", REGION)


def test_the_services_own_clients_are_kept(caller: CallerSession) -> None:
    """Every environment of a function has the clients that the first one made, for its own credentials."""
    with only(caller):
        one, other = Clients(ACCOUNT), Clients(ACCOUNT)
        assert one.iam(ACCOUNT) is other.iam(ACCOUNT)
        assert one.bedrock(ACCOUNT, "us-east-1") is not other.bedrock(ACCOUNT, "us-west-2")
    assert Clients(ACCOUNT).sqs is not Clients(ACCOUNT).sqs


def test_another_environment_has_clients_of_its_own(caller: CallerSession, monkeypatch: pytest.MonkeyPatch) -> None:
    """What botocore reads in the environment decides which clients a function has."""
    with only(caller):
        before = Clients(ACCOUNT).sns
        monkeypatch.setenv("AWS_EXECUTION_ENV", "AWS_Lambda_python3.14")
        assert Clients(ACCOUNT).sns is not before


def test_clients_of_other_credentials_are_new(caller: CallerSession) -> None:
    """A client of an assumed role is watched by whoever made it, and nobody else gets it."""
    config = Config()
    keys = {"aws_access_key_id": "ASIAOTHER", "aws_secret_access_key": "x"}
    session = caller.of_service()
    made = [session.create_client("iam", config=config, **given) for given in ({}, {}, keys, keys)]
    assert len({*map(id, made)}) == 3


def test_quotas_are_refilled(caller: CallerSession) -> None:
    """A client that has used up its retries may retry again."""
    config = Config(retries={"mode": "standard"})
    caller.of_service().create_client("iam", config=config)
    (quota,) = caller.of_service().shelf.quotas
    quota.acquire(quota.available_capacity)
    caller.refill_quotas()
    assert quota.available_capacity == 500


def test_a_client_that_somebody_listens_to_is_theirs(caller: CallerSession) -> None:
    """A handler hears the calls of the client that it was registered with, and nobody else's."""
    config = Config()
    heard = caller.of_service().create_client("iam", config=config)
    heard.meta.events.register("before-call.iam", lambda **_: None)
    assert caller.of_service().create_client("iam", config=config) is not heard
