"""What must hold of every ending, whatever has failed on the way: nothing half done, nothing lost, nothing unsaid."""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from bedrock_remediator.aws.ledger.items import read_grant
from bedrock_remediator.core.grant import TRANSITIONS, Grant, State
from bedrock_remediator.core.policy import compile_policies, entitlement
from bedrock_remediator.notices.notice import occasion
from sandbox.iam import INLINE_LIMITS, MANAGED_LIMIT
from sandbox.stack import Sandbox
from tests.builders.endings import in_iam

EXTRA_ACTIONS: Final = ("bedrock:UseInferenceProfile", "bedrock:GetFoundationModel")
"""The template's default."""

_UNDER_WAY: Final = frozenset({State.APPROVED, State.APPLYING, State.REVOKING})
_OURS: Final = ("bedrock-access-remediator", "role.", "user.")


def unsound(stack: Sandbox, before: Mapping[str, Any]) -> list[str]:
    """What is wrong with what the sandbox holds, at rest; `before` is what IAM held in the beginning (`in_iam`)."""
    rows = grants(stack)
    lost = {letter.queue for letter in stack.failures}
    return [
        *(f"{row.sk} of {row.pk} is {row.state}, and no message is left of it" for row in _stranded(rows, lost)),
        *(f"{row.sk} of {row.pk} went {step}" for row in rows for step in _leaps(row)),
        *_unsaid(stack, rows, lost),
        *_wrong_policies(stack, rows, before),
    ]


def grants(stack: Sandbox) -> list[Grant]:
    """The ledger's rows."""
    return [read_grant(item) for item in stack.ledger.raw() if "state" in item]


def _stranded(rows: Iterable[Grant], lost: set[str]) -> Iterator[Grant]:
    if not {"RemediationsDeadLetters", "PipeDeadLetters"} & lost:
        yield from (row for row in rows if row.state in _UNDER_WAY)


def _leaps(row: Grant) -> Iterator[str]:
    """Steps in a row's history that the state machine has no arrow for."""
    for one, other in zip(row.history, row.history[1:], strict=False):
        if other.state not in TRANSITIONS[one.state]:
            yield f"{one.state} -> {other.state}"


def _unsaid(stack: Sandbox, rows: Iterable[Grant], lost: set[str]) -> Iterator[str]:
    """Rows of whose state nobody was told."""
    if "NotifyDeadLetters" in lost:
        return
    told = set()
    for notice in stack.outbox.notices:
        content = json.loads(notice.message["default"])
        if "request" in content:
            told.add((content["request"]["pk"], content["request"]["sk"], content["request"]["version"]))
    for row in rows:
        if occasion(row) is not None and (*row.key, row.version) not in told:
            yield f"nobody was told that {row.sk} of {row.pk} is {row.state}"


def _wrong_policies(stack: Sandbox, rows: Iterable[Grant], before: Mapping[str, Any]) -> Iterator[str]:
    """Policies that are not what the standing grants say, to the letter; in place, to the ARN."""
    now = in_iam(stack)
    for arn, held in now["principals"].items():
        if held is None:
            continue
        own = [row for row in rows if row.pk == arn]
        standing = [row for row in own if row.state is State.ACTIVE]
        if any(row.state in _UNDER_WAY for row in own):
            yield from _too_much(arn, held, own, before)
            continue
        compiled = [row for row in standing if row.written and row.written.strategy != "in-place"]
        inline = any(row.written and row.written.strategy == "inline" for row in compiled)
        room = INLINE_LIMITS["user" if ":user/" in arn else "role"] if inline else MANAGED_LIMIT
        texts = compile_policies(map(entitlement, compiled), EXTRA_ACTIONS, limit=room)
        wanted = [json.loads(text) for text in texts]
        ours = [document for name, _, document in held["own"] if name.startswith(_OURS)]
        if ours != (wanted if compiled else []):
            yield f"the policies of {arn} are not its {len(compiled)} grants"
        granted = {each for row in standing for each in row.resources}
        if set(_arns(held)) != {*_arns(before["principals"][arn]), *granted}:
            yield f"{arn} may not use just what it could, and its grants"


def _too_much(arn: str, held: Mapping[str, Any], own: Iterable[Grant], before: Mapping[str, Any]) -> Iterator[str]:
    """While something is under way, nothing may be there that no row speaks of."""
    known = {*_arns(before["principals"][arn]), *(each for row in own for each in row.resources)}
    if more := set(_arns(held)) - known:
        yield f"{arn} may use {sorted(more)}, and no row says so"


def _arns(held: Mapping[str, Any]) -> Iterator[str]:
    """The resources that a principal's own policies name; a region that is left open stands for the two that we use."""
    for _, _, document in held["own"]:
        for statement in document["Statement"]:
            named = statement["Resource"]
            yield from [named] if isinstance(named, str) else named
