"""What one principal's policies say of a call, each question asked once."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from bedrock_remediator.core.diagnosis.policies import contexts
from bedrock_remediator.core.diagnosis.target import Target
from bedrock_remediator.core.iam.conditions import PROFILE_KEY, REGION_KEY, TIME_KEYS
from bedrock_remediator.core.iam.evaluation import Evaluator, Finding, Holdings, Policy, Request
from bedrock_remediator.core.profile import Profile
from bedrock_remediator_cli.audit.findings import Member
from bedrock_remediator_cli.audit.statements import statements

Known = Mapping[str, tuple[str, ...]]

_DIRECT: Final = Target()
_SCOPING_KEYS: Final = frozenset({PROFILE_KEY, REGION_KEY, *TIME_KEYS})
"""Condition keys that say which calls a statement is about, rather than demand something of the caller."""


def known(member: Member, now: str) -> Known:
    """The condition keys that are certain for every call of a principal; `now` as `2026-11-26T09:00:00Z`."""
    principal = member.principal
    return {
        "aws:principalarn": (principal.arn,),
        "aws:principalaccount": (principal.account,),
        "aws:principalisawsservice": ("false",),
        "aws:currenttime": (now,),
        "aws:securetransport": ("true",),
        "aws:username": (principal.name,) if principal.kind == "user" else (),
        **{f"aws:principaltag/{name.lower()}": (value,) for name, value in member.tags.items()},
    }


def personal(policies: Sequence[Policy]) -> bool:
    """Whether the policies may say something else of another principal."""
    text = msgspec.json.encode([policy.document for policy in policies]).lower()
    return any(word in text for word in (b"${", b"aws:principal", b"aws:user", b"aws:source"))


class Reach:
    """Asks the principal's policies, and its boundary.

    Args:
        holdings: The policies.
        context: What is known of every call.
    """

    def __init__(self, holdings: Holdings, context: Known) -> None:
        self._context = context
        self._whole = Evaluator(holdings)
        self._own = Evaluator(Holdings(policies=holdings.policies)) if holdings.boundary else self._whole
        self._relaxed: Evaluator | None = None
        self._holdings = holdings
        self._bound = b"inferenceprofilearn" in _text(holdings)
        self._asked: dict[tuple[str, str, str | None], Finding] = {}
        self._asked_own: dict[tuple[str, str, str | None], Finding] = {}
        self._conditions: dict[int, Mapping[str, Any]] = {}

    def ask(self, action: str, resource: str, profile: Profile | None) -> Finding:
        """What the policies, within the boundary, say of a resource that is called through a profile, or directly."""
        return self._remembered(self._asked, self._whole, (action, resource), profile)

    def own(self, action: str, resource: str, profile: Profile | None) -> Finding:
        """The same without the boundary: what whoever wrote the policies meant."""
        return self._remembered(self._asked_own, self._own, (action, resource), profile)

    def unconditionally(self, action: str, resource: str, profile: Profile) -> Finding:
        """The same where Allows did not depend on region, time or profile."""
        if self._relaxed is None:
            self._relaxed = Evaluator(Holdings(policies=tuple(map(self._without, self._holdings.policies))))
        return self._relaxed.evaluate(self._request(action, resource, profile))

    def keys(self, finding: Finding) -> tuple[str, ...]:
        """The condition keys that an answer of `unconditionally` left out of the statement that decided."""
        block = self._conditions.get(id(finding.statement), {})
        return tuple(sorted({key for keys in block.values() if isinstance(keys, Mapping) for key in keys}))

    def _remembered(
        self,
        answers: dict[tuple[str, str, str | None], Finding],
        evaluator: Evaluator,
        question: tuple[str, str],
        profile: Profile | None,
    ) -> Finding:
        # Which profile a model is called through matters only where a condition asks for it.
        key = (*question, profile.arn if profile and self._bound else None)
        found = answers.get(key)
        if found is None:
            found = answers[key] = evaluator.evaluate(self._request(*question, profile))
        return found

    def _request(self, action: str, resource: str, profile: Profile | None) -> Request:
        target = Target(profile=profile) if profile else _DIRECT
        return Request(action, resource, contexts(target, resource, self._context))

    def _without(self, policy: Policy) -> Policy:
        """The policy, its Allows without the conditions that only say what they are about."""
        relaxed = []
        for statement in statements(policy):
            if not isinstance(statement, Mapping) or statement.get("Effect") != "Allow" or "Condition" not in statement:
                relaxed.append(statement)
                continue
            block = _demands(statement["Condition"])
            changed = {**statement, "Condition": block} if block else {**statement}
            if not block:
                del changed["Condition"]
            self._conditions[id(changed)] = _left_out(statement["Condition"])
            relaxed.append(changed)
        return replace(policy, document={**policy.document, "Statement": relaxed})


def _demands(block: Any) -> dict[str, Any]:
    """A condition without the keys that only say what a statement is about."""
    return _keys(block, scoping=False)


def _left_out(block: Any) -> dict[str, Any]:
    return _keys(block, scoping=True)


def _keys(block: Any, *, scoping: bool) -> dict[str, Any]:
    if not isinstance(block, Mapping):
        return {} if scoping else {"": block}
    kept: dict[str, Any] = {}
    for operator, keys in block.items():
        if not isinstance(keys, Mapping):
            if not scoping:
                kept[operator] = keys
            continue
        some = {key: value for key, value in keys.items() if (key.lower() in _SCOPING_KEYS) is scoping}
        if some:
            kept[operator] = some
    return kept


def _text(holdings: Holdings) -> bytes:
    every = (*holdings.policies, *((holdings.boundary,) if holdings.boundary else ()))
    return msgspec.json.encode([policy.document for policy in every]).lower()
