"""The stand-ins for Secrets Manager and KMS, as their clients see them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.stack import Sandbox
from tests.builders import sandboxes as make

GENERATED = {"SecretStringTemplate": "{}", "GenerateStringKey": "key", "PasswordLength": 64}
RESOURCES = {
    "Secret": {"Type": "AWS::SecretsManager::Secret", "Properties": {"GenerateSecretString": GENERATED}},
    "Macs": {
        "Type": "AWS::KMS::Key",
        "Properties": {"KeySpec": "HMAC_256", "KeyUsage": "GENERATE_VERIFY_MAC", "KeyPolicy": make.document()},
    },
    "Cipher": {"Type": "AWS::KMS::Key", "Properties": {"KeyPolicy": make.document()}},
}


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    """A sandbox with a generated secret, a key for MACs and one for something else."""
    with make.started(tmp_path, RESOURCES) as sandbox:
        yield sandbox


def read(sandbox: Sandbox, **stage: str) -> str:
    """The secret's text."""
    client = make.own_session().client("secretsmanager")
    return client.get_secret_value(SecretId=sandbox.stack.ref("Secret"), **stage)["SecretString"]


def code_of(call: Any, **parameters: Any) -> str:
    """The error code of a call that AWS refuses."""
    with pytest.raises(ClientError) as error:
        call(**parameters)
    return str(error.value.response["Error"]["Code"])


def mac(sandbox: Sandbox, message: bytes, key: str = "Macs") -> dict[str, Any]:
    """What a MAC is asked for with."""
    return {"KeyId": sandbox.stack.arn(key), "MacAlgorithm": "HMAC_SHA_256", "Message": message}


def test_a_secret_is_generated_as_the_template_says(sandbox: Sandbox) -> None:
    """A JSON object with a long text under the key that it names."""
    (text,) = json.loads(read(sandbox)).values()
    assert json.loads(read(sandbox)) == {"key": text}
    assert len(text) == GENERATED["PasswordLength"]


def test_a_new_value_leaves_the_one_before_it_readable(sandbox: Sandbox) -> None:
    """As the previous one, and only that one."""
    first = read(sandbox)
    client = make.own_session().client("secretsmanager")
    asked = {"SecretId": sandbox.stack.ref("Secret"), "VersionStage": "AWSPREVIOUS"}
    assert code_of(client.get_secret_value, **asked) == "ResourceNotFoundException"
    sandbox.secrets.put(sandbox.stack.ref("Secret"), "second")
    assert (read(sandbox), read(sandbox, VersionStage="AWSPREVIOUS")) == ("second", first)
    sandbox.secrets.put(sandbox.stack.ref("Secret"), "third")
    assert read(sandbox, VersionStage="AWSPREVIOUS") == "second"


@pytest.mark.usefixtures("sandbox")
def test_a_secret_that_is_not_there() -> None:
    """Is not found."""
    client = make.own_session().client("secretsmanager")
    assert code_of(client.get_secret_value, SecretId="other") == "ResourceNotFoundException"


def test_a_mac_is_verified_by_its_message(sandbox: Sandbox) -> None:
    """Of the message that it was made of, and of no other."""
    client = make.own_session().client("kms")
    made = client.generate_mac(**mac(sandbox, b"this"))["Mac"]
    assert client.verify_mac(**mac(sandbox, b"this"), Mac=made)["MacValid"] is True
    assert code_of(client.verify_mac, **mac(sandbox, b"that"), Mac=made) == "KMSInvalidMacException"


def test_a_key_makes_macs_of_its_own_kind_only(sandbox: Sandbox) -> None:
    """Not every key makes them, an unknown key does not, and a message has an upper limit."""
    generate = make.own_session().client("kms").generate_mac
    assert code_of(generate, **mac(sandbox, b"this", "Cipher")) == "InvalidKeyUsageException"
    assert code_of(generate, **mac(sandbox, b"this") | {"MacAlgorithm": "HMAC_SHA_512"}) == "InvalidKeyUsageException"
    assert code_of(generate, **mac(sandbox, b"this") | {"KeyId": "other"}) == "NotFoundException"
    assert code_of(generate, **mac(sandbox, b"x" * 4097)) == "ValidationException"
