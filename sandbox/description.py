"""What AWS says of the deployed stack: outputs, resources, the rule, the policies of queues, subscriptions."""

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from sandbox.calls import ApiError, Call
from sandbox.queues import Queue
from sandbox.template import STACK_NAME, Stack


class Description:
    """Answers for looking at the stack, by `service:Operation`.

    Attributes:
        pending: E-mail addresses whose subscriptions are not confirmed.
        unguarded: Those whose subscriptions whoever opens the link in a mail can end.
        outputs: The stack's outputs, which a test may change.
    """

    def __init__(self, stack: Stack, queues: Mapping[str, Queue], made: datetime) -> None:
        self._stack = stack
        self._queues = queues
        self._made = made
        self.pending: set[str] = set()
        self.unguarded: set[str] = set()
        self.outputs: dict[str, str] = dict(stack.outputs)
        self.answers: Mapping[str, Callable[[Call], Mapping[str, Any]]] = {
            "cloudformation:DescribeStacks": self._stacks,
            "cloudformation:DescribeStackResource": self._resource,
            "events:DescribeRule": self._rule,
            "sqs:GetQueueAttributes": self._queue,
            "sns:ListSubscriptionsByTopic": self._subscriptions,
            "sns:GetSubscriptionAttributes": self._subscription,
        }

    def _stacks(self, call: Call) -> Mapping[str, Any]:
        self._require(call)
        parameters = self._stack.parameters.items()
        stack = {
            "StackName": STACK_NAME,
            "StackStatus": "CREATE_COMPLETE",
            "CreationTime": self._made,
            "Outputs": [{"OutputKey": name, "OutputValue": value} for name, value in self.outputs.items()],
            "Parameters": [
                {"ParameterKey": name, "ParameterValue": value if isinstance(value, str) else ",".join(value)}
                for name, value in parameters
            ],
        }
        return {"Stacks": [stack]}

    def _require(self, call: Call) -> None:
        name = call.parameters.get("StackName", STACK_NAME)
        if name != STACK_NAME:
            raise ApiError("ValidationError", f"Stack with id {name} does not exist")

    def _resource(self, call: Call) -> Mapping[str, Any]:
        self._require(call)
        name = call.parameters["LogicalResourceId"]
        if name not in self._stack.resources:
            raise ApiError("ValidationError", f"Resource {name} does not exist for stack {STACK_NAME}")
        return {
            "StackResourceDetail": {
                "LogicalResourceId": name,
                "PhysicalResourceId": self._stack.ref(name),
                "ResourceType": self._stack.resources[name]["Type"],
                "ResourceStatus": "CREATE_COMPLETE",
                "LastUpdatedTimestamp": self._made,
            }
        }

    def _rule(self, call: Call) -> Mapping[str, Any]:
        for name, properties in self._stack.of_type("AWS::Events::Rule").items():
            if self._stack.ref(name) == call.parameters["Name"]:
                pattern = json.dumps(properties["EventPattern"])
                state = properties.get("State", "ENABLED")
                return {
                    "Name": self._stack.ref(name),
                    "Arn": self._stack.arn(name),
                    "State": state,
                    "EventPattern": pattern,
                }
        raise ApiError("ResourceNotFoundException", f"Rule {call.parameters['Name']} does not exist.")

    def _queue(self, call: Call) -> Mapping[str, Any]:
        url = call.parameters["QueueUrl"]
        name = next(name for name in self._stack.of_type("AWS::SQS::Queue") if self._stack.ref(name) == url)
        queue = self._queues[self._stack.arn(name)]
        attributes = {"QueueArn": queue.arn, "ApproximateNumberOfMessages": str(len(queue))}
        for policy in self._stack.of_type("AWS::SQS::QueuePolicy").values():
            if url in policy["Queues"]:
                attributes["Policy"] = json.dumps(policy["PolicyDocument"])
        return {"Attributes": attributes}

    def _subscription(self, call: Call) -> Mapping[str, Any]:
        arn = call.parameters["SubscriptionArn"]
        topic, _, identifier = arn.rpartition(":")
        number = int(identifier.partition("-")[0], 16)
        endpoint = list(self._stack.of_type("AWS::SNS::Subscription").values())[number]["Endpoint"]
        guarded = "false" if endpoint in self.unguarded else "true"
        return {"Attributes": {"SubscriptionArn": arn, "TopicArn": topic, "ConfirmationWasAuthenticated": guarded}}

    def _subscriptions(self, call: Call) -> Mapping[str, Any]:
        topic = call.parameters["TopicArn"]
        return {
            "Subscriptions": [
                {
                    "TopicArn": topic,
                    "Protocol": each["Protocol"],
                    "Endpoint": each["Endpoint"],
                    "Owner": topic.split(":")[4],
                    # As the template subscribes it: nobody here opens a mail and confirms, or ends it.
                    "SubscriptionArn": "PendingConfirmation"
                    if each["Endpoint"] in self.pending
                    else f"{topic}:{number:08x}-0000-4000-8000-000000000000",
                }
                for number, each in enumerate(self._stack.of_type("AWS::SNS::Subscription").values())
                if each["TopicArn"] == topic
            ]
        }
