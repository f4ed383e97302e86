"""From a CloudTrail record in EventBridge's envelope, as bytes, to a `Denial`.

The envelope, the record and its message must agree on the account, the region and the principal; a record in which
they do not is `Unreadable`, never a denial.
"""

import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final, TypeGuard

from bedrock_remediator.core import message as messages
from bedrock_remediator.core.arn import ArnError, AssumedRole, BedrockResource, Principal
from bedrock_remediator.core.denial import OTHER_ACCOUNT, Caller, Denial, Unreadable
from bedrock_remediator.core.envelope import AnyParameters, Envelope, Identity, Issuer, Parameters, decode

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
