"""What `sam build` made, deployed by `sam deploy` to MiniStack: CloudFormation, IAM, DynamoDB and SNS of other hands.

docs/emulation.md says what that proves, and what it does not.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import pytest

from sandbox.deciding import decide
from sandbox.running import Given, read_events
from sandbox.world import read_world
from tests.builders.emulation import Emulator, emulated, link_in
from tests.builders.shipped import ROOT, happening, timeless
from tests.conftest import Tell

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.built, pytest.mark.xdist_group("emulation")]

EVENTS: Final = {
    "geographic-profile": "nova-developer",
    "global-profile": "chat-backend",
    "application-profile": "billing-assistant",
    "model-in-another-region": "report-writer",
    "already-allowed": "data-scientist",
    "guardrail-required": "customer-chat",
    "wrong-prefix": "search-indexer",
    "permissions-boundary": "contractor",
    "identity-policy-denies": "finance-bot",
}
"""Sample events, and whom they are about."""

ROLE: Final = "arn:aws:iam::123456789012:role/approver"
STRANGER: Final = "arn:aws:iam::123456789012:role/stranger"
RULES: Final = """
version: 1
rules:
  - {name: chat, effect: auto, principals: ["arn:aws:iam::*:role/service/chat-backend"], profiles: ["*"]}
"""
PARAMETERS: Final = {
    "Mode": "auto",
    "ApproverRoleArns": ROLE,
    "ApproverAuth": "link",
}


@pytest.fixture(scope="module")
def account() -> Iterator[Emulator]:
    """The account, with those whom the events are about."""
    with emulated(read_world()) as account:
        account.load({*EVENTS.values()})
        yield account


@pytest.fixture(scope="module")
def events(account: Emulator) -> list[Given]:
    """The sample events: they happen now, since the principals were made now."""
    return happening([event for name in EVENTS for event in read_events([ROOT / "events" / f"{name}.json"])])


@pytest.fixture(scope="module")
def emulator(account: Emulator, events: list[Given]) -> Emulator:
    """The stack, deployed, with the events handled."""
    iam = account.client("iam")
    for arn in (ROLE, STRANGER):
        trust = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}
        document = {"Version": "2012-10-17", "Statement": [trust]}
        iam.create_role(RoleName=arn.rpartition("/")[2], AssumeRolePolicyDocument=json.dumps(document))
    statement = {"Effect": "Allow", "Action": "execute-api:Invoke", "Resource": "*"}
    document = {"Version": "2012-10-17", "Statement": [statement]}
    iam.put_role_policy(RoleName="approver", PolicyName="own", PolicyDocument=json.dumps(document))
    account.allow(RULES)
    account.deploy(**PARAMETERS)
    account.put(events)
    account.until("every event has its row", lambda: len(account.rows()) == len(EVENTS))
    account.until("nothing is under way", lambda: not {"approved", "applying"} & {*account.states().values()})
    return account


@pytest.fixture(scope="module")
def expected(events: list[Given], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What `sandbox run --json` says of the same events."""
    folder: Path = tmp_path_factory.mktemp("expected")
    (folder / "rules.yaml").write_text(RULES, encoding="utf-8")
    (folder / "events.jsonl").write_text("\n".join(json.dumps(each.event) for each in events), encoding="utf-8")
    options = ["--mode", "auto", "--allowlist", str(folder / "rules.yaml"), "--parameter", f"ApproverRoleArns={ROLE}"]
    command = [sys.executable, "-m", "sandbox", "run", "--json", *options, str(folder / "events.jsonl")]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)  # noqa: S603 - our own
    found: dict[str, Any] = json.loads(ran.stdout)
    return found


def test_rows_equal_the_sandboxs(emulator: Emulator, expected: dict[str, Any], tell: Tell) -> None:
    """Each event has the row that the sandbox gives it, by AWS services of other hands."""

    def by_principal(rows: list[dict[str, Any]]) -> dict[str, Any]:
        return {row["principal"]: row for row in timeless(rows)}

    rows = by_principal(emulator.rows())
    assert rows == by_principal(expected["grants"])
    tell(f"{len(rows)} rows in MiniStack equal the sandbox's")


def test_a_rule_grants_in_iam(emulator: Emulator, expected: dict[str, Any]) -> None:
    """What a rule granted stands in MiniStack's IAM as the sandbox would write it."""
    ours = [each["document"] for each in expected["policies"]["arn:aws:iam::123456789012:role/service/chat-backend"]]
    (written,) = emulator.policies("role", "chat-backend")
    assert timeless(written) in timeless(ours)


def test_a_link_grants(emulator: Emulator) -> None:
    """The link of a mail opens the page, its form grants, and the policy is attached."""
    assert emulator.states()["nova-developer"] == "pending"
    emulator.until("the mail is there", lambda: "nova-developer" in json.dumps(emulator.mails()))
    decide(emulator.connection(), link_in(emulator.mails(), "nova-developer"), "approve")
    emulator.until("it is granted", lambda: emulator.states()["nova-developer"] == "active")
    assert emulator.policies("user", "nova-developer")


def test_the_signed_api_grants_and_revokes(emulator: Emulator) -> None:
    """A session of the approvers' role lists, grants and revokes; a session of another role is refused."""
    assert emulator.api(STRANGER, "GET", "/api/requests")[0] == 403
    decided(emulator, "pending", {"decision": "approve", "length": "1d"})
    emulator.until("it is granted", lambda: emulator.states()["report-writer"] == "active")
    assert emulator.policies("role", "report-writer")
    decided(emulator, "active", {"decision": "revoke"})
    emulator.until("it is revoked", lambda: emulator.states()["report-writer"] == "revoked")
    assert emulator.policies("role", "report-writer") == []


def decided(emulator: Emulator, state: str, decision: dict[str, str]) -> None:
    """Decide about report-writer's request, which is in that state, by the API."""
    _, listed = emulator.api(ROLE, "GET", f"/api/requests?state={state}")
    (request,) = [each for each in listed["requests"] if "report-writer" in json.dumps(each)]
    body = {"version": request["version"], **decision}
    status, answer = emulator.api(ROLE, "POST", f"/api/requests/{request['id']}", body)
    assert status == 200, answer


def test_an_update_keeps_the_rows(emulator: Emulator) -> None:
    """An update of the stack with another parameter leaves every row and policy as it is."""
    before, policy = emulator.rows(), emulator.policies("role", "chat-backend")
    emulator.deploy(**PARAMETERS, MaxGrantDays="30")
    assert (emulator.rows(), emulator.policies("role", "chat-backend")) == (before, policy)


def test_a_deletion_leaves_ledger_and_grants(emulator: Emulator) -> None:
    """Deleting the stack takes the functions away, and keeps the ledger and what was granted."""
    ledger, rows = emulator.physical("Ledger"), emulator.rows()
    emulator.delete()
    assert emulator.client("lambda").list_functions()["Functions"] == []
    assert emulator.client("dynamodb").scan(TableName=ledger)["Count"] >= len(rows)
    assert emulator.policies("role", "chat-backend")
