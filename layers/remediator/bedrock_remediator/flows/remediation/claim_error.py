"""Why a row must not be applied."""

from typing import Any

from bedrock_remediator.core.grant import State


class ClaimError(Exception):
    """The row must not be applied.

    `to` is the state it goes to instead, `code` the reason in one word, `reason` in a sentence; `changes` are fields
    that a person who is asked again must see as they are now.
    """

    def __init__(self, to: State, code: str, reason: str, **changes: Any) -> None:
        super().__init__(f"{code}: {reason}")
        self.to = to
        self.code = code
        self.reason = reason
        self.changes = changes


def inconsistent(why: str) -> ClaimError:
    """Two parts of the row do not go together."""
    return ClaimError(State.FAILED, "row_inconsistent", f"The ledger's row contradicts itself: {why}.")
