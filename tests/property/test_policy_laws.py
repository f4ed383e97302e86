import contextlib
import copy
import itertools
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bedrock_remediator.core.policy import Entitlement, NotOursError, PolicyTooLargeError, check, compile_policies
from tests.builders.entitlements import (
    ENDS,
    EXTRA,
    INVOKE,
    MODELS,
    PROFILES,
    TIMES,
    allows,
    entitlements,
    granted_exactly,
    granted_in_any_region,
    live,
    model,
    of,
    profile,
    several,
)

law = settings(max_examples=60, deadline=None)

sets = st.lists(entitlements, max_size=6)
limits = st.sampled_from([1000, 1600, 2048, 6144])
extras = st.sampled_from([(), EXTRA])

PROBES = list(itertools.product((*PROFILES, *MODELS), (None, *PROFILES)))


def fitted(given_set: list[Entitlement], extra: tuple[str, ...], limit: int) -> tuple[str, ...]:
    """The documents, or none where the limit is too small for one of the grants."""
    with contextlib.suppress(PolicyTooLargeError):
        return compile_policies(given_set, extra, limit=limit)
    return ()


@law
@given(sets, extras, limits, st.randoms(use_true_random=False))
def test_order_and_repetition(given_set: list[Entitlement], extra: tuple[str, ...], limit: int, random: Any) -> None:
    """The same entitlements compile to the same bytes in any order and however often they are named."""
    shuffled = given_set + given_set[:3]
    random.shuffle(shuffled)
    assert fitted(shuffled, extra, limit) == fitted(given_set, extra, limit)


@law
@given(sets, extras, limits)
def test_every_document_fits(given_set: list[Entitlement], extra: tuple[str, ...], limit: int) -> None:
    """No document is longer than the limit, and every one is printable ASCII without white space."""
    for document in fitted(given_set, extra, limit):
        assert len(document) <= limit
        assert document.isascii()
        assert document.isprintable()
        assert " " not in document


@law
@given(sets, extras, limits)
def test_all_that_is_needed_is_allowed(given_set: list[Entitlement], extra: tuple[str, ...], limit: int) -> None:
    """Each action on each ARN of an entitlement is allowed through its profile until it ends, and extra actions too."""
    documents = fitted(given_set, extra, limit)
    for time in TIMES:
        for each in live(given_set if documents else [], time):
            for arn, action in itertools.product(each.resources, (*each.actions, *extra)):
                assert allows(documents, action, arn, each.profile, time)


@law
@given(st.lists(entitlements, max_size=3), st.sampled_from(TIMES))
def test_nothing_else_is_allowed(given_set: list[Entitlement], time: Any) -> None:
    """A document with room for it allows invoking exactly what is granted, through exactly the profile granted."""
    documents = compile_policies(given_set, EXTRA, limit=50_000)
    for action, (arn, through) in itertools.product(INVOKE, PROBES):
        allowed = allows(documents, action, arn, through, time)
        assert allowed == granted_exactly(of(given_set, action), arn, through, time)


@law
@given(sets, limits, st.sampled_from(TIMES))
def test_a_short_form_widens_regions_only(given_set: list[Entitlement], limit: int, time: Any) -> None:
    """However brief, only models of grants of the action are allowed, and only through profiles of such grants."""
    documents = fitted(given_set, EXTRA, limit)
    for action, (arn, through) in itertools.product(INVOKE, PROBES):
        if allows(documents, action, arn, through, time):
            assert granted_in_any_region(of(given_set, action), arn, through, time)
    for action in ("bedrock:ApplyGuardrail", "bedrock:*", "iam:PassRole"):
        assert not any(allows(documents, action, arn, through, time) for arn, through in PROBES)


@law
@given(sets, extras, limits)
def test_what_is_compiled_is_ours(given_set: list[Entitlement], extra: tuple[str, ...], limit: int) -> None:
    """`check` accepts all that `compile_policies` writes, as text and decoded, and within its own entitlements."""
    for document in fitted(given_set, extra, limit):
        check(document, extra)
        check(json.loads(document), None)
        check(document, extra, within=given_set)


STAMPS = [f"{end:%Y-%m-%dT%H:%M:%SZ}" for end in ENDS if end]
PIECES: list[Any] = [
    *("*", "bedrock:*", "bedrock:Invoke*", "iam:PassRole", "Allow", "Deny", "2012-10-17", *INVOKE, *EXTRA),
    *PROFILES,
    *MODELS,
    model("*"),
    model("us-east-1", "*"),
    model("us-east-1", "${aws:username}"),
    profile("*"),
    "arn:aws:bedrock:*::foundation-model/*",
    "arn:aws:s3:::bucket/*",
    *STAMPS,
    "2099-01-01T00:00:00Z",
    "Profile",
    "DirectModels",
    "DirectModels9",
    "ModelsUntil20990101T000000Z",
    [],
    {},
    None,
    ["*"],
    list(PROFILES),
    list(MODELS),
    {"AWS": "*"},
    {"StringLike": {"bedrock:InferenceProfileArn": "*"}},
    {"StringEqualsIfExists": {"bedrock:InferenceProfileArn": PROFILES[0]}},
    {"StringEquals": {"bedrock:InferenceProfileArn": PROFILES[0]}},
    {"DateLessThan": {"aws:CurrentTime": "2099-01-01T00:00:00Z"}},
]
KEYS = [
    *("Action", "NotAction", "Resource", "NotResource", "Condition", "Principal", "Effect", "Sid", "Id"),
    *("StringEquals", "StringLike", "ForAllValues:StringEquals", "DateLessThan", "DateLessThanIfExists", "Null"),
    *("bedrock:InferenceProfileArn", "aws:CurrentTime", "aws:RequestedRegion"),
]


def places(value: Any) -> list[Any]:
    """Every object and list in a document, itself included."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    own = [value] if isinstance(value, dict | list) else []
    return own + [place for each in inner for place in places(each)]


@st.composite
def mutated(draw: st.DrawFn, document: str) -> Any:
    """The document after one or two changes such as a slip or a forger might make."""
    content = json.loads(document)
    for _ in range(draw(st.integers(1, 2))):
        place = draw(st.sampled_from(places(content)))
        keys = st.sampled_from([*place, *KEYS] if isinstance(place, dict) else range(len(place) + 1))
        key = draw(keys)
        change = draw(st.sampled_from(["put", "put", "insert", "remove"]))
        piece = copy.deepcopy(draw(st.sampled_from(PIECES) | st.sampled_from(places(json.loads(document)))))
        if isinstance(place, dict) and change != "remove":
            place[key] = piece
        elif isinstance(place, dict):
            place.pop(key, None)
        else:
            place[key : key + (change != "insert")] = [] if change == "remove" else [piece]
    return content


@settings(max_examples=200, deadline=None)
@given(st.data(), st.lists(entitlements, min_size=1, max_size=3), st.booleans())
def test_no_change_that_widens_passes(data: st.DataObject, given_set: list[Entitlement], longer: bool) -> None:  # noqa: FBT001 drawn, not passed by people
    """A changed document that `check` still accepts allows nothing beyond the entitlements."""
    document = compile_policies(given_set, EXTRA, limit=50_000 if longer else 6144)[0]
    content = data.draw(mutated(document))
    try:
        check(content, EXTRA, within=given_set)
    except NotOursError:
        return
    for time, action, (arn, through) in itertools.product(TIMES, INVOKE, PROBES):
        if allows([json.dumps(content)], action, arn, through, time):
            assert granted_in_any_region(of(given_set, action), arn, through, time)


@settings(max_examples=200, deadline=None)
@given(st.data(), st.lists(entitlements, min_size=1, max_size=3))
def test_the_grammar_alone_holds(data: st.DataObject, given_set: list[Entitlement]) -> None:
    """What the grammar accepts names single Bedrock actions, and wildcards only in a bound model's region."""
    content = data.draw(mutated(compile_policies(given_set, EXTRA, limit=50_000)[0]))
    try:
        check(content, EXTRA)
    except NotOursError:
        return
    for statement in content["Statement"]:
        assert statement["Effect"] == "Allow"
        assert set(several(statement["Action"])) <= {*INVOKE, *EXTRA}
        bound = "StringEquals" in statement.get("Condition", {})
        for arn in several(statement["Resource"]):
            wild = arn.replace(":*::foundation-model/", ":::foundation-model/") if bound else arn
            assert wild in (*PROFILES, *MODELS)


def test_two_hundred_grants_of_one_role() -> None:
    """Even two hundred profiles, each with its own end, compile into documents that fit."""
    many = [
        Entitlement(
            profile=profile(f"us.vendor.model-{number}-v1:0"),
            models=tuple(model(region, f"vendor.model-{number}-v1:0") for region in ("us-east-1", "us-west-2")),
            expires_at=datetime(2026, 12, 1, number // 60, number % 60, tzinfo=UTC),
        )
        for number in range(200)
    ]
    documents = compile_policies(many, EXTRA)
    assert all(len(document) <= 6144 for document in documents)
    for each in many:
        assert allows(documents, INVOKE[1], each.models[0], each.profile, TIMES[0])
    with pytest.raises(NotOursError):
        check(documents[0], EXTRA, within=many[100:101])
