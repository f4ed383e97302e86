"""`bedrock-remediator backfill` against a deployed stack in the sandbox."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from click.testing import CliRunner, Result

from bedrock_remediator_cli.backfill.records import denials
from bedrock_remediator_cli.program import cli
from sandbox.calls import ApiError
from sandbox.running import Given, handle, read_events, time_after
from sandbox.stack import Options, Sandbox
from sandbox.world import read_world

EVENTS: Final = Path(__file__).parents[2] / "events"
EVERYBODY: Final = ["arn:aws:iam::*:role/**", "arn:aws:iam::*:user/**"]
SENT: Final = ("geographic-profile", "service-control-policy", "six-denials-of-one-role")


def events(*names: str) -> list[Given]:
    """The events of these files."""
    return read_events([next(EVENTS.glob(f"{name}.json*")) for name in names])


@pytest.fixture
def stack() -> Iterator[Sandbox]:
    """A stack in mode auto, with a rule that would grant anything, and denials that it never saw in the trail."""
    rules = {"version": 1, "rules": [{"name": "all", "effect": "auto", "principals": EVERYBODY, "profiles": ["*"]}]}
    given = events(*SENT)
    options = Options(parameters={"Mode": "auto"}, allowlist={"main": json.dumps(rules)}, now=time_after(given))
    with Sandbox(read_world(), options) as sandbox:
        sandbox.trail.records += [each.event["detail"] for each in given]
        yield sandbox


def backfill(*arguments: str, **more: Any) -> Result:
    """Run the command."""
    return CliRunner().invoke(cli, ["backfill", "--region", "us-east-1", *arguments], **more)


def rows(sandbox: Sandbox) -> list[dict[str, Any]]:
    """The stack's rows."""
    from sandbox.report import report  # noqa: PLC0415 - for this answer

    found: list[dict[str, Any]] = report(sandbox)["grants"]
    return found


def test_past_denials_are_shown_and_sent(stack: Sandbox) -> None:
    """What would be done is shown first, then done when it is sent; nothing applies by itself, whatever a rule says."""
    shown = json.loads(backfill("--json").stdout)
    assert (shown["denials"], shown["mode"], shown["sent"], rows(stack)) == (8, "auto", None, [])
    result = backfill("--json", "--send", "--yes")
    sent = json.loads(result.stdout)
    assert (result.exit_code, sent["sent"]) == (0, {"count": 8, "refused": {}})
    stack.run()
    done = {(each["principal"], each["profile"]): (each["state"], each["reason_code"]) for each in rows(stack)}
    assert done == {
        (each["principal"], each["profile"]): (each["state"], each["reason_code"]) for each in shown["rows"]
    }
    assert {state for state, _ in done.values()} == {"pending", "reported"}
    assert stack.failures == []


def test_sending_again_changes_nothing(stack: Sandbox) -> None:
    """An event that was delivered or sent before is a copy: no row, no count, no notice."""
    handle(stack, events("service-control-policy"))
    backfill("--send", "--yes")
    stack.run()
    before, notices = rows(stack), len(stack.outbox.notices)
    again = json.loads(backfill("--json", "--send", "--yes").stdout)
    stack.run()
    assert (again["counts"], again["sent"]["count"]) == ({"copy": 8}, 8)
    assert (rows(stack), len(stack.outbox.notices)) == (before, notices)
    assert {each["denials"] for each in before} == {1}


def test_nobody_is_sent_anything_without_a_yes(stack: Sandbox) -> None:
    """A person is asked before; a no sends nothing."""
    result = backfill("--send", input="n\n")
    assert (result.exit_code, "Send 8 denials" in result.stderr) == (0, True)
    stack.run()
    assert rows(stack) == []


def test_who_is_no_operator_is_told(stack: Sandbox) -> None:
    """The queue takes nothing from others than the operators: the parameter is named."""

    def refuse(_: Any) -> dict[str, Any]:
        raise ApiError("AccessDenied", "with an explicit deny in a resource-based policy", 403)

    stack.endpoint.answers["sqs:SendMessageBatch"] = refuse
    result = backfill("--offline", "--send", "--yes")
    assert (result.exit_code, "OperatorRoleArns" in result.stderr) == (2, True)


def test_files_are_read_without_aws(stack: Sandbox, tmp_path: Path) -> None:
    """Offline, a file's denials are told with what no grant could help, and AWS is asked nothing."""
    (tmp_path / "log.json").write_text(json.dumps({"Records": [each.event["detail"] for each in events(*SENT)]}))

    def closed(_: Any) -> dict[str, Any]:
        raise ApiError("AccessDenied", "nothing may be asked")

    stack.endpoint.answers = dict.fromkeys(stack.endpoint.answers, closed)
    result = backfill("--json", "--offline", str(tmp_path))
    found = json.loads(result.stdout)
    assert (result.exit_code, found["denials"], len(found["rows"])) == (0, 8, 8)
    assert [each["reason_code"] for each in found["rows"] if each["state"]] == ["scp"]


def test_what_may_not_be_read_fails_by_itself(stack: Sandbox) -> None:
    """Where IAM may not be asked, the denials that need it are told as such, the others are shown, and the end is 1."""

    def refuse(_: Any) -> dict[str, Any]:
        raise ApiError("AccessDenied", "not authorized to perform: iam:GetRole", 403)

    stack.endpoint.answers["iam:GetRole"] = stack.endpoint.answers["iam:GetUser"] = refuse
    result = backfill()
    assert result.exit_code == 1
    assert "not looked into: event" in result.stdout
    assert "iam:GetRole" in result.stdout
    assert "scp: No identity policy can help" in result.stdout


def test_a_query_for_athena_is_printed() -> None:
    """Without --run, the query is all there is."""
    result = backfill("--since", "2026-11-01", "--until", "2026-11-08", "--athena", "--table", "logs.trail")
    assert (result.exit_code, result.stdout.startswith("SELECT"), "FROM logs.trail" in result.stdout) == (0, True, True)
    assert "BETWEEN '2026-11-01T00:00:00Z' AND '2026-11-08T00:00:00Z'" in result.stdout


@pytest.mark.parametrize("arguments", [("--run",), ("--athena", "x"), ("--athena", "--send"), ("--since", "soon")])
def test_what_does_not_go_together_is_refused(arguments: tuple[str, ...]) -> None:
    """Options that need others, and periods that are none, end with 2."""
    assert backfill(*arguments).exit_code == 2


def test_without_a_stack_nothing_can_be_sent(stack: Sandbox) -> None:
    """A stack that is not there is named; showing goes on with the template's defaults."""
    assert "There is no stack other" in backfill("--send", "--yes", "--stack-name", "other").stderr
    shown = backfill("--json", "--stack-name", "other")
    assert (shown.exit_code, json.loads(shown.stdout)["mode"]) == (0, "approve")


def test_a_denial_is_what_the_rule_matches(stack: Sandbox) -> None:
    """The command takes just those sample events for denials that the stack's rule matches."""
    from datetime import UTC, datetime  # noqa: PLC0415 - for this comparison

    begin, end = datetime(2020, 1, 1, tzinfo=UTC), datetime(2030, 1, 1, tzinfo=UTC)
    for given in read_events(sorted(EVENTS.glob("*.json*"))):
        record = given.event["detail"]
        if "eventTime" in record and "awsRegion" in record:
            taken = bool(list(denials([json.dumps(record).encode()], begin, end)))
            assert taken == stack.put(given.event), given.name
