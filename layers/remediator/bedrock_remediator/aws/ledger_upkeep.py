"""What only upkeep writes: a request that a rule approves by now, where a long walk goes on, which digest was sent."""

from datetime import UTC, datetime, timedelta
from typing import Final

from bedrock_remediator.aws.errors import passing_trouble
from bedrock_remediator.aws.ledger import CapReachedError, ConflictError, Ledger, NoticeClaim
from bedrock_remediator.aws.ledger_items import Cap, Item, key, marshal, unmarshal
from bedrock_remediator.aws.ledger_writes import check_step
from bedrock_remediator.core.grant import Grant

_DIGEST: Final = "digest"
_UPKEEP: Final = "upkeep"
_MARKER_KEPT: Final = timedelta(days=3)


class UpkeepLedger(Ledger):
    """The ledger as upkeep uses it. None of its own items has a `state`, so that they wake nobody."""

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

    # What the transaction enforces:
    #
    #   pending at version n, as read --> approved at version n + 1
    #
    #   together with, for a cap    no counter | cap#… below its limit --> cap#… one higher
    def approve(self, before: Grant, after: Grant, cap: Cap | None) -> None:
        """Take a request where a rule takes it, and count the grant against the rule's limit: both or neither.

        Raises:
            ConflictError: The row is not in that state at that version any more.
            CapReachedError: The cap is used up, and nothing else stood in the way.
            IllegalTransitionError: The state machine has no such arrow.
            ValueError: The key changes, or the version does not move by one.
        """
        if cap is None:
            self.move(before, after)
            return
        check_step(before, after)
        if cap.limit < 1:
            raise CapReachedError(cap)
        writes = [self._step(before, after), self._spend(cap)]
        self._patiently(lambda: self._transact(writes, (ConflictError(*before.key), CapReachedError(cap))))

    def claim_digest(self, day: str) -> NoticeClaim:
        """Ask, before publishing, whether a day's digest is still to be sent: as `claim_notice`.

        `day` is `YYYY-MM-DD`; for an hour of which notices were folded, `YYYY-MM-DDTHH`.
        """
        return self._claim(_marker(day))

    def digest_sent(self, day: str) -> None:
        """Say that it went out."""
        self._sent(_marker(day))


def _marker(day: str) -> Item:
    """The day's marker, which DynamoDB may delete when nobody asks for it any more."""
    kept_until = datetime.strptime(day[:10], "%Y-%m-%d").replace(tzinfo=UTC) + _MARKER_KEPT
    return key(_DIGEST, day) | {"expires": marshal(int(kept_until.timestamp()))}
