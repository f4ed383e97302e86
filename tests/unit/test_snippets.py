import json
import re
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from bedrock_remediator.core.arn import ArnError
from bedrock_remediator.core.policy import compile_policies
from bedrock_remediator.notices.snippets import Snippets, snippets
from tests.builders.entitlements import EXTRA, GUIDE

ROLE = "arn:aws:iam::123456789012:role/service/llm-app"
USER = "arn:aws:iam::123456789012:user/alice@example.com"
(DOCUMENT,) = compile_policies([GUIDE], EXTRA)


def hcl(text: str) -> Any:
    """What a Terraform expression of objects, lists, strings, numbers and `jsonencode` means."""
    tokens = re.findall(r'jsonencode\(|"(?:[^"\\]|\\.)*"|[A-Za-z_][\w.]*|-?\d[\d.]*|[=(){}\[\],]', text)
    value, rest = _value(tokens)
    assert not rest
    return value


def _value(tokens: list[str]) -> tuple[Any, list[str]]:
    first, *rest = tokens
    if first == "jsonencode(":
        value, rest = _value(rest)
        assert rest[0] == ")"
        return value, rest[1:]
    if first == "{":
        return _body(rest)
    if first == "[":
        items = []
        while rest[0] != "]":
            item, rest = _value(rest)
            assert rest[0] == ","
            items.append(item)
            rest = rest[1:]
        return items, rest[1:]
    if first.startswith('"'):
        return _string(first), rest
    return (json.loads(first) if first in ("true", "false", "null") or first[0] in "-0123456789" else first), rest


def _body(tokens: list[str]) -> tuple[dict[str, Any], list[str]]:
    entries = {}
    while tokens[0] != "}":
        key, equals, *rest = tokens
        assert equals == "="
        entries[_string(key) if key.startswith('"') else key], tokens = _value(rest)
    return entries, tokens[1:]


def _string(literal: str) -> str:
    """The text that a quoted string means; a template in it, which Terraform would evaluate, is an error."""
    body = literal[1:-1]
    assert all(marker in ("$${", "%%{") for marker in re.findall(r"[$%]+\{", body))
    body = re.sub(r"([$%])\1\{", r"\1{", body)
    return re.sub(
        r'\\(?:([nrt"\\])|U([0-9a-f]{8}))',
        lambda found: {"n": "\n", "r": "\r", "t": "\t"}.get(found[1], found[1]) if found[1] else chr(int(found[2], 16)),
        body,
    )


def blocks(text: str) -> dict[tuple[str, str], dict[str, Any]]:
    """The resources of a Terraform text by type and label."""
    found = re.findall(r'^resource "(\w+)" "(\w+)" (\{\n.*?^\})$', text, re.MULTILINE | re.DOTALL)
    left = re.sub(r'^resource "(\w+)" "(\w+)" (\{\n.*?^\})$', "", text, flags=re.MULTILINE | re.DOTALL)
    assert not left.strip()
    return {(kind, label): hcl(body) for kind, label, body in found}


class TemplateLoader(yaml.SafeLoader):
    """Reads CloudFormation's YAML, where a tag such as !Ref is a function."""


TemplateLoader.add_multi_constructor("!", lambda _loader, suffix, _node: {f"Fn::{suffix}": None})


def template(text: str) -> Any:
    """The YAML, read as CloudFormation reads it."""
    return yaml.load(text, TemplateLoader)  # noqa: S506 a subclass of the safe loader


def test_json_is_for_people() -> None:
    """The JSON is the document, indented."""
    made = snippets(ROLE, [DOCUMENT])
    assert json.loads(made.json) == json.loads(DOCUMENT)
    assert made.json.startswith('{\n  "Version": "2012-10-17",\n  "Statement": [\n')


def test_terraform_for_a_role() -> None:
    """The Terraform text is a policy and its attachment to the role by name."""
    made = snippets(ROLE, [DOCUMENT])
    label = "bedrock_access_llm_app_us_amazon_nova_2_lite_v1_0_us_east_1"
    assert blocks(made.terraform) == {
        ("aws_iam_policy", label): {
            "name": "bedrock-access-llm-app-us.amazon.nova-2-lite-v1-0-us-east-1",
            "policy": json.loads(DOCUMENT),
        },
        ("aws_iam_role_policy_attachment", label): {
            "role": "llm-app",
            "policy_arn": f"aws_iam_policy.{label}.arn",
        },
    }


def test_terraform_is_formatted() -> None:
    """Equals signs of neighbouring lines stand below each other, as `terraform fmt` would put them."""
    made = snippets(ROLE, [DOCUMENT])
    assert (
        '        Sid    = "ExtraActions"\n        Effect = "Allow"\n        Action = [\n          "' in made.terraform
    )
    assert '  role       = "llm-app"\n  policy_arn = aws_iam_policy.' in made.terraform
    assert '            "bedrock:InferenceProfileArn" = "arn:aws:' in made.terraform


def test_a_user() -> None:
    """For a user, Terraform attaches to the user, and CloudFormation lists it under Users."""
    made = snippets(USER, [DOCUMENT])
    attachment = [body for (kind, _), body in blocks(made.terraform).items() if "attachment" in kind]
    assert [body["user"] for body in attachment] == ["alice@example.com"]
    assert '"aws_iam_user_policy_attachment"' in made.terraform
    (resource,) = template(made.cloudformation)["Resources"].values()
    assert resource["Properties"]["Users"] == ["alice@example.com"]


def test_cloudformation_for_a_role() -> None:
    """The CloudFormation text is one managed policy for the role, its version a text and not a date."""
    made = snippets(ROLE, [DOCUMENT])
    assert template(made.cloudformation) == {
        "Resources": {
            "BedrockAccessLlmAppUsAmazonNova2LiteV10UsEast1": {
                "Type": "AWS::IAM::ManagedPolicy",
                "Properties": {"Roles": ["llm-app"], "PolicyDocument": json.loads(DOCUMENT)},
            }
        }
    }


def test_several_documents() -> None:
    """Of several policies each has its own name, label and logical id."""
    made = snippets(ROLE, [DOCUMENT, DOCUMENT])
    policies = [body["name"] for (kind, _), body in blocks(made.terraform).items() if kind == "aws_iam_policy"]
    assert [name[-2:] for name in policies] == ["-1", "-2"]
    assert len(blocks(made.terraform)) == 4
    assert len(template(made.cloudformation)["Resources"]) == 2
    assert [json.loads(part) for part in made.json.split("\n\n")] == [json.loads(DOCUMENT)] * 2


def test_no_documents() -> None:
    """Without a policy there is nothing to paste."""
    assert snippets(ROLE, []) == Snippets(json="", terraform="", cloudformation="")


def test_only_a_role_or_a_user() -> None:
    """Another kind of ARN, or text that is none, gets no snippets."""
    for arn in (
        "arn:aws:sts::123456789012:assumed-role/llm-app/session",
        'role/x" {',
        "arn:aws:iam::123456789012:root",
    ):
        with pytest.raises(ArnError):
            snippets(arn, [DOCUMENT])


def test_names_fit_iam() -> None:
    """A policy's name has at most 128 characters and only those that IAM takes, its number not cut off."""
    made = snippets(f"arn:aws:iam::123456789012:role/{'r+=,.@_-' * 8}", [DOCUMENT.replace("nova-2", "n" * 90)] * 2)
    names = [body["name"] for (kind, _), body in blocks(made.terraform).items() if kind == "aws_iam_policy"]
    assert [len(name) for name in names] == [128, 128]
    assert [name[-2:] for name in names] == ["-1", "-2"]
    assert all(re.fullmatch(r"[\w+=,.@-]+", name) for name in names)


@pytest.mark.parametrize(
    "statement",
    [
        {"Effect": "Allow", "Action": "*", "Resource": "*"},
        {"Effect": "Allow", "Action": "*", "NotResource": "*"},
        {"Effect": "Allow", "Action": "*", "Resource": []},
        [],
        [{"Effect": "Allow", "Action": "*", "Resource": ["arn:aws:s3:::bucket"]}],
    ],
)
def test_a_document_about_something_else(statement: Any) -> None:
    """A document whose first resource is not one of Bedrock's is named for the principal alone."""
    made = snippets(ROLE, [json.dumps({"Version": "2012-10-17", "Statement": statement})])
    assert ("aws_iam_policy", "bedrock_access_llm_app") in blocks(made.terraform)


texts = st.text(st.characters(max_codepoint=0xFF), max_size=12) | st.lists(
    st.sampled_from(
        ["${", "%{", "}", "$", "%", '"', "\\", "\n", "a", "{{", "aws:username", "é", "yes", "1e3", "2026-12-01"]
    ),
    max_size=6,
).map("".join)
values = st.recursive(
    texts | st.booleans() | st.none() | st.integers(-99, 99),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(texts, values, max_size=3))
def test_any_text_stays_text(elements: dict[str, Any]) -> None:
    """Whatever a policy holds, the three snippets say the same, and nothing in it is evaluated."""
    document = {"Version": "2012-10-17", "Statement": [{**elements, "Effect": "Allow"}]}
    made = snippets(ROLE, [json.dumps(document)])
    assert json.loads(made.json) == document
    (policy, _) = blocks(made.terraform).values()
    assert policy["policy"] == document
    (resource,) = template(made.cloudformation)["Resources"].values()
    assert resource["Properties"]["PolicyDocument"] == document
