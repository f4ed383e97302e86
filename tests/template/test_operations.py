import json
import logging
import re
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from bedrock_remediator.aws.parameters import AllowlistReader
from sandbox.template import Stack
from tests.builders.clocks import StoppedClock
from tests.builders.grants import NOON

FUNCTIONS = [
    "TriageFunction",
    "RemediateFunction",
    "NotifyFunction",
    "ApproveFunction",
    "SlackFunction",
    "UpkeepFunction",
]
WORK = ["Denials", "Remediations", "SlackMessages"]


def alarms(stack: Stack) -> dict[tuple[str, str, str], dict[str, Any]]:
    """Namespace, metric and the dimension's value -> the alarm."""
    return {
        (each["Namespace"], each["MetricName"], each.get("Dimensions", [{"Value": ""}])[0]["Value"]): dict(each)
        for each in stack.of_type("AWS::CloudWatch::Alarm").values()
    }


@pytest.fixture(params=["stack", "whole"])
def either(request: pytest.FixtureRequest) -> Stack:
    """The stack with its defaults, and with everything switched on."""
    found: Stack = request.getfixturevalue(request.param)
    return found


def test_everything_that_can_break_has_an_alarm(either: Stack) -> None:
    """Dead letters, errors, throttles, age of queues and stream, pipe, API, allowlist, orphans, topics nobody hears."""
    stack = either
    work = [name for name in WORK if name in stack.resources]
    functions = [name for name in FUNCTIONS if name in stack.resources]
    queues = [stack.attribute(name, "QueueName") for name in stack.of_type("AWS::SQS::Queue") if name not in WORK]
    assert set(alarms(stack)) == {
        *(("AWS/SQS", "ApproximateNumberOfMessagesVisible", name) for name in queues),
        *(("AWS/SQS", "ApproximateAgeOfOldestMessage", stack.attribute(name, "QueueName")) for name in work),
        *(("AWS/Lambda", metric, stack.ref(name)) for metric in ("Errors", "Throttles") for name in functions),
        *(("AWS/ApiGateway", metric, stack.ref("ApprovalApi")) for metric in ("4xx", "5xx")),
        ("BedrockAccessRemediator", "ApprovalApiThrottled-bedrock-access-remediator", ""),
        ("AWS/Lambda", "IteratorAge", stack.ref("NotifyFunction")),
        ("AWS/EventBridge/Pipes", "ExecutionFailed", stack.ref("LedgerPipe")),
        ("BedrockAccessRemediator", "AllowlistProblems-bedrock-access-remediator", ""),
        ("BedrockAccessRemediator", "Upkeep_orphans_found", "upkeep"),
        ("BedrockAccessRemediator", "Upkeep_subscribers_missing", "upkeep"),
    }


def test_alarms_go_to_the_notices_topic_and_are_quiet_without_data(whole: Stack) -> None:
    """A queue that nobody used for hours reports nothing, and that is well."""
    for alarm in alarms(whole).values():
        assert alarm["AlarmActions"] == [whole.ref("Notices")]
        assert alarm["TreatMissingData"] == "notBreaching"
        assert alarm["ComparisonOperator"] == "GreaterThanThreshold"


def test_every_alarm_says_what_it_means_and_what_to_do_first(whole: Stack) -> None:
    """In a sentence of its own, within the thousand characters that CloudWatch takes."""
    descriptions = [alarm["AlarmDescription"] for alarm in alarms(whole).values()]
    assert all(". First: " in each and each.endswith(".") and len(each) < 1024 for each in descriptions)
    assert len(set(descriptions)) == len(descriptions)


def test_every_function_logs_to_a_group_of_the_stack(
    deploy: Callable[..., Stack], everything: Mapping[str, str]
) -> None:
    """As JSON, kept for as many days as the parameter says; and so does the API."""
    stack = deploy(**{**everything, "LogRetentionDays": "14"})
    groups = stack.of_type("AWS::Logs::LogGroup")
    assert {each["RetentionInDays"] for each in groups.values()} == {"14"}
    used = {
        stack.properties(name)["LoggingConfig"]["LogGroup"]: stack.properties(name)["LoggingConfig"]["LogFormat"]
        for name in FUNCTIONS
    }
    assert used == {stack.ref(name): "JSON" for name in groups if name != "ApprovalAccessLogs"}


def test_an_allowlist_that_cannot_be_read_sets_off_its_alarm(stack: Stack, caplog: pytest.LogCaptureFixture) -> None:
    """The words that the reader logs are those that the metric filter looks for."""
    client = boto3.client(
        "ssm",
        region_name="us-east-1",
        aws_access_key_id="testing",
        aws_secret_access_key="testing",  # noqa: S106
    )
    with Stubber(client) as stub, caplog.at_level(logging.ERROR):
        stub.add_client_error("get_parameters_by_path", "AccessDeniedException")
        AllowlistReader(lambda: client, "/allowlist", StoppedClock(NOON)).read()
    _, pattern = stack.properties("AllowlistProblems")["FilterPattern"].strip("{ }").split(" = ")
    assert any(fnmatchcase(message, json.loads(pattern)) for message in caplog.messages)
    (transformation,) = stack.properties("AllowlistProblems")["MetricTransformations"]
    key = (transformation["MetricNamespace"], transformation["MetricName"], "")
    assert key in alarms(stack)
    assert stack.properties("AllowlistProblems")["LogGroupName"] == stack.ref("TriageLogs")


def widgets(stack: Stack) -> list[dict[str, Any]]:
    """The dashboard's widgets."""
    found: list[dict[str, Any]] = json.loads(stack.properties("Dashboard")["DashboardBody"])["widgets"]
    return found


def test_the_dashboard_shows_what_the_alarms_watch(either: Stack) -> None:
    """Whoever is woken by an alarm finds its curve there."""
    stack = either
    shown = {
        (metric[0], metric[1], metric[3])
        for widget in widgets(stack)
        for metric in widget["properties"].get("metrics", [])
        if isinstance(metric[0], str)
    }
    watched = {key for key in alarms(stack) if key[0] != "BedrockAccessRemediator"}
    assert watched <= shown


def test_the_dashboards_widgets_are_titled_and_do_not_overlap(either: Stack) -> None:
    """Each has its own place in the 24 columns."""
    taken: set[tuple[int, int]] = set()
    for widget in widgets(either):
        assert widget["type"] == "text" or widget["properties"]["title"]
        assert widget["x"] + widget["width"] <= 24
        cells = {
            (x, y)
            for x in range(widget["x"], widget["x"] + widget["width"])
            for y in range(widget["y"], widget["y"] + widget["height"])
        }
        assert not taken & cells
        taken |= cells


def test_the_dashboard_shows_the_functions_own_metrics(whole: Stack) -> None:
    """By the namespace and the service that the functions are given."""
    text = whole.properties("Dashboard")["DashboardBody"]
    for function in FUNCTIONS:
        variables = whole.properties(function)["Environment"]["Variables"]
        namespace, service = variables["POWERTOOLS_METRICS_NAMESPACE"], variables["POWERTOOLS_SERVICE_NAME"]
        assert f'{{{namespace},service}} service=\\"{service}\\"' in text


def test_the_dashboard_shows_the_latest_errors_of_every_function(either: Stack) -> None:
    """From the log groups that the functions log to."""
    (query,) = [each["properties"]["query"] for each in widgets(either) if each["type"] == "log"]
    groups = [each["LoggingConfig"]["LogGroup"] for each in either.of_type("AWS::Lambda::Function").values()]
    assert sorted(re.findall(r"SOURCE '([^']+)'", query)) == sorted(groups)
