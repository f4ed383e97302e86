"""Laws of the allowlist: what no document, however it is written, can do."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from bedrock_remediator.core.allowlist import Allowlist, check, parse
from bedrock_remediator.core.allowlist.rules import RuleEffect, Subject
from bedrock_remediator.core.decision import Decision, decide
from bedrock_remediator.core.diagnosis import Diagnosis
from bedrock_remediator.core.grant import DiagnosisKind, Outcome
from bedrock_remediator.core.layers import Layer

MISSING = Diagnosis(
    kind=DiagnosisKind.MISSING_GRANT,
    code="missing_grant",
    reason="It is missing.",
    layer=Layer.IDENTITY,
    grantable=True,
)
ACCOUNTS = ("111122223333", "123456789012")
STRENGTH = {Outcome.AUTO: 0, Outcome.ASK: 1, Outcome.REPORT: 2}

EVERYONE = ["arn:aws:iam::*:**"]
PRINCIPALS = st.sampled_from(
    ["arn:aws:iam::*:**", "arn:aws:iam::*:role/*", "arn:aws:iam::*:role/a/**", "arn:aws:iam::111122223333:role/**"]
)
PROFILES = st.sampled_from(["*", "us.*", "eu.*", "arn:*:inference-profile/*"])
MODELS = st.sampled_from(["*", "amazon.*", "arn:aws:bedrock:us-east-1::foundation-model/*"])


def several(values: st.SearchStrategy[str]) -> st.SearchStrategy[list[str]]:
    """One or two of these."""
    return st.lists(values, min_size=1, max_size=2)


SCOPES = st.fixed_dictionaries(
    {"principals": several(PRINCIPALS), "profiles": several(PROFILES)},
    optional={"accounts": several(st.sampled_from(ACCOUNTS)), "models": several(MODELS)},
)
RULES = st.fixed_dictionaries(
    {
        "effect": st.sampled_from(["auto", "ask", "never"]),
        "principals": several(PRINCIPALS),
        "profiles": several(PROFILES),
    },
    optional={
        "models": several(MODELS),
        "accounts": several(st.sampled_from(ACCOUNTS)),
        "regions": st.just(["us-east-1"]),
        "principal_tags": st.just({"team": "a"}),
        "source_ips": st.just(["10.0.0.0/8"]),
    },
)


@st.composite
def subjects(draw: st.DrawFn) -> Subject:
    """Somebody who wants something."""
    account = draw(st.sampled_from(ACCOUNTS))
    model = "arn:aws:bedrock:us-east-1::foundation-model/amazon.x"
    targets: list[dict[str, Any]] = [
        {
            "profile_arn": f"arn:aws:bedrock:us-east-1:{account}:inference-profile/{scope}.x",
            "profile_id": f"{scope}.x",
            "models": (model,),
        }
        for scope in ("us", "eu")
    ]
    application = f"arn:aws:bedrock:us-east-1:{account}:application-inference-profile/us.x"
    wrapped = {"profile_arn": application, "profile_id": "us.x", "models": (model,), "equivalents": ("us.x",)}
    targets += [wrapped, {"models": (model,)}, {}]
    return Subject(
        principal=f"arn:aws:iam::{account}:{draw(st.sampled_from(['role/x', 'role/a/x', 'role/b/x', 'user/x']))}",
        tags=draw(st.sampled_from([{}, {"team": "a"}])),
        account=account,
        region=draw(st.sampled_from(["us-east-1", "us-west-2"])),
        source_ip=draw(st.sampled_from([None, "10.0.0.1", "192.0.2.1", "bedrock.amazonaws.com"])),
        **draw(st.sampled_from(targets)),
    )


def document(rules: list[dict[str, Any]]) -> str:
    """A document with these rules, named by number."""
    return json.dumps({"version": 1, "rules": [{"name": f"r{n}", **rule} for n, rule in enumerate(rules)]})


def scopes(**teams: dict[str, Any]) -> str:
    """The document of scopes."""
    return json.dumps({"version": 1, "scopes": teams})


def decided(allowlist: Allowlist, subject: Subject) -> Decision:
    """The decision in mode auto."""
    return decide(mode="auto", paused=False, diagnosis=MISSING, allowlist=allowlist, subject=subject)


@given(st.text(max_size=200), st.text(max_size=200), st.text(max_size=20), st.sampled_from(["main", "_scopes", "team"]))
@settings(max_examples=120, deadline=None)
def test_no_text_is_too_strange(text: str, other: str, name: str, usual: str) -> None:
    """Whatever the documents are called and hold, reading them raises nothing."""
    allowlist = parse({usual: text, name: other}, {name: text})
    assert allowlist.alerts


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text("a*[]${}:/.1dhm", max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["name", "effect", "principals", "profiles", "x"]), inner, max_size=4)
        ),
        max_leaves=12,
    )
)
@settings(max_examples=120, deadline=None)
def test_no_structure_is_too_strange(rules: object) -> None:
    """Whatever stands where the rules should be, reading it raises nothing and opens nothing."""
    allowlist = parse({"main": json.dumps({"version": 1, "rules": rules})})
    assert rules == [] or allowlist.problems
    assert all(rule.effect is not RuleEffect.AUTO for rule in allowlist.rules)


@given(st.lists(RULES, max_size=4), subjects(), st.data())
@settings(max_examples=120, deadline=None)
def test_a_torn_document_opens_nothing(rules: list[dict[str, Any]], subject: Subject, data: st.DataObject) -> None:
    """A document of which a part is lost or garbled applies nothing by itself, unless it is still a whole document."""
    text = document(rules)
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    torn = text[:start] + data.draw(st.sampled_from(["", "#", '"', "\n", "*"])) + text[end:]
    allowlist = parse({"main": torn})
    assert bool(allowlist.problems) is bool(check({"main": torn}))
    assert not allowlist.problems or decided(allowlist, subject).outcome is not Outcome.AUTO


@given(st.lists(RULES, max_size=5), st.sampled_from(["team", "_scopes", "main"]), SCOPES, subjects())
@settings(max_examples=100, deadline=None)
def test_one_lost_document_is_enough(
    rules: list[dict[str, Any]], lost: str, scope: dict[str, Any], subject: Subject
) -> None:
    """While a document that may concern a grant is lost, it is not automatic; prohibitions that are known hold."""
    documents = {"main": document(rules), "_scopes": scopes(team=scope)}
    whole, less = parse(documents), parse(documents, {lost: "throttled"})
    before, after = decided(whole, subject), decided(less, subject)
    (covered,) = parse({"main": document([{**scope, "effect": "ask"}])}).rules
    if lost == "team" and not covered.matches(subject):
        assert after == before
    else:
        assert after.outcome is (Outcome.REPORT if before.outcome is Outcome.REPORT else Outcome.ASK)


@given(st.lists(RULES, max_size=5), st.randoms(), subjects())
@settings(max_examples=120, deadline=None)
def test_the_order_of_rules_opens_nothing(rules: list[dict[str, Any]], random: Any, subject: Subject) -> None:
    """Rules in another order lead to the same outcome."""
    shuffled = list(rules)
    random.shuffle(shuffled)
    found = [decided(parse({"main": document(order)}), subject).outcome for order in (rules, shuffled)]
    assert found[0] is found[1]


@given(st.lists(RULES, max_size=4), RULES, subjects())
@settings(max_examples=120, deadline=None)
def test_a_rule_that_restricts_only_restricts(
    rules: list[dict[str, Any]], added: dict[str, Any], subject: Subject
) -> None:
    """One more rule that asks or forbids never makes the outcome a weaker one."""
    before = decided(parse({"main": document(rules)}), subject).outcome
    for effect in ("ask", "never"):
        after = decided(parse({"main": document([*rules, {**added, "effect": effect}])}), subject).outcome
        assert STRENGTH[after] >= STRENGTH[before]


@given(st.lists(RULES, max_size=3), st.lists(RULES, max_size=4), SCOPES, subjects())
@settings(max_examples=120, deadline=None)
def test_a_team_has_no_say_outside_its_scope(
    main: list[dict[str, Any]], team: list[dict[str, Any]], scope: dict[str, Any], subject: Subject
) -> None:
    """Outside its scope a team's document changes nothing, whatever it holds: it opens no door and shuts none."""
    without = parse({"main": document(main), "_scopes": scopes(team=scope)})
    both = parse({"main": document(main), "_scopes": scopes(team=scope), "team": document(team)})
    assert not both.alerts
    (everything,) = parse({"main": document([{**scope, "effect": "ask"}])}).rules
    if not everything.matches(subject):
        assert decided(both, subject) == decided(without, subject)


@given(st.lists(RULES, max_size=4), SCOPES, subjects())
@settings(max_examples=120, deadline=None)
def test_a_team_within_its_scope_is_like_the_administrators(
    team: list[dict[str, Any]], scope: dict[str, Any], subject: Subject
) -> None:
    """Within its scope, a team's rules decide as they would in the administrators' document."""
    opened, asked = (parse({"main": document([{**scope, "effect": each}])}).rules[0] for each in ("auto", "ask"))
    own = decided(parse({"_scopes": scopes(team=scope), "team": document(team)}), subject)
    if opened.matches(subject):
        assert own.outcome is decided(parse({"main": document(team)}), subject).outcome
    elif not asked.matches(subject):
        assert own.code == "no_rule"


@given(st.lists(RULES, max_size=4), st.lists(RULES, max_size=4), subjects())
@settings(max_examples=100, deadline=None)
def test_a_document_without_a_scope_concerns_nobody(
    main: list[dict[str, Any]], team: list[dict[str, Any]], subject: Subject
) -> None:
    """A document that the administrators gave no scope neither opens nor forbids anything, and somebody is told."""
    found = parse({"main": document(main), "team": document(team)})
    assert decided(found, subject) == decided(parse({"main": document(main)}), subject)
    assert found.alerts
