"""Small sandboxes for tests: a world of a few lines, a template of a few resources, functions of a few lines."""

import json
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import boto3

from sandbox.sessions import session
from sandbox.stack import Options, Sandbox
from sandbox.world import World, parse_world

ACCOUNT: Final = "123456789012"
REGION: Final = "us-east-1"
ROLE: Final = f"arn:aws:iam::{ACCOUNT}:role/app"
MODEL: Final = "arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-2-lite-v1:0"
PROFILE: Final = f"arn:aws:bedrock:us-east-1:{ACCOUNT}:inference-profile/us.amazon.nova-2-lite-v1:0"


def statement(effect: str = "Allow", action: Any = "*", resource: Any = "*", **more: Any) -> dict[str, Any]:
    """A policy's statement."""
    return {"Effect": effect, "Action": action, "Resource": resource, **more}


def document(*statements: Mapping[str, Any]) -> dict[str, Any]:
    """A policy of these statements."""
    return {"Version": "2012-10-17", "Statement": [dict(one) for one in statements]}


def world(**parts: Any) -> World:
    """A world with these parts."""
    return parse_world({"account": ACCOUNT, **parts})


def template(folder: Path, resources: Mapping[str, Any], functions: Mapping[str, str] | None = None) -> Path:
    """Write a template of these resources, and the source of each function beside it; gives the template's path.

    A table `Ledger` with a stream is always there.
    """
    for name, source in (functions or {}).items():
        path = folder / "functions" / name / "app.py"
        path.parent.mkdir(parents=True)
        path.write_text(textwrap.dedent(source), encoding="utf-8")
    content = {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Transform": "AWS::Serverless-2016-10-31",
        "Parameters": {"AllowlistPath": {"Type": "String", "Default": "/allowlist"}},
        "Resources": {"Ledger": _LEDGER, **resources},
    }
    path = folder / "template.yaml"
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


_LEDGER: Final = {
    "Type": "AWS::DynamoDB::Table",
    "Properties": {
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
        "StreamSpecification": {"StreamViewType": "NEW_AND_OLD_IMAGES"},
    },
}


def function(name: str, role: str, **properties: Any) -> dict[str, Any]:
    """A function of the template, whose code is in `functions/<name>`."""
    return {
        "Type": "AWS::Serverless::Function",
        "Properties": {
            "CodeUri": f"functions/{name}/",
            "Handler": "app.handler",
            "Runtime": "python3.13",
            "Role": {"Fn::GetAtt": [role, "Arn"]},
            "Timeout": 10,
            **properties,
        },
    }


def role(*statements: Mapping[str, Any]) -> dict[str, Any]:
    """A role of the template with these statements."""
    policies = [{"PolicyName": "own", "PolicyDocument": document(*statements)}]
    return {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": {}, "Policies": policies}}


def queue(**properties: Any) -> dict[str, Any]:
    """A queue of the template."""
    return {"Type": "AWS::SQS::Queue", "Properties": properties}


def started(
    folder: Path, resources: Mapping[str, Any], functions: Mapping[str, str] | None = None, **options: Any
) -> Sandbox:
    """A sandbox of a small template; enter it to start it."""
    return Sandbox(options.pop("world", world()), Options(template=template(folder, resources, functions), **options))


def own_session() -> boto3.Session:
    """A session whose calls count as the sandbox's own: nothing is authorised, nothing counted."""
    return session("AKIASANDBOX", REGION)
