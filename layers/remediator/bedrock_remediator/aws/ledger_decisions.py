"""The two writes by which people change the ledger, with a decision or to ask for a link: all that approve can do."""

from typing import Final

from botocore.exceptions import ClientError

from bedrock_remediator.aws import expressions
from bedrock_remediator.aws.errors import error_code
from bedrock_remediator.aws.ledger_items import grant_item, key
from bedrock_remediator.aws.ledger_writes import FAILED, ConflictError, LedgerWriter, check_step
from bedrock_remediator.core.grant import Grant

DECISION_ATTRIBUTES: Final = frozenset(
    {
        "pk",
        "sk",
        "approval",
        "cool_down_until",
        "decided_at",
        "decided_by",
        "decided_version",
        "decided_via",
        "decision",
        "decision_reason",
        "due_at",
        "expires_at",
        "grant_seconds",
        "history",
        "reason",
        "reason_code",
        "rule",
        "state",
        "updated_at",
        "version",
    }
)
"""All that a person's decision names of a row in its UpdateItem."""

APPROVE_ATTRIBUTES: Final = DECISION_ATTRIBUTES | {"link_asked_at"}
"""All that approve names of a row; IAM holds it to these (dynamodb:Attributes)."""


class DecisionLedger(LedgerWriter):
    """The ledger for who decides: its reads, and a write that changes nothing but what a decision is made of."""

    # What the write enforces: as `move` does, and that nothing changes but what a decision is made of. A refused write
    # is not answered with the item, of which approve may not read every attribute that way: it is read instead.
    def decide(self, before: Grant, after: Grant) -> None:
        """Take a row where a person's decision takes it (see core/approval.py), and change nothing else of it.

        Raises:
            ConflictError: The row is not in that state at that version any more: somebody else was first.
            IllegalTransitionError: The state machine has no such arrow.
            ValueError: The key or something that a decision does not change changes, or the version not by one.
        """
        check_step(before, after)
        self._write(before, after, DECISION_ATTRIBUTES, ("state", "version"))

    # What the write enforces: the row is in the state and at the version that was read, and nobody has asked meanwhile.
    def ask_for_link(self, before: Grant, after: Grant) -> None:
        """Note on a row that somebody asked for a new link to it (`link_asked_at`), and change nothing else of it.

        Raises:
            ConflictError: The row is not as it was read any more.
            ValueError: Something else changes.
        """
        self._write(before, after, frozenset({"link_asked_at"}), ("state", "version", "link_asked_at"))

    def _write(self, before: Grant, after: Grant, allowed: frozenset[str], guard: tuple[str, ...]) -> None:
        was, becomes = grant_item(before), grant_item(after)
        changed = expressions.changed_names(was, becomes)
        if not allowed.issuperset(changed):
            raise ValueError(f"this may not change {sorted({*changed} - allowed)}")
        try:
            self._patiently(
                lambda: self._client.update_item(
                    TableName=self._table,
                    Key=key(*before.key),
                    **expressions.update(was, becomes, guard),
                )
            )
        except ClientError as error:
            if error_code(error) != f"{FAILED}Exception":
                raise
            found = self.grant(*before.key)
            if found is None or not expressions.already_made(grant_item(found), was, becomes, guard):
                raise ConflictError(*before.key) from error
