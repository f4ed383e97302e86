"""Which approvals remediate has used: a table of its own, which no other role may write to (template.yaml).

One item a key, which is never deleted: `pk`, `sk` (those of the row; a kept grant has its row's), the fields of `Use`.
"""

from typing import TYPE_CHECKING, Final

import msgspec

from bedrock_remediator.aws.errors import passing_trouble
from bedrock_remediator.aws.ledger import expressions
from bedrock_remediator.aws.ledger.items import key, marshal, unmarshal
from bedrock_remediator.core.approval import Use
from bedrock_remediator.core.grant import Grant

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

_FIELDS: Final = ("decided_at", "decided_version", "outcome", "since")


class UsedApprovals:
    """Reads the table, and says what to write with a step of a row: see `Ledger.move`."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client = client
        self._table = table

    def last(self, grant: Grant) -> Use | None:
        """The last approval of a row's key that was used, read consistently; None if none was.

        Raises:
            RetryableError: Passing trouble.
        """
        with passing_trouble("reading a used approval"):
            answer = self._client.get_item(TableName=self._table, Key=_key(grant), ConsistentRead=True)
        if "Item" not in answer:
            return None
        return msgspec.convert(
            {name: unmarshal(value) for name, value in answer["Item"].items() if name in _FIELDS}, Use
        )

    # What the write enforces, together with the step of the row:
    #
    #   nothing | the use as read --> the use as it becomes
    def put(self, grant: Grant, use: Use, before: Use | None) -> "TransactWriteItemTypeDef":
        """The write of what is remembered of a row's key from now on, while it is as it was read."""
        condition = {"ConditionExpression": expressions.ABSENT}
        if before is not None:
            condition = expressions.unchanged(_item(before), _FIELDS)
        item = _key(grant) | _item(use)
        return {"Put": {"TableName": self._table, "Item": item, **condition}}  # type: ignore[typeddict-item]


def _key(grant: Grant) -> dict[str, dict[str, str]]:
    return key(grant.pk, grant.kept_for or grant.sk)


def _item(use: Use) -> dict[str, dict[str, str]]:
    return {
        "decided_at": marshal(use.decided_at),
        "decided_version": marshal(use.decided_version),
        "outcome": marshal(use.outcome.value),
        **({"since": marshal(use.since)} if use.since else {}),
    }
