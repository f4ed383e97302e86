"""The message that SNS takes: a text for each kind of subscriber, together small enough.

`structured` is the form that queues, functions and web hooks get.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import msgspec

from bedrock_remediator.core.grant import Grant
from bedrock_remediator.core.waiting import remark_of
from bedrock_remediator.notices import email
from bedrock_remediator.notices.advice import next_steps
from bedrock_remediator.notices.by_hand import commands
from bedrock_remediator.notices.notice import Denials, Notice, Plan, last_step
from bedrock_remediator.notices.subject import subject
from bedrock_remediator.notices.untrusted_text import MODEL_ID_LENGTH, caller_words, confirmed, statement, visible

SCHEMA: Final = 1
"""Goes up when a field changes its meaning or goes away; new fields may come at any time."""

_WORD_LENGTH: Final = 64
_SENTENCE_LENGTH: Final = 1000
_KEY_LENGTH: Final = 1024
_LISTED: Final = 60


def structured(notice: Notice, *, leave_out: frozenset[str] = frozenset()) -> str:
    """The notice as one JSON object.

    It holds no secret: who reads it may know everything in it, and can decide nothing by it. `<`, `>` and `&` are
    written as JSON escapes, so that a receiver that prints the text as it came prints no markup.

    Args:
        notice: What to tell.
        leave_out: Names of parts (`policy`, `snippets`, `statement`) to leave out for their size; they are listed
            under `left_out`.
    """
    grant = notice.grant
    content: dict[str, Any] = {
        "schema": SCHEMA,
        "event": notice.occasion,
        "severity": notice.severity,
        "subject": subject(notice),
        "may_be_duplicate": notice.may_be_duplicate,
        "request_id": notice.request_id,
        "page": notice.page,
        "request": {
            "pk": visible(grant.pk, _KEY_LENGTH),
            "sk": visible(grant.sk, _KEY_LENGTH),
            "version": grant.version,
        },
        **_facts(grant, notice.plan),
        "condition": _condition(notice),
        "denials": _denials(notice.denials),
        "lapses_at": notice.lapses_at,
        "as_sent_by_the_caller": caller_words(grant),
        "next_steps": [visible(step) for step in next_steps(grant)],
        "commands": commands(grant, notice.plan, notice.strategy),
        "policy": _policy(notice),
        "snippets": msgspec.to_builtins(notice.plan.snippets) if notice.plan.snippets else None,
        "statement": statement(grant),
        "left_out": sorted(leave_out),
    }
    content |= dict.fromkeys(leave_out)
    text = json.dumps(content, separators=(",", ":"), default=_instant)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _facts(grant: Grant, plan: Plan) -> dict[str, Any]:
    return {
        "state": grant.state,
        "diagnosis": grant.diagnosis,
        "decision": grant.decision,
        "reason_code": visible(grant.reason_code, _WORD_LENGTH),
        "reason": visible(grant.reason, _SENTENCE_LENGTH),
        "layer": grant.layer,
        "effect": grant.effect,
        "denying_policy": _maybe(grant.denying_policy, MODEL_ID_LENGTH),
        "blocked_by": _maybe(grant.blocked_by, _WORD_LENGTH),
        "rule": _maybe(grant.rule, _WORD_LENGTH),
        "principal": _maybe(grant.principal),
        "account": visible(grant.account, _WORD_LENGTH),
        "account_name": _maybe(grant.account_name, _WORD_LENGTH),
        "region": visible(grant.region, _WORD_LENGTH),
        "profile": _maybe(grant.profile),
        "model_id": _maybe(grant.model_id, MODEL_ID_LENGTH) if confirmed(grant) else None,
        "actions": [visible(action, _WORD_LENGTH) for action in (plan.actions or grant.actions)[:_LISTED]],
        "resources": [visible(arn, _KEY_LENGTH) for arn in grant.resources[:_LISTED]],
        "allowed_already": [visible(arn, _KEY_LENGTH) for arn in grant.allowed[:_LISTED]],
        "candidates": [visible(candidate, MODEL_ID_LENGTH) for candidate in grant.candidates[:_LISTED]],
        "source_ip": _maybe(grant.sighting.source_ip, _WORD_LENGTH),
        "event_id": visible(grant.sighting.event_id, _WORD_LENGTH),
        "grant_seconds": grant.grant_seconds,
        "expires_at": grant.expires_at,
        "applied_at": grant.applied_at,
        "verification": grant.verification,
        "updated_at": grant.updated_at,
        "last_step": _step(grant),
        "remark": _remark(grant),
    }


def _condition(notice: Notice) -> dict[str, str] | None:
    """What bounds the use of the models, if anything is or would be granted."""
    if not notice.plan.own or notice.in_place or not notice.grant.profile:
        return None
    return {"bedrock:InferenceProfileArn": visible(notice.grant.profile, _KEY_LENGTH)}


def _step(grant: Grant) -> dict[str, Any] | None:
    step = last_step(grant)
    if step is None:
        return None
    return {
        "state": step.state,
        "at": step.at,
        "by": visible(step.by, MODEL_ID_LENGTH),
        "reason": visible(step.reason, _SENTENCE_LENGTH),
    }


def _remark(grant: Grant) -> dict[str, Any] | None:
    remark = remark_of(grant)
    if remark is None:
        return None
    return {
        "at": remark.at,
        "code": visible(remark.code, _WORD_LENGTH),
        "reason": visible(remark.reason, _SENTENCE_LENGTH),
    }


def _maybe(text: str | None, limit: int = _KEY_LENGTH) -> str | None:
    return visible(text, limit) if text else None


def _denials(denials: Denials | None) -> dict[str, Any] | None:
    if denials is None:
        return None
    return {"count": denials.count, "first_at": denials.first_at, "last_at": denials.last_at}


def _policy(notice: Notice) -> dict[str, Any] | None:
    plan = notice.plan
    if plan.before == plan.after:
        return None
    return {
        "before": [json.loads(document) for document in plan.before],
        "after": [json.loads(document) for document in plan.after],
    }


def _instant(value: datetime) -> str:
    return value.isoformat().replace("+00:00", "Z")


LARGEST: Final = 240_000
"""Bytes of the encoded message. SNS takes 262,144, the attributes and their names included."""

_SMALLER: Final[tuple[frozenset[str], ...]] = (
    frozenset(),
    frozenset({"policy"}),
    frozenset({"policy", "snippets"}),
    frozenset({"policy", "snippets", "statement"}),
    frozenset(
        {
            "policy",
            "snippets",
            "statement",
            "resources",
            "allowed_already",
            "candidates",
            "next_steps",
            "commands",
            "as_sent_by_the_caller",
        }
    ),
)
"""What is left out of a message that is too large, step by step; what the last step keeps is limited in its length."""


def message(notice: Notice) -> Mapping[str, str]:
    """The texts by protocol: `email` for people, all others the same JSON for programs.

    None but the e-mail to approvers holds a token or anything else that would let its reader decide.
    """
    for leave_out in _SMALLER[:-1]:
        texts = _texts(notice, leave_out)
        if len(msgspec.json.encode(texts)) <= LARGEST:
            return texts
    return _texts(notice, _SMALLER[-1])


def _texts(notice: Notice, leave_out: frozenset[str]) -> dict[str, str]:
    content = structured(notice, leave_out=leave_out)
    return {
        "default": content,
        "email": email.text(notice, leave_out=leave_out),
        "https": content,
        "sqs": content,
        "lambda": content,
    }
