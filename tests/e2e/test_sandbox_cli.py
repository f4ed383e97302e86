"""`python -m sandbox`: what it takes, what it answers, and its exit codes."""

import gzip
import json
import os
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from click.testing import CliRunner, Result

from sandbox.__main__ import cli
from sandbox.demonstration import BURST, SHOWN
from sandbox.lambdas import Function, InvocationError
from sandbox.serving import make_server
from sandbox.stack import Options, Sandbox
from sandbox.world import read_world

ROOT: Final = Path(__file__).parents[2]
EVENTS: Final = ROOT / "events"
KEYS: Final = ["grants", "policies", "notices", "calls", "failures"]
GRANT_KEYS: Final = {
    "principal",
    "profile",
    "model_id",
    "resources",
    "actions",
    "state",
    "version",
    "diagnosis",
    "decision",
    "reason_code",
    "reason",
    "layer",
    "rule",
    "verification",
    "denials",
    "expires_at",
}
USER: Final = "arn:aws:iam::123456789012:user/nova-developer"
RULES: Final = """
version: 1
rules:
  - {name: nova, effect: auto, principals: ["arn:aws:iam::*:user/nova-*"], profiles: ["us.amazon.nova-*"]}
"""


def run(*arguments: object) -> Result:
    """Run the command line in this process."""
    return CliRunner().invoke(cli, [str(argument) for argument in arguments], catch_exceptions=False)


def report(*arguments: object) -> dict[str, Any]:
    """The object that `run --json` prints."""
    result = run("run", "--json", *arguments)
    assert result.exit_code == 0, result.output
    content: dict[str, Any] = json.loads(result.stdout)
    return content


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    """An allowlist with one rule."""
    path = tmp_path / "rules.yaml"
    path.write_text(RULES, encoding="utf-8")
    return path


def test_the_answer_is_one_object_and_nothing_else() -> None:
    """As a process of its own, `run --json` prints one JSON object on stdout, and nothing on stderr."""
    command = [sys.executable, "-m", "sandbox", "run", "--json", str(EVENTS / "geographic-profile.json")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603 - our own words
    assert (done.returncode, done.stderr) == (0, "")
    content = json.loads(done.stdout)
    assert list(content) == KEYS
    (grant,) = content["grants"]
    assert set(grant) == GRANT_KEYS
    assert (grant["principal"], grant["state"], grant["denials"]) == (USER, "pending", 1)


def test_the_guides_own_case_is_granted_by_a_rule(rules: Path) -> None:
    """With a rule in mode auto the guide's case ends active and verified, with one notice and the whole policy."""
    content = report("--mode", "auto", "--allowlist", rules, EVENTS / "geographic-profile.json")
    (grant,) = content["grants"]
    assert (grant["state"], grant["verification"], grant["rule"]) == ("active", "simulated", "nova")
    assert [(notice["topic"], notice["attributes"]["state"]) for notice in content["notices"]] == [
        ("notices", "active")
    ]
    assert {"default", "email"} <= set(content["notices"][0]["message"])
    own, given = content["policies"][USER]
    assert (own["name"], given["arn"].split("/")[1]) == ("NovaModels", "bedrock-access-remediator")
    models = next(one for one in given["document"]["Statement"] if "Condition" in one)
    assert models["Condition"] == {"StringEquals": {"bedrock:InferenceProfileArn": grant["profile"]}}
    assert sorted([grant["profile"], *models["Resource"]]) == grant["resources"]


def test_everything_of_the_world_has_its_policies() -> None:
    """Every principal of the world is in the answer, without policies too; group and AWS managed ones are left out."""
    policies = report(EVENTS / "successful-call.json")["policies"]
    assert list(policies) == [arn for arn, _ in read_world().principals]
    assert policies["arn:aws:iam::123456789012:user/data-scientist"] == []
    assert [one["name"] for one in policies["arn:aws:iam::123456789012:user/ci-deployer"]] == ["Deploy"]
    assert [one["arn"] for one in policies["arn:aws:iam::123456789012:role/contractor"]] == [None]


def test_an_event_that_does_not_match_is_handled() -> None:
    """An event that the rule does not match leaves no row, wakes no function and is no failure."""
    content = report(EVENTS / "successful-call.json", EVENTS / "throttled-call.json")
    assert (content["grants"], content["notices"], content["calls"], content["failures"]) == ([], [], {}, [])


def test_two_runs_say_the_same(rules: Path) -> None:
    """The same events give the same answer, byte for byte."""
    arguments = ("run", "--json", "--mode", "auto", "--allowlist", rules, *sorted(EVENTS.glob("*profile*.json")))
    assert run(*arguments).stdout == run(*arguments).stdout


def test_calls_of_functions_are_counted() -> None:
    """Calls are counted by service and operation; what the message alone tells costs no call to IAM or Bedrock."""
    calls = report(EVENTS / "service-control-policy.json")["calls"]
    assert calls["sns:Publish"] == 1
    assert not {name.partition(":")[0] for name in calls} & {"iam"}
    assert all(isinstance(count, int) for count in calls.values())


def test_the_time_can_be_given() -> None:
    """`--now` sets the time of the run."""
    late = report("--now", "2027-03-01T00:00:00Z", EVENTS / "geographic-profile.json")
    body = json.loads(late["notices"][0]["message"]["default"])
    assert body["updated_at"].startswith("2027-03-01T00:0")


def test_the_allowlist_may_be_a_folder(tmp_path: Path) -> None:
    """In a folder each file is a document; one of the administrators' that is broken turns every auto into ask."""
    (tmp_path / "main.yaml").write_text(RULES, encoding="utf-8")
    (tmp_path / "_scopes.yaml").write_text("scopes: [", encoding="utf-8")
    content = report("--mode", "auto", "--allowlist", tmp_path, EVENTS / "geographic-profile.json")
    assert [(grant["state"], grant["reason_code"]) for grant in content["grants"]] == [
        ("pending", "allowlist_incomplete")
    ]


@pytest.mark.parametrize(("strategy", "policy"), [("inline", None), ("in-place", "NovaModels")])
def test_the_strategy_reaches_the_functions(rules: Path, strategy: str, policy: str | None) -> None:
    """`--strategy` decides where the grant is written."""
    content = report("--mode", "auto", "--strategy", strategy, "--allowlist", rules, EVENTS / "geographic-profile.json")
    (grant,) = content["grants"]
    holding = [one for one in content["policies"][USER] if grant["profile"] in json.dumps(one["document"])]
    assert [one["arn"] and one["name"] for one in holding] == [policy]


def test_what_nobody_could_handle_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """What ends in a dead-letter queue is in `failures`, and the exit code is 1; the story tells of it too."""

    def broken(function: Function, *_: object, **__: object) -> None:
        raise InvocationError(f"{function.logical_id}: broken")

    monkeypatch.setattr(Function, "_run", broken)
    result = run("run", "--json", EVENTS / "burst.json")
    (letter,) = json.loads(result.stdout)["failures"]
    assert (result.exit_code, letter["queue"]) == (1, "DenialsDeadLetters")
    assert letter["body"]["detail"]["eventName"] == "ConverseStream"
    told = run("run", EVENTS / "burst.json")
    assert told.exit_code == 1
    assert "DenialsDeadLetters" in told.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "no-such-file.json"],
        ["run"],
        ["run", "--mode", "sometimes", EVENTS / "burst.json"],
        ["run", "--strategy", "by-mail", EVENTS / "burst.json"],
        ["run", "--world", EVENTS / "burst.json", EVENTS / "burst.json"],
        ["run", "--world", "no-such-world.yaml", EVENTS / "burst.json"],
        ["run", "--allowlist", "no-such-rules.yaml", EVENTS / "burst.json"],
        ["run", "--now", "soon", EVENTS / "burst.json"],
        ["run", "--decide", "maybe", EVENTS / "burst.json"],
        ["run", EVENTS / "README.md"],
    ],
)
def test_bad_input_is_told(arguments: list[object]) -> None:
    """Bad input ends with exit code 2, a line on stderr that says what, and nothing on stdout."""
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "rror" in result.stderr


def test_a_policy_that_iam_would_refuse_is_told(tmp_path: Path) -> None:
    """An unknown operator in a world's policy ends the run before it begins, and names principal and policy."""
    statement = {"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": {"StringIs": {"aws:SourceVpc": "v"}}}
    roles = [{"name": "app", "inline": {"base": {"Version": "2012-10-17", "Statement": [statement]}}}]
    world = tmp_path / "world.json"
    world.write_text(json.dumps({"account": "123456789012", "roles": roles}), encoding="utf-8")
    result = run("run", "--world", world, EVENTS / "geographic-profile.json")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "role app, policy base: there is no condition operator 'StringIs'" in result.stderr


def test_the_story_is_told() -> None:
    """Without --json a person reads a table and a story."""
    result = run("run", EVENTS / "geographic-profile.json", EVENTS / "successful-call.json")
    assert result.exit_code == 0
    for part in ("What came in", "nova-developer", "waits for a person", "successful-call"):
        assert part in result.stdout


def test_a_world_of_several_accounts(tmp_path: Path) -> None:
    """A world file may list other accounts: each event happens in its own, and the story names the account."""
    policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
    world = tmp_path / "world.json"
    research = {"name": "research", "users": [{"name": "nova-developer", "inline": {"own": policy}}]}
    other = {"name": "other", "enrolled": False}
    accounts = {"111122223333": research, "444455556666": other}
    world.write_text(json.dumps({"account": "777788889999", "accounts": accounts}), encoding="utf-8")
    event = tmp_path / "event.json"
    text = (EVENTS / "geographic-profile.json").read_text(encoding="utf-8")
    event.write_text(text.replace("123456789012", "111122223333"), encoding="utf-8")
    told = run("run", "--world", world, event, EVENTS / "account-not-enrolled.json")
    assert (told.exit_code, told.stderr) == (0, "")
    assert "nova-developer in research" in " ".join(told.stdout.split())
    assert "Account 444455556666 is not enrolled" in " ".join(told.stdout.split())


def test_the_demonstration_tells_eleven_cases() -> None:
    """`make demo ALL=1` tells ten kinds of denials and a burst of 500 in full, and leaves nothing over."""
    result = run("demo", "--all")
    assert result.exit_code == 0, result.output
    for name in (*SHOWN, BURST):
        assert f"· {name} " in result.stdout
    assert "(500 times)" in result.stdout


def test_the_demonstration_shows_one_story_a_mail_and_what_is_next() -> None:
    """`make demo` has the table, one story in full, the mail with its link, and what to do next; no call counts."""
    result = run("demo")
    assert result.exit_code == 0, result.output
    assert [name for name in (*SHOWN, BURST) if f"· {name} " in result.stdout] == [SHOWN[0]]
    for part in (*SHOWN, "The mail to the approvers", "/request/", "What next", "--world derived"):
        assert part in result.stdout
    assert "What it took" not in result.stdout


RECORD: Final = json.loads((EVENTS / "geographic-profile.json").read_text(encoding="utf-8"))["detail"]
LOOKED_UP: Final = {"EventName": "ConverseStream", "CloudTrailEvent": json.dumps(RECORD)}


@pytest.mark.parametrize(
    "content",
    [
        json.dumps(RECORD),
        json.dumps([RECORD]),
        json.dumps({"Records": [RECORD]}),
        json.dumps({"Events": [LOOKED_UP], "NextToken": "x"}),
        json.dumps(LOOKED_UP),
        f"{json.dumps(RECORD)}\n{json.dumps({**RECORD, 'eventID': 'another'})}\n",
    ],
    ids=["record", "array", "log file", "lookup-events", "one looked up", "lines"],
)
@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
def test_every_form_in_which_cloudtrail_gives_records_is_taken(tmp_path: Path, content: str, *, packed: bool) -> None:
    """A record, an array, lines, a log file (packed or not) and what lookup-events prints all hold the same denial."""
    path = tmp_path / ("events.json.gz" if packed else "events.json")
    path.write_bytes(gzip.compress(content.encode()) if packed else content.encode())
    (grant,) = report(path)["grants"]
    assert (grant["principal"], grant["state"]) == (USER, "pending")


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (gzip.compress(b"{}", mtime=0)[:12], "end-of-stream"),
        (b'{"Events": [{"CloudTrailEvent": "{"}]}', "CloudTrailEvent"),
        (b'{"Events": [{}]}', "neither an EventBridge event"),
        (b'{"Events": [7]}', "JSON object"),
        (b"[" * 100_000, "nested too deeply"),
        (b"{}\n" + b"[" * 100_000, "nested too deeply (line 2)"),
    ],
)
def test_a_file_that_holds_something_else_is_bad_input(tmp_path: Path, content: bytes, why: str) -> None:
    """A cut file, or one without records, ends in one line that says what is wrong, and in 2."""
    path = tmp_path / "events.json"
    path.write_bytes(content)
    result = run("run", path)
    assert (result.exit_code, why in result.stderr) == (2, True), result.stderr


def test_an_event_of_an_account_that_the_world_lacks_is_answered_with_what_to_do() -> None:
    """Who brings events of their own is told of `--world derived`."""
    result = run("run", "--world", ROOT / "tests" / "corpus" / "empty-world.yaml", EVENTS / "geographic-profile.json")
    assert result.exit_code == 2
    assert "--world derived" in result.stderr


@pytest.mark.parametrize("event", ["geographic-profile", "member-account", "another-source-region", "federated-user"])
def test_a_world_is_made_from_the_events(event: str) -> None:
    """With `--world derived` every account and principal of the events is there, and holds no policy."""
    content = report("--world", "derived", EVENTS / f"{event}.json")
    given = json.loads((EVENTS / f"{event}.json").read_text(encoding="utf-8"))
    identity = given["detail"]["userIdentity"]
    issuer = identity.get("sessionContext", {}).get("sessionIssuer", {}).get("arn")
    principal = issuer if identity["type"] == "AssumedRole" else identity["arn"]
    assert content["failures"] == []
    (grant,) = content["grants"]
    if identity["type"] == "FederatedUser":
        assert content["policies"] == {}
    else:
        assert content["policies"] == {principal: []}
        assert (grant["principal"], grant["state"]) == (principal, "pending")
        assert len(grant["resources"]) > 1


def test_a_world_without_profiles_has_those_of_the_catalogue(tmp_path: Path) -> None:
    """Where a world names no profiles, the shipped system-defined ones are there; an empty mapping means none."""
    world = tmp_path / "world.json"
    content = {"account": "123456789012", "users": [{"name": "nova-developer"}]}
    world.write_text(json.dumps(content), encoding="utf-8")
    (grant,) = report("--world", world, EVENTS / "geographic-profile.json")["grants"]
    assert (grant["state"], len(grant["resources"])) == ("pending", 4)
    world.write_text(json.dumps({**content, "inference_profiles": {}}), encoding="utf-8")
    (grant,) = report("--world", world, EVENTS / "geographic-profile.json")["grants"]
    assert grant["reason_code"] == "profile_not_found"


def test_nothing_of_the_shells_aws_settings_is_used(tmp_path: Path) -> None:
    """Endpoints, a missing profile, FIPS and dual-stack endpoints of the person's own set-up change nothing."""
    config = tmp_path / "config"
    config.write_text("[default]\nendpoint_url = http://127.0.0.1:9\nregion = eu-west-3\n", encoding="utf-8")
    ordinary = {
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "AWS_ENDPOINT_URL_DYNAMODB": "http://127.0.0.1:9",
        "AWS_CONFIG_FILE": str(config),
        "AWS_PROFILE": "nobody",
        "AWS_USE_FIPS_ENDPOINT": "true",
        "AWS_USE_DUALSTACK_ENDPOINT": "true",
        "AWS_CA_BUNDLE": "/nonexistent",
        "AWS_REGION": "eu-west-3",
        "AWS_DEFAULT_REGION": "eu-west-3",
    }
    command = [sys.executable, "-m", "sandbox", "run", "--json", str(EVENTS / "geographic-profile.json")]
    answers = [
        subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env={**os.environ, **more})  # noqa: S603 - our own words
        for more in ({}, ordinary)
    ]
    assert [(each.returncode, each.stderr) for each in answers] == [(0, ""), (0, "")]
    assert answers[0].stdout == answers[1].stdout


def test_the_tests_themselves_leave_the_shells_aws_settings(tmp_path: Path) -> None:
    """A test run in a shell with an ordinary AWS set-up does what it does in a bare one."""
    ordinary = {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_PROFILE": "nobody", "AWS_USE_FIPS_ENDPOINT": "true"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/integration/test_bedrock.py"]
    done = subprocess.run(  # noqa: S603 - our own words
        command, cwd=ROOT, capture_output=True, text=True, check=False, env={**os.environ, **ordinary}
    )
    assert done.returncode == 0, done.stdout


def test_a_port_that_is_taken_is_told() -> None:
    """A port that somebody else listens on is bad input."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        result = run("serve", "--port", taken.getsockname()[1])
    assert result.exit_code == 2
    assert "port" in result.stderr


@pytest.fixture
def served(rules: Path) -> Iterator[str]:
    """The address of a stack that is kept up."""
    options = Options(parameters={"Mode": "auto"}, allowlist={"main": rules.read_text(encoding="utf-8")}, ticking=True)
    with Sandbox(read_world(), options) as sandbox, make_server(sandbox, 0) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def ask(url: str, body: bytes | None = None) -> tuple[int, Any]:
    """A request's status and its JSON answer."""
    request = urllib.request.Request(url, data=body)  # noqa: S310 - this machine
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=30) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def test_a_stack_can_be_kept_up(served: str) -> None:
    """POST /events handles events one after the other on one ledger; GET shows each part of the report."""
    event = (EVENTS / "geographic-profile.json").read_bytes()
    assert ask(f"{served}/events", event) == (202, {"accepted": 1, "matched": 1})
    assert ask(f"{served}/events", event) == (202, {"accepted": 1, "matched": 1})
    _, grants = ask(f"{served}/grants")
    assert [(grant["state"], grant["denials"]) for grant in grants] == [("active", 1)]
    assert len(ask(f"{served}/notices")[1]) == 1
    assert list(ask(f"{served}/report")[1]) == KEYS


@pytest.mark.parametrize(
    ("path", "body", "status"), [("/nothing", None, 404), ("/nothing", b"{}", 404), ("/events", b"nonsense", 400)]
)
def test_a_bad_request_is_told(served: str, path: str, body: bytes | None, status: int) -> None:
    """A path that is not there, or a body that holds no event, is answered with the reason."""
    code, answer = ask(f"{served}{path}", body)
    assert (code, list(answer)) == (status, ["error"])


def test_the_help_of_serve_lists_the_routes_line_by_line() -> None:
    """A table that can be read: each route begins a line."""
    lines = run("serve", "--help").output.splitlines()
    for route in ("POST /events", "GET  /notices", "POST /upkeep", "GET  /clock"):
        assert any(line.strip().startswith(route) for line in lines), route
