from typing import Any

import pytest

from bedrock_remediator.core.iam.conditions import Fit, fit, keys_in_the_way

PROFILE = "arn:aws:bedrock:us-east-1:111122223333:inference-profile/us.amazon.nova-2-lite-v1:0"
CONTEXT = {
    "bedrock:inferenceprofilearn": (PROFILE,),
    "aws:requestedregion": ("us-east-1",),
    "aws:currenttime": ("2026-11-20T12:00:00Z",),
    "bedrock:guardrailidentifier": (),
    "aws:principaltag/team": ("ml",),
    "aws:securetransport": ("true",),
    "s3:max-keys": ("10",),
}
OURS = {"StringEquals": {"bedrock:InferenceProfileArn": PROFILE}}
OTHERS = {"StringEquals": {"bedrock:InferenceProfileArn": PROFILE + "1"}}


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        ({}, Fit.MET),
        (OURS, Fit.MET),
        ({**OURS, "DateLessThan": {"aws:CurrentTime": "2026-12-20T12:00:00Z"}}, Fit.MET),
        ({"ArnLike": {"BEDROCK:inferenceProfileARN": ["arn:aws:bedrock:*:*:inference-profile/us.*"]}}, Fit.MET),
        ({"Bool": {"aws:SecureTransport": True}, "NumericLessThan": {"s3:max-keys": 11}}, Fit.MET),
        ({"Null": {"bedrock:GuardrailIdentifier": True, "aws:PrincipalTag/team": "false"}}, Fit.MET),
        ({"StringEquals": {"aws:SourceVpce": "vpce-1"}}, Fit.UNKNOWN),
        ({"StringLikeIfExists": {"aws:SourceVpce": "vpce-1"}}, Fit.UNKNOWN),
        ({"Null": {"aws:MultiFactorAuthAge": "false"}}, Fit.UNKNOWN),
        ({**OURS, "Bool": {"aws:MultiFactorAuthPresent": "true"}}, Fit.UNKNOWN),
        ({"StringEquals": {"bedrock:GuardrailIdentifier": "gr-1"}}, Fit.UNMET),
        ({"StringEquals": {"aws:PrincipalTag/team": "ops"}}, Fit.UNMET),
        ({**OTHERS, "StringLike": {"aws:PrincipalTag/team": "ops"}}, Fit.UNMET),
        ({**OTHERS, "StringLike": {"aws:SourceVpce": "vpce-1"}}, Fit.UNMET),
        ({"StringEquals": {"aws:SourceVpce": "vpce-1", "aws:PrincipalTag/team": "ops"}}, Fit.UNMET),
        (OTHERS, Fit.ELSEWHERE),
        ({**OTHERS, "StringLike": {"aws:PrincipalTag/team": "ml"}}, Fit.ELSEWHERE),
        ({**OTHERS, "DateLessThan": {"aws:EpochTime": "1793491200"}}, Fit.ELSEWHERE),
        ({**OTHERS, "StringEqualsIfExists": {"aws:RequestedRegion": "eu-west-1"}}, Fit.ELSEWHERE),
        ({"ArnLike": {"bedrock:InferenceProfileArn": PROFILE.replace("us-east-1", "*") + "1"}}, Fit.ELSEWHERE),
        ({"StringNotEquals": {"aws:RequestedRegion": ["us-east-1", "us-west-2"]}}, Fit.UNMET),
        ({"StringEquals": {"aws:RequestedRegion": ["eu-west-1", "eu-west-3"]}}, Fit.UNMET),
        ({"StringLike": {"AWS:requestedregion": "eu-*"}}, Fit.UNMET),
        ({"ForAnyValue:StringLike": {"aws:RequestedRegion": ["eu-*", "ap-*"]}}, Fit.UNMET),
        ({**OURS, "StringEquals": {"aws:RequestedRegion": "eu-west-1"}}, Fit.UNMET),
        ({**OURS, "DateLessThan": {"aws:CurrentTime": "2026-11-20T12:00:00Z"}}, Fit.UNMET),
        ({"DateGreaterThan": {"aws:CurrentTime": "2026-12-01"}}, Fit.UNMET),
        (
            {"ArnLike": {"bedrock:InferenceProfileArn": "arn:aws:bedrock:*:*:application-inference-profile/*"}},
            Fit.UNMET,
        ),
        ({"StringLike": {"bedrock:InferenceProfileArn": ["*/eu.*", PROFILE + "1"]}}, Fit.UNMET),
        ({"StringNotEquals": {"bedrock:InferenceProfileArn": PROFILE}}, Fit.UNMET),
        ({"Null": {"bedrock:InferenceProfileArn": "true"}}, Fit.UNMET),
    ],
)
def test_fit(block: Any, expected: Fit) -> None:
    """One that names another profile is about something else; a region, a time, a kind of profile is a rule."""
    assert fit(block, CONTEXT, CONTEXT) is expected


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        ({"DateLessThan": {"aws:CurrentTime": "2026-11-20T12:00:00Z"}}, Fit.ELSEWHERE),
        ({**OURS, "DateLessThan": {"aws:CurrentTime": "2026-11-20T12:00:00Z"}}, Fit.ELSEWHERE),
        ({**OURS, "DateLessThan": {"aws:CurrentTime": "2026-11-21T12:00:00Z"}}, Fit.MET),
    ],
)
def test_fit_of_our_own(block: Any, expected: Fit) -> None:
    """The end of a grant of this service is no decision against the next one."""
    assert fit(block, CONTEXT, CONTEXT, ours=True) is expected


@pytest.mark.parametrize(
    ("block", "keys"),
    [
        ({"StringEquals": {"aws:RequestedRegion": "eu-west-1", "aws:SourceVpce": "vpce-1"}}, ("aws:RequestedRegion",)),
        ({"StringEquals": {"aws:RequestedRegion": "us-east-1", "aws:SourceVpce": "vpce-1"}}, ("aws:SourceVpce",)),
        ({"StringEquals": {"aws:RequestedRegion": "us-east-1"}}, ()),
        (None, ()),
    ],
)
def test_keys_in_the_way(block: Any, keys: tuple[str, ...]) -> None:
    """The keys that are not met are named; where none surely is not, those that are not known."""
    assert keys_in_the_way(block, CONTEXT, CONTEXT) == keys


@pytest.mark.parametrize(
    "block",
    [
        None,
        "",
        [],
        {"StringEquals": {}},
        {"StringEquals": None},
        {"StringEquals": ["aws:RequestedRegion"]},
        {"StringEquals": {"aws:PrincipalTag/team": None}},
        {"StringNotEquals": {"aws:PrincipalTag/team": []}},
        {"StringNotEquals": {"aws:PrincipalTag/team": ["ml", {}]}},
        {"StringNotEquals": {"aws:PrincipalTag/team": {"a": "b"}}},
        {"StringResembles": {"aws:PrincipalTag/team": "ml"}},
        {"stringequals": {"aws:PrincipalTag/team": "ml"}},
        {"NullIfExists": {"aws:PrincipalTag/team": "false"}},
        {"Null": {"aws:PrincipalTag/team": "maybe"}},
    ],
)
def test_what_cannot_be_read_is_unknown(block: Any) -> None:
    """An unreadable condition is neither met nor unmet."""
    assert fit(block, CONTEXT, CONTEXT) is Fit.UNKNOWN


def test_variables_need_their_version() -> None:
    """In an older policy a variable is text, and the condition fails."""
    block = {"StringEquals": {"aws:RequestedRegion": "${aws:RequestedRegion}"}}
    assert fit(block, CONTEXT, CONTEXT) is Fit.MET
    assert fit(block, CONTEXT, None) is Fit.UNMET
