"""The examples that operators start from."""

import re
from pathlib import Path
from typing import Any

import pytest

from bedrock_remediator.core.allowlist import Allowlist, check, parse
from bedrock_remediator.core.allowlist.documents import RULE_FIELDS, SCOPE_FIELDS
from bedrock_remediator.core.allowlist.rules import RuleEffect, Subject

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
            '"principals": ["arn:aws:iam::*:**"], "models": ["*"]}]}',
        }
    )


HOME = "123456789012"
ENDPOINT = "vpce-0a1b2c3d4e5f60718"


def call(principal: str, target: str, *destinations: str, equivalents: tuple[str, ...] = (), **origin: Any) -> Subject:
    """Somebody's call: of a system-defined profile, of an application profile (`q…:MODEL`), or of a model itself."""
    account = principal[:12]
    scope, _, rest = target.partition(".")
    kind, name = (
        ("application-inference-profile", target.partition("/")[0]) if "/" in target else ("inference-profile", target)
    )
    model = target.partition("/")[2] or (rest if scope in ("us", "eu", "global") else target)
    direct = model == target
    regions = destinations or ("us-east-1",)
    return Subject(
        principal=f"arn:aws:iam::{principal}",
        tags={"bedrock-access": "self-service"} if "self" in principal else {},
        account=account,
        region="us-east-1",
        profile_arn=None if direct else f"arn:aws:bedrock:us-east-1:{account}:{kind}/{name}",
        profile_id=None if direct else name,
        models=tuple(
            f"arn:aws:bedrock:{'' if each == 'global' else each}::foundation-model/{model}" for each in regions
        ),
        equivalents=equivalents,
        **{"source_ip": "10.20.2.3", "vpc_endpoint": ENDPOINT} | origin,
    )


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        (call(f"{HOME}:role/llm-app", "us.amazon.nova-2-lite-v1:0"), "nova-for-llm-apps"),
        (call(f"{HOME}:role/llm-app", "us.amazon.nova-2-lite-v1:0", vpc_endpoint=None), None),
        (call(f"{HOME}:role/service/llm-app", "us.amazon.nova-2-lite-v1:0"), None),
        (call(f"{HOME}:role/production/llm-app", "us.amazon.nova-2-lite-v1:0"), "production"),
        (call(f"{HOME}:user/llm-app", "us.amazon.nova-2-lite-v1:0"), "no-users"),
        (call(f"{HOME}:role/llm-app", "us.amazon.nova-preview-v1:0"), "no-previews"),
        (call(f"{HOME}:role/llm-app", "amazon.nova-preview-v1:0"), "no-previews"),
        (call(f"{HOME}:role/self", "q7xk2m9p0abc/amazon.nova-2-lite-v1:0", "us-east-1", "us-west-2"), "self-service"),
        (call(f"{HOME}:role/self", "q7xk2m9p0abc/anthropic.claude-opus-4-1-v1:0"), None),
        (call(f"{HOME}:role/self", "q7xk2m9p0abc/amazon.nova-preview-v1:0"), "no-previews"),
        (call(f"{HOME}:role/self", "q7xk2m9p0abc/amazon.nova-2-lite-v1:0", "us-east-1", "global"), None),
        (call(f"{HOME}:role/search/x", "amazon.titan-embed-text-v2:0"), "embeddings"),
        (
            call("111122223333:role/research-vision-x", "eu.amazon.nova-2-lite-v1:0", "us-east-1", "eu-west-1"),
            "research/vision/ours",
        ),
        (call("111122223333:role/research-vision-x", "global.amazon.nova-2-lite-v1:0", "us-east-1", "global"), None),
        (call("111122223333:role/research-x", "eu.amazon.nova-2-lite-v1:0"), None),
    ],
)
def test_the_example_files(files: Allowlist, subject: Subject, expected: str | None) -> None:
    """The example files decide as their comments say."""
    found = files.strongest(subject)
    assert not files.alerts
    assert (found and found.label) == expected


APP = f"{HOME}:role/llm-app"
CLAUDE = "anthropic.claude-haiku-4-5-v1:0"
OPUS = "anthropic.claude-opus-4-1-v1:0"
EUROPE = ("eu-central-1", "eu-west-1")


@pytest.mark.parametrize(
    ("file", "subject", "expected"),
    [
        ("eu-only", call(APP, f"eu.{CLAUDE}", *EUROPE), "within-the-union"),
        ("eu-only", call(APP, f"q1/{CLAUDE}", *EUROPE), "within-the-union"),
        ("eu-only", call(APP, CLAUDE, "eu-west-1"), "within-the-union"),
        ("eu-only", call(APP, f"global.{CLAUDE}", "eu-west-1", "global"), "not-elsewhere"),
        ("eu-only", call(APP, f"q1/{CLAUDE}", "eu-west-1", "global"), "not-elsewhere"),
        ("eu-only", call(APP, f"eu.{CLAUDE}", *EUROPE, "eu-west-2"), "not-elsewhere"),
        ("eu-only", call(APP, f"us.{CLAUDE}"), "not-elsewhere"),
        ("model-family", call(APP, f"us.{CLAUDE}"), "claude"),
        ("model-family", call(APP, f"q1/{CLAUDE}"), "claude"),
        ("model-family", call(APP, f"us.{OPUS}"), "no-opus"),
        ("model-family", call(APP, f"q1/{OPUS}"), "no-opus"),
        ("model-family", call(APP, "anthropic.claude-3-opus-20240229-v1:0"), "no-opus"),
        ("cost-tagged", call(APP, f"q1/{CLAUDE}", equivalents=(f"us.{CLAUDE}",)), "application-profiles"),
        ("cost-tagged", call(APP, f"q1/{OPUS}", equivalents=(f"us.{OPUS}",)), None),
        ("cost-tagged", call(APP, f"q1/{CLAUDE}", "us-east-1", "global"), None),
        ("cost-tagged", call(APP, f"us.{CLAUDE}"), "no-shared-profiles"),
        ("cost-tagged", call(APP, CLAUDE), None),
        ("vpc-endpoint", call(APP, "us.amazon.nova-2-lite-v1:0"), "from-our-vpc"),
        ("vpc-endpoint", call(APP, "us.amazon.nova-2-lite-v1:0", vpc_endpoint=None), None),
        ("vpc-endpoint", call(APP, "us.amazon.nova-2-lite-v1:0", vpc_endpoint="vpce-0fedcba987654321f"), None),
    ],
)
def test_each_purpose_has_its_example(file: str, subject: Subject, expected: str | None) -> None:
    """What each of the other files says in its first line holds for every way of calling."""
    found = parse({"main": (DOCS / "examples" / f"allowlist-{file}.yaml").read_text()})
    assert not found.alerts
    rule = found.strongest(subject)
    assert (rule and rule.label) == expected


def test_the_example_files_show_every_field(files: Allowlist) -> None:
    """Between them, the example's rules use all fields and all effects."""
    rules = [rule for rule in files.rules if rule.document == "main"]
    assert {rule.effect for rule in rules} == set(RuleEffect)
    assert all(any(getattr(rule, field) for rule in rules) for field in RULE_FIELDS)
