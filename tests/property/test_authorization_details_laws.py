"""What IAM recorded of a request makes this service more careful, never less (docs/aws-facts.md §4.12)."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bedrock_remediator.core import cloudtrail
from bedrock_remediator.core.authorization_details import corrected, read
from bedrock_remediator.core.cloudtrail import Denial
from bedrock_remediator.core.diagnosis.refusals import from_message
from bedrock_remediator.core.layers import Layer
from tests.builders import records as make

KINDS = st.sampled_from(
    [
        "SERVICE_CONTROL_POLICY",
        "RESOURCE_CONTROL_POLICY",
        "VPC_ENDPOINT",
        "RESOURCE",
        "PRINCIPAL",
        "PERMISSIONS_BOUNDARY",
        "SESSION",
        "NEXT_YEARS_POLICY",
        None,
    ]
)
EFFECTS = st.sampled_from(["ALLOW", "NO_IMPACT", "IMPLICIT_DENY", "EXPLICIT_DENY", "?", None])
CHECKS = st.fixed_dictionaries(
    {"checkType": KINDS, "evaluatedEffect": EFFECTS},
    optional={"matchedPolicies": st.lists(st.fixed_dictionaries({"uri": st.sampled_from(["arn:aws:x", "", 7])}))},
)
EVALUATIONS = st.fixed_dictionaries(
    {
        "action": st.sampled_from([make.ACTION, "bedrock:InvokeModel", "iam:PassRole"]),
        "resource": st.sampled_from([make.PROFILE, make.model(), "*", ""]),
    },
    optional={"checks": st.lists(CHECKS, max_size=4)},
)
WHYS = st.sampled_from([make.NO_IDENTITY_POLICY, ""])
"""The two forms of which a grant may be the remedy: only of these is IAM asked."""


@given(WHYS, st.lists(EVALUATIONS, max_size=4))
def test_no_answer_widens_a_grant(why: str, evaluations: list[dict[str, Any]]) -> None:
    """Whatever it says, the denial stays as it was, or no grant is its remedy any more, or a person must decide."""
    before = cloudtrail.read(json.dumps(make.event(make.record(errorMessage=make.message(why=why)))))
    assert isinstance(before, Denial)
    after = corrected(before, read([{"evaluations": evaluations}]))
    if from_message(after) is None:
        assert after == before or (after.layer is Layer.UNKNOWN and not after.certain)
    assert after.certain <= before.certain
    asked = (after.action, after.resource, after.caller, after.model_id)
    assert asked == (before.action, before.resource, before.caller, before.model_id)
