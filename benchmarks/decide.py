"""Deciding without I/O: a denial, its profile, the principal's policies and an allowlist, to a compiled policy.

Budget: under a millisecond for 10 policies of 5 statements and 200 rules, where the principal is granted one profile;
it grows linearly with each. A call of the profile needs four ARNs for two actions, so the policies are asked eight
times. The policies are read anew each time; the rules were read before, as they are by a running function.
"""

import json
import timeit
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from msgspec import Struct

from bedrock_remediator.core import cloudtrail
from bedrock_remediator.core.allowlist import Allowlist, parse
from bedrock_remediator.core.allowlist.rules import Subject
from bedrock_remediator.core.cloudtrail import Denial
from bedrock_remediator.core.decision import decide
from bedrock_remediator.core.diagnosis.policies import contexts, from_holdings
from bedrock_remediator.core.diagnosis.target import Target
from bedrock_remediator.core.iam.evaluation import Evaluator, Holdings, Policy, PolicyKind, Request
from bedrock_remediator.core.policy import Entitlement, compile_policies
from bedrock_remediator.core.policy_grammar import INVOKE_ACTIONS
from bedrock_remediator.core.profile import Profile
from benchmarks import tell
from benchmarks.parse import EVENTS

BUDGET: Final = 1
_BASE: Final = (50, 200, 1)
_TIMES: Final = (1, 2, 4, 6, 8, 10)
_ROUNDS: Final = 100
_NOW: Final = datetime(2026, 11, 23, tzinfo=UTC)


class Decided(Struct, frozen=True):
    """Milliseconds a decision, for so many statements, rules, and profiles that the principal is granted."""

    statements: int
    rules: int
    grants: int
    milliseconds: float


def measure() -> Iterator[Decided]:
    """The budget's own size, then each of its sides up to ten times that."""
    sizes = [(_BASE[0] * times, *_BASE[1:]) for times in _TIMES]
    sizes += [(_BASE[0], _BASE[1] * times, _BASE[2]) for times in _TIMES[1:]]
    sizes += [(*_BASE[:2], _BASE[2] * times) for times in _TIMES[1:]]
    works = [_work(*size) for size in sizes]
    # In turn, so that a slow moment of the machine hits all alike.
    times = [[timeit.timeit(work, number=1) for work in works] for _ in range(_ROUNDS)]
    for size, column in zip(sizes, zip(*times, strict=True), strict=True):
        yield Decided(*size, min(column) * 1e3)


def _work(statements: int, rules: int, grants: int) -> Callable[[], None]:
    denial = cloudtrail.read((EVENTS / "geographic-profile.json").read_bytes())
    assert isinstance(denial, Denial)
    assert denial.resource is not None
    holdings, rulebook, profile = _holdings(statements), _rules(rules), _profile(denial)
    subject = Subject(
        principal="arn:aws:iam::123456789012:role/llm-app",
        tags={},
        profile_arn=profile.arn,
        profile_id=profile.id,
        models=profile.models,
        account=denial.account,
        region=denial.region,
        source_ip="10.0.0.1",
    )
    target = Target(profile=profile)
    granted = [
        Entitlement(
            profile=f"{profile.arn}{number or ''}", models=tuple(f"{arn}{number or ''}" for arn in profile.models)
        )
        for number in range(grants)
    ]

    def work() -> None:
        evaluator = Evaluator(holdings)
        findings = {
            (action, resource): evaluator.evaluate(Request(action, resource, contexts(target, resource, _known())))
            for action in INVOKE_ACTIONS
            for resource in target.resources
        }
        diagnosis = from_holdings(denial, target, findings)
        decide(mode="auto", paused=False, diagnosis=diagnosis, allowlist=rulebook, subject=subject)
        compile_policies(granted, ("bedrock:GetFoundationModel",))

    work()
    return work


def _known() -> dict[str, tuple[str, ...]]:
    return {"aws:currenttime": (f"{_NOW:%Y-%m-%dT%H:%M:%SZ}",), "aws:username": ()}


def _profile(denial: Denial) -> Profile:
    assert denial.resource is not None
    models = [
        f"arn:aws:bedrock:{region}::foundation-model/amazon.nova-2-lite-v1:0"
        for region in ("us-east-1", "us-east-2", "us-west-2")
    ]
    return Profile.confirmed(str(denial.resource), denial.resource.id, "SYSTEM_DEFINED", models)


def _holdings(statements: int) -> Holdings:
    def statement(number: int) -> Mapping[str, Any]:
        return {
            "Effect": "Allow",
            "Action": ["bedrock:InvokeModel*", f"s3:Get{number}*"],
            "Resource": [f"arn:aws:bedrock:*::foundation-model/vendor.model-{number}-*", f"arn:aws:s3:::b{number}/*"],
        }

    policies = [
        Policy(
            name=f"policy-{number}",
            kind=PolicyKind.INLINE,
            document={"Version": "2012-10-17", "Statement": [statement(number * 5 + each) for each in range(5)]},
        )
        for number in range(statements // 5)
    ]
    return Holdings(policies=tuple(policies))


def _rules(rules: int) -> Allowlist:
    document = {
        "version": 1,
        "rules": [
            {
                "name": f"rule-{number}",
                "effect": "auto",
                "principals": [f"arn:aws:iam::*:role/team-{number}-*"],
                "profiles": ["us.amazon.nova-*"],
            }
            for number in range(rules)
        ],
    }
    parsed = parse({"main": json.dumps(document)})
    assert not parsed.problems, parsed.problems
    return parsed


def main() -> None:
    """Print the figures."""
    tell(measure())


if __name__ == "__main__":
    main()
