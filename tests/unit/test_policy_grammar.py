import json
from collections.abc import Callable
from types import MappingProxyType
from typing import Any

import pytest
from msgspec.structs import replace

from bedrock_remediator.core.policy import Entitlement, NotOursError, check, compile_policies
from bedrock_remediator.core.policy_grammar import Kind, Statement, read
from tests.builders.entitlements import ENDS, EXTRA, GUIDE, INVOKE, model, profile

DIRECT = Entitlement(profile=None, models=(model("us-east-1", "amazon.nova-micro-v1:0"),))
EXPIRING = replace(GUIDE, profile=profile("eu.amazon.nova-2-lite-v1:0", "eu-central-1"), expires_at=ENDS[1])
(DOCUMENT,) = compile_policies([GUIDE, EXPIRING, DIRECT], EXTRA)
EU_PROFILE, EU_MODELS, US_PROFILE, US_MODELS, DIRECTLY, EXTRAS, _ = range(7)
OTHER = profile("us.amazon.nova-premier-v1:0")

Change = Callable[[list[dict[str, Any]]], Any]


def changed(change: Change) -> dict[str, Any]:
    """The document with one thing about its statements changed."""
    content: dict[str, Any] = json.loads(DOCUMENT)
    change(content["Statement"])
    return content


def put(statement: int, **elements: Any) -> Change:
    """Replace elements of a statement."""
    return lambda statements: statements[statement].update(elements)


def drop(statement: int, element: str) -> Change:
    """Take an element from a statement."""
    return lambda statements: statements[statement].pop(element)


def through(value: Any) -> dict[str, Any]:
    """The condition that binds models to profiles."""
    return {"StringEquals": {"bedrock:InferenceProfileArn": value}}


REFUSED: dict[str, Change] = {
    "a Deny": put(US_MODELS, Effect="Deny"),
    "another element": put(US_MODELS, Principal="*"),
    "NotAction": put(US_MODELS, NotAction=["iam:*"]),
    "a missing element": drop(US_MODELS, "Resource"),
    "no Sid": drop(US_MODELS, "Sid"),
    "a Sid of another form": put(US_MODELS, Sid="Statement1"),
    "one Sid twice": put(US_MODELS, Sid="ModelsUntil20261201T000000ZForEuAmazonNova2LiteV10InEuCentral1"),
    "one Sid twice but for case": lambda statements: statements.append(
        {**statements[US_MODELS], "Sid": statements[US_MODELS]["Sid"].replace("Nova", "NOVA")}
    ),
    "another action": put(US_MODELS, Action=[*INVOKE, "bedrock:ApplyGuardrail"]),
    "every action": put(US_MODELS, Action=["bedrock:*"]),
    "one action twice": put(US_MODELS, Action=[INVOKE[0], INVOKE[0]]),
    "no action of invoking": put(US_MODELS, Action=[]),
    "no action": put(EXTRAS, Action=[]),
    "an action that is none of the extra ones": put(EXTRAS, Action=["bedrock:CreateAgent"]),
    "a wildcard in the extra actions": put(EXTRAS, Action=["bedrock:Get*"]),
    "an invocation among the extra actions": put(EXTRAS, Action=["bedrock:invokeModel"]),
    "every resource": put(US_PROFILE, Resource=["*"]),
    "every profile": put(US_PROFILE, Resource=[profile("*")]),
    "no resource": put(US_PROFILE, Resource=[]),
    "one resource twice": put(US_PROFILE, Resource=[GUIDE.profile, GUIDE.profile]),
    "a resource that is no text": put(US_PROFILE, Resource=[1]),
    "a model among the profiles": put(US_PROFILE, Resource=[GUIDE.profile, model("us-east-1")]),
    "a profile among the models": put(US_MODELS, Resource=[GUIDE.profile]),
    "a profile called directly": put(DIRECTLY, Resource=[GUIDE.profile]),
    "another service's resource": put(US_MODELS, Resource=["arn:aws:s3:::bucket/key"]),
    "every model": put(US_MODELS, Resource=["arn:aws:bedrock:*::foundation-model/*"]),
    "a policy variable": put(US_MODELS, Resource=[model("us-east-1", "${aws:username}")]),
    "any region of a direct grant": put(DIRECTLY, Resource=[model("*", "amazon.nova-micro-v1:0")]),
    "no region of a direct grant": put(DIRECTLY, Resource=[model("", "amazon.nova-micro-v1:0")]),
    "any region of extra actions": put(EXTRAS, Resource=[model("*")]),
    "models through nothing": drop(US_MODELS, "Condition"),
    "an empty condition": put(US_MODELS, Condition={}),
    "models through every profile": put(US_MODELS, Condition=through("*")),
    "models through no profile": put(US_MODELS, Condition=through([])),
    "models through an empty text": put(US_MODELS, Condition=through("")),
    "models through a model": put(US_MODELS, Condition=through(model("us-east-1"))),
    "models through a profile that is not granted": put(US_MODELS, Condition=through([GUIDE.profile, OTHER])),
    "models through profiles that look alike": put(
        US_MODELS, Condition={"StringLike": {"bedrock:InferenceProfileArn": GUIDE.profile}}
    ),
    "models through a profile if there is one": put(
        US_MODELS, Condition={"StringEqualsIfExists": {"bedrock:InferenceProfileArn": GUIDE.profile}}
    ),
    "another condition key": put(US_MODELS, Condition={"StringEquals": {"aws:RequestedRegion": "us-east-1"}}),
    "a condition of no value": put(US_MODELS, Condition={"StringEquals": None}),
    "a binding where none belongs": put(US_PROFILE, Condition=through(GUIDE.profile)),
    "an end that is gone": drop(EU_PROFILE, "Condition"),
    "an end that is later": put(EU_PROFILE, Condition={"DateLessThan": {"aws:CurrentTime": "2099-12-01T00:00:00Z"}}),
    "an end by another operator": put(
        EU_PROFILE, Condition={"DateLessThanIfExists": {"aws:CurrentTime": "2026-12-01T00:00:00Z"}}
    ),
    "an end of the models that is gone": put(EU_MODELS, Condition=through(EXPIRING.profile)),
    "no statement": list.clear,
    "a statement that is no object": lambda statements: statements.append("Allow"),  # type: ignore[arg-type]
}


def test_the_statements_are_where_the_cases_expect_them() -> None:
    """The document that the cases change is a good one, and its statements stand in the order they name."""
    check(DOCUMENT, EXTRA)
    kinds = [each.kind for each in read(DOCUMENT, EXTRA)]
    assert kinds == [Kind.PROFILE, Kind.MODELS] * 2 + [Kind.DIRECT, Kind.EXTRA, Kind.EXTRA]


@pytest.mark.parametrize("action", INVOKE)
def test_a_statement_may_have_one_action(action: str) -> None:
    """A grant names the actions that are missing, and none that something stops anyway."""
    check(changed(put(US_MODELS, Action=action)), EXTRA)


@pytest.mark.parametrize("change", REFUSED.values(), ids=REFUSED.keys())
def test_not_ours(change: Change) -> None:
    """Any statement that we would not write makes the whole document foreign."""
    with pytest.raises(NotOursError):
        check(changed(change), EXTRA)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "not a JSON document"),
        ("[" * 100_000, "not a JSON document"),
        ("[]", "object"),
        ('{"Statement": []}', "Version"),
        (DOCUMENT.replace("2012-10-17", "2008-10-17"), "2008-10-17"),
        (DOCUMENT.replace('{"Version"', '{"Id":"x","Version"', 1), "Id"),
        (DOCUMENT.replace('"Effect":"Allow"', '"Effect":"Allow","Effect":"Allow"', 1), "twice"),
    ],
)
def test_not_our_text(text: str, reason: str) -> None:
    """Text that is no policy, has another version or another element, or an element twice, is refused with why."""
    with pytest.raises(NotOursError, match=reason):
        check(text, EXTRA)


def test_iam_may_rearrange() -> None:
    """IAM may hand a document back with other white space, other order, and a list of one as its element."""
    content = json.loads(DOCUMENT)
    content["Statement"][US_PROFILE]["Resource"] = GUIDE.profile
    content["Statement"][EXTRAS]["Action"].reverse()
    content["Statement"][US_MODELS]["Condition"] = through([GUIDE.profile])
    content["Statement"] = [dict(reversed(each.items())) for each in content["Statement"]]
    check(json.dumps(content, indent=4), EXTRA)
    check(MappingProxyType(content), EXTRA)


def test_extra_actions_of_an_earlier_deployment() -> None:
    """What was written under another parameter is ours where any extra action may be, and only there."""
    (document,) = compile_policies([GUIDE], ["bedrock:GetInferenceProfile"])
    check(document, None)
    with pytest.raises(NotOursError, match="extra actions"):
        check(document, EXTRA)
    for action in ("bedrock:*", "bedrock:InvokeModel", "iam:PassRole"):
        with pytest.raises(NotOursError, match="extra actions"):
            check(document.replace("bedrock:GetInferenceProfile", action), None)


def test_a_statement_of_somebody_else_has_no_kind() -> None:
    """Asking what a foreign statement is for is an error, not a guess."""
    foreign = Statement(sid="Theirs", effect="Allow", action="*", resource="*")
    with pytest.raises(NotOursError, match="Theirs"):
        _ = foreign.kind
