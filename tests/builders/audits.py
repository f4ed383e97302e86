"""Accounts for the audit's tests: a region with two scopes of one model, principals, and IAM's pages of them."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from bedrock_remediator.core.arn import Principal
from bedrock_remediator.core.iam.evaluation import Holdings, Policy, PolicyKind
from bedrock_remediator.core.profile import Profile
from bedrock_remediator_cli.audit.catalogue import Catalogue
from bedrock_remediator_cli.audit.examination import examine
from bedrock_remediator_cli.audit.findings import Finding, Member
from bedrock_remediator_cli.audit.organization import Ceiling
from bedrock_remediator_cli.audit.statements import about_bedrock

ACCOUNT: Final = "123456789012"
REGION: Final = "us-east-1"
NOVA: Final = "amazon.nova-2-lite-v1:0"
OPUS: Final = "anthropic.claude-opus-4-6-v1"
TITAN: Final = "amazon.titan-embed-text-v2:0"
NOW: Final = "2026-11-26T09:00:00Z"
INVOKE: Final = ["bedrock:InvokeModel", "bedrock:InvokeModelWithResponseStream"]


def model(model_id: str, region: str = REGION) -> str:
    """A model's ARN."""
    return f"arn:aws:bedrock:{region}::foundation-model/{model_id}"


def profile(profile_id: str, region: str = REGION) -> str:
    """A profile's ARN."""
    return f"arn:aws:bedrock:{region}:{ACCOUNT}:inference-profile/{profile_id}"


def _described(profile_id: str, model_id: str, regions: Sequence[str]) -> Profile:
    models = [model(model_id, region) for region in regions]
    return Profile.confirmed(profile(profile_id), profile_id, "SYSTEM_DEFINED", models)


US_NOVA: Final = _described(f"us.{NOVA}", NOVA, [REGION, "us-east-2", "us-west-2"])
GLOBAL_NOVA: Final = _described(f"global.{NOVA}", NOVA, [REGION])
GLOBAL_OPUS: Final = _described(f"global.{OPUS}", OPUS, [REGION])
CATALOGUE: Final = Catalogue(region=REGION, profiles=(GLOBAL_NOVA, GLOBAL_OPUS, US_NOVA), on_demand=frozenset({TITAN}))


def allow(*resources: str, action: Any = None, **more: Any) -> dict[str, Any]:
    """A statement that allows invoking these."""
    return {"Effect": "Allow", "Action": action or INVOKE, "Resource": list(resources), **more}


def policy(*statements: Mapping[str, Any], name: str = "app", **more: Any) -> Policy:
    """A policy of these statements."""
    document = {"Version": "2012-10-17", "Statement": [dict(each) for each in statements]}
    return Policy(name=name, kind=PolicyKind.INLINE, document=document, **more)


def member(*policies: Policy, boundary: Policy | None = None, name: str = "app", path: str = "/") -> Member:
    """A role that holds these policies."""
    kept = (about_bedrock(each) for each in policies)
    return Member(
        principal=Principal.parse(f"arn:aws:iam::{ACCOUNT}:role{path}{name}"),
        tags={},
        holdings=Holdings(policies=tuple(each for each in kept if each), boundary=boundary),
    )


def examined(
    *statements: Mapping[str, Any], boundary: Policy | None = None, ceiling: Ceiling | None = None
) -> tuple[Finding, ...]:
    """What is found of a role with one policy of these statements."""
    return examine(member(policy(*statements), boundary=boundary), (CATALOGUE,), ceiling, NOW)
