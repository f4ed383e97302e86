"""Entitlements for tests, drawn or written out, and a small reader that says what a set of documents allows.

The reader knows only what our own documents hold, and shares no code with what it judges.
"""

import functools
import json
import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from hypothesis import strategies as st

from bedrock_remediator.core.policy import Entitlement

ACCOUNT = "123456789012"
EXTRA = ("bedrock:UseInferenceProfile", "bedrock:GetFoundationModel")
INVOKE = ("bedrock:InvokeModel", "bedrock:InvokeModelWithResponseStream")
MODEL_IDS = ("amazon.nova-2-lite-v1:0", "amazon.nova-premier-v1:0", "anthropic.claude-sonnet-4-v1:0")
REGIONS = ("us-east-1", "us-east-2", "us-west-2", "eu-central-1")
ENDS = (None, datetime(2026, 12, 1, tzinfo=UTC), datetime(2027, 1, 1, 12, 30, 5, tzinfo=UTC))
TIMES = (datetime(2026, 11, 20, tzinfo=UTC), datetime(2026, 12, 15, tzinfo=UTC), datetime(2027, 6, 1, tzinfo=UTC))


def model(region: str, model_id: str = MODEL_IDS[0]) -> str:
    """The ARN of a foundation model."""
    return f"arn:aws:bedrock:{region}::foundation-model/{model_id}"


def profile(name: str = f"us.{MODEL_IDS[0]}", region: str = "us-east-1", kind: str = "inference-profile") -> str:
    """The ARN of an inference profile."""
    return f"arn:aws:bedrock:{region}:{ACCOUNT}:{kind}/{name}"


PROFILES = (
    *(profile(f"us.{model_id}") for model_id in MODEL_IDS),
    profile(f"us.{MODEL_IDS[0]}", "us-west-2"),
    profile(f"global.{MODEL_IDS[0]}"),
    profile("q7xk2m9p0abc", kind="application-inference-profile"),
)
MODELS = tuple(model(region, model_id) for region in (*REGIONS, "") for model_id in MODEL_IDS)
DIRECT_MODELS = tuple(arn for arn in MODELS if ":::" not in arn)

GUIDE = Entitlement(profile=profile(), models=tuple(model(region) for region in REGIONS[:3]))

ends = st.sampled_from(ENDS)
some_actions = st.sampled_from([INVOKE, INVOKE, INVOKE[:1], INVOKE[1:]])
through_a_profile = st.builds(
    Entitlement,
    profile=st.sampled_from(PROFILES),
    models=st.lists(st.sampled_from(MODELS), min_size=1, max_size=5).map(tuple),
    actions=some_actions,
    expires_at=ends,
)
direct = st.builds(
    Entitlement,
    profile=st.none(),
    models=st.tuples(st.sampled_from(DIRECT_MODELS)),
    actions=some_actions,
    expires_at=ends,
)
entitlements = through_a_profile | direct
"""One that a ledger's row might hold; models of a profile in any mixture."""


@functools.cache
def _statements(document: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(document)["Statement"]
    return found


def allows(documents: Iterable[str], action: str, resource: str, through: str | None, time: datetime) -> bool:
    """Whether documents of ours allow an action on a resource at a time, called through a profile or without one."""
    return any(
        action in several(statement["Action"])
        and any(_like(pattern, resource) for pattern in several(statement["Resource"]))
        and _met(statement.get("Condition", {}), through, time)
        for document in documents
        for statement in _statements(document)
    )


def several(value: Any) -> list[Any]:
    """What a policy may give as one or as a list."""
    return value if isinstance(value, list) else [value]


def _met(condition: dict[str, dict[str, Any]], through: str | None, time: datetime) -> bool:
    profiles = condition.get("StringEquals", {}).get("bedrock:InferenceProfileArn", through)
    end = condition.get("DateLessThan", {}).get("aws:CurrentTime")
    return through in several(profiles) and (end is None or time < datetime.fromisoformat(end))


def _like(pattern: str, text: str) -> bool:
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), text) is not None


def live(given: Iterable[Entitlement], time: datetime) -> list[Entitlement]:
    """Those that have not ended at a time."""
    return [each for each in given if each.expires_at is None or time < each.expires_at]


def of(given: Iterable[Entitlement], action: str) -> list[Entitlement]:
    """Those that give an action."""
    return [each for each in given if action in each.actions]


def granted_exactly(given: Sequence[Entitlement], resource: str, through: str | None, time: datetime) -> bool:
    """Whether entitlements allow an invocation of a resource, and no profile lends its models to another."""
    return any(
        resource == each.profile or (resource in each.models and each.profile in (None, through))
        for each in live(given, time)
    )


def granted_in_any_region(given: Sequence[Entitlement], resource: str, through: str | None, time: datetime) -> bool:
    """Whether they do if a model counts in every region, and through each profile that has any model."""
    current = live(given, time)
    lends = any(each.profile == through and each.models for each in current if through)
    model_id = resource.rpartition("/")[2]
    return granted_exactly(given, resource, through, time) or (
        lends
        and ":foundation-model/" in resource
        and any(each.profile and any(arn.endswith(f"/{model_id}") for arn in each.models) for each in current)
    )
