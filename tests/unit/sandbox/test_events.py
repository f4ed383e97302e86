"""EventBridge: what a rule sees, where it delivers, and what counts as an event."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from sandbox.documents import BadInputError
from sandbox.intrinsics import TemplateError
from sandbox.running import envelopes, events_of, read_allowlist, read_time, time_after
from sandbox.stack import Options
from tests.builders import sandboxes as make

WIDE = "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS"
RECORD: Mapping[str, Any] = {
    "eventSource": "bedrock.amazonaws.com",
    "eventName": "Converse",
    "eventTime": "2026-11-23T08:00:00Z",
    "awsRegion": "eu-west-1",
    "recipientAccountId": "123456789012",
    "errorCode": "AccessDenied",
    "readOnly": True,
}


def event(**record: Any) -> dict[str, Any]:
    """An event with a record of these fields."""
    (wrapped,) = envelopes({**RECORD, **record}, "x")
    return wrapped


def policy(queue: str, **statement: Any) -> dict[str, Any]:
    """A queue policy that lets the rule in."""
    allow = {
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": {"Fn::GetAtt": [queue, "Arn"]},
        "Condition": {"ArnEquals": {"aws:SourceArn": {"Fn::GetAtt": ["Rule", "Arn"]}}},
        **statement,
    }
    return {
        "Type": "AWS::SQS::QueuePolicy",
        "Properties": {"Queues": [{"Ref": queue}], "PolicyDocument": make.document(allow)},
    }


def rule(state: str = WIDE, **target: Any) -> dict[str, Any]:
    """A stack of a rule for denials, its queue and the queue for what it cannot deliver."""
    given = {
        "Id": "work",
        "Arn": {"Fn::GetAtt": ["Work", "Arn"]},
        "DeadLetterConfig": {"Arn": {"Fn::GetAtt": ["Aside", "Arn"]}},
        **target,
    }
    pattern = {"source": ["aws.bedrock"], "detail": {"errorCode": [{"prefix": "AccessDenied"}]}}
    return {
        "Work": make.queue(),
        "Aside": make.queue(),
        "WorkPolicy": policy("Work"),
        "AsidePolicy": policy("Aside"),
        "Rule": {
            "Type": "AWS::Events::Rule",
            "Properties": {"State": state, "EventPattern": pattern, "Targets": [given]},
        },
    }


def test_what_matches_is_delivered(tmp_path: Path) -> None:
    """An event that the pattern matches goes to the target queue whole, another goes nowhere."""
    with make.started(tmp_path, rule()) as sandbox:
        assert sandbox.put(event())
        assert not sandbox.put(event(errorCode="ThrottlingException"))
        assert [(letter.queue, letter.body) for letter in sandbox.failures] == [("Work", event())]


@pytest.mark.parametrize(
    ("state", "read_only", "seen"),
    [(WIDE, True, True), ("ENABLED", True, False), ("ENABLED", False, True), ("DISABLED", False, False)],
)
def test_a_rules_state_decides_what_it_is_shown(tmp_path: Path, state: str, *, read_only: bool, seen: bool) -> None:
    """Read-only management events are shown only to a rule in the wide state, and a disabled one sees nothing."""
    with make.started(tmp_path, rule(state)) as sandbox:
        assert sandbox.put(event(readOnly=read_only)) is seen


@pytest.mark.parametrize(
    ("closed", "ends_in"), [(["Work"], "Aside"), (["Work", "Aside"], "nowhere: no queue policy lets Rule in")]
)
def test_a_queue_that_does_not_let_the_rule_in(tmp_path: Path, closed: list[str], ends_in: str) -> None:
    """Where a queue's policy names another rule, the event goes to the dead-letter queue, or is told as lost."""
    resources = rule()
    for queue in closed:
        other = {"ArnEquals": {"aws:SourceArn": "arn:aws:events:us-east-1:123456789012:rule/other"}}
        resources[f"{queue}Policy"] = policy(queue, Condition=other)
    with make.started(tmp_path, resources) as sandbox:
        assert sandbox.put(event())
        assert [letter.queue for letter in sandbox.failures] == [ends_in]


def test_a_target_that_changes_the_event(tmp_path: Path) -> None:
    """A rule that hands on something else than the event is refused rather than misunderstood."""
    with pytest.raises(TemplateError, match="InputPath"), make.started(tmp_path, rule(InputPath="$.detail")):
        pass


def test_a_target_that_is_no_queue(tmp_path: Path) -> None:
    """A rule whose target is no queue of the stack is refused."""
    elsewhere = "arn:aws:sqs:us-east-1:444455556666:theirs"
    with pytest.raises(TemplateError, match="theirs"), make.started(tmp_path, rule(Arn=elsewhere)):
        pass


def test_a_schedule_sees_no_events(tmp_path: Path) -> None:
    """A rule that goes by the clock has no pattern, and sees nothing."""
    resources = rule()
    del resources["Rule"]["Properties"]["EventPattern"]
    resources["Rule"]["Properties"]["ScheduleExpression"] = "rate(1 hour)"
    with make.started(tmp_path, resources) as sandbox:
        assert not sandbox.put(event())


def test_a_bad_pattern_is_told(tmp_path: Path) -> None:
    """A pattern that EventBridge would refuse is a mistake in the template."""
    resources = rule()
    resources["Rule"]["Properties"]["EventPattern"] = {"source": "aws.bedrock"}
    with pytest.raises(TemplateError, match="Rule: bad pattern"), make.started(tmp_path, resources):
        pass


def test_a_bare_record_is_wrapped() -> None:
    """A CloudTrail record gets the envelope that CloudTrail gives it, with an id that is always the same."""
    wrapped = event()
    assert wrapped["source"] == "aws.bedrock"
    assert wrapped["detail-type"] == "AWS API Call via CloudTrail"
    assert (wrapped["account"], wrapped["region"], wrapped["time"]) == (
        "123456789012",
        "eu-west-1",
        RECORD["eventTime"],
    )
    assert wrapped == event()


def test_the_account_may_come_from_the_caller() -> None:
    """Without a recipient the envelope has the caller's account, or none."""
    assert event(recipientAccountId=None, userIdentity={"accountId": "444455556666"})["account"] == "444455556666"
    assert event(recipientAccountId=None, userIdentity=None)["account"] is None


def test_a_log_file_holds_records() -> None:
    """A file as CloudTrail writes it to a bucket holds its records under `Records`."""
    assert [one["detail"] for one in envelopes({"Records": [dict(RECORD)] * 2}, "x")] == [RECORD] * 2


@pytest.mark.parametrize("text", ["3", '{"a": 1}', "[[]]", '{"detail": {}}'])
def test_what_is_no_event(text: str) -> None:
    """Anything else is bad input."""
    with pytest.raises(BadInputError, match="x:"):
        events_of(text, "x", "x")


def test_the_run_is_a_quarter_of_an_hour_later() -> None:
    """A run takes place 15 minutes after the latest call, and at a fixed time if no event has one."""
    later = '{"eventSource": "bedrock.amazonaws.com", "eventName": "x", "eventTime": "2026-11-23T09:00:00+01:00"}'
    odd = '{"detail-type": "x", "detail": [], "time": 5}'
    assert time_after(events_of(f"{later}\n{odd}", "x", "x")) == read_time("2026-11-23T08:15:00")
    assert time_after(events_of(odd, "x", "x")) == Options().now


def test_a_time_must_be_one() -> None:
    """What is no time is bad input."""
    with pytest.raises(BadInputError, match="no time"):
        read_time("yesterday")


def test_an_allowlist_is_a_file_or_a_folder(tmp_path: Path) -> None:
    """A file is the document `main`; a folder's files go by their own names; nothing is no document."""
    (tmp_path / "main.yaml").write_text("version: 1", encoding="utf-8")
    (tmp_path / "team-a.json").write_text("{}", encoding="utf-8")
    assert read_allowlist(tmp_path) == {"main": "version: 1", "team-a": "{}"}
    assert read_allowlist(tmp_path / "team-a.json") == {"main": "{}"}
    assert read_allowlist(None) == {}
    with pytest.raises(BadInputError):
        read_allowlist(tmp_path / "missing.yaml")
