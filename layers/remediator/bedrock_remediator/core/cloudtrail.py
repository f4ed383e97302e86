"""From a CloudTrail record in EventBridge's envelope, as bytes, to a `Denial`: who was denied what, by which layer.

The envelope, the record and its message must agree on the account, the region and the principal; a record in which
they do not is `Unreadable`, never a denial.

The record's shape is in docs/aws-facts.md §1. Every field may be missing or null. Of an event whose fields have
unexpected types, the strings are kept, so that it can be written down.

`Delivery` says how the event's message came into the queue of denials, by what SQS itself says of it (§7.13, §7.14).
"""

import hashlib
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Final, Self, TypeGuard

import msgspec
from msgspec import Struct

from bedrock_remediator.core import message as messages
from bedrock_remediator.core.arn import ArnError, AssumedRole, BedrockResource, Principal
from bedrock_remediator.core.layers import Effect, Layer


class RecordError(ValueError):
    """The bytes are no CloudTrail record in an EventBridge envelope: there is nothing in them to write down."""


class Issuer(Struct):
    """The role behind a session."""

    arn: str | None = None


class SessionContext(Struct):
    """What is told of a session."""

    issuer: Issuer | None = msgspec.field(default=None, name="sessionIssuer")
    source_identity: str | None = msgspec.field(default=None, name="sourceIdentity")


# Fields stand in the order in which AWS writes them: the decoder looks for the next one first.
class Identity(Struct):
    """Who called."""

    type: str | None = None
    principal_id: str | None = msgspec.field(default=None, name="principalId")
    arn: str | None = None
    account: str | None = msgspec.field(default=None, name="accountId")
    session: SessionContext | None = msgspec.field(default=None, name="sessionContext")


class Parameters(Struct):
    """What a call asked for, as far as it is looked at."""

    model_id: Any = msgspec.field(default=None, name="modelId")


# The client wrote them, so they may be anything, and a record is read whatever they are.
AnyParameters = Parameters | list[Any] | str | float | bool | None


class Record(Struct):
    """The record of a call, as far as it is looked at."""

    identity: Identity | None = msgspec.field(default=None, name="userIdentity")
    event_time: datetime | None = msgspec.field(default=None, name="eventTime")
    event_name: str | None = msgspec.field(default=None, name="eventName")
    region: str | None = msgspec.field(default=None, name="awsRegion")
    source_ip: str | None = msgspec.field(default=None, name="sourceIPAddress")
    user_agent: str | None = msgspec.field(default=None, name="userAgent")
    error_message: str | None = msgspec.field(default=None, name="errorMessage")
    parameters: AnyParameters = msgspec.field(default=None, name="requestParameters")
    event_id: str | None = msgspec.field(default=None, name="eventID")
    recipient: str | None = msgspec.field(default=None, name="recipientAccountId")
    shared_event_id: str | None = msgspec.field(default=None, name="sharedEventID")
    vpc_endpoint: str | None = msgspec.field(default=None, name="vpcEndpointId")
    vpc_endpoint_account: str | None = msgspec.field(default=None, name="vpcEndpointAccountId")


class Envelope(Struct, kw_only=True):
    """What EventBridge puts around a record. `origin` is this project's own word on events that were sent again."""

    id: str = ""
    account: str | None = None
    region: str | None = None
    detail: Record
    origin: str | None = None
    malformed: str | None = None


_envelopes = msgspec.json.Decoder(Envelope)
_LONG: Final = 8192
_LONGEST: Final = 1100
"""More than CloudTrail's 1 KB, so that a message that was cut here is known as cut."""
_UNDECODABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def decode(body: bytes | str) -> Envelope:
    """Decode one event; `malformed` says what did not fit where it was salvaged.

    Raises:
        RecordError: It is not JSON, or not an event with a CloudTrail record in it.
    """
    try:
        envelope = _envelopes.decode(body)
    except _UNDECODABLE as error:
        envelope = _salvage(body, str(error))
    if len(body) > _LONG:
        _cut(envelope)
    return envelope


def _cut(envelope: Envelope) -> None:
    """Cut what is longer than AWS writes it, since an item of the ledger holds 400 KB at most."""
    record, identity = envelope.detail, envelope.detail.identity
    for part in (envelope, record, identity, identity.session if identity else None):
        for name in part.__struct_fields__ if part else ():
            if isinstance(value := getattr(part, name), str):
                setattr(part, name, value[:_LONGEST])


def _salvage(body: bytes | str, error: str) -> Envelope:
    """What can be kept of an event whose fields have unexpected types: the strings among them."""
    try:
        event = msgspec.json.decode(body)
    except _UNDECODABLE as undecodable:
        raise RecordError(f"not JSON: {undecodable}") from undecodable
    detail = event.get("detail") if isinstance(event, dict) else None
    if not isinstance(detail, dict):
        raise RecordError(f"not an event with a CloudTrail record: {error}")
    identity = _strings(detail.get("userIdentity"))
    record = _strings(detail)
    return Envelope(
        detail=Record(
            event_name=record.get("eventName"),
            event_time=_time(record.get("eventTime")),
            event_id=record.get("eventID"),
            shared_event_id=record.get("sharedEventID"),
            region=record.get("awsRegion"),
            source_ip=record.get("sourceIPAddress"),
            user_agent=record.get("userAgent"),
            error_message=record.get("errorMessage"),
            recipient=record.get("recipientAccountId"),
            vpc_endpoint=record.get("vpcEndpointId"),
            vpc_endpoint_account=record.get("vpcEndpointAccountId"),
            identity=Identity(
                type=identity.get("type"),
                arn=identity.get("arn"),
                account=identity.get("accountId"),
                principal_id=identity.get("principalId"),
            ),
        ),
        id=_strings(event).get("id", ""),
        account=_strings(event).get("account"),
        region=_strings(event).get("region"),
        malformed=f"The record has a field of an unexpected type ({error}).",
    )


def _strings(value: Any) -> dict[str, str]:
    return {key: item for key, item in value.items() if isinstance(item, str)} if isinstance(value, dict) else {}


def _time(text: str | None) -> datetime | None:
    try:
        return msgspec.convert(text, datetime)
    except msgspec.ValidationError:
        return None


_IDS_BY_AWS: Final = frozenset({"Root", "IdentityCenterUser"})
"""Types of caller without a role or user whose `principalId` AWS assigns; all others may choose theirs."""

OTHER_ACCOUNT: Final = "AWSAccount"
"""The type of a caller of another account, of which the account of what was called learns no more than the account."""

_LONGEST_KEY: Final = 512


class Caller(Struct, frozen=True):
    """Who made the call, as CloudTrail's `userIdentity` tells it.

    `principal` is the role or user that a policy could be attached to; None where there is none (root, an AWS
    service, an Identity Center user). `path_known` is False where the record holds a session's ARN only, which does
    not tell the role's path. `id` is the RoleId or UserId, `session` the session's name, written by the caller,
    `source_identity` who was behind the first session of a chain, which no later one can change.
    """

    type: str
    account: str
    principal: Principal | None
    path_known: bool
    id: str
    session: str | None = None
    arn: str | None = None
    source_identity: str | None = None

    @property
    def folded(self) -> bool:
        """Whether one row stands for all such callers: they choose their ids, and could have as many rows as they like.

        That is so for all that are no role or user, but those whose id AWS assigns.
        """
        return self.principal is None and self.type not in _IDS_BY_AWS

    @property
    def partition_key(self) -> str:
        """The ledger's key for it: the IAM ARN, or `account/ID/TYPE/principalId` where there is none.

        The principalId is `all` for callers that are folded, and the whole a digest where it is longer than any that
        AWS makes: DynamoDB refuses all of a batch for one key that is too long.
        """
        if self.principal:
            return self.principal.arn
        key = f"account/{self.account}/{self.type}/{'all' if self.folded else self.id}"
        if len(key) <= _LONGEST_KEY and key.isascii():
            return key
        return f"account/{hashlib.sha256(key.encode(errors='replace')).hexdigest()}"


class Denial(Struct, frozen=True):
    """One denied call.

    `action` is the IAM action (`bedrock:InvokeModel`), never the API's name. `resource` is None where the message
    names none; `model_id` is the request's `modelId`, unread and untrusted. `certain` is False where the message
    does not name its layer or ends in words that are not known: a person must decide then. `vpc_endpoint` is the
    endpoint that the call came through, `vpc_endpoint_account` whose it is; AWS writes both (docs/aws-facts.md §1).
    `authorization_id` is what GetRequestAuthorizationDetails explains the refusal by, where the message gives one.
    """

    event_id: str
    shared_event_id: str | None
    time: datetime
    account: str
    region: str
    caller: Caller
    action: str
    resource: BedrockResource | None
    model_id: str | None
    layer: Layer
    effect: Effect | None
    policy_arn: str | None
    message: str
    certain: bool
    source_ip: str | None
    user_agent: str | None
    backfill: bool = False
    vpc_endpoint: str | None = None
    vpc_endpoint_account: str | None = None
    authorization_id: str | None = None

    @property
    def unallowed(self) -> str | None:
        """The ARN of which AWS says with certainty that no identity-based policy allows the action on it."""
        named = self.certain and self.layer is Layer.IDENTITY and self.effect is Effect.IMPLICIT
        return str(self.resource) if named and self.resource else None


class Unreadable(Struct, frozen=True):
    """A record that the rule matched and nobody can act on: recorded with its reason, never granted.

    `code` is `message_unreadable`, `message_truncated`, `identity_mismatch`, … ; `reason` a sentence.
    """

    event_id: str
    shared_event_id: str | None
    time: datetime
    account: str
    region: str
    caller: Caller
    code: str
    reason: str
    message: str
    source_ip: str | None
    user_agent: str | None
    vpc_endpoint: str | None = None
    vpc_endpoint_account: str | None = None


LATEST: Final = timedelta(hours=49)
"""A rule retries for a day, and so does the rule of another account or region before it; CloudTrail itself may lag."""
_ROLE_ID: Final = "AROA"


class Delivery(Struct, frozen=True):
    """Who sent a message, and when. `sender` is SQS's `SenderId`; both are None where SQS did not say."""

    sender: str | None = None
    sent_at: datetime | None = None

    @classmethod
    def read(cls, attributes: Mapping[str, str]) -> Self:
        """From a message's system attributes, `SenderId` and `SentTimestamp` (milliseconds)."""
        sent = attributes.get("SentTimestamp", "")
        return cls(
            sender=attributes.get("SenderId"),
            sent_at=datetime.fromtimestamp(int(sent) / 1000, UTC) if sent.isdecimal() else None,
        )

    def is_from_cloudtrail(self, called_at: datetime) -> bool:
        """Whether it can have come straight from CloudTrail, through a rule, of a call that was made then.

        A role has a session behind its id, and EventBridge delivers as a service: a role's message was put in by a
        person. One that was sent days after the call lay somewhere before, as in a dead-letter queue.
        """
        if self.sender is not None and self.sender.startswith(_ROLE_ID):
            return False
        return self.sent_at is None or self.sent_at - called_at <= LATEST


_EPOCH: Final = datetime.fromtimestamp(0, UTC)
_REGION: Final = re.compile(r"[a-z]{2,10}(?:-[a-z]{2,12}){1,3}-[0-9]{1,2}")
_FIRST_YEAR: Final = 1970
_LAST_YEAR: Final = 9998

INVOCATIONS: Final = {
    "InvokeModel": "bedrock:InvokeModel",
    "Converse": "bedrock:InvokeModel",
    "InvokeModelWithResponseStream": "bedrock:InvokeModelWithResponseStream",
    "ConverseStream": "bedrock:InvokeModelWithResponseStream",
}
"""The API operations that invoke a model, and the IAM action that each authorises as."""

SENT_AGAIN: Final = frozenset({"backfill", "redrive"})
"""This project's words for an event that a person put in: one of the past, or one that lay among the dead letters."""

_GRANTABLE_TYPES: Final = frozenset({"IAMUser", "Role", "AssumedRole"})


class _DisagreementError(ValueError):
    """Two parts of the event name different accounts, regions or principals."""


def read(body: bytes | str) -> Denial | Unreadable:
    """Read one EventBridge event.

    Raises:
        RecordError: It is not JSON, or not an event with a CloudTrail record in it.
    """
    envelope = decode(body)
    record = envelope.detail
    caller = _caller(record.identity or Identity(), record.recipient or envelope.account or "")
    try:
        return _denial(envelope, caller)
    except _DisagreementError as error:
        return _unreadable(envelope, caller, "identity_mismatch", str(error))


def _denial(envelope: Envelope, caller: Caller) -> Denial | Unreadable:
    record = envelope.detail
    if envelope.malformed:
        return _unreadable(envelope, caller, "record_malformed", envelope.malformed)
    text = messages.read(record.error_message)
    if isinstance(text, messages.Unread):
        return _unreadable(envelope, caller, text.code, text.reason)
    named = record.region and _is_region(record.region) and (record.event_id or envelope.id)
    if not _is_possible(record.event_time) or not record.region or not named:
        return _unreadable(envelope, caller, "record_incomplete", "The record lacks its time, its region or its id.")
    refusal = text.refusal
    action = refusal.action or INVOCATIONS.get(record.event_name or "")
    if action is None:
        return _unreadable(envelope, caller, "action_unknown", "Neither the message nor the record names an action.")
    # Another account's call makes an event in the account of the resource, too (docs/aws-facts.md §1.8).
    own = record.recipient if caller.type == OTHER_ACCOUNT else caller.account
    if not envelope.account == record.recipient == own:
        _agree("account", envelope.account, record.recipient, own)
    if envelope.region != record.region:
        _agree("region", envelope.region, record.region)
    _agree_on_principal(text.principal, caller)
    resource = _resource(refusal.resource) if refusal.resource else None
    if resource is None and refusal.resource not in (None, "*"):
        reason = "The message names a resource that is not the ARN of a Bedrock resource."
        return _unreadable(envelope, caller, "resource_unreadable", reason)
    # By position, here and below: with keywords these values cost twice as much, a sixth of all the reading.
    return Denial(
        record.event_id or envelope.id,
        record.shared_event_id,
        _utc(record.event_time),
        _account(envelope, caller),
        record.region,
        caller,
        action,
        resource,
        _model_id(record.parameters),
        refusal.layer,
        refusal.effect,
        refusal.policy_arn,
        record.error_message or "",
        refusal.certain,
        record.source_ip,
        record.user_agent,
        envelope.origin in SENT_AGAIN,
        record.vpc_endpoint,
        record.vpc_endpoint_account,
        refusal.authorization_id,
    )


def _account(envelope: Envelope, caller: Caller) -> str:
    """The account in which the call was denied: the caller's, or where that is another one, that of what it called."""
    if caller.type != OTHER_ACCOUNT:
        return caller.account
    return envelope.detail.recipient or envelope.account or caller.account


def _agree(what: str, *values: str | None) -> None:
    known = set(filter(None, values))
    if len(known) > 1:
        raise _DisagreementError(f"The event names more than one {what}: {', '.join(sorted(known))}.")


def _agree_on_principal(named: str | None, caller: Caller) -> None:
    """The message's principal must be the record's: the same session, role or user."""
    if caller.principal is None and caller.type in _GRANTABLE_TYPES:
        raise _DisagreementError(f"The record's userIdentity of type {caller.type} names no single role or user.")
    if caller.principal is not None and caller.principal.account != caller.account:
        _agree("account", caller.account, caller.principal.account)
    if named is None or named == caller.arn:
        return
    if caller.arn is None and _same_role_or_account(named, caller):
        return
    raise _DisagreementError("The message names another principal than the record's userIdentity.")


def _same_role_or_account(named: str, caller: Caller) -> bool:
    """Whether the message's principal can be the record's, where the record gives no ARN to compare with.

    A caller without a role or user is granted nothing, so its account is all that needs to agree.
    """
    if caller.principal is None:
        return not named.startswith("arn:") or f":{caller.account}:" in named
    try:
        role = AssumedRole.parse(named)
    except ArnError:
        return False
    return (role.account, role.role) == (caller.account, caller.principal.name)


# The same few come again and again, those that are none of Bedrock's too.
@lru_cache(maxsize=1024)
def _resource(text: str) -> BedrockResource | None:
    """The resource that the message names; None if it is not one of Bedrock's.

    It may be another account's or region's, where the client names one: that is a mistake, and no contradiction.
    """
    try:
        return BedrockResource.parse(text)
    except ArnError:
        return None


def _model_id(parameters: AnyParameters) -> str | None:
    called = parameters.model_id if isinstance(parameters, Parameters) else None
    return called if isinstance(called, str) else None


@lru_cache(maxsize=64)
def _is_region(text: str) -> bool:
    """Whether a region can have that name: it becomes part of the name of a host that is called."""
    return bool(_REGION.fullmatch(text))


def _is_possible(time: datetime | None) -> TypeGuard[datetime]:
    """Whether a call can have been made then: other years have no time in UTC, or none that sorts as text."""
    return time is not None and _FIRST_YEAR <= time.year <= _LAST_YEAR


def _utc(time: datetime) -> datetime:
    if time.tzinfo is UTC and not time.microsecond:
        return time
    return (time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)).replace(microsecond=0)


def _caller(identity: Identity, account: str) -> Caller:
    issuer = identity.session.issuer if identity.session else None
    principal, path_known = _principal(identity, issuer)
    principal_id, session = identity.principal_id or "unknown", ""
    if principal is not None:
        principal_id, _, session = principal_id.partition(":")
    return Caller(
        identity.type or "Unknown",
        identity.account or (principal.account if principal else account),
        principal,
        path_known,
        principal_id,
        session or None,
        identity.arn,
        identity.session.source_identity if identity.session else None,
    )


def _principal(identity: Identity, issuer: Issuer | None) -> tuple[Principal | None, bool]:
    """The role or user that a policy could be attached to, and whether its path is known."""
    try:
        if identity.type in ("IAMUser", "Role") and identity.arn:
            return Principal.parse(identity.arn), True
        if identity.type == "AssumedRole":
            if issuer and issuer.arn:
                role, sessions = _role(issuer.arn)
                agrees = identity.arn is None or identity.arn.startswith(sessions)
                return (role, True) if agrees and role.kind == "role" else (None, True)
            if identity.arn:
                session = AssumedRole.parse(identity.arn)
                return Principal(session.partition, session.account, "role", "/", session.role), False
    except ArnError:
        pass
    return None, True


@lru_cache(maxsize=1024)
def _role(arn: str) -> tuple[Principal, str]:
    """The role, and what the ARNs of its sessions begin with."""
    role = Principal.parse(arn)
    return role, f"arn:{role.partition}:sts::{role.account}:assumed-role/{role.name}/"


def _unreadable(envelope: Envelope, caller: Caller, code: str, reason: str) -> Unreadable:
    record = envelope.detail
    return Unreadable(
        record.event_id or envelope.id or "unknown",
        record.shared_event_id,
        _utc(record.event_time if _is_possible(record.event_time) else _EPOCH),
        _account(envelope, caller),
        record.region or envelope.region or "unknown",
        caller,
        code,
        reason,
        record.error_message or "",
        record.source_ip,
        record.user_agent,
        record.vpc_endpoint,
        record.vpc_endpoint_account,
    )
