"""Functions, and what feeds them: queues, the ledger's stream, pipes."""

import json
from pathlib import Path
from typing import Any

import pytest

from sandbox.intrinsics import TemplateError
from sandbox.lambdas import InvocationError
from sandbox.output import FUNCTION_OUTPUT
from sandbox.stack import Sandbox
from tests.builders import sandboxes as make

EVERYTHING = make.role(make.statement())

# Keeps what it was given in the ledger's table; a message `bad` fails, `worse` raises, `slow` waits.
WORKER = """
    import json, os
    import boto3
    from bedrock_remediator.clock import SystemClock

    print("loaded")

    def handler(event, context):
        table = boto3.client("dynamodb")
        failed = []
        for record in event["Records"]:
            body = record.get("body") or record["dynamodb"]["NewImage"]["pk"]["S"]
            if body == "worse":
                raise ValueError("worse")
            if body == "slow":
                SystemClock().sleep(60)
            place = record.get("messageId") or record["dynamodb"]["SequenceNumber"]
            failed += [{"itemIdentifier": place}] if body == "bad" else []
        names = [record.get("body") or record["dynamodb"]["NewImage"]["pk"]["S"] for record in event["Records"]]
        item = {"pk": {"S": "saw " + " ".join(names)}, "color": {"S": os.environ["COLOR"]}}
        table.put_item(TableName=os.environ["TABLE"], Item=item)
        print("worked", context.aws_request_id, context.get_remaining_time_in_millis())
        return {"batchItemFailures": failed}
"""


def worker(**events: Any) -> dict[str, Any]:
    """A stack of a queue with a dead-letter queue, and a worker on it."""
    variables = {"COLOR": "red", "TABLE": {"Ref": "Ledger"}}
    redrive = {"deadLetterTargetArn": {"Fn::GetAtt": ["Aside", "Arn"]}, "maxReceiveCount": 3}
    return {
        "Role": EVERYTHING,
        "Aside": make.queue(),
        "Work": make.queue(VisibilityTimeout=60, RedrivePolicy=redrive),
        "Worker": make.function("worker", "Role", Environment={"Variables": variables}, Events=events),
    }


def on_queue(**properties: Any) -> dict[str, Any]:
    """An SQS event of the worker."""
    queue = {"Fn::GetAtt": ["Work", "Arn"]}
    return {
        "Q": {
            "Type": "SQS",
            "Properties": {"Queue": queue, "FunctionResponseTypes": ["ReportBatchItemFailures"], **properties},
        }
    }


def on_stream(**properties: Any) -> dict[str, Any]:
    """A stream event of the worker, for items that are not its own."""
    stream = {"Fn::GetAtt": ["Ledger", "StreamArn"]}
    filters = [{"Pattern": json.dumps({"dynamodb": {"NewImage": {"color": {"S": [{"exists": False}]}}}})}]
    given = {"Stream": stream, "StartingPosition": "TRIM_HORIZON", "FilterCriteria": {"Filters": filters}}
    return {
        "S": {
            "Type": "DynamoDB",
            "Properties": {**given, "FunctionResponseTypes": ["ReportBatchItemFailures"], **properties},
        }
    }


def send(sandbox: Sandbox, *bodies: str) -> None:
    """Put messages into the queue `Work`."""
    queue = sandbox.queues[sandbox.stack.arn("Work")]
    for body in bodies:
        queue.send(body)


def put(*keys: str) -> None:
    """Write items of these keys to the ledger's table."""
    client = make.own_session().client("dynamodb")
    for key in keys:
        client.put_item(TableName="bedrock-access-remediator-Ledger", Item={"pk": {"S": key}})


def seen(sandbox: Sandbox) -> list[str]:
    """What the worker saw, sorted."""
    return sorted(item["pk"].removeprefix("saw ") for item in sandbox.ledger.items() if item["pk"].startswith("saw "))


def test_a_batch_is_as_large_as_the_template_says(tmp_path: Path) -> None:
    """Messages come in batches of the template's size, with its environment, and are deleted when they are done."""
    with make.started(tmp_path, worker(**on_queue(BatchSize=2)), {"worker": WORKER}) as sandbox:
        send(sandbox, "a", "b", "c")
        sandbox.run()
        assert seen(sandbox) == ["a b", "c"]
        assert {item["color"] for item in sandbox.ledger.items()} == {"red"}
        assert sandbox.failures == []


def test_a_message_that_fails_comes_back_alone(tmp_path: Path) -> None:
    """Only what the function names is delivered again, and set aside after maxReceiveCount times."""
    with make.started(tmp_path, worker(**on_queue()), {"worker": WORKER}) as sandbox:
        before = sandbox.clock.now()
        send(sandbox, "good", "bad")
        sandbox.run()
        assert seen(sandbox) == ["bad", "good bad"]
        assert [(letter.queue, letter.body) for letter in sandbox.failures] == [("Aside", "bad")]
        assert (sandbox.clock.now() - before).total_seconds() >= 180


@pytest.mark.parametrize(("body", "error"), [("worse", "ValueError: worse"), ("slow", "timed out after 10 seconds")])
def test_a_function_that_breaks_gets_the_batch_again(tmp_path: Path, body: str, error: str) -> None:
    """A function that raises or runs out of time has all of its batch delivered again."""
    with make.started(tmp_path, worker(**on_queue()), {"worker": WORKER}) as sandbox:
        send(sandbox, body, "good")
        sandbox.run()
        assert {letter.body for letter in sandbox.failures} == {body, "good"}
        assert [run.error for run in sandbox.functions["Worker"].invocations] == [error] * 3


def test_without_partial_failures_the_answer_does_not_matter(tmp_path: Path) -> None:
    """A mapping that does not ask for failures deletes the batch whatever the function answers."""
    with make.started(tmp_path, worker(**on_queue(FunctionResponseTypes=[])), {"worker": WORKER}) as sandbox:
        send(sandbox, "bad")
        sandbox.run()
        assert sandbox.failures == []


@pytest.mark.parametrize(
    "answer", ["{'batchItemFailures': [{'itemIdentifier': 'x'}]}", "{'batchItemFailures': [1]}", "[]", "object"]
)
def test_a_strange_answer_fails_the_batch(tmp_path: Path, answer: str) -> None:
    """An answer that names no message of the batch, or has another form, fails the whole batch."""
    with make.started(
        tmp_path, worker(**on_queue()), {"worker": f"def handler(event, context): return {answer}"}
    ) as sandbox:
        send(sandbox, "a")
        sandbox.run()
        assert [letter.body for letter in sandbox.failures] == ["a"]


def test_what_the_filter_does_not_want_is_deleted(tmp_path: Path) -> None:
    """A message that the mapping's filter leaves out never reaches the function."""
    filters = {"Filters": [{"Pattern": json.dumps({"body": {"kind": ["wanted"]}})}]}
    with make.started(tmp_path, worker(**on_queue(FilterCriteria=filters)), {"worker": WORKER}) as sandbox:
        send(sandbox, '{"kind": "wanted"}', '{"kind": "other"}', "no JSON")
        sandbox.run()
        assert seen(sandbox) == ['{"kind": "wanted"}']


def test_several_batches_at_once(tmp_path: Path) -> None:
    """With a seed several batches are at work at once, each in an environment of its own, and nothing is lost."""
    resources = worker(**on_queue(BatchSize=2))
    with make.started(tmp_path, resources, {"worker": WORKER}, seed=3) as sandbox:
        send(sandbox, *"abcdef", "bad")
        sandbox.run()
        assert {body for batch in seen(sandbox) for body in batch.split()} == {*"abcdef", "bad"}
        assert [letter.body for letter in sandbox.failures] == ["bad"]


def test_output_stays_apart(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """What functions print is kept, and reaches neither stdout nor stderr."""
    with make.started(tmp_path, worker(**on_queue()), {"worker": WORKER}) as sandbox:
        send(sandbox, "a")
        sandbox.run()
    assert capfd.readouterr() == ("", "")
    assert "".join(FUNCTION_OUTPUT.lines).startswith("loaded\nworked ")


def test_output_shows_if_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With `verbose` it shows on stderr."""
    with make.started(tmp_path, worker(**on_queue()), {"worker": WORKER}, verbose=True) as sandbox:
        send(sandbox, "a")
        sandbox.run()
    assert "loaded" in capsys.readouterr().err


def test_code_that_is_not_there(tmp_path: Path) -> None:
    """A function whose code the template names wrongly fails when it is invoked."""
    with make.started(tmp_path, worker(**on_queue())) as sandbox, pytest.raises(InvocationError, match="there is no"):
        sandbox.functions["Worker"].invoke({"Records": []})


@pytest.mark.parametrize(
    ("events", "changes", "told"),
    [
        (on_queue(BatchSize=11), {}, "needs a standard queue and a batching window"),
        (on_queue(), {"Work": make.queue(VisibilityTimeout=9)}, "visibility timeout"),
        (on_queue(), {"Role": make.role(make.statement(action="sqs:ReceiveMessage"))}, "not allowed sqs:DeleteMessage"),
        (on_stream(), {"Role": make.role(make.statement(action="sqs:*"))}, "not allowed dynamodb:DescribeStream"),
    ],
)
def test_a_mapping_that_aws_would_refuse(
    tmp_path: Path, events: dict[str, Any], changes: dict[str, Any], told: str
) -> None:
    """A batch that is too large, a timeout that is too short and a right that is missing show at deployment."""
    sandbox = make.started(tmp_path, {**worker(**events), **changes}, {"worker": WORKER})
    with pytest.raises(TemplateError, match=told), sandbox:
        pass


def test_the_stream_is_read_in_order(tmp_path: Path) -> None:
    """Changes come in order, in batches of the template's size; what the filter leaves out does not count."""
    with make.started(tmp_path, worker(**on_stream(BatchSize=2)), {"worker": WORKER}) as sandbox:
        put("a", "b", "c")
        sandbox.run()
        assert seen(sandbox) == ["a b", "c"]


def test_a_stream_is_retried_from_the_failure_on(tmp_path: Path) -> None:
    """From the first failure on a batch is delivered again; after the retries its place is set aside."""
    destination = {"OnFailure": {"Type": "SQS", "Destination": {"Fn::GetAtt": ["Aside", "Arn"]}}}
    events = on_stream(MaximumRetryAttempts=2, DestinationConfig=destination)
    with make.started(tmp_path, worker(**events), {"worker": WORKER}) as sandbox:
        put("a", "bad", "c")
        sandbox.run()
        assert seen(sandbox) == ["a bad c", "bad c"]
        (letter,) = sandbox.failures
        assert letter.body["DDBStreamBatchInfo"]["batchSize"] == 2
        assert letter.body["requestContext"]["condition"] == "RetryAttemptsExhausted"


def test_a_batch_that_breaks_is_split(tmp_path: Path) -> None:
    """With bisection the good part of a batch gets through, and only the bad record is given up."""
    events = on_stream(MaximumRetryAttempts=1, BisectBatchOnFunctionError=True)
    with make.started(tmp_path, worker(**events), {"worker": WORKER}) as sandbox:
        put("a", "b", "worse", "d")
        sandbox.run()
        assert seen(sandbox) == ["a b", "d"]


def test_records_grow_too_old(tmp_path: Path) -> None:
    """A record past its greatest age is given up."""
    with make.started(tmp_path, worker(**on_stream(MaximumRecordAgeInSeconds=60)), {"worker": WORKER}) as sandbox:
        put("bad")
        sandbox.run()
        assert len(sandbox.functions["Worker"].invocations) < 10


def pipe(**target: Any) -> dict[str, Any]:
    """A stack with a pipe from the ledger's stream to a FIFO queue."""
    parameters = {"MessageGroupId": "$.dynamodb.NewImage.pk.S", "MessageDeduplicationId": "$.eventID", **target}
    filters = [{"Pattern": json.dumps({"dynamodb": {"NewImage": {"pk": {"S": [{"prefix": "take"}]}}}})}]
    return {
        "Role": EVERYTHING,
        "Aside": make.queue(),
        "Work": make.queue(FifoQueue=True, VisibilityTimeout=60),
        "Pipe": {
            "Type": "AWS::Pipes::Pipe",
            "Properties": {
                "RoleArn": {"Fn::GetAtt": ["Role", "Arn"]},
                "Source": {"Fn::GetAtt": ["Ledger", "StreamArn"]},
                "SourceParameters": {
                    "FilterCriteria": {"Filters": filters},
                    "DynamoDBStreamParameters": {
                        "StartingPosition": "TRIM_HORIZON",
                        "MaximumRetryAttempts": 1,
                        "OnPartialBatchItemFailure": "AUTOMATIC_BISECT",
                        "DeadLetterConfig": {"Arn": {"Fn::GetAtt": ["Aside", "Arn"]}},
                    },
                },
                "Target": {"Fn::GetAtt": ["Work", "Arn"]},
                "TargetParameters": {"SqsQueueParameters": parameters},
            },
        },
    }


def test_a_pipe_hands_records_on(tmp_path: Path) -> None:
    """A pipe puts each record that its filter wants into the queue, whole, under the group that it names."""
    with make.started(tmp_path, pipe()) as sandbox:
        put("take 1", "leave", "take 2")
        sandbox.run()
        received = sandbox.queues[sandbox.stack.arn("Work")].receive(10)
        assert [message.group for message in received] == ["take 1", "take 2"]
        assert json.loads(received[0].body)["dynamodb"]["Keys"] == {"pk": {"S": "take 1"}}


def test_a_record_that_a_pipe_cannot_address(tmp_path: Path) -> None:
    """A record without the field that names its group is given up, and the others are not held up."""
    resources = pipe(MessageGroupId="$.dynamodb.NewImage.group.S")
    with make.started(tmp_path, resources) as sandbox:
        put("take 1")
        make.own_session().client("dynamodb").put_item(
            TableName="bedrock-access-remediator-Ledger", Item={"pk": {"S": "take 2"}, "group": {"S": "g"}}
        )
        sandbox.run()
        queues = [letter.queue for letter in sandbox.failures]
        assert queues == ["Aside", "Work"]


def test_a_queue_that_does_not_let_the_pipe_in(tmp_path: Path) -> None:
    """Where the queue's policy denies it, the pipe gives the records up."""
    deny = make.document(
        {**make.statement("Deny", "sqs:SendMessage", {"Fn::GetAtt": ["Work", "Arn"]}), "Principal": "*"}
    )
    policy = {"Type": "AWS::SQS::QueuePolicy", "Properties": {"Queues": [{"Ref": "Work"}], "PolicyDocument": deny}}
    with make.started(tmp_path, {**pipe(), "Policy": policy}) as sandbox:
        put("take 1")
        sandbox.run()
        assert [letter.queue for letter in sandbox.failures] == ["Aside"]


def test_a_pipe_that_this_sandbox_does_not_know(tmp_path: Path) -> None:
    """A pipe that changes what it hands on is refused rather than misunderstood."""
    resources = pipe()
    resources["Pipe"]["Properties"]["TargetParameters"]["InputTemplate"] = "<$.dynamodb>"
    with pytest.raises(TemplateError, match="InputTemplate"), make.started(tmp_path, resources):
        pass


def test_a_scheduled_function_that_fails_is_tried_again_later(tmp_path: Path) -> None:
    """Twice where the template does not say, after one minute and after two more, as Lambda does."""
    target = {"Arn": {"Fn::GetAtt": ["Worker", "Arn"]}, "RoleArn": {"Fn::GetAtt": ["Role", "Arn"]}}
    hourly = {"ScheduleExpression": "rate(1 hour)", "FlexibleTimeWindow": {"Mode": "OFF"}, "Target": target}
    resources = {
        "Role": EVERYTHING,
        "Worker": make.function("worker", "Role"),
        "Hourly": {"Type": "AWS::Scheduler::Schedule", "Properties": hourly},
    }
    source = (
        "from bedrock_remediator.clock import SystemClock\ndef handler(*_): raise OSError(SystemClock().now().time())"
    )
    with make.started(tmp_path, resources, {"worker": source}) as sandbox:
        with pytest.raises(InvocationError):
            sandbox.schedules["Hourly"].start()
        times = [each.error for each in sandbox.functions["Worker"].invocations]
    assert times == ["OSError: 09:00:00", "OSError: 09:01:00", "OSError: 09:03:00"]
