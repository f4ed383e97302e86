"""Whether a rule is about a grant."""

from typing import Any

import pytest
from msgspec.structs import replace

from bedrock_remediator.core.rule import Rule, RuleEffect, Scope, Subject

ACCOUNT = "123456789012"
PROFILE = f"arn:aws:bedrock:us-east-1:{ACCOUNT}:inference-profile/us.amazon.nova-2-lite-v1:0"
APPLICATION = f"arn:aws:bedrock:us-east-1:{ACCOUNT}:application-inference-profile/q7xk2m9p0abc"
MODEL = "arn:aws:bedrock:us-east-1::foundation-model/amazon.titan-embed-text-v2:0"

BY_PROFILE = Subject(
    principal=f"arn:aws:iam::{ACCOUNT}:role/llm-app",
    tags={"team": "ml", "stage": "dev"},
    account=ACCOUNT,
    region="us-east-1",
    source_ip="10.1.2.3",
    profile_arn=PROFILE,
    profile_id="us.amazon.nova-2-lite-v1:0",
)
BY_APPLICATION = replace(BY_PROFILE, profile_arn=APPLICATION, profile_id="q7xk2m9p0abc")
BY_MODEL = replace(
    BY_PROFILE, profile_arn=None, profile_id=None, model_arn=MODEL, model_id="amazon.titan-embed-text-v2:0"
)
OF_NOTHING = replace(BY_PROFILE, profile_arn=None, profile_id=None)


def rule(**fields: Any) -> Rule:
    """A rule with these fields."""
    return Rule(name="one", effect=RuleEffect.ASK, declared=RuleEffect.ASK, document="main", **fields)


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
        ({"source_ips": ("10.0.0.0/8",)}, True),
        ({"source_ips": ("192.0.2.0/24", "10.0.0.0/8")}, True),
        ({"source_ips": ("192.0.2.0/24",)}, False),
        ({"source_ips": ("2001:db8::/32",)}, False),
        ({"profiles": ("us.amazon.nova-*",)}, True),
        ({"profiles": ("eu.*", "us.*")}, True),
        ({"profiles": ("eu.*",)}, False),
        ({"profiles": (PROFILE,)}, True),
        ({"profiles": (APPLICATION,)}, False),
        ({"models": ("*",)}, False),
        ({"models": ("*",), "profiles": ("us.*",)}, True),
    ],
)
def test_fields_are_joined_by_and_their_values_by_or(fields: dict[str, Any], expected: bool) -> None:  # noqa: FBT001
    """A rule is about a grant if each of its fields has a value that fits; a field that is left out fits."""
    assert rule(**fields).matches(BY_PROFILE) is expected


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        (("*",), False),
        (("q7xk2m9p0abc",), False),
        ((APPLICATION,), True),
        (("arn:aws:bedrock:*:application-inference-profile/*",), True),
        (("arn:aws:bedrock:*:inference-profile/*",), False),
    ],
)
def test_application_profiles_go_by_their_arn(patterns: tuple[str, ...], expected: bool) -> None:  # noqa: FBT001
    """The id of an application profile says nothing about it, so no pattern of ids is about one."""
    assert rule(profiles=patterns).matches(BY_APPLICATION) is expected


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
    """A grant of a model without a profile is what `models` is about, and never `profiles`."""
    assert rule(**fields).matches(BY_MODEL) is expected


def test_a_grant_of_nothing_certain_fits_no_target() -> None:
    """Where it is not known which profile or model is meant, no rule that names some is about it."""
    assert not rule(profiles=("*",), models=("*",)).matches(OF_NOTHING)
    assert rule().matches(OF_NOTHING)


@pytest.mark.parametrize(
    ("source_ip", "blocks", "expected"),
    [
        (None, ("0.0.0.0/0", "::/0"), False),
        ("", ("0.0.0.0/0", "::/0"), False),
        ("bedrock.amazonaws.com", ("0.0.0.0/0", "::/0"), False),
        ("AWS Internal", ("0.0.0.0/0", "::/0"), False),
        ("10.1.2.3.4", ("0.0.0.0/0", "::/0"), False),
        ("10.1.2.3", ("10.1.2.3/32",), True),
        ("2001:db8::1", ("2001:db8::/32",), True),
        ("2001:db8::1", ("0.0.0.0/0",), False),
        ("::ffff:10.1.2.3", ("10.0.0.0/8",), True),
    ],
)
def test_source_addresses(source_ip: str | None, blocks: tuple[str, ...], expected: bool) -> None:  # noqa: FBT001
    """A call whose source is no address, an AWS service's for one, is from no network."""
    assert rule(source_ips=blocks).matches(replace(BY_PROFILE, source_ip=source_ip)) is expected


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
        (replace(SCOPE, models=("amazon.*",)), BY_MODEL, True),
        (replace(SCOPE, profiles=(), models=("*",)), BY_PROFILE, False),
    ],
)
def test_a_rule_holds_within_its_scope(scope: Scope, subject: Subject, expected: bool) -> None:  # noqa: FBT001
    """A team's rule is about a grant only if the team may speak about its principal, account and profile."""
    assert rule(scope=scope).matches(subject) is expected
