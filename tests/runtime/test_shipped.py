"""The stack with the functions and the layer as `make build` made them, in Lambda's runtime.

Its rows, policies, calls and notices are those of the code as the other tests load it.
"""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from typing import Any, Final, NamedTuple

import msgspec
import pytest

from sandbox.deciding import decide_all
from sandbox.http_api import Ask
from sandbox.report import report
from sandbox.running import handle, read_events
from sandbox.runtime import Shipped
from sandbox.stack import Options, Sandbox
from sandbox.world import read_world
from tests.builders.shipped import BUILD, files, recent, running, shipping, timeless
from tests.builders.slack import PARAMETERS, SECRETS, FakeSlack, click, signed, slack_server
from tests.conftest import Tell
from tests.e2e.test_sample_events import EVENTS, RULES

pytestmark = pytest.mark.built

VERSIONS: Final = [pytest.param(each, marks=pytest.mark.xdist_group(each)) for each in ("oldest", "newest")]
ROLE: Final = "arn:aws:iam::123456789012:role/teams/approvers"
SIGNED: Final = "AWS4-HMAC-SHA256 Credential=ASIAAPPROVER1/20261123/us-east-1/execute-api/aws4_request"
FUNCTIONS: Final = {
    "TriageFunction",
    "ApproveFunction",
    "RemediateFunction",
    "NotifyFunction",
    "SlackFunction",
    "UpkeepFunction",
}


class Played(NamedTuple):
    """What a sandbox ended with, its functions, and what people were answered."""

    report: Any
    refusals: list[str]
    shipped: Shipped
    answers: dict[str, str]


def options() -> dict[str, Any]:
    """Everything that the template has is switched on."""
    return {
        "parameters": {"Mode": "auto", "ApproverRoleArns": ROLE, "DigestSchedule": "cron(0 8 ? * MON *)", **PARAMETERS},
        "allowlist": {"main": RULES},
        "secrets": SECRETS,
    }


def play(sandbox: Sandbox, slack: FakeSlack) -> dict[str, str]:
    """Every sample event; one request granted by Slack's button, one by link and one by the API; then upkeep.

    Gives the three answers.
    """
    handle(sandbox, recent(read_events(sorted(EVENTS.glob("*.json*")))))
    answers = {"slack": by_slack(sandbox, slack), "api": by_api(sandbox)}
    sandbox.run()
    answers["link"] = " ".join(sorted({str(each.problem) for each in decide_all(sandbox, "approve")}))
    sandbox.run()
    for schedule in sandbox.schedules.values():
        schedule.start()
        sandbox.run()
    return answers


def by_slack(sandbox: Sandbox, slack: FakeSlack) -> str:
    """Press the button of the first message that has one."""
    message = min((each for each in slack.messages if "approve" in json.dumps(each)), key=lambda each: each["ts"])
    request = signed(click(message, "approve", length="1d"), sandbox.clock.seconds())
    asked = Ask(method="POST", target="/slack/interactions", headers=list(request.headers.items()), body=request.raw)
    answer = sandbox.api.answer(asked)
    sandbox.run()
    return str(answer.status)


def by_api(sandbox: Sandbox) -> str:
    """Grant a request by the signed API."""
    headers = [("Authorization", SIGNED), ("Content-Type", "application/json")]
    listed = sandbox.api.answer(Ask(method="GET", target="/api/requests?state=pending", headers=headers))
    request = min(json.loads(listed.body)["requests"], key=lambda each: str(each["principal"]))
    body = json.dumps({"decision": "approve", "version": request["version"], "length": "1d"}).encode()
    answer = sandbox.api.answer(Ask(method="POST", target=f"/api/requests/{request['id']}", headers=headers, body=body))
    return f"{listed.status} {answer.status}"


@cache
def as_tested() -> tuple[Any, dict[str, str]]:
    """What the same is with the code as the other tests load it: the report, and the answers."""
    now = datetime.now(UTC)
    given = Options(now=now, ticking=True, **options())
    with slack_server() as slack, Sandbox(read_world(), msgspec.structs.replace(given, slack_api=slack.url)) as sandbox:
        answers = play(sandbox, slack)
        return report(sandbox), answers


@pytest.fixture(scope="module", params=VERSIONS)
def played(request: pytest.FixtureRequest) -> Iterator[Played]:
    """The same with the built functions, on the oldest botocore that works and on the newest."""
    as_tested()  # before: there is one sandbox at a time
    before = files(BUILD)
    with (
        slack_server() as slack,
        shipping(request.param, others={"slack.com": slack.url}) as shipped,
        running(shipped, read_world(), **options()) as sandbox,
    ):
        answers = play(sandbox, slack)
        yield Played(report=report(sandbox), refusals=sandbox.authorization.refusals, shipped=shipped, answers=answers)
    assert files(BUILD) == before, "a function wrote to what is read-only on Lambda"


def test_people_decide(played: Played) -> None:
    """A request is granted by Slack's button, one by the API, the others by their links."""
    assert played.answers == as_tested()[1]
    assert (played.answers["slack"], played.answers["api"], played.answers["link"]) == ("200", "200 200", "None")


@pytest.mark.parametrize("part", ["grants", "policies", "failures"])
def test_the_end_is_the_same(played: Played, part: str) -> None:
    """The ledger's rows, the policies and the dead letters are those of the code as it is tested."""
    assert timeless(played.report[part]) == timeless(as_tested()[0][part])


def test_the_calls_are_the_same(played: Played) -> None:
    """The same operations are called as by the code as it is tested; how often can hang on how long a run takes."""
    assert set(played.report["calls"]) == set(as_tested()[0]["calls"])


def test_the_notices_are_the_same(played: Played) -> None:
    """People are sent the same subjects to the same topics, with the same attributes."""
    sent, expected = (
        [(each["topic"], each["subject"], each["attributes"]) for each in notices]
        for notices in (timeless(played.report["notices"]), timeless(as_tested()[0]["notices"]))
    )
    assert sorted(sent, key=str) == sorted(expected, key=str)


def test_every_function_worked(played: Played, tell: Tell) -> None:
    """Each of the six handled events, raised nothing, called what the template allows, and had memory to spare."""
    assert {f.logical_id for f in played.shipped.functions if f.invocations} == FUNCTIONS
    assert [run for f in played.shipped.functions for run in f.invocations if run.error] == []
    assert played.refusals == []
    peaks = {function.logical_id: (process.peak, function.memory) for function, process in played.shipped.processes}
    assert set(peaks) == FUNCTIONS
    assert [name for name, (peak, memory) in peaks.items() if not 0 < peak < memory] == []
    most = ", ".join(f"{name} {peak:.0f} of {memory} MB" for name, (peak, memory) in sorted(peaks.items()))
    tell(f"{played.shipped.runtime.name} botocore: most memory: {most}")
    for how in {(each.files, each.memory) for each in played.shipped.containments}:
        for part, why_not in zip(("the file system", "memory"), how, strict=True):
            if why_not is not None:
                tell(f"NOT ISOLATED: {part} ({why_not})")
