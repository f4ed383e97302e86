"""`python -m sandbox run --decide`: every request that waits is answered by its link, over HTTP."""

import json
import re
from pathlib import Path
from typing import Any, Final

import pytest
from click.testing import CliRunner, Result

from sandbox.__main__ import cli
from sandbox.deciding import decide_all
from sandbox.http_api import Ask, HttpApi, Reply
from sandbox.report import policies
from sandbox.running import handle, read_events, time_after
from sandbox.stack import Options, Sandbox
from sandbox.world import read_world
from tests.builders.sandboxes import own_session

ROOT: Final = Path(__file__).parents[2]
EVENTS: Final = ROOT / "events"
APPROVING: Final = ROOT / "docs/approving.md"
GUIDE: Final = EVENTS / "geographic-profile.json"
USER: Final = "arn:aws:iam::123456789012:user/nova-developer"


def run(*arguments: object) -> Result:
    """Run the command line in this process."""
    return CliRunner().invoke(cli, ["run", *(str(argument) for argument in arguments)], catch_exceptions=False)


def report(*arguments: object) -> dict[str, Any]:
    """The object that `run --json` prints, where nothing went wrong."""
    result = run("--json", *arguments)
    assert (result.exit_code, result.stderr) == (0, "")
    content: dict[str, Any] = json.loads(result.stdout)
    return content


def test_what_is_approved_ends_active() -> None:
    """An approval is signed, verified, written and simulated; the policy holds exactly the request's ARNs."""
    content = report("--decide", "approve", GUIDE)
    (grant,) = content["grants"]
    assert (grant["state"], grant["decision"], grant["verification"]) == ("active", "ask", "simulated")
    assert [(each["topic"], each["attributes"]["state"]) for each in content["notices"]] == [
        ("approvals", "pending"),
        ("notices", "active"),
    ]
    assert (content["calls"]["kms:GenerateMac"], content["calls"]["kms:VerifyMac"]) == (1, 1)
    given = next(each for each in content["policies"][USER] if "bedrock-access-remediator" in str(each["arn"]))
    own = {arn for each in given["document"]["Statement"] for arn in each["Resource"]}
    assert own | {arn for arn in grant["resources"] if "us-east-1::" in arn} == set(grant["resources"])
    assert content["failures"] == []


def test_what_is_rejected_ends_rejected() -> None:
    """A rejection is told, and changes nothing in IAM."""
    content = report("--decide", "reject", GUIDE)
    assert [grant["state"] for grant in content["grants"]] == ["rejected"]
    assert [each["attributes"]["state"] for each in content["notices"]] == ["pending", "rejected"]
    assert [each["name"] for each in content["policies"][USER]] == ["NovaModels"]
    assert "iam:CreatePolicy" not in content["calls"]


def test_every_request_is_answered() -> None:
    """Of all samples, whatever waits for a person is approved; advice stays advice, and nothing is left over."""
    content = report("--decide", "approve", *sorted(EVENTS.glob("*.json*")))
    # What is beyond OpenRequestsPerPrincipal is no request, and there is nothing to approve in it.
    grants = [grant for grant in content["grants"] if grant["reason_code"] != "too_many_requests"]
    asked = [grant["state"] for grant in grants if grant["decision"] == "ask"]
    assert len(asked) > 15
    assert set(asked) == {"active"}
    assert {grant["state"] for grant in grants} == {"active", "reported"}
    assert content["failures"] == []


def test_several_requests_of_one_role_are_rejected() -> None:
    """Each of a role's six requests has a link of its own, and an answer of its own."""
    content = report("--decide", "reject", EVENTS / "six-denials-of-one-role.jsonl")
    assert [grant["state"] for grant in content["grants"]] == ["rejected"] * 6


@pytest.mark.parametrize("strategy", ["inline", "in-place"])
def test_each_strategy_is_approved_alike(strategy: str) -> None:
    """What was approved is written where the strategy says."""
    content = report("--decide", "approve", "--strategy", strategy, GUIDE)
    assert [grant["state"] for grant in content["grants"]] == ["active"]


def test_two_runs_say_the_same() -> None:
    """The port that the page is served on shows nowhere: the answer is the same, byte for byte."""
    arguments = ("--json", "--decide", "approve", GUIDE)
    assert run(*arguments).stdout == run(*arguments).stdout


def test_the_story_tells_who_answered() -> None:
    """Without --json a person reads who decided, and how."""
    result = run("--decide", "approve", GUIDE)
    assert result.exit_code == 0
    assert "by sandbox (unverified), link → granted" in result.stdout


def test_nothing_to_answer_is_no_failure() -> None:
    """Where nobody is asked, --decide changes nothing."""
    content = report("--decide", "approve", "--mode", "observe", GUIDE)
    assert [grant["state"] for grant in content["grants"]] == ["reported"]
    assert not any(name.startswith("kms:") for name in content["calls"])


def test_a_page_that_breaks_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the route does not work, the request stays, a line on stderr says why, and the exit code is 1."""

    def broken(_: HttpApi, ask: Ask) -> Reply:
        return Reply(status=500, body=f"<h1>{ask.method} broke</h1>".encode())

    monkeypatch.setattr(HttpApi, "answer", broken)
    result = run("--json", "--decide", "approve", GUIDE)
    assert result.exit_code == 1
    assert [grant["state"] for grant in json.loads(result.stdout)["grants"]] == ["pending"]
    assert "its page answers 500: GET broke" in result.stderr


def test_what_the_page_does_not_offer_is_not_done() -> None:
    """A button that is not there is not pressed, and the request stays as it is."""
    events = read_events([GUIDE])
    with Sandbox(read_world(), Options(now=time_after(events))) as sandbox:
        handle(sandbox, events)
        (answer,) = decide_all(sandbox, "revoke")
        assert (answer.broken, answer.problem) == (False, "its page does not offer to revoke it")
        (row,) = [item for item in sandbox.ledger.items() if "state" in item]
        assert (row["state"], row["version"]) == ("pending", 1)


def test_a_row_that_was_tampered_with_is_not_applied() -> None:
    """An approval holds for what was approved: a row that is changed afterwards fails, and IAM stays as it was."""
    events = read_events([GUIDE])
    with Sandbox(read_world(), Options(now=time_after(events))) as sandbox:
        handle(sandbox, events)
        decide_all(sandbox, "approve")
        (row,) = [item for item in sandbox.ledger.items() if "state" in item]
        own_session().client("dynamodb").update_item(
            TableName=sandbox.ledger.name,
            Key={"pk": {"S": row["pk"]}, "sk": {"S": row["sk"]}},
            UpdateExpression="SET expires_at = :later",
            ExpressionAttributeValues={":later": {"S": "2099-01-01T00:00:00Z"}},
        )
        sandbox.run()
        (row,) = [item for item in sandbox.ledger.items() if "state" in item]
        assert (row["state"], row["reason_code"]) == ("failed", "approval_unverified")
        assert "iam:CreatePolicy" not in sandbox.endpoint.tally.counts


def test_who_administers_the_ledger_can_revoke_without_page_or_api() -> None:
    """As docs/approving.md says: the row's state is set to revoking, and what was granted is taken out of IAM."""
    (command,) = re.findall(r"aws dynamodb update-item (.*?)```", APPROVING.read_text(), re.DOTALL)
    given = dict(re.findall(r"--(condition-expression|update-expression|expression-attribute-\w+) '([^']*)'", command))
    events = read_events([GUIDE])
    with Sandbox(read_world(), Options(now=time_after(events))) as sandbox:
        handle(sandbox, events)
        decide_all(sandbox, "approve")
        sandbox.run()
        (row,) = [item for item in sandbox.ledger.items() if "state" in item]
        assert row["state"] == "active"
        own_session().client("dynamodb").update_item(
            TableName=sandbox.ledger.name,
            Key={"pk": {"S": row["pk"]}, "sk": {"S": row["sk"]}},
            ConditionExpression=given["condition-expression"],
            UpdateExpression=given["update-expression"],
            ExpressionAttributeNames=json.loads(given["expression-attribute-names"]),
            ExpressionAttributeValues=json.loads(given["expression-attribute-values"]),
        )
        sandbox.run()
        (row,) = [item for item in sandbox.ledger.items() if "state" in item]
        assert row["state"] == "revoked"
        assert not [held for held in policies(sandbox)[row["pk"]] if "/bedrock-access-remediator/" in held["arn"]]
        assert sandbox.authorization.refusals == []
