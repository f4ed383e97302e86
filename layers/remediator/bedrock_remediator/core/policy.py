"""The policy that a principal's grants compile to: the same grants give the same bytes, whatever their order.

A document that would be too long for IAM is written ever more briefly:

1. A pair of statements for each profile: the profile, and its models through it.
2. One such pair for all profiles. A model may then be reached through any of them that has it.
3. `*` for the region of a model that is needed in several, still only through the profiles.
4. Several documents.

Grants of different actions never share a statement.

It is compiled from `Entitlement`s: what grants entitle a principal to, and until when.
"""

import enum
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from msgspec import Struct

from bedrock_remediator.core.arn import ArnError
from bedrock_remediator.core.grant import Grant
from bedrock_remediator.core.policy_grammar import (
    INVOKE_ACTIONS,
    MODEL,
    PROFILE,
    Kind,
    NotOursError,
    Statement,
    extra,
    numbered,
    read,
    render,
    statement,
)

Terms = dict[tuple[str | None, str, str], str | None]
"""(profile or None for a direct grant, ARN, action) -> when the last grant of it ends; None = never. Sorted."""


class Entitlement(Struct, frozen=True, kw_only=True):
    """What one grant entitles its principal to: models through a profile, or, with no profile, directly.

    `profile` and `models` are ARNs that AWS confirmed; `actions` are some of the invocation actions, on all of them;
    `expires_at` has a time zone, None = without end.
    """

    profile: str | None
    models: tuple[str, ...]
    actions: tuple[str, ...] = INVOKE_ACTIONS
    expires_at: datetime | None = None

    @property
    def resources(self) -> tuple[str, ...]:
        """Every ARN it is about: the profile first, then the models, sorted."""
        return (*((self.profile,) if self.profile else ()), *sorted(set(self.models)))


def entitlement(grant: Grant) -> Entitlement:
    """What a row of the ledger entitles its principal to; of its actions, those of invoking a model."""
    actions = tuple(action for action in INVOKE_ACTIONS if action in grant.actions)
    return Entitlement(profile=grant.profile, models=grant.models, actions=actions, expires_at=grant.expires_at)


def terms_of(entitlements: Iterable[Entitlement]) -> Terms:
    """Until when each action on each ARN is granted, and through which profile.

    Raises:
        ArnError: An entitlement holds another ARN than a profile's or a model's.
        ValueError: An end has no time zone, or an entitlement has no action, or one that invokes no model.
    """
    granted: Terms = {}
    for each in entitlements:
        end = _moment(each.expires_at)
        if not each.actions or not set(each.actions) <= set(INVOKE_ACTIONS):
            raise ValueError("a grant has some of the invocation actions, and no other")
        for arn in _checked(each):
            for action in each.actions:
                key = (each.profile, arn, action)
                granted[key] = _later(granted[key], end) if key in granted else end
    return dict(sorted(granted.items(), key=lambda item: (item[0][0] or "", *item[0][1:])))


def latest(granted: Terms) -> dict[str, str | None]:
    """Until when each ARN is granted in one way or another."""
    ends: dict[str, str | None] = {}
    for (_, arn, _), end in granted.items():
        ends[arn] = _later(ends[arn], end) if arn in ends else end
    return ends


def covers(granted: str | None, asked: str | None) -> bool:
    """Whether a grant until one moment is enough for a statement until another; None = without end."""
    return granted is None or (asked is not None and asked <= granted)


def _checked(each: Entitlement) -> tuple[str, ...]:
    """The entitlement's ARNs, each of the kind it must be, without a wildcard."""
    if each.profile is not None and not PROFILE.fullmatch(each.profile):
        raise ArnError(each.profile, "the ARN of an inference profile")
    for arn in each.models:
        model = MODEL.fullmatch(arn)
        # Only a profile calls a model without a region (docs/aws-facts.md §3).
        if not model or model[2] == "*" or not (model[2] or each.profile):
            raise ArnError(arn, "the ARN of a foundation model")
    return each.resources


def _moment(time: datetime | None) -> str | None:
    """As IAM reads it. A part of a second is dropped: better to end early than late."""
    if time is None:
        return None
    if time.tzinfo is None:
        raise ValueError("the end of a grant needs a time zone")
    return time.astimezone(UTC).replace(tzinfo=None, microsecond=0).isoformat() + "Z"


def _later(one: str | None, other: str | None) -> str | None:
    return None if one is None or other is None else max(one, other)


__all__ = [
    "INVOKE_ACTIONS",
    "MANAGED_LIMIT",
    "Entitlement",
    "NotOursError",
    "PolicyTooLargeError",
    "check",
    "compile_policies",
    "entitlement",
    "statements_of",
]

MANAGED_LIMIT: Final = 6144
"""Characters, white space not counted, in a managed policy (docs/aws-facts.md §4)."""


class PolicyTooLargeError(ValueError):
    """No form of the document fits: `size` characters where there is room for `limit`."""

    def __init__(self, size: int, limit: int) -> None:
        super().__init__(f"the policy needs {size} characters, and there is room for {limit}")
        self.size = size
        self.limit = limit


class _Rung(enum.Enum):
    """How briefly a document is written."""

    PAIRS = enum.auto()
    MERGED = enum.auto()
    ANY_REGION = enum.auto()


class _Part(Struct):
    """What a statement to be written gathers."""

    resources: set[str]
    through: set[str]


_PartKey = tuple[Kind, str | None, str, tuple[str, ...]]
"""A statement's kind, its end, the profile it is for where every profile has statements of its own, and its actions."""


def compile_policies(
    entitlements: Iterable[Entitlement], extra_actions: Sequence[str], *, limit: int = MANAGED_LIMIT
) -> tuple[str, ...]:
    """The documents that grant exactly this.

    Args:
        entitlements: In any order; of two that overlap, each ARN is granted for as long as the longer one says.
        extra_actions: Other single Bedrock actions to allow on the same ARNs; may be empty.
        limit: How many characters each document may have.

    Returns:
        Canonical JSON texts without white space, as few as it takes; none if there is nothing to grant.

    Raises:
        ArnError: An entitlement holds another ARN than a profile's or a model's.
        PolicyTooLargeError: One grant alone does not fit.
        ValueError: An extra action is no single Bedrock action, or an end has no time zone.
    """
    terms = terms_of(entitlements)
    actions = extra(extra_actions)
    if not terms:
        return ()
    for rung in _Rung:
        text = render(_statements(terms, actions, rung))
        if len(text) <= limit:
            return (text,)
    return tuple(_split(terms, actions, limit))


def statements_of(single: Entitlement, extra_actions: Sequence[str]) -> tuple[Statement, ...]:
    """The statements that one entitlement compiles to. Raises what `compile_policies` raises."""
    return _statements(terms_of([single]), extra(extra_actions), _Rung.PAIRS)


def check(
    document: str | Mapping[str, Any],
    extra_actions: Sequence[str] | None,
    *,
    within: Iterable[Entitlement] | None = None,
) -> None:
    """Make sure that a document is one that this service writes: the last look before it goes to IAM.

    Args:
        document: The text, or what it decodes to.
        extra_actions: Those it may grant; None for any (before adopting what an earlier deployment wrote).
        within: If given, the document must also grant nothing beyond these entitlements.

    Raises:
        NotOursError: It is not, or grants more.
    """
    statements = read(document, extra_actions)
    if within is None:
        _require_bound(statements)
        return
    terms = terms_of(within)
    for each in statements:
        _require_within(each, terms)


def _statements(terms: Terms, extra_actions: tuple[str, ...], rung: _Rung) -> tuple[Statement, ...]:
    """The statements of a document, in order: those of profiles, direct grants, extra actions."""
    made: list[Statement] = []
    for key, part in sorted(_parts(terms, extra_actions, rung).items(), key=_place):
        kind, end, profile, actions = key
        resources = part.resources
        if kind is Kind.MODELS and rung is _Rung.ANY_REGION:
            resources = _briefly(resources)
        made.append(
            statement(
                numbered(_sid(kind, end, profile), [other.sid for other in made]),
                actions,
                resources,
                through=part.through,
                end=end,
            )
        )
    return tuple(made)


def _parts(terms: Terms, extra_actions: tuple[str, ...], rung: _Rung) -> dict[_PartKey, _Part]:
    parts: dict[_PartKey, _Part] = {}
    for (profile, arn, end), actions in _together(terms).items():
        kind = _kind(profile, arn)
        owner = profile if profile and rung is _Rung.PAIRS else ""
        part = parts.setdefault((kind, end, owner, actions), _Part(set(), set()))
        part.resources.add(arn)
        if profile and kind is Kind.MODELS:
            part.through.add(profile)
    if extra_actions:
        for arn, end in latest(terms).items():
            parts.setdefault((Kind.EXTRA, end, "", extra_actions), _Part(set(), set())).resources.add(arn)
    return parts


def _together(terms: Terms) -> dict[tuple[str | None, str, str | None], tuple[str, ...]]:
    """(profile, ARN, end) -> the actions that are granted so, in the order in which documents have them."""
    together: dict[tuple[str | None, str, str | None], tuple[str, ...]] = {}
    for (profile, arn, action), end in terms.items():
        key = (profile, arn, end)
        found = (*together.get(key, ()), action)
        together[key] = tuple(each for each in INVOKE_ACTIONS if each in found)
    return together


def _kind(profile: str | None, arn: str) -> Kind:
    """The kind of statement that grants this ARN, on its own or through the profile."""
    if profile is None:
        return Kind.DIRECT
    return Kind.PROFILE if arn == profile else Kind.MODELS


def _place(item: tuple[_PartKey, _Part]) -> tuple[int, str, str, tuple[str, ...], int]:
    """Where a statement stands: a profile's two together, the one without end first; then the other kinds."""
    kind, end, profile, actions = item[0]
    rank = list(Kind).index(kind)
    return max(rank, 1), profile, end or "", actions, rank


def _sid(kind: Kind, end: str | None, profile: str) -> str:
    """`ModelsUntil20261201T000000ZForUsAmazonNova2LiteV10InUsEast1`."""
    until = f"Until{re.sub('[-:]', '', end)}" if end else ""
    if not profile:
        return f"{kind}{until}"
    _, _, _, region, _, resource = profile.split(":", 5)
    name = resource.partition("/")[2]
    return f"{kind}{until}For{_words(name)}In{_words(region)}"


def _words(text: str) -> str:
    """The text in the letters and digits that a Sid may have."""
    return "".join(word[0].upper() + word[1:] for word in re.findall(r"[A-Za-z0-9]+", text))


def _briefly(models: set[str]) -> set[str]:
    """The models, with `*` for the region of those that are there in several."""
    groups: dict[str, set[str]] = {}
    for arn in models:
        groups.setdefault(_anywhere(arn), set()).add(arn)
    return {arn if len(arns) == 1 else anywhere for anywhere, arns in groups.items() for arn in arns}


def _anywhere(model: str) -> str:
    """The model's ARN with `*` for its region, which in IAM matches an empty one too."""
    fields = model.split(":", 4)
    fields[3] = "*"
    return ":".join(fields)


def _split(terms: Terms, extra_actions: tuple[str, ...], limit: int) -> Iterator[str]:
    """As few documents as it takes when each is filled in turn; a profile and its models stay together."""
    units: dict[tuple[str | None, str], Terms] = {}
    for (profile, arn, action), end in terms.items():
        units.setdefault((profile, profile or arn), {})[profile, arn, action] = end
    filled: Terms = {}
    text = ""
    for unit in units.values():
        longer = render(_statements(filled | unit, extra_actions, _Rung.ANY_REGION))
        if len(longer) <= limit:
            filled, text = filled | unit, longer
            continue
        if filled:
            yield text
        filled, text = unit, render(_statements(unit, extra_actions, _Rung.ANY_REGION))
        if len(text) > limit:
            raise PolicyTooLargeError(len(text), limit)
    yield text


def _require_bound(statements: Sequence[Statement]) -> None:
    """Make sure that models are bound to profiles which the document grants itself."""
    granted = {arn for each in statements if each.kind is Kind.PROFILE for arn in each.resources}
    for each in statements:
        if not granted.issuperset(each.through):
            raise NotOursError(
                f"statement {each.sid!r}: its condition names a profile that the document does not grant"
            )


_Own = Sequence[tuple[str | None, str, str | None]]
"""(profile, ARN, end) of what is granted by one action."""


def _require_within(each: Statement, terms: Terms) -> None:
    """Make sure that a statement grants no ARN longer, by another action or through another profile than the terms say.

    Extra actions go with either of the invocation actions.
    """
    for action in (None,) if each.kind is Kind.EXTRA else each.actions:
        own = [(profile, arn, end) for (profile, arn, of), end in terms.items() if action in (None, of)]
        for profile in each.through:
            if not any(covers(end, each.end) for owner, arn, end in own if owner == profile != arn):
                raise NotOursError(f"statement {each.sid!r}: {profile} has no such grant")
        granted = _granted(each, own)
        for arn in each.resources:
            if not any(covers(end, each.end) for end in granted.get(arn, ())):
                raise NotOursError(f"statement {each.sid!r}: {arn} is not granted, or not for so long")


def _granted(each: Statement, own: _Own) -> dict[str, list[str | None]]:
    """The ARNs that a statement of this kind may have, and until when."""
    granted: dict[str, list[str | None]] = {}
    for profile, arn, end in own:
        own_kind = each.kind is Kind.EXTRA or each.kind is _kind(profile, arn)
        if own_kind and (not each.through or profile in each.through):
            granted.setdefault(arn, []).append(end)
            if each.kind is Kind.MODELS:
                granted.setdefault(_anywhere(arn), []).append(end)
    return granted
