"""The key that signs approvals, on KMS as moto plays it."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError
from botocore.stub import Stubber

from bedrock_remediator.aws.errors import RetryableError
from bedrock_remediator.aws.keys import LONGEST_MESSAGE, ApprovalKey

if TYPE_CHECKING:
    from mypy_boto3_kms import KMSClient

MAC = bytes(32)


@pytest.fixture
def kms(aws: None) -> "KMSClient":
    """KMS."""
    return boto3.client("kms")


@pytest.fixture
def key(kms: "KMSClient") -> ApprovalKey:
    """A key that makes MACs, by its alias."""
    made = kms.create_key(KeySpec="HMAC_256", KeyUsage="GENERATE_VERIFY_MAC")
    kms.create_alias(AliasName="alias/approvals", TargetKeyId=made["KeyMetadata"]["KeyId"])
    return ApprovalKey(lambda: kms, "alias/approvals")


@pytest.fixture
def stubber(kms: "KMSClient") -> Iterator[Stubber]:
    """What tells KMS what to answer."""
    with Stubber(kms) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


def test_a_message_is_signed_and_verified(key: ApprovalKey) -> None:
    """The same key, the same message."""
    mac = key.sign(b"message")
    assert key.verify(b"message", mac)
    assert key.verify(b"m" * LONGEST_MESSAGE, key.sign(b"m" * LONGEST_MESSAGE))


@pytest.mark.parametrize("mac", [MAC, b"", b"x", b"m" * 10_000])
def test_another_mac_is_not_genuine(key: ApprovalKey, mac: bytes) -> None:
    """Of the right length or not."""
    assert not key.verify(b"message", mac)


def test_a_mac_is_of_its_message(key: ApprovalKey) -> None:
    """And of no other."""
    assert not key.verify(b"another", key.sign(b"message"))


def test_a_mac_of_another_key_is_not_genuine(kms: "KMSClient", key: ApprovalKey) -> None:
    """Whoever can make keys cannot make approvals."""
    other = kms.create_key(KeySpec="HMAC_256", KeyUsage="GENERATE_VERIFY_MAC")["KeyMetadata"]["KeyId"]
    assert not key.verify(b"message", ApprovalKey(lambda: kms, other).sign(b"message"))


@pytest.mark.parametrize(
    "code",
    ["AccessDeniedException", "NotFoundException", "DisabledException", "KMSInvalidStateException", "Surprise"],
)
def test_what_kms_does_not_vouch_for_is_not_genuine(
    key: ApprovalKey, stubber: Stubber, caplog: pytest.LogCaptureFixture, code: str
) -> None:
    """A key that cannot be used believes nothing, and the log says why."""
    stubber.add_client_error("verify_mac", code, http_status_code=400)
    assert not key.verify(b"message", MAC)
    assert "counts as none" in caplog.text


def test_a_wrong_mac_is_nothing_to_log(key: ApprovalKey, stubber: Stubber, caplog: pytest.LogCaptureFixture) -> None:
    """The row that carried it is failed, with an alert."""
    stubber.add_client_error("verify_mac", "KMSInvalidMacException", http_status_code=400)
    assert not key.verify(b"message", MAC)
    assert not caplog.text


@pytest.mark.parametrize(("code", "status"), [("ThrottlingException", 400), ("KMSInternalException", 500)])
def test_trouble_that_passes_is_asked_again(key: ApprovalKey, stubber: Stubber, code: str, status: int) -> None:
    """Neither believed nor refused."""
    stubber.add_client_error("verify_mac", code, http_status_code=status)
    stubber.add_client_error("generate_mac", code, http_status_code=status)
    with pytest.raises(RetryableError):
        key.verify(b"message", MAC)
    with pytest.raises(RetryableError):
        key.sign(b"message")


def test_a_key_that_cannot_be_used_signs_nothing(key: ApprovalKey, stubber: Stubber) -> None:
    """The decision is not taken."""
    stubber.add_client_error("generate_mac", "AccessDeniedException", http_status_code=400)
    with pytest.raises(ClientError):
        key.sign(b"message")


def test_without_an_answer_it_is_asked_again_and_without_credentials_refused() -> None:
    """The way to KMS may come back; a function without credentials is broken."""

    def unreachable() -> "KMSClient":
        raise EndpointConnectionError(endpoint_url="kms")

    def nobody() -> "KMSClient":
        raise NoCredentialsError

    with pytest.raises(RetryableError):
        ApprovalKey(unreachable, "key").verify(b"message", MAC)
    assert not ApprovalKey(nobody, "key").verify(b"message", MAC)
