"""The blocks that messages in Slack are made of. Slack's own models refuse what Slack would refuse."""

from collections.abc import Collection, Iterable
from typing import Any, Final

from msgspec import Struct
from slack_sdk.models.basic_objects import JsonObject
from slack_sdk.models.blocks import ContextBlock, MarkdownTextObject, PlainTextObject, SectionBlock

from bedrock_remediator.notices.mrkdwn import escaped
from bedrock_remediator.notices.untrusted_text import unlinked, visible

Json = dict[str, Any]

DUPLICATE: Final = "This may be a duplicate: an earlier attempt to send it was cut off."
SENTENCE: Final = 1000
SECTION: Final = 2900
"""Characters of a section's text. Slack takes 3,000."""


class Words(Struct, frozen=True):
    """A message as Slack takes it: `text` for notifications and screen readers, `blocks` for everybody else."""

    text: str
    blocks: list[Json]


def section(text: str) -> SectionBlock:
    """A block of Slack's markup."""
    return SectionBlock(text=mrkdwn(text))


def sentence(text: str, known: Collection[str] = ()) -> SectionBlock:
    """A block of one foreign sentence; `known` are the names in it that AWS returned."""
    return SectionBlock(text=plain_text(_shown(text, known)))


def small(text: str) -> ContextBlock:
    """A line of one foreign sentence in small letters."""
    return ContextBlock(elements=[plain_text(_shown(text))])


def mrkdwn(text: str) -> MarkdownTextObject:
    """Slack's markup, in which Slack makes no links and no mentions by itself."""
    return MarkdownTextObject(text=text, verbatim=True)


def plain_text(text: str) -> PlainTextObject:
    """Text without markup."""
    return PlainTextObject(text=text, emoji=False)


def as_json(blocks: Iterable[JsonObject]) -> list[Json]:
    """Blocks as Slack takes them.

    Raises:
        SlackObjectFormationError: One of them breaks a rule of Slack's; none of ours does.
    """
    return [block.to_dict() for block in blocks]


def _shown(text: str, known: Collection[str] = ()) -> str:
    return escaped(unlinked(visible(text, SENTENCE), known), SENTENCE) or "-"
