"""What tests of the adapters share: AWS as moto plays it, the ledger's table in it, and a clock that does not run."""

import functools
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final
from unittest.mock import patch

import boto3
import pytest
from moto.core.models import botocore_stubber
from moto.kms.utils import generate_private_key

from bedrock_remediator.aws.ledger.write import Ledger
from sandbox.endpoint import closed, emptied
from sandbox.sessions import one_reader, only, refill_quotas, session
from tests.builders.clocks import StoppedClock
from tests.builders.grants import NOON

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

TABLE = "ledger"
# Moto makes a pair of RSA keys for every key, that of a MAC included, and that takes longer than most tests.
_PRIVATE_KEY: Final = functools.cache(generate_private_key)


@pytest.fixture
def clock() -> StoppedClock:
    """A clock that stands at noon."""
    return StoppedClock(NOON)


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """AWS as moto plays it, empty, with no credentials that could mean anything.

    Instead of `mock_aws`, whose setting up takes longer than most tests. The clients outlive a test (see `sessions`).
    """
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    refill_quotas()
    with (
        emptied(),
        one_reader(),
        closed(),
        only(session("testing", "us-east-1")),
        patch.object(botocore_stubber, "enabled", new=True),
        patch("moto.kms.models.generate_private_key", _PRIVATE_KEY),
    ):
        yield


@pytest.fixture
def dynamodb(aws: None) -> "DynamoDBClient":
    """DynamoDB with an empty ledger, and nothing remembered of approvals."""
    client = boto3.client("dynamodb")
    client.create_table(
        TableName=TABLE,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        AttributeDefinitions=[
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "sk", "AttributeType": "S"},
            {"AttributeName": "state", "AttributeType": "S"},
            {"AttributeName": "due_at", "AttributeType": "S"},
        ],
        GlobalSecondaryIndexes=[
            {
                "IndexName": "due",
                "KeySchema": [
                    {"AttributeName": "state", "KeyType": "HASH"},
                    {"AttributeName": "due_at", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "KEYS_ONLY"},
            }
        ],
    )
    client.create_table(
        TableName="used",
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        AttributeDefinitions=[
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "sk", "AttributeType": "S"},
        ],
    )
    return client


@pytest.fixture
def ledger(dynamodb: "DynamoDBClient", clock: StoppedClock) -> Ledger:
    """The ledger, empty."""
    return Ledger(dynamodb, TABLE, clock)
