"""The function `remediate` as Lambda calls it, on moto."""

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from bedrock_remediator.aws.bedrock import ProfileReader
from bedrock_remediator.aws.iam import IamReader
from bedrock_remediator.aws.ledger.write import Ledger
from bedrock_remediator.clock import SystemClock
from bedrock_remediator.core.grant import Grant, State
from bedrock_remediator.environment import SettingError
from tests.builders.grants import ACCOUNT
from tests.builders.remediation import ALL_ROLES, RULE, World, nova

if TYPE_CHECKING:
    from mypy_boto3_iam import IAMClient

APP = Path(__file__).parents[2] / "functions" / "remediate" / "app.py"
ENVIRONMENT = {
    "LEDGER_TABLE": "ledger",
    "MODE": "auto",
    "PAUSED": "false",
    "POLICY_STRATEGY": "managed",
    "ALLOWLIST_PATH": "/bedrock-access-remediator/allowlist",
    "ENROLLED_ACCOUNTS": "",
    "EXTRA_ACTIONS": "bedrock:UseInferenceProfile",
    "GRANTABLE_PRINCIPALS": ALL_ROLES,
    "DEFAULT_GRANT_DAYS": "0",
    "PRINCIPAL_GRANTS_PER_DAY": "10",
    "PROBE_PROFILES": "8",
    "PROBE_WINDOW_MINUTES": "60",
    "UNKNOWN_CALLER_ASKS": "true",
    "VERIFY_SECONDS": "60",
    "APPROVAL_KEY_ID": "alias/approvals",
    "USED_APPROVALS_TABLE": "used",
    "EDIT_KEY_ID": "",
    "POWERTOOLS_SERVICE_NAME": "remediate",
    "POWERTOOLS_METRICS_NAMESPACE": "BedrockAccessRemediator",
}
Handler = Callable[[dict[str, Any], Any], dict[str, Any]]


@pytest.fixture
def world(aws: None, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> World:
    """IAM, the ledger and an allowlist, with stand-ins for what moto has not."""
    iam: IAMClient = boto3.client("iam")
    world = World(iam, ledger)
    boto3.client("ssm").put_parameter(Name=f"{ENVIRONMENT['ALLOWLIST_PATH']}/main", Value=RULE, Type="String")
    monkeypatch.setattr(IamReader, "simulate", lambda _, *question: world.simulator.simulate(*question))
    monkeypatch.setattr(ProfileReader, "profile", lambda _, *asked, fresh: world.profiles.profile(*asked, fresh=fresh))
    monkeypatch.setattr(ProfileReader, "profiles", lambda _, *asked, **how: world.profiles.profiles(*asked, **how))
    monkeypatch.setattr(SystemClock, "now", lambda _: world.clock.now())
    monkeypatch.setattr(SystemClock, "sleep", lambda _, seconds: world.clock.sleep(seconds))
    return world


@pytest.fixture
def handler(world: World, monkeypatch: pytest.MonkeyPatch) -> Handler:
    """The handler of a fresh environment."""
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    return load()


def load() -> Handler:
    """Import the function's module anew, as a cold start does."""
    spec = importlib.util.spec_from_file_location("remediate_app", APP)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found: Handler = module.handler
    return found


def message(row: Grant) -> dict[str, Any]:
    """What the Pipe puts into the queue for a change of the row, as Lambda hands it over."""
    keys = {"pk": {"S": row.pk}, "sk": {"S": row.sk}}
    image = {**keys, "state": {"S": row.state}, "version": {"N": str(row.version)}, "group": {"S": row.group}}
    body = {"eventName": "MODIFY", "dynamodb": {"Keys": keys, "NewImage": image}}
    return {"messageId": row.sk, "body": json.dumps(body), "attributes": {"MessageGroupId": row.group}}


def context(seconds: int = 240) -> SimpleNamespace:
    """Lambda's context."""
    return SimpleNamespace(
        function_name="remediate",
        memory_limit_in_mb=256,
        invoked_function_arn=f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:remediate",
        aws_request_id="11111111-1111-4111-8111-111111111111",
        get_remaining_time_in_millis=lambda: seconds * 1000,
    )


def test_a_message_becomes_a_grant(
    world: World, handler: Handler, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """From the queue to the policy, with a metric and a line in the log."""
    role = world.role()
    row = world.approved(role)
    assert handler({"Records": [message(row)]}, context()) == {"batchItemFailures": []}
    assert world.stored(row).state is State.ACTIVE
    assert world.allows(role, row)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert any(line.get("Grants_active") for line in lines)
    assert [record.__dict__.get("state") for record in caplog.records if record.name == "remediate"] == ["active"]


def test_a_message_that_was_overtaken_is_done(world: World, handler: Handler) -> None:
    """Nothing is left to do, and nobody must try again."""
    row = world.approved(world.role())
    handler({"Records": [message(row)]}, context())
    before = world.stored(row)
    assert handler({"Records": [message(row)]}, context()) == {"batchItemFailures": []}
    assert world.stored(row) == before


def test_a_failure_holds_up_its_own_principal_only(world: World, handler: Handler) -> None:
    """The messages behind it in its group come again with it; those of another principal are done."""
    first, second = world.role("first"), world.role("second")
    stuck, behind = world.approved(first, nova(1)), world.approved(first, nova(2))
    free = world.approved(second, nova(3))
    broken = {**message(stuck), "body": "{}"}
    answer = handler({"Records": [broken, message(behind), message(free)]}, context())
    assert [item["itemIdentifier"] for item in answer["batchItemFailures"]] == [stuck.sk, behind.sk]
    assert world.stored(behind).state is State.APPROVED
    assert world.stored(free).state is State.ACTIVE


def test_a_change_is_not_begun_without_time_to_finish(world: World, handler: Handler) -> None:
    """The second of two messages comes again where the time left is less than one may take."""
    rows = [world.approved(world.role(name), nova(1)) for name in ("first", "second")]
    records = [{**message(row), "messageId": row.pk} for row in rows]
    world.simulator.lag = 1000
    answer = handler({"Records": records}, context(seconds=90))
    assert [item["itemIdentifier"] for item in answer["batchItemFailures"]] == [rows[1].pk]
    assert world.stored(rows[1]).state is State.APPROVED


def test_a_bad_environment_fails_at_start(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the variable's name."""
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("VERIFY_SECONDS", "soon")
    with pytest.raises(SettingError, match="VERIFY_SECONDS"):
        load()
