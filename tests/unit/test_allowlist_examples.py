"""The examples that operators start from."""

import re
from pathlib import Path

import pytest

from bedrock_remediator.core.allowlist import Allowlist, RuleEffect, check, parse
from bedrock_remediator.core.rule import Subject
from bedrock_remediator.core.rule_fields import RULE_FIELDS, SCOPE_FIELDS

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "allowlist.md").read_text()
DOCUMENTS = re.findall(r"```(?:yaml|json)\n(.*?)```", PAGE, re.DOTALL)


def name(text: str) -> str:
    """Which document of the page this is."""
    return "_scopes" if "\nscopes:" in text else "main"


@pytest.mark.parametrize("text", DOCUMENTS)
def test_documents_on_the_page_are_right(text: str) -> None:
    """Every document that the page shows is one without a mistake."""
    assert not check({name(text): text})


def test_the_page_has_them_all() -> None:
    """The page shows a rule and three complete examples, the last of them with a scope and a team's document."""
    assert [name(text) for text in DOCUMENTS] == ["main", "main", "main", "_scopes", "main"]


def test_every_field_is_on_the_page() -> None:
    """The page's tables list the fields in the order in which the service knows them."""
    rows = re.findall(r"^\| `(\w+)` \|.* \|.* \|$", PAGE, re.MULTILINE)
    assert rows[: len(RULE_FIELDS)] == list(RULE_FIELDS)
    assert sorted(rows[-len(SCOPE_FIELDS) :]) == sorted(SCOPE_FIELDS)


@pytest.fixture
def files() -> Allowlist:
    """The allowlist that the example files make up, with a document of one of the teams."""
    examples = DOCS / "examples"
    return parse(
        {
            "main": (examples / "allowlist-main.yaml").read_text(),
            "_scopes": (examples / "allowlist-scopes.yaml").read_text(),
            "research/vision": '{"version": 1, "rules": [{"name": "ours", "effect": "auto", '
            '"principals": ["arn:aws:iam::*:**"], "profiles": ["*"], "models": ["*"]}]}',
        }
    )


@pytest.mark.parametrize(
    ("principal", "profile", "expected"),
    [
        ("123456789012:role/llm-app", "us.amazon.nova-2-lite-v1:0", "nova-for-llm-apps"),
        ("123456789012:role/service/llm-app", "us.amazon.nova-2-lite-v1:0", None),
        ("123456789012:role/production/llm-app", "us.amazon.nova-2-lite-v1:0", "production"),
        ("123456789012:user/llm-app", "us.amazon.nova-2-lite-v1:0", "no-users"),
        ("123456789012:role/llm-app", "us.amazon.nova-preview-v1:0", "no-previews"),
        ("111122223333:role/research-vision-x", "eu.amazon.nova-2-lite-v1:0", "research/vision/ours"),
        ("111122223333:role/research-x", "eu.amazon.nova-2-lite-v1:0", None),
    ],
)
def test_the_example_files(files: Allowlist, principal: str, profile: str, expected: str | None) -> None:
    """The example files decide as their comments say."""
    account = principal[:12]
    subject = Subject(
        principal=f"arn:aws:iam::{principal}",
        tags={},
        account=account,
        region="us-east-1",
        source_ip="10.1.2.3",
        profile_arn=f"arn:aws:bedrock:us-east-1:{account}:inference-profile/{profile}",
        profile_id=profile,
    )
    found = files.strongest(subject)
    assert not files.problems
    assert (found and found.label) == expected


def test_the_example_files_show_every_field(files: Allowlist) -> None:
    """Between them, the example's rules use all fields and all effects."""
    rules = [rule for rule in files.rules if rule.document == "main"]
    assert {rule.effect for rule in rules} == set(RuleEffect)
    assert all(any(getattr(rule, field) for rule in rules) for field in RULE_FIELDS)
