"""Policies as the AWS CDK's TypeScript has them. JSON is an expression there, so the document stands as it is."""

import json
import re
from collections.abc import Sequence
from typing import Final

from bedrock_remediator.core.arn import Principal

_INDENT: Final = "  "


def cdk(principal_arn: str, documents: Sequence[str]) -> str:
    """Write policies and their attachment to a principal, for use within a construct.

    Args:
        principal_arn: The IAM ARN of a role or a user.
        documents: Policy documents as JSON texts.

    Raises:
        ArnError: It is another kind of ARN, or none.
    """
    principal = Principal.parse(principal_arn)
    words = "".join(re.findall(r"[A-Za-z0-9]+", principal.name.title()))
    kind = principal.kind.capitalize()
    lines = ['import * as iam from "aws-cdk-lib/aws-iam";', ""]
    for place, document in enumerate(documents, 1):
        number = str(place) if len(documents) > 1 else ""
        holder = f'iam.{kind}.from{kind}Name(this, "{kind}{words}{number}", {json.dumps(principal.name)})'
        policy = json.dumps(json.loads(document), indent=2).replace("\n", "\n" + _INDENT)
        lines += [
            f'new iam.ManagedPolicy(this, "BedrockAccess{words}{number}", {{',
            f"{_INDENT}{principal.kind}s: [{holder}],",
            f"{_INDENT}document: iam.PolicyDocument.fromJson({policy}),",
            "});",
        ]
    return "\n".join(lines) + "\n"


def cdk_permission_set(name: str, documents: Sequence[str]) -> str:
    """Write policies as the inline policy of Identity Center's permission set of that name."""
    statements = [statement for document in documents for statement in json.loads(document)["Statement"]]
    policy = json.dumps({"Version": "2012-10-17", "Statement": statements}, indent=2).replace("\n", "\n" + _INDENT)
    words = "".join(re.findall(r"[A-Za-z0-9]+", name)) or "PermissionSet"
    return (
        'import * as sso from "aws-cdk-lib/aws-sso";\n\n'
        f'new sso.CfnPermissionSet(this, "{words}", {{\n'
        f'{_INDENT}instanceArn: "arn:aws:sso:::instance/INSTANCE_ID",\n'
        f"{_INDENT}name: {json.dumps(name)},\n"
        f"{_INDENT}inlinePolicy: {policy},\n"
        "});\n"
    )
