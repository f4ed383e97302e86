"""What upkeep keeps in the ledger for itself: where a long walk goes on, and which day's digest was sent."""

from datetime import UTC, datetime, timedelta
from typing import Final

from bedrock_remediator.aws.errors import passing_trouble
from bedrock_remediator.aws.ledger import Ledger, NoticeClaim
from bedrock_remediator.aws.ledger_items import Item, key, marshal, unmarshal

_DIGEST: Final = "digest"
_UPKEEP: Final = "upkeep"
_MARKER_KEPT: Final = timedelta(days=3)


class UpkeepLedger(Ledger):
    """The ledger as upkeep uses it. None of these items has a `state`, so that they wake nobody."""

    def place(self, chore: str) -> str | None:
        """Where a chore goes on; None where it begins at the beginning."""
        with passing_trouble("reading a chore's place"):
            answer = self._client.get_item(TableName=self._table, Key=key(_UPKEEP, chore), ConsistentRead=True)
        return str(unmarshal(answer["Item"]["place"])) if "Item" in answer else None

    def put_place(self, chore: str, place: str) -> None:
        """Say where a chore goes on: `""` for the beginning."""
        item = key(_UPKEEP, chore) | {"place": marshal(place)}
        with passing_trouble("writing a chore's place"):
            self._client.put_item(TableName=self._table, Item=item)

    def claim_digest(self, day: str) -> NoticeClaim:
        """Ask, before publishing, whether a day's digest is still to be sent: as `claim_notice`; `YYYY-MM-DD`."""
        return self._claim(_marker(day))

    def digest_sent(self, day: str) -> None:
        """Say that it went out."""
        self._sent(_marker(day))


def _marker(day: str) -> Item:
    """The day's marker, which DynamoDB may delete when nobody asks for it any more."""
    kept_until = datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=UTC) + _MARKER_KEPT
    return key(_DIGEST, day) | {"expires": marshal(int(kept_until.timestamp()))}
