"""What notify writes: which notices went out, and how many in an hour."""

from datetime import UTC, datetime, timedelta
from typing import Final, Literal

from bedrock_remediator.aws import expressions
from bedrock_remediator.aws.errors import passing_trouble
from bedrock_remediator.aws.ledger_items import Item, key, marshal, notice_key, unmarshal
from bedrock_remediator.aws.ledger_writes import LedgerWriter
from bedrock_remediator.core.grant import Grant

NoticeClaim = Literal["new", "maybe_sent", "sent"]

NOTICES: Final = "notices"
"""The pk of the counters of notices; their sk is the hour, `YYYY-MM-DDTHH` in UTC."""

_COUNTER_KEPT: Final = timedelta(days=3)


def hour_of(time: datetime) -> str:
    """The hour that a notice is counted in, in UTC."""
    return f"{time.astimezone(UTC):%Y-%m-%dT%H}"


def beginning(hour: str) -> datetime:
    """When an hour begins."""
    return datetime.strptime(hour, "%Y-%m-%dT%H").replace(tzinfo=UTC)


class NoticeLedger(LedgerWriter):
    """The ledger for who tells people."""

    # What the write enforces:
    #
    #   no marker --> claimed --publish--> sent
    #
    # Who finds `claimed` cannot know whether its notice went out: the function before may have died on either side.
    def claim_notice(self, grant: Grant, *, link: bool = False) -> NoticeClaim:
        """Ask, before publishing, whether the notice of this state of the row is still to be sent.

        Args:
            grant: The row.
            link: Whether it is about the new link that was asked for.

        Returns:
            `new`: it was not sent; `maybe_sent`: somebody began to, send it and say so; `sent`: send nothing.
        """
        return self._claim(notice_key(grant, link=link))

    def notice_sent(self, grant: Grant, *, link: bool = False) -> None:
        """Say that the notice went out; as `claim_notice`."""
        self._sent(notice_key(grant, link=link))

    def _claim(self, marker: Item) -> NoticeClaim:
        written = self._conditional(
            lambda: self._client.put_item(
                TableName=self._table,
                Item=marker | {"status": marshal("claimed")},
                ConditionExpression=expressions.ABSENT,
            )
        )
        if written is None:
            return "new"
        # A refused write is not answered with the item: of a role held to attributes that is not documented.
        with passing_trouble("reading a notice's marker"):
            found = self._client.get_item(
                TableName=self._table, Key=key(marker["pk"]["S"], marker["sk"]["S"]), ConsistentRead=True
            )
        return "sent" if found.get("Item", {}).get("status") == marshal("sent") else "maybe_sent"

    def _sent(self, marker: Item) -> None:
        with passing_trouble("marking a notice as sent"):
            self._client.put_item(TableName=self._table, Item=marker | {"status": marshal("sent")})

    def count_notice(self, kind: str, hour: str) -> int:
        """Count one more notice that may be folded, and say how many there were in its hour, of all kinds.

        A function that dies and begins again counts twice: too many are folded then, and none goes uncounted.

        Args:
            kind: What it is about, in one word, which is the name of an attribute.
            hour: As `hour_of` gives it.
        """
        expires = int((beginning(hour) + _COUNTER_KEPT).timestamp())
        with passing_trouble("counting a notice"):
            answer = self._client.update_item(
                TableName=self._table,
                Key=key(NOTICES, hour),
                UpdateExpression="SET #expires = :expires ADD #used :one, #kind :one",
                ExpressionAttributeNames={"#expires": "expires", "#used": "used", "#kind": kind},
                ExpressionAttributeValues={":expires": marshal(expires), ":one": marshal(1)},
                ReturnValues="UPDATED_NEW",
            )
        return int(unmarshal(answer["Attributes"]["used"]))

    def notices_counted(self, after: str, before: str) -> dict[str, dict[str, int]]:
        """The hours between two (neither included) with how many notices there were by kind, the earliest first."""
        items = self._pages(
            KeyConditionExpression="pk = :pk AND sk BETWEEN :after AND :before",
            ExpressionAttributeValues={":pk": marshal(NOTICES), ":after": marshal(after), ":before": marshal(before)},
        )
        hours = {item["sk"]["S"]: item for item in items}
        own = {"pk", "sk", "expires", "used"}
        return {
            hour: {name: int(unmarshal(value)) for name, value in sorted(item.items()) if name not in own}
            for hour, item in hours.items()
            if hour not in (after, before)
        }
