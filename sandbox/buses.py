"""EventBridge: the buses of every account and region, and their rules, which hand events to a queue or another bus."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from msgspec import Struct

from sandbox.authorization import Authorization
from sandbox.filters import passes, pattern
from sandbox.intrinsics import TemplateError
from sandbox.naming import bus_arn
from sandbox.queues import DeadLetter, Queue
from sandbox.requirements import Requirement
from sandbox.template import Stack

ALL_MANAGEMENT_EVENTS: Final = "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS"
BY_CLOUDTRAIL: Final = "AWS API Call via CloudTrail"
_UNSUPPORTED: Final = ("Input", "InputPath", "InputTransformer")
_SERVICE: Final = "events.amazonaws.com"
_LAG: Final = 900
"""Seconds from a call to the delivery of its record."""


class Rule(Struct, frozen=True, kw_only=True):
    """A rule of a stack; `bus` is the ARN of the bus that it is on."""

    name: str
    arn: str
    bus: str
    state: str
    pattern: Any
    targets: tuple[Mapping[str, Any], ...]

    def sees(self, event: Mapping[str, Any]) -> bool:
        """Whether EventBridge shows it the event at all, and its pattern matches.

        Read-only management events are shown only to a rule in the wide state (docs/aws-facts.md §1.3).
        """
        if self.state == "DISABLED":
            return False
        detail = event.get("detail")
        read_only = isinstance(detail, dict) and detail.get("readOnly") is True
        if read_only and event.get("detail-type") == BY_CLOUDTRAIL and self.state != ALL_MANAGEMENT_EVENTS:
            return False
        return passes([self.pattern], event)


class _UndeliverableError(Exception):
    """A target did not take an event; the message says why."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


class Buses:
    """Every event bus, with the rules of the stacks that were added.

    Args:
        authorization: Says who lets EventBridge in.
    """

    def __init__(self, authorization: Authorization) -> None:
        self._authorization = authorization
        self._rules: dict[str, list[Rule]] = {}
        self._queues: dict[str, Queue] = {}
        self._made: set[str] = set()
        self.lost: list[DeadLetter] = []

    def add(self, stack: Stack, queues: Mapping[str, Queue]) -> None:
        """Take in a stack's buses and rules; `queues` are the stack's, by ARN.

        Raises:
            TemplateError: EventBridge would refuse a rule, or the sandbox does not know what it asks for.
        """
        self._queues |= queues
        self._made |= {stack.arn(name) for name in stack.of_type("AWS::Events::EventBus")}
        for name, properties in stack.of_type("AWS::Events::Rule").items():
            if "EventPattern" in properties:  # a schedule has none, and nothing here goes by the clock
                rule = _rule(stack, name, properties, queues)
                self._rules.setdefault(rule.bus, []).append(rule)

    def put(self, event: Mapping[str, Any], bus: str) -> bool:
        """Deliver an event to the bus of an ARN; whether any rule saw it, there and on the buses that it went on to."""
        seeing = [rule for rule in self._rules.get(bus, ()) if rule.sees(event)]
        delivered = [self._deliver(rule, target, event) for rule in seeing for target in rule.targets]
        return any(delivered)

    def _deliver(self, rule: Rule, target: Mapping[str, Any], event: Mapping[str, Any]) -> bool:
        """Hand an event to a target, or set it aside; False if it went to a bus where no rule saw it."""
        try:
            if _is_bus(target["Arn"]):
                self._may_forward(rule, target, event)
                return self.put(event, target["Arn"])
            self._may_send(rule, target["Arn"])
        except _UndeliverableError as error:
            self._set_aside(rule, target, event, error)
        else:
            self._queues[target["Arn"]].send(json.dumps(event), sent_at=_recorded_at(event))
        return True

    def _may_send(self, rule: Rule, queue: str) -> None:
        if not self._authorization.service_may(_SERVICE, Requirement("sqs:SendMessage", queue), rule.arn):
            raise _UndeliverableError("NO_PERMISSIONS", f"the policy of {queue} does not let {rule.arn} in")

    def _may_forward(self, rule: Rule, target: Mapping[str, Any], event: Mapping[str, Any]) -> None:
        bus, role = target["Arn"], target["RoleArn"]
        if bus not in self._made:
            raise _UndeliverableError("RESOURCE_NOT_FOUND", f"there is no {bus}")
        if not self._authorization.service_may(_SERVICE, Requirement("sts:AssumeRole", role), rule.arn):
            raise _UndeliverableError("NO_PERMISSIONS", f"{role} does not let {rule.arn} assume it")
        context = {
            "events:source": (str(event.get("source")),),
            "events:detail-type": (str(event.get("detail-type")),),
            "events:eventbusinvocation": ("true",),
        }
        if not self._authorization.allows(role, Requirement("events:PutEvents", bus, context)):
            raise _UndeliverableError(
                "NO_PERMISSIONS", f"{role} may not put events on {bus}: by its own policy, or by the bus's"
            )

    def _set_aside(
        self, rule: Rule, target: Mapping[str, Any], event: Mapping[str, Any], error: _UndeliverableError
    ) -> None:
        attributes = {
            "RULE_ARN": rule.arn,
            "TARGET_ARN": target["Arn"],
            "ERROR_CODE": error.code,
            "ERROR_MESSAGE": error.message,
        }
        aside = target.get("DeadLetterConfig", {}).get("Arn")
        if aside and self._authorization.service_may(_SERVICE, Requirement("sqs:SendMessage", aside), rule.arn):
            self._queues[aside].send(json.dumps(event), attributes=attributes)
            return
        where = f"nowhere: no queue policy lets {rule.name} in"
        self.lost.append(DeadLetter(queue=where, body=dict(event), attributes=attributes))


def _recorded_at(event: Mapping[str, Any]) -> float | None:
    """When CloudTrail's record of a call comes, which is minutes after it: a run may begin days later."""
    try:
        return datetime.fromisoformat(event["detail"]["eventTime"]).timestamp() + _LAG
    except (KeyError, TypeError, ValueError):
        return None


def _rule(stack: Stack, name: str, properties: Mapping[str, Any], queues: Mapping[str, Queue]) -> Rule:
    for target in properties["Targets"]:
        if not _is_bus(target["Arn"]) and target["Arn"] not in queues:
            raise TemplateError(
                f"{name}: the sandbox knows targets that are queues of this stack or buses, not {target['Arn']}"
            )
        if _is_bus(target["Arn"]) and not target.get("RoleArn"):
            raise TemplateError(f"{name}: RoleArn is required for target {target['Arn']}")
        found = [key for key in _UNSUPPORTED if key in target]
        if found:
            raise TemplateError(f"{name}: the sandbox does not know {found[0]}")
        aside = target.get("DeadLetterConfig", {}).get("Arn")
        if aside and aside not in queues:
            raise TemplateError(f"{name}: its dead-letter queue is no queue of this stack: {aside}")
    return Rule(
        name=name,
        arn=stack.arn(name),
        bus=bus_arn(stack.place, properties.get("EventBusName", "default")),
        state=properties.get("State", "ENABLED"),
        pattern=pattern(properties["EventPattern"], name),
        targets=tuple(properties["Targets"]),
    )


def _is_bus(arn: str) -> bool:
    return arn.split(":")[2] == "events" and ":event-bus/" in arn
