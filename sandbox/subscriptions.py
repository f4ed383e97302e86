"""SNS's subscriptions to queues: each publication goes there in SNS's envelope, if the queue's policy lets it in."""

import json
import uuid
from collections.abc import Mapping
from typing import Any

from sandbox.authorization import Authorization
from sandbox.clock import VirtualClock
from sandbox.intrinsics import TemplateError
from sandbox.queues import Queue
from sandbox.requirements import Requirement
from sandbox.sns import Notice
from sandbox.template import Stack

_SERVICE = "sns.amazonaws.com"
_MADE_UP = {"SignatureVersion": "1", "Signature": "c2FuZGJveA==", "SigningCertURL": "", "UnsubscribeURL": ""}


class Subscriptions:
    """The queues that the template subscribes to topics. Nobody reads the mail here: other protocols are left out.

    Args:
        stack: The stack.
        queues: ARN -> queue.
        authorization: Says which topic may send where.
        clock: The time of a message.

    Raises:
        TemplateError: A subscription is not one that this sandbox knows.
    """

    def __init__(
        self, stack: Stack, queues: Mapping[str, Queue], authorization: Authorization, clock: VirtualClock
    ) -> None:
        self._queues = queues
        self._authorization = authorization
        self._clock = clock
        self._sent = 0
        self._by_topic: dict[str, list[Mapping[str, Any]]] = {}
        for name, properties in stack.of_type("AWS::SNS::Subscription").items():
            if properties["Protocol"] != "sqs":
                continue
            if "FilterPolicy" in properties:
                raise TemplateError(f"{name}: the sandbox knows no FilterPolicy")
            if properties["Endpoint"] not in queues:
                raise TemplateError(f"{name}: {properties['Endpoint']} is no queue of this stack")
            self._by_topic.setdefault(properties["TopicArn"], []).append(properties)

    def deliver(self, topic: str, notice: Notice) -> None:
        """Put a publication into every queue that is subscribed; one that may not be filled, into its dead letters."""
        for subscription in self._by_topic.get(topic, ()):
            self._sent += 1
            body = self._body(topic, notice, raw=subscription.get("RawMessageDelivery") in {True, "true"})
            aside = subscription.get("RedrivePolicy", {}).get("deadLetterTargetArn")
            for arn in filter(None, (subscription["Endpoint"], aside)):
                if self._authorization.service_may(_SERVICE, Requirement("sqs:SendMessage", arn), topic):
                    self._queues[arn].send(body)
                    break

    def _body(self, topic: str, notice: Notice, *, raw: bool) -> str:
        text: str = notice.message.get("sqs", notice.message["default"])
        if raw:
            return text
        subject = {} if notice.subject is None else {"Subject": notice.subject}
        attributes = {name: {"Type": "String", "Value": value} for name, value in notice.attributes.items()}
        return json.dumps(
            {
                "Type": "Notification",
                "MessageId": str(uuid.uuid5(uuid.NAMESPACE_URL, f"{topic}/{self._sent}")),
                "TopicArn": topic,
                **subject,
                "Message": text,
                "Timestamp": self._clock.instant().strftime("%Y-%m-%dT%H:%M:%S.000Z"),
                **_MADE_UP,
                **({"MessageAttributes": attributes} if attributes else {}),
            }
        )
