"""Reading the allowlist from Parameter Store."""

import logging
from datetime import timedelta
from typing import TYPE_CHECKING

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError
from botocore.stub import Stubber

from bedrock_remediator.aws.parameters import AllowlistReader
from bedrock_remediator.core.allowlist import Allowlist
from tests.builders.clocks import StoppedClock
from tests.builders.grants import NOON

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient
    from mypy_boto3_ssm.literals import ParameterTypeType

PATH = "/bedrock-access-remediator/allowlist"


@pytest.fixture
def ssm(aws: None) -> "SSMClient":
    """Parameter Store, empty."""
    return boto3.client("ssm")


@pytest.fixture
def reader(ssm: "SSMClient", clock: StoppedClock) -> AllowlistReader:
    """A reader of that store."""
    return AllowlistReader(lambda: ssm, PATH, clock)


def put(ssm: "SSMClient", name: str, text: str, kind: "ParameterTypeType" = "String") -> None:
    """Put a document there, or another in its place."""
    ssm.put_parameter(Name=f"{PATH}/{name}", Value=text, Type=kind, Overwrite=True)


def document(*names: str) -> str:
    """A document with rules of these names."""
    return "version: 1\nrules:" + "".join(f"\n  - {{name: {name}, effect: ask}}" for name in names)


def labels(allowlist: Allowlist) -> list[str]:
    """What its rules are called."""
    return [rule.label for rule in allowlist.rules]


def test_nothing_there(reader: AllowlistReader) -> None:
    """A path without parameters is an allowlist without rules, and no problem."""
    assert reader.read() == Allowlist()


def test_every_document_under_the_path(ssm: "SSMClient", reader: AllowlistReader) -> None:
    """Documents are called by what follows the path, encrypted ones are read, and others' parameters are not."""
    put(ssm, "team-a", document("a"))
    put(ssm, "teams/b", document("b"), "SecureString")
    put(ssm, "main", document("first", "second"))
    ssm.put_parameter(Name=f"{PATH}-of-another/main", Value=document("other"), Type="String")
    scope = "{principals: ['arn:aws:iam::*:role/**'], models: ['*']}"
    put(ssm, "_scopes", f"version: 1\nscopes: {{team-a: {scope}, teams/b: {scope}}}")
    put(ssm, "team-a", document("a"))
    found = reader.read()
    assert labels(found) == ["first", "second", "team-a/a", "teams/b/b"]
    assert [rule.version for rule in found.rules] == [1, 1, 2, 1]
    assert not found.alerts


def test_every_page(ssm: "SSMClient", reader: AllowlistReader) -> None:
    """More documents than one answer holds are all read."""
    for number in range(25):
        put(ssm, f"team-{number:02}", document("x"))
    assert [stray.partition(":")[0] for stray in reader.read().strays] == [f"team-{number:02}" for number in range(25)]


def test_an_answer_is_kept_for_a_minute(ssm: "SSMClient", reader: AllowlistReader, clock: StoppedClock) -> None:
    """A change is seen a minute later at the latest, or at once by who asks for it."""
    put(ssm, "main", document("old"))
    reader.read()
    put(ssm, "main", document("new"))
    clock.time = NOON + timedelta(seconds=59)
    assert labels(reader.read()) == ["old"]
    clock.time = NOON + timedelta(seconds=60)
    assert labels(reader.read()) == ["new"]
    put(ssm, "main", document("newest"))
    assert labels(reader.read(fresh=True)) == ["newest"]
    assert labels(reader.read()) == ["newest"]


def test_a_broken_document_is_logged(
    ssm: "SSMClient", reader: AllowlistReader, caplog: pytest.LogCaptureFixture
) -> None:
    """A document with a mistake is a problem, and is logged with what it means."""
    put(ssm, "main", "version: 1\nrule: []")
    with caplog.at_level(logging.ERROR):
        found = reader.read()
    assert found.problems[0].startswith("main, line 2: unknown key 'rule'")
    assert "the allowlist has a problem: main, line 2: unknown key 'rule'" in caplog.text


def test_a_refused_read_is_a_problem(clock: StoppedClock) -> None:
    """Where Parameter Store refuses, no rule is known and the allowlist says why, without raising."""
    client = boto3.client("ssm", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")  # noqa: S106
    with Stubber(client) as stubber:
        stubber.add_client_error("get_parameters_by_path", "AccessDeniedException", "no decryption")
        stubber.add_response("get_parameters_by_path", {"Parameters": []})
        reader = AllowlistReader(lambda: client, PATH, clock)
        found = reader.read()
        assert not found.rules
        assert [problem.partition(":")[0] for problem in found.problems] == [PATH]
        assert "AccessDeniedException" in found.problems[0]
        clock.time = NOON + timedelta(seconds=9)
        assert reader.read() is found
        clock.time = NOON + timedelta(seconds=10)
        assert reader.read() == Allowlist()


def test_a_later_page_that_fails_is_a_problem(clock: StoppedClock) -> None:
    """Documents read before the failure do not count: the one that is missing may hold the prohibition."""
    client = boto3.client("ssm", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")  # noqa: S106
    with Stubber(client) as stubber:
        page = {"Parameters": [{"Name": f"{PATH}/main", "Value": document("x")}], "NextToken": "more"}
        stubber.add_response("get_parameters_by_path", page)
        stubber.add_client_error("get_parameters_by_path", "ThrottlingException")
        found = AllowlistReader(lambda: client, PATH, clock).read()
    assert not found.rules
    assert len(found.problems) == 1


def test_no_connection_is_a_problem(ssm: "SSMClient", reader: AllowlistReader, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that fails is a problem like any other."""

    def fail(**_: object) -> None:
        raise EndpointConnectionError(endpoint_url="https://ssm")

    monkeypatch.setattr(ssm, "get_parameters_by_path", fail)
    assert reader.read().problems
