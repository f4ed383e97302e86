"""What a person sees of a request, and what came of a decision.

`log_decision` writes the line that each decision leaves in the log, whichever way it came and whatever became of it.
"""

import logging
from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace

from bedrock_remediator.core.approval import Approver, Refusal, Verb
from bedrock_remediator.core.durations import Length
from bedrock_remediator.core.grant import Grant, State
from bedrock_remediator.core.suspicion import Risk
from bedrock_remediator.flows.links.links import Ticket
from bedrock_remediator.notices.notice import Denials, Plan, request_id


class View(Struct, frozen=True, kw_only=True):
    """What a person sees of a request.

    Attributes:
        ticket: What they came with.
        grant: The row as it is now.
        open: Whether the very version that the ticket names still waits to be decided.
        replaced: Whether the row was opened anew since, so that the ticket says nothing about it.
        verbs: What may be done now with this ticket, each for the version of `grant`.
        old_link: Whether more could be done by a link that is made for this version.
        denials: How often, and since when; None where nothing was counted.
        plan: The policy before and after, and the snippets.
        risks: What is unusual.
        lengths: How long the grant may last.
        standing: The principal's active grants, this one included: what could be revoked together.
    """

    ticket: Ticket
    grant: Grant
    open: bool
    replaced: bool
    verbs: frozenset[Verb]
    old_link: bool
    denials: Denials | None
    plan: Plan
    risks: tuple[Risk, ...]
    lengths: tuple[Length, ...]
    standing: tuple[Grant, ...]

    @property
    def request_id(self) -> str:
        """The name that the notice of the ticket's version carries."""
        return request_id(replace(self.grant, version=self.ticket.version))


class Decided(Struct, frozen=True):
    """It is done; the row as it is now."""

    grant: Grant


class AlreadyDecided(Struct, frozen=True):
    """Somebody had decided before: who, when, and where it took the row. `grant` is the row as it is now."""

    grant: Grant
    by: str
    at: datetime
    state: State


class LostRace(Struct, frozen=True):
    """Somebody else decided in the same moment, and was first. As `AlreadyDecided`."""

    grant: Grant
    by: str
    at: datetime
    state: State


class Stale(Struct, frozen=True):
    """The row is not as the person saw it, and nobody has decided: it lapsed, or was opened anew, or asks again."""

    grant: Grant


class NotFound(Struct, frozen=True):
    """There is no such request."""


class NotAllowed(Struct, frozen=True):
    """The decision is not accepted: why, in a word and in a sentence."""

    grant: Grant
    why: Refusal
    reason: str


Result = Decided | AlreadyDecided | LostRace | Stale | NotFound | NotAllowed


logger = logging.getLogger(__name__)


def log_decision(verb: str, approver: Approver, result: Result) -> None:
    """Note who decided what, and the result in a word. No link, seal or cookie is in it."""
    row = {} if isinstance(result, NotFound) else {"pk": result.grant.pk, "sk": result.grant.sk}
    version = None if isinstance(result, NotFound) else result.grant.version
    logger.info(
        "a decision",
        extra={
            "decision": str(verb),
            "result": type(result).__name__,
            "by": approver.name,
            "via": str(approver.via),
            "version": version,
            **row,
        },
    )
