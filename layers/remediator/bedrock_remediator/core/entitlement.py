"""What grants entitle a principal to, and until when: what its policy is compiled from."""

from collections.abc import Iterable
from datetime import UTC, datetime

from msgspec import Struct

from bedrock_remediator.core.arn import ArnError
from bedrock_remediator.core.grant import Grant
from bedrock_remediator.core.policy_grammar import INVOKE_ACTIONS, MODEL, PROFILE

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
