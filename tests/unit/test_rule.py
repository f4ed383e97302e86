"""Whether a rule is about a grant."""

from typing import Any

import pytest
from msgspec.structs import replace

from bedrock_remediator.core.allowlist.rules import Rule, RuleEffect, Scope, Subject, unmatched

ACCOUNT = "123456789012"
PROFILE = f"arn:aws:bedrock:us-east-1:{ACCOUNT}:inference-profile/us.amazon.nova-2-lite-v1:0"
APPLICATION = f"arn:aws:bedrock:us-east-1:{ACCOUNT}:application-inference-profile/q7xk2m9p0abc"
MODEL = "arn:aws:bedrock:us-east-1::foundation-model/amazon.titan-embed-text-v2:0"

NOVA = tuple(
    f"arn:aws:bedrock:{region}::foundation-model/amazon.nova-2-lite-v1:0"
    for region in ("us-east-1", "us-east-2", "us-west-2")
)
OPUS = "arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-opus-4-1-v1:0"

BY_PROFILE = Subject(
    principal=f"arn:aws:iam::{ACCOUNT}:role/llm-app",
    tags={"team": "ml", "stage": "dev"},
    account=ACCOUNT,
    region="us-east-1",
    source_ip="198.51.100.7",
    profile_arn=PROFILE,
    profile_id="us.amazon.nova-2-lite-v1:0",
    models=NOVA,
)
BY_APPLICATION = replace(
    BY_PROFILE, profile_arn=APPLICATION, profile_id="q7xk2m9p0abc", equivalents=("us.amazon.nova-2-lite-v1:0",)
)
BY_MODEL = replace(BY_PROFILE, profile_arn=None, profile_id=None, models=(MODEL,))
OF_NOTHING = replace(BY_PROFILE, profile_arn=None, profile_id=None, models=())


def rule(effect: str = "ask", **fields: Any) -> Rule:
    """A rule with these fields."""
    return Rule(name="one", effect=RuleEffect(effect), document="main", **fields)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, True),
        ({"accounts": (ACCOUNT,)}, True),
        ({"accounts": ("111122223333",)}, False),
        ({"accounts": ("111122223333", ACCOUNT)}, True),
        ({"regions": ("us-east-1",)}, True),
        ({"regions": ("us-west-2",)}, False),
        ({"principals": ("arn:aws:iam::*:role/llm-*",)}, True),
        ({"principals": ("arn:aws:iam::*:user/**", "arn:aws:iam::*:role/llm-*")}, True),
        ({"principals": ("arn:aws:iam::*:role/service/*",)}, False),
        ({"principal_tags": {"team": ("ml",)}}, True),
        ({"principal_tags": {"team": ("ops", "ml")}}, True),
        ({"principal_tags": {"team": ("ml",), "stage": ("prod",)}}, False),
        ({"principal_tags": {"team": ("ML",)}}, False),
        ({"principal_tags": {"Team": ("ml",)}}, False),
        ({"principals": ("arn:aws:iam::*:role/llm-*",), "principal_tags": {"team": ("ops",)}}, False),
        ({"source_ips": ("198.51.100.0/24",)}, True),
        ({"source_ips": ("192.0.2.0/24", "198.51.100.0/24")}, True),
        ({"source_ips": ("192.0.2.0/24",)}, False),
        ({"source_ips": ("2001:db8::/32",)}, False),
        ({"profiles": ("us.amazon.nova-*",)}, True),
        ({"profiles": ("eu.*", "us.*")}, True),
        ({"profiles": ("eu.*",)}, False),
        ({"profiles": (PROFILE,)}, True),
        ({"profiles": (APPLICATION,)}, False),
        ({"models": ("*",)}, True),
        ({"models": ("amazon.nova-*",)}, True),
        ({"models": (NOVA[1],)}, True),
        ({"models": ("anthropic.*",)}, False),
        ({"models": ("amazon.*",), "profiles": ("us.*",)}, True),
        ({"models": ("amazon.*",), "profiles": ("eu.*",)}, False),
        ({"models": ("anthropic.*",), "profiles": ("us.*",)}, False),
        ({"destinations": ("us-east-2",)}, True),
        ({"destinations": ("us-*",)}, True),
        ({"destinations": ("global", "eu-west-1")}, False),
    ],
)
def test_fields_are_joined_by_and_their_values_by_or(fields: dict[str, Any], expected: bool) -> None:  # noqa: FBT001
    """A rule is about a grant if each of its fields has a value that fits; a field that is left out fits."""
    assert rule(**fields).matches(BY_PROFILE) is expected


@pytest.mark.parametrize(
    ("patterns", "auto", "restricting"),
    [
        (("*",), False, True),
        (("us.amazon.*",), False, True),
        (("US.Amazon.Nova-*",), False, True),
        (("global.*",), False, False),
        (("q7xk2m9p0abc",), False, False),
        ((APPLICATION,), True, True),
        ((APPLICATION.upper().replace("ARN:", "arn:"),), False, True),
        (("arn:aws:bedrock:*:application-inference-profile/*",), True, True),
        (("arn:aws:bedrock:*:inference-profile/*",), False, False),
    ],
)
def test_application_profiles_go_by_their_arn(patterns: tuple[str, ...], auto: bool, restricting: bool) -> None:  # noqa: FBT001
    """No pattern of ids opens one, since its own says nothing; but what it stands for can be asked or forbidden."""
    assert rule("auto", profiles=patterns).matches(BY_APPLICATION) is auto
    assert rule("ask", profiles=patterns).matches(BY_APPLICATION) is restricting
    assert rule("never", profiles=patterns).matches(BY_APPLICATION) is restricting


@pytest.mark.parametrize(
    ("fields", "auto", "restricting"),
    [
        ({"models": ("*",)}, True, True),
        ({"models": ("amazon.*", "anthropic.*")}, True, True),
        ({"models": ("amazon.*",)}, False, True),
        ({"models": ("*opus*",)}, False, True),
        ({"models": ("meta.*",)}, False, False),
        ({"models": (OPUS,)}, False, True),
        ({"models": (OPUS, "amazon.*")}, False, True),
        ({"models": (OPUS.replace("us-east-1", "*"), "amazon.*")}, True, True),
        ({"destinations": ("us-east-1", "us-east-2", "us-west-2")}, False, True),
        ({"destinations": ("global", "us-*")}, True, True),
        ({"destinations": ("*",)}, True, True),
        ({"destinations": ("eu-*",)}, False, False),
        ({"destinations": ("global",)}, False, True),
    ],
)
@pytest.mark.parametrize("called", [BY_PROFILE, BY_APPLICATION])
def test_auto_needs_all_of_it_and_a_restriction_any(
    called: Subject,
    fields: dict[str, Any],
    auto: bool,  # noqa: FBT001
    restricting: bool,  # noqa: FBT001
) -> None:
    """A profile that reaches two models and the world: opened only as a whole, stopped for any part of it."""
    mixed = replace(called, models=(*NOVA, OPUS, OPUS.replace("us-east-1", "")))
    assert rule("auto", **fields).matches(mixed) is auto
    assert rule("ask", **fields).matches(mixed) is restricting
    assert rule("never", **fields).matches(mixed) is restricting


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, True),
        ({"models": ("amazon.titan-embed-*",)}, True),
        ({"models": (MODEL,)}, True),
        ({"models": ("anthropic.*",)}, False),
        ({"profiles": ("*",)}, False),
        ({"profiles": ("arn:*",)}, False),
    ],
)
def test_direct_model_grants_go_by_models(fields: dict[str, Any], expected: bool) -> None:  # noqa: FBT001
    """A call of a model without a profile is one of those that `models` is about, and never `profiles`."""
    assert rule(**fields).matches(BY_MODEL) is expected
    assert rule("auto", **fields).matches(BY_MODEL) is expected


def test_a_grant_of_nothing_certain_fits_no_target() -> None:
    """Where it is not known which profile or model is meant, no rule that names some is about it."""
    for effect in RuleEffect:
        assert not rule(effect, profiles=("*",)).matches(OF_NOTHING)
        assert not rule(effect, models=("*",)).matches(OF_NOTHING)
        assert not rule(effect, models=("arn:*",)).matches(OF_NOTHING)
        assert not rule(effect, destinations=("*",)).matches(OF_NOTHING)
        assert rule(effect).matches(OF_NOTHING)


@pytest.mark.parametrize(
    ("source_ip", "blocks", "expected"),
    [
        (None, ("0.0.0.0/0", "::/0"), False),
        ("", ("0.0.0.0/0", "::/0"), False),
        ("bedrock.amazonaws.com", ("0.0.0.0/0", "::/0"), False),
        ("AWS Internal", ("0.0.0.0/0", "::/0"), False),
        ("10.1.2.3.4", ("0.0.0.0/0", "::/0"), False),
        ("198.51.100.7", ("198.51.100.7/32",), True),
        ("2001:db8::1", ("2001:db8::/32",), True),
        ("2001:db8::1", ("0.0.0.0/0",), False),
        ("::ffff:198.51.100.7", ("198.51.100.0/24",), True),
    ],
)
def test_source_addresses(source_ip: str | None, blocks: tuple[str, ...], expected: bool) -> None:  # noqa: FBT001
    """A call whose source is no address, an AWS service's for one, is from no network."""
    assert rule(source_ips=blocks).matches(replace(BY_PROFILE, source_ip=source_ip)) is expected


ENDPOINT = "vpce-0a1b2c3d4e5f60718"


@pytest.mark.parametrize(
    "address",
    ["10.1.2.3", "172.16.0.9", "192.168.1.1", "100.64.3.2", "169.254.1.1", "127.0.0.1", "fd00::1", "fe80::1", "::1",
     "::ffff:10.1.2.3"],
)  # fmt: skip
def test_a_private_address_proves_nothing(address: str) -> None:
    """Anybody can have it in a network of their own: it counts only with an endpoint that is known."""
    anywhere = rule("auto", source_ips=("0.0.0.0/0", "::/0"))
    call = replace(BY_PROFILE, source_ip=address)
    assert not anywhere.matches(call)
    assert anywhere.matches_from_elsewhere(call)
    assert not anywhere.matches(replace(call, vpc_endpoint=ENDPOINT))
    assert anywhere.matches(replace(call, vpc_endpoint=ENDPOINT, own_endpoint=True))
    named = replace(anywhere, source_vpces=(ENDPOINT,))
    assert named.matches(replace(call, vpc_endpoint=ENDPOINT))
    assert not named.matches(replace(call, vpc_endpoint="vpce-0fedcba9876543210", own_endpoint=True))
    assert not named.matches(call)


def test_a_public_address_behind_a_strangers_endpoint_proves_nothing_either() -> None:
    """A VPC's addresses are what its owner chose, somebody else's public ones included."""
    office = rule("auto", source_ips=("198.51.100.0/24",))
    assert office.matches(BY_PROFILE)
    assert not office.matches(replace(BY_PROFILE, vpc_endpoint=ENDPOINT))
    assert office.matches(replace(BY_PROFILE, vpc_endpoint=ENDPOINT, own_endpoint=True))


def test_an_endpoint_can_be_named_without_addresses() -> None:
    """AWS writes the endpoint's id, and no two accounts have the same."""
    named = rule("auto", source_vpces=(ENDPOINT,))
    assert named.matches(replace(BY_PROFILE, source_ip="10.1.2.3", vpc_endpoint=ENDPOINT))
    assert not named.matches(BY_PROFILE)
    assert (named.names_origin, rule().names_origin) == (True, False)


SCOPE = Scope(principals=("arn:aws:iam::*:role/llm-*",), accounts=(ACCOUNT,), profiles=("us.*",))


@pytest.mark.parametrize(
    ("scope", "subject", "expected"),
    [
        (SCOPE, BY_PROFILE, True),
        (replace(SCOPE, accounts=()), BY_PROFILE, True),
        (replace(SCOPE, accounts=("111122223333",)), BY_PROFILE, False),
        (replace(SCOPE, principals=("arn:aws:iam::*:role/team/**",)), BY_PROFILE, False),
        (replace(SCOPE, profiles=("eu.*",)), BY_PROFILE, False),
        (SCOPE, BY_APPLICATION, False),
        (SCOPE, BY_MODEL, False),
        (SCOPE, OF_NOTHING, False),
        (replace(SCOPE, models=("amazon.*",)), BY_MODEL, False),
        (replace(SCOPE, profiles=(), models=("amazon.*",)), BY_MODEL, True),
        (replace(SCOPE, profiles=(), models=("*",)), BY_PROFILE, True),
        (replace(SCOPE, models=("anthropic.*",)), BY_PROFILE, False),
        (replace(SCOPE, destinations=("us-*",)), BY_PROFILE, True),
        (replace(SCOPE, destinations=("us-east-1",)), BY_PROFILE, False),
    ],
)
def test_a_rule_holds_within_its_scope(scope: Scope, subject: Subject, expected: bool) -> None:  # noqa: FBT001
    """A team's rule is about a grant only if the team may speak about its principal, account and profile."""
    assert rule("auto", scope=scope).matches(subject) is expected


def test_a_scope_is_held_against_a_grant_as_the_rule_is() -> None:
    """What a team opens must be its own as a whole; what it asks about or forbids, in part."""
    scope = replace(SCOPE, profiles=(), models=("amazon.*",))
    mixed = replace(BY_APPLICATION, models=(*NOVA, OPUS))
    assert [rule(effect, scope=scope).matches(mixed) for effect in RuleEffect] == [False, True, True]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({}, None),
        ({"accounts": ("111122223333",), "regions": ("eu-west-1",)}, "accounts"),
        ({"regions": ("eu-west-1",)}, "regions"),
        ({"principal_tags": {"team": ("x",)}}, "principal_tags"),
        ({"profiles": ("eu.*",), "models": ("meta.*",)}, "profiles"),
        ({"models": ("meta.*",)}, "models"),
        ({"destinations": ("eu-*",)}, "destinations"),
        ({"principals": ("arn:aws:iam::*:user/**",)}, "principals"),
        ({"scope": replace(SCOPE, accounts=("111122223333",))}, "scope.accounts"),
        ({"scope": replace(SCOPE, models=("meta.*",))}, "scope.models"),
        ({"scope": replace(SCOPE, principals=("arn:aws:iam::*:user/**",))}, "scope.principals"),
        ({"source_vpces": (ENDPOINT,)}, "source_vpces"),
        ({"source_ips": ("192.0.2.0/24",)}, "source_ips"),
    ],
)
def test_a_rule_says_which_field_failed(fields: dict[str, Any], field: str | None) -> None:
    """The first that does not fit, so that its author can be told."""
    assert rule("auto", **fields).failed_by(BY_PROFILE) == field


def test_what_no_pattern_names_can_be_told() -> None:
    """Ids go by patterns of ids, ARNs by those of ARNs."""
    assert unmatched(("amazon.*", OPUS), ("amazon.x", "meta.y", OPUS, NOVA[0])) == ("meta.y", NOVA[0])
