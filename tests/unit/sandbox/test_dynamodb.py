"""DynamoDB, where the sandbox has moto do it otherwise."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from sandbox.stack import Sandbox
from tests.builders import sandboxes as make

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

TABLE = "bedrock-access-remediator-Rows"


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    """A sandbox with a table that has a sort key and an index."""
    attributes = [{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk", "state")]
    keys = [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}]
    index = {
        "IndexName": "due",
        "KeySchema": [{"AttributeName": "state", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        "Projection": {"ProjectionType": "KEYS_ONLY"},
    }
    properties = {
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": attributes,
        "KeySchema": keys,
        "GlobalSecondaryIndexes": [index],
        "StreamSpecification": {"StreamViewType": "NEW_AND_OLD_IMAGES"},
    }
    with make.started(tmp_path, {"Rows": {"Type": "AWS::DynamoDB::Table", "Properties": properties}}) as sandbox:
        yield sandbox


@pytest.fixture
def dynamodb(sandbox: Sandbox) -> "DynamoDBClient":
    """Its DynamoDB."""
    return make.own_session().client("dynamodb")


def item(pk: str, sk: str, **attributes: str) -> dict[str, Any]:
    """An item in DynamoDB's JSON."""
    return {name: {"S": value} for name, value in {"pk": pk, "sk": sk, **attributes}.items()}


def put(dynamodb: "DynamoDBClient", *items: dict[str, Any]) -> None:
    """Write items in one transaction, each if it is not there yet."""
    dynamodb.transact_write_items(
        TransactItems=[
            {"Put": {"TableName": TABLE, "Item": one, "ConditionExpression": "attribute_not_exists(pk)"}}
            for one in items
        ]
    )


def query(dynamodb: "DynamoDBClient", condition: str, value: str, **more: Any) -> list[str]:
    """The sort keys of what a query finds."""
    found = dynamodb.query(
        TableName=TABLE,
        KeyConditionExpression=condition,
        ExpressionAttributeValues={":v": {"S": value}},
        **more,
    )
    return [one["sk"]["S"] for one in found["Items"]]


def test_a_transaction_is_all_or_nothing(sandbox: Sandbox, dynamodb: "DynamoDBClient") -> None:
    """Where one condition fails nothing is written, nothing reaches the stream, and each part has its reason."""
    put(dynamodb, item("a", "1"))
    with pytest.raises(ClientError) as error:
        put(dynamodb, item("a", "2"), item("a", "1"))
    codes = [reason["Code"] for reason in error.value.response["CancellationReasons"]]
    assert codes == ["None", "ConditionalCheckFailed"]
    assert query(dynamodb, "pk = :v", "a") == ["1"]
    (stream,) = [stream for stream in sandbox._streams.values() if "Rows" in stream.arn]
    assert len(stream.read(0, 10)) == 1


def test_a_query_finds_its_partition_in_order(dynamodb: "DynamoDBClient") -> None:
    """A query gives the items of its partition, sorted, and none of another."""
    put(dynamodb, item("a", "2"), item("b", "1"), item("a", "1"))
    assert query(dynamodb, "pk = :v", "a") == ["1", "2"]
    assert query(dynamodb, "pk = :v", "a", ScanIndexForward=False, Limit=1) == ["2"]
    assert query(dynamodb, "pk = :v", "none") == []


def test_a_query_of_an_index_looks_everywhere(dynamodb: "DynamoDBClient") -> None:
    """A query of an index finds items of every partition that have its key."""
    put(dynamodb, item("a", "2", state="pending"), item("b", "1", state="pending"), item("c", "3"))
    found = query(dynamodb, "#s = :v", "pending", IndexName="due", ExpressionAttributeNames={"#s": "state"})
    assert found == ["1", "2"]


def test_values_of_every_type_come_back(dynamodb: "DynamoDBClient") -> None:
    """What was written is read as it was, whatever its type."""
    written: dict[str, Any] = {
        **item("a", "1"),
        "number": {"N": "7"},
        "flag": {"BOOL": False},
        "nothing": {"NULL": True},
        "list": {"L": [{"S": "x"}, {"M": {"deep": {"N": "1"}}}]},
        "set": {"SS": ["p", "q"]},
        "map": {"M": {"S": {"S": "a key that is called as a type"}}},
    }
    dynamodb.put_item(TableName=TABLE, Item=written)
    read = dynamodb.get_item(TableName=TABLE, Key=item("a", "1"))["Item"]
    assert {**read, "set": {"SS": sorted(read["set"]["SS"])}} == written


def test_every_type_comes_back_as_it_was_written(dynamodb: "DynamoDBClient") -> None:
    """Texts, numbers, truth, nothing, lists, maps, sets and bytes, one in the other."""
    values: dict[str, Any] = {
        "text": {"S": "ä%20=b&c"},
        "empty": {"S": ""},
        "number": {"N": "12.5"},
        "truth": {"BOOL": False},
        "nothing": {"NULL": True},
        "bytes": {"B": b"\x00\xff"},
        "texts": {"SS": ["a", "b"]},
        "list": {"L": [{"S": "x"}, {"L": []}, {"M": {"S": {"S": "a key like a type"}}}]},
        "map": {"M": {"deep": {"M": {"bytes": {"B": b"\x01"}, "numbers": {"NS": ["1"]}}}, "none": {"M": {}}}},
    }
    written = item("a", "1") | values
    dynamodb.put_item(TableName=TABLE, Item=written)
    key = item("a", "1")
    assert dynamodb.get_item(TableName=TABLE, Key=key)["Item"] == written
    found = dynamodb.query(
        TableName=TABLE, KeyConditionExpression="pk = :pk", ExpressionAttributeValues={":pk": {"S": "a"}}
    )
    assert found["Items"] == [written]
