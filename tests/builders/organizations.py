"""A small hub with stacks for its other regions and a member account, for tests of what lies between them."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from sandbox.running import envelopes
from sandbox.stack import Options, Sandbox
from sandbox.world import World
from tests.builders import sandboxes as make

MEMBER: Final = "111122223333"
ELSEWHERE: Final = "eu-central-1"
ORGANIZATION: Final = "o-example12345"
READ: Final = f"arn:aws:iam::{MEMBER}:role/stack/read"
WIDE: Final = "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS"
ROLE: Final = f"arn:aws:iam::{MEMBER}:role/app"
PROFILE: Final = f"arn:aws:bedrock:{ELSEWHERE}:{MEMBER}:inference-profile/eu.amazon.nova-2-lite-v1:0"

_WORK: Final = {"work": "def handler(event, context): return None"}
_PATTERN: Final = {"source": ["aws.bedrock"], "detail": {"errorCode": [{"prefix": "AccessDenied"}]}}

Stacks = dict[str, dict[str, Any]]
"""`hub`, `region` and `member` -> the resources of that template, by logical id."""


def world(*, regions: list[str] | None = None, **member: Any) -> World:
    """A hub, and a member account with a role and a profile in another region, and these parts."""
    content = {
        "roles": [{"name": "app", "inline": {"own": make.document(make.statement(action="s3:*"))}}],
        "inference_profiles": {
            ELSEWHERE: [{"id": "eu.amazon.nova-2-lite-v1:0", "type": "SYSTEM_DEFINED", "models": [make.MODEL]}]
        },
        **({} if regions is None else {"regions": regions}),
        **member,
    }
    return make.world(roles=[{"name": "app"}], accounts={MEMBER: content})


def event(account: str = MEMBER, region: str = ELSEWHERE) -> dict[str, Any]:
    """A denial in an account and a region."""
    record = {
        "eventSource": "bedrock.amazonaws.com",
        "eventName": "Converse",
        "eventTime": "2026-11-23T08:00:00Z",
        "awsRegion": region,
        "recipientAccountId": account,
        "errorCode": "AccessDenied",
        "readOnly": True,
    }
    (wrapped,) = envelopes(record, "x")
    return wrapped


def stacks() -> Stacks:
    """The three templates, as they work."""
    return {"hub": _hub(), "region": _forwarding(), "member": {**_forwarding(), "Read": _read_role()}}


def started(folder: Path, resources: Stacks | None = None, content: World | None = None) -> Sandbox:
    """A sandbox of these templates; enter it to start it."""
    given = resources or stacks()
    path = make.template(folder, given["hub"], _WORK)
    hub = json.loads(path.read_text(encoding="utf-8"))
    hub["Parameters"] |= {"OrganizationId": {"Type": "String", "Default": ""}}
    hub["Outputs"] = {
        "HubBusArn": {"Value": {"Fn::GetAtt": ["Bus", "Arn"]}},
        "HubReadRoleArns": {"Value": {"Fn::GetAtt": ["WorkRole", "Arn"]}},
    }
    path.write_text(json.dumps(hub), encoding="utf-8")
    (folder / "stacks").mkdir()
    for name, parameters in (
        ("region", ["HubBusArn"]),
        ("member", ["HubBusArn", "HubReadRoleArns", "OrganizationId", "HubAccountId", "PrimaryRegion"]),
    ):
        template = {
            "Parameters": {parameter: {"Type": "String"} for parameter in parameters},
            "Conditions": {"IsPrimary": {"Fn::Equals": [{"Ref": "AWS::Region"}, {"Ref": "PrimaryRegion"}]}},
            "Resources": given[name],
        }
        if name == "region":
            del template["Conditions"]
        (folder / "stacks" / f"{name}.yaml").write_text(json.dumps(template), encoding="utf-8")
    return Sandbox(content or world(), Options(template=path))


def changed(name: str, resource: str, change: Callable[[dict[str, Any]], None]) -> Stacks:
    """The three templates with one resource of one of them changed."""
    given = stacks()
    change(given[name][resource]["Properties"])
    return given


def lets_in(queue: str, rules: list[str]) -> dict[str, Any]:
    """A queue policy for rules of the same template."""
    source = [{"Fn::GetAtt": [rule, "Arn"]} for rule in rules]
    allow = make.statement(
        action="sqs:SendMessage",
        Principal={"Service": "events.amazonaws.com"},
        Condition={"ArnEquals": {"aws:SourceArn": source}},
    )
    properties = {"Queues": [{"Ref": queue}], "PolicyDocument": make.document(allow)}
    return {"Type": "AWS::SQS::QueuePolicy", "Properties": properties}


def _rule(target: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    properties = {"State": WIDE, "EventPattern": _PATTERN, "Targets": [{"Id": "t", **target}], **more}
    return {"Type": "AWS::Events::Rule", "Properties": properties}


def _hub() -> dict[str, Any]:
    to_work = {"Arn": {"Fn::GetAtt": ["Work", "Arn"]}}
    from_members = make.statement(
        action="events:PutEvents",
        resource={"Fn::GetAtt": ["Bus", "Arn"]},
        Sid="Members",
        Principal="*",
        Condition={"StringEquals": {"aws:PrincipalOrgID": {"Ref": "OrganizationId"}}},
    )
    return {
        "Work": make.queue(),
        "WorkPolicy": lets_in("Work", ["Own", "Forwarded"]),
        "Bus": {"Type": "AWS::Events::EventBus", "Properties": {"Name": "hub"}},
        "BusPolicy": {
            "Type": "AWS::Events::EventBusPolicy",
            "Properties": {"EventBusName": {"Ref": "Bus"}, "StatementId": "Members", "Statement": from_members},
        },
        "Own": _rule(to_work),
        "Forwarded": _rule(to_work, EventBusName={"Ref": "Bus"}),
        "WorkRole": make.role(make.statement(action="sts:AssumeRole", resource="arn:aws:iam::*:role/stack/read")),
        "Worker": make.function("work", "WorkRole"),
    }


def _forwarding() -> dict[str, Any]:
    to_hub = {
        "Arn": {"Ref": "HubBusArn"},
        "RoleArn": {"Fn::GetAtt": ["Forward", "Arn"]},
        "DeadLetterConfig": {"Arn": {"Fn::GetAtt": ["Aside", "Arn"]}},
    }
    forward = make.role(make.statement(action="events:PutEvents", resource={"Ref": "HubBusArn"}))
    forward["Properties"]["AssumeRolePolicyDocument"] = make.document(
        {
            "Effect": "Allow",
            "Principal": {"Service": "events.amazonaws.com"},
            "Action": "sts:AssumeRole",
            "Condition": {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}},
        }
    )
    return {"Rule": _rule(to_hub), "Aside": make.queue(), "AsidePolicy": lets_in("Aside", ["Rule"]), "Forward": forward}


def _read_role() -> dict[str, Any]:
    trust = {
        "Effect": "Allow",
        "Principal": {"AWS": {"Fn::Sub": "arn:${AWS::Partition}:iam::${HubAccountId}:root"}},
        "Action": "sts:AssumeRole",
        "Condition": {
            "ArnEquals": {"aws:PrincipalArn": {"Ref": "HubReadRoleArns"}},
            "StringEquals": {"aws:PrincipalOrgID": {"Ref": "OrganizationId"}},
        },
    }
    role = make.role(
        make.statement(action=["iam:ListRolePolicies", "iam:SimulatePrincipalPolicy"]),
        make.statement(action="bedrock:GetInferenceProfile"),
    )
    role["Condition"] = "IsPrimary"
    role["Properties"] |= {"RoleName": "read", "Path": "/stack/", "AssumeRolePolicyDocument": make.document(trust)}
    return role
