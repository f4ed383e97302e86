"""Laws of rules, against a model of them that was written for this test from docs/allowlist.md alone.

What is called is described as AWS describes it (docs/aws-facts.md §3), and the subject is made of that by the one
function that makes subjects.
"""

import fnmatch
import itertools
import json
from typing import Any, Final

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct

from bedrock_remediator.core.accounts import Enrolment
from bedrock_remediator.core.allowlist import parse
from bedrock_remediator.core.allowlist.rules import Subject, subject
from bedrock_remediator.core.decision import decide
from bedrock_remediator.core.diagnosis import Diagnosis
from bedrock_remediator.core.grant import DiagnosisKind, Outcome, Sighting
from bedrock_remediator.core.layers import Layer
from bedrock_remediator.core.profile import Profile
from tests.builders.grants import NOON

HOME: Final = "123456789012"
ACCOUNTS: Final = (HOME, "111122223333")
REGION: Final = "us-east-1"
MODELS: Final = ("amazon.nova-2-lite-v1:0", "anthropic.claude-opus-4-1-v1:0", "anthropic.claude-haiku-4-5-v1:0")
ROUTES: Final = {
    "us": ("us-east-1", "us-east-2", "us-west-2"),
    "global": ("us-east-1", ""),
    "eu": ("us-east-1", "eu-west-1"),
}
ENDPOINTS: Final = ("vpce-0a1b2c3d4e5f60718", "vpce-0fedcba9876543210")
MISSING: Final = Diagnosis(
    kind=DiagnosisKind.MISSING_GRANT,
    code="missing_grant",
    reason="It is missing.",
    layer=Layer.IDENTITY,
    grantable=True,
)


class Called(Struct, frozen=True, kw_only=True):
    """What somebody calls, in plain words.

    `way` is `direct`, `system` or `application`; `scope` the system-defined profile that is called or was copied, None
    where a single region's model was.
    """

    way: str
    model: str
    scope: str | None
    account: str
    role: str
    tags: tuple[tuple[str, str], ...]
    address: str | None
    endpoint: str | None
    owner: str | None

    @property
    def regions(self) -> tuple[str, ...]:
        """Where it goes, as AWS lists it."""
        return ROUTES[self.scope] if self.scope else (REGION,)


def model_arn(region: str, model: str) -> str:
    """A model's ARN."""
    return f"arn:aws:bedrock:{region}::foundation-model/{model}"


def catalogue(account: str) -> tuple[Profile, ...]:
    """What ListInferenceProfiles gives: every model by every route."""
    return tuple(
        Profile.confirmed(
            f"arn:aws:bedrock:{REGION}:{account}:inference-profile/{scope}.{model}",
            f"{scope}.{model}",
            "SYSTEM_DEFINED",
            [model_arn(region, model) for region in regions],
        )
        for scope, regions in ROUTES.items()
        for model in MODELS
    )


def subject_of(called: Called) -> Subject:
    """What the service makes of it."""
    target: Profile | str = model_arn(REGION, called.model)
    if called.way == "system":
        target = next(each for each in catalogue(called.account) if each.id == f"{called.scope}.{called.model}")
    elif called.way == "application":
        target = Profile.confirmed(
            f"arn:aws:bedrock:{REGION}:{called.account}:application-inference-profile/q7xk2m9p0abc",
            "q7xk2m9p0abc",
            "APPLICATION",
            [model_arn(region, called.model) for region in called.regions],
        )
    sighting = Sighting(
        event_id="e",
        time=NOON,
        source_ip=called.address,
        vpc_endpoint=called.endpoint,
        vpc_endpoint_account=called.owner if called.endpoint else None,
    )
    return subject(
        principal=f"arn:aws:iam::{called.account}:role/{called.role}",
        tags=dict(called.tags),
        account=called.account,
        region=REGION,
        origin=sighting,
        enrolment=Enrolment(HOME),
        target=target,
        system_defined=catalogue(called.account),
    )


def of(patterns: list[str], name: str, *, capitals: bool = True) -> bool:
    """Whether a name is of one of the patterns, in the shell's own way of reading them."""
    if not capitals:
        patterns, name = [pattern.lower() for pattern in patterns], name.lower()
    return any(
        fnmatch.fnmatchcase(name, each) for each in patterns if each.startswith("arn:") is name.startswith("arn:")
    )


def about(rule: dict[str, Any], called: Called) -> bool:
    """The model: whether a rule is about a call. Every field that it has must say yes."""
    opens = rule["effect"] == "auto"
    some = all if opens else any
    answers = []
    if "principals" in rule:
        stars = [pattern.replace("**", "*") for pattern in rule["principals"]]
        answers.append(of(stars, f"arn:aws:iam::{called.account}:role/{called.role}"))
    if "principal_tags" in rule:
        answers.append(all(dict(called.tags).get(key) in values for key, values in rule["principal_tags"].items()))
    if "profiles" in rule:
        kind = {"application": "application-inference-profile", "system": "inference-profile"}.get(called.way)
        name = "q7xk2m9p0abc" if called.way == "application" else f"{called.scope}.{called.model}"
        known = [f"arn:aws:bedrock:{REGION}:{called.account}:{kind}/{name}"] if kind else []
        if called.way == "system" or (called.way == "application" and called.scope and not opens):
            known.append(f"{called.scope}.{called.model}")
        answers.append(any(of(rule["profiles"], each, capitals=opens) for each in known))
    if "models" in rule:
        reached = [[called.model, model_arn(region, called.model)] for region in called.regions]
        answers.append(some(any(of(rule["models"], each) for each in names) for names in reached))
    if "destinations" in rule:
        answers.append(some(of(rule["destinations"], region or "global") for region in called.regions))
    if "source_vpces" in rule:
        answers.append(called.endpoint in rule["source_vpces"])
    if "source_ips" in rule:
        proved = called.endpoint is not None and (
            called.owner == HOME or called.endpoint in rule.get("source_vpces", ())
        )
        trusted = proved or (called.endpoint is None and called.address == "198.51.100.7")
        blocks = {"198.51.100.0/24": "198.51.100.7", "10.0.0.0/8": "10.1.2.3"}
        answers.append(trusted and called.address in [blocks[block] for block in rule["source_ips"]])
    return all(answers)


def outcome(rules: list[dict[str, Any]], called: Called) -> Outcome:
    """The model: what rules make of a call in mode auto."""
    effects = {rule["effect"] for rule in rules if about(rule, called)}
    if "never" in effects:
        return Outcome.REPORT
    return Outcome.AUTO if effects == {"auto"} else Outcome.ASK


def some(*values: str) -> st.SearchStrategy[list[str]]:
    """One or two of these."""
    return st.lists(st.sampled_from(values), min_size=1, max_size=2, unique=True)


APPLICATIONS: Final = "arn:aws:bedrock:*:application-inference-profile/*"
FIELDS: Final[dict[str, st.SearchStrategy[Any]]] = {
    "principal_tags": st.sampled_from([{"stage": ["production"]}, {"stage": ["dev", "production"]}]),
    "profiles": some(
        "*", "us.*", "global.*", "*.anthropic.*", APPLICATIONS, "arn:aws:bedrock:*:inference-profile/us.*"
    ),
    "models": some("*", "amazon.*", "*opus*", "anthropic.claude-haiku-*", "arn:aws:bedrock:us-*::foundation-model/*"),
    "destinations": some("*", "us-*", "us-east-1", "global", "eu-*"),
    "source_ips": some("10.0.0.0/8", "198.51.100.0/24"),
    "source_vpces": some(*ENDPOINTS),
    "principals": some("arn:aws:iam::*:role/**", f"arn:aws:iam::{HOME}:role/llm/**"),
}
RESTRICTIONS: Final = st.fixed_dictionaries({"effect": st.sampled_from(["ask", "never"])}, optional=FIELDS)
OPENINGS: Final = st.fixed_dictionaries(
    {"effect": st.just("auto"), "principals": FIELDS["principals"], "models": FIELDS["models"]},
    optional={key: value for key, value in FIELDS.items() if key not in ("principals", "models")},
)


@st.composite
def calls(draw: st.DrawFn) -> Called:
    """Any call: of any model, by any way, from anywhere."""
    way = draw(st.sampled_from(["direct", "system", "application"]))
    scopes: tuple[str | None, ...] = {"direct": (None,), "system": (*ROUTES,), "application": (*ROUTES, None)}[way]
    return Called(
        way=way,
        model=draw(st.sampled_from(MODELS)),
        scope=draw(st.sampled_from(scopes)),
        account=draw(st.sampled_from(ACCOUNTS)),
        role=draw(st.sampled_from(["llm/app", "app"])),
        tags=draw(st.sampled_from([(), (("stage", "production"),), (("stage", "dev"),)])),
        address=draw(st.sampled_from([None, "10.1.2.3", "198.51.100.7", "bedrock.amazonaws.com"])),
        endpoint=draw(st.sampled_from([None, *ENDPOINTS])),
        owner=draw(st.sampled_from([None, HOME, "444455556666"])),
    )


def decided(rules: list[dict[str, Any]], called: Called) -> Outcome:
    """What the service makes of it in mode auto."""
    named = [{"name": f"r{number}", **rule} for number, rule in enumerate(rules)]
    allowlist = parse({"main": json.dumps({"version": 1, "rules": named})})
    assert not allowlist.alerts
    found = decide(mode="auto", paused=False, diagnosis=MISSING, allowlist=allowlist, subject=subject_of(called))
    return found.outcome


@given(st.lists(OPENINGS | RESTRICTIONS, max_size=5), calls())
@settings(max_examples=400, deadline=None)
def test_rules_decide_as_their_page_says(rules: list[dict[str, Any]], called: Called) -> None:
    """The service and the model of docs/allowlist.md come to the same, whatever the rules and the call."""
    assert decided(rules, called) is outcome(rules, called)


@given(RESTRICTIONS, st.lists(OPENINGS, max_size=4), st.randoms(), calls())
@settings(max_examples=300, deadline=None)
def test_no_restriction_is_passed(
    restriction: dict[str, Any], openings: list[dict[str, Any]], random: Any, called: Called
) -> None:
    """What a rule asks about or forbids is never granted by another, in whatever order they stand."""
    rules = [restriction, *openings]
    random.shuffle(rules)
    if about(restriction, called):
        assert decided(rules, called) is (Outcome.REPORT if restriction["effect"] == "never" else Outcome.ASK)


EVERYTHING: Final = {"effect": "auto", "principals": ["arn:aws:iam::*:**"], "models": ["*"]}


def every_way(model: str) -> list[Called]:
    """Every way in which a model can be called."""
    anyone: dict[str, Any] = {
        "model": model, "account": HOME, "role": "app", "tags": (), "address": None, "endpoint": None, "owner": None
    }  # fmt: skip
    wrapped = [Called(way="application", scope=scope, **anyone) for scope in (*ROUTES, None)]
    return [Called(way="direct", scope=None, **anyone), *wrapped] + [
        Called(way="system", scope=scope, **anyone) for scope in ROUTES
    ]


def test_a_forbidden_model_cannot_be_wrapped() -> None:
    """Directly, by every system-defined profile and by every application profile: with one rule, and no other model."""
    for effect, expected in (("never", Outcome.REPORT), ("ask", Outcome.ASK)):
        rules = [EVERYTHING, {"effect": effect, "models": ["anthropic.claude-*opus*"]}]
        for model in MODELS:
            for called in every_way(model):
                assert decided(rules, called) is (expected if "opus" in model else Outcome.AUTO), called


def test_a_forbidden_profile_and_a_forbidden_destination_cannot_be_wrapped() -> None:
    """`global.` by its id, in any spelling, or by where it goes."""
    spellings: list[dict[str, Any]] = [
        {"profiles": ["global.*"]},
        {"profiles": ["GLOBAL.*"]},
        {"destinations": ["global"]},
    ]
    for restriction, model in itertools.product(spellings, MODELS):
        for called in every_way(model):
            found = decided([{"effect": "never", **restriction}, EVERYTHING], called)
            assert found is (Outcome.REPORT if called.scope == "global" else Outcome.AUTO), called


def test_a_copy_of_what_a_profile_was_is_caught_too() -> None:
    """AWS adds destinations to a profile; an application profile that was made before keeps the shorter list."""
    rules = [EVERYTHING, {"effect": "never", "profiles": ["us.*"]}]
    named = [{"name": f"r{number}", **rule} for number, rule in enumerate(rules)]
    allowlist = parse({"main": json.dumps({"version": 1, "rules": named})})
    model = MODELS[1]
    older = Profile.confirmed(
        f"arn:aws:bedrock:{REGION}:{HOME}:application-inference-profile/q1",
        "q1",
        "APPLICATION",
        [model_arn("us-east-1", model), model_arn("us-west-2", model)],
    )
    made = subject(
        principal=f"arn:aws:iam::{HOME}:role/app",
        tags={},
        account=HOME,
        region=REGION,
        origin=Sighting(event_id="e", time=NOON),
        enrolment=Enrolment(HOME),
        target=older,
        system_defined=catalogue(HOME),
    )
    assert made.equivalents == (f"us.{model}",)
    found = decide(mode="auto", paused=False, diagnosis=MISSING, allowlist=allowlist, subject=made)
    assert found.outcome is Outcome.REPORT
