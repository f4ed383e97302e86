from typing import Any

import pytest

from bedrock_remediator.core.iam.evaluation import Finding, Holdings, Policy, PolicyKind, Request, Verdict, evaluate
from bedrock_remediator.core.iam.patterns import Context

MODEL = "arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-2-lite-v1:0"
PROFILE = "arn:aws:bedrock:us-east-1:111122223333:inference-profile/us.amazon.nova-2-lite-v1:0"
OTHER_PROFILE = "arn:aws:bedrock:us-east-1:111122223333:inference-profile/us.amazon.nova-pro-v1:0"
INVOKE = "bedrock:InvokeModel"
CONTEXT = {
    "bedrock:inferenceprofilearn": (PROFILE,),
    "aws:requestedregion": ("us-east-1",),
    "aws:currenttime": ("2026-11-20T12:00:00Z",),
}
ALLOW = {"Effect": "Allow", "Action": "bedrock:*", "Resource": "*"}
DENY = {"Effect": "Deny", "Action": "bedrock:*", "Resource": "*"}
GUARDRAIL = {"Condition": {"StringEquals": {"bedrock:GuardrailIdentifier": "gr-1"}}}
WEST = {"Condition": {"StringEquals": {"aws:RequestedRegion": "us-west-2"}}}
BOUND = {"Condition": {"StringEquals": {"bedrock:InferenceProfileArn": PROFILE}}}


def policy(*statements: Any, name: str = "p", version: str | None = "2012-10-17") -> Policy:
    """A policy of these statements."""
    document = {"Version": version, "Statement": list(statements)}
    return Policy(name=name, kind=PolicyKind.INLINE, document=document)


def stated(finding: Finding) -> tuple[Verdict, Policy | None, Any]:
    """The verdict, and the statement that decided it."""
    return finding.verdict, finding.policy, finding.statement


def decide(*statements: Any, boundary: Policy | None = None, knowing: Context | None = None) -> Finding:
    """What one policy of these statements says of invoking the model through the profile."""
    holdings = Holdings(policies=(policy(*statements),), boundary=boundary)
    return evaluate(holdings, Request(INVOKE, MODEL, {**CONTEXT, **(knowing or {})}))


@pytest.mark.parametrize(
    "statement",
    [
        ALLOW,
        {"Effect": "Allow", "Action": "*", "Resource": "*"},
        {"Effect": "Allow", "Action": ["s3:*", "BEDROCK:invokeMODEL"], "Resource": ["x", MODEL]},
        {"Effect": "Allow", "Action": "bedrock:Invoke*", "Resource": "arn:aws:bedrock:*::foundation-model/*"},
        {"Effect": "Allow", "Action": "bedrock:InvokeMode?", "Resource": "arn:*"},
        {"Effect": "Allow", "NotAction": "s3:*", "Resource": "*"},
        {"Effect": "Allow", "Action": INVOKE, "NotResource": [PROFILE]},
        {"Sid": "S", **ALLOW, "Condition": {}},
        {**ALLOW, **BOUND},
        {**ALLOW, "Condition": {"DateLessThan": {"aws:CurrentTime": "2026-11-21T00:00:00Z"}}},
    ],
)
def test_allowed(statement: dict[str, Any]) -> None:
    """A statement that takes in the action and the resource, its conditions met, allows and is named."""
    assert decide(statement) == Finding(Verdict.ALLOWED, policy(statement), statement)


@pytest.mark.parametrize(
    "statement",
    [
        {"Effect": "Allow", "Action": "bedrock:InvokeModelWith*", "Resource": "*"},
        {"Effect": "Allow", "Action": INVOKE, "Resource": MODEL.upper()},
        {"Effect": "Allow", "Action": INVOKE, "Resource": [PROFILE, MODEL + "x"]},
        {"Effect": "Allow", "NotAction": ["s3:*", "bedrock:invoke*"], "Resource": "*"},
        {"Effect": "Allow", "Action": "*", "NotResource": "arn:aws:bedrock:*"},
        {"Effect": "Allow", "Action": "s3:*", "Resource": "*", **GUARDRAIL},
        DENY | {"Action": "s3:*"},
    ],
)
def test_not_allowed(statement: dict[str, Any]) -> None:
    """What no statement takes in is not allowed, and no statement is to blame."""
    assert decide(statement) == Finding(Verdict.NOT_ALLOWED)


def test_nothing_held() -> None:
    """A principal without policies is allowed nothing."""
    request = Request(INVOKE, MODEL, CONTEXT)
    assert evaluate(Holdings(policies=()), request) == Finding(Verdict.NOT_ALLOWED)
    assert evaluate(Holdings(policies=(policy(),)), request) == Finding(Verdict.NOT_ALLOWED)


def test_single_statement_as_an_object() -> None:
    """A policy of one statement may leave the list out."""
    held = Policy(name="p", kind=PolicyKind.GROUP, document={"Version": "2012-10-17", "Statement": ALLOW})
    assert evaluate(Holdings(policies=(held,)), Request(INVOKE, MODEL, {})) == Finding(Verdict.ALLOWED, held, ALLOW)


def test_an_explicit_deny_wins() -> None:
    """A Deny anywhere beats an Allow anywhere, and is the evidence."""
    group = Policy(name="g", kind=PolicyKind.GROUP, document={"Statement": [DENY]})
    finding = evaluate(Holdings(policies=(policy(ALLOW), group)), Request(INVOKE, MODEL, CONTEXT))
    assert finding == Finding(Verdict.DENIED, group, DENY)


@pytest.mark.parametrize(
    "condition",
    [
        GUARDRAIL["Condition"],
        {"StringEquals": {"aws:SourceVpce": "vpce-1"}},
        {"Bool": {"aws:MultiFactorAuthPresent": "true"}},
        {"StringEquals": {"bedrock:InferenceProfileArn": OTHER_PROFILE, "bedrock:GuardrailIdentifier": "gr-1"}},
        {"StringIsLike": {"aws:RequestedRegion": "us-east-1"}},
        None,
    ],
)
def test_allowed_only_under_a_condition(condition: Any) -> None:
    """An Allow under a condition that is not known to be met is the conditional one, and is named."""
    statement = {**ALLOW, "Condition": condition}
    assert stated(decide(statement)) == (Verdict.CONDITIONAL, policy(statement), statement)


def test_a_demand_known_to_be_unmet_is_conditional_too() -> None:
    """A guardrail that the call certainly lacked is a control still, not a missing grant."""
    statement = {**ALLOW, **GUARDRAIL}
    assert decide(statement, knowing={"bedrock:guardrailidentifier": ()}).verdict is Verdict.CONDITIONAL
    assert decide(statement, knowing={"bedrock:guardrailidentifier": ("gr-2",)}).verdict is Verdict.CONDITIONAL
    assert decide(statement, knowing={"bedrock:guardrailidentifier": ("gr-1",)}).verdict is Verdict.ALLOWED


@pytest.mark.parametrize(
    "condition",
    [
        {"StringEquals": {"bedrock:InferenceProfileArn": OTHER_PROFILE}},
        {"ArnEquals": {"bedrock:InferenceProfileArn": OTHER_PROFILE}, "StringEquals": {"aws:RequestedRegion": "x"}},
    ],
)
def test_an_allow_for_another_profile_is_no_conditional_one(condition: Any) -> None:
    """A statement about another profile allows nothing and stands in no way."""
    assert decide({**ALLOW, "Condition": condition}) == Finding(Verdict.NOT_ALLOWED)


@pytest.mark.parametrize(
    ("condition", "keys"),
    [
        (
            {"ArnLike": {"bedrock:InferenceProfileArn": "arn:aws:bedrock:*:*:application-inference-profile/*"}},
            ("bedrock:InferenceProfileArn",),
        ),
        ({"StringEquals": {"aws:RequestedRegion": ["us-west-2", "us-east-2"]}}, ("aws:RequestedRegion",)),
        ({"StringNotEquals": {"aws:RequestedRegion": "us-east-1"}}, ("aws:RequestedRegion",)),
        ({"DateLessThan": {"aws:CurrentTime": "2026-11-20T12:00:00Z"}}, ("aws:CurrentTime",)),
        (
            {
                "StringEquals": {"bedrock:InferenceProfileArn": PROFILE},
                "DateLessThan": {"aws:CurrentTime": "2026-11-01"},
            },
            ("aws:CurrentTime",),
        ),
    ],
)
def test_an_allow_for_other_regions_kinds_of_profile_or_times(condition: Any, keys: tuple[str, ...]) -> None:
    """It is a decision of whoever wrote it (§3.8, §3.9): conditional, surely unmet, and the key is named."""
    statement = {**ALLOW, "Condition": condition}
    assert decide(statement) == Finding(Verdict.CONDITIONAL, policy(statement), statement, unmet=True, keys=keys)


def test_a_grant_of_ours_that_has_ended_is_none() -> None:
    """The end of a grant by this service, which its Sid repeats, is no decision against the next one."""
    ended = {
        "Sid": "RemediatorModelsUntil20261101T000000Z",
        "Effect": "Allow",
        "Action": ["bedrock:InvokeModel", "bedrock:InvokeModelWithResponseStream"],
        "Resource": [MODEL],
        "Condition": {
            "StringEquals": {"bedrock:InferenceProfileArn": [PROFILE]},
            "DateLessThan": {"aws:CurrentTime": "2026-11-01T00:00:00Z"},
        },
    }
    assert decide(ended) == Finding(Verdict.NOT_ALLOWED)
    assert decide({**ended, "Sid": "Until"}).verdict is Verdict.CONDITIONAL
    assert decide({**ended, "Resource": ["*"]}).verdict is Verdict.CONDITIONAL


def test_an_unconditional_allow_settles_it() -> None:
    """Beside an Allow without a condition, a conditional one does not matter."""
    assert decide({**ALLOW, **GUARDRAIL}, ALLOW) == Finding(
        Verdict.ALLOWED, policy({**ALLOW, **GUARDRAIL}, ALLOW), ALLOW
    )


def test_a_deny_that_may_apply() -> None:
    """Over an allowed request it is conditional, with the Deny as the evidence; over another it is told of as well."""
    deny = {**DENY, "Condition": {"StringNotEquals": {"bedrock:GuardrailIdentifier": "gr-1"}}}
    keys = ("bedrock:GuardrailIdentifier",)
    assert decide(ALLOW, deny) == Finding(Verdict.CONDITIONAL, policy(ALLOW, deny), deny, keys=keys)
    doubt = Finding(Verdict.CONDITIONAL, policy(deny), deny, keys=keys)
    assert decide(deny) == Finding(Verdict.NOT_ALLOWED, may_deny=doubt)
    assert decide(deny, knowing={"bedrock:guardrailidentifier": ("gr-1",)}) == Finding(Verdict.NOT_ALLOWED)
    assert decide(ALLOW, deny, knowing={"bedrock:guardrailidentifier": ()}).verdict is Verdict.DENIED
    assert decide(ALLOW, deny, knowing={"bedrock:guardrailidentifier": ("gr-1",)}).verdict is Verdict.ALLOWED


@pytest.mark.parametrize(
    "statement",
    [
        {**ALLOW, "Principal": "*"},
        {**ALLOW, "condition": {"StringEquals": {"aws:SourceVpce": "vpce-1"}}},
        {**ALLOW, "NotAction": "s3:*"},
        {**ALLOW, "NotResource": "x"},
        {"Effect": "Allow", "Resource": "*"},
        {"Effect": "Allow", "Action": INVOKE},
        {**ALLOW, "Action": []},
        {"Effect": "Allow", "NotAction": [], "Resource": "*"},
        {**ALLOW, "Action": None},
        {**ALLOW, "Action": "b*"},
        {**ALLOW, "Resource": [7]},
        {**ALLOW, "Effect": "allow"},
        {"Action": "*", "Resource": "*"},
        {**ALLOW, "Effect": None, **GUARDRAIL},
    ],
)
def test_a_malformed_statement_is_never_an_unconditional_allow(statement: dict[str, Any]) -> None:
    """What IAM would not have taken may allow, so a person must look at it."""
    assert stated(decide(statement)) == (Verdict.CONDITIONAL, policy(statement), statement)


@pytest.mark.parametrize(
    "statement",
    [
        "Allow",
        None,
        {**DENY, "Effect": "deny"},
        {**DENY, "Principal": "*"},
        {**DENY, "Condition": {"StringIsLike": {"aws:RequestedRegion": "us-east-1"}}},
        {"Effect": "Deny", "Action": INVOKE},
        {},
    ],
)
def test_a_malformed_statement_may_deny(statement: Any) -> None:
    """What cannot be read may be a Deny, so nothing beside it is surely allowed."""
    evidence = statement if isinstance(statement, dict) else None
    assert stated(decide(ALLOW, statement)) == (Verdict.CONDITIONAL, policy(ALLOW, statement), evidence)


def test_a_malformed_statement_about_something_else() -> None:
    """It does not matter, as far as it can be read."""
    assert decide({"Action": "s3:*", "Resource": "*"}, ALLOW).verdict is Verdict.ALLOWED
    assert decide({**ALLOW, "Principal": "*", "Resource": "arn:aws:s3:::*"}).verdict is Verdict.NOT_ALLOWED


def test_a_malformed_statement_that_does_not_apply_now() -> None:
    """An unreadable effect under an unmet condition may allow some day, and does not deny today."""
    statement = {"Action": "*", "Resource": "*", **GUARDRAIL}
    unmet: Context = {"bedrock:guardrailidentifier": ()}
    assert decide(statement, knowing=unmet).verdict is Verdict.CONDITIONAL
    assert decide(ALLOW, statement, knowing=unmet).verdict is Verdict.ALLOWED
    assert decide({**ALLOW, "Principal": "*", **GUARDRAIL}, knowing=unmet).verdict is Verdict.CONDITIONAL


def test_a_document_without_statements() -> None:
    """A policy that cannot be read may hold anything."""
    held = Policy(name="p", kind=PolicyKind.MANAGED, document={"Version": "2012-10-17"})
    request = Request(INVOKE, MODEL, CONTEXT)
    assert evaluate(Holdings(policies=(held,)), request) == Finding(Verdict.CONDITIONAL, held)
    assert evaluate(Holdings(policies=(policy(ALLOW), held)), request) == Finding(Verdict.CONDITIONAL, held)


@pytest.mark.parametrize(
    ("resource", "username", "verdict"),
    [
        ("arn:aws:bedrock:*::foundation-model/${aws:username}.*", ("amazon",), Verdict.ALLOWED),
        ("arn:aws:bedrock:*::foundation-model/${aws:username}.*", ("*",), Verdict.NOT_ALLOWED),
        ("arn:aws:bedrock:*::foundation-model/${aws:username}.*", (), Verdict.NOT_ALLOWED),
        ("arn:aws:bedrock:*::foundation-model/${aws:username, 'amazon'}.*", (), Verdict.ALLOWED),
        ("arn:aws:bedrock:*::foundation-model/${aws:userid}.*", ("amazon",), Verdict.CONDITIONAL),
        ("arn:aws:bedrock:*::custom-model/${aws:userid}.*", ("amazon",), Verdict.NOT_ALLOWED),
        ("arn:*:foundation-model/${aws:username}.*", ("amazon",), Verdict.CONDITIONAL),
        ("arn:aws:bedrock:*:foundation-model/*", (), Verdict.CONDITIONAL),
        ("arn:${aws:username}:bedrock:*::foundation-model/*", ("aws",), Verdict.NOT_ALLOWED),
        ("arn:aws:bedrock:${aws:RequestedRegion}::foundation-model/*", (), Verdict.NOT_ALLOWED),
    ],
)
def test_policy_variables_in_a_resource(resource: str, username: tuple[str, ...], verdict: Verdict) -> None:
    """A variable is its value after the fifth colon, no wildcard; one not known makes it uncertain (§4.6b)."""
    assert decide({**ALLOW, "Resource": resource}, knowing={"aws:username": username}).verdict is verdict


def test_an_absent_variable_in_notresource_is_uncertain() -> None:
    """AWS does not say what such a statement does, so it surely does nothing."""
    statement = {"Effect": "Allow", "Action": "*", "NotResource": "arn:*/${aws:username}"}
    assert decide(statement, knowing={"aws:username": ()}).verdict is Verdict.CONDITIONAL


@pytest.mark.parametrize("version", [None, "2008-10-17"])
def test_variables_are_text_in_an_old_policy(version: str | None) -> None:
    """Without the version that has variables, `${aws:username}` is no one's name."""
    held = policy({**ALLOW, "Resource": "arn:*:foundation-model/${aws:username}.*"}, version=version)
    request = Request(INVOKE, MODEL, {**CONTEXT, "aws:username": ("amazon",)})
    assert evaluate(Holdings(policies=(held,)), request).verdict is Verdict.NOT_ALLOWED


def test_the_region_of_a_global_profiles_model() -> None:
    """Our own statement with a `*` region takes in the model that has none, through the profile and not without it."""
    resource = "arn:aws:bedrock:*::foundation-model/amazon.nova-2-lite-v1:0"
    held = Holdings(policies=(policy({"Effect": "Allow", "Action": [INVOKE], "Resource": [resource], **BOUND}),))
    no_region = MODEL.replace("us-east-1", "")
    assert evaluate(held, Request(INVOKE, no_region, CONTEXT)).verdict is Verdict.ALLOWED
    direct = {**CONTEXT, "bedrock:inferenceprofilearn": ()}
    assert evaluate(held, Request(INVOKE, no_region, direct)).verdict is Verdict.NOT_ALLOWED


@pytest.mark.parametrize(
    ("own", "limit", "verdict", "stopped"),
    [
        (ALLOW, ALLOW, Verdict.ALLOWED, False),
        (ALLOW, DENY, Verdict.DENIED, True),
        (None, DENY, Verdict.DENIED, True),
        (DENY, DENY, Verdict.DENIED, False),
        (DENY, None, Verdict.DENIED, False),
        (ALLOW, None, Verdict.NOT_ALLOWED, True),
        (None, None, Verdict.NOT_ALLOWED, True),
        ({**ALLOW, **GUARDRAIL}, None, Verdict.NOT_ALLOWED, True),
        (None, ALLOW, Verdict.NOT_ALLOWED, False),
        (ALLOW, {**ALLOW, **GUARDRAIL}, Verdict.CONDITIONAL, True),
        ({**ALLOW, **GUARDRAIL}, {**ALLOW, **GUARDRAIL}, Verdict.CONDITIONAL, False),
        (None, {**ALLOW, **GUARDRAIL}, Verdict.NOT_ALLOWED, False),
        (ALLOW, {**ALLOW, **WEST}, Verdict.NOT_ALLOWED, True),
        (None, {**ALLOW, **WEST}, Verdict.NOT_ALLOWED, True),
    ],
)
def test_boundary(own: dict[str, Any] | None, limit: dict[str, Any] | None, verdict: Verdict, *, stopped: bool) -> None:
    """A permissions boundary allows nothing, and nothing goes beyond it; where it stops the request, it says so."""
    boundary = policy(*([limit] if limit else []), name="boundary")
    finding = decide(*([own] if own else []), boundary=boundary)
    assert (finding.verdict, finding.boundary) == (verdict, stopped)
    assert not finding.boundary or finding.policy == boundary


def test_a_deny_that_may_apply_in_the_boundary() -> None:
    """It makes an allowed request conditional, with the boundary's statement as the evidence."""
    deny = {**DENY, **GUARDRAIL}
    boundary = policy(ALLOW, deny, name="boundary")
    doubt = Finding(Verdict.CONDITIONAL, boundary, deny, boundary=True, keys=("bedrock:GuardrailIdentifier",))
    assert decide(ALLOW, boundary=boundary) == doubt
    assert decide(boundary=boundary) == Finding(Verdict.NOT_ALLOWED, may_deny=doubt)


def test_a_boundary_for_other_regions_is_shown() -> None:
    """A boundary that surely does not allow the request stops it; the statement that nearly does is the evidence."""
    limit = {**ALLOW, **WEST}
    boundary = policy(limit, name="boundary")
    assert decide(ALLOW, boundary=boundary) == Finding(Verdict.NOT_ALLOWED, boundary, limit, boundary=True)


def test_an_allow_that_may_apply_comes_before_one_that_does_not() -> None:
    """Of two conditional Allows, the one whose condition may be met is the evidence."""
    unmet, unknown = {**ALLOW, **WEST}, {**ALLOW, **GUARDRAIL}
    found = decide(unmet, unknown)
    assert (found.statement, found.unmet) == (unknown, False)
