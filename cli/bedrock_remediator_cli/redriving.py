"""Takes dead letters out of their queue and puts them back where they were to go, marked where that matters.

A denial that comes back carries `"origin": "redrive"`, so that triage never lets it apply by itself: what lay in a
queue for days proves less than what CloudTrail has just delivered. SQS's own redrive can mark nothing.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from msgspec import Struct

from bedrock_remediator_cli.sqs_batches import LARGEST_BATCH, batches, reason

MARK: Final = "redrive"
_HIDDEN: Final = 600
"""Seconds for which a message is out of sight: longer than it takes to look through all and send them."""
_SAID: Final = ("reason", "ERROR_CODE", "ERROR_MESSAGE")
"""The message attributes in which triage and EventBridge say why a message lies there."""


class Line(Struct, frozen=True, kw_only=True):
    """A dead-letter queue whose messages can go back.

    `output` is the stack's output with its URL, `back` the one with the URL that they go back to. `from_sqs` says
    that only SQS puts messages there, out of that queue: whatever else lies there was put in by somebody.
    """

    output: str
    back: str
    marked: bool = False
    from_sqs: bool = False


LINES: Final[Mapping[str, Line]] = {
    "denials": Line(output="DenialsDeadLettersUrl", back="DenialsQueueUrl", marked=True, from_sqs=True),
    "rule": Line(output="RuleDeadLettersUrl", back="DenialsQueueUrl", marked=True),
    "remediations": Line(output="RemediationsDeadLettersUrl", back="RemediationsQueueUrl", from_sqs=True),
    "slack": Line(output="SlackDeadLettersUrl", back="SlackMessagesUrl"),
}
"""What can be redriven, by the names that the command knows."""
NOT_REDRIVEN: Final[Mapping[str, str]] = {
    "pipe": "They say which records were given up, and hold no row. Upkeep drives rows that got stuck on by itself.",
    "notify": "They say which records were given up, and hold no row. The requests that wait are in `requests list`.",
    "upkeep": "The next round does what a lost one did not.",
}
"""What there is nothing to send of, and what to do instead. Purge these queues when you have read them."""


class Letter(Struct, frozen=True, kw_only=True):
    """A dead letter. `why` is what it carries of its reason, `stays` why it cannot go back (None: it can)."""

    id: str
    receipt: str
    body: str
    about: str
    why: str
    sent_at: int
    group: str | None
    stays: str | None


class Outcome(Struct, frozen=True, kw_only=True):
    """What became of a queue's letters: the ids that went back, and those that did not, each with its reason."""

    sent: Sequence[str]
    refused: Mapping[str, str]


def letters(client: Any, line: Line, url: str, source: str, most: int) -> Iterator[Letter]:
    """Up to so many letters of a queue, out of sight of others until they are released or deleted.

    `source` is the ARN of the queue that they go back to.

    Raises:
        botocore.exceptions.ClientError: The queue may not be read.
    """
    left = most
    while left > 0:
        answer = client.receive_message(
            QueueUrl=url,
            MaxNumberOfMessages=min(LARGEST_BATCH, left),
            VisibilityTimeout=_HIDDEN,
            # Asks all of SQS's servers: no answer then means that there is nothing more.
            WaitTimeSeconds=1,
            MessageSystemAttributeNames=["All"],
            MessageAttributeNames=["All"],
        )
        found = answer.get("Messages", ())
        if not found:
            return
        left -= len(found)
        yield from (_letter(each, line, source) for each in found)


def release(client: Any, url: str, left: Sequence[Letter]) -> None:
    """Let others see the letters again at once."""
    for batch in batches(left):
        client.change_message_visibility_batch(
            QueueUrl=url,
            Entries=[
                {"Id": str(place), "ReceiptHandle": each.receipt, "VisibilityTimeout": 0}
                for place, each in enumerate(batch)
            ],
        )


def redrive(  # noqa: PLR0913, PLR0917 - two queues, and what goes from one to the other
    client: Any, line: Line, url: str, back: str, going: Sequence[Letter], advance: Callable[[int], None]
) -> Outcome:
    """Put the letters back, and delete each that was taken. Twice does no harm: everything here knows its copies.

    Raises:
        botocore.exceptions.ClientError: The queue took none of a batch.
    """
    sent: list[str] = []
    refused: dict[str, str] = {}
    for batch in batches(going):
        answer = client.send_message_batch(
            QueueUrl=back, Entries=[_entry(place, each, line) for place, each in enumerate(batch)]
        )
        refused |= {batch[int(each["Id"])].id: reason(each) for each in answer.get("Failed", ())}
        taken = [each for each in batch if each.id not in refused]
        if taken:
            client.delete_message_batch(
                QueueUrl=url,
                Entries=[{"Id": str(place), "ReceiptHandle": each.receipt} for place, each in enumerate(taken)],
            )
        sent += [each.id for each in taken]
        advance(len(batch))
    return Outcome(sent=sent, refused=refused)


def _entry(place: int, letter: Letter, line: Line) -> dict[str, str]:
    body = json.dumps({**json.loads(letter.body), "origin": MARK}) if line.marked else letter.body
    entry = {"Id": str(place), "MessageBody": body}
    if letter.group is not None:
        # The queue's own deduplication would drop it within five minutes of the first.
        entry |= {"MessageGroupId": letter.group, "MessageDeduplicationId": f"{MARK}-{letter.id}"}
    return entry


def _letter(message: Mapping[str, Any], line: Line, source: str) -> Letter:
    system = message.get("Attributes", {})
    said = message.get("MessageAttributes", {})
    why = ": ".join(str(said[name]["StringValue"]) for name in _SAID if name in said)
    content = _content(message["Body"])
    return Letter(
        id=message["MessageId"],
        receipt=message["ReceiptHandle"],
        body=message["Body"],
        about=_about(content),
        why=why or "tried too often; the function's log has the reason",
        sent_at=int(system.get("SentTimestamp", 0)),
        group=system.get("MessageGroupId"),
        stays=_stays(line, content, system.get("DeadLetterQueueSourceArn"), source, said),
    )


def _stays(line: Line, content: Any, came_from: str | None, source: str, said: Mapping[str, Any]) -> str | None:
    """Why a letter cannot go back."""
    if line.marked and not (isinstance(content, dict) and isinstance(content.get("detail"), dict)):
        return "it holds no event, and would be refused again"
    if "reason" in said:
        return "triage refused it for the reason that it carries, and would again"
    if came_from is not None and came_from != source:
        return f"SQS moved it here from {came_from}, which is none of this stack's queues for such messages"
    if line.from_sqs and came_from is None:
        return "SQS did not move it here: somebody put it in"
    return None


def _content(body: str) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _about(content: Any) -> str:
    """A denial's event and principal, a row's key, or the subject of a notice, as far as the message says."""
    if not isinstance(content, dict):
        return "no JSON object"
    detail = content.get("detail")
    if isinstance(detail, dict):
        identity = detail.get("userIdentity")
        who = identity.get("arn") if isinstance(identity, dict) else None
        return f"{detail.get('eventID')} {who}"
    keys = content.get("dynamodb", {}).get("Keys") if isinstance(content.get("dynamodb"), dict) else None
    if isinstance(keys, dict):
        return " ".join(str(value.get("S")) for _, value in sorted(keys.items()) if isinstance(value, dict))
    return str(content.get("Subject") or content.get("TopicArn") or "-")
