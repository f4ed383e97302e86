"""`bedrock-remediator doctor` against a deployed stack in the sandbox."""

import json
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, Final

import pytest
from click.testing import CliRunner, Result

from bedrock_remediator_cli.program import cli
from sandbox.calls import ApiError
from sandbox.stack import Options, Sandbox
from sandbox.world import read_world
from tests.builders.slack import TOKEN, FakeSlack, slack_server

SECRET: Final = "arn:aws:secretsmanager:us-east-1:123456789012:secret:slack-token-AbCdEf"
MAIL: Final = "ops@example.com"
EVERYBODY: Final = ["arn:aws:iam::*:role/**", "arn:aws:iam::*:user/**"]
RULES: Final = {"version": 1, "rules": [{"name": "all", "effect": "auto", "principals": EVERYBODY, "profiles": ["*"]}]}


@pytest.fixture
def slack() -> Iterator[FakeSlack]:
    """A workspace."""
    with slack_server() as slack:
        yield slack


@pytest.fixture
def stack(slack: FakeSlack) -> Iterator[Sandbox]:
    """A stack that is well, in mode auto with a rule that would grant anything."""
    options = Options(
        parameters={
            "Mode": "auto",
            "NotificationEmail": MAIL,
            "SlackChannelId": "C0CHANNEL",
            "SlackTokenSecretArn": SECRET,
        },
        allowlist={"main": json.dumps(RULES)},
        secrets={SECRET: TOKEN},
        slack_api=slack.url,
    )
    with Sandbox(read_world(), options) as sandbox:
        yield sandbox


def known(request: Any) -> None:
    """Slack's answer to auth.test."""
    request.say({"ok": True, "user": "remediator", "team": "Example"})


def doctor(*arguments: str) -> Result:
    """Run the command."""
    return CliRunner().invoke(cli, ["doctor", "--region", "us-east-1", *arguments])


def statuses(result: Result) -> dict[str, str]:
    """Each check's status."""
    return {each["name"]: each["status"] for each in json.loads(result.stdout)["checks"]}


def test_a_stack_that_is_well(stack: Sandbox, slack: FakeSlack) -> None:
    """Every check is ok, and the end is 0; the bot's token is in nothing that is printed."""
    slack.faults[:] = [known]
    result = doctor("--json", "--slack-api", slack.url)
    assert (result.exit_code, set(statuses(result).values())) == (0, {"ok"}), result.stdout
    assert TOKEN not in result.output
    assert slack.calls[-1][0] == "auth.test"


def _trails(*_: Any) -> dict[str, Any]:
    return {"trailList": []}


def _plain_rule(call: Any) -> dict[str, Any]:
    return {"Name": call.parameters["Name"], "Arn": "arn:aws:events:us-east-1:123456789012:rule/x", "State": "ENABLED"}


def test_each_trouble_is_told_with_what_to_do(stack: Sandbox, slack: FakeSlack) -> None:
    """A trail or a rule that sees nothing, mail not confirmed, a token refused, dead letters, a broken allowlist."""
    stack.endpoint.answers["cloudtrail:DescribeTrails"] = _trails
    stack.endpoint.answers["events:DescribeRule"] = _plain_rule
    stack.description.pending.add(MAIL)
    stack.secrets.put(SECRET, "xoxb-other")
    stack.description.outputs["Version"] = "0.0.1"
    stack.parameters.put("/bedrock-access-remediator/allowlist/team", "rules: [")
    queue = next(queue for queue in stack.queues.values() if queue.logical_id == "DenialsDeadLetters")
    queue.send("{}")
    result = doctor("--json", "--slack-api", slack.url)
    assert result.exit_code == 1
    assert statuses(result) == {
        "stack": "ok",
        "version": "look",
        "mode": "ok",
        "trail": "broken",
        "rule": "broken",
        "queue policy": "broken",
        "allowlist": "broken",
        "subscriptions": "broken",
        "slack": "broken",
        "dead letters": "look",
    }
    checks = json.loads(result.stdout)["checks"]
    assert all(each["advice"] for each in checks if each["status"] != "ok")
    told = doctor("--slack-api", slack.url).stdout
    assert f"{MAIL} (approvals)" in told
    assert "DenialsDeadLetters: 1" in told
    assert "invalid_auth" in told


def test_mail_that_a_link_can_end_wants_a_look(stack: Sandbox, slack: FakeSlack) -> None:
    """Mail scanners open every link, and one of them unsubscribes: how to confirm so that it takes credentials."""
    stack.description.unguarded.add(MAIL)
    slack.faults[:] = [known]
    result = doctor("--json", "--slack-api", slack.url)
    (check,) = [each for each in json.loads(result.stdout)["checks"] if each["name"] == "subscriptions"]
    assert (result.exit_code, check["status"], MAIL in check["found"]) == (1, "look", True)
    assert "--authenticate-on-unsubscribe true" in check["advice"]


def test_what_may_not_be_asked_is_unknown(stack: Sandbox, slack: FakeSlack) -> None:
    """A right that is lacking ends one check, and not the others."""

    def refuse(_: Any) -> dict[str, Any]:
        raise ApiError("AccessDeniedException", "not authorized", 403)

    slack.faults[:] = [known]
    stack.endpoint.answers["cloudtrail:DescribeTrails"] = refuse
    result = doctor("--json", "--slack-api", slack.url)
    assert (result.exit_code, statuses(result)["trail"], statuses(result)["rule"]) == (0, "unknown", "ok")


class RunningClock:
    """The stack's clock; while somebody waits, the stack works."""

    def __init__(self, sandbox: Sandbox, work: list[Callable[[], None]]) -> None:
        self._sandbox = sandbox
        self._work = work

    def now(self) -> datetime:
        """The stack's time."""
        return self._sandbox.clock.now()

    def sleep(self, seconds: float) -> None:
        """Let it pass."""
        self._sandbox.clock.advance(seconds)
        self._work[0]()


@pytest.fixture
def waiting(stack: Sandbox, monkeypatch: pytest.MonkeyPatch) -> list[Callable[[], None]]:
    """What the stack does while the command waits: it works, unless a test puts something else there."""
    work: list[Callable[[], None]] = [stack.run]
    monkeypatch.setattr("bedrock_remediator_cli.commands.doctor.SystemClock", lambda: RunningClock(stack, work))
    return work


def test_a_synthetic_denial_is_reported_and_grants_nothing(
    stack: Sandbox, slack: FakeSlack, waiting: list[Callable[[], None]]
) -> None:
    """It goes the whole way to its notice, is reported though a rule would grant anything, and writes no policy."""
    slack.faults[:] = [known]
    result = doctor("--json", "--send-test-event", "--slack-api", slack.url)
    test = json.loads(result.stdout)["test_event"]
    assert (result.exit_code, test["well"], test["state"], test["reason_code"]) == (
        0,
        True,
        "reported",
        "principal_missing",
    )
    assert "does not exist, is in the queue" in result.stderr.replace("\n", " ")
    assert [notice.topic for notice in stack.outbox.notices] == ["notices"]
    assert not any(name.startswith(("iam:Create", "iam:Put", "iam:Attach")) for name in stack.endpoint.tally.counts)


def test_a_role_made_under_its_name_gets_nothing(
    stack: Sandbox, slack: FakeSlack, waiting: list[Callable[[], None]]
) -> None:
    """Whoever makes a role of that name while the event is under way is granted nothing either."""
    slack.faults[:] = [known]

    def make_role() -> None:
        name = json.loads(next(iter(_bodies(stack))))["detail"]["userIdentity"]["arn"].split("/")[1]
        from tests.builders.sandboxes import own_session  # noqa: PLC0415 - for this test

        own_session().client("iam").create_role(RoleName=name, AssumeRolePolicyDocument="{}")
        waiting[0] = stack.run
        stack.run()

    waiting[0] = make_role
    test = json.loads(doctor("--json", "--send-test-event", "--slack-api", slack.url).stdout)["test_event"]
    assert (test["state"], test["reason_code"]) == ("reported", "principal_recreated")


def _bodies(stack: Sandbox) -> Iterator[str]:
    queue = next(queue for queue in stack.queues.values() if queue.logical_id == "Denials")
    yield from (message.body for message in queue._messages.values())


def test_a_stack_that_stands_still_is_told(stack: Sandbox, slack: FakeSlack, waiting: list[Callable[[], None]]) -> None:
    """Where no row or no notice comes, the command says what it waited for, and where to look."""
    slack.faults[:] = [known, known]
    waiting[0] = lambda: None
    result = doctor("--send-test-event", "--wait", "30", "--slack-api", slack.url)
    assert result.exit_code == 1
    assert "No row came within 30 seconds" in result.stdout
    assert "Waiting for the row in the ledger." in result.stderr


def test_who_may_not_send_is_told(stack: Sandbox, slack: FakeSlack) -> None:
    """The queue takes nothing from others than the operators: the parameter is named."""

    def refuse(_: Any) -> dict[str, Any]:
        raise ApiError("AccessDenied", "with an explicit deny in a resource-based policy", 403)

    slack.faults[:] = [known]
    stack.endpoint.answers["sqs:SendMessage"] = refuse
    result = doctor("--send-test-event", "--slack-api", slack.url)
    assert (result.exit_code, "OperatorRoleArns" in result.stderr) == (2, True)


def test_slack_is_asked_by_https_only() -> None:
    """A token never goes out in the clear."""
    assert doctor("--slack-api", "http://example.com/api/").exit_code == 2
