"""Secrets and signing keys, on Secrets Manager as moto plays it."""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber

from bedrock_remediator.aws.errors import RetryableError
from bedrock_remediator.aws.keys import Keyring, SecretError, Secrets
from tests.builders.clocks import StoppedClock

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

ONE, TWO, THREE = "1" * 32, "2" * 32, "3" * 32


@pytest.fixture
def client(aws: None) -> "SecretsManagerClient":
    """Secrets Manager."""
    return boto3.client("secretsmanager")


@pytest.fixture
def secrets(client: "SecretsManagerClient", clock: StoppedClock) -> Secrets:
    """A reader."""
    return Secrets(lambda: client, clock)


@pytest.fixture
def stubber(client: "SecretsManagerClient") -> Iterator[Stubber]:
    """What tells Secrets Manager what to answer."""
    with Stubber(client) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


def make(client: "SecretsManagerClient", text: str) -> str:
    """A secret; its ARN."""
    return client.create_secret(Name="keys", SecretString=text)["ARN"]


def change(client: "SecretsManagerClient", arn: str, text: str) -> None:
    """Give the secret another value."""
    client.put_secret_value(SecretId=arn, SecretString=text)


class TestTexts:
    """A secret's text, kept for a while."""

    def test_are_read_again_after_some_minutes(
        self, client: "SecretsManagerClient", secrets: Secrets, clock: StoppedClock
    ) -> None:
        """So that a changed token is taken up without a deployment."""
        arn = make(client, "old")
        assert secrets.text(arn) == "old"
        change(client, arn, "new")
        assert secrets.text(arn) == "old"
        clock.time += timedelta(minutes=5)
        assert secrets.text(arn) == "new"

    def test_can_be_asked_for_anew_but_not_all_the_time(
        self, client: "SecretsManagerClient", secrets: Secrets, clock: StoppedClock
    ) -> None:
        """Whoever sends a thousand forged links causes no thousand calls."""
        arn = make(client, "old")
        assert secrets.text(arn) == "old"
        change(client, arn, "new")
        clock.time += timedelta(seconds=9)
        assert secrets.text(arn, fresh=True) == "old"
        clock.time += timedelta(seconds=1)
        assert secrets.text(arn, fresh=True) == "new"

    def test_are_texts(self, client: "SecretsManagerClient", secrets: Secrets) -> None:
        """Bytes are no key, and the message does not tell them."""
        arn = client.create_secret(Name="bytes", SecretBinary=b"sesame")["ARN"]
        with pytest.raises(SecretError) as error:
            secrets.text(arn)
        assert "sesame" not in str(error.value)

    def test_that_cannot_be_read_are_an_error(self, secrets: Secrets, stubber: Stubber) -> None:
        """Passing or not."""
        stubber.add_client_error("get_secret_value", "ThrottlingException", http_status_code=400)
        with pytest.raises(RetryableError):
            secrets.text("arn")
        stubber.add_client_error("get_secret_value", "AccessDeniedException", http_status_code=400)
        with pytest.raises(ClientError):
            secrets.text("arn")


class TestKeys:
    """Signing keys."""

    def test_of_the_stack_are_one_until_it_changes(
        self, client: "SecretsManagerClient", secrets: Secrets, clock: StoppedClock
    ) -> None:
        """Then the new one signs and the one before is accepted; the one before that is not."""
        arn = make(client, json.dumps({"key": ONE}))
        keyring = Keyring(secrets, arn)
        assert (keyring.newest(), keyring.keys()) == (ONE, (ONE,))
        change(client, arn, json.dumps({"key": TWO}))
        assert keyring.keys() == (ONE,)
        clock.time += timedelta(seconds=10)
        assert keyring.keys(fresh=True) == (TWO, ONE)
        change(client, arn, json.dumps({"key": THREE}))
        clock.time += timedelta(minutes=5)
        assert keyring.keys() == (THREE, TWO)

    def test_that_are_listed_are_all(self, client: "SecretsManagerClient", secrets: Secrets) -> None:
        """A key that has leaked goes at once, whatever the secret held before."""
        arn = make(client, json.dumps({"key": ONE}))
        change(client, arn, json.dumps({"keys": [THREE, TWO]}))
        assert Keyring(secrets, arn).keys() == (THREE, TWO)

    def test_that_were_listed_before_are_accepted(self, client: "SecretsManagerClient", secrets: Secrets) -> None:
        """Each once."""
        arn = make(client, json.dumps({"keys": [ONE, TWO]}))
        change(client, arn, json.dumps({"key": TWO}))
        assert Keyring(secrets, arn).keys() == (TWO, ONE)

    def test_come_after_a_mistake(self, client: "SecretsManagerClient", secrets: Secrets) -> None:
        """A broken value that was put right leaves nothing behind."""
        arn = make(client, "oops")
        change(client, arn, json.dumps({"key": ONE}))
        assert Keyring(secrets, arn).keys() == (ONE,)

    @pytest.mark.parametrize(
        "value",
        [
            "sesame-open",
            "[]",
            {},
            {"key": "short-sesame"},
            {"keys": []},
            {"keys": [ONE, "short-sesame"]},
            {"keys": ONE},
            {"key": ONE, "keys": [TWO]},
            {"key": ONE, "sesame": 1},
            {"keys": [f"{number:032}" for number in range(9)]},
        ],
    )
    def test_of_another_form_are_none(self, client: "SecretsManagerClient", secrets: Secrets, value: Any) -> None:
        """The error says what the form is, and nothing of the secret."""
        arn = make(client, value if isinstance(value, str) else json.dumps(value))
        with pytest.raises(SecretError, match="must hold") as error:
            Keyring(secrets, arn).keys()
        assert "sesame" not in str(error.value)

    def test_need_the_right_to_read_them(self, secrets: Secrets, stubber: Stubber) -> None:
        """A refusal is not taken for a secret that never changed."""
        answer = {"SecretString": json.dumps({"key": ONE})}
        stubber.add_response("get_secret_value", answer, {"SecretId": "arn", "VersionStage": "AWSCURRENT"})
        stubber.add_client_error("get_secret_value", "AccessDeniedException", http_status_code=400)
        with pytest.raises(ClientError):
            Keyring(secrets, "arn").keys()

    def test_without_one_before_are_not_asked_for_twice(self, secrets: Secrets, stubber: Stubber) -> None:
        """That there is no earlier value is remembered like a value."""
        answer = {"SecretString": json.dumps({"key": ONE})}
        stubber.add_response("get_secret_value", answer)
        stubber.add_client_error("get_secret_value", "ResourceNotFoundException", http_status_code=400)
        keyring = Keyring(secrets, "arn")
        assert keyring.keys() == keyring.keys() == (ONE,)
