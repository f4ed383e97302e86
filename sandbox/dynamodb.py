"""DynamoDB, quick enough for a few hundred rows: five things that moto does, done otherwise.

Before each transaction moto copies the whole table, its stream included, so as to roll back. Here every condition is
checked first, and then nothing can fail half-way. For each query moto sorts the whole table; here it is shown the one
partition. For each attribute value in an answer it looks for each of the ten types under four names; here a value that
has its type is taken as it is, and one without binary data is what goes out already. It reads each request as a form
too, and looks at a class's methods anew for each; here it does neither.
"""

import contextlib
import functools
from collections.abc import Iterator, Mapping
from typing import Any, Final
from unittest.mock import patch

from moto.core.model import StructureShape
from moto.core.serialize import AttributePicker, AttributePickerContext, BaseJSONSerializer
from moto.core.utils import method_names_from_class
from moto.dynamodb.comparisons import get_filter_expression
from moto.dynamodb.exceptions import TransactionCanceledException
from moto.dynamodb.models import DynamoDBBackend
from moto.dynamodb.models.table import Table
from moto.dynamodb.responses import DynamoHandler

_TYPES: Final = frozenset({"S", "N", "B", "SS", "NS", "BS", "M", "L", "NULL", "BOOL"})
_TEXT: Final = frozenset({"S", "N"})
_METHODS: Final = functools.cache(method_names_from_class)
_STRUCTURE: Final = BaseJSONSerializer._serialize_type_structure  # noqa: SLF001 - what it is a wrapper for
_PICK = AttributePicker.__call__
_INDEX_NAME: Final = 6
"""The place of `index_name` among the arguments of moto's query, after the hash key."""
_QUERY = Table.query
_ACTUAL = DynamoDBBackend.transact_write_items


def _key_of(backend: DynamoDBBackend, kind: str, operation: Mapping[str, Any]) -> dict[str, Any]:
    if kind != "Put":
        key: dict[str, Any] = operation["Key"]
        return key
    table = backend.get_table(operation["TableName"])
    names = [name for name in (table.hash_key_attr, table.range_key_attr) if name]
    return {name: operation["Item"][name] for name in names}


def _failure(backend: DynamoDBBackend, item: Mapping[str, Any]) -> tuple[Any, Any, Any]:
    ((kind, operation),) = item.items()
    expression = operation.get("ConditionExpression")
    if expression is None:
        return None, None, None
    current = backend.get_item(operation["TableName"], _key_of(backend, kind, operation))
    condition = get_filter_expression(
        expression, operation.get("ExpressionAttributeNames"), operation.get("ExpressionAttributeValues")
    )
    if condition.expr(current):
        return None, None, None
    wanted = operation.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD"
    shown = current.to_json()["Attributes"] if wanted and current is not None else None
    return "ConditionalCheckFailed", "The conditional request failed", shown


def _transact(backend: DynamoDBBackend, items: list[dict[str, Any]]) -> None:
    failures = [_failure(backend, item) for item in items]
    if any(code for code, _, _ in failures):
        raise TransactionCanceledException(failures)
    with patch.object(Table, "__deepcopy__", lambda table, _: table, create=True):
        _ACTUAL(backend, items)


def _query(table: Table, hash_key: Any, *arguments: Any, **named: Any) -> Any:
    index_name = named.get("index_name", arguments[_INDEX_NAME] if len(arguments) > _INDEX_NAME else None)
    if index_name or not table.range_key_attr:
        return _QUERY(table, hash_key, *arguments, **named)
    partition = list(table.items.get(hash_key, {}).values())
    with patch.object(table, "all_items", lambda: partition):
        return _QUERY(table, hash_key, *arguments, **named)


def _pick(picker: AttributePicker, context: AttributePickerContext) -> Any:
    value = context.obj
    if type(value) is dict and len(value) == 1 and not _TYPES.isdisjoint(value):
        return value.get(context.key)
    return _PICK(picker, context)


def _structure(serializer: BaseJSONSerializer, written: Any, value: Any, shape: StructureShape, key: str) -> None:
    if shape.name == "AttributeValue" and _goes_out(value):
        written[key] = value
    else:
        _STRUCTURE(serializer, written, value, shape, key)


def _goes_out(value: Any) -> bool:
    """Whether an attribute value is as DynamoDB writes it in JSON."""
    if type(value) is not dict or len(value) != 1:
        return False
    ((kind, inner),) = value.items()
    if kind in _TEXT:
        return type(inner) is str
    if kind == "M":
        return type(inner) is dict and all(map(_goes_out, inner.values()))
    if kind == "L":
        return type(inner) is list and all(map(_goes_out, inner))
    return kind in {"BOOL", "NULL"} and type(inner) is bool


@contextlib.contextmanager
def quickened() -> Iterator[None]:
    """Within the block moto's DynamoDB works so."""
    with (
        patch.object(DynamoDBBackend, "transact_write_items", _transact),
        patch.object(Table, "query", _query),
        patch.object(AttributePicker, "__call__", _pick),
        patch.object(BaseJSONSerializer, "_serialize_type_structure", _structure),
        patch.object(DynamoHandler, "use_raw_body", new=True),
        patch("moto.core.responses.method_names_from_class", _METHODS),
    ):
        yield
