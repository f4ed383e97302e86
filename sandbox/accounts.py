"""The accounts of a world, each with its own IAM, simulator and Bedrock: the one that a call reaches answers it."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from msgspec import Struct

from sandbox.authorization_details import AccessTroubleshooter
from sandbox.bedrock import Bedrock
from sandbox.calls import Call
from sandbox.evaluator import Source
from sandbox.iam import IamRules
from sandbox.inventory import Inventory
from sandbox.population import Directory
from sandbox.requirements import Names
from sandbox.simulation import Simulator
from sandbox.world import World

Answers = Mapping[str, Callable[[Call], Mapping[str, Any]]]


class AccountServices(Struct, frozen=True, kw_only=True):
    """What stands for AWS in one account."""

    directory: Directory
    rules: IamRules
    names: Names
    scps: tuple[Source, ...]
    answers: Answers


class Accounts:
    """Every account of a world.

    Args:
        world: The world.
        now: The time.
        settle_seconds: How long it takes until the simulators see a change of a principal's policies.
        partition_key: A table's name -> its partition key's attribute.
    """

    def __init__(
        self,
        world: World,
        now: Callable[[], datetime],
        settle_seconds: float,
        partition_key: Callable[[str], str],
    ) -> None:
        self.by_id = {
            account: _services(world, account, now, settle_seconds, partition_key) for account in world.everywhere
        }
        self.answers: Answers = dict.fromkeys(self.by_id[world.account].answers, self._answer)

    def load(self, world: World) -> None:
        """Put every account's groups, roles and users into its IAM.

        Raises:
            BadInputError: It names an AWS managed policy that there is not.
        """
        for account, content in world.everywhere.items():
            self.by_id[account].directory.load(content, world.region)

    def directory(self, arn: str) -> Directory:
        """The IAM of the account that an ARN names."""
        return self.by_id[arn.split(":")[4]].directory

    def names(self, account: str) -> Names:
        """What turns an operation's parameters into an account's ARNs."""
        return self.by_id[account].names

    def scps(self, account: str) -> tuple[Source, ...]:
        """The service control policies that roles of an account are held to in what they do themselves."""
        return self.by_id[account].scps if account in self.by_id else ()

    def check(self, call: Call) -> bool:
        """Whether moto has anything left to do for a call to IAM.

        Raises:
            ApiError: AWS would refuse it.
        """
        return self.by_id[call.account].rules.check(call)

    def _answer(self, call: Call) -> Mapping[str, Any]:
        return self.by_id[call.account].answers[call.name](call)


def _services(
    world: World,
    account: str,
    now: Callable[[], datetime],
    settle_seconds: float,
    partition_key: Callable[[str], str],
) -> AccountServices:
    content = world.everywhere[account]
    documents = (*world.scps, *(content.scps if content is not world else ()))
    directory = Directory(account, world.partition)
    rules, bedrock = IamRules(directory), Bedrock(account, content)
    simulator = Simulator(directory, documents, world.simulator, now, settle_seconds)
    answers = {
        "iam": {**rules.answers, **simulator.answers, **Inventory(directory).answers},
        "bedrock": bedrock.answers,
        "iam-toolbox": AccessTroubleshooter(content.authorization_details).answers,
    }
    return AccountServices(
        directory=directory,
        rules=rules,
        names=Names(
            account=account,
            partition=world.partition,
            principal=directory.described,
            profile=bedrock.profile_arn,
            partition_key=partition_key,
            organization=world.organization_of(account),
        ),
        scps=tuple(
            Source(id=f"scp-{index}", type="Service Control Policy", document=document)
            for index, document in enumerate(documents, start=1)
        ),
        answers={f"{service}:{name}": answer for service, some in answers.items() for name, answer in some.items()},
    )
