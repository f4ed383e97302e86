import random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from bedrock_remediator.core.iam.conditions import read_operator
from bedrock_remediator.core.iam.evaluation import Evaluator, Holdings, Policy, PolicyKind, Request, Verdict, evaluate
from bedrock_remediator.core.iam.patterns import negation

law = settings(max_examples=100, deadline=None)

MODEL = "arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-2-lite-v1:0"
PROFILE = "arn:aws:bedrock:us-east-1:111122223333:inference-profile/us.amazon.nova-2-lite-v1:0"
RANK = [Verdict.DENIED, Verdict.NOT_ALLOWED, Verdict.CONDITIONAL, Verdict.ALLOWED]

actions = st.sampled_from(["*", "bedrock:*", "bedrock:InvokeModel", "BEDROCK:invoke*", "bedrock:Get?*", "s3:*"])
resources = st.sampled_from(
    [
        "*",
        MODEL,
        PROFILE,
        "arn:aws:bedrock:*::foundation-model/*",
        "arn:aws:bedrock:*::foundation-model/${aws:username}.*",
        "arn:aws:bedrock:*:*:*/${aws:userid, 'amazon'}*",
    ]
)
values = {
    "aws:username": ["amazon", "alice", "*"],
    "aws:userid": ["amazon", "us"],
    "aws:currenttime": ["2026-11-20T12:00:00Z", "2027-11-20T12:00:00Z"],
    "aws:requestedregion": ["us-east-1", "unspecified"],
    "bedrock:inferenceprofilearn": [PROFILE, PROFILE.replace("us.", "eu.")],
    "bedrock:guardrailidentifier": ["gr-1", "gr-2"],
    "aws:sourceip": ["10.0.0.1", "192.0.2.1", "bedrock.amazonaws.com"],
}
expected = [
    "amazon",
    "gr-1",
    "gr-*",
    PROFILE,
    "us-*",
    "${aws:username}",
    "10.0.0.0/8",
    "2026-12-01T00:00:00Z",
    "true",
    "arn:aws:bedrock:*:*:inference-profile/${aws:userid}.*",
]
operators = st.builds(
    "{}{}{}".format,
    st.sampled_from(["", "", "ForAllValues:", "ForAnyValue:"]),
    st.sampled_from(
        [
            *("StringEquals", "StringNotEquals", "StringEqualsIgnoreCase", "StringLike", "StringNotLike"),
            *("ArnLike", "ArnNotEquals", "IpAddress", "NotIpAddress", "DateLessThan", "DateNotEquals", "Bool", "Null"),
            "StringResembles",
        ]
    ),
    st.sampled_from(["", "", "IfExists"]),
)


def some(items: st.SearchStrategy[str]) -> st.SearchStrategy[str | list[str]]:
    """One of them, or a list."""
    return st.one_of(items, st.lists(items, min_size=1, max_size=2))


conditions = st.dictionaries(
    operators,
    st.dictionaries(st.sampled_from(sorted(values)), some(st.sampled_from(expected)), min_size=1, max_size=2),
    max_size=2,
)


def statements(effects: tuple[str, ...] = ("Allow", "Deny")) -> st.SearchStrategy[dict[str, Any]]:
    """Statements that IAM would take, but for an operator that does not exist."""
    return st.builds(
        lambda effect, action, resource, condition: {"Effect": effect, **action, **resource, "Condition": condition},
        st.sampled_from(effects),
        st.dictionaries(st.sampled_from(["Action", "NotAction"]), some(actions), min_size=1, max_size=1),
        st.dictionaries(st.sampled_from(["Resource", "NotResource"]), some(resources), min_size=1, max_size=1),
        st.one_of(st.just({}), conditions),
    )


def policies(of: st.SearchStrategy[Any]) -> st.SearchStrategy[Policy]:
    """Policies of a few such statements."""
    documents = st.fixed_dictionaries(
        {"Version": st.sampled_from(["2012-10-17", "2012-10-17", "2008-10-17"]), "Statement": st.lists(of, max_size=3)}
    )
    return st.builds(Policy, name=st.just("p"), kind=st.sampled_from(PolicyKind), document=documents)


# Statements that nobody would write, and documents that are none.
malformed = st.one_of(
    statements().flatmap(lambda base: st.sampled_from(sorted(base)).map(lambda key: {**base, key: None})),
    statements().map(lambda base: {**base, "condition": {}}),
    st.sampled_from([None, "Allow", 7, {}, []]),
)
wholes = policies(statements())
mixed = policies(st.one_of(statements(), malformed))
allows = policies(statements(("Allow",)))
holdings = st.builds(
    Holdings,
    policies=st.lists(st.one_of(allows, wholes, mixed), max_size=3).map(tuple),
    boundary=st.one_of(st.none(), allows, mixed),
)
contexts = st.fixed_dictionaries(
    {}, optional={key: st.lists(st.sampled_from(found), max_size=2).map(tuple) for key, found in values.items()}
)
requests = st.builds(
    Request,
    action=st.sampled_from(["bedrock:InvokeModel", "bedrock:GetFoundationModel"]),
    resource=st.sampled_from([MODEL, PROFILE, MODEL.replace("us-east-1", "")]),
    context=contexts,
)


def verdict(held: Holdings, request: Request) -> Verdict:
    """The verdict alone."""
    return evaluate(held, request).verdict


def rank(held: Holdings, request: Request) -> int:
    """How much the verdict allows, from an explicit deny up."""
    return RANK.index(verdict(held, request))


def with_statement(held: Holdings, statement: dict[str, Any]) -> Holdings:
    """The same holdings and one more policy, of one statement."""
    document = {"Version": "2012-10-17", "Statement": statement}
    more = Policy(name="more", kind=PolicyKind.INLINE, document=document)
    return Holdings(policies=(*held.policies, more), boundary=held.boundary)


@law
@given(holdings, requests)
def test_an_explicit_deny_always_wins(held: Holdings, request: Request) -> None:
    """With a Deny of everything, everything is denied."""
    deny = {"Effect": "Deny", "Action": "*", "Resource": "*"}
    assert verdict(with_statement(held, deny), request) is Verdict.DENIED


@law
@given(holdings, statements(("Allow",)), requests)
def test_an_allow_never_takes_away(held: Holdings, allow: dict[str, Any], request: Request) -> None:
    """Adding an Allow leaves the verdict as it was or raises it, and lifts no deny."""
    before, after = verdict(held, request), verdict(with_statement(held, allow), request)
    assert RANK.index(after) >= RANK.index(before)
    assert (after is Verdict.DENIED) == (before is Verdict.DENIED)


@law
@given(holdings, statements(("Deny",)), requests)
def test_a_deny_never_gives(held: Holdings, deny: dict[str, Any], request: Request) -> None:
    """Adding a Deny leaves the verdict as it was or lowers it."""
    assert rank(with_statement(held, deny), request) <= rank(held, request)


@law
@given(holdings, malformed, requests)
def test_what_cannot_be_read_gives_nothing_for_sure(held: Holdings, statement: Any, request: Request) -> None:
    """Adding a malformed statement never makes a request allowed, nor denied."""
    before, after = verdict(held, request), verdict(with_statement(held, statement), request)
    assert after is before or after is Verdict.CONDITIONAL


@law
@given(holdings, requests, st.randoms(use_true_random=False))
def test_order_does_not_matter(held: Holdings, request: Request, dice: random.Random) -> None:
    """Policies and their statements may come in any order."""

    def shuffled(policy: Policy) -> Policy:
        found = policy.document["Statement"]
        return Policy(
            name=policy.name,
            kind=policy.kind,
            document={**policy.document, "Statement": dice.sample(found, len(found))},
        )

    other = Holdings(
        policies=tuple(shuffled(policy) for policy in dice.sample(held.policies, len(held.policies))),
        boundary=held.boundary and shuffled(held.boundary),
    )
    one, two = evaluate(held, request), evaluate(other, request)
    assert (one.verdict, one.boundary) == (two.verdict, two.boundary)


@law
@given(holdings, st.lists(requests, min_size=2, max_size=4))
def test_requests_do_not_matter_to_one_another(held: Holdings, asked: list[Request]) -> None:
    """Policies that were read once answer any number of requests as if each were the first."""
    evaluator = Evaluator(held)
    assert [evaluator.evaluate(request) for request in asked] == [evaluate(held, request) for request in asked]


@law
@given(holdings, requests)
def test_it_does_not_matter_which_policy_a_statement_is_in(held: Holdings, request: Request) -> None:
    """A policy of many statements says what as many policies of one statement say, in a list or not."""
    single = tuple(
        Policy(name=policy.name, kind=policy.kind, document={**policy.document, "Statement": statement})
        for policy in held.policies
        for statement in policy.document["Statement"]
        if not isinstance(statement, list)
    )
    lists = tuple(
        Policy(name=policy.name, kind=policy.kind, document={**policy.document, "Statement": [statement]})
        for policy in held.policies
        for statement in policy.document["Statement"]
        if isinstance(statement, list)
    )
    assert verdict(Holdings(policies=single + lists, boundary=held.boundary), request) is verdict(held, request)


@law
@given(holdings, requests)
def test_a_boundary_only_narrows(held: Holdings, request: Request) -> None:
    """No boundary allows what the policies alone do not."""
    assert rank(held, request) <= rank(Holdings(policies=held.policies), request)


@law
@given(holdings, requests)
def test_a_boundary_of_everything_changes_nothing(held: Holdings, request: Request) -> None:
    """A boundary that allows everything is none."""
    document = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    boundary = Policy(name="all", kind=PolicyKind.MANAGED, document=document)
    alone = Holdings(policies=held.policies)
    assert evaluate(Holdings(policies=held.policies, boundary=boundary), request) == evaluate(alone, request)


@law
@given(holdings, requests, contexts)
def test_knowing_more_takes_no_certainty_back(
    held: Holdings, request: Request, learned: dict[str, tuple[str, ...]]
) -> None:
    """What is allowed or denied whatever the unknown keys are stays so; what is not allowed may turn out denied."""
    before = verdict(held, request)
    after = verdict(held, Request(request.action, request.resource, {**learned, **request.context}))
    possible = {
        Verdict.ALLOWED: {Verdict.ALLOWED},
        Verdict.DENIED: {Verdict.DENIED},
        Verdict.NOT_ALLOWED: {Verdict.NOT_ALLOWED, Verdict.DENIED},
        Verdict.CONDITIONAL: set(Verdict),
    }
    assert after in possible[before]


@law
@given(actions, resources, st.sampled_from(["Action", "Resource"]), requests)
def test_an_element_and_its_opposite(action: str, resource: str, element: str, request: Request) -> None:
    """Exactly one of Action and NotAction, or Resource and NotResource, takes a request in, where all is known."""
    known = Request(request.action, request.resource, {"aws:username": ("amazon",), "aws:userid": ("us",)})
    base = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    text = action if element == "Action" else resource
    opposite = {key: value for key, value in base.items() if key != element} | {f"Not{element}": text}
    nothing = Holdings(policies=())
    found = {verdict(with_statement(nothing, item), known) for item in ({**base, element: text}, opposite)}
    assert found == {Verdict.ALLOWED, Verdict.NOT_ALLOWED}


@law
@given(holdings, requests)
def test_actions_have_no_case(held: Holdings, request: Request) -> None:
    """Upper and lower case of an action are the same."""
    assert evaluate(held, Request(request.action.upper(), request.resource, request.context)) == evaluate(held, request)


@law
@given(holdings, requests)
def test_the_evidence_is_held(held: Holdings, request: Request) -> None:
    """The policy and the statement named are among the principal's; what is decided by a statement names it."""
    finding = evaluate(held, request)
    if finding.policy is None:
        assert finding.verdict is Verdict.NOT_ALLOWED
        assert not finding.boundary
        return
    assert finding.policy is held.boundary if finding.boundary else finding.policy in held.policies
    assert finding.statement is None or finding.statement in finding.policy.document["Statement"]
    assert finding.statement is not None or finding.verdict in (Verdict.NOT_ALLOWED, Verdict.CONDITIONAL)


@law
@given(
    st.sampled_from(["StringEquals", "StringLike", "StringEqualsIgnoreCase", "ArnLike", "DateEquals", "NumericEquals"]),
    st.lists(st.sampled_from([*expected, "1", "x*", ""]), min_size=1, max_size=3).map(tuple),
    st.sampled_from([*expected, "1", "", *(value for found in values.values() for value in found)]),
    contexts,
)
def test_a_negated_operator_says_the_opposite(
    name: str, asked: tuple[str, ...], actual: str, context: dict[str, tuple[str, ...]]
) -> None:
    """With one value in the request and no variable absent, an operator and its negation are opposites."""
    positive, negative = (
        read_operator(name),
        read_operator(name.replace("Equals", "NotEquals").replace("Like", "NotLike")),
    )
    assert positive
    assert negative
    present = {key: found for key, found in context.items() if found}
    assert negative.test(asked, (actual,), present) is negation(positive.test(asked, (actual,), present))


@law
@given(
    st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(), st.sampled_from([*expected, "*", "Allow", "Deny"])),
        lambda inner: st.one_of(
            st.lists(inner, max_size=3),
            st.dictionaries(
                st.sampled_from(
                    ["Statement", "Effect", "Action", "Resource", "Condition", "StringLike", "Null", "aws:sourceip"]
                ),
                inner,
                max_size=4,
            ),
        ),
        max_leaves=12,
    ),
    requests,
)
def test_any_json_is_answered(document: Any, request: Request) -> None:
    """Whatever stands where the statements should be, there is a verdict and no error."""
    held = Holdings(policies=(Policy(name="p", kind=PolicyKind.INLINE, document={"Statement": document}),))
    assert verdict(held, request) in RANK
