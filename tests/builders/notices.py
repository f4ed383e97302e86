"""Notices for tests: one of each kind, made as the notification flow makes them."""

from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any

import msgspec

from bedrock_remediator.core.grant import DiagnosisKind, Grant, Outcome, Remark, Sighting, State, Verification, Written
from bedrock_remediator.core.layers import Effect, Layer
from bedrock_remediator.notices.notice import Denials, Notice, occasions
from bedrock_remediator.notices.plan import plan
from tests.builders.grants import ACCOUNT, NOON, PROFILE, ROLE, pending_grant

EXTRA_ACTIONS = ("bedrock:UseInferenceProfile", "bedrock:GetFoundationModel")
SSO_ROLE = (
    f"arn:aws:iam::{ACCOUNT}:role/aws-reserved/sso.amazonaws.com/us-east-1/"
    "AWSReservedSSO_DataScientists_0123456789abcdef"
)
USER = f"arn:aws:iam::{ACCOUNT}:user/ci"
QUARANTINE = "arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantineV3"

SIGHTING = Sighting(
    event_id="11111111-1111-4111-8111-111111111111",
    time=NOON,
    action="bedrock:InvokeModelWithResponseStream",
    source_ip="198.51.100.7",
    user_agent="Boto3/1.44.5 md/Botocore#1.44.5 lang/python#3.13.0",
    session="web-1",
    message=(
        f"User: arn:aws:sts::{ACCOUNT}:assumed-role/llm-app/web-1 is not authorized to perform: "
        f"bedrock:InvokeModelWithResponseStream on resource: {PROFILE} because no identity-based policy allows the "
        "bedrock:InvokeModelWithResponseStream action"
    ),
)


def notice_of(grant: Grant, rows: Iterable[Grant] = (), *, denials: int = 37, **changes: Any) -> Notice:
    """The notice of a row, denied `denials` times in a day, `rows` being the principal's others."""
    about = occasions(grant)[-1]
    seen = Denials(count=denials, first_at=NOON - timedelta(days=1), last_at=NOON) if denials else None
    made = plan(grant, lambda: rows, EXTRA_ACTIONS)
    return msgspec.structs.replace(Notice(grant=grant, occasion=about, denials=seen, plan=made), **changes)


def requested(**changes: Any) -> Grant:
    """A request that waits for a person."""
    return pending_grant(**{"sighting": SIGHTING, "effect": Effect.IMPLICIT} | changes)


def granted(**changes: Any) -> Grant:
    """A grant that a rule made, for thirty days."""
    return requested(
        **{
            "state": State.ACTIVE,
            "version": 3,
            "decision": Outcome.AUTO,
            "reason_code": "rule_auto",
            "rule": "nova-for-llm-apps",
            "verification": Verification.SIMULATED,
            "applied_at": NOON,
            "expires_at": NOON + timedelta(days=30),
            "written": Written(
                strategy="managed",
                policies=(f"arn:aws:iam::{ACCOUNT}:policy/bedrock-access-remediator/role.llm-app.1",),
            ),
        }
        | changes
    )


def advice(code: str, diagnosis: DiagnosisKind = DiagnosisKind.NOT_FIXABLE, **changes: Any) -> Grant:
    """A denial that is reported, with nothing looked up at AWS."""
    return requested(
        **{
            "sk": f"advice#{diagnosis}#{PROFILE}",
            "state": State.REPORTED,
            "diagnosis": diagnosis,
            "decision": Outcome.REPORT,
            "reason_code": code,
            "model_id": None,
            "resources": (),
        }
        | changes
    )


def blocked_by_scp(**changes: Any) -> Grant:
    """A denial by a service control policy."""
    return advice(
        "scp",
        **{
            "layer": Layer.SCP,
            "effect": Effect.EXPLICIT,
            "reason": "No identity policy can help: a service control policy of the organization denies it.",
            "denying_policy": f"arn:aws:organizations::{ACCOUNT}:policy/o-example/service_control_policy/p-example",
        }
        | changes,
    )


def leaked_key(**changes: Any) -> Grant:
    """A user whose key AWS found in public."""
    return advice(
        "quarantined",
        DiagnosisKind.LEAKED_KEY,
        **{
            "pk": USER,
            "principal": USER,
            "principal_id": "AIDAEXAMPLEUSER000001",
            "effect": Effect.EXPLICIT,
            "denying_policy": QUARANTINE,
            "reason": f"AWS has quarantined user ci ({QUARANTINE}) because an access key of it was found in public.",
        }
        | changes,
    )


def conditional(**changes: Any) -> Grant:
    """A role whose policy allows the call with a guardrail only."""
    return requested(
        **{
            "diagnosis": DiagnosisKind.CONDITIONAL_ALLOW,
            "reason_code": "condition_not_met",
            "reason": "A statement in base decides about the call under a condition that it did not meet.",
            "evidence": (
                '{"Action":"bedrock:InvokeModel*","Condition":{"StringEquals":{"bedrock:GuardrailIdentifier":'
                '"arn:aws:bedrock:us-east-1:123456789012:guardrail/abc"}},"Effect":"Allow","Resource":"*"}'
            ),
        }
        | changes
    )


def wrong_prefix(**changes: Any) -> Grant:
    """A role that may call the profile of another scope of the same model."""
    return requested(
        **{
            "diagnosis": DiagnosisKind.WRONG_IDENTIFIER,
            "reason_code": "other_scope_granted",
            "candidates": ("global.amazon.nova-2-lite-v1:0",),
        }
        | changes
    )


def permission_set(**changes: Any) -> Grant:
    """A role of Identity Center."""
    return advice(
        "permission_set",
        **{"pk": SSO_ROLE, "principal": SSO_ROLE, "model_id": requested().model_id, "resources": requested().resources}
        | changes,
    )


REMARK = Remark(
    version=3,
    at=NOON + timedelta(hours=2),
    code="policy_not_ours",
    reason="arn:aws:iam::123456789012:policy/x is left as it is: somebody has edited it. Rename or remove it.",
)

ALL: dict[str, Callable[[], Grant]] = {
    "requested": requested,
    "granted": granted,
    "rolled_back": lambda: granted(state=State.ROLLED_BACK, reason_code="certainly_no_help", layer=Layer.SCP),
    "failed": lambda: granted(state=State.FAILED, reason_code="write_refused", written=None, applied_at=None),
    "advice": blocked_by_scp,
    "alert": leaked_key,
    "rejected": lambda: requested(state=State.REJECTED, version=2, reason_code="rejected"),
    "lapsed": lambda: requested(state=State.LAPSED, version=2, reason_code="nobody_decided"),
    "revoked": lambda: granted(state=State.REVOKED, version=5, reason_code="revoked"),
    "reminded": lambda: requested(reminded_at=NOON + timedelta(hours=36)),
    "drifted": lambda: granted(remark=REMARK),
    "link": lambda: granted(link_asked_at=NOON + timedelta(days=9)),
}
"""One row of each kind of notice, by the word that the attribute `event` holds."""

__all__ = ["ALL", "ROLE"]
