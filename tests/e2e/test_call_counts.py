"""What each kind of work costs in calls of AWS, to the call: docs/cost.md computes the bill from these."""

from typing import Final

import pytest

from benchmarks.calls import KINDS, counted

NOTICE: Final = {"dynamodb:PutItem": 2, "sns:Publish": 1}
"""Claimed, sent, and marked as sent."""
COUNTED: Final = {"dynamodb:UpdateItem": 1}
"""One more notice in its hour; requests are not counted."""
OPENED: Final = NOTICE | {
    "dynamodb:BatchGetItem": 2,
    "dynamodb:GetItem": 1,
    "dynamodb:Query": 1,
    "dynamodb:TransactWriteItems": 1,
    "ssm:GetParametersByPath": 1,
}
REFUSAL: Final = OPENED | COUNTED
INVESTIGATION: Final = {"bedrock:GetInferenceProfile": 1, "bedrock:ListInferenceProfiles": 2}
LINKS: Final = {"secretsmanager:GetSecretValue": 2}
GRANT: Final = (
    REFUSAL
    | INVESTIGATION
    | LINKS
    | {
        "bedrock:GetInferenceProfile": 2,
        "dynamodb:GetItem": 1,
        "dynamodb:Query": 4,
        "dynamodb:UpdateItem": 3,
        "iam:GetPolicyVersion": 2,
        "iam:GetUser": 2,
        "iam:ListAttachedUserPolicies": 2,
        "iam:ListGroupsForUser": 2,
        "iam:SimulatePrincipalPolicy": 6,
        "ssm:GetParametersByPath": 2,
    }
)

EXPECTED: Final = {
    "a refusal (service control policy)": REFUSAL,
    "a repeat, minutes later": {"dynamodb:BatchGetItem": 2, "dynamodb:UpdateItem": 1},
    "a first request": OPENED
    | INVESTIGATION
    | LINKS
    | {
        "dynamodb:Query": 2,
        "iam:GetRole": 1,
        "iam:GetRolePolicy": 1,
        "iam:ListAttachedRolePolicies": 1,
        "iam:ListRolePolicies": 1,
        "iam:SimulatePrincipalPolicy": 2,
    },
    "a first automatic grant, managed": GRANT
    | {"iam:AttachUserPolicy": 1, "iam:CreatePolicy": 1, "iam:GetPolicy": 3, "iam:ListUserPolicies": 2},
    "a first automatic grant, inline": GRANT | {"iam:GetPolicy": 2, "iam:ListUserPolicies": 3, "iam:PutUserPolicy": 1},
    "a first automatic grant, in-place": GRANT
    | {
        "dynamodb:UpdateItem": 4,
        "iam:CreatePolicyVersion": 1,
        "iam:GetPolicy": 4,
        "iam:GetPolicyVersion": 3,
        "iam:GetUser": 3,
        "iam:ListAttachedUserPolicies": 3,
        "iam:ListEntitiesForPolicy": 1,
        "iam:ListGroupsForUser": 3,
        "iam:ListPolicyVersions": 1,
        "iam:ListUserPolicies": 3,
    },
}


@pytest.mark.parametrize("name", KINDS)
def test_a_kind_of_work_costs_these_calls(name: str) -> None:
    """Every call is one that is listed, as often as it is listed, retries included."""
    assert counted(KINDS[name]) == EXPECTED[name]
