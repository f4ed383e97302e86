"""MiniStack with the stack deployed, for `make emulate`: a server and processes of its own, on this machine only.

Everything that it starts ends with it; what the server and `sam deploy` said stays in a folder that is named when
something fails.
"""

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import boto3
from boto3.dynamodb.types import TypeDeserializer
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from sandbox.bedrock import Bedrock
from sandbox.calls import Call
from sandbox.interception import Authority
from sandbox.report import COLUMNS
from sandbox.running import Given
from sandbox.template import STACK_NAME
from sandbox.world import Role, User, World
from tests.builders.shipped import ROOT

PYTHON: Final = ROOT / ".venv-emulate" / "bin" / "python"
SAM: Final = ROOT / ".venv-sam" / "bin" / "sam"
SERVER: Final = ROOT / "tests" / "emulation" / "server.py"
ALLOWLIST: Final = "/bedrock-access-remediator/allowlist"
_LONGEST: Final = 90
"""Seconds that anything may take."""

_TRUST: Final = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}],
}
_QUICK: Final = Config(retries={"total_max_attempts": 1}, read_timeout=60)


class Emulator:
    """An emulated account.

    Args:
        world: What is in the account. Of its principals those are made that `load` names.
        folder: Where logs go.
    """

    def __init__(self, world: World, folder: Path) -> None:
        self._world = world
        self._folder = folder
        self._port = _free_port()
        self._outputs: dict[str, str] = {}
        self._mails = folder / "mails.jsonl"
        catalogue = folder / "catalogue.json"
        catalogue.write_text(json.dumps(_catalogue(world), default=datetime.isoformat), encoding="utf-8")
        authority = Authority(folder)
        certificate = folder / "ca.pem"
        certificate.write_bytes(authority.pem)
        self.address = f"https://localhost:{self._port}"
        self._certificate = str(certificate)
        self._environment = {
            "PATH": os.environ["PATH"],
            "TMPDIR": str(folder),
            "AUTH": "true",
            "USE_SSL": "1",
            "MINISTACK_SSL_CERT": str(authority.certify("localhost")),
            "MINISTACK_SSL_KEY": str(authority.certify("localhost")),
            "AWS_CA_BUNDLE": str(certificate),
            "AWS_ENDPOINT_URL": self.address,
            "IOT_MTLS_ENABLED": "0",
            "BIND_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(self._port),
            "MINISTACK_ACCOUNT_ID": world.account,
            "EMULATION_CATALOGUE": str(catalogue),
            "EMULATION_MAILS": str(self._mails),
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": world.region,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    @contextlib.contextmanager
    def started(self) -> Iterator[None]:
        """Within the block the server answers."""
        with (self._folder / "ministack.log").open("wb") as log:
            process = subprocess.Popen(  # noqa: S603 - our own script
                [str(PYTHON), str(SERVER)],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
            try:
                self.until("the server answers", self._answers)
                yield
            finally:
                # Its functions are processes of its group.
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def _answers(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self._port), timeout=1):
            return True
        return False

    def until(self, what: str, true: Callable[[], bool], seconds: float = _LONGEST) -> None:
        """Wait until something is so.

        Raises:
            AssertionError: It is not, after so many seconds.
        """
        end = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < end, f"not so after {seconds} s: {what}; logs are in {self._folder}"
            time.sleep(0.25)

    def client(self, service: str, region: str | None = None, **credentials: str) -> Any:
        """A client; without credentials it is the account's root."""
        own = credentials or {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
        return boto3.Session().client(  # type: ignore[call-overload]  # the stubs list every service
            service,
            region_name=region or self._world.region,
            endpoint_url=self.address,
            verify=self._certificate,
            config=_QUICK,
            **own,
        )

    def sam(self, *command: str) -> str:
        """Run the SAM CLI; gives what it said."""
        ran = subprocess.run(  # noqa: S603 - the project's own
            [str(SAM), *command],
            cwd=ROOT,
            env={**self._environment, "SAM_CLI_TELEMETRY": "0"},
            capture_output=True,
            text=True,
            timeout=2 * _LONGEST,
            check=False,
        )
        said = ran.stdout + ran.stderr
        (self._folder / f"sam-{command[0]}.log").write_text(said, encoding="utf-8")
        assert ran.returncode == 0, f"sam {command[0]}: {said[-2000:]}; logs are in {self._folder}"
        return said

    def deploy(self, **parameters: str) -> None:
        """Deploy what `sam build` made, or update the stack."""
        given = " ".join(f'{name}="{value}"' for name, value in parameters.items())
        self.sam(
            "deploy", "--resolve-s3", "--no-confirm-changeset", "--stack-name", STACK_NAME,
            "--capabilities", "CAPABILITY_IAM", "--parameter-overrides", given, "--no-fail-on-empty-changeset",
        )  # fmt: skip
        (stack,) = self.client("cloudformation").describe_stacks(StackName=STACK_NAME)["Stacks"]
        assert stack["StackStatus"] in {"CREATE_COMPLETE", "UPDATE_COMPLETE"}, stack["StackStatus"]
        self._outputs = {each["OutputKey"]: each["OutputValue"] for each in stack["Outputs"]}

    def physical(self, logical_id: str) -> str:
        """The physical id of a resource of the stack."""
        answer = self.client("cloudformation").describe_stack_resource(
            StackName=STACK_NAME, LogicalResourceId=logical_id
        )
        return str(answer["StackResourceDetail"]["PhysicalResourceId"])

    def load(self, names: Iterable[str]) -> None:
        """Make these principals of the world, and all groups."""
        iam, wanted = self.client("iam"), set(names)
        for group in self._world.groups:
            iam.create_group(GroupName=group.name, Path=group.path)
            for name, document in group.inline.items():
                iam.put_group_policy(GroupName=group.name, PolicyName=name, PolicyDocument=json.dumps(document))
        for user in self._world.users:
            if user.name in wanted:
                iam.create_user(UserName=user.name, Path=user.path)
                self._give(iam, user, "user")
                for name in user.groups:
                    iam.add_user_to_group(GroupName=name, UserName=user.name)
        for role in self._world.roles:
            if role.name in wanted:
                tags = [{"Key": key, "Value": value} for key, value in role.tags.items()]
                iam.create_role(
                    RoleName=role.name, Path=role.path, AssumeRolePolicyDocument=json.dumps(_TRUST), Tags=tags
                )
                self._give(iam, role, "role")

    def _give(self, iam: Any, principal: Role | User, kind: str) -> None:
        own = {f"{kind.title()}Name": principal.name}
        for name, document in principal.inline.items():
            getattr(iam, f"put_{kind}_policy")(**own, PolicyName=name, PolicyDocument=json.dumps(document))
        for name, managed in principal.managed.items():
            getattr(iam, f"attach_{kind}_policy")(**own, PolicyArn=self._policy(iam, name, managed))
        if principal.boundary is not None:
            arn = self._policy(iam, f"boundary-of-{principal.name}", principal.boundary)
            getattr(iam, f"put_{kind}_permissions_boundary")(**own, PermissionsBoundary=arn)

    def _policy(self, iam: Any, name: str, document: Any) -> str:
        if isinstance(document, str):
            return document
        made = iam.create_policy(PolicyName=name, PolicyDocument=json.dumps(document))
        return str(made["Policy"]["Arn"])

    def allow(self, text: str) -> None:
        """Write the allowlist's `main`."""
        self.client("ssm").put_parameter(Name=f"{ALLOWLIST}/main", Value=text, Type="String", Overwrite=True)

    def mails(self) -> list[str]:
        """The text of every e-mail so far."""
        if not self._mails.exists():
            return []
        lines = self._mails.read_text(encoding="utf-8").splitlines()
        return [json.loads(json.loads(line)["message"]).get("email", "") for line in lines]

    def put(self, events: Sequence[Given]) -> None:
        """Hand events to EventBridge, as CloudTrail does."""
        client = self.client("events")
        for given in events:
            event = given.event
            entry = {
                "Source": event["source"],
                "DetailType": event["detail-type"],
                "Detail": json.dumps(event["detail"]),
                "Resources": event.get("resources", []),
            }
            answer = client.put_events(Entries=[entry])
            assert answer["FailedEntryCount"] == 0, answer

    def items(self) -> list[dict[str, Any]]:
        """The ledger's items."""
        read = TypeDeserializer().deserialize
        pages = self.client("dynamodb").get_paginator("scan").paginate(TableName=self.physical("Ledger"))
        found = [{name: read(value) for name, value in item.items()} for page in pages for item in page["Items"]]
        return sorted(found, key=lambda item: (item["pk"], item["sk"]))

    def rows(self) -> list[dict[str, Any]]:
        """The ledger's rows, as `sandbox run --json` has them, without when they end."""
        items = self.items()
        seen = [item for item in items if item["sk"].startswith("seen#")]
        rows = []
        for item in (item for item in items if "state" in item):
            row: dict[str, Any] = {name: item.get(name) for name in COLUMNS}
            row["resources"] = sorted(item.get("resources") or ())
            row["actions"] = list(item.get("actions") or ())
            row["denials"] = int(
                sum(each["count"] for each in seen if (each["pk"], each["row"]) == (item["pk"], item["sk"]))
            )
            row["version"] = int(item["version"])
            rows.append(row)
        return rows

    def states(self) -> dict[str, str]:
        """The last part of the principal's ARN -> its row's state."""
        return {str(row["principal"]).rpartition("/")[2]: row["state"] for row in self.rows()}

    def policies(self, kind: str, name: str) -> list[dict[str, Any]]:
        """The documents of the managed policies that are attached to a principal, by the service's own path."""
        iam, own = self.client("iam"), {f"{kind.title()}Name": name}
        documents = []
        for each in getattr(iam, f"list_attached_{kind}_policies")(**own)["AttachedPolicies"]:
            if ":policy/bedrock-access-remediator/" in each["PolicyArn"]:
                policy = iam.get_policy(PolicyArn=each["PolicyArn"])["Policy"]
                version = iam.get_policy_version(PolicyArn=each["PolicyArn"], VersionId=policy["DefaultVersionId"])
                documents.append(version["PolicyVersion"]["Document"])
        return documents

    def connection(self) -> "Gateway":
        """A way to the API, by the address in the links."""
        return Gateway(self._port, self._certificate, urlsplit(self._outputs["ApprovalUrl"]).netloc.partition(".")[0])

    def api(self, role: str, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Call the API, signed with SigV4 by a session of a role; gives the status and the answer."""
        session = self.session(role)
        content = b"" if body is None else json.dumps(body).encode()
        gateway = self.connection()
        request = AWSRequest(
            method, f"https://{gateway.host}{path}", headers={"Content-Type": "application/json"}, data=content
        )
        own = Credentials(*session.values())
        SigV4Auth(own, "execute-api", self._world.region).add_auth(request)
        gateway.request(method, path, content, dict(request.headers))
        answer = gateway.getresponse()
        text = answer.read().decode()
        gateway.close()
        with contextlib.suppress(ValueError):
            return answer.status, json.loads(text)
        return answer.status, text

    def session(self, role: str) -> dict[str, str]:
        """Credentials of a session of a role, as a person assumes it."""
        assumed = self.client("sts", **self._person()).assume_role(RoleArn=role, RoleSessionName="ana")["Credentials"]
        return {
            "aws_access_key_id": assumed["AccessKeyId"],
            "aws_secret_access_key": assumed["SecretAccessKey"],
            "aws_session_token": assumed["SessionToken"],
        }

    def _person(self) -> dict[str, str]:
        iam = self.client("iam")
        with contextlib.suppress(ClientError):
            iam.create_user(UserName="ana")
        statement = {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "*"}
        document = {"Version": "2012-10-17", "Statement": [statement]}
        iam.put_user_policy(UserName="ana", PolicyName="assume", PolicyDocument=json.dumps(document))
        key = iam.create_access_key(UserName="ana")["AccessKey"]
        return {"aws_access_key_id": key["AccessKeyId"], "aws_secret_access_key": key["SecretAccessKey"]}

    def delete(self) -> None:
        """Delete the stack."""
        self.sam("delete", "--no-prompts", "--stack-name", STACK_NAME, "--region", self._world.region)


class Gateway:
    """A connection to the HTTP API, which its host name tells."""

    def __init__(self, port: int, certificate: str, api: str) -> None:
        self.host = f"{api}.execute-api.localhost:{port}"
        self._port = port
        self._context = ssl.create_default_context(cafile=certificate)
        self._connection: http.client.HTTPConnection | None = None

    def request(self, method: str, url: str, body: Any = None, headers: Any = None, /) -> None:
        """Send a request."""
        self._connection = http.client.HTTPSConnection("localhost", self._port, timeout=60, context=self._context)
        own: Mapping[str, str] = {name: value for name, value in (headers or {}).items() if name.lower() != "host"}
        self._connection.request(method, url, body, {**own, "Host": self.host})

    def close(self) -> None:
        """Close it."""
        if self._connection is not None:
            self._connection.close()

    def getresponse(self) -> http.client.HTTPResponse:
        """Its answer."""
        assert self._connection is not None
        return self._connection.getresponse()


def link_in(mails: Sequence[str], principal: str) -> str:
    """The link of the last mail to approvers about a principal."""
    found = [link for text in mails if principal in text for link in re.findall(r"(?m)^https://\S+/request/\S+$", text)]
    assert found, f"no mail about {principal} has a link"
    return str(found[-1])


def _catalogue(world: World) -> dict[str, Any]:
    """Bedrock's profiles and models by region, as the sandbox's Bedrock describes them."""
    own = Bedrock(world.account, world).answers

    def ask(operation: str, region: str, **parameters: Any) -> Mapping[str, Any]:
        call = Call(
            service="bedrock",
            operation=operation,
            parameters=parameters,
            region=region,
            account=world.account,
            caller=None,
        )
        return own[operation](call)

    return {
        region: {
            "profiles": [
                profile
                for kind in ("SYSTEM_DEFINED", "APPLICATION")
                for profile in ask("ListInferenceProfiles", region, typeEquals=kind, maxResults=1000)[
                    "inferenceProfileSummaries"
                ]
            ],
            "models": ask("ListFoundationModels", region)["modelSummaries"],
        }
        for region in world.inference_profiles
    }


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextlib.contextmanager
def emulated(world: World) -> Iterator[Emulator]:
    """An emulated account, empty. Its logs stay in a folder of the machine's temporary files."""
    assert PYTHON.exists(), f"{PYTHON} is not there: run `make emulate`"
    folder = Path(tempfile.mkdtemp(prefix="emulate-"))
    emulator = Emulator(world, folder)
    with emulator.started():
        yield emulator
