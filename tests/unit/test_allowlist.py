"""Documents of the allowlist: what they mean, and every mistake that is found in them."""

import json
from datetime import timedelta
from textwrap import dedent, indent

import pytest
from msgspec.structs import replace

from bedrock_remediator.core.allowlist import Allowlist, AllowlistError, Gap, check, parse, warnings
from bedrock_remediator.core.allowlist.rules import Rule, RuleEffect, Scope, Subject

GUIDE = """\
version: 1
rules:
  - name: nova-for-llm-apps
    effect: auto
    principals: ["arn:aws:iam::*:role/llm-*"]
    principal_tags: {bedrock-access: self-service, team: [ml, search]}
    profiles: ["us.amazon.nova-*", "global.amazon.nova-2-lite-v1:0"]
    models: ["amazon.nova-*"]
    destinations: ["us-*", global]
    accounts: ["123456789012"]
    regions: ["us-east-1", us-gov-west-1]
    source_ips: ["10.0.0.0/8", "2001:db8::/32"]
    source_vpces: [vpce-0a1b2c3d4e5f60718]
    expires_after: 30d
    max_grants_per_day: 20
"""
GUIDE_RULE = Rule(
    name="nova-for-llm-apps",
    effect=RuleEffect.AUTO,
    document="main",
    principals=("arn:aws:iam::*:role/llm-*",),
    principal_tags={"bedrock-access": ("self-service",), "team": ("ml", "search")},
    profiles=("us.amazon.nova-*", "global.amazon.nova-2-lite-v1:0"),
    models=("amazon.nova-*",),
    destinations=("us-*", "global"),
    accounts=("123456789012",),
    regions=("us-east-1", "us-gov-west-1"),
    source_ips=("10.0.0.0/8", "2001:db8::/32"),
    source_vpces=("vpce-0a1b2c3d4e5f60718",),
    expires_after=timedelta(days=30),
    max_grants_per_day=20,
)
SCOPES = """\
version: 1
scopes:
  team-a:
    principals: ["arn:aws:iam::123456789012:role/a/**"]
    accounts: ["123456789012"]
    profiles: ["us.*"]
"""
SCOPE = Scope(principals=("arn:aws:iam::123456789012:role/a/**",), accounts=("123456789012",), profiles=("us.*",))
TEAM = """\
version: 1
rules:
  - name: mine
    effect: auto
    principals: ["arn:aws:iam::*:role/**"]
    profiles: ["*"]
  - name: ours
    effect: never
"""


def rule(fields: str) -> str:
    """A document whose one rule has these fields; they begin in line 5, behind `name` and `effect: ask`."""
    return "version: 1\nrules:\n  - name: one\n    effect: ask\n" + indent(dedent(fields), "    ")


def mistakes(text: str, name: str = "main") -> list[str]:
    """The mistakes in a document."""
    return [str(error) for error in check({name: text})]


def test_every_field() -> None:
    """A rule with every field that there is comes out as it was written."""
    assert parse({"main": GUIDE}) == Allowlist(rules=(GUIDE_RULE,))


def test_json_and_yaml_say_the_same() -> None:
    """A document in JSON is read as the same document in YAML."""
    fields = {
        "name": "one",
        "effect": "auto",
        "principal_tags": {"team": "ml"},
        "profiles": ["*"],
        "expires_after": "12h",
    }
    yaml = "version: 1\nrules:\n" + "".join(
        f"  {'-' if number == 0 else ' '} {key}: {json.dumps(value)}\n"
        for number, (key, value) in enumerate(fields.items())
    )
    found = parse({"main": json.dumps({"version": 1, "rules": [fields]})})
    assert found == parse({"main": yaml})
    assert not found.problems
    assert found.rules[0].expires_after == timedelta(hours=12)


@pytest.mark.parametrize("documents", [{}, {"main": "version: 1\nrules: []"}])
def test_no_rules(documents: dict[str, str]) -> None:
    """No documents, or none with rules, are no mistake."""
    assert parse(documents) == Allowlist()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ("principal: [x]", "line 5: rule 'one': unknown key 'principal'; did you mean \"principals\"?"),
        ("zzz: 1", "line 5: rule 'one': unknown key 'zzz'"),
        ("<<: {effect: auto}", "line 5: rule 'one': unknown key '<<'"),
        (
            "principals: []",
            "line 5: rule 'one': principals must not be empty; leave it out where it should not restrict",
        ),
        ("principals: x", "line 5: rule 'one': principals must be a list, not 'x'"),
        ("principals:", "line 5: rule 'one': principals must be a list, not empty"),
        ("principals: {a: b}", "line 5: rule 'one': principals must be a list, not a mapping"),
        ("principals:\n  - [x]", "line 6: rule 'one': principals must be text, not a list"),
        ("accounts: [123456789012]", "line 5: rule 'one': accounts must be text, not 123456789012; put it in quotes"),
        ("accounts: [true]", "line 5: rule 'one': accounts must be text, not True; put it in quotes"),
        (
            "accounts: ['1234']",
            "line 5: rule 'one': accounts: '1234' is not an account id: 12 digits, without wildcards",
        ),
        ("accounts: ['*']", "line 5: rule 'one': accounts: '*' is not an account id: 12 digits, without wildcards"),
        ("accounts: ['１２３４５６７８９０１２']", "is not an account id"),  # noqa: RUF001  digits, but not ours
        ("regions: [us-*]", "line 5: rule 'one': regions: 'us-*' is not the name of a region, such as us-east-1"),
        ("profiles: ['us.[a]']", "line 5: rule 'one': profiles: 'us.[a]' holds a bracket"),
        ("models: ['us.amazon.nova-*']", "names an inference profile, which goes under profiles:"),
        ("source_ips: [10.0.0.1]", "'10.0.0.1' is not a CIDR block, such as 10.0.0.0/8 (one address: 10.1.2.3/32)"),
        ("source_ips: [10.0.0.0/33]", "'10.0.0.0/33' is not a CIDR block"),
        ("source_ips: [10.0.0.0/255.0.0.0]", "is not a CIDR block"),
        ("source_ips: [10.0.0.1/8]", 'has bits set behind its prefix; did you mean "10.0.0.0/8"?'),
        ("source_ips: [bedrock.amazonaws.com]", "is not a CIDR block"),
        ("models: ['anthropic.Claude-*']", 'no model\'s id has; did you mean "anthropic.claude-*"?'),
        (
            "destinations: [Europe]",
            "'Europe' is not a region, such as eu-west-1, a pattern of regions, such as eu-*, or",
        ),
        ("destinations: ['']", "is not a region"),
        ("destinations: []", "destinations must not be empty"),
        ("source_vpces: [vpce-*]", "'vpce-*' is not the id of a VPC endpoint, such as vpce-0a1b2c3d4e5f60718"),
        ("source_vpces: [vpc-0a1b2c3d]", "is not the id of a VPC endpoint"),
        ("source_vpce: [vpce-0a1b2c3d]", "unknown key 'source_vpce'; did you mean \"source_vpces\"?"),
        ("expires_after: 30", "line 5: rule 'one': expires_after must be text, not 30; put it in quotes"),
        ("expires_after: 0d", "line 5: rule 'one': expires_after: '0d' must be a number above 0 and m, h or d"),
        ("expires_after: -1d", "'-1d' must be a number above 0"),
        ("expires_after: 1.5h", "'1.5h' must be a number above 0"),
        ("expires_after: 1w", "'1w' must be a number above 0"),
        ("expires_after: 1d12h", "'1d12h' must be a number above 0"),
        ("expires_after: 4000d", "'4000d' is more than ten years"),
        ("max_grants_per_day: 0", "max_grants_per_day must be a whole number from 1 to 100000, not 0"),
        ("max_grants_per_day: true", "max_grants_per_day must be a whole number from 1 to 100000, not True"),
        ("max_grants_per_day: '5'", "max_grants_per_day must be a whole number from 1 to 100000, not '5'"),
        ("max_grants_per_day: 1.5", "max_grants_per_day must be a whole number from 1 to 100000, not 1.5"),
        ("principal_tags: {}", "principal_tags must not be empty; leave it out where it should not restrict"),
        ("principal_tags: [a]", "principal_tags must be a mapping, not a list"),
        ("principal_tags: {team: []}", "principal_tags, 'team' must not be empty"),
        ("principal_tags: {team: 1}", "principal_tags, 'team' must be text, not 1; put it in quotes"),
        ("principal_tags: {team: 'ml-*'}", "'ml-*' cannot be a tag's value; values are matched exactly"),
        ("principal_tags: {'te*m': ml}", "principal_tags, 'te*m' cannot be a tag's key"),
    ],
)
def test_mistakes_in_a_field(fields: str, message: str) -> None:
    """A field that holds what it should not is one mistake, with the document, the line and what would be right."""
    (found,) = mistakes(rule(fields))
    assert found.startswith("main, line ")
    assert message in found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ["main: the document is empty"]),
        ("[]", ["main, line 1: the document must be a mapping, not a list"]),
        ("rules", ["main, line 1: the document must be a mapping, not 'rules'"]),
        ("rules: []", ["main, line 1: the document must say `version: 1`"]),
        ("version: 2\nrules: []", ["main, line 1: the document must say `version: 1`"]),
        ("version: '1'\nrules: []", ["main, line 1: the document must say `version: 1`"]),
        ("version: true\nrules: []", ["main, line 1: the document must say `version: 1`"]),
        ("version: 1", ["main, line 1: the document must have `rules:`"]),
        (
            "version: 1\nrule: []",
            [
                "main, line 2: unknown key 'rule'; did you mean \"rules\"?",
                "main, line 1: the document must have `rules:`",
            ],
        ),
        ("version: 1\nrules:", ["main, line 2: rules must be a list, not empty"]),
        ("version: 1\nrules: [1, {}]", [
            "main, line 2: rule 1 must be a mapping, not 1",
            "main, line 2: rule 2: `name:` is missing",
            "main, line 2: rule 2: `effect:` is missing",
        ]),
        ("version: 1\nrules:\n- name: a\n- {name: b, effect: nevr}", [
            "main, line 3: rule 'a': `effect:` is missing",
            "main, line 4: rule 'b': effect: 'nevr' must be auto, ask or never; did you mean \"never\"?",
        ]),
        ("version: 1\nrules:\n- {name: a/b, effect: ask}", [
            "main, line 3: rule 'a/b': name: 'a/b' must be 1 to 64 of letters, digits, spaces, and . _ -",
        ]),
        ("version: 1\nrules:\n- {name: 1, effect: ask}", [
            "main, line 3: rule 1: name must be text, not 1; put it in quotes",
        ]),
        ("version: 1\nrules:\n- {name: a, effect: ask}\n- {name: a, effect: never}", [
            "main, line 4: rule 'a': another rule has the same name",
        ]),
        ("version: 1\nrules:\n- {name: a, effect: auto}", [
            "main, line 3: rule 'a': a rule with `effect: auto` needs `principals:` or `principal_tags:`",
            "main, line 3: rule 'a': a rule with `effect: auto` needs `profiles:`, `models:` or `destinations:`",
        ]),
        ("version: 1\nrules:\n- {name: a, effect: ask}\nrules: []", ["main, line 4: the key 'rules' is given twice"]),
    ],
)  # fmt: skip
def test_mistakes_in_a_document(text: str, expected: list[str]) -> None:
    """All the mistakes of a document are told, each with its line."""
    assert mistakes(text) == expected


def test_json_mistakes_have_lines() -> None:
    """A mistake in a JSON document is told with its line, too, a duplicate key included."""
    assert mistakes('{\n\t"version": 1,\n\t"rules": [\n\t\t{"name": "a"}\n\t]\n}') == [
        "main, line 4: rule 'a': `effect:` is missing"
    ]
    assert mistakes('{"version": 1,\n "rules": [],\n "rules": []}') == ["main, line 3: the key 'rules' is given twice"]


def test_a_mistake_is_a_value_with_its_parts() -> None:
    """Those who write documents can ask for the document, the line and the message one by one."""
    (error,) = check({"main": "version: 1\nrules: 1"})
    assert isinstance(error, AllowlistError)
    assert (error.document, error.line, error.message) == ("main", 2, "rules must be a list, not 1")


def test_what_is_not_wrong_still_counts() -> None:
    """Beside a mistake, the other rules of a document are kept, so that its prohibitions hold."""
    text = "version: 1\nrules:\n- {name: a, effect: ask}\n- {name: b, effct: ask}\n- {name: a, effect: never}"
    found = parse({"main": text})
    assert [rule.effect for rule in found.rules] == [RuleEffect.ASK, RuleEffect.NEVER]
    assert found.problems == (
        "main, line 4: rule 'b': unknown key 'effct'; did you mean \"effect\"?",
        "main, line 4: rule 'b': `effect:` is missing",
        "main, line 5: rule 'a': another rule has the same name",
    )


def test_documents_that_could_not_be_fetched_are_problems() -> None:
    """A document that is there and cannot be fetched is a problem, named with its reason."""
    found = parse({"main": GUIDE, "_scopes": SCOPES}, {"/allowlist": "throttled", "team-a": "KMS", "team-b": "denied"})
    assert found == Allowlist(
        rules=(GUIDE_RULE,),
        problems=("/allowlist: throttled",),
        gaps=(Gap(SCOPE, "team-a: KMS"),),
        strays=("team-b: this document has no scope in _scopes, so its rules concern nobody",),
        fetched=False,
    )
    assert found.alerts == (*found.problems, "team-a: KMS", *found.strays)


def test_a_team_speaks_within_its_scope() -> None:
    """A team's rules come after the administrators', carry its scope, and are labelled with its document's name."""
    found = parse({"team-a": TEAM, "main": GUIDE, "_scopes": SCOPES})
    assert not found.problems
    assert found.rules[0] == GUIDE_RULE
    assert [(rule.label, rule.effect, rule.scope) for rule in found.rules[1:]] == [
        ("team-a/mine", RuleEffect.AUTO, SCOPE),
        ("team-a/ours", RuleEffect.NEVER, SCOPE),
    ]


@pytest.mark.parametrize("scopes", [{}, {"_scopes": SCOPES}])
@pytest.mark.parametrize("text", [TEAM, "not: rules"])
def test_a_document_without_a_scope_concerns_nobody(scopes: dict[str, str], text: str) -> None:
    """It neither opens nor shuts a door, right or wrong, and somebody is told."""
    found = parse({"team-b": text, "main": GUIDE} | scopes)
    assert (found.rules, found.problems, found.gaps) == ((GUIDE_RULE,), (), ())
    assert found.alerts == ("team-b: this document has no scope in _scopes, so its rules concern nobody",)


OURS = Subject(
    principal="arn:aws:iam::123456789012:role/a/app",
    tags={},
    account="123456789012",
    region="us-east-1",
    profile_arn="arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.amazon.nova-2-lite-v1:0",
    profile_id="us.amazon.nova-2-lite-v1:0",
    models=("arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-2-lite-v1:0",),
)
THEIRS = replace(OURS, principal="arn:aws:iam::123456789012:role/b/app")


def test_a_broken_team_document_makes_its_own_scope_ask() -> None:
    """What was lost can have been about nobody else; and what could be read of it goes on to count."""
    broken = TEAM.replace("effect: auto", "effect: autp")
    found = parse({"main": GUIDE, "_scopes": SCOPES, "team-a": broken})
    problem = "team-a, line 4: rule 'mine': effect: 'autp' must be auto, ask or never; did you mean \"auto\"?"
    assert (found.problem_about(OURS), found.problem_about(THEIRS)) == (problem, None)
    assert (found.problems, found.alerts) == ((), (problem,))
    assert [rule.label for rule in found.rules] == ["nova-for-llm-apps", "team-a/ours"]


@pytest.mark.parametrize("name", ["main", "_scopes", "_scope"])
def test_a_broken_document_of_the_administrators_makes_everything_ask(name: str) -> None:
    """It may have held a prohibition for anybody; so may one whose name is nearly that of theirs."""
    found = parse({"_scopes": SCOPES, "team-a": TEAM, "main": GUIDE, name: "broken"})
    assert found.problem_about(OURS)
    assert found.problem_about(THEIRS)


def test_a_rule_knows_the_version_of_its_document() -> None:
    """As Parameter Store counts them."""
    found = parse({"main": GUIDE, "_scopes": SCOPES, "team-a": TEAM}, versions={"main": 7, "team-a": 3})
    assert [rule.version for rule in found.rules] == [7, 3, 3]


OPAQUE = "arn:aws:bedrock:*:123456789012:application-inference-profile/*"


@pytest.mark.parametrize(
    ("profiles", "more", "wrong"),
    [
        ([OPAQUE], "", True),
        (["us.*", OPAQUE], "", True),
        (["arn:*"], "", True),
        ([OPAQUE], "destinations: [us-east-1]", True),
        ([OPAQUE], "models: ['*']", False),
        (["*", "arn:*"], "", False),
        (["arn:aws:bedrock:*:123456789012:inference-profile/us.*"], "", False),
    ],
)
def test_what_opens_application_profiles_names_their_models(profiles: list[str], more: str, wrong: bool) -> None:  # noqa: FBT001
    """Whoever may make one chooses what it calls; a rule that opens every profile opens nothing more by it."""
    fields = f"principals: ['arn:aws:iam::*:role/**']\nprofiles: {json.dumps(profiles)}\n{more}\n"
    text = rule(fields)
    assert not mistakes(text)
    scope = "version: 1\nscopes:\n  a:\n" + indent(fields, "    ")
    for found in (mistakes(text.replace("effect: ask", "effect: auto")), mistakes(scope, "_scopes")):
        assert bool(found) is wrong
        assert all("needs `models:` beside the application profiles of 'arn:" in each for each in found)
        assert all('did you mean to add models: ["amazon.*"]' in each for each in found)


def test_warnings_are_about_rules_that_can_be_slipped_by() -> None:
    """A tag that the principal can drop, and fields whose AND catches less than either; never on auto."""
    text = rule("principal_tags: {stage: production}\nprofiles: ['us.*']\nmodels: ['*opus*']\n")
    found = [str(each) for each in warnings({"main": text, "_scopes": SCOPES})]
    assert [each.partition(": ")[0] for each in found] == ["main, line 5", "main, line 7"]
    assert "can drop the tag and is then not caught by `effect: ask`" in found[0]
    assert "joined by AND" in found[1]
    assert not warnings({"main": text.replace("effect: ask", "effect: auto")})
    assert not warnings({"main": rule("models: ['*opus*']")})
    by_arn = "arn:aws:bedrock:*:*:inference-profile/"
    (found_by_arn,) = warnings({"main": rule(f"profiles: ['us.*', '{by_arn}global.*']")})
    assert (found_by_arn.line, "did you mean 'global.*'?" in found_by_arn.message) == (5, True)
    assert not warnings({"main": rule(f"profiles: ['{by_arn}*']")})
    assert not warnings({"main": rule("profiles: us.*")})
    for broken in ("", "[]", "rules: 1", "rules: [1, {effect: [x]}, {name: a}]"):
        assert not warnings({"main": broken})


def test_rules_of_two_documents_may_have_one_name() -> None:
    """A team cannot disturb another, or pass for the administrators, by the name of a rule."""
    scopes = SCOPES.replace("team-a", "x/y")
    found = parse({"main": GUIDE, "x/y": GUIDE, "_scopes": scopes})
    assert not found.alerts
    assert [rule.label for rule in found.rules] == ["nova-for-llm-apps", "x/y/nova-for-llm-apps"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("version: 1\nscopes:", ["_scopes, line 2: scopes must be a mapping, not empty"]),
        ("version: 1\nrules: []", [
            "_scopes, line 2: unknown key 'rules'",
            "_scopes, line 1: the document must have `scopes:`",
        ]),
        ("version: 1\nscopes:\n  a: {}", [
            "_scopes, line 3: scope 'a': a scope needs `principals:`",
            "_scopes, line 3: scope 'a': a scope needs `profiles:`, `models:` or `destinations:`",
        ]),
        ("version: 1\nscopes:\n  a: [x]", ["_scopes, line 3: scope 'a' must be a mapping, not a list"]),
        ("version: 1\nscopes:\n  a:\n    principals: ['***']\n    profiles: ['*']\n    regions: [us-east-1]", [
            "_scopes, line 4: scope 'a': principals: '***' holds ***, which means nothing; write * or **",
            "_scopes, line 6: scope 'a': unknown key 'regions'",
        ]),
        ("version: 1\nscopes:\n  main: {principals: ['arn:aws:iam::*:**'], models: ['*']}", [
            "_scopes, line 3: scope 'main': no team's document can be called so",
        ]),
        ("version: 1\nscopes:\n  _a: {principals: ['arn:aws:iam::*:**'], models: ['*']}", [
            "_scopes, line 3: scope '_a': no team's document can be called so",
        ]),
    ],
)  # fmt: skip
def test_mistakes_in_scopes(text: str, expected: list[str]) -> None:
    """A scope must say for whom and for what, and nothing that is not known; what is wrong gives no scope."""
    assert mistakes(text, "_scopes") == expected
    found = parse({"_scopes": text, "a": TEAM})
    assert found.problems == tuple(expected)
    assert (found.rules, found.strays) == ((), ())


def test_names_that_begin_with_an_underscore_are_kept() -> None:
    """A document with a name that nobody reads is a mistake: a misspelt `_scopes` would be lost otherwise."""
    assert mistakes(SCOPES, "_scope") == ['_scope: this is not a document\'s name; did you mean "_scopes"?']
    assert mistakes(GUIDE, "a//b") == ["a//b: this is not a document's name"]
