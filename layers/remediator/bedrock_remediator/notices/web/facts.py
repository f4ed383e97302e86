"""What a page says of a grant, as labels and values: who, what, where, how often, and what would be granted."""

from datetime import datetime, timedelta
from typing import Final

from msgspec import Struct

from bedrock_remediator.core.durations import words
from bedrock_remediator.core.grant import Grant, State
from bedrock_remediator.core.layers import LAYERS
from bedrock_remediator.notices import wording as notice_wording
from bedrock_remediator.notices.advice import destinations, verified
from bedrock_remediator.notices.notice import Denials, Plan, account, target, who
from bedrock_remediator.notices.untrusted_text import confirmed, visible
from bedrock_remediator.notices.web.readable import Moment, moment
from bedrock_remediator.notices.web.wording import ACTIONS

_KEY_LENGTH: Final = 1024
_WORD_LENGTH: Final = 256
_CLIENT_LENGTH: Final = 64


class Value(Struct, frozen=True, kw_only=True):
    """One value: text before, the text that matters, a remark after it, and a time if it is one."""

    text: str = ""
    before: str = ""
    remark: str = ""
    code: bool = False
    at: Moment | None = None


class Fact(Struct, frozen=True, kw_only=True):
    """A label and its values."""

    label: str
    values: tuple[Value, ...]


def facts(grant: Grant, denials: Denials | None, now: datetime) -> tuple[Fact, ...]:
    """Who was denied what, where, how often and from where."""
    candidates = (
        Fact(label="Who", values=_who(grant)),
        Fact(label="Calls", values=_what(grant)),
        Fact(label="In", values=_where(grant)),
        Fact(label="Denied", values=_denied(grant, denials, now)),
        Fact(label="From", values=_origin(grant)),
        Fact(label="Refused by", values=_refused_by(grant)),
    )
    return tuple(fact for fact in candidates if fact.values)


def granted(grant: Grant, plan: Plan, now: datetime) -> tuple[Fact, ...]:
    """What exactly is granted, or would be; nothing where a grant is not the answer."""
    if not plan.own:
        return ()
    rows = (
        Fact(
            label="Actions",
            values=tuple(Value(text=each, remark=ACTIONS.get(each, ""), code=True) for each in plan.actions),
        ),
        Fact(label="Profile", values=(_arn(grant.profile),) if grant.profile else ()),
        Fact(label="Models" if len(grant.models) > 1 else "Model", values=_models(grant)),
        Fact(label="Only", values=(Value(text=_only(grant)),)),
        Fact(label="Ends", values=_end(grant, now)),
        Fact(label="Verified", values=(Value(text=verified(grant)),) if grant.state is State.ACTIVE else ()),
        Fact(label="Written to", values=_written(grant)),
    )
    return tuple(row for row in rows if row.values)


def about(grant: Grant, request_id: str) -> tuple[Fact, ...]:
    """By which ids the request can be found again."""
    return (
        Fact(label="Request", values=(_code(request_id),)),
        Fact(
            label="Ledger row",
            values=(_code(grant.pk), _code(grant.sk), Value(text=f"version {grant.version}, {grant.state}")),
        ),
        Fact(label="CloudTrail event", values=(_code(grant.sighting.event_id),)),
        Fact(
            label="Diagnosis", values=(Value(text=f"{grant.diagnosis} ({visible(grant.reason_code, _WORD_LENGTH)})"),)
        ),
    )


def called(grant: Grant) -> str:
    """What was called, in a few words: the profile's or model's id where AWS confirmed it."""
    return target(grant) or "a Bedrock model"


def _who(grant: Grant) -> tuple[Value, ...]:
    values = [Value(text=who(grant))]
    if grant.principal:
        values.append(_arn(grant.principal))
    values.append(Value(text=f"account {visible(account(grant), _WORD_LENGTH)}"))
    return tuple(values)


def _what(grant: Grant) -> tuple[Value, ...]:
    if not confirmed(grant):
        return ()
    through = "through its inference profile" if grant.profile else "directly, without an inference profile"
    return (Value(text=visible(grant.model_id or called(grant), _WORD_LENGTH), code=True), Value(text=through))


def _where(grant: Grant) -> tuple[Value, ...]:
    routes = destinations(grant)
    source = Value(text=visible(grant.region, _WORD_LENGTH))
    return (source, Value(text=f"routed to {routes}")) if routes and routes != grant.region else (source,)


def _denied(grant: Grant, denials: Denials | None, now: datetime) -> tuple[Value, ...]:
    if denials is None or denials.count == 1:
        return (Value(text="once", at=moment(denials.last_at if denials else grant.sighting.time, now)),)
    return (
        Value(text=f"{denials.count:,} times"),
        Value(text="first", at=moment(denials.first_at, now)),
        Value(text="last", at=moment(denials.last_at, now)),
    )


def _origin(grant: Grant) -> tuple[Value, ...]:
    sighting = grant.sighting
    values = []
    if sighting.source_ip:
        values.append(Value(text=visible(sighting.source_ip, _CLIENT_LENGTH), code=True))
    if sighting.user_agent:
        client = (sighting.user_agent.split(maxsplit=1) or [""])[0]
        values.append(Value(text=visible(client, _CLIENT_LENGTH), remark="as the client calls itself"))
    return tuple(value for value in values if value.text)


def _refused_by(grant: Grant) -> tuple[Value, ...]:
    effect = notice_wording.EFFECTS[grant.effect] if grant.effect else ""
    layer = Value(text=LAYERS[grant.layer].name + effect)
    return (layer, _code(grant.denying_policy)) if grant.denying_policy else (layer,)


def _models(grant: Grant) -> tuple[Value, ...]:
    return tuple(_arn(arn, "allowed already" if arn in grant.allowed else "") for arn in sorted(grant.models))


def _only(grant: Grant) -> str:
    if grant.profile:
        return "through this profile: a call of these models in any other way stays denied"
    return "this model, called directly"


def _end(grant: Grant, now: datetime) -> tuple[Value, ...]:
    if grant.state is State.PENDING:
        return ()
    if grant.expires_at:
        return (Value(text="by itself", at=moment(grant.expires_at, now)),)
    if grant.grant_seconds and grant.state is not State.ACTIVE:
        return (Value(text=f"{words(timedelta(seconds=grant.grant_seconds))} after it is granted, by itself"),)
    return (Value(text="not by itself"),)


def _written(grant: Grant) -> tuple[Value, ...]:
    if grant.written is None or grant.state is not State.ACTIVE:
        return ()
    return tuple(_code(policy) for policy in grant.written.policies)


def _arn(arn: str, remark: str = "") -> Value:
    """An ARN, what people read of it apart from what is in front: the path is not where the eye should stop."""
    shown = visible(arn, _KEY_LENGTH)
    head, slash, tail = shown.rpartition("/")
    return Value(before=head + slash, text=tail, remark=remark, code=True)


def _code(text: str) -> Value:
    return Value(text=visible(text, _KEY_LENGTH), code=True)
