"""What an audit says of any mixture of ARNs in a policy, however they are spread over statements."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from bedrock_remediator.core.policy import check
from bedrock_remediator_cli.audit.examination import examine
from bedrock_remediator_cli.audit.findings import Audited, Kind, Level
from bedrock_remediator_cli.audit.fix_plan import plans
from tests.builders.audits import (
    CATALOGUE,
    GLOBAL_NOVA,
    GLOBAL_OPUS,
    NOVA,
    NOW,
    OPUS,
    US_NOVA,
    allow,
    member,
    model,
    policy,
)

PROFILES = (US_NOVA, GLOBAL_NOVA, GLOBAL_OPUS)
EVERYTHING = sorted({arn for each in PROFILES for arn in each.resources})
SPREAD = st.lists(st.lists(st.sampled_from(EVERYTHING), min_size=1, max_size=4), max_size=4)


@settings(max_examples=60, deadline=None)
@given(SPREAD)
def test_what_is_named_lacks_what_is_not(spread: list[list[str]]) -> None:
    """A profile that is named lacks just the rest of its ARNs; a model of which no profile is named lacks one."""
    held = {arn for some in spread for arn in some}
    found = examine(member(policy(*(allow(*some) for some in spread))), (CATALOGUE,), None, NOW)
    lacking = {
        each.profile: set(each.missing)
        for finding in found
        if finding.kind is Kind.DESTINATION_MISSING
        for each in finding.affected
    }
    assert lacking == {
        each.arn: set(each.resources) - held
        for each in PROFILES
        if each.arn in held and not held.issuperset(each.resources)
    }
    bare = {each.model_id for finding in found if finding.kind is Kind.NO_PROFILE for each in finding.affected}
    named = {each.model_ids for each in PROFILES if each.arn in held}
    assert bare == {each for each in (NOVA, OPUS) if model(each) in held and frozenset({each}) not in named}
    assert all(finding.level is Level.ERROR and finding.fixable for finding in found)


@settings(max_examples=40, deadline=None)
@given(SPREAD)
def test_the_plan_leaves_nothing_to_find(spread: list[list[str]]) -> None:
    """With the planned policies beside its own, nothing of the principal is found any more; they pass the grammar."""
    own = policy(*(allow(*some) for some in spread))
    before = member(own)
    audited = Audited(principal=before.principal, findings=examine(before, (CATALOGUE,), None, NOW))
    found = [document for plan in plans([audited]) for document in plan.documents]
    for document in found:
        check(document, ())
    planned = [policy(*_statements(document), name=f"plan-{place}") for place, document in enumerate(found)]
    assert examine(member(own, *planned), (CATALOGUE,), None, NOW) == ()
    assert bool(found) == bool(audited.findings)


def _statements(document: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(document)["Statement"]
    return found


_GUARD = {"StringEquals": {"bedrock:GuardrailIdentifier": "arn:aws:bedrock:us-east-1:123456789012:guardrail/a1b2"}}
_BOUND = {"StringEquals": {"bedrock:InferenceProfileArn": US_NOVA.arn}}
_CONDITIONS = st.sampled_from([None, _GUARD, _BOUND, {**_GUARD, "ArnLike": {"aws:SourceArn": "arn:aws:s3:::*"}}])


@settings(max_examples=120, deadline=None)
@given(st.lists(st.tuples(st.lists(st.sampled_from(EVERYTHING), min_size=1, max_size=4), _CONDITIONS), max_size=5))
def test_no_plan_works_round_a_demand(spread: list[tuple[list[str], dict[str, Any] | None]]) -> None:
    """What is allowed only with a guardrail is in no planned policy, where it would be allowed without."""
    statements = [allow(*some, **({"Condition": block} if block else {})) for some, block in spread]
    whole = member(policy(*statements))
    audited = Audited(principal=whole.principal, findings=examine(whole, (CATALOGUE,), None, NOW))
    planned = {arn for plan in plans([audited]) for text in plan.documents for arn in _resources(text)}
    free = {
        arn for some, block in spread if not block or "bedrock:GuardrailIdentifier" not in str(block) for arn in some
    }
    guarded = {arn for some, block in spread if block and "bedrock:GuardrailIdentifier" in str(block) for arn in some}
    assert planned.isdisjoint(guarded - free)


def _resources(document: str) -> list[str]:
    return [str(arn) for statement in _statements(document) for arn in statement["Resource"]]
