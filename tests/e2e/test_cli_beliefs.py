"""`bedrock-remediator doctor --beliefs`: what is unconfirmed about AWS, tried in an account by reading it."""

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import pytest
from click.testing import CliRunner, Result

from bedrock_remediator_cli.doctor.beliefs import QUESTIONS, without_accounts
from bedrock_remediator_cli.program import cli
from sandbox.calls import ApiError
from sandbox.stack import Options, Sandbox
from sandbox.world import parse_world, read_world

NOW: Final = datetime.now(UTC)
MESSAGE: Final = "User: arn:aws:iam::123456789012:user/dev is not authorized to perform: bedrock:InvokeModel"
RECORD: Final[Mapping[str, Any]] = {
    "eventName": "InvokeModel",
    "eventSource": "bedrock.amazonaws.com",
    "eventTime": NOW.strftime("%Y-%m-%dT%H:%M:%SZ"),
    "awsRegion": "us-east-1",
    "errorCode": "AccessDenied",
    "errorMessage": f"{MESSAGE}. Call the API with the following authorization id: 0a1b",
    "requestParameters": {"modelId": "us.amazon.nova-2-lite-v1:0"},
    "readOnly": True,
}


@pytest.fixture
def stack() -> Iterator[Sandbox]:
    """The default world, deployed."""
    with Sandbox(read_world(), Options(now=NOW)) as sandbox:
        yield sandbox


def beliefs(*arguments: str) -> Result:
    """Run the command."""
    return CliRunner().invoke(cli, ["doctor", "--beliefs", "--region", "us-east-1", *arguments])


def held(fact: str, says: str) -> tuple[str, str]:
    """Whether the belief whose sentence has these words held, and what was seen."""
    answer = json.loads(beliefs("--json").stdout)
    (found,) = (each for each in answer["beliefs"] if each["fact"] == fact and says in each["says"])
    return found["held"], found["seen"]


def test_every_belief_is_answered_and_no_account_is_named(stack: Sandbox) -> None:
    """Each has an answer; what did not hold says what that changes; the report holds no account's id."""
    stack.trail.records[:] = [RECORD]
    result = beliefs("--json")
    answer = json.loads(result.stdout)
    assert [each["fact"] for each in answer["beliefs"]] == [each.fact for each in QUESTIONS]
    assert {each["held"] for each in answer["beliefs"]} <= {"held", "did not hold", "not tried"}
    assert all(bool(each["changes"]) is (each["held"] == "did not hold") for each in answer["beliefs"])
    assert "123456789012" not in result.stdout
    assert result.exit_code == int(any(each["held"] == "did not hold" for each in answer["beliefs"]))


def test_people_read_a_line_for_each(stack: Sandbox) -> None:
    """Without --json a person reads what held, where it is written down, and what was seen."""
    result = beliefs()
    for each in QUESTIONS:
        assert each.says in " ".join(result.stdout.split())


def test_nothing_is_changed(stack: Sandbox) -> None:
    """Every call that is made reads: nothing of the account is created, changed or deleted."""
    made: list[str] = []
    stack.endpoint.refusals.append(lambda call: made.append(call.operation))
    beliefs("--json")
    assert made
    assert all(name.startswith(("Get", "List", "Describe", "Lookup", "Simulate")) for name in made), made


def test_without_a_stack_the_rest_is_tried() -> None:
    """The rule's state alone needs a stack."""
    with Sandbox(parse_world({"account": "123456789012"}), Options(now=NOW)):
        answer = json.loads(beliefs("--json", "--stack-name", "none").stdout)
    by_rule = {each["says"]: each["held"] for each in answer["beliefs"]}
    assert by_rule["The rule sees reading management events."] == "not tried"
    assert "held" in by_rule.values()


def refused(_: Any) -> dict[str, Any]:
    """What a person without the right is told."""
    raise ApiError("AccessDenied", "You may not.", 403)


@pytest.mark.parametrize(
    "operation",
    [
        "iam:SimulateCustomPolicy",
        "bedrock:ListInferenceProfiles",
        "bedrock:ListFoundationModels",
        "bedrock:GetFoundationModelAvailability",
        "cloudtrail:LookupEvents",
        "iam-toolbox:GetRequestAuthorizationDetails",
    ],
)
def test_what_may_not_be_asked_is_not_tried(stack: Sandbox, operation: str) -> None:
    """A right that is missing is no answer either way, and the others are tried all the same."""
    stack.endpoint.answers[operation] = refused
    answer = json.loads(beliefs("--json").stdout)
    missing = [each for each in answer["beliefs"] if operation.partition(":")[2] in each["seen"]]
    assert missing
    assert {each["held"] for each in missing} == {"not tried"}
    assert any(each["held"] == "held" for each in answer["beliefs"])


def simulated(decision: str, *missing: str) -> Callable[[Any], dict[str, Any]]:
    """The simulator with one answer to everything."""

    def answer(call: Any) -> dict[str, Any]:
        resource = call.parameters["ResourceArns"][0]
        one = {
            "EvalActionName": "bedrock:InvokeModel",
            "EvalResourceName": resource,
            "EvalDecision": decision,
            "MissingContextValues": list(missing),
        }
        return {"EvaluationResults": [one], "IsTruncated": False}

    return answer


def invalid(_: Any) -> dict[str, Any]:
    """The simulator refuses the question."""
    raise ApiError("InvalidInput", "Invalid ARN.")


@pytest.mark.parametrize(
    ("says", "answer", "expected"),
    [
        ("without a region", simulated("allowed"), "held"),
        ("without a region", simulated("implicitDeny"), "did not hold"),
        ("without a region", invalid, "did not hold"),
        ("fills in no condition key", simulated("implicitDeny", "aws:CurrentTime"), "held"),
        ("fills in no condition key", simulated("allowed"), "did not hold"),
        ("as a date", simulated("allowed"), "held"),
        ("as a date", simulated("implicitDeny"), "did not hold"),
        ("keys of a permissions boundary", simulated("implicitDeny"), "held"),
        ("keys of a permissions boundary", simulated("implicitDeny", "aws:SourceVpc"), "did not hold"),
    ],
)
def test_the_simulator_is_believed_about_itself(
    stack: Sandbox, says: str, answer: Callable[[Any], dict[str, Any]], expected: str
) -> None:
    """What it answers decides each belief about it, in both directions (docs/aws-facts.md §4.5)."""
    stack.endpoint.answers["iam:SimulateCustomPolicy"] = answer
    assert held("§4.5", says)[0] == expected


def test_the_sandbox_answers_as_the_facts_have_it(stack: Sandbox) -> None:
    """The stand-in for the simulator is what docs/aws-facts.md §4.5 says, so every belief about it holds here."""
    answer = json.loads(beliefs("--json").stdout)
    of_simulator = {each["says"]: each["held"] for each in answer["beliefs"] if each["fact"] == "§4.5"}
    assert set(of_simulator.values()) == {"held", "not tried"}


@pytest.mark.parametrize(
    ("fact", "says", "changes", "expected"),
    [
        ("§1.6", "requestParameters", {}, ("held", "1 of 1")),
        ("§1.6", "requestParameters", {"requestParameters": None}, ("did not hold", "0 of 1")),
        ("§1.3", "readOnly", {"readOnly": False}, ("did not hold", "0 of 1")),
        ("§4.12", "carry an authorization id", {}, ("held", "1 of 1")),
        ("§4.12", "carry an authorization id", {"errorMessage": MESSAGE}, ("did not hold", "0 of 1")),
        ("§1.6", "requestParameters", {"errorCode": None}, ("not tried", "no denied invocation")),
    ],
)
def test_records_are_counted(
    stack: Sandbox, fact: str, says: str, changes: dict[str, Any], expected: tuple[str, str]
) -> None:
    """Of the denied invocations among CloudTrail's newest events it is counted how many are as believed."""
    stack.trail.records[:] = [{**RECORD, **changes}]
    answer, seen = held(fact, says)
    assert (answer, expected[1] in seen) == (expected[0], True), seen


def test_a_profile_that_lists_too_little_is_named(stack: Sandbox) -> None:
    """A list without the source region's model is told with the profile's id."""
    arn = "arn:aws:bedrock:us-west-2::foundation-model/amazon.nova-2-lite-v1:0"
    summary = {
        "inferenceProfileName": "x",
        "inferenceProfileArn": "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.amazon.nova-2-lite-v1:0",
        "inferenceProfileId": "us.amazon.nova-2-lite-v1:0",
        "models": [{"modelArn": arn}],
        "status": "ACTIVE",
        "type": "SYSTEM_DEFINED",
    }
    stack.endpoint.answers["bedrock:ListInferenceProfiles"] = lambda _: {"inferenceProfileSummaries": [summary]}
    answer, seen = held("§3.6", "lists the source region")
    assert (answer, "us.amazon.nova-2-lite-v1:0" in seen) == ("did not hold", True)
    stack.endpoint.answers["bedrock:ListInferenceProfiles"] = lambda _: {"inferenceProfileSummaries": []}
    assert held("§3.6", "lists the source region")[0] == "not tried"


def test_no_account_is_in_a_report() -> None:
    """Whatever AWS's words hold, the twelve digits of an account are taken out."""
    assert without_accounts("arn:aws:iam::123456789012:role/x") == "arn:aws:iam::<account>:role/x"
    assert without_accounts("at 1234567890123") == "at 1234567890123"
