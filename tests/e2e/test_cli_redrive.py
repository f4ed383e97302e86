"""What lies among the dead letters and comes back: by `bedrock-remediator redrive`, or moved by SQS itself."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from click.testing import CliRunner, Result

from bedrock_remediator_cli.program import cli
from sandbox.calls import ApiError
from sandbox.queues import Queue
from sandbox.report import report
from sandbox.running import Given, handle, read_events, time_after
from sandbox.stack import Options, Sandbox
from sandbox.world import read_world

EVENTS: Final = Path(__file__).parents[2] / "events"
EVERYBODY: Final = ["arn:aws:iam::*:role/**", "arn:aws:iam::*:user/**"]
RULES: Final = {"version": 1, "rules": [{"name": "all", "effect": "auto", "principals": EVERYBODY, "profiles": ["*"]}]}
GIVEN: Final[list[Given]] = read_events([EVENTS / "geographic-profile.json"])
EVENT: Final = GIVEN[0].event
OPERATOR: Final = "AROAEXAMPLEOPERATOR00:ann"


@pytest.fixture
def stack() -> Iterator[Sandbox]:
    """A stack in mode auto, with a rule that grants anything that CloudTrail brings."""
    options = Options(
        parameters={"Mode": "auto", "UnknownCallerAsks": "false"},
        allowlist={"main": json.dumps(RULES)},
        now=time_after(GIVEN),
    )
    with Sandbox(read_world(), options) as sandbox:
        yield sandbox


def redrive(*arguments: str, **more: Any) -> Result:
    """Run the command."""
    return CliRunner().invoke(cli, ["redrive", "--region", "us-east-1", *arguments], **more)


def queue(sandbox: Sandbox, name: str) -> Queue:
    """A queue of the stack."""
    return next(each for each in sandbox.queues.values() if each.logical_id == name)


def wear_out(sandbox: Sandbox, name: str, body: str, **more: Any) -> None:
    """Have a message of a work queue received too often, so that SQS sets it aside."""
    source = queue(sandbox, name)
    source.send(body, **more)
    for _ in range(6):
        for message in source.receive(10):
            message.visible_at = message.sent_at
    assert len(source) == 0


def states(sandbox: Sandbox) -> set[tuple[str, str]]:
    """State and reason of the rows."""
    return {(each["state"], each["reason_code"]) for each in report(sandbox)["grants"]}


def test_what_cloudtrail_brings_is_granted(stack: Sandbox) -> None:
    """So that the tests below mean something."""
    handle(stack, GIVEN)
    assert states(stack) == {("active", "rule_auto")}


def test_a_denial_comes_back_for_a_person_to_decide(stack: Sandbox) -> None:
    """It is shown first and nothing is moved; then it goes back marked, and no rule applies by itself."""
    wear_out(stack, "Denials", json.dumps(EVENT))
    shown = json.loads(redrive("--json").stdout)
    (denials,) = [each for each in shown["queues"] if each["queue"] == "denials"]
    assert (denials["waiting"], denials["sent"], denials["letters"][0]["stays"]) == (1, 0, None)
    assert EVENT["detail"]["eventID"] in denials["letters"][0]["about"]
    assert len(queue(stack, "DenialsDeadLetters")) == 1
    result = redrive("--json", "--send", "--yes")
    assert result.exit_code == 0, result.output
    assert [each["sent"] for each in json.loads(result.stdout)["queues"] if each["sent"]] == [1]
    stack.run()
    assert states(stack) == {("pending", "backfill")}
    assert stack.failures == []


def test_what_the_rule_could_not_deliver_comes_back_marked(stack: Sandbox) -> None:
    """EventBridge set it aside with its error, which is shown; it goes into the denials' queue, for a person."""
    attributes = {"ERROR_CODE": "NO_PERMISSIONS", "ERROR_MESSAGE": "the queue's policy"}
    queue(stack, "RuleDeadLetters").send(json.dumps(EVENT), attributes=attributes)
    result = redrive("rule", "--send", "--yes")
    assert (result.exit_code, "NO_PERMISSIONS: the queue's policy" in result.stdout) == (0, True)
    stack.run()
    assert states(stack) == {("pending", "backfill")}


def test_what_somebody_put_among_the_dead_letters_stays_there(stack: Sandbox) -> None:
    """A denial that SQS did not move there, or moved out of a queue of somebody's own, is never sent on."""
    aside = queue(stack, "DenialsDeadLetters")
    aside.send(json.dumps(EVENT))
    aside.send(json.dumps(EVENT), source="arn:aws:sqs:us-east-1:123456789012:somebodys")
    aside.send("{}", attributes={"reason": "not an event with a CloudTrail record"})
    result = redrive("denials", "--send", "--yes", "--json")
    (denials,) = json.loads(result.stdout)["queues"]
    assert (result.exit_code, denials["stay"], denials["sent"], len(aside)) == (1, 3, 0, 3)
    assert "somebody put it in" in denials["letters"][0]["stays"]
    assert "somebodys" in denials["letters"][1]["stays"]
    assert denials["letters"][2]["why"] == "not an event with a CloudTrail record"
    stack.run()
    assert states(stack) == set()


def test_sqss_own_redrive_is_told_by_whoever_sent_it(stack: Sandbox) -> None:
    """Unmarked and put in by a role, be it an operator's or the mover's own, a denial is a person's to decide."""
    queue(stack, "Denials").send(json.dumps(EVENT), sender=OPERATOR)
    stack.run()
    assert states(stack) == {("pending", "backfill")}


def test_sqss_own_redrive_is_told_by_the_days_between(stack: Sandbox) -> None:
    """Where it keeps the first sender, a message that was sent days after its call is a person's to decide."""
    stack.clock.advance(3 * 86400)
    queue(stack, "Denials").send(json.dumps(EVENT))
    stack.run()
    assert states(stack) == {("pending", "backfill")}


def test_a_mark_cannot_be_written_by_who_called(stack: Sandbox) -> None:
    """And taking the mark off does not help: the sender is SQS's own word."""
    unmarked = {name: value for name, value in EVENT.items() if name != "origin"}
    queue(stack, "Denials").send(json.dumps({**unmarked, "origin": "cloudtrail"}), sender=OPERATOR)
    stack.run()
    assert states(stack) == {("pending", "backfill")}


def test_work_for_remediate_goes_back_unmarked_in_its_group(stack: Sandbox) -> None:
    """It says only which row to look at; within five minutes of the first it is no duplicate of it."""
    body = json.dumps({"dynamodb": {"Keys": {"pk": {"S": "arn:aws:iam::123456789012:role/x"}, "sk": {"S": "s"}}}})
    wear_out(stack, "Remediations", body, group="g", deduplication="d")
    result = redrive("remediations", "--send", "--yes", "--json")
    (told,) = json.loads(result.stdout)["queues"]
    assert (result.exit_code, told["sent"], len(queue(stack, "RemediationsDeadLetters"))) == (0, 1, 0), result.output
    assert told["letters"][0]["about"] == "arn:aws:iam::123456789012:role/x s"
    (back,) = queue(stack, "Remediations").receive(10)
    assert (back.body, back.group) == (body, "g")


def test_there_is_nothing_to_send_of_the_others(stack: Sandbox) -> None:
    """Pipe's, notify's and upkeep's are counted, and it is said what happens instead."""
    queue(stack, "PipeDeadLetters").send("{}")
    result = redrive("pipe", "notify", "upkeep", "--send", "--yes")
    assert (result.exit_code, "Nothing is sent of these. They say which records" in result.stdout) == (0, True)
    assert len(queue(stack, "PipeDeadLetters")) == 1


def test_many_go_in_batches(stack: Sandbox) -> None:
    """Ten at a time, at most so many as were asked for, and each is deleted once it was taken."""
    aside, source = queue(stack, "DenialsDeadLetters"), queue(stack, "Denials")
    for number in range(25):
        event = {**EVENT, "detail": {**EVENT["detail"], "eventID": f"{number:036}"}}
        aside.send(json.dumps(event), source=source.arn)
    result = redrive("denials", "--send", "--yes", "--most", "23", "--json")
    assert json.loads(result.stdout)["queues"][0]["sent"] == 23
    assert (len(aside), len(source)) == (2, 23)
    assert stack.endpoint.tally is not None


def test_what_the_queue_does_not_take_stays(stack: Sandbox) -> None:
    """It is deleted only once it is back; who is no operator is told so, and others can see it again at once."""
    wear_out(stack, "Denials", json.dumps(EVENT))

    def refuse(_: Any) -> dict[str, Any]:
        raise ApiError("AccessDenied", "with an explicit deny in a resource-based policy", 403)

    taken = stack.endpoint.answers["sqs:SendMessageBatch"]
    stack.endpoint.answers["sqs:SendMessageBatch"] = refuse
    result = redrive("denials", "--send", "--yes")
    assert (result.exit_code, "OperatorRoleArns" in result.stderr) == (2, True)
    fail = {"Successful": [], "Failed": [{"Id": "0", "Code": "InternalError", "SenderFault": False}]}
    stack.endpoint.answers["sqs:SendMessageBatch"] = lambda _: fail
    assert redrive("denials", "--send", "--yes").exit_code == 1
    assert len(queue(stack, "DenialsDeadLetters")) == 1
    stack.endpoint.answers["sqs:SendMessageBatch"] = taken
    assert redrive("denials", "--send", input="n\n").exit_code == 0
    assert len(queue(stack, "DenialsDeadLetters")) == 1
    assert redrive("denials", "--send", input="y\n").exit_code == 0
    assert len(queue(stack, "DenialsDeadLetters")) == 0
