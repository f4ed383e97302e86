"""What an audit says of any mixture of ARNs in a policy, however they are spread over statements."""

import json

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


def _statements(document: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(document)["Statement"]
    return found
