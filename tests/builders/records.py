"""CloudTrail records of denied calls, in EventBridge's envelope, for tests."""

import copy
import re
from typing import Any

ACCOUNT = "111122223333"
REGION = "us-east-1"
ACTION = "bedrock:InvokeModelWithResponseStream"
PROFILE_ID = "us.amazon.nova-2-lite-v1:0"
PROFILE = f"arn:aws:bedrock:{REGION}:{ACCOUNT}:inference-profile/{PROFILE_ID}"
MODEL_ID = "amazon.nova-2-lite-v1:0"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/service/llm-app"
SESSION = f"arn:aws:sts::{ACCOUNT}:assumed-role/llm-app/web-1"
USER = f"arn:aws:iam::{ACCOUNT}:user/dev"
NO_IDENTITY_POLICY = f"because no identity-based policy allows the {ACTION} action"


def model(region: str = REGION, model_id: str = MODEL_ID) -> str:
    """A foundation model's ARN."""
    return f"arn:aws:bedrock:{region}::foundation-model/{model_id}"


def message(principal: str = SESSION, resource: str | None = PROFILE, why: str = NO_IDENTITY_POLICY) -> str:
    """The text of a denial."""
    on = f" on resource: {resource}" if resource else ""
    return f"User: {principal} is not authorized to perform: {ACTION}{on} {why}".strip()


def role_identity(**changes: Any) -> dict[str, Any]:
    """The userIdentity of a role's session."""
    return {
        "type": "AssumedRole",
        "principalId": "AROAEXAMPLEROLE000001:web-1",
        "arn": SESSION,
        "accountId": ACCOUNT,
        "sessionContext": {
            "sessionIssuer": {
                "type": "Role",
                "principalId": "AROAEXAMPLEROLE000001",
                "arn": ROLE,
                "accountId": ACCOUNT,
                "userName": "llm-app",
            },
            "attributes": {"creationDate": "2026-11-20T09:00:00Z", "mfaAuthenticated": "false"},
        },
    } | changes


def user_identity(**changes: Any) -> dict[str, Any]:
    """The userIdentity of an IAM user."""
    return {
        "type": "IAMUser",
        "principalId": "AIDAEXAMPLEUSER000001",
        "arn": USER,
        "accountId": ACCOUNT,
        "userName": "dev",
    } | changes


def record(**changes: Any) -> dict[str, Any]:
    """A CloudTrail record of a denied call, whose request names the profile that its message denies."""
    base = {
        "eventVersion": "1.11",
        "userIdentity": role_identity(),
        "eventTime": "2026-11-20T10:00:00Z",
        "eventSource": "bedrock.amazonaws.com",
        "eventName": "ConverseStream",
        "awsRegion": REGION,
        "sourceIPAddress": "192.0.2.10",
        "userAgent": "Boto3/1.44.5",
        "errorCode": "AccessDenied",
        "errorMessage": message(),
        "requestParameters": {"modelId": _called(changes.get("errorMessage"))},
        "responseElements": None,
        "requestID": "2c4d",
        "eventID": "11111111-2222-3333-4444-555555555555",
        "readOnly": True,
        "eventType": "AwsApiCall",
        "managementEvent": True,
        "recipientAccountId": ACCOUNT,
        "eventCategory": "Management",
    }
    return copy.deepcopy(base) | changes


def _called(told: Any) -> str:
    """The id, or an application profile's ARN, of the profile that a message denies; the usual id where it is none."""
    denied = re.search(r"arn:[^ ]*:(?:application-)?inference-profile/([^ *]+)", told if isinstance(told, str) else "")
    if denied is None:
        return PROFILE_ID
    return denied[0] if "application-" in denied[0] else denied[1]


def event(detail: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    """A record in EventBridge's envelope."""
    return {
        "version": "0",
        "id": "99999999-8888-7777-6666-555555555555",
        "detail-type": "AWS API Call via CloudTrail",
        "source": "aws.bedrock",
        "account": ACCOUNT,
        "time": "2026-11-20T10:05:00Z",
        "region": REGION,
        "resources": [],
        "detail": detail if detail is not None else record(),
    } | changes
