"""`bedrock-remediator allowlist` against the sandbox: check, push, and whom the rules let in."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from click.testing import CliRunner, Result

from bedrock_remediator_cli.program import cli
from sandbox.calls import Call
from sandbox.stack import Sandbox
from sandbox.world import DEFAULT_WORLD, read_world

EVENTS: Final = Path(__file__).parents[2] / "events"
PLACE: Final = "/bedrock-access-remediator/allowlist"
MAIN: Final = """version: 1
rules:
  - name: nova
    effect: auto
    principals: ["arn:aws:iam::*:user/nova-*"]
    profiles: ["us.amazon.nova-*"]
  - name: nova-too
    effect: auto
    principals: ["arn:aws:iam::*:user/*"]
    profiles: ["*"]
  - name: roles
    effect: ask
    principals: ["arn:aws:iam::*:role/**"]
  - name: no-search
    effect: never
    principals: ["arn:aws:iam::*:role/**"]
    profiles: ["global.*"]
"""


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """The default world, with an allowlist of none."""
    with Sandbox(read_world(DEFAULT_WORLD)) as running:
        yield running


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    """A folder with the document main."""
    (tmp_path / "main.yaml").write_text(MAIN, encoding="utf-8")
    return tmp_path


def run(*words: str | Path, given: str | None = None) -> Result:
    """Run the command."""
    arguments = ["allowlist", *map(str, words), "--region", "us-east-1"]
    return CliRunner().invoke(cli, arguments, input=given, catch_exceptions=False)


def answer(*words: str | Path) -> dict[str, Any]:
    """What it answers with --json."""
    found: dict[str, Any] = json.loads(run(*words, "--json").stdout)
    return found


def test_check_tells_mistakes_and_ends_in_one(rules: Path) -> None:
    """With file and line; a folder without mistakes ends in nought."""
    assert (run("check", rules).exit_code, run("check", rules).stdout) == (0, "4 rules, no mistake.\n")
    (rules / "main.yaml").write_text(MAIN.replace("principals", "principles", 1), encoding="utf-8")
    done = run("check", rules)
    assert done.exit_code == 1
    assert "main.yaml:5" in done.stdout
    assert 'did you mean "principals"?' in done.stdout
    problem = answer("check", rules)["problems"][0]
    assert problem["line"] in {3, 5}


def test_push_shows_what_changes_asks_and_writes(sandbox: Sandbox, rules: Path) -> None:
    """The path is the stack's; refusing writes nothing; a second push changes nothing."""
    refused = run("push", rules, given="n\n")
    assert refused.exit_code == 1
    assert "+  - name: nova" in refused.stdout
    assert run("test", "--event", EVENTS / "geographic-profile.json").stdout.startswith("no rule")
    assert answer("push", rules, "--yes")["written"] == ["main"]
    assert run("push", rules).stdout == "Nothing changes.\n"
    (rules / "main.yaml").write_text(MAIN.replace("us.amazon.nova-*", "us.amazon.nova-2-*"), encoding="utf-8")
    changed = run("push", rules, "--yes")
    assert '-    profiles: ["us.amazon.nova-*"]' in changed.stdout
    assert "Written: main." in changed.stdout
    deployed = answer("test", "--event", EVENTS / "geographic-profile.json")["outcomes"][0]
    assert (deployed["rule"], deployed["decision"]) == ("nova", "auto")


def test_a_document_with_a_mistake_is_not_pushed(sandbox: Sandbox, rules: Path) -> None:
    """Nothing of the push is written."""
    (rules / "team.yaml").write_text("version: 1\nrulez: []\n", encoding="utf-8")
    done = run("push", rules, "--yes")
    assert done.exit_code == 1
    assert "team.yaml" in done.stdout
    assert "Nothing was written" in done.stderr
    assert sandbox.parameters.parameters == {}


def test_a_document_that_somebody_changed_meanwhile_is_kept(sandbox: Sandbox, rules: Path) -> None:
    """Between the look and the writing another push came: this one stops and says so."""
    sandbox.parameters.put(f"{PLACE}/main", "version: 1\nrules: []\n")

    def another(call: Call) -> None:
        if call.name == "ssm:GetParameters":
            sandbox.endpoint.refusals.remove(another)
            sandbox.parameters.put(f"{PLACE}/main", "version: 1\nrules: [] # another\n")

    sandbox.endpoint.refusals.append(another)
    done = run("push", rules, "--yes")
    assert done.exit_code == 1
    assert "Somebody changed main in the meantime" in done.stderr


def test_test_says_which_rule_decides(sandbox: Sandbox, rules: Path) -> None:
    """By what AWS says of profile and principal; what no grant can help reaches no rule."""
    events = [
        argument
        for name in ("geographic-profile", "wrong-prefix", "sso-role", "session-policy")
        for argument in ("--event", str(EVENTS / f"{name}.json"))
    ]
    found = answer("test", rules, *events)["outcomes"]
    assert [(each["decision"], each["rule"]) for each in found] == [
        ("auto", "nova"),
        ("report", "no-search"),
        ("report", None),
        ("report", None),
    ]
    assert found[0]["other_rules"] == ["nova-too"]
    assert found[1]["other_rules"] == ["roles"]
    told = run("test", rules, *events, "--rule", "nova").stdout
    assert told.splitlines()[:2] == [
        "rule nova",
        "  auto   arn:aws:iam::123456789012:user/nova-developer -> us.amazon.nova-2-lite-v1:0 in us-east-1",
    ]
    assert "search-indexer" not in told
    assert run("test", rules, *events, "--rule", "nobody").exit_code == 2
    assert run("test", rules).exit_code == 2


def test_tags_are_asked_for_where_a_rule_is_about_them(sandbox: Sandbox, rules: Path) -> None:
    """With credentials of the account; offline such a rule fits nobody."""
    name, tags = next((each.name, each.tags) for each in sandbox.world.roles if each.tags)
    key, value = next(iter(tags.items()))
    rule = f"{{name: tagged, effect: auto, principal_tags: {{{key}: {value}}}, profiles: ['us.*']}}"
    (rules / "main.yaml").write_text(f"version: 1\nrules:\n  - {rule}\n", encoding="utf-8")
    row = {"rows": [{
        "principal": f"arn:aws:iam::123456789012:role/{name}", "account": "123456789012", "region": "us-east-1",
        "profile": "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.amazon.nova-2-lite-v1:0",
        "model_id": "us.amazon.nova-2-lite-v1:0", "diagnosis": "missing_grant",
    }]}  # fmt: skip
    (rules / "past.json").write_text(json.dumps(row), encoding="utf-8")
    against = ("test", rules / "main.yaml", "--against", rules / "past.json")
    assert [each["rule"] for each in answer(*against)["outcomes"]] == ["tagged"]
    assert [each["rule"] for each in answer(*against, "--offline")["outcomes"]] == [None]


def test_rules_are_held_against_an_audit_and_a_backfill(sandbox: Sandbox, rules: Path, tmp_path: Path) -> None:
    """What those commands print with --json is read as it is, and each case is told once."""
    audited = CliRunner().invoke(cli, ["audit", "--json", "--region", "us-east-1"])
    (tmp_path / "audit.json").write_text(audited.stdout, encoding="utf-8")
    past = CliRunner().invoke(
        cli, ["backfill", "--json", "--region", "us-east-1", "--since", "2020-01-01T00:00:00Z", str(EVENTS)]
    )
    (tmp_path / "past.json").write_text(past.stdout, encoding="utf-8")
    for name in ("audit.json", "past.json"):
        found = answer("test", rules / "main.yaml", "--against", tmp_path / name)["outcomes"]
        deciding = {each["rule"] for each in found}
        assert {"nova", "roles"} <= deciding, name
        assert all(each["principal"] for each in found)
    (tmp_path / "none.json").write_text("{}", encoding="utf-8")
    assert run("test", rules / "main.yaml", "--against", tmp_path / "none.json").exit_code == 2


def test_test_says_why_each_rule_does_not_decide(sandbox: Sandbox, rules: Path) -> None:
    """The model, the destination, the tag or the field that failed it; and what beats what."""
    profile = "arn:aws:bedrock:*:123456789012:application-inference-profile/*"
    role = "arn:aws:iam::*:role/**"
    listed: list[dict[str, Any]] = [
        {"name": "sonnet", "effect": "auto", "principals": [role], "models": ["anthropic.claude-sonnet-*"]},
        {"name": "nova", "effect": "auto", "principals": [role], "models": ["amazon.*"]},
        {"name": "here", "effect": "auto", "principals": [role], "models": ["*"], "destinations": ["us-*"]},
        {"name": "not-here", "effect": "never", "destinations": ["eu-*"]},
        {"name": "own", "effect": "auto", "principals": [role], "profiles": [profile], "models": ["*"]},
        {"name": "system", "effect": "auto", "principals": [role], "profiles": ["us.*"]},
        {"name": "no-us", "effect": "never", "profiles": ["us.*"]},
        {"name": "tagged", "effect": "ask", "principal_tags": {"stage": ["production"]}},
        {"name": "office", "effect": "auto", "principals": [role], "models": ["*"], "source_ips": ["10.0.0.0/8"]},
        {"name": "public", "effect": "ask", "source_ips": ["198.51.100.0/24"]},
        {"name": "endpoint", "effect": "ask", "source_vpces": ["vpce-0a1b2c3d"]},
        {"name": "elsewhere", "effect": "ask", "regions": ["eu-west-1"]},
        {"name": "users", "effect": "ask", "principals": ["arn:aws:iam::*:user/**"]},
    ]
    (rules / "main.yaml").write_text(json.dumps({"version": 1, "rules": listed}), encoding="utf-8")
    (rules / "_scopes.yaml").write_text(
        json.dumps({"version": 1, "scopes": {"team": {"principals": [role], "models": ["meta.*"]}}}), encoding="utf-8"
    )
    (rules / "team.yaml").write_text(
        json.dumps({"version": 1, "rules": [{"name": "ours", "effect": "ask"}]}), encoding="utf-8"
    )
    event = ("--event", EVENTS / "wrapped-model.json")
    (found,) = answer("test", rules, *event)["outcomes"]
    assert (found["decision"], found["rule"]) == ("auto", "sonnet")
    assert found["destinations"] == ["global", "us-east-1"]
    assert found["equivalents"] == ["global.anthropic.claude-sonnet-4-5-20250929-v1:0"]
    why = {each["rule"]: each["why"] for each in found["rules"]}
    for label, part in {
        "sonnet": "It decides.",
        "nova": "models: it reaches anthropic.claude-sonnet-4-5-20250929-v1:0, which the rule does not name",
        "here": "destinations: it routes to global, which the rule does not name",
        "not-here": "destinations: it routes to global, us-east-1, none of which it names",
        "own": "the rule sonnet comes before it",
        "system": "an application profile is named by its ARN",
        "no-us": "nor global.anthropic.claude-sonnet-4-5-20250929-v1:0, for which it stands",
        "tagged": "the tag stage is not there",
        "office": "source_ips: the call came from 10.20.30.40, which proves nothing",
        "endpoint": "no VPC endpoint that its record names",
        "elsewhere": "regions: us-east-1 is none of them",
        "users": "principals: arn:aws:iam::123456789012:role/profile-maker is none of them",
        "team/ours": "the scope of team: models: it reaches anthropic.claude",
    }.items():
        assert part in why[label], label
    assert "models: it reaches anthropic.claude-sonnet-4-5-20250929-v1:0" in run("test", rules, *event).stdout


def test_check_warns_of_rules_that_can_be_slipped_by(rules: Path) -> None:
    """With the line; a warning is no mistake."""
    tagged = MAIN + "  - name: production\n    effect: ask\n    principal_tags: {stage: production}\n"
    (rules / "main.yaml").write_text(tagged, encoding="utf-8")
    done = run("check", rules)
    assert done.exit_code == 0
    line = tagged.splitlines().index("    principal_tags: {stage: production}") + 1
    assert f"main.yaml:{line}: rule 'production': whoever may change the tags" in done.stderr.replace("\n", "")
