"""What each kind of work costs in calls of AWS, to the call: docs/cost.md computes the bill from these."""

from typing import Final

import pytest

from benchmarks.calls import KINDS, counted

Calls = dict[str, int]


def together(*parts: Calls) -> Calls:
    """The sum of the parts."""
    names = sorted({name for part in parts for name in part})
    return {name: sum(part.get(name, 0) for part in parts) for name in names}


NOTICE: Final = {"dynamodb:PutItem": 2, "dynamodb:Query": 1, "sns:Publish": 1}
"""The row with all that is told of it is read, the notice claimed, sent, and marked as sent."""
COUNTED: Final = {"dynamodb:UpdateItem": 1}
"""One more notice in its hour; requests are not counted."""
OPENED: Final = together(NOTICE, {"dynamodb:BatchGetItem": 1, "dynamodb:TransactWriteItems": 1})
LINKS: Final = {"secretsmanager:GetSecretValue": 1}
RULES: Final = {"ssm:GetParametersByPath": 1}
INVESTIGATION: Final = together(RULES, {"bedrock:GetInferenceProfile": 1, "bedrock:ListInferenceProfiles": 2})
"""Both types of profile are listed, once in five minutes: the model may be held by an application profile."""
REGIONS: Final = 3
"""Of the profile: the context of a question to the simulator is about one (docs/aws-facts.md §4.5)."""
REQUEST: Final = together(
    OPENED,
    LINKS,
    INVESTIGATION,
    {
        "iam:GetUser": 1,
        "iam:ListUserPolicies": 1,
        "iam:ListAttachedUserPolicies": 1,
        "iam:ListGroupsForUser": 1,
        "iam:GetPolicy": 1,
        "iam:GetPolicyVersion": 1,
        "iam:SimulatePrincipalPolicy": REGIONS,
    },
)
APPLYING: Final = together(
    RULES,
    {
        "bedrock:GetInferenceProfile": 1,
        "dynamodb:Query": 2,
        "dynamodb:UpdateItem": 2,
        "iam:GetUser": 1,
        "iam:SimulatePrincipalPolicy": REGIONS,
    },
)
"""The row's claims are checked anew, it moves to applying and to active, and what was written is verified."""
LOOKING_AGAIN: Final = {
    "bedrock:ListInferenceProfiles": 2,
    "iam:GetPolicy": 1,
    "iam:GetPolicyVersion": 1,
    "iam:ListAttachedUserPolicies": 1,
    "iam:ListGroupsForUser": 1,
    "iam:ListUserPolicies": 1,
}
"""A rule's grant: the principal's policies are read once more by remediate, which does not believe the row."""
REMEMBERED: Final = {"in-place": {"iam:GetPolicyVersion": -1}}
"""The text of a version never changes: what was read for the second look is not read again for the edit."""
WRITING: Final = {
    "managed": {"iam:AttachUserPolicy": 1, "iam:CreatePolicy": 1, "iam:GetPolicy": 1},
    "inline": {"iam:ListUserPolicies": 1, "iam:PutUserPolicy": 1},
    "in-place": {
        "dynamodb:UpdateItem": 1,
        "iam:CreatePolicyVersion": 1,
        "iam:GetPolicy": 3,
        "iam:GetPolicyVersion": 2,
        "iam:ListAttachedUserPolicies": 1,
        "iam:ListEntitiesForPolicy": 1,
        "iam:ListPolicyVersions": 1,
        "iam:ListUserPolicies": 1,
        "kms:GenerateMac": 1,
    },
}
TAKING_OUT: Final = {
    "managed": {
        "iam:DeletePolicy": 1,
        "iam:DetachUserPolicy": 1,
        "iam:GetPolicy": 3,
        "iam:GetPolicyVersion": 1,
        "iam:ListAttachedUserPolicies": 1,
        "iam:ListPolicyVersions": 1,
    },
    "inline": {"iam:DeleteUserPolicy": 1, "iam:GetUserPolicy": 1, "iam:ListUserPolicies": 1},
    "in-place": {
        "iam:DeletePolicyVersion": 1,
        "iam:GetPolicy": 2,
        "iam:GetPolicyVersion": 4,
        "iam:ListPolicyVersions": 2,
        "iam:SetDefaultPolicyVersion": 1,
        "kms:VerifyMac": 1,
    },
}
DECIDING: Final = together(LINKS, {"dynamodb:GetItem": 1, "dynamodb:Query": 2, "dynamodb:UpdateItem": 1})
"""The page, the decision, and the page again."""
SIGNATURE: Final = {"kms:GenerateMac": 1, "kms:VerifyMac": 1}
REVOKING: Final = {"dynamodb:Query": 2, "dynamodb:GetItem": 1, "dynamodb:TransactWriteItems": 1, "iam:GetUser": 1}
TAKEN_UP: Final = {"dynamodb:GetItem": 3, "dynamodb:TransactWriteItems": 2, "dynamodb:UpdateItem": -2}
"""Which approvals were used is read before each step, and written with the two by which one is taken up and stands."""

EXPECTED: Final = {
    # Of advice what one caller has had of the hour is counted, too.
    "a refusal (service control policy)": together(OPENED, COUNTED, COUNTED),
    "a repeat, minutes later": {"dynamodb:BatchGetItem": 1, "dynamodb:UpdateItem": 1},
    "a first request": together(
        OPENED,
        LINKS,
        INVESTIGATION,
        {
            "iam:GetRole": 1,
            "iam:GetRolePolicy": 1,
            "iam:ListAttachedRolePolicies": 1,
            "iam:ListRolePolicies": 1,
            "iam:SimulatePrincipalPolicy": 2,  # the model without a region is asked about by itself
        },
    ),
    **{
        f"a first automatic grant, {each}": together(
            REQUEST, APPLYING, LOOKING_AGAIN, calls, COUNTED, REMEMBERED.get(each, {})
        )
        for each, calls in WRITING.items()
    },
    **{
        f"an approval, {each}": together(DECIDING, SIGNATURE, APPLYING, TAKEN_UP, calls, NOTICE, COUNTED, LINKS)
        for each, calls in WRITING.items()
    },
    **{
        f"a revocation, {each}": together(DECIDING, REVOKING, calls, NOTICE, COUNTED, LINKS)
        for each, calls in TAKING_OUT.items()
    },
}


@pytest.mark.parametrize("name", KINDS)
def test_a_kind_of_work_costs_these_calls(name: str) -> None:
    """Every call is one that is listed, as often as it is listed, retries included."""
    assert counted(name, KINDS[name]).calls == EXPECTED[name]
