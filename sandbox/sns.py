"""SNS: what a publication must look like, and a record of what was sent."""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from msgspec import Struct

from sandbox.calls import ApiError, Call

MESSAGE_LIMIT: Final = 262_144
_SUBJECT = re.compile(r"[\x21-\x7e][\x20-\x7e]{0,99}")


class Notice(Struct, frozen=True, kw_only=True):
    """One message as it went to a topic.

    `topic` is the topic's logical id in lower case (`approvals`, `notices`), `message` the parsed MessageStructure
    object (a plain message is its `default`), `attributes` name -> text.
    """

    topic: str
    subject: str | None
    message: dict[str, Any]
    attributes: dict[str, str]


class Outbox:
    """Checks what is published and keeps it, in the order it was sent.

    Those who listen are told the topic's ARN and the notice.

    Args:
        topics: Topic ARN -> logical id.
    """

    def __init__(self, topics: Mapping[str, str]) -> None:
        self._topics = topics
        self.notices: list[Notice] = []
        self.listeners: list[Callable[[str, Notice], None]] = []

    def check(self, call: Call) -> bool:
        """Whether moto is to do the rest: always, unless SNS would refuse.

        Raises:
            ApiError: InvalidParameter.
        """
        if call.operation != "Publish":
            return True
        subject, message = call.parameters.get("Subject"), call.parameters["Message"]
        if subject is not None and not _SUBJECT.fullmatch(subject):
            raise ApiError("InvalidParameter", "Invalid parameter: Subject")
        if not message or len(message.encode()) > MESSAGE_LIMIT:
            raise ApiError("InvalidParameter", "Invalid parameter: Message too long or empty")
        if call.parameters.get("MessageStructure") == "json":
            _check_structure(message)
        for name, attribute in (call.parameters.get("MessageAttributes") or {}).items():
            if not attribute.get("StringValue") and not attribute.get("BinaryValue"):
                raise ApiError("InvalidParameterValue", f"The message attribute '{name}' must contain non-empty value.")
        return True

    def record(self, call: Call) -> None:
        """Keep a publication that went through."""
        structured = call.parameters.get("MessageStructure") == "json"
        message = call.parameters["Message"]
        arn = call.parameters.get("TopicArn") or call.parameters.get("TargetArn") or ""
        notice = Notice(
            topic=self._topics.get(arn, arn).lower(),
            subject=call.parameters.get("Subject"),
            message=json.loads(message) if structured else {"default": message},
            attributes={
                name: str(attribute.get("StringValue", ""))
                for name, attribute in (call.parameters.get("MessageAttributes") or {}).items()
            },
        )
        self.notices.append(notice)
        for listen in self.listeners:
            listen(arn, notice)


def _check_structure(message: str) -> None:
    try:
        bodies = json.loads(message)
    except json.JSONDecodeError as error:
        raise ApiError(
            "InvalidParameter", "Invalid parameter: Message Structure - JSON message body failed to parse"
        ) from error
    if not isinstance(bodies, dict) or "default" not in bodies:
        raise ApiError(
            "InvalidParameter", "Invalid parameter: Message Structure - No default entry in JSON message body"
        )
    if not all(isinstance(body, str) for body in bodies.values()):
        raise ApiError("InvalidParameter", "Invalid parameter: Message Structure - every entry must be a string")
