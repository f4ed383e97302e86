"""`bedrock-remediator requests` and `grants` against the API of a deployed stack in the sandbox, over HTTP."""

import json
from collections.abc import Iterator
from typing import Any, Final

import pytest
from click.testing import CliRunner, Result

from bedrock_remediator_cli.program import cli
from tests.builders.served import Served, served
from tests.e2e.test_serving import GUIDE, USER

ROLE: Final = "arn:aws:iam::123456789012:role/teams/approvers"
SESSION: Final = "arn:aws:sts::123456789012:assumed-role/approvers/approver"


@pytest.fixture
def stack(monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """A stack that is kept up, with one request that waits; the caller is a session of a role that may approve."""
    with served(parameters={"ApproverRoleArns": ROLE, "MaxGrantDays": "90"}) as stack:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "ASIAAPPROVER1")  # by now moto has set its own
        outputs = stack.sandbox.description.outputs
        outputs["RequestsApiUrl"] = outputs["RequestsApiUrl"].replace(stack.sandbox.url, stack.address)
        stack.put(GUIDE)
        yield stack


def call(*arguments: str, **more: Any) -> Result:
    """Run the command."""
    return CliRunner().invoke(cli, [*arguments, "--region", "us-east-1"], **more)


def answered(*arguments: str) -> Any:
    """Run the command, which has to end well; its JSON."""
    result = call(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_a_request_is_approved_extended_and_taken_back(stack: Served) -> None:
    """The whole life of a grant at the command line, each step under the caller's own ARN."""
    (waiting,) = answered("requests", "list")["requests"]
    shown = answered("requests", "show", waiting["id"][:6])
    assert (shown["history"][0]["state"], shown["may"]) == ("pending", ["approve", "reject"])
    assert "us.amazon.nova-2-lite-v1:0" in shown["policy"]["after"][0]
    approved = answered("requests", "approve", waiting["id"], "--for", "30d", "--reason", "Agreed.", "--yes")
    assert (approved["state"], approved["decided_by"], stack.states) == ("approved", SESSION, ["active"])
    (grant,) = answered("grants", "list", "--principal", "nova")["requests"]
    assert (grant["state"], grant["expires_at"][:10]) == ("active", "2026-12-23")
    answered("grants", "extend", grant["id"], "--for", "60d", "--yes")
    (grant,) = answered("grants", "list")["requests"]
    assert grant["expires_at"][:10] == "2027-01-22"
    answered("grants", "revoke", grant["id"], "--yes")
    assert stack.states == ["revoked"]
    assert len(stack.ask("/policies").json[USER]) == 1
    history = answered("grants", "show", answered("grants", "list", "--state", "revoked")["requests"][0]["id"])[
        "history"
    ]
    assert [step["by"] for step in history if step["by"] == SESSION] == [SESSION] * 3


def test_people_see_what_they_decide(stack: Served) -> None:
    """What would be granted is shown before the question; no means no, and yes decides the version that was shown."""
    (waiting,) = answered("requests", "list")["requests"]
    refused = call("requests", "approve", waiting["id"], "--for", "1d", input="n\n")
    assert (refused.exit_code, stack.states) == (1, ["pending"])
    assert "foundation-model/amazon.nova-2-lite-v1:0" in refused.stderr
    assert call("requests", "reject", waiting["id"], input="y\n").exit_code == 0
    assert stack.states == ["rejected"]
    assert "There are none." in call("requests", "list").stdout
    assert "user/nova-developer" in call("requests", "list", "--state", "rejected").stdout
    assert f"rejected by {SESSION}" in call("requests", "show", waiting["id"]).stdout


def test_all_of_a_principal_is_taken_back(stack: Served) -> None:
    """A principal's ARN stands for every active grant that it has."""
    (waiting,) = answered("requests", "list")["requests"]
    answered("requests", "approve", waiting["id"], "--for", "1d", "--yes")
    assert [each["state"] for each in answered("grants", "revoke", USER, "--yes")["revoked"]] == ["revoking"]
    assert stack.states == ["revoked"]
    gone = call("grants", "revoke", USER, "--yes")
    assert (gone.exit_code, "no active grant" in gone.stderr) == (2, True)


def test_all_requests_of_a_principal_are_rejected(stack: Served) -> None:
    """A principal's ARN stands for every request of it that waits."""
    assert [each["state"] for each in answered("requests", "reject", USER, "--yes")["rejected"]] == ["rejected"]
    assert stack.states == ["rejected"]
    gone = call("requests", "reject", USER, "--yes")
    assert (gone.exit_code, "no request that waits" in gone.stderr) == (2, True)
    assert call("requests", "reject", USER, "--version", "1", "--yes").exit_code == 2


def test_refusals_say_why(stack: Served) -> None:
    """Too long, too late, unknown or of another version: the reason in a sentence, and 1."""
    (waiting,) = answered("requests", "list")["requests"]
    for arguments, why in (
        (("approve", waiting["id"], "--for", "none", "--yes"), "may not last so long"),
        (("approve", waiting["id"], "--for", "1d", "--version", "7", "--yes"), "no longer as it was"),
        (("approve", "0" * 32, "--for", "1d", "--yes"), "no request of that id"),
        (("show", "zz"), "begins with zz"),
    ):
        result = call("requests", *arguments)
        assert (result.exit_code, why in result.stderr) == (1, True), result.stderr
    answered("requests", "reject", waiting["id"], "--yes")
    late = call("requests", "approve", waiting["id"], "--for", "1d", "--version", "1", "--yes")
    assert (late.exit_code, SESSION in late.stderr) == (1, True)


def test_strangers_are_told_what_they_lack(stack: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """A caller that API Gateway does not let through, and a stack without the API, end with 2 and say what to do."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIASTRANGER")
    result = call("requests", "list")
    assert (result.exit_code, "ApproverRoleArns" in result.stderr) == (2, True)
    del stack.sandbox.description.outputs["RequestsApiUrl"]
    result = call("requests", "list")
    assert (result.exit_code, "ApproverRoleArns" in result.stderr) == (2, True)
    stack.sandbox.description.outputs["RequestsApiUrl"] = "http://example.com/api/requests"
    assert "not https" in call("requests", "list").stderr


@pytest.mark.parametrize(
    "arguments", [("approve", "1", "--for", "long"), ("approve", "1"), ("list", "--state", "open")]
)
def test_usage_is_checked(arguments: tuple[str, ...]) -> None:
    """What is no length or state ends with 2, before anything is asked."""
    assert call("requests", *arguments).exit_code == 2
