"""Rules on the stack as template.yaml has it, against those who would walk round them."""

import json
from pathlib import Path
from typing import Any, Final

import pytest

from sandbox.report import report
from sandbox.running import handle, read_events, time_after
from sandbox.stack import Options, Sandbox
from sandbox.world import read_world

ROOT: Final = Path(__file__).parents[2]
EVENTS: Final = ROOT / "events"
OPAQUE: Final = "arn:aws:bedrock:*:123456789012:application-inference-profile/*"
SONNET: Final = "anthropic.claude-sonnet-4-5-20250929-v1:0"
ROLES: Final = ["arn:aws:iam::*:role/**"]
ANY: Final = {"name": "any", "effect": "auto", "principals": ROLES, "models": ["*"]}
OWN: Final = {"name": "own", "effect": "auto", "principals": ROLES, "profiles": [OPAQUE], "models": ["*"]}


def rules(*listed: dict[str, Any]) -> str:
    """A document with these rules."""
    return json.dumps({"version": 1, "rules": listed})


def played(event: str | Path, main: str, **documents: str) -> dict[str, Any]:
    """What the stack makes of an event, a sample or a file of one's own, in mode auto."""
    events = read_events([event if isinstance(event, Path) else EVENTS / f"{event}.json"])
    options = Options(parameters={"Mode": "auto"}, allowlist={"main": main, **documents}, now=time_after(events))
    with Sandbox(read_world(), options) as stack:
        handle(stack, events)
        assert stack.authorization.refusals == []
        return report(stack)


def ends(content: dict[str, Any]) -> tuple[str, str, str | None]:
    """How the one row stands: its state, why, and the rule."""
    (row,) = content["grants"]
    return row["state"], row["reason_code"], row["rule"]


@pytest.mark.parametrize(
    "restriction",
    [
        {"models": ["anthropic.claude-sonnet-*"]},
        {"models": [f"arn:aws:bedrock:*::foundation-model/{SONNET}"]},
        {"profiles": ["global.*"]},
        {"profiles": ["*.anthropic.*"]},
        {"profiles": [f"GLOBAL.{SONNET}"]},
        {"destinations": ["global"]},
        {"profiles": [OPAQUE], "destinations": ["global"]},
    ],
)
@pytest.mark.parametrize("opening", [ANY, OWN])
def test_a_model_is_not_got_by_wrapping_it(opening: dict[str, Any], restriction: dict[str, Any]) -> None:
    """Somebody wraps a forbidden model, or `global.`, in an application profile, and is refused: nothing is written."""
    never = {"name": "no", "effect": "never", **restriction}
    content = played("wrapped-model", rules(opening, never))
    assert ends(content) == ("reported", "rule_never", "no")
    assert content["calls"].get("iam:CreatePolicy", 0) == 0
    asked = played("wrapped-model", rules(opening, {**never, "effect": "ask"}))
    assert ends(asked) == ("pending", "rule_asks", "no")
    assert asked["calls"].get("iam:CreatePolicy", 0) == 0


def test_a_rule_on_application_profiles_has_to_name_their_models() -> None:
    """One that does not is a mistake, so everything asks; one that does opens what it names and nothing else."""
    open_to_all = {key: value for key, value in OWN.items() if key != "models"}
    assert ends(played("wrapped-model", rules(open_to_all)))[:2] == ("pending", "allowlist_incomplete")
    for limits in ({"models": ["amazon.*"]}, {"models": ["*"], "destinations": ["us-*"]}):
        assert ends(played("wrapped-model", rules(OWN | limits)))[:2] == ("pending", "no_rule")
        assert ends(played("application-profile", rules(OWN | limits)))[0] == "active"


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("main", ("pending", "no_rule")),
        ("eu-only", ("reported", "rule_never")),
        ("model-family", ("pending", "no_rule")),
        ("cost-tagged", ("pending", "no_rule")),
        ("vpc-endpoint", ("pending", "no_rule")),
    ],
)
def test_the_shipped_examples_grant_nobody_a_wrapped_model(file: str, expected: tuple[str, str]) -> None:
    """Each of the examples that operators start from."""
    main = (ROOT / f"docs/examples/allowlist-{file}.yaml").read_text(encoding="utf-8")
    assert ends(played("wrapped-model", main))[:2] == expected


@pytest.mark.parametrize(
    ("event", "limits", "expected"),
    [
        ("private-address", {"source_ips": ["10.0.0.0/8"]}, ("pending", "outside_source_ips")),
        ("private-address", {"source_ips": ["0.0.0.0/0"]}, ("pending", "outside_source_ips")),
        ("private-address", {"source_vpces": ["vpce-0a1b2c3d4e5f60718"]}, ("pending", "outside_source_ips")),
        ("geographic-profile", {"source_ips": ["10.0.0.0/8"]}, ("pending", "outside_source_ips")),
        ("own-vpc-endpoint", {"source_ips": ["10.0.0.0/8"]}, ("active", "rule_auto")),
        ("own-vpc-endpoint", {"source_ips": ["10.99.0.0/16"]}, ("pending", "outside_source_ips")),
        ("own-vpc-endpoint", {"source_vpces": ["vpce-0a1b2c3d4e5f60718"]}, ("active", "rule_auto")),
        (
            "private-address",
            {"source_ips": ["10.0.0.0/8"], "source_vpces": ["vpce-0fedcba9876543210"]},
            ("active", "rule_auto"),
        ),
    ],
)
def test_a_private_address_counts_only_with_a_known_endpoint(
    event: str, limits: dict[str, Any], expected: tuple[str, str]
) -> None:
    """A thief's VPC has whatever addresses the thief likes; the endpoint is AWS's word."""
    everybody = [*ROLES, "arn:aws:iam::*:user/**"]
    assert ends(played(event, rules({**ANY, "principals": everybody, **limits})))[:2] == expected


def test_a_broken_document_of_a_team_stops_only_its_own_scope() -> None:
    """The team's roles ask; everybody else's rules go on."""
    scopes = {"billing": {"principals": ["arn:aws:iam::*:role/billing-*"], "models": ["*"]}}
    documents = {"_scopes": json.dumps({"version": 1, "scopes": scopes}), "billing": "version: 1\nrulez: []"}
    found = played("application-profile", rules(ANY), **documents)
    assert ends(found)[:2] == ("pending", "allowlist_incomplete")
    assert ends(played("own-vpc-endpoint", rules(ANY), **documents))[:2] == ("active", "rule_auto")


def test_a_document_without_a_scope_stops_nobody() -> None:
    """Whoever may write one parameter cannot forbid anything to anybody."""
    never = rules({"name": "all", "effect": "never"})
    assert ends(played("application-profile", rules(ANY), stray=never))[:2] == ("active", "rule_auto")
    assert ends(played("application-profile", rules(ANY), stray="broken"))[:2] == ("active", "rule_auto")


def test_the_profiles_of_a_region_are_listed_once_by_triage_and_once_by_remediate() -> None:
    """Both list both types, to see how else the model is held; an application profile takes no call more."""
    wrapped, plain = played("application-profile", rules(ANY)), played("own-vpc-endpoint", rules(ANY))
    assert wrapped["calls"]["bedrock:ListInferenceProfiles"] == 4
    assert plain["calls"]["bedrock:ListInferenceProfiles"] == 4


@pytest.mark.parametrize(
    ("sample", "called", "expected"),
    [
        ("geographic-profile", "global.amazon.nova-2-lite-v1:0", "pending"),
        (
            "geographic-profile",
            "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/q7xk2m9p0abc",
            "pending",
        ),
        (
            "geographic-profile",
            "arn:aws:bedrock:us-east-1:444455556666:inference-profile/us.amazon.nova-2-lite-v1:0",
            "pending",
        ),
        ("geographic-profile", "amazon.nova-pro-v1:0", "pending"),
        (
            "geographic-profile",
            "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.amazon.nova-2-lite-v1:0",
            "active",
        ),
        ("geographic-profile", "HIDDEN_DUE_TO_SECURITY_REASONS", "active"),
        (
            "model-in-another-region",
            "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.amazon.nova-pro-v1:0",
            "active",
        ),
    ],
)
def test_a_record_that_contradicts_itself_is_asked_about(
    tmp_path: Path, sample: str, called: str, expected: str
) -> None:
    """The message denies one thing, and the request names another: no rule grants it by itself."""
    event = json.loads((EVENTS / f"{sample}.json").read_text(encoding="utf-8"))
    event["detail"]["requestParameters"]["modelId"] = called
    file = tmp_path / "event.json"
    file.write_text(json.dumps(event), encoding="utf-8")
    content = played(file, rules(ANY | {"principals": [*ROLES, "arn:aws:iam::*:user/**"]}))
    code = "record_contradicts_itself" if expected == "pending" else "rule_auto"
    assert ends(content)[:2] == (expected, code)
    assert content["calls"].get("iam:CreatePolicy", 0) == (expected == "active")
