"""The stacks beside the hub's: stacks/region.yaml in its other regions, stacks/member.yaml in the other accounts.

Each is made from its template when it is first needed, with the hub's outputs as its parameters. An event begins on the
default bus of its own account and region, and comes to the hub only if the rule there forwards it.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from sandbox.authorization import Authorization
from sandbox.buses import Buses
from sandbox.naming import Place, bus_arn
from sandbox.queues import DeadLetter, Queues
from sandbox.template import STACK_NAME, Stack, load, transformed
from sandbox.world import Member, World


class OtherStacks:
    """The stacks of a world beside the hub's, and the way of an event.

    Args:
        world: The world.
        hub: The hub's stack.
        folder: Where region.yaml and member.yaml are. Without the folder the hub's own bus takes every event.
        buses: EventBridge.
        authorization: Is told of the stacks' policies.
        now: The time, in seconds since 1970.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - everything that a stack is joined to
        self,
        world: World,
        hub: Stack,
        folder: Path,
        buses: Buses,
        authorization: Authorization,
        now: Callable[[], float],
    ) -> None:
        self._world = world
        self._hub = hub
        self._folder = folder
        self._buses = buses
        self._authorization = authorization
        self._now = now
        self._queues: dict[tuple[str, str], Queues] = {}
        self.roles: dict[str, Mapping[str, Any]] = {}
        """A role's ARN -> its properties, of every stack but the hub's."""
        for account, member in world.accounts.items():
            for region in _regions(member, world.region):
                self._deploy(account, region)

    def put(self, event: Mapping[str, Any]) -> bool:
        """Hand an event to the default bus of its account and region; whether a rule saw it, all the way to the hub."""
        account, region = _place_of(event, self._hub.place)
        place = Place(partition=self._hub.place.partition, region=region, account=account, stack_name=STACK_NAME)
        if self._is_hubs(account, region):
            place = self._hub.place
        elif (account, region) not in self._queues and self._lets(account, region):
            self._deploy(account, region)
        return self._buses.put(event, bus_arn(place, "default"))

    @property
    def failures(self) -> list[DeadLetter]:
        """What is in the dead-letter queues of the other stacks; a queue's name begins with its account and region."""
        return [
            msgspec.structs.replace(letter, queue=f"{account}/{region}/{letter.queue}")
            for (account, region), queues in self._queues.items()
            for queue in queues.by_arn.values()
            for letter in queue.dead_letters()
        ]

    def _is_hubs(self, account: str, region: str) -> bool:
        """Whether the hub's own bus takes an event: also of an account that the world does not list.

        Nobody has said what forwards such an account's events, and to see what the hub makes of them is worth more than
        to see nothing.
        """
        alone = not self._folder.is_dir() or account not in self._world.everywhere
        return alone or (account, region) == (self._world.account, self._world.region)

    def _lets(self, account: str, region: str) -> bool:
        """Whether a stack is to be where the first event of an account and region has just come from."""
        content = self._world.everywhere[account]
        there = not isinstance(content, Member) or content.stack
        return there and (content.regions is None or region in content.regions)

    def _deploy(self, account: str, region: str) -> None:
        kind = "region" if account == self._world.account else "member"
        template = self._folder / f"{kind}.yaml"
        stack = load(
            template,
            parameters=self._parameters(template),
            account=account,
            region=region,
            partition=self._hub.place.partition,
            stack_name=f"{STACK_NAME}-{kind}-{region}",
        )
        queues = Queues(stack, self._now)
        self._queues[account, region] = queues
        self._authorization.add(stack)
        self._buses.add(stack, queues.by_arn)
        self.roles |= {stack.arn(name): role for name, role in stack.of_type("AWS::IAM::Role").items()}

    def _parameters(self, template: Path) -> dict[str, str]:
        """What docs/organisation.md tells people to give: the hub's outputs and parameters, by name, and its place."""
        text = template.read_text(encoding="utf-8")
        place = self._hub.place
        known = {
            "HubAccountId": place.account,
            "HubRegion": place.region,
            "PrimaryRegion": place.region,
            **{name: _joined(value) for name, value in self._hub.parameters.items()},
            **self._hub.outputs,
        }
        declared = transformed(text, place.region).get("Parameters", {})
        return {name: known[name] for name in declared if name in known}


def _regions(member: Member, home: str) -> tuple[str, ...]:
    if not member.stack:
        return ()
    return (home,) if member.regions is None else member.regions


def _joined(value: str | list[str]) -> str:
    return value if isinstance(value, str) else ",".join(value)


def _place_of(event: Mapping[str, Any], home: Place) -> tuple[str, str]:
    """An event's account and region; one that does not say is the hub's."""
    account, region = event.get("account"), event.get("region")
    return account if isinstance(account, str) else home.account, region if isinstance(region, str) else home.region
