"""Policies as the owner of infrastructure as code would write them, so that the next deployment keeps them.

Nothing here is taken from an event: the principal and the documents are what AWS confirmed. All the same each text is
written by rules that keep any string a string: Terraform reads `${` and `%{` in a string as code, YAML reads a bare
date as a date.
"""

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

import yaml
from msgspec import Struct

from bedrock_remediator.core.arn import ArnError, BedrockResource, Principal

_NAME_LENGTH: Final = 128
_BARE_KEY: Final = re.compile(r"[A-Z][A-Za-z]*")
_INDENT: Final = "  "


class Snippets(Struct, frozen=True, kw_only=True):
    """The same policies three times; of several, an empty line stands between two in `json` and in `terraform`."""

    json: str
    terraform: str
    cloudformation: str


class _Attached(Struct, frozen=True):
    """A policy, what to call it, and whom it is for."""

    principal: Principal
    name: str
    document: dict[str, Any]


def snippets(principal_arn: str, documents: Sequence[str]) -> Snippets:
    """Write policies and their attachment to a principal.

    Args:
        principal_arn: The IAM ARN of a role or a user.
        documents: Policy documents as JSON texts; with none, the snippets are empty.

    Raises:
        ArnError: It is another kind of ARN, or none.
    """
    principal = Principal.parse(principal_arn)
    policies = [
        _Attached(principal, _name(principal, document, place if len(documents) > 1 else None), document)
        for place, document in enumerate(map(json.loads, documents), 1)
    ]
    return Snippets(
        json="\n".join(json.dumps(policy.document, indent=2, ensure_ascii=False) + "\n" for policy in policies),
        terraform="\n".join(map(_terraform, policies)),
        cloudformation=_cloudformation(policies) if policies else "",
    )


def _name(principal: Principal, document: dict[str, Any], number: int | None) -> str:
    """A policy's name that tells the principal and what it may call, in the characters that IAM takes."""
    words = ("bedrock-access", principal.name, *_about(document))
    ending = f"-{number}" if number else ""
    return re.sub(r"[^A-Za-z0-9+=,.@_-]", "-", "-".join(words))[: _NAME_LENGTH - len(ending)] + ending


def _about(document: dict[str, Any]) -> tuple[str, ...]:
    """The name and the region of the first ARN that the document grants; nothing if it is not a Bedrock resource's."""
    statement = _first(document.get("Statement"))
    arn = _first(statement.get("Resource")) if isinstance(statement, dict) else None
    try:
        resource = BedrockResource.parse(str(arn))
    except ArnError:
        return ()
    return resource.id, resource.arn.region


def _first(value: Any) -> Any:
    """Of what a policy may give as one or as a list."""
    return next(iter(value), None) if isinstance(value, list) else value


def _terraform(policy: _Attached) -> str:
    label = re.sub(r"[^A-Za-z0-9_]", "_", policy.name)
    kind = policy.principal.kind
    attachment = ((kind, _hcl_string(policy.principal.name)), ("policy_arn", f"aws_iam_policy.{label}.arn"))
    return "\n".join(
        (
            f'resource "aws_iam_policy" "{label}" {{',
            *_aligned(
                (
                    ("name", _hcl_string(policy.name)),
                    ("policy", f"jsonencode({_hcl(policy.document, _INDENT)})"),
                ),
                _INDENT,
            ),
            "}",
            "",
            f'resource "aws_iam_{kind}_policy_attachment" "{label}" {{',
            *_aligned(attachment, _INDENT),
            "}",
            "",
        )
    )


def _hcl(value: Any, indent: str) -> str:
    """A JSON value as a Terraform expression; `indent` is that of the line on which it begins."""
    inner = indent + _INDENT
    if isinstance(value, dict) and value:
        entries = [(_hcl_key(key), _hcl(item, inner)) for key, item in value.items()]
        return "\n".join(("{", *_aligned(entries, inner), indent + "}"))
    if isinstance(value, list) and value:
        return "\n".join(("[", *(f"{inner}{_hcl(item, inner)}," for item in value), indent + "]"))
    return _hcl_string(value) if isinstance(value, str) else json.dumps(value)


def _aligned(entries: Iterable[tuple[str, str]], indent: str) -> Iterable[str]:
    """Attributes as `terraform fmt` puts them: in a run of single lines the equals signs stand below each other."""
    run: list[tuple[str, str]] = []
    for key, text in entries:
        if "\n" not in text:
            run.append((key, text))
            continue
        yield from _run(run, indent)
        run = []
        yield f"{indent}{key} = {text}"
    yield from _run(run, indent)


def _run(entries: Sequence[tuple[str, str]], indent: str) -> Iterable[str]:
    width = max((len(key) for key, _ in entries), default=0)
    return [f"{indent}{key:<{width}} = {text}" for key, text in entries]


def _hcl_key(key: str) -> str:
    return key if _BARE_KEY.fullmatch(key) else _hcl_string(key)


def _hcl_string(text: str) -> str:
    """A quoted string in which nothing is a template."""
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')
    quoted = re.sub(r"([$%]*)([$%])\{", _no_template, quoted)
    return f'"{"".join(each if each.isprintable() else _escaped(each) for each in quoted)}"'


def _no_template(marker: re.Match[str]) -> str:
    """`$${` for `${`. A dollar before that is written by its number, or `$$${` could be read in two ways."""
    return "".join(map(_escaped, marker[1])) + marker[2] * 2 + "{"


def _escaped(character: str) -> str:
    return {"\n": "\\n", "\r": "\\r", "\t": "\\t"}.get(character) or f"\\U{ord(character):08x}"


def _cloudformation(policies: Sequence[_Attached]) -> str:
    """Resources for a template. CloudFormation names the policies, so it can replace one without a clash."""
    resources = {
        "".join(re.findall(r"[A-Za-z0-9]+", policy.name.title())): {
            "Type": "AWS::IAM::ManagedPolicy",
            "Properties": {
                f"{policy.principal.kind.capitalize()}s": [policy.principal.name],
                "PolicyDocument": policy.document,
            },
        }
        for policy in policies
    }
    return yaml.safe_dump({"Resources": resources}, sort_keys=False, width=1000)
