"""From a CloudTrail record in EventBridge's envelope, as bytes, to a `Denial`.

Shapes: docs/aws-facts.md §1. Every field may be missing or null. The envelope, the record and its message must agree
on the account, the region and the principal; a record in which they do not is `Unreadable`, never a denial.
"""

from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from msgspec import Struct

from bedrock_remediator.core import message as messages
from bedrock_remediator.core.arn import Arn, ArnError, AssumedRole, BedrockResource, Principal
from bedrock_remediator.core.denial import Caller, Denial, Unreadable

_EPOCH: Final = datetime.fromtimestamp(0, UTC)

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
    type: str | None = None
    arn: str | None = None
    principal_id: str | None = msgspec.field(default=None, name="principalId")
    user_name: str | None = msgspec.field(default=None, name="userName")


class _SessionContext(Struct):
    issuer: _Issuer | None = msgspec.field(default=None, name="sessionIssuer")


class _Identity(Struct):
    type: str | None = None
    arn: str | None = None
    account: str | None = msgspec.field(default=None, name="accountId")
    principal_id: str | None = msgspec.field(default=None, name="principalId")
    session: _SessionContext | None = msgspec.field(default=None, name="sessionContext")


class _Record(Struct):
    event_name: str | None = msgspec.field(default=None, name="eventName")
    event_time: datetime | None = msgspec.field(default=None, name="eventTime")
    event_id: str | None = msgspec.field(default=None, name="eventID")
    shared_event_id: str | None = msgspec.field(default=None, name="sharedEventID")
    region: str | None = msgspec.field(default=None, name="awsRegion")
    source_ip: str | None = msgspec.field(default=None, name="sourceIPAddress")
    user_agent: str | None = msgspec.field(default=None, name="userAgent")
    error_message: str | None = msgspec.field(default=None, name="errorMessage")
    recipient: str | None = msgspec.field(default=None, name="recipientAccountId")
    identity: _Identity | None = msgspec.field(default=None, name="userIdentity")
    parameters: msgspec.Raw = msgspec.field(default=msgspec.Raw(b"null"), name="requestParameters")


class _Envelope(Struct):
    detail: _Record
    id: str = ""
    account: str | None = None
    region: str | None = None
    origin: str | None = None
    malformed: str | None = None


class _Parameters(Struct):
    model_id: str | None = msgspec.field(default=None, name="modelId")


_envelopes = msgspec.json.Decoder(_Envelope)
_parameters = msgspec.json.Decoder(_Parameters)


class _DisagreementError(ValueError):
    """Two parts of the event name different accounts, regions or principals."""


def read(body: bytes | str) -> Denial | Unreadable:
    """Read one EventBridge event.

    Raises:
        RecordError: It is not JSON, or not an event with a CloudTrail record in it.
    """
    try:
        envelope = _envelopes.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
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
    if record.event_time is None or not record.region or not (record.event_id or envelope.id):
        return _unreadable(envelope, caller, "record_incomplete", "The record lacks its time, its region or its id.")
    action = text.action or INVOCATIONS.get(record.event_name or "")
    if action is None:
        return _unreadable(envelope, caller, "action_unknown", "Neither the message nor the record names an action.")
    if not envelope.account == record.recipient == caller.account:
        _agree("account", envelope.account, record.recipient, caller.account)
    if envelope.region != record.region:
        _agree("region", envelope.region, record.region)
    _agree_on_principal(text.principal, caller)
    resource = _resource(text.resource, caller, record.region)
    if text.resource not in (None, "*") and resource is None:
        reason = "The message names a resource that is not the ARN of a Bedrock resource."
        return _unreadable(envelope, caller, "resource_unreadable", reason)
    return Denial(
        event_id=record.event_id or envelope.id,
        shared_event_id=record.shared_event_id,
        time=_utc(record.event_time),
        account=caller.account,
        region=record.region,
        caller=caller,
        action=action,
        resource=resource,
        model_id=_model_id(record),
        layer=text.layer,
        effect=text.effect,
        policy_arn=text.policy_arn,
        message=record.error_message or "",
        certain=text.certain,
        source_ip=record.source_ip,
        user_agent=record.user_agent,
        backfill=envelope.origin == "backfill",
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
    try:
        if caller.principal is None:
            return Arn.parse(named).account == caller.account
        role = AssumedRole.parse(named)
    except ArnError:
        return caller.principal is None
    return (role.account, role.role) == (caller.account, caller.principal.name)


def _resource(text: str | None, caller: Caller, region: str) -> BedrockResource | None:
    if text is None:
        return None
    try:
        resource = BedrockResource.parse(text)
    except ArnError:
        return None
    if resource.arn.account not in ("", caller.account):
        raise _DisagreementError(f"The message names a resource of account {resource.arn.account}.")
    if resource.is_profile and resource.arn.region != region:
        raise _DisagreementError(f"The message names a profile of region {resource.arn.region}, the record {region}.")
    return resource


def _model_id(record: _Record) -> str | None:
    try:
        return _parameters.decode(record.parameters).model_id
    except msgspec.DecodeError:
        return None


def _time(text: str | None) -> datetime | None:
    try:
        return msgspec.convert(text, datetime)
    except msgspec.ValidationError:
        return None


def _utc(time: datetime) -> datetime:
    if time.tzinfo is UTC and not time.microsecond:
        return time
    return (time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)).replace(microsecond=0)


def _caller(identity: _Identity, account: str) -> Caller:
    issuer = identity.session.issuer if identity.session else None
    principal, path_known = _principal(identity, issuer)
    principal_id, _, session = (identity.principal_id or "unknown").partition(":")
    if principal is None:
        principal_id, session = identity.principal_id or "unknown", ""
    return Caller(
        type=identity.type or "Unknown",
        account=identity.account or (principal.account if principal else account),
        principal=principal,
        path_known=path_known,
        id=principal_id,
        session=session or None,
        arn=identity.arn,
    )


def _principal(identity: _Identity, issuer: _Issuer | None) -> tuple[Principal | None, bool]:
    """The role or user that a policy could be attached to, and whether its path is known."""
    try:
        if identity.type in ("IAMUser", "Role") and identity.arn:
            return Principal.parse(identity.arn), True
        if identity.type == "AssumedRole":
            if issuer and issuer.arn:
                role = Principal.parse(issuer.arn)
                sessions = f"arn:{role.partition}:sts::{role.account}:assumed-role/{role.name}/"
                agrees = identity.arn is None or identity.arn.startswith(sessions)
                return (role, True) if agrees and role.kind == "role" else (None, True)
            if identity.arn:
                session = AssumedRole.parse(identity.arn)
                return Principal(session.partition, session.account, "role", "/", session.role), False
    except ArnError:
        pass
    return None, True


def _unreadable(envelope: _Envelope, caller: Caller, code: str, reason: str) -> Unreadable:
    record = envelope.detail
    return Unreadable(
        event_id=record.event_id or envelope.id or "unknown",
        shared_event_id=record.shared_event_id,
        time=_utc(record.event_time or _EPOCH),
        account=caller.account,
        region=record.region or envelope.region or "unknown",
        caller=caller,
        code=code,
        reason=reason,
        message=record.error_message or "",
        source_ip=record.source_ip,
        user_agent=record.user_agent,
    )


def _salvage(body: bytes | str, error: str) -> _Envelope:
    """What can be kept of an event whose fields have unexpected types: the strings among them."""
    try:
        event = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as undecodable:
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
