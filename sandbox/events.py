"""EventBridge: takes events in, and hands those that a rule matches to its target queue."""

import json
import uuid
from collections.abc import Iterator, Mapping
from typing import Any, Final

from msgspec import Struct

from sandbox.authorization import Authorization
from sandbox.documents import BadInputError
from sandbox.filters import passes, pattern
from sandbox.intrinsics import TemplateError
from sandbox.queues import DeadLetter, Queue
from sandbox.requirements import Requirement
from sandbox.template import Stack

ALL_MANAGEMENT_EVENTS: Final = "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS"
_DETAIL_TYPE: Final = "AWS API Call via CloudTrail"
_UNSUPPORTED: Final = ("Input", "InputPath", "InputTransformer")


class Rule(Struct, frozen=True, kw_only=True):
    """A rule of the template, on the default bus."""

    name: str
    arn: str
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
        if read_only and event.get("detail-type") == _DETAIL_TYPE and self.state != ALL_MANAGEMENT_EVENTS:
            return False
        return passes([self.pattern], event)


class Bus:
    """The default event bus with the stack's rules.

    Args:
        stack: The stack.
        queues: The stack's queues by ARN.
        authorization: Says which queue lets EventBridge in.
    """

    def __init__(self, stack: Stack, queues: Mapping[str, Queue], authorization: Authorization) -> None:
        self._queues = queues
        self._authorization = authorization
        self._rules = [
            _rule(stack, name, properties, queues)
            for name, properties in stack.of_type("AWS::Events::Rule").items()
            if "EventPattern" in properties  # a schedule has none, and nothing here goes by the clock
        ]
        self.lost: list[DeadLetter] = []

    def put(self, event: Mapping[str, Any]) -> bool:
        """Deliver an event; whether any rule matched it."""
        seen = [rule for rule in self._rules if rule.sees(event)]
        for rule in seen:
            for target in rule.targets:
                self._deliver(rule, target, event)
        return bool(seen)

    def _deliver(self, rule: Rule, target: Mapping[str, Any], event: Mapping[str, Any]) -> None:
        aside = target.get("DeadLetterConfig", {}).get("Arn")
        for arn in filter(None, (target["Arn"], aside)):
            requirement = Requirement("sqs:SendMessage", arn)
            if self._authorization.service_may("events.amazonaws.com", requirement, rule.arn):
                self._queues[arn].send(json.dumps(event))
                return
        self.lost.append(
            DeadLetter(queue=f"nowhere: no queue policy lets {rule.name} in", body=dict(event), attributes={})
        )


def _rule(stack: Stack, name: str, properties: Mapping[str, Any], queues: Mapping[str, Queue]) -> Rule:
    for target in properties["Targets"]:
        if target["Arn"] not in queues:
            raise TemplateError(f"{name}: the sandbox knows targets that are queues of this stack, not {target['Arn']}")
        found = [key for key in _UNSUPPORTED if key in target]
        if found:
            raise TemplateError(f"{name}: the sandbox does not know {found[0]}")
    return Rule(
        name=name,
        arn=stack.arn(name),
        state=properties.get("State", "ENABLED"),
        pattern=pattern(properties["EventPattern"], name),
        targets=tuple(properties["Targets"]),
    )


def envelopes(value: Any, name: str) -> Iterator[dict[str, Any]]:
    """The events that a given object holds: an EventBridge event, a CloudTrail record, or a log file's `Records`.

    A bare record is wrapped as CloudTrail hands it to EventBridge.

    Raises:
        BadInputError: It is none of these; `name` is what the message calls it.
    """
    if not isinstance(value, dict):
        raise BadInputError(f"{name}: an event is a JSON object, and this is {type(value).__name__}")
    if isinstance(value.get("Records"), list):
        for record in value["Records"]:
            yield from envelopes(record, name)
    elif "detail-type" in value and "detail" in value:
        yield value
    elif "eventSource" in value and "eventName" in value:
        yield _wrapped(value)
    else:
        raise BadInputError(f"{name}: neither an EventBridge event nor a CloudTrail record")


def _wrapped(record: dict[str, Any]) -> dict[str, Any]:
    identity = record.get("userIdentity")
    account = record.get("recipientAccountId") or (identity.get("accountId") if isinstance(identity, dict) else None)
    return {
        "version": "0",
        "id": str(uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(record, sort_keys=True))),
        "detail-type": _DETAIL_TYPE,
        "source": f"aws.{str(record['eventSource']).partition('.')[0]}",
        "account": account,
        "time": record.get("eventTime"),
        "region": record.get("awsRegion"),
        "resources": [],
        "detail": record,
    }
