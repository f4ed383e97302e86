"""Puts the stack together from template.yaml, and keeps it moving until nothing moves.

```python
with Sandbox(world, Options(mode="auto")) as sandbox:
    sandbox.put(event)
    sandbox.run()
    sandbox.ledger.items()
```
"""

import contextlib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import boto3
from moto.moto_api._internal import mock_random
from msgspec import Struct

from sandbox.accounts import Accounts
from sandbox.authorization import Authorization
from sandbox.buses import Buses
from sandbox.clock import VirtualClock
from sandbox.description import Description
from sandbox.dynamodb import quickened
from sandbox.endpoint import Endpoint, connected, emptied
from sandbox.faults import Faults
from sandbox.http_api import HttpApi, routes_of
from sandbox.interleaving import Interleaving
from sandbox.kms import MacKeys
from sandbox.lambdas import Function
from sandbox.ledger import Ledger
from sandbox.mappings import QueueMapping, StreamMapping
from sandbox.motion import Motion
from sandbox.organizations import Directory, OrganizationPolicies
from sandbox.other_stacks import OtherStacks
from sandbox.output import FUNCTION_OUTPUT
from sandbox.pipes import Pipe
from sandbox.queues import DeadLetter, Queues
from sandbox.schedules import Schedule
from sandbox.secretsmanager import SecretStore
from sandbox.sessions import one_reader, refill_quotas, session
from sandbox.sns import Outbox
from sandbox.ssm import ParameterStore
from sandbox.streams import TableStream
from sandbox.sts import SecurityTokens
from sandbox.subscriptions import Subscriptions
from sandbox.template import Stack, load, transformed
from sandbox.trail import Trail
from sandbox.world import World

TEMPLATE: Final = Path(__file__).parent.parent / "template.yaml"
SLACK_API: Final = "https://slack.com/api/"
"""The address of Slack's API in the template. Nothing in the sandbox reaches it: another one stands for it."""

CHOICES: Final = {"ApproverAuth": "link"}
"""Parameters without a default, which whoever deploys has to choose: what the sandbox chooses, where they exist."""


class Options(Struct, frozen=True, kw_only=True):
    """How a sandbox is set up.

    `parameters` are the template's; `allowlist` is name -> text of the documents under the allowlist's path; `now` is
    the time that the sandbox begins with; `ticking` lets the machine's clock move it on; `verbose` shows what the
    functions print on stderr. `secrets` are those that the template only names: ARN -> text; `slack_api` is the address
    that stands for Slack's, by itself one where nobody answers. For tests: `stand_ins` are others of that kind, by the
    address that they stand for; `seed` has several batches of a queue handled at once, in an order that the seed
    decides; `settle_seconds` is how long the simulator takes to see a change of IAM; `faults` spoils a call;
    `make_function` makes the functions (`sandbox/runtime.py` has another).
    """

    parameters: Mapping[str, str] = {}
    allowlist: Mapping[str, str] = {}
    secrets: Mapping[str, str] = {}
    slack_api: str = "http://127.0.0.1:1/api/"
    now: datetime = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
    ticking: bool = False
    verbose: bool = False
    template: Path = TEMPLATE
    stand_ins: Mapping[str, str] = {}
    seed: int | None = None
    settle_seconds: float = 0
    faults: Faults | None = None
    make_function: Callable[..., Function] = Function


class Sandbox:
    """The stack in this process. A context manager: within it, the process's AWS clients talk to this sandbox.

    Args:
        world: The account as it begins.
        options: How to set it up.

    Raises:
        BadInputError: The world names what there is not.
        TemplateError: The template cannot be deployed.
    """

    def __init__(self, world: World, options: Options | None = None) -> None:
        self.world = world
        self.options = options or Options()
        self.clock = VirtualClock(self.options.now, ticking=self.options.ticking)
        self.stack: Stack = load(
            self.options.template,
            parameters=_chosen(self.options, world) | dict(self.options.parameters),
            account=world.account,
            region=world.region,
            partition=world.partition,
        )
        self._turns = None if self.options.seed is None else Interleaving(self.options.seed)
        self.endpoint = Endpoint(world.account, self._turns, self.options.faults)
        self.outbox = Outbox({self.stack.ref(name): name for name in self.stack.of_type("AWS::SNS::Topic")})
        self.trail = Trail(world)
        self.matched = 0
        self._closing = contextlib.ExitStack()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as opened:
            opened.enter_context(emptied())
            opened.enter_context(self.clock.installed())
            opened.enter_context(quickened())
            opened.enter_context(one_reader())
            opened.enter_context(connected(self.endpoint))
            FUNCTION_OUTPUT.reset(verbose=self.options.verbose)
            mock_random.seed(0)
            refill_quotas()
            self._deploy()
            self._closing = opened.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.close()

    def _deploy(self) -> None:
        self.accounts = Accounts(self.world, self.clock.now, self.options.settle_seconds, self._partition_key)
        self.accounts.load(self.world)
        own = session("AKIASANDBOX", self.world.region)
        self._queues = Queues(self.stack, self.clock.seconds)
        self.queues = self._queues.by_arn
        self._make_topics(own)
        self._make_tables(own)
        self._answer_calls()
        self._make_functions()
        self._connect()

    def _make_topics(self, own: boto3.Session) -> None:
        client = own.client("sns")
        for name, topic in self.stack.of_type("AWS::SNS::Topic").items():
            client.create_topic(
                Name=self.stack.attribute(name, "TopicName"), Attributes={"DisplayName": topic.get("DisplayName", "")}
            )

    def _make_tables(self, own: boto3.Session) -> None:
        self._tables = {name: Ledger(self.stack, name, own) for name in self.stack.of_type("AWS::DynamoDB::Table")}
        self.ledger = self._tables["Ledger"]
        self._streams = {
            stream.arn: stream
            for stream in (
                TableStream(self.stack.arn(name), self.stack.attribute(name, "StreamArn"), self.clock)
                for name, table in self.stack.of_type("AWS::DynamoDB::Table").items()
                if "StreamSpecification" in table
            )
        }

    def _answer_calls(self) -> None:
        """Connect the stand-ins, and the checks that come before moto."""
        self.parameters = ParameterStore(self.world.account, self.world.partition)
        for name, text in self.options.allowlist.items():
            self.parameters.put(f"{self.stack.parameters['AllowlistPath']}/{name}", text)
        self.secrets = SecretStore(self.stack)
        for arn, text in self.options.secrets.items():
            self.secrets.put(arn, text)
        self.authorization = Authorization(
            self.stack, self.accounts.names, self.clock.now, self.world.organization_of, self.accounts.scps
        )
        tokens = SecurityTokens(lambda role: self.other_stacks.roles.get(role, {}), self.clock.now)
        self.endpoint.roles = tokens.sessions
        self.endpoint.refusals += [tokens.check, self.authorization.check]
        self.endpoint.checks = {"iam": self.accounts.check, "sns": self.outbox.check}
        subscriptions = Subscriptions(self.stack, self.queues, self.authorization, self.clock)
        self.outbox.listeners.append(subscriptions.deliver)
        self.endpoint.observers = {"sns:Publish": self.outbox.record}
        answers = {
            "secretsmanager": self.secrets.answers,
            "ssm": self.parameters.answers,
            "sqs": self._queues.answers,
            "organizations": {**Directory(self.world).answers, **OrganizationPolicies(self.world).answers},
            "sts": tokens.answers,
            "kms": MacKeys(self.stack).answers,
            "cloudtrail": self.trail.answers,
        }
        self.description = Description(self.stack, self.queues, self.options.now)
        self.endpoint.answers = {
            **self.accounts.answers,
            **{f"{service}:{name}": answer for service, some in answers.items() for name, answer in some.items()},
            **self.description.answers,
        }

    def _partition_key(self, table: str) -> str:
        return next(str(each.keys[0]) for each in self._tables.values() if each.name == table)

    def _make_functions(self) -> None:
        root = self.options.template.resolve().parent
        replaced = {SLACK_API: self.options.slack_api, **self.options.stand_ins}
        functions = [
            self.options.make_function(self.stack, name, root, self.clock, replaced)
            for name in self.stack.of_type("AWS::Lambda::Function")
        ]
        self.functions = {function.logical_id: function for function in functions}
        self.endpoint.callers = {function.access_key: function.logical_id for function in functions}
        if self.options.faults is not None:
            self.options.faults.wait = self.clock.sleep
            self.options.faults.invocation = lambda name: len(self.functions[name].invocations)

    def _connect(self) -> None:
        self._buses = Buses(self.authorization)
        self._buses.add(self.stack, self.queues)
        folder = self.options.template.resolve().parent / "stacks"
        self.other_stacks = OtherStacks(
            self.world, self.stack, folder, self._buses, self.authorization, self.clock.seconds
        )
        by_reference = {
            name: function for function in self.functions.values() for name in (function.name, function.arn)
        }
        self._motion = Motion(self.clock)
        for name, mapping in self.stack.of_type("AWS::Lambda::EventSourceMapping").items():
            function = by_reference[mapping["FunctionName"]]
            source = mapping["EventSourceArn"]
            if source in self._streams:
                stream = self._streams[source]
                self._motion.read(
                    StreamMapping(name, mapping, stream, function, self.queues, self.authorization, self.clock).consumer
                )
            else:
                queue = self.queues[source]
                self._motion.deliver(QueueMapping(name, mapping, queue, function, self.authorization, self._turns))
        for name in self.stack.of_type("AWS::Pipes::Pipe"):
            self._motion.read(
                Pipe(self.stack, name, self._streams, self.queues, self.authorization, self.clock).consumer
            )
        self.schedules = {
            name: Schedule(self.stack, name, by_reference, self.queues, self.authorization, self.clock)
            for name in self.stack.of_type("AWS::Scheduler::Schedule")
        }
        self.api = HttpApi(
            routes_of(self.stack, self.functions.values()),
            now=self.clock.now,
            callers=self._approvers(),
            account=self.world.account,
        )

    def _approvers(self) -> dict[str, str]:
        """Access key ids for the API: of the first role that may approve `ASIAAPPROVER1`, and so on."""
        arns = filter(None, self.stack.parameters.get("ApproverRoleArns", ()))
        sessions = (
            f"{arn.replace(':iam:', ':sts:').partition(':role/')[0]}:assumed-role/{arn.rpartition('/')[2]}"
            for arn in arns
        )
        return {f"ASIAAPPROVER{number}": f"{each}/approver" for number, each in enumerate(sessions, start=1)}

    @property
    def url(self) -> str:
        """The address of the HTTP API on AWS, with which the links in notices begin."""
        return self.stack.outputs["ApprovalUrl"]

    def put(self, event: Mapping[str, Any]) -> bool:
        """Hand an event to EventBridge, in its account and region; whether a rule matched it."""
        matched = self.other_stacks.put(event)
        self.matched += matched
        return matched

    def run(self) -> None:
        """Let the stack work until nothing moves; what waits for a later time has that time come at once.

        Raises:
            EndlessRunError: It does not come to rest.
        """
        self._motion.run()

    def turn(self, function: str) -> None:
        """Let the queue of a function deliver once, whatever else is going on."""
        self._motion.turn(function)

    def repeat(self, function: str) -> None:
        """Deliver once more what a function's queue has out for delivery: queues may do so at any time."""
        self._motion.repeat(function)

    def replay(self) -> None:
        """Deliver the whole stream once more to all who read it, as a consumer that begins at TRIM_HORIZON gets it."""
        self._motion.rewind()
        self.run()

    @property
    def failures(self) -> list[DeadLetter]:
        """Every message that nothing will handle any more."""
        aside = self._queues.without_reader(self._motion.read_queues)
        letters = [letter for queue in aside for letter in queue.dead_letters()]
        return [*letters, *self.other_stacks.failures, *self._buses.lost]


def _chosen(options: Options, world: World) -> dict[str, str]:
    """What the sandbox chooses for those parameters that the template has."""
    declared = transformed(options.template.read_text(encoding="utf-8"), world.region).get("Parameters", {})
    organization = {
        "OrganizationId": world.organization_of(world.account) or "",
        "EnrolledAccounts": ",".join(account for account, member in world.accounts.items() if member.enrolled),
    }
    return {name: value for name, value in (CHOICES | organization).items() if value and name in declared}
