"""The grammar of the documents that this service writes: the same types render a statement and read one back.

Four kinds of statement, told by the first word of the Sid, each an Allow of single actions on single ARNs:

- `Profile`: invocation actions, both or one of them, on inference profiles.
- `Models`: the same on foundation models, only through the profiles that the condition on
  `bedrock:InferenceProfileArn` names (docs/aws-facts.md §3). Here, and nowhere else, an ARN's region may be `*`.
- `DirectModels`: the same on foundation models called without a profile.
- `ExtraActions`: other actions of Bedrock on the same ARNs.

A statement that ends has the moment twice, in its Sid and in its condition on `aws:CurrentTime`. So neither condition
can go missing unseen: the Sid still says that it was there.
"""

import enum
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, Literal

import msgspec
from msgspec import UNSET, Struct, UnsetType

INVOKE_ACTIONS: Final = ("bedrock:InvokeModel", "bedrock:InvokeModelWithResponseStream")
"""What a client needs, whichever operation it calls: Converse is authorised by the same two (docs/aws-facts.md §3)."""

MARK: Final = "Remediator"
"""What the Sids of our statements begin with in a document that is not ours."""

PROFILE: Final = re.compile(
    r"arn:aws[a-z-]*:bedrock:[a-z0-9-]+:[0-9]{12}:(?:application-)?inference-profile/[A-Za-z0-9][A-Za-z0-9._:-]*"
)
MODEL: Final = re.compile(r"arn:(aws[a-z-]*):bedrock:([a-z0-9-]*|\*)::foundation-model/([A-Za-z0-9][A-Za-z0-9._:-]*)")

_ACTION: Final = re.compile(r"bedrock:[A-Za-z]{1,64}")
_SID: Final = re.compile(
    rf"(?:{MARK})?(Profile|Models|DirectModels|ExtraActions)"
    r"(?:Until([0-9]{4})([0-9]{2})([0-9]{2})T([0-9]{2})([0-9]{2})([0-9]{2})Z)?(?:For[A-Za-z0-9]+|[0-9]+)?"
)


class NotOursError(ValueError):
    """The document is not one that this service writes; the message says why."""


class Kind(enum.StrEnum):
    """What a statement is for, in the order in which a document has them; the first word of its Sid."""

    PROFILE = "Profile"
    MODELS = "Models"
    DIRECT = "DirectModels"
    EXTRA = "ExtraActions"


class ThroughProfiles(Struct, frozen=True, forbid_unknown_fields=True):
    """The condition that binds models to the profiles that they are called through."""

    profiles: str | tuple[str, ...] = msgspec.field(name="bedrock:InferenceProfileArn")


class Before(Struct, frozen=True, forbid_unknown_fields=True):
    """The condition that ends a grant, even where nobody is left to revoke it."""

    end: str = msgspec.field(name="aws:CurrentTime")


class Condition(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="pascal"):
    """The conditions of a statement: both, one, or none of the two that there are."""

    string_equals: ThroughProfiles | UnsetType = UNSET
    date_less_than: Before | UnsetType = UNSET


class Statement(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="pascal"):
    """One statement of ours. IAM may hand back a list of one as its only element."""

    sid: str
    effect: Literal["Allow"]
    action: str | tuple[str, ...]
    resource: str | tuple[str, ...]
    condition: Condition | UnsetType = UNSET

    @property
    def kind(self) -> Kind:
        """What it is for. Only of a statement that has been read or made by `statement`."""
        return Kind(_sid(self)[1])

    @property
    def end(self) -> str | None:
        """The moment it ends (`YYYY-MM-DDTHH:MM:SSZ`), None if it does not."""
        year, month, day, hour, minute, second = _sid(self).groups()[1:]
        return f"{year}-{month}-{day}T{hour}:{minute}:{second}Z" if year else None

    @property
    def actions(self) -> tuple[str, ...]:
        """The actions it allows."""
        return _several(self.action)

    @property
    def resources(self) -> tuple[str, ...]:
        """The ARNs it is about."""
        return _several(self.resource)

    @property
    def through(self) -> tuple[str, ...]:
        """The profiles that its condition names."""
        return _several(_stated(self))


class Document(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="pascal"):
    """A policy document."""

    version: Literal["2012-10-17"]
    statement: tuple[Statement, ...]


def statement(
    sid: str, actions: Sequence[str], resources: Iterable[str], *, through: Iterable[str] = (), end: str | None = None
) -> Statement:
    """A statement in its canonical form: lists sorted, a single profile in the condition as a text."""
    profiles = tuple(sorted(through))
    return Statement(
        sid=sid,
        effect="Allow",
        action=tuple(actions),
        resource=tuple(sorted(resources)),
        condition=_condition(profiles[0] if len(profiles) == 1 else profiles, end),
    )


def numbered(sid: str, taken: Iterable[str]) -> str:
    """The Sid, with a number behind it if another statement of the document has it."""
    known = {other.lower() for other in taken}
    number = 2
    unique = sid
    while unique.lower() in known:
        unique = f"{sid}{number}"
        number += 1
    return unique


def extra(actions: Sequence[str]) -> tuple[str, ...]:
    """The extra actions to write: sorted, and without the invocation actions, which nothing grants in passing.

    Raises:
        ValueError: One is not the name of a single Bedrock action.
    """
    for action in actions:
        if not _ACTION.fullmatch(action):
            raise ValueError(f"not a single action of bedrock: {action[:100]!r}")
    return tuple(sorted({action for action in actions if not _invokes(action)}))


def render(statements: Sequence[Statement]) -> str:
    """The document's text, without white space."""
    return msgspec.json.encode(Document(version="2012-10-17", statement=tuple(statements))).decode()


def read(document: str | Mapping[str, Any], extra_actions: Sequence[str] | None) -> tuple[Statement, ...]:
    """Read a document of ours.

    Args:
        document: The text, or what it decodes to.
        extra_actions: The actions that an `ExtraActions` statement may have; None for any single action but the
            invocation actions, for what an earlier deployment wrote when its parameter had another value.

    Raises:
        NotOursError: It is not ours.
    """
    content = _decoded(document) if isinstance(document, str) else document
    try:
        statements = msgspec.convert(content, Document).statement
    except msgspec.ValidationError as error:
        raise NotOursError(str(error)) from error
    if not statements:
        raise NotOursError("it has no statement")
    if len({each.sid.lower() for each in statements}) < len(statements):
        raise NotOursError("two statements have one Sid")
    for each in statements:
        fault = next(_faults(each, extra_actions), None)
        if fault:
            raise NotOursError(f"statement {each.sid[:100]!r}: {fault}")
    return statements


def _faults(each: Statement, extra_actions: Sequence[str] | None) -> Iterator[str]:
    """What is wrong with a statement. Raises NotOursError where its Sid does not even tell its kind."""
    bound = each.kind is Kind.MODELS
    if bool(each.through) != bound or each.condition != _condition(_stated(each), each.end):
        yield "its condition is not the one that its Sid tells"
    actions = each.actions
    if each.kind is Kind.EXTRA:
        if not actions or not all(_permitted(action, extra_actions) for action in actions):
            yield "it has an action that is not one of the extra actions"
    elif not actions or not set(actions) <= set(INVOKE_ACTIONS) or len(set(actions)) < len(actions):
        yield "its actions are none, one twice, or other ones than the invocation actions"
    if not each.resources or len(set(each.resources)) < len(each.resources):
        yield "its resources are none, or one twice"
    if not all(_fits(arn, each.kind) for arn in each.resources):
        yield "it has a resource that statements of its kind do not have"


def _fits(arn: str, kind: Kind) -> bool:
    """Whether a statement of that kind may be about that ARN."""
    if PROFILE.fullmatch(arn):
        return kind in (Kind.PROFILE, Kind.EXTRA)
    model = MODEL.fullmatch(arn)
    if not model or kind is Kind.PROFILE:
        return False
    region = model[2]
    # Without a region it is the model behind a global profile, which nobody calls directly (docs/aws-facts.md §3).
    return kind is Kind.MODELS or (region != "*" and (bool(region) or kind is Kind.EXTRA))


def _permitted(action: str, extra_actions: Sequence[str] | None) -> bool:
    known = extra_actions is None or action in extra_actions
    return known and bool(_ACTION.fullmatch(action)) and not _invokes(action)


def _invokes(action: str) -> bool:
    """Whether it is an invocation action; IAM reads actions without regard to case."""
    return action.lower() in {each.lower() for each in INVOKE_ACTIONS}


def _condition(profiles: str | tuple[str, ...], end: str | None) -> Condition | UnsetType:
    if not profiles and not end:
        return UNSET
    return Condition(
        string_equals=ThroughProfiles(profiles=profiles) if profiles else UNSET,
        date_less_than=Before(end=end) if end else UNSET,
    )


def _stated(each: Statement) -> str | tuple[str, ...]:
    """The profiles of its condition as they stand there, a text or a list."""
    equals = UNSET if each.condition is UNSET else each.condition.string_equals
    return () if equals is UNSET else equals.profiles


def _several(value: str | tuple[str, ...]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else value


def _sid(each: Statement) -> re.Match[str]:
    found = _SID.fullmatch(each.sid)
    if not found:
        raise NotOursError(f"not a Sid of ours: {each.sid[:100]!r}")
    return found


def _decoded(text: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_object)
    except (ValueError, RecursionError) as error:
        raise NotOursError(f"not a JSON document: {error}") from error


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object with every key once: of two values under one key, readers may differ on which counts."""
    if len(dict(pairs)) < len(pairs):
        raise NotOursError("an object has one key twice")
    return dict(pairs)
