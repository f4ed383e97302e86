"""Whether denials arrive: a trail that logs reading calls, the rule's state, the queue's policy."""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from botocore.exceptions import ClientError

from bedrock_remediator_cli.doctor.check import Check, Ward, broken, look, ok

ALL_EVENTS: Final = "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS"
_BEDROCK: Final = "bedrock.amazonaws.com"
_RULE: Final = "DenialRule"


_TESTS: Final[Mapping[str, Callable[[str, tuple[str, ...]], bool]]] = {
    "Equals": lambda value, wanted: value in wanted,
    "NotEquals": lambda value, wanted: value not in wanted,
    "StartsWith": lambda value, wanted: value.startswith(wanted),
    "NotStartsWith": lambda value, wanted: not value.startswith(wanted),
    "EndsWith": lambda value, wanted: value.endswith(wanted),
    "NotEndsWith": lambda value, wanted: not value.endswith(wanted),
}
"""The operators of an advanced event selector."""


def trail(ward: Ward) -> Check:
    """Whether a trail logs the reading management events of this region (docs/aws-facts.md §1.3)."""
    name, region = "trail", ward.aws.region
    client = ward.aws.client("cloudtrail")
    trails = client.describe_trails(includeShadowTrails=True)["trailList"]
    here = [each for each in trails if each.get("IsMultiRegionTrail") or each.get("HomeRegion") == region]
    if not here:
        return broken(
            name,
            f"No CloudTrail trail logs {region}.",
            "Make a trail for management events, read and write, of all regions. Without it no denial arrives.",
        )
    reasons: list[str] = []
    for each in here:
        reason = _silent(ward, each)
        if reason is None:
            return ok(name, f"The trail {each['Name']} logs management events, read and write, in {region}.")
        reasons.append(f"{each['Name']}: {reason}")
    return broken(
        name,
        f"No trail logs Bedrock's calls in {region}. {'; '.join(reasons)}.",
        "Let one log management events, reading ones included, and not leave bedrock.amazonaws.com out.",
    )


def _silent(ward: Ward, trail: Mapping[str, Any]) -> str | None:
    """Why a trail does not log InvokeModel; None if it does."""
    client = ward.aws.client("cloudtrail", trail.get("HomeRegion"))
    try:
        if not client.get_trail_status(Name=trail["TrailARN"])["IsLogging"]:
            return "logging is switched off"
        selectors = client.get_event_selectors(TrailName=trail["TrailARN"])
    except ClientError as error:
        return f"{error.operation_name} was refused, so what it logs is not known"
    if logs_reads(selectors):
        return None
    return "it does not log reading management events of Bedrock"


def logs_reads(selectors: Mapping[str, Any]) -> bool:
    """Whether a trail's selectors take in reading management events of Bedrock."""
    plain, advanced = selectors.get("EventSelectors") or (), selectors.get("AdvancedEventSelectors") or ()
    return any(_logs_reads(each) for each in plain) or any(_takes_in(each) for each in advanced)


def _logs_reads(selector: Mapping[str, Any]) -> bool:
    """Whether a plain selector takes in reading management events of Bedrock."""
    return (
        selector.get("IncludeManagementEvents", True)
        and selector.get("ReadWriteType", "All") in {"All", "ReadOnly"}
        and _BEDROCK not in selector.get("ExcludeManagementEventSources", ())
    )


def _takes_in(selector: Mapping[str, Any]) -> bool:
    """Whether an advanced selector takes in `InvokeModel`: every field that it names must fit."""
    event = {"eventCategory": "Management", "readOnly": "true", "eventSource": _BEDROCK, "eventName": "InvokeModel"}
    fields = selector.get("FieldSelectors", ())
    if not any(each["Field"] == "eventCategory" for each in fields):
        return False
    return all(_fits(each, event.get(each["Field"])) for each in fields)


def _fits(field: Mapping[str, Any], value: str | None) -> bool:
    if value is None:
        return True  # a field that says nothing of management events of a service
    return all(test(value, tuple(field[name])) for name, test in _TESTS.items() if field.get(name))


def rule(ward: Ward) -> Check:
    """Whether the rule is in the state that sees reading events."""
    found = _rule(ward)
    if found["State"] == ALL_EVENTS:
        return ok("rule", f"The rule {found['Name']} sees reading management events.")
    return broken(
        "rule",
        f"The rule {found['Name']} is {found['State']}, so it never sees InvokeModel.",
        f"Deploy the stack again, or set the rule's state to {ALL_EVENTS}.",
    )


def queue_policy(ward: Ward) -> Check:
    """Whether the rule may fill the queue, and others than the operators may not."""
    name, url = "queue policy", ward.stack.output("DenialsQueueUrl", "Is it this service's stack?")
    answer = ward.aws.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["Policy"])
    statements = list(_statements(answer.get("Attributes", {}).get("Policy")))
    arn = _rule(ward)["Arn"]
    if not any(_lets_in(each, arn) for each in statements):
        return broken(
            name,
            "The policy of the denials queue does not let the rule in.",
            "Deploy the stack again: its denials go to the dead letters of the rule.",
        )
    if not any(_keeps_out(each) for each in statements):
        return look(
            name,
            "The policy of the denials queue keeps nobody out: whoever may send to any queue can make denials up.",
            "Deploy the stack again.",
        )
    return ok(name, "The rule may fill the denials queue, and nobody else but the operators.")


def _rule(ward: Ward) -> Mapping[str, Any]:
    detail = ward.aws.client("cloudformation").describe_stack_resource(
        StackName=ward.stack.name, LogicalResourceId=_RULE
    )["StackResourceDetail"]
    found: Mapping[str, Any] = ward.aws.client("events").describe_rule(Name=detail["PhysicalResourceId"])
    return found


def _statements(text: str | None) -> Iterator[Mapping[str, Any]]:
    found = json.loads(text).get("Statement", []) if text else []
    yield from (found if isinstance(found, list) else [found])


def _lets_in(statement: Mapping[str, Any], rule_arn: str) -> bool:
    principal = statement.get("Principal", {})
    services = principal.get("Service", ()) if isinstance(principal, Mapping) else ()
    sources = statement.get("Condition", {}).get("ArnEquals", {}).get("aws:SourceArn", ())
    return (
        statement.get("Effect") == "Allow"
        and "events.amazonaws.com" in _several(services)
        and "sqs:SendMessage" in _several(statement.get("Action", ()))
        and rule_arn in _several(sources)
    )


def _keeps_out(statement: Mapping[str, Any]) -> bool:
    return (
        statement.get("Effect") == "Deny"
        and statement.get("Principal") == "*"
        and "sqs:SendMessage" in _several(statement.get("Action", ()))
        and "aws:PrincipalIsAWSService" in statement.get("Condition", {}).get("BoolIfExists", {})
    )


def _several(value: Any) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)
