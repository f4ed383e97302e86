"""Rows of the ledger for tests: a role that was denied Nova through a geographic profile, and what one changes."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from bedrock_remediator.aws.ledger.items import Seen
from bedrock_remediator.core.grant import DiagnosisKind, Grant, Outcome, Sighting, State
from bedrock_remediator.core.layers import Layer

ACCOUNT = "123456789012"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/service/llm-app"
PROFILE = f"arn:aws:bedrock:us-east-1:{ACCOUNT}:inference-profile/us.amazon.nova-2-lite-v1:0"
MODELS = tuple(
    f"arn:aws:bedrock:{region}::foundation-model/amazon.nova-2-lite-v1:0"
    for region in ("us-east-1", "us-east-2", "us-west-2")
)
NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


SIGHTING = Sighting(
    event_id="11111111-1111-4111-8111-111111111111", time=NOON, action="bedrock:InvokeModel", resource=PROFILE
)
"""AWS's message named the profile: no identity-based policy allows InvokeModel on it."""


def pending_grant(**changes: Any) -> Grant:
    """A pending request at version 1, made at noon; `changes` replace its fields."""
    grant = Grant(
        pk=ROLE,
        sk=f"profile#{PROFILE}",
        state=State.PENDING,
        version=1,
        principal=ROLE,
        principal_id="AROAEXAMPLEEXAMPLE000",
        account=ACCOUNT,
        region="us-east-1",
        diagnosis=DiagnosisKind.MISSING_GRANT,
        decision=Outcome.ASK,
        reason_code="no_rule",
        reason="No rule of the allowlist names this principal and profile.",
        created_at=NOON,
        updated_at=NOON,
        sighting=SIGHTING,
        layer=Layer.IDENTITY,
        profile=PROFILE,
        model_id="us.amazon.nova-2-lite-v1:0",
        resources=tuple(sorted((PROFILE, *MODELS))),
        actions=("bedrock:InvokeModel", "bedrock:InvokeModelWithResponseStream"),
    )
    return msgspec.structs.replace(grant, **changes)


def first_seen(grant: Grant, fingerprint: str = "f1", **changes: Any) -> Seen:
    """The counter of the denial that opened the row: one, at noon."""
    first = Seen(
        pk=grant.pk, fingerprint=fingerprint, row=grant.sk, count=1, event_ids=("e1",), first_at=NOON, last_at=NOON
    )
    return msgspec.structs.replace(first, **changes)


def seen_again(before: Seen, event_id: str) -> Seen:
    """The counter after one more denial, an hour after noon."""
    return msgspec.structs.replace(
        before,
        count=before.count + 1,
        event_ids=(*before.event_ids, event_id),
        last_at=NOON + timedelta(hours=1),
        revision=before.revision + 1,
    )
