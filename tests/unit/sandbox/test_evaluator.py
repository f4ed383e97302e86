"""What policies say of a request, in the sandbox's own reading."""

from typing import Any

import pytest

from sandbox.evaluator import Ask, Decision, Source, evaluate

MODEL = "arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-2-lite-v1:0"
PROFILE = "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.amazon.nova-2-lite-v1:0"
ROLE = "arn:aws:iam::123456789012:role/app"


def decide(
    *statements: dict[str, Any], action: str = "bedrock:InvokeModel", resource: str = MODEL, **more: Any
) -> Decision:
    """Evaluate one document of these statements."""
    document = {"Version": "2012-10-17", "Statement": list(statements)}
    ask = Ask(action=action, resource=resource, context=more.pop("context", {}), **more)
    return evaluate([Source(id="p", type="IAM Policy", document=document)], ask).decision


def allow(action: Any = "bedrock:InvokeModel", resource: Any = "*", **more: Any) -> dict[str, Any]:
    """An Allow statement."""
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def deny(action: Any = "bedrock:InvokeModel", resource: Any = "*", **more: Any) -> dict[str, Any]:
    """A Deny statement."""
    return {**allow(action, resource, **more), "Effect": "Deny"}


@pytest.mark.parametrize(
    ("statements", "decision"),
    [
        ([], Decision.IMPLICIT_DENY),
        ([allow()], Decision.ALLOWED),
        ([allow("BEDROCK:invoke*")], Decision.ALLOWED),
        ([allow("s3:*")], Decision.IMPLICIT_DENY),
        ([allow(resource=[PROFILE])], Decision.IMPLICIT_DENY),
        ([allow(resource=[PROFILE, "arn:aws:bedrock:*::foundation-model/*"])], Decision.ALLOWED),
        ([allow(), deny()], Decision.EXPLICIT_DENY),
        ([allow(), deny("bedrock:ApplyGuardrail")], Decision.ALLOWED),
        ([{"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}], Decision.ALLOWED),
        ([{"Effect": "Allow", "NotAction": "bedrock:*", "Resource": "*"}], Decision.IMPLICIT_DENY),
        ([{"Effect": "Deny", "Action": "*", "NotResource": PROFILE}, allow()], Decision.EXPLICIT_DENY),
        ([{"Effect": "Deny", "Action": "*", "NotResource": MODEL}, allow()], Decision.ALLOWED),
        ([allow(resource="arn:aws:bedrock:*::foundation-model/${aws:PrincipalTag/none}")], Decision.IMPLICIT_DENY),
    ],
)
def test_decisions(statements: list[dict[str, Any]], decision: Decision) -> None:
    """A Deny that applies wins, then an Allow that applies; else nothing is allowed."""
    assert decide(*statements) is decision


def test_a_condition_limits_a_statement() -> None:
    """A statement whose condition is not met does not apply, and its missing keys are told."""
    scoped = allow(Condition={"StringEquals": {"bedrock:InferenceProfileArn": PROFILE}})
    known = {"bedrock:inferenceprofilearn": (PROFILE,)}
    assert decide(scoped, context=known) is Decision.ALLOWED
    source = Source(id="p", type="IAM Policy", document={"Version": "2012-10-17", "Statement": scoped})
    answer = evaluate([source], Ask(action="bedrock:InvokeModel", resource=MODEL, context={}))
    assert answer.decision is Decision.IMPLICIT_DENY
    assert answer.missing == {"bedrock:inferenceprofilearn"}


def test_only_statements_about_the_request_have_missing_keys() -> None:
    """A condition of a statement about something else is not looked at."""
    other = allow("s3:GetObject", Condition={"StringEquals": {"aws:SourceVpc": "vpc-1"}})
    source = Source(id="p", type="IAM Policy", document={"Version": "2012-10-17", "Statement": [other, allow()]})
    assert evaluate([source], Ask(action="bedrock:InvokeModel", resource=MODEL, context={})).missing == frozenset()


@pytest.mark.parametrize(
    ("principal", "named"),
    [
        ("*", True),
        ({"AWS": ROLE}, True),
        ({"AWS": ["arn:aws:iam::123456789012:root"]}, True),
        ({"AWS": "123456789012"}, True),
        ({"AWS": "444455556666"}, False),
        ({"Service": "events.amazonaws.com"}, False),
    ],
)
def test_principals_of_resource_policies(principal: Any, *, named: bool) -> None:
    """A resource policy's Principal is the principal, its account, or everyone."""
    statement = {**allow("sqs:SendMessage"), "Principal": principal}
    decision = decide(statement, action="sqs:SendMessage", principal=(ROLE,))
    assert decision is (Decision.ALLOWED if named else Decision.IMPLICIT_DENY)


def test_not_principal() -> None:
    """NotPrincipal is everyone else."""
    statement = {**deny("sqs:SendMessage"), "NotPrincipal": {"AWS": ROLE}}
    assert decide(statement, action="sqs:SendMessage", principal=(ROLE,)) is Decision.IMPLICIT_DENY
    other = "arn:aws:iam::123456789012:role/other"
    assert decide(statement, action="sqs:SendMessage", principal=(other,)) is Decision.EXPLICIT_DENY
