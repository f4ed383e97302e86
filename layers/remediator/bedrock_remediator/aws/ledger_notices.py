"""What notify writes: which notices went out, and how many in an hour."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

from bedrock_remediator.aws import expressions
from bedrock_remediator.aws.errors import passing_trouble
from bedrock_remediator.aws.ledger_items import Item, advice_end, key, marshal, notice_key, unmarshal
from bedrock_remediator.aws.ledger_writes import LedgerWriter
from bedrock_remediator.core.grant import Grant

NoticeClaim = Literal["new", "maybe_sent", "sent"]

NOTICES: Final = "notices"
"""The pk of the counters of notices; their sk is the hour, `YYYY-MM-DDTHH` in UTC, with whom it is about before."""

FOLDED: Final = "_folded"
"""Behind the name of a kind: that of its notices which were folded because one caller had set off too many."""

_LEAST_OF_ONE: Final = 3
_APART: Final = frozenset({"advice", "advice_folded", "alert_folded"})
"""What does not count among the notices of an hour: anybody who is denied something can cause these."""

_COUNTER_KEPT: Final = timedelta(days=3)


def hour_of(time: datetime) -> str:
    """The hour that a notice is counted in, in UTC."""
    return f"{time.astimezone(UTC):%Y-%m-%dT%H}"


def share_of_one(most: int) -> int:
    """How many notices of advice, or of one kind of alert, one caller may set off in an hour."""
    return max(most // 10, _LEAST_OF_ONE)


def folded(kinds: Mapping[str, int], most: int) -> int:
    """How many notices of an hour were not sent one by one, of so many of each kind.

    Args:
        kinds: How many there were, as `notices_counted` gives them.
        most: How many notices an hour may have, and beside them how many of advice.
    """
    others = sum(number for kind, number in kinds.items() if kind not in _APART)
    beyond = max(others - most, 0) + max(kinds.get("advice", 0) - most, 0)
    return beyond + sum(number for kind, number in kinds.items() if kind.endswith(FOLDED))


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
        return self._claim(_marker(grant, link=link))

    def notice_sent(self, grant: Grant, *, link: bool = False) -> None:
        """Say that the notice went out; as `claim_notice`."""
        self._sent(_marker(grant, link=link))

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
        """Count one more notice that may be folded, and say how many there were in its hour.

        Advice is counted by itself, all other kinds together. A function that dies and begins again counts twice: too
        many are folded then, and none goes uncounted.

        Args:
            kind: What it is about, in one word, which is the name of an attribute.
            hour: As `hour_of` gives it.
        """
        return self._count(hour, hour, (kind,) if kind in _APART else ("used", kind))

    def count_notice_of_one(self, subject: str, hour: str) -> int:
        """Count one more notice about a subject, a caller that sets them off, and say how many its hour has had."""
        digest = hashlib.sha256(subject.encode(errors="backslashreplace")).hexdigest()[:32]
        return self._count(f"of#{digest}#{hour}", hour, ("used",))

    def _count(self, sk: str, hour: str, names: Sequence[str]) -> int:
        """Add one to each attribute, and give the first."""
        expires = int((beginning(hour) + _COUNTER_KEPT).timestamp())
        added = ", ".join(f"#{name} :one" for name in names)
        with passing_trouble("counting a notice"):
            answer = self._client.update_item(
                TableName=self._table,
                Key=key(NOTICES, sk),
                UpdateExpression=f"SET #expires = :expires ADD {added}",
                ExpressionAttributeNames={"#expires": "expires", **{f"#{name}": name for name in names}},
                ExpressionAttributeValues={":expires": marshal(expires), ":one": marshal(1)},
                ReturnValues="UPDATED_NEW",
            )
        return int(unmarshal(answer["Attributes"][names[0]]))

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


def _marker(grant: Grant, *, link: bool) -> Item:
    """The marker of a notice; that of advice ends with it."""
    return notice_key(grant, link=link) | {name: marshal(value) for name, value in advice_end(grant).items()}
