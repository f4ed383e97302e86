"""IAM and Bedrock as clients that count what they are asked: every role is there, and the profiles that were given."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from tests.builders import records as make

BORN = datetime(2026, 1, 1, tzinfo=UTC)


class CountedIam:
    """Roles without the rights to call Bedrock, as GetRole and the lists tell of them; `asked` counts the calls."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.of: Counter[str] = Counter()
        self.quarantined: set[str] = set()

    def _ask(self, operation: str, role: str) -> None:
        self.asked[operation] += 1
        self.of[role] += 1

    def get_role(self, *, RoleName: str) -> dict[str, Any]:  # noqa: N803 - AWS's own spelling
        """The role."""
        self._ask("GetRole", RoleName)
        arn = f"arn:aws:iam::{make.ACCOUNT}:role/{RoleName}"
        return {"Role": {"Arn": arn, "RoleId": f"AROA{RoleName.upper()}", "CreateDate": BORN}}

    def list_role_policies(self, *, RoleName: str, **_: Any) -> dict[str, Any]:  # noqa: N803 - AWS's own spelling
        """One inline policy."""
        self._ask("ListRolePolicies", RoleName)
        return {"PolicyNames": ["base"], "IsTruncated": False}

    def get_role_policy(self, *, RoleName: str, **_: Any) -> dict[str, Any]:  # noqa: N803 - AWS's own spelling
        """It says nothing of Bedrock."""
        self._ask("GetRolePolicy", RoleName)
        statement = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}
        return {"PolicyDocument": {"Version": "2012-10-17", "Statement": [statement]}}

    def list_attached_role_policies(self, *, RoleName: str, **_: Any) -> dict[str, Any]:  # noqa: N803 - AWS's spelling
        """None, or AWS's quarantine of a leaked key."""
        self._ask("ListAttachedRolePolicies", RoleName)
        name = "AWSCompromisedKeyQuarantineV2"
        attached = [{"PolicyName": name, "PolicyArn": f"arn:aws:iam::aws:policy/{name}"}]
        return {"AttachedPolicies": attached if RoleName in self.quarantined else [], "IsTruncated": False}

    def get_policy(self, *, PolicyArn: str) -> dict[str, Any]:  # noqa: N803 - AWS's own spelling
        """A managed policy."""
        self.asked["GetPolicy"] += 1
        return {"Policy": {"PolicyId": PolicyArn, "DefaultVersionId": "v1"}}

    def get_policy_version(self, **_: Any) -> dict[str, Any]:
        """It denies something."""
        self.asked["GetPolicyVersion"] += 1
        statement = {"Effect": "Deny", "Action": "iam:CreateUser", "Resource": "*"}
        return {"PolicyVersion": {"Document": {"Version": "2012-10-17", "Statement": [statement]}}}

    def simulate_principal_policy(self, **question: Any) -> dict[str, Any]:
        """Everything would be allowed."""
        self._ask("SimulatePrincipalPolicy", question["PolicySourceArn"].rpartition("/")[2])
        results = [
            {"EvalActionName": action, "EvalResourceName": resource, "EvalDecision": "allowed"}
            for action in question["ActionNames"]
            for resource in question["ResourceArns"]
        ]
        return {"EvaluationResults": results, "IsTruncated": False}


class CountedBedrock:
    """A region with these system-defined profiles of one model, and no other model; `asked` counts the calls."""

    def __init__(self, ids: Sequence[str]) -> None:
        self.asked: Counter[str] = Counter()
        self._profiles = {name: _profile(name) for name in ids}

    def get_inference_profile(self, *, inferenceProfileIdentifier: str) -> dict[str, Any]:  # noqa: N803 - AWS's own
        """The profile."""
        self.asked["GetInferenceProfile"] += 1
        found = self._profiles.get(inferenceProfileIdentifier.rpartition("/")[2])
        if found is None:
            raise _absent("GetInferenceProfile")
        return found

    def get_foundation_model(self, **_: Any) -> dict[str, Any]:
        """None."""
        self.asked["GetFoundationModel"] += 1
        raise _absent("GetFoundationModel")

    def list_inference_profiles(self, *, typeEquals: str, **_: Any) -> dict[str, Any]:  # noqa: N803 - AWS's own
        """All of them."""
        self.asked["ListInferenceProfiles"] += 1
        return {"inferenceProfileSummaries": list(self._profiles.values()) if typeEquals == "SYSTEM_DEFINED" else []}


def _profile(name: str) -> dict[str, Any]:
    return {
        "inferenceProfileArn": f"arn:aws:bedrock:{make.REGION}:{make.ACCOUNT}:inference-profile/{name}",
        "inferenceProfileId": name,
        "type": "SYSTEM_DEFINED",
        "models": [{"modelArn": make.model(region)} for region in ("us-east-1", "us-west-2")],
    }


def _absent(operation: str) -> ClientError:
    return ClientError({"Error": {"Code": "ResourceNotFoundException", "Message": "There is none."}}, operation)
