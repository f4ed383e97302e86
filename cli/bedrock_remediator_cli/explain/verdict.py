"""Whether an identity policy can help, and what to do, from the message alone (docs/aws-facts.md §2)."""

import re
from typing import Final

from msgspec import Struct

from bedrock_remediator.core.diagnosis.refusals import QUARANTINE
from bedrock_remediator.core.layers import LAYERS, Effect, Layer
from bedrock_remediator_cli.explain import wording
from bedrock_remediator_cli.explain.proposal import invokes
from bedrock_remediator_cli.explain.refusals import Refusal
from bedrock_remediator_cli.explain.target import Target, shown_masked

GUARDRAIL: Final = "bedrock:ApplyGuardrail"

_NAMED_AS_HOLDER: Final = re.compile(r":(?:assumed-role|role|user)/")
"""In the ARN of a role or a user, even where its name is masked."""


class Verdict(Struct, frozen=True):
    """`fixable`: a policy of the principal can help, cannot, or (None) that is not known. `steps` are for people."""

    fixable: bool | None
    steps: tuple[str, ...]


def can(*steps: str) -> Verdict:
    """A policy of the principal can help."""
    return Verdict(fixable=True, steps=steps)


def cannot(*steps: str) -> Verdict:
    """No policy of the principal can help."""
    return Verdict(fixable=False, steps=steps)


def unknown(*steps: str) -> Verdict:
    """It is not known whether one can."""
    return Verdict(fixable=None, steps=steps)


def verdict(refusal: Refusal, target: Target | None) -> Verdict:
    """Judge a refusal."""
    for judge in (_unread, _forbidden, _caller):
        if found := judge(refusal):
            return found
    return _identity(refusal, target)


def _unread(refusal: Refusal) -> Verdict | None:
    if refusal.needs_profile is not None:
        where = f" --region {refusal.region}" if refusal.region else ""
        return cannot(wording.PROFILE_NEEDED.format(refusal.needs_profile), wording.LIST_PROFILES + where)
    return unknown(refusal.problem, wording.UNREAD) if refusal.problem else None


def _forbidden(refusal: Refusal) -> Verdict | None:
    """Refusals against which no Allow helps."""
    policy = shown_masked(refusal.policy_arn) if refusal.policy_arn else ""
    if policy.rpartition("/")[2] in QUARANTINE:
        return cannot(wording.QUARANTINED, wording.KEEP_QUARANTINE)
    if LAYERS[refusal.layer].fixable is False:
        which = (f"The policy that denies it is {policy}.",) if policy else ()
        return cannot(*which, *LAYERS[refusal.layer].steps)
    if refusal.effect is Effect.EXPLICIT:
        kind = "An identity-based policy" if refusal.layer is Layer.IDENTITY else "A policy that is not named"
        return cannot(wording.DENIED.format(f"{kind} ({policy})" if policy else kind), wording.ON_PURPOSE)
    return cannot(wording.GUARDRAIL) if refusal.action == GUARDRAIL else None


def _caller(refusal: Refusal) -> Verdict | None:
    """Callers that have no policy of their own, or one that nobody may change."""
    holder, principal = refusal.holder, refusal.principal or ""
    if holder and holder.service_owned and not holder.identity_center:
        return cannot(wording.SERVICE_LINKED.format(holder.name))
    if holder or not principal or _NAMED_AS_HOLDER.search(principal):
        return None
    if principal.endswith(":root"):
        return cannot(wording.ROOT)
    return unknown(wording.FEDERATED if ":federated-user/" in principal else wording.NOBODY)


def _identity(refusal: Refusal, target: Target | None) -> Verdict:
    notes = target.open if target else ()
    if not LAYERS[refusal.layer].fixable:
        return unknown(wording.LAYER_NOT_TOLD, *notes)
    invocation = invokes(refusal.action)
    if invocation and target is None and refusal.resource not in (None, "*"):
        return unknown(wording.NO_WHOLE_ARN)
    nothing_named = (wording.NOTHING_NAMED,) if invocation and target is None else ()
    doubt = (wording.UNKNOWN_WORDS,) if refusal.doubtful else ()
    return can(_where_to(refusal), *nothing_named, *notes, *doubt, wording.SAME_WORDS)


def _where_to(refusal: Refusal) -> str:
    holder = refusal.holder
    if holder is None:
        return wording.TO_THE_CALLER
    if holder.identity_center:
        return wording.TO_PERMISSION_SET.format(holder.name)
    return f"Add the policy below to the {holder.kind} {holder.name}."
