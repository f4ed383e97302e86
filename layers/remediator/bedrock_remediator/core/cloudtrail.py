"""From a CloudTrail record in EventBridge's envelope, as bytes, to a `Denial`.

Shapes: docs/aws-facts.md §1. Every field may be missing or null. The envelope, the record and its message must agree
on the account, the region and the principal; a record in which they do not is `Unreadable`, never a denial.
"""

from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final, TypeGuard

import msgspec
from msgspec import Struct

from bedrock_remediator.core import message as messages
from bedrock_remediator.core.arn import ArnError, AssumedRole, BedrockResource, Principal
from bedrock_remediator.core.denial import Caller, Denial, Unreadable

_EPOCH: Final = datetime.fromtimestamp(0, UTC)
_FIRST_YEAR: Final = 1970
_LAST_YEAR: Final = 9998

INVOCATIONS: Final = {
    "InvokeModel": "bedrock:InvokeModel",
    "Converse": "bedrock:InvokeModel",
    "InvokeModelWithResponseStream": "bedrock:InvokeModelWithResponseStream",
    "ConverseStream": "bedrock:InvokeModelWithResponseStream",
}
"""The API operations that invoke a model, and the IAM action that each authorises as."""


_GRANTABLE_TYPES: Final = frozenset({"IAMUser", "Role", "AssumedRole"})


class RecordError(ValueError):
    """The bytes are no CloudTrail record in an EventBridge envelope: there is nothing in them to write down."""


class _Issuer(Struct):
    arn: str | None = None


class _SessionContext(Struct):
    issuer: _Issuer | None = msgspec.field(default=None, name="sessionIssuer")


# Fields stand in the order in which AWS writes them: the decoder looks for the next one first.
class _Identity(Struct):
    type: str | None = None
    principal_id: str | None = msgspec.field(default=None, name="principalId")
    arn: str | None = None
    account: str | None = msgspec.field(default=None, name="accountId")
    session: _SessionContext | None = msgspec.field(default=None, name="sessionContext")


class _Parameters(Struct):
    model_id: Any = msgspec.field(default=None, name="modelId")


# The client wrote them, so they may be anything, and a record is read whatever they are.
_AnyParameters = _Parameters | list[Any] | str | float | bool | None


class _Record(Struct):
    identity: _Identity | None = msgspec.field(default=None, name="userIdentity")
    event_time: datetime | None = msgspec.field(default=None, name="eventTime")
    event_name: str | None = msgspec.field(default=None, name="eventName")
    region: str | None = msgspec.field(default=None, name="awsRegion")
    source_ip: str | None = msgspec.field(default=None, name="sourceIPAddress")
    user_agent: str | None = msgspec.field(default=None, name="userAgent")
    error_message: str | None = msgspec.field(default=None, name="errorMessage")
    parameters: _AnyParameters = msgspec.field(default=None, name="requestParameters")
    event_id: str | None = msgspec.field(default=None, name="eventID")
    recipient: str | None = msgspec.field(default=None, name="recipientAccountId")
    shared_event_id: str | None = msgspec.field(default=None, name="sharedEventID")


class _Envelope(Struct, kw_only=True):
    id: str = ""
    account: str | None = None
    region: str | None = None
    detail: _Record
    origin: str | None = None
    malformed: str | None = None


_envelopes = msgspec.json.Decoder(_Envelope)
_UNDECODABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class _DisagreementError(ValueError):
    """Two parts of the event name different accounts, regions or principals."""


def read(body: bytes | str) -> Denial | Unreadable:
    """Read one EventBridge event.

    Raises:
        RecordError: It is not JSON, or not an event with a CloudTrail record in it.
    """
    try:
        envelope = _envelopes.decode(body)
    except _UNDECODABLE as error:
        envelope = _salvage(body, str(error))
    record = envelope.detail
    caller = _caller(record.identity or _Identity(), record.recipient or envelope.account or "")
    try:
        return _denial(envelope, caller)
    except _DisagreementError as error:
        return _unreadable(envelope, caller, "identity_mismatch", str(error))


def _denial(envelope: _Envelope, caller: Caller) -> Denial | Unreadable:
    record = envelope.detail
    if envelope.malformed:
        return _unreadable(envelope, caller, "record_malformed", envelope.malformed)
    text = messages.read(record.error_message)
    if isinstance(text, messages.Unread):
        return _unreadable(envelope, caller, text.code, text.reason)
    if not _is_possible(record.event_time) or not record.region or not (record.event_id or envelope.id):
        return _unreadable(envelope, caller, "record_incomplete", "The record lacks its time, its region or its id.")
    refusal = text.refusal
    action = refusal.action or INVOCATIONS.get(record.event_name or "")
    if action is None:
        return _unreadable(envelope, caller, "action_unknown", "Neither the message nor the record names an action.")
    if not envelope.account == record.recipient == caller.account:
        _agree("account", envelope.account, record.recipient, caller.account)
    if envelope.region != record.region:
        _agree("region", envelope.region, record.region)
    _agree_on_principal(text.principal, caller)
    resource = _resource(refusal.resource, caller.account, record.region) if refusal.resource else None
    if resource is None and refusal.resource not in (None, "*"):
        reason = "The message names a resource that is not the ARN of a Bedrock resource."
        return _unreadable(envelope, caller, "resource_unreadable", reason)
    # By position, here and below: with keywords these values cost twice as much, a sixth of all the reading.
    return Denial(
        record.event_id or envelope.id,
        record.shared_event_id,
        _utc(record.event_time),
        caller.account,
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
        envelope.origin == "backfill",
    )


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


# The same few come again and again. What is remembered depends on nothing but the three texts.
@lru_cache(maxsize=1024)
def _resource(text: str, account: str, region: str) -> BedrockResource | None:
    """The resource that the message names; None if it is not one of Bedrock's."""
    try:
        resource = BedrockResource.parse(text)
    except ArnError:
        return None
    if resource.arn.account not in ("", account):
        raise _DisagreementError(f"The message names a resource of account {resource.arn.account}.")
    if resource.is_profile and resource.arn.region != region:
        raise _DisagreementError(f"The message names a profile of region {resource.arn.region}, the record {region}.")
    return resource


def _model_id(parameters: _AnyParameters) -> str | None:
    called = parameters.model_id if isinstance(parameters, _Parameters) else None
    return called if isinstance(called, str) else None


def _time(text: str | None) -> datetime | None:
    try:
        return msgspec.convert(text, datetime)
    except msgspec.ValidationError:
        return None


def _is_possible(time: datetime | None) -> TypeGuard[datetime]:
    """Whether a call can have been made then: other years have no time in UTC, or none that sorts as text."""
    return time is not None and _FIRST_YEAR <= time.year <= _LAST_YEAR


def _utc(time: datetime) -> datetime:
    if time.tzinfo is UTC and not time.microsecond:
        return time
    return (time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)).replace(microsecond=0)


def _caller(identity: _Identity, account: str) -> Caller:
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
    )


def _principal(identity: _Identity, issuer: _Issuer | None) -> tuple[Principal | None, bool]:
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


def _unreadable(envelope: _Envelope, caller: Caller, code: str, reason: str) -> Unreadable:
    record = envelope.detail
    return Unreadable(
        record.event_id or envelope.id or "unknown",
        record.shared_event_id,
        _utc(record.event_time if _is_possible(record.event_time) else _EPOCH),
        caller.account,
        record.region or envelope.region or "unknown",
        caller,
        code,
        reason,
        record.error_message or "",
        record.source_ip,
        record.user_agent,
    )


def _salvage(body: bytes | str, error: str) -> _Envelope:
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
    return _Envelope(
        detail=_Record(
            event_name=record.get("eventName"),
            event_time=_time(record.get("eventTime")),
            event_id=record.get("eventID"),
            shared_event_id=record.get("sharedEventID"),
            region=record.get("awsRegion"),
            source_ip=record.get("sourceIPAddress"),
            user_agent=record.get("userAgent"),
            error_message=record.get("errorMessage"),
            recipient=record.get("recipientAccountId"),
            identity=_Identity(
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
