"""Snippets for a role that Identity Center made from a permission set: the policy goes into the set, never to the role.

A permission set has one inline policy, so the statements of several documents come together in one; its owner adds
them to those that are there.
"""

import json
import re
from collections.abc import Sequence
from typing import Final

from bedrock_remediator.notices.snippets import Snippets

_INSTANCE: Final = "arn:aws:sso:::instance/INSTANCE_ID"
_SET: Final = "arn:aws:sso:::permissionSet/INSTANCE_ID/PERMISSION_SET_ID"


def permission_set_snippets(name: str, documents: Sequence[str]) -> Snippets:
    """Write policies as parts of a permission set.

    Args:
        name: The permission set's name.
        documents: Policy documents as JSON texts.
    """
    statements = [statement for document in documents for statement in json.loads(document)["Statement"]]
    policy = json.dumps({"Version": "2012-10-17", "Statement": statements}, indent=2)
    # JSON is an expression in Terraform and a value in YAML, but for what Terraform takes for a template.
    expression = re.sub(r"([$%])(?=\{)", r"\1\1", policy)
    # A label of Terraform's begins with no digit.
    label = re.sub(r"^(?=\d)", "_", re.sub(r"[^A-Za-z0-9_]", "_", name))
    return Snippets(
        json=policy + "\n",
        terraform=(
            f'resource "aws_ssoadmin_permission_set_inline_policy" "{label}" {{\n'
            f'  instance_arn       = "{_INSTANCE}"\n'
            f'  permission_set_arn = "{_SET}"\n'
            f"  inline_policy = jsonencode({_shifted(expression, 2)})\n"
            "}\n"
        ),
        cloudformation=(
            "Resources:\n"
            f"  {''.join(re.findall('[A-Za-z0-9]+', name)) or 'PermissionSet'}:\n"
            "    Type: AWS::SSO::PermissionSet\n"
            "    Properties:\n"
            f"      InstanceArn: {_INSTANCE}\n"
            f"      Name: {json.dumps(name)}\n"
            f"      InlinePolicy: {_shifted(policy, 8)}\n"
        ),
    )


def _shifted(code: str, columns: int) -> str:
    """All lines but the first, further in."""
    return code.replace("\n", "\n" + " " * columns)
