"""Decisions of people, for tests: who decides, what, and rows that wait for it."""

from datetime import timedelta
from typing import Any

from bedrock_remediator.core.approval import Answer, Approver, Terms, Verb
from bedrock_remediator.core.grant import Event, Grant, State
from tests.builders.grants import NOON, pending_grant

ALICE = Approver.by_link("Alice")
BOB = Approver.by_oidc("bob@example.com")
ANYTHING = Terms(longest=None)
KEY = "k" * 32


def waiting(**changes: Any) -> Grant:
    """A request at version 1 as triage opens it, with the first line of its history."""
    opened = Event(at=NOON, state=State.PENDING, by="triage", reason="No rule names it.")
    return pending_grant(**{"history": (opened,)} | changes)


def stepped(grant: Grant, *states: State, by: str = "remediate") -> Grant:
    """The row some steps later, a minute each."""
    for state in states:
        grant = grant.moved(state, at=grant.updated_at + timedelta(minutes=1), by=by, reason="test")
    return grant


def answer(verb: Verb = Verb.APPROVE, version: int = 1, **changes: Any) -> Answer:
    """Alice's decision, without a reason, and a grant without end."""
    return Answer(**{"verb": verb, "version": version, "approver": ALICE, **changes})


class FakeKeys:
    """Signing keys; `newer` is what there is to find for who looks again."""

    def __init__(self, *keys: str, newer: tuple[str, ...] = ()) -> None:
        self.known = keys or (KEY,)
        self.newer = newer
        self.asked_again = 0

    def newest(self) -> str:
        """The first of them."""
        return self.known[0]

    def keys(self, *, fresh: bool = False) -> tuple[str, ...]:
        """The keys."""
        self.asked_again += fresh
        if fresh and self.newer:
            self.known = self.newer
        return self.known


class FakeMac:
    """A key that signs and verifies without KMS."""

    def sign(self, message: bytes) -> bytes:
        """Something that only this message has."""
        return b"mac of " + message

    def verify(self, message: bytes, mac: bytes) -> bool:
        """Whether `sign` gave it."""
        return mac == self.sign(message)
