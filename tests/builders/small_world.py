"""An account with a few principals and many profiles, and denials that happen in it."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sandbox.world import World, parse_world

ACCOUNT: Final = "123456789012"
REGION: Final = "us-east-1"
NOW: Final = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
"""When stories begin; a call is denied a quarter of an hour before, unless it says otherwise."""

PROFILES: Final = 8
"""How many geographic profiles there are: `us.amazon.nova-0-v1:0` and so on, of two regions each."""
WIDE: Final = 3
"""How many application profiles of 25 models there are: a managed policy holds one of them, and not two."""

APP: Final = f"arn:aws:iam::{ACCOUNT}:role/service/app"
"""A role whose own policy grants some models, so that grants can be put in place."""
BARE: Final = f"arn:aws:iam::{ACCOUNT}:role/bare"
"""A role with nothing."""
DEV: Final = f"arn:aws:iam::{ACCOUNT}:user/dev"
"""A user whose inline policy grants some models."""
MEANT: Final = f"arn:aws:iam::{ACCOUNT}:role/guarded"
"""A role that an explicit deny of its own keeps from everything of Bedrock."""

MEMBER: Final = "111122223333"
"""Another account of the organization, in `organization`, which has the same as the first."""
THEIRS: Final = f"arn:aws:iam::{MEMBER}:role/service/app"
"""`APP` of that account."""

_INVOKE: Final = ["bedrock:InvokeModel", "bedrock:InvokeModelWithResponseStream"]


def profile(number: int) -> str:
    """The id of a geographic profile."""
    return f"us.amazon.nova-{number}-v1:0"


def profile_arn(number: int, account: str = ACCOUNT) -> str:
    """Its ARN."""
    return f"arn:aws:bedrock:{REGION}:{account}:inference-profile/{profile(number)}"


def wide_arn(number: int) -> str:
    """The ARN of an application profile with many models."""
    return f"arn:aws:bedrock:{REGION}:{ACCOUNT}:application-inference-profile/wide{number}"


def models(number: int, *regions: str) -> list[str]:
    """The models of a geographic profile."""
    places = regions or (REGION, "us-west-2")
    return [f"arn:aws:bedrock:{place}::foundation-model/amazon.nova-{number}-v1:0" for place in places]


def small_world() -> World:
    """The account. An SCP in it denies a model that there is not; a test may have it deny another."""
    return parse_world({"account": ACCOUNT, "region": REGION, **_content()})


def organization() -> World:
    """The account as a hub, and a member that is enrolled, each with the same in it."""
    members = {MEMBER: {"name": "research", **_content()}}
    return parse_world({"account": ACCOUNT, "region": REGION, **_content(), "accounts": members})


def _content() -> Mapping[str, Any]:
    """What is in an account."""
    wide = [
        {
            "id": f"wide{number}",
            "type": "APPLICATION",
            "models": [f"arn:aws:bedrock:{REGION}::foundation-model/vendor.m-{number}-{each:03}" for each in range(25)],
        }
        for number in range(WIDE)
    ]
    narrow = [{"id": profile(number), "type": "SYSTEM_DEFINED", "models": models(number)} for number in range(PROFILES)]
    own = _document(*(models(number)[0] for number in range(PROFILES)))
    return {
        "roles": [
            {"name": "app", "path": "/service/", "managed": {"AppPolicy": own}},
            {"name": "bare"},
            {"name": "guarded", "inline": {"No": _document("*", effect="Deny")}},
        ],
        "users": [{"name": "dev", "inline": {"Models": _document(models(0)[0])}}],
        "scps": [_document("arn:aws:bedrock:us-east-1::foundation-model/none", effect="Deny")],
        "inference_profiles": {REGION: [*narrow, *wide]},
    }


def denial(
    principal: str, target: str, number: int = 1, *, at: datetime | None = None, **detail: Any
) -> dict[str, Any]:
    """An event: a principal was denied an invocation of a profile (an ARN). The number makes it another call."""
    name = principal.rpartition("/")[2]
    account, kind = principal.split(":")[4], principal.split(":")[5].partition("/")[0]
    caller = f"arn:aws:sts::{account}:assumed-role/{name}/i-1" if kind == "role" else principal
    moment = f"{at or NOW - timedelta(minutes=15):%Y-%m-%dT%H:%M:%SZ}"
    action = "bedrock:InvokeModel"
    message = (
        f"User: {caller} is not authorized to perform: {action} on resource: {target} "
        f"because no identity-based policy allows the {action} action"
    )
    return {
        "version": "0",
        "id": f"{number:08}-0000-4000-8000-000000000000",
        "detail-type": "AWS API Call via CloudTrail",
        "source": "aws.bedrock",
        "account": account,
        "time": moment,
        "region": REGION,
        "resources": [],
        "detail": {
            "eventVersion": "1.11",
            "userIdentity": _identity(kind, name, caller, principal),
            "eventTime": moment,
            "eventSource": "bedrock.amazonaws.com",
            "eventName": "InvokeModel",
            "awsRegion": REGION,
            "sourceIPAddress": "10.20.30.40",
            "userAgent": "Boto3/1.44.5",
            "errorCode": "AccessDenied",
            "errorMessage": message,
            "requestParameters": {"modelId": target.rpartition("/")[2]},
            "responseElements": None,
            "requestID": f"{number:08}-0000-4000-8000-000000000001",
            "eventID": f"{number:08}-0000-4000-8000-000000000002",
            "readOnly": True,
            "eventType": "AwsApiCall",
            "managementEvent": True,
            "recipientAccountId": account,
            "eventCategory": "Management",
            **detail,
        },
    }


def _identity(kind: str, name: str, caller: str, principal: str) -> dict[str, Any]:
    account = principal.split(":")[4]
    known = {"arn": caller, "accountId": account, "accessKeyId": "ASIAIOSFODNN7EXAMPLE"}
    if kind == "user":
        return {"type": "IAMUser", "principalId": "AIDAEXAMPLE", "userName": name, **known}
    issuer = {
        "type": "Role",
        "principalId": "AROAEXAMPLE",
        "arn": principal,
        "accountId": account,
        "userName": name,
    }
    return {
        "type": "AssumedRole",
        "principalId": "AROAEXAMPLE:i-1",
        "sessionContext": {"sessionIssuer": issuer},
        **known,
    }


def _document(*resources: str, effect: str = "Allow") -> Mapping[str, Any]:
    statement = {"Effect": effect, "Action": _INVOKE, "Resource": [*resources]}
    return {"Version": "2012-10-17", "Statement": [statement]}
