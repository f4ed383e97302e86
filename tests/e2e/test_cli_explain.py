"""`bedrock-remediator explain` as a person runs it: files of every kind, with AWS (the sandbox) and without."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from click.testing import CliRunner, Result

from bedrock_remediator_cli.program import cli
from sandbox.calls import ApiError, Call
from sandbox.stack import Sandbox
from sandbox.world import DEFAULT_WORLD, read_world

EVENTS: Final = Path(__file__).parents[2] / "events"
ACCOUNT: Final = "123456789012"
MODEL: Final = "amazon.nova-2-lite-v1:0"
PROFILE: Final = f"arn:aws:bedrock:us-east-1:{ACCOUNT}:inference-profile/us.{MODEL}"
USER: Final = f"arn:aws:iam::{ACCOUNT}:user/nova-developer"
DENIED: Final = (
    f"User: {USER} is not authorized to perform: bedrock:InvokeModel on resource: {PROFILE} "
    "because no identity-based policy allows the bedrock:InvokeModel action"
)
BY_SCP: Final = f"{DENIED.partition(' because')[0]} with an explicit deny in a service control policy"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """The default world. It is shared: read it, never change it."""
    with Sandbox(read_world(DEFAULT_WORLD)) as running:
        yield running


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without credentials."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")


def run(*words: str | Path, given: str | bytes | None = None) -> Result:
    """Run the command."""
    return CliRunner().invoke(cli, ["explain", *map(str, words)], input=given, catch_exceptions=False)


def values(*words: str | Path, given: str | bytes | None = None) -> list[dict[str, Any]]:
    """What it answers with --json."""
    done = run(*words, "--json", "--region", "us-east-1", given=given)
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def event(name: str) -> Any:
    """One of the sample events."""
    return json.loads((EVENTS / f"{name}.json").read_text(encoding="utf-8"))


def layers(found: list[dict[str, Any]]) -> list[str]:
    """Their layers."""
    return [each["layer"] for each in found]


@pytest.mark.parametrize(
    ("name", "fixable", "model_id", "says"),
    [
        ("geographic-profile", True, f"us.{MODEL}", "needs 4 ARNs in the policy, and 3 of them are missing"),
        ("model-in-another-region", True, "us.amazon.nova-pro-v1:0", "2 of them are missing"),
        ("model-that-only-profiles-serve", True, f"us.{MODEL}", f"must use us.{MODEL} as modelId"),
        ("sso-role", True, f"us.{MODEL}", "permission set"),
        ("wrong-prefix", True, f"global.{MODEL}", f"Either use us.{MODEL}"),
        ("already-allowed", False, f"us.{MODEL}", "allow the call already"),
        ("scp-beneath-a-missing-grant", False, "us.meta.llama4-scout-17b-instruct-v1:0", "would not help"),
        ("profile-not-in-this-region", False, None, "There is no inference profile"),
        ("guardrail-required", None, f"us.{MODEL}", "under a condition"),
        ("region-lock", None, f"global.{MODEL}", '"aws:RequestedRegion": ["us-east-1"'),
        ("application-profiles-only", None, f"us.{MODEL}", "application-inference-profile/q7xk2m9p0abc"),
        ("deny-that-may-apply", None, f"us.{MODEL}", '"NotIpAddress"'),
        ("invoke-model-only", True, f"global.{MODEL}", "needs 3 ARNs in the policy, and 2 of them are missing"),
        ("variable-in-the-account", True, f"us.{MODEL}", "needs 4 ARNs in the policy, and one of them is missing"),
        ("principal-deleted", None, f"us.{MODEL}", "does not exist any more"),
    ],
)
def test_with_credentials_aws_decides(
    sandbox: Sandbox,
    name: str,
    fixable: bool | None,  # noqa: FBT001 - a table's column
    model_id: str | None,
    says: str,
) -> None:
    """The profile, the principal's policies and the simulator say what the message cannot, and that they said it."""
    (found,) = values(EVENTS / f"{name}.json")
    assert found["fixable_by_identity_policy"] is fixable
    assert found["model_id"] == model_id
    assert says in found["advice"]
    assert (found["policy"] is not None) is (fixable is True)
    assert "IAM" in found["sources"]["fixable_by_identity_policy"] or "Bedrock" in json.dumps(found["sources"])


def test_with_credentials_the_policy_names_the_regions(sandbox: Sandbox) -> None:
    """Pasted text is enough: GetInferenceProfile lists every model, and no wildcard is left."""
    (found,) = values(DENIED)
    profile, models = found["policy"]["Statement"]
    assert profile["Resource"] == [PROFILE]
    assert models["Resource"] == [
        f"arn:aws:bedrock:{region}::foundation-model/{MODEL}" for region in ("us-east-1", "us-east-2", "us-west-2")
    ]
    assert models["Condition"] == {"StringEquals": {"bedrock:InferenceProfileArn": PROFILE}}
    assert found["sources"]["policy"].startswith("Amazon Bedrock")


def test_a_call_that_names_a_model_learns_which_profiles_serve_it(sandbox: Sandbox) -> None:
    """The ValidationException is no denial; with credentials the ids to use are listed."""
    text = f"Invocation of model ID {MODEL} with on-demand throughput isn\u2019t supported. Retry your request with the"
    (found,) = values(text)
    assert found["fixable_by_identity_policy"] is False
    assert f"us.{MODEL}" in found["advice"]
    assert f"global.{MODEL}" in found["advice"]


def test_an_account_of_others_is_not_asked(sandbox: Sandbox) -> None:
    """The credentials are of another account: the message alone decides, and that is said."""
    done = run("--region", "us-east-1", EVENTS / "account-not-enrolled.json")
    assert "AWS was not asked: the credentials are of account 123456789012" in done.stderr
    assert "yes, says the message" in done.stdout


def test_a_caller_whom_the_message_does_not_name_is_not_asked_about(sandbox: Sandbox) -> None:
    """There is nobody whose policies could be looked at, and that is said."""
    done = run(DENIED.replace(USER, "unknown"))
    assert "AWS was not asked: the message names no IAM role or user as the caller." in done.stderr


def test_who_may_not_read_policies_still_gets_the_profile(sandbox: Sandbox) -> None:
    """Where IAM refuses, the regions of the profile come from Bedrock all the same, and the lack is told."""

    def refuse(call: Call) -> None:
        if call.service == "iam":
            raise ApiError("AccessDenied", "not for you", status=403)

    sandbox.endpoint.refusals.append(refuse)
    try:
        done = run("--json", "--region", "us-east-1", DENIED)
    finally:
        sandbox.endpoint.refusals.remove(refuse)
    (found,) = json.loads(done.stdout)
    assert "could not be read: you may not call GetUser" in done.stderr
    assert found["fixable_by_identity_policy"] is True
    assert found["sources"]["fixable_by_identity_policy"] == "the message"
    assert "*" not in json.dumps(found["policy"])


def test_offline_asks_nobody(sandbox: Sandbox) -> None:
    """With --offline the answer is the message's, whatever credentials there are."""
    calls: list[Call] = []
    sandbox.endpoint.refusals.append(calls.append)
    try:
        (found,) = values("--offline", DENIED)
    finally:
        sandbox.endpoint.refusals.remove(calls.append)
    assert set(found["sources"].values()) == {"the message", "the form of the identifiers"}
    assert not calls


@pytest.mark.usefixtures("alone")
def test_every_kind_of_file_is_read(tmp_path: Path) -> None:
    """Arrays, JSON lines, CloudTrail's archive, LookupEvents' answer, queue messages, and stdin; others left out."""
    first, second = event("geographic-profile"), event("service-control-policy")
    fine = event("successful-call")
    foreign = {"eventName": "GetObject", "eventSource": "s3.amazonaws.com", "errorCode": "AccessDenied"}
    records = {"Records": [first["detail"], fine["detail"], foreign, second["detail"]]}
    files: dict[str, bytes] = {
        "array.json": json.dumps([first, second]).encode(),
        "lines.jsonl": "\n".join(map(json.dumps, (first, fine, second))).encode(),
        "trail.json.gz": gzip.compress(json.dumps(records).encode()),
        "lookup.json": json.dumps(
            {"Events": [{"CloudTrailEvent": json.dumps(each["detail"])} for each in (first, fine, second)]}
        ).encode(),
        "queue.json": json.dumps({"Messages": [{"Body": json.dumps(each)} for each in (first, second)]}).encode(),
        "utf16.txt": f"{DENIED}\n\n{BY_SCP}\n".encode("utf-16"),
        "mixed.log": f"started\n{json.dumps(first)}\nmore words\n{json.dumps(second)}\nended\n".encode(),
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
        assert layers(values(tmp_path / name)) == ["identity", "scp"], name
        assert layers(values("-", given=data)) == ["identity", "scp"], name
    done = run(tmp_path / "trail.json.gz")
    assert "1 refusals of other services are left out" in done.stderr


@pytest.mark.usefixtures("alone")
def test_equal_refusals_are_shown_once(tmp_path: Path) -> None:
    """People see the first of them with how many there are; --json has them all."""
    path = tmp_path / "many.jsonl"
    path.write_text("\n".join([json.dumps(event("global-profile"))] * 3), encoding="utf-8")
    done = run(path)
    assert f"3 times, first in {path}:1" in done.stdout
    assert done.stdout.count("Denied by") == 1
    assert len(values(path)) == 3


@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize(
    ("form", "holds"),
    [
        ("json", '"Effect": "Allow"'),
        ("terraform", 'resource "aws_iam_user_policy_attachment"'),
        ("cloudformation", "Type: AWS::IAM::ManagedPolicy"),
        ("cdk", "new iam.ManagedPolicy(this"),
    ],
)
def test_the_policy_can_be_pasted(form: str, holds: str) -> None:
    """In each form, for people and as `snippet`, with the principal it is for."""
    done = run("--as", form, DENIED)
    assert done.exit_code == 0
    assert holds in done.stdout
    (found,) = values("--as", form, DENIED)
    assert holds in found["snippet"]
    assert form == "json" or "nova-developer" in found["snippet"]


@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize(
    ("form", "holds"),
    [
        ("terraform", "aws_ssoadmin_permission_set_inline_policy"),
        ("cloudformation", "AWS::SSO::PermissionSet"),
        ("cdk", "sso.CfnPermissionSet"),
    ],
)
def test_a_permission_set_s_policy_goes_to_the_set(form: str, holds: str) -> None:
    """Never to the role that Identity Center made of it."""
    (found,) = values("--as", form, EVENTS / "sso-role.json")
    assert holds in found["snippet"]
    assert "DataScientist" in found["snippet"]
    assert "AWSReservedSSO" not in found["snippet"]


@pytest.mark.usefixtures("alone")
def test_the_user_can_tell_what_the_client_passes() -> None:
    """A denied model is a profile's in disguise; with --model-id the policy is that profile's."""
    denied = DENIED.replace(PROFILE, f"arn:aws:bedrock:us-west-2::foundation-model/{MODEL}")
    (found,) = values("--model-id", f"us.{MODEL}", denied)
    assert found["profile"] == f"arn:aws:bedrock:REGION:{ACCOUNT}:inference-profile/us.{MODEL}"
    assert found["model_id"] == f"us.{MODEL}"
    assert run("--model-id", "us.nova*", denied).exit_code == 2


@pytest.mark.usefixtures("alone")
def test_masked_records_stay_masked() -> None:
    """A record whose account ids are masked is read, and its policy has a placeholder for them."""
    text = json.dumps(event("geographic-profile")).replace(ACCOUNT, "************")
    (found,) = values("-", given=text)
    assert found["fixable_by_identity_policy"] is True
    assert found["profile"] == PROFILE.replace(ACCOUNT, "ACCOUNT_ID")
    assert "000000000000" not in json.dumps(found)


@pytest.mark.usefixtures("alone")
def test_what_cannot_be_explained_ends_in_one(tmp_path: Path) -> None:
    """Nothing to be found, or nothing that can be read: 1; no such file, or one that is broken: 2."""
    assert run("It does not work").exit_code == 1
    assert run(EVENTS / "successful-call.json").exit_code == 1
    assert run(EVENTS / "throttled-call.json").exit_code == 1
    assert run(EVENTS / "truncated-message.json").exit_code == 1
    assert run(EVENTS / "geographic-profile.json", tmp_path / "missing.json").exit_code == 2
    (tmp_path / "broken.json.gz").write_bytes(gzip.compress(b"{}")[:-9])
    assert run(tmp_path / "broken.json.gz").exit_code == 2
    assert run("-", given="").exit_code == 1
    missing = run("missing.jsonl")
    assert (missing.exit_code, missing.stderr) == (2, "error: There is no file missing.jsonl.\n")


@pytest.mark.usefixtures("alone")
def test_a_profile_that_there_is_not_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that the user names ends the command; one of the environment is no reason not to explain."""
    assert run("--profile", "nobody", DENIED).exit_code == 2
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    done = run(DENIED)
    assert done.exit_code == 0
    assert "nobody" in done.stderr
