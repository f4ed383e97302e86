"""One refusal: what its text says, as `core/message.py` judges it, and what the record around it adds."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from msgspec import Struct

from bedrock_remediator.core import cloudtrail, message
from bedrock_remediator.core.arn import ArnError, AssumedRole, BedrockResource, Principal, is_model_id
from bedrock_remediator.core.cloudtrail import Denial, RecordError, Unreadable
from bedrock_remediator.core.layers import Effect, Layer
from bedrock_remediator_cli.explain.pasted import MASKED, Found, find, masked
from bedrock_remediator_cli.explain.samples import Sample

_ACCOUNT_KEYS: Final = frozenset({"accountId", "recipientAccountId", "account"})
_ACCOUNT: Final = re.compile(r"\d{12}")
_REGION: Final = re.compile(r"[a-z0-9-]{1,32}")
_ALLOWS: Final = re.compile(r" allows the (\S+) action")
_CONTRADICTS: Final = "The message names two different actions."
_UNFINISHED: Final = "The message gives a reason in words that are not known here, or it is cut off."
_UNREADABLE: Final = frozenset({"identity_mismatch", "record_malformed"})


class Refusal(Struct, frozen=True, kw_only=True):
    """A refused call, all of it text that nobody confirmed.

    `principal` is as the message or the record names it, `holder` the role or user that a policy would go to.
    `region` is the caller's, `called` the `modelId` of the request; None where nothing tells. `problem` says why the
    text cannot be relied upon; `doubtful` that it ends in words which are not known. `denial` is the record as the
    service itself reads it, where there is one. `authorization_id` is what IAM's record of the request is asked by.
    """

    where: str
    layer: Layer
    effect: Effect | None = None
    principal: str | None = None
    holder: Principal | None = None
    action: str | None = None
    resource: str | None = None
    policy_arn: str | None = None
    authorization_id: str | None = None
    region: str | None = None
    called: str | None = None
    needs_profile: str | None = None
    problem: str | None = None
    doubtful: bool = False
    denial: Denial | None = None

    @property
    def bedrock_resource(self) -> BedrockResource | None:
        """The resource, if it is one of Bedrock's."""
        try:
            return BedrockResource.parse(self.resource or "")
        except ArnError:
            return None

    @property
    def account(self) -> str | None:
        """The account of the caller, if it is told and not masked."""
        return self.holder.account if self.holder and self.holder.account != MASKED else None


def heard(samples: Iterable[Sample], called: str | None = None) -> list[Refusal]:
    """The refusals in the samples; where there is none at all, what was given is itself the one that is not known.

    Args:
        samples: Records and texts.
        called: The `modelId` that the client passes, where the user knows it.
    """
    texts: list[str] = []
    found: list[Refusal] = []
    for sample in samples:
        found += refusals(sample, called)
        texts += [] if sample.structured or sample.record is not None else [sample.where]
    if found or not texts:
        return found
    return [Refusal(where=texts[0], layer=Layer.UNKNOWN, problem="No form of refusal that is known was found.")]


def refusals(sample: Sample, called: str | None = None) -> Iterator[Refusal]:
    """The refusals in one sample."""
    if sample.record is not None:
        yield _of_record(sample, called)
        return
    for each in find(sample.text):
        yield _judged(each, sample.where, called)


def _judged(found: Found, where: str, called: str | None, *, whole: bool = True) -> Refusal:
    if found.needs_profile is not None:
        return Refusal(where=where, layer=Layer.UNKNOWN, needs_profile=found.needs_profile, called=found.needs_profile)
    read = message.read(found.text, whole=whole)
    if isinstance(read, message.Unread):
        return Refusal(where=where, layer=Layer.UNKNOWN, problem=read.reason)
    said = read.refusal
    again = _ALLOWS.search(found.text)
    contradicts = again is not None and again[1] != said.action
    principal = None if found.anonymous else read.principal
    return Refusal(
        where=where,
        layer=said.layer,
        effect=said.effect,
        principal=principal,
        holder=holder(principal),
        action=said.action,
        resource=said.resource,
        policy_arn=said.policy_arn,
        authorization_id=said.authorization_id,
        region=_region(said.resource),
        called=called,
        problem=_CONTRADICTS if contradicts else _UNFINISHED if found.unfinished else None,
        doubtful=not said.certain and said.layer is not Layer.UNKNOWN,
    )


def holder(principal: str | None) -> Principal | None:
    """The role or user that the policies of a principal belong to; a session does not tell its role's path."""
    try:
        return Principal.parse(principal or "")
    except ArnError:
        pass
    try:
        session = AssumedRole.parse(principal or "")
    except ArnError:
        return None
    return Principal(session.partition, session.account, "role", "/", session.role)


def _region(resource: str | None) -> str | None:
    """The caller's region, which only a profile's ARN tells: a model may be one of another region."""
    try:
        known = BedrockResource.parse(resource or "")
    except ArnError:
        return None
    return None if known.is_model else known.arn.region or None


def _of_record(sample: Sample, called: str | None) -> Refusal:
    record = _unmasked(sample.record)
    text = record.get("errorMessage")
    text = text if isinstance(text, str) else None
    read = message.read(text)
    if isinstance(read, message.Message):
        judged = _judged(Found(text=text or "", place=0), sample.where, called, whole=False)
    elif read.code == "message_unreadable" and (found := find(text or "")):
        judged = _judged(found[0], sample.where, called, whole=False)
    else:
        judged = Refusal(where=sample.where, layer=Layer.UNKNOWN, problem=read.reason)
    return _with_record(judged, record, _unmasked(sample.envelope))


def _with_record(judged: Refusal, record: Mapping[str, Any], envelope: Mapping[str, Any]) -> Refusal:
    event = json.dumps({**envelope, "detail": record})
    try:
        denial = cloudtrail.read(event)
    except RecordError:
        denial = None
    identity = record.get("userIdentity")
    own = identity.get("arn") if isinstance(identity, dict) else None
    parameters = record.get("requestParameters")
    passed = parameters.get("modelId") if isinstance(parameters, dict) else None
    region = record.get("awsRegion")
    caller = denial.caller.principal if denial else None
    principal = judged.principal or (own if isinstance(own, str) else None)
    problem = judged.problem
    if isinstance(denial, Unreadable) and denial.code in _UNREADABLE:
        problem = denial.reason
    return Refusal(
        where=judged.where,
        layer=judged.layer,
        effect=judged.effect,
        principal=principal,
        holder=caller or holder(principal),
        action=judged.action or cloudtrail.INVOCATIONS.get(str(record.get("eventName"))),
        resource=judged.resource,
        policy_arn=judged.policy_arn,
        authorization_id=judged.authorization_id,
        region=region if isinstance(region, str) and _REGION.fullmatch(region) else judged.region,
        called=passed if isinstance(passed, str) and _names_something(passed) else judged.called,
        needs_profile=judged.needs_profile,
        problem=problem,
        doubtful=judged.doubtful,
        denial=denial if isinstance(denial, Denial) else None,
    )


def _names_something(text: str) -> bool:
    try:
        return is_model_id(text) or bool(BedrockResource.parse(text))
    except ArnError:
        return False


def _unmasked(value: Any, key: str = "") -> Any:
    """The value with masked account ids, wherever they are, written as `MASKED`."""
    if isinstance(value, Mapping):
        return {name: _unmasked(item, name) for name, item in value.items()}
    if isinstance(value, list):
        return [_unmasked(item) for item in value]
    if not isinstance(value, str):
        return value
    if key in _ACCOUNT_KEYS:
        return value if _ACCOUNT.fullmatch(value) else MASKED
    return masked(value)
