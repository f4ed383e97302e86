"""The policy to add, and the ways of writing it.

Without AWS it is made from ARNs that the message names and from what their form tells. Every ARN in it was read by
`core/arn.py`, so nothing that somebody pasted can widen it; the only wildcard is a region that is left open, and then
the models can be reached through the one profile only. Masked accounts become the placeholder ACCOUNT_ID.
"""

import json
from collections.abc import Sequence
from typing import Any, Final, Literal

from bedrock_remediator.core.arn import Arn, ArnError
from bedrock_remediator.core.cloudtrail import INVOCATIONS
from bedrock_remediator.core.policy import Entitlement, compile_policies
from bedrock_remediator.core.policy_grammar import INVOKE_ACTIONS
from bedrock_remediator.notices.cdk import cdk, cdk_permission_set
from bedrock_remediator.notices.plan import permission_set_snippets
from bedrock_remediator.notices.snippets import snippets
from bedrock_remediator_cli.explain.pasted import MASKED
from bedrock_remediator_cli.explain.refusals import Refusal
from bedrock_remediator_cli.explain.target import ANY_REGION, REGION, Target, shown_masked

Form = Literal["json", "terraform", "cloudformation", "cdk"]
Document = dict[str, Any]

_AS_INVOCATION: Final = frozenset(
    {
        *INVOKE_ACTIONS,
        *(f"bedrock:{name}" for name in (*INVOCATIONS, "InvokeModelWithBidirectionalStream", "StartAsyncInvoke")),
    }
)
"""Actions that authorise as an invocation: some messages and many policies name operations that are no IAM actions."""

_SOMEBODY: Final = f"arn:aws:iam::{MASKED}:role/ROLE_NAME"
_SSO: Final = "AWSReservedSSO_"


def offline(refusal: Refusal, target: Target | None) -> Document | None:
    """The policy by the form of the identifiers alone; None where it cannot be told what to allow on what."""
    if refusal.action is None:
        return None
    if refusal.action not in _AS_INVOCATION:
        return _document(_allow("AllowAction", [refusal.action], [refusal.resource or ""]))
    if target is None:
        return None
    if target.profile is None:
        return _document(_allow("InvokeModel", INVOKE_ACTIONS, target.models or (target.other or "",)))
    return _document(
        _allow("InvokeInferenceProfile", INVOKE_ACTIONS, [target.profile]),
        _allow("InvokeModelsThroughIt", INVOKE_ACTIONS, target.models, through=target.profile),
    )


def confirmed(profile: str | None, models: Sequence[str], actions: Sequence[str] = INVOKE_ACTIONS) -> Document:
    """The policy with the ARNs that AWS returned, as the service itself would write it."""
    (text,) = compile_policies([Entitlement(profile=profile, models=tuple(models), actions=tuple(actions))], ())
    document: Document = json.loads(text)
    return document


def invokes(action: str | None) -> bool:
    """Whether the action is that of an invocation."""
    return action in _AS_INVOCATION


def _allow(sid: str, actions: Sequence[str], resources: Sequence[str], through: str | None = None) -> Document | None:
    if not resources or not all(map(_can_be_named, resources)):
        return None
    statement: Document = {
        "Sid": sid,
        "Effect": "Allow",
        "Action": actions[0] if len(actions) == 1 else list(actions),
        "Resource": resources[0] if len(resources) == 1 else list(resources),
    }
    if through:
        statement["Condition"] = {"StringEquals": {"bedrock:InferenceProfileArn": through}}
    return statement


def _can_be_named(arn: str) -> bool:
    """Whether it is one ARN without anything that a policy would expand, but for the placeholders of this program."""
    bare = arn.replace(f":{REGION}:", ":x:").replace(f":bedrock:{ANY_REGION}::foundation-model/", ":bedrock:x::m/")
    try:
        Arn.parse(bare)
    except ArnError:
        return False
    return True


def _document(*statements: Document | None) -> Document | None:
    if not all(statements):
        return None
    return {"Version": "2012-10-17", "Statement": [each for each in statements if each]}


def written(document: Document, refusal: Refusal, form: Form) -> str:
    """The policy and its attachment in a form that can be pasted."""
    text = json.dumps(document)
    if form == "json":
        return shown_masked(json.dumps(document, indent=2) + "\n")
    holder = refusal.holder
    if holder and holder.identity_center:
        name = holder.name.removeprefix(_SSO).rpartition("_")[0] or holder.name
        if form == "cdk":
            return shown_masked(cdk_permission_set(name, [text]))
        made = permission_set_snippets(name, [text])
        return shown_masked(made.terraform if form == "terraform" else made.cloudformation)
    principal = holder.arn if holder else _SOMEBODY
    if form == "cdk":
        return shown_masked(cdk(principal, [text]))
    made = snippets(principal, [text])
    return shown_masked(made.terraform if form == "terraform" else made.cloudformation)


def plain(document: Document | None) -> Document | None:
    """The policy with its placeholders, as a value."""
    if document is None:
        return None
    shown: Document = json.loads(shown_masked(json.dumps(document)))
    return shown
