"""A grant, as the ledger keeps it, and the states it can move through.

```
reported                                   no grant would help, or mode observe: advice, then a cool-down
pending --approve--> approved --> applying --> active --expire|revoke--> revoking --> revoked
  | ^                   |  |         |--> rolled_back    it certainly does not help; removed again, reason kept
  | +--inputs changed,  |  |         +--> failed         cannot be applied; reason kept; a person may approve again
  |    or older than 24 h  +--> lapsed                      active --repair of drift, same grant--> approved
  |--reject--> rejected                                     active --model list changed--> pending
  +--lapse---> lapsed
```

A conversation is one thread in a chat, however often the row moves.
"""

import enum
import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec
from msgspec import Struct

from bedrock_remediator.core.layers import Effect, Layer

HISTORY_LENGTH: Final = 20

KEPT_PREFIX: Final = "kept#"
"""Begins the sk of the copy of a grant that stays in force while its row asks for something else."""


class State(enum.StrEnum):
    """Where a grant stands."""

    REPORTED = "reported"
    PENDING = "pending"
    APPROVED = "approved"
    APPLYING = "applying"
    ACTIVE = "active"
    REVOKING = "revoking"
    REVOKED = "revoked"
    REJECTED = "rejected"
    LAPSED = "lapsed"
    ROLLED_BACK = "rolled_back"
    FAILED = "failed"


class DiagnosisKind(enum.StrEnum):
    """What a denial turned out to be."""

    MISSING_GRANT = "missing_grant"
    ALREADY_ALLOWED = "already_allowed"
    CONDITIONAL_ALLOW = "conditional_allow"
    WRONG_IDENTIFIER = "wrong_identifier"
    NOT_FIXABLE = "not_fixable"
    LEAKED_KEY = "leaked_key"
    UNKNOWN = "unknown"


class Outcome(enum.StrEnum):
    """What is done about a diagnosis."""

    AUTO = "auto"
    ASK = "ask"
    REPORT = "report"


class Verification(enum.StrEnum):
    """What simulation said after the write. It knows not all that a call is subject to: never more than `simulated`."""

    SIMULATED = "simulated"
    INCONCLUSIVE = "inconclusive"


class Via(enum.StrEnum):
    """Which way a person's decision came."""

    LINK = "link"
    OIDC = "oidc"
    API = "api"
    SLACK = "slack"


TRANSITIONS: Final[Mapping[State, frozenset[State]]] = {
    State.REPORTED: frozenset(),
    State.PENDING: frozenset({State.APPROVED, State.REJECTED, State.LAPSED}),
    State.APPROVED: frozenset({State.APPLYING, State.PENDING, State.LAPSED, State.FAILED}),
    State.APPLYING: frozenset({State.ACTIVE, State.ROLLED_BACK, State.FAILED}),
    State.ACTIVE: frozenset({State.REVOKING, State.APPROVED, State.PENDING}),
    State.REVOKING: frozenset({State.REVOKED}),
    State.REVOKED: frozenset(),
    State.REJECTED: frozenset(),
    State.LAPSED: frozenset(),
    State.ROLLED_BACK: frozenset(),
    State.FAILED: frozenset({State.APPROVED}),
}
"""Which state may follow which. A finished row is reopened by archiving it, not by a transition."""

FINISHED: Final = frozenset(
    {State.REPORTED, State.REVOKED, State.REJECTED, State.LAPSED, State.ROLLED_BACK, State.FAILED}
)
"""States from which a later denial opens the row anew, once its cool-down has passed."""

STANDING: Final = frozenset({State.APPLYING, State.ACTIVE})
"""States whose grants are part of the principal's policy."""


class IllegalTransitionError(ValueError):
    """The state machine has no such arrow."""


class Event(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of a grant's history."""

    at: datetime
    state: State
    by: str
    reason: str


class Sighting(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The call that opened the row: untrusted text, kept for people to read, escaped wherever it is shown.

    `resource` is the ARN of which AWS's message said with certainty that no identity-based policy allows the action on
    it; None where it said anything else. What a refusal by the policy simulator is worth depends on it.
    """

    event_id: str
    time: datetime
    action: str | None = None
    resource: str | None = None
    source_ip: str | None = None
    vpc_endpoint: str | None = None
    vpc_endpoint_account: str | None = None
    user_agent: str | None = None
    session: str | None = None
    message: str | None = None
    source_identity: str | None = None


class Written(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What remediation wrote for this grant: enough to take back exactly that.

    `strategy` is `managed`, `inline` or `in-place`; `policies` the ARNs or inline names. For `in-place`: `added` are
    the ARNs put into the principal's own policy, or the Sids of our statements in it; `previous_version` is the
    managed version that was the default before; `seal` the base64 of remediate's seal on all this (core/signing.py).
    """

    strategy: str
    policies: tuple[str, ...]
    added: tuple[str, ...] = ()
    previous_version: str | None = None
    seal: str | None = None


class Cause(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was diagnosed, apart from what was decided about it: what a request is decided about again by.

    `code` and `reason` are the diagnosis's. `ask_only` says that a person must decide, whatever the rules come to say:
    something about the denial is a person's to judge.
    """

    code: str
    reason: str
    ask_only: bool = False


class Remark(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something that was found about one version of a row, and changes nothing about it: people are told of it once.

    `code` says what in one word, `reason` in a sentence.
    """

    version: int
    at: datetime
    code: str
    reason: str


class Grant(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One row of the ledger.

    `pk` is the principal's IAM ARN (or `account/ID/TYPE/principalId`), `sk` is `profile#ARN`, `model#ARN` or
    `advice#diagnosis#resource#code`, or, for a grant that stays in force while its row asks for something else,
    `kept#` and that row's sk. `version` moves with every change of state. `resources` is the complete sorted set of
    ARNs that a call needs, `allowed` those of them that were allowed already when it was diagnosed. `basis` is a
    digest of the configuration it was decided under; another configuration ends a finished row's cool-down.

    `link_asked_at` says when somebody with an expired link asked for a new one: see core/lifecycle.py.
    `account_name` is what a member account is called, its id where that is not known; None for the service's own.

    `cause` is the diagnosis behind `reason`, which also says what was decided.

    `decided_by` and its neighbours tell of the last decision that a person made; `decided_version` is the version
    that the row had after it, and `approval` the base64 of its signature (see core/signing.py).

    `reminded_at` (the approvers were reminded), `driven_at` (the row was stuck, and sent on its way again, for the
    `attempt`th time) and `remark` are upkeep's, and hold for the state that the row was in then: see core/lifecycle.py.

    `looked_at` is when a later denial of a reported row was looked into last, and gave the same answer.
    """

    pk: str
    sk: str
    state: State
    version: int
    principal: str | None
    principal_id: str | None
    account: str
    account_name: str | None = None
    region: str
    diagnosis: DiagnosisKind
    decision: Outcome
    reason_code: str
    reason: str
    created_at: datetime
    updated_at: datetime
    sighting: Sighting
    layer: Layer
    effect: Effect | None = None
    denying_policy: str | None = None
    profile: str | None = None
    model_id: str | None = None
    resources: tuple[str, ...] = ()
    allowed: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()
    candidates: tuple[str, ...] = ()
    evidence: str | None = None
    rule: str | None = None
    verification: Verification | None = None
    simulated_at: datetime | None = None
    applied_at: datetime | None = None
    expires_at: datetime | None = None
    grant_seconds: int | None = None
    cool_down_until: datetime | None = None
    cool_downs: int = 0
    blocked_by: str | None = None
    basis: str | None = None
    cause: Cause | None = None
    attempt: int = 0
    written: Written | None = None
    decided_by: str | None = None
    decided_at: datetime | None = None
    decided_via: Via | None = None
    decided_version: int | None = None
    decision_reason: str | None = None
    approval: str | None = None
    reminded_at: datetime | None = None
    driven_at: datetime | None = None
    link_asked_at: datetime | None = None
    remark: Remark | None = None
    looked_at: datetime | None = None
    history: tuple[Event, ...] = ()

    @property
    def key(self) -> tuple[str, str]:
        """The row's primary key."""
        return self.pk, self.sk

    @property
    def kept(self) -> bool:
        """Whether it is the copy that stays in force while the row that it was made from asks for something else."""
        return self.sk.startswith(KEPT_PREFIX)

    @property
    def kept_for(self) -> str | None:
        """The sk of the row that it is kept for; None for one that is no such copy."""
        return self.sk.removeprefix(KEPT_PREFIX) if self.kept else None

    @property
    def models(self) -> tuple[str, ...]:
        """The foundation-model ARNs of the set."""
        return tuple(arn for arn in self.resources if arn != self.profile)

    @property
    def group(self) -> str:
        """The FIFO message group: one a principal, in the 128 characters that SQS allows (an ARN may be longer)."""
        return message_group(self.pk)

    @property
    def first_version(self) -> int:
        """The lowest version of this row that its history still tells of: 1, or where it was opened anew."""
        return self.version - max(len(self.history) - 1, 0)

    def step(self, version: int) -> Event | None:
        """The step that led to a version; None for one that the history does not tell of."""
        place = version - self.first_version
        return self.history[place] if 0 <= place < len(self.history) else None

    def moved(self, to: State, *, at: datetime, by: str, reason: str, **changes: Any) -> "Grant":
        """The row in its next state: version one higher, the step in its history.

        Raises:
            IllegalTransitionError: The state machine has no arrow from here to there.
        """
        if to not in TRANSITIONS[self.state]:
            raise IllegalTransitionError(f"{self.state} -> {to}")
        step = Event(at=at, state=to, by=by, reason=reason)
        history = (*self.history, step)[-HISTORY_LENGTH:]
        return msgspec.structs.replace(
            self, state=to, version=self.version + 1, updated_at=at, history=history, **changes
        )


def kept_copy(grant: Grant) -> Grant:
    """The grant in force as a row of its own, which keeps it so while the row itself asks for something else."""
    return msgspec.structs.replace(grant, sk=kept_key(grant.sk), state=State.ACTIVE, remark=None, blocked_by=None)


def kept_key(sk: str) -> str:
    """The sk of what is kept for a row."""
    return f"{KEPT_PREFIX}{sk}"


def message_group(pk: str) -> str:
    """The FIFO message group of a principal's changes."""
    return hashlib.sha256(pk.encode()).hexdigest()


def grant_length(expires_after: timedelta | None, default_days: int) -> timedelta | None:
    """How long a grant lasts: what its rule says, else the default; None for no end (`default_days` is 0)."""
    return expires_after or (timedelta(days=default_days) if default_days else None)


ADVICE: Final = "advice"


def conversation(grant: Grant) -> str:
    """Which of the row's conversations this is.

    A row that is opened anew asks anew, in a conversation of its own. Advice that comes again is a repeat, and belongs
    to the conversation it began.
    """
    if grant.state is State.REPORTED:
        return ADVICE
    return grant.created_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def thread_id(grant: Grant) -> str:
    """A name for the conversation that is safe everywhere and grants nothing, 32 hexadecimal digits."""
    key = "\0".join((grant.pk, grant.sk, conversation(grant)))
    return hashlib.sha256(key.encode(errors="backslashreplace")).hexdigest()[:32]


def steps_after(grant: Grant, version: int) -> Sequence[Event]:
    """What has happened to the row since it was at a version, as far as its history goes back."""
    later = range(max(version + 1, grant.first_version), grant.version + 1)
    return [step for step in map(grant.step, later) if step]


ASKED: Final = "Written, and asked of the policy simulator: "
"""How the line of a grant's history begins that says what the simulator's answer was once the grant was written."""
