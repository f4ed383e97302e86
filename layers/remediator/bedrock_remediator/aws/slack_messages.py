"""What Slack was sent, remembered in the ledger: an item for each conversation, `<sk>#<conversation>` of `slack#<pk>`.

The items have no `state`, so writing them wakes nobody. Slack has no way to post a message only once, so the memory is
written before (a claim) and after: whoever finds a claim that nobody holds any more knows that a message may be there.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec
from botocore.exceptions import ClientError
from msgspec import Struct

from bedrock_remediator.aws.errors import error_code, passing_trouble
from bedrock_remediator.aws.ledger import expressions
from bedrock_remediator.aws.ledger.items import Item, key, marshal, read_grant, unmarshal
from bedrock_remediator.aws.ledger.write import ConflictError
from bedrock_remediator.core.grant import Grant

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class SlackMessage(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A message in a channel, and how far it and its thread tell of the row.

    `shown` is the row's version that the message shows, `told` the last one that the channel or the thread was told
    of, `noted` the last remark on it that was passed on, `page` the address of the row's page. `holder` sends something
    until `held_until`, and nobody else may.
    `unsure` counts the posts for version `trying` that have begun and of which nobody knows whether they arrived.
    `expires` is when DynamoDB may forget the item, in seconds since 1970.
    """

    pk: str
    sk: str
    revision: int = 0
    channel: str | None = None
    ts: str | None = None
    shown: int = 0
    told: int = 0
    noted: str | None = None
    page: str | None = None
    holder: str | None = None
    held_until: datetime | None = None
    unsure: int = 0
    trying: int = 0
    expires: int | None = None

    @classmethod
    def unsent(cls, pk: str, row: str, conversation: str, *, expires: int | None = None) -> "SlackMessage":
        """The memory of a conversation that has not begun."""
        return cls(pk=f"slack#{pk}", sk=f"{row}#{conversation}", expires=expires)

    def changed(self, **changes: Any) -> "SlackMessage":
        """The next revision."""
        return msgspec.structs.replace(self, revision=self.revision + 1, **changes)


class SlackMessages:
    """Reads and writes the memory. Every method raises `RetryableError` on throttling."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client = client
        self._table = table

    def recall(self, unsent: SlackMessage) -> SlackMessage:
        """The memory of a conversation as it is now; as it was given where there is none."""
        item = self._get(unsent.pk, unsent.sk)
        return _read(item) if item else unsent

    # What the write enforces:
    #
    #   nothing | the memory at revision n, as read --> revision n + 1
    def save(self, after: SlackMessage) -> SlackMessage:
        """Write the next revision, and return it.

        Raises:
            ConflictError: Somebody else has written meanwhile.
        """
        item = _item(after)
        before = {"revision": marshal(after.revision - 1)}
        condition: dict[str, Any] = (
            {"ConditionExpression": expressions.ABSENT}
            if after.revision == 1
            else expressions.unchanged(before, ("revision",))
        )
        try:
            with passing_trouble("remembering a message to Slack"):
                self._client.put_item(TableName=self._table, Item=item, **condition)
        except ClientError as error:
            if error_code(error) != "ConditionalCheckFailedException":
                raise
            # Our own write, whose answer was lost: botocore has sent it twice. `holder` makes it unmistakable.
            # A refused write is not answered with the item: of a role held to attributes that is not documented.
            if self._get(after.pk, after.sk) != item:
                raise ConflictError(after.pk, after.sk) from error
        return after

    def archived(self, pk: str, sk: str, version: int) -> Grant | None:
        """The row as it was at its end at this version, if it has been opened anew since."""
        item = self._get(pk, f"archive#{sk}#{version}")
        return read_grant(item | {"sk": {"S": sk}, "state": item["archived_state"]}) if item else None

    def _get(self, pk: str, sk: str) -> Item | None:
        with passing_trouble("recalling a message to Slack"):
            answer = self._client.get_item(TableName=self._table, Key=key(pk, sk), ConsistentRead=True)
        return answer.get("Item")


def _item(message: SlackMessage) -> Item:
    fields: Mapping[str, Any] = msgspec.to_builtins(message, builtin_types=(datetime,))
    return {name: marshal(value) for name, value in fields.items()}


def _read(item: Mapping[str, Any]) -> SlackMessage:
    return msgspec.convert({name: unmarshal(value) for name, value in item.items()}, SlackMessage)
