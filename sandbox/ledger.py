"""The ledger's table in moto: made as the template describes it, and read back as plain rows."""

from collections.abc import Mapping
from typing import Any, Final

import boto3
from boto3.dynamodb.types import TypeDeserializer

from sandbox.template import Stack

_CREATED: Final = (
    "AttributeDefinitions",
    "BillingMode",
    "GlobalSecondaryIndexes",
    "KeySchema",
    "StreamSpecification",
    "TableName",
)


class Ledger:
    """The table of a logical id.

    Args:
        stack: The stack.
        logical_id: The table's logical id.
        session: The sandbox's own session.
    """

    def __init__(self, stack: Stack, logical_id: str, session: boto3.Session) -> None:
        properties: dict[str, Any] = {**stack.properties(logical_id), "TableName": stack.ref(logical_id)}
        stream = properties.get("StreamSpecification")
        if stream:
            properties["StreamSpecification"] = {"StreamEnabled": True, **stream}
        self.name = stack.ref(logical_id)
        self.keys = tuple(key["AttributeName"] for key in properties["KeySchema"])
        self._client = session.client("dynamodb")
        self._client.create_table(**{name: properties[name] for name in _CREATED if name in properties})

    def raw(self) -> list[dict[str, Any]]:
        """Every item of the table, as DynamoDB writes it."""
        pages = self._client.get_paginator("scan").paginate(TableName=self.name, ConsistentRead=True)
        return [item for page in pages for item in page["Items"]]

    def put(self, item: Mapping[str, Any]) -> None:
        """Write an item (as `raw` has it) over the one that is there: what somebody does who may write to the table."""
        self._client.put_item(TableName=self.name, Item=item)

    def items(self) -> list[dict[str, Any]]:
        """Every item of the table, in the order of its keys; numbers are ints."""
        deserialize = TypeDeserializer().deserialize
        items = [{name: deserialize(value) for name, value in item.items()} for item in self.raw()]
        return sorted((_plain(item) for item in items), key=lambda item: [str(item[key]) for key in self.keys])


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | set):
        return [_plain(item) for item in value]
    return value if value is None or isinstance(value, str | bool | bytes) else int(value)
