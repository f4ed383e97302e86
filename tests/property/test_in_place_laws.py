import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from bedrock_remediator.core.iam.evaluation import Holdings, Policy, PolicyKind, Request, Verdict, evaluate
from bedrock_remediator.core.in_place import InPlaceEdit, amend, retract
from bedrock_remediator.core.policy import Entitlement
from tests.builders.entitlements import (
    ENDS,
    EXTRA,
    INVOKE,
    MODELS,
    PROFILES,
    entitlements,
    model,
    profile,
    several,
)

law = settings(max_examples=100, deadline=None)

actions = st.sampled_from(
    [
        list(INVOKE),
        list(INVOKE),
        [*INVOKE, *EXTRA],
        [*INVOKE, "bedrock:Converse"],
        [*INVOKE, "bedrock:ApplyGuardrail"],
        [action.lower() for action in INVOKE],
        INVOKE[0],
        "bedrock:InvokeModel*",
        "bedrock:*",
        "bedrock:GetInferenceProfile",
        "s3:*",
    ]
)
resources = st.sampled_from([*MODELS, model("*"), profile("*"), "*", "arn:aws:s3:::bucket/*", *PROFILES])
conditions = st.sampled_from(
    [
        {"StringEquals": {"bedrock:GuardrailIdentifier": "gr-1"}},
        {"StringEquals": {"bedrock:InferenceProfileArn": PROFILES[0]}},
    ]
)
statements = st.fixed_dictionaries(
    {
        "Effect": st.sampled_from(["Allow", "Allow", "Allow", "Deny"]),
        "Action": actions,
        "Resource": st.lists(resources, min_size=1, max_size=4, unique=True) | resources,
    },
    optional={"Sid": st.sampled_from(["Theirs", "Models", "Profile"]), "Condition": conditions},
)
documents = st.builds(
    lambda found: {"Version": "2012-10-17", "Statement": found}, st.lists(statements, min_size=1, max_size=4)
)
PROBES = [
    *("bedrock:ApplyGuardrail", "bedrock:GetInferenceProfile", "bedrock:CreateAgent", "s3:GetObject", "iam:PassRole")
]


def plain(document: dict[str, Any]) -> dict[str, Any]:
    """The document with every resource as a list."""
    listed = [{**each, "Resource": several(each["Resource"])} for each in document["Statement"]]
    return {**document, "Statement": listed}


def verdict(document: dict[str, Any], action: str, resource: str, through: str | None) -> Verdict:
    """What the document says of a call through a profile, before any grant has ended and without a guardrail."""
    context = {
        "bedrock:inferenceprofilearn": (through,) if through else (),
        "bedrock:guardrailidentifier": (),
        "aws:currenttime": ("2026-11-20T12:00:00Z",),
    }
    policy = Policy(name="theirs", kind=PolicyKind.MANAGED, document=document)
    return evaluate(Holdings(policies=(policy,)), Request(action, resource, context)).verdict


def edited(document: dict[str, Any], entitlement: Entitlement, **options: Any) -> InPlaceEdit | None:
    """The edit where there is room enough."""
    return amend(document, entitlement, EXTRA, limit=50_000, **options)


@law
@given(documents, entitlements)
def test_retract_undoes_amend(document: dict[str, Any], entitlement: Entitlement) -> None:
    """What `retract` leaves of an amended document is the document, every ARN in its place."""
    edit = edited(document, entitlement)
    if edit:
        after = retract(json.loads(edit.document), edit.added, (), entitlement.actions)
        assert after
        assert plain(json.loads(after)) == plain(document)


@law
@given(documents, entitlements, entitlements, st.booleans())
def test_two_grants_in_one_document(
    document: dict[str, Any],
    one: Entitlement,
    other: Entitlement,
    first_goes_first: bool,  # noqa: FBT001 drawn, not passed by people
) -> None:
    """Two grants in one document can be taken back in either order, and the last one leaves what there was."""
    first = edited(document, one)
    alike = one.actions == other.actions
    second = edited(json.loads(first.document), other, ours=first.added if alike else ()) if first else None
    if first and second:
        (here, its), (there, theirs) = sorted(
            [(first, one.actions), (second, other.actions)], key=lambda each: (each[0] is first) != first_goes_first
        )
        half = retract(json.loads(second.document), here.added, there.added if alike else (), its)
        assert half
        after = retract(json.loads(half), there.added, (), theirs)
        assert after
        assert plain(json.loads(after)) == plain(document)


@law
@given(documents, entitlements)
def test_other_statements_are_untouched(document: dict[str, Any], entitlement: Entitlement) -> None:
    """At most one statement changes, and that only by ARNs of the entitlement at the end of its resources."""
    edit = edited(document, entitlement)
    if edit:
        before, after = document["Statement"], json.loads(edit.document)["Statement"]
        for place, (was, becomes) in enumerate(zip(before, after, strict=False)):
            if place == edit.statement:
                kept, gained = several(was["Resource"]), several(becomes["Resource"])
                assert gained[: len(kept)] == kept
                assert set(gained[len(kept) :]) <= set(entitlement.resources)
                was, becomes = {**was, "Resource": None}, {**becomes, "Resource": None}  # noqa: PLW2901 compared below
            assert was == becomes
        assert len(after) == len(before) or (edit.statement is None and len(after) > len(before))


@law
@given(documents, entitlements, st.sampled_from([*MODELS, *PROFILES, "arn:aws:s3:::bucket/key"]))
def test_nothing_else_is_widened(document: dict[str, Any], entitlement: Entitlement, resource: str) -> None:
    """No other action, the other invocation action included, and no other resource is allowed that was not before."""
    edit = edited(document, entitlement)
    if edit:
        after = json.loads(edit.document)
        for action in PROBES:
            assert verdict(after, action, resource, None) is verdict(document, action, resource, None)
        if resource not in entitlement.resources:
            for action in (*INVOKE, *EXTRA):
                assert verdict(after, action, resource, entitlement.profile) is verdict(
                    document, action, resource, entitlement.profile
                )
        for action in set(INVOKE) - set(entitlement.actions):
            assert verdict(after, action, resource, entitlement.profile) is verdict(
                document, action, resource, entitlement.profile
            )


@law
@given(documents, entitlements)
def test_the_grant_is_allowed(document: dict[str, Any], entitlement: Entitlement) -> None:
    """Each ARN is allowed for the grant's actions through the profile, unless a Deny of the document is against it."""
    edit = edited(document, entitlement)
    if edit:
        after = json.loads(edit.document)
        allows_only = [each for each in after["Statement"] if each["Effect"] == "Allow"]
        for action in entitlement.actions:
            for arn in entitlement.resources:
                assert verdict({**after, "Statement": allows_only}, action, arn, entitlement.profile) is Verdict.ALLOWED


@law
@given(documents, entitlements)
def test_amend_is_idempotent(document: dict[str, Any], entitlement: Entitlement) -> None:
    """Amending an amended document gives the same text, and tells the same of what was added."""
    edit = edited(document, entitlement)
    if edit:
        again = edited(json.loads(edit.document), entitlement, ours=edit.added)
        assert again
        assert (again.document, again.added) == (edit.document, edit.added)


def test_the_laws_meet_both_ways_to_amend() -> None:
    """The drawn documents lead to ARNs put into a statement, to statements of ours, and to no place at all."""
    ways = set()

    @settings(max_examples=150, deadline=None, database=None, derandomize=True)
    @given(documents, entitlements)
    def note(document: dict[str, Any], entitlement: Entitlement) -> None:
        edit = edited(document, entitlement)
        ways.add(edit and (edit.statement is None, bool(edit.added), entitlement.expires_at in ENDS[1:]))

    note()
    assert {None, (False, True, False), (True, True, True), (True, True, False)} <= ways
