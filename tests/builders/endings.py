"""All that a sandbox ends with, so that two runs can be compared: the ledger, IAM, what people were told, what is lost.

Times are left out: to die costs time. So are the names of links and of messages in Slack, and how often Slack's memory
was written.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from msgspec import Struct

from bedrock_remediator.notices.slack_blocks import DUPLICATE
from sandbox.population import own_policies
from sandbox.sns import Notice
from sandbox.stack import Sandbox

OUR_PATH: Final = "/bedrock-access-remediator/"

_TIME = re.compile(r"\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d)?(\.\d+)?(Z|\+00:00)?)?|\d{8}T\d{6}Z")
_SLACK_TIME = re.compile(r"<!date\^[^>]*>")
_LINK = re.compile(r"(/request/)[\w.~-]+")
_SAID: Final = r"\nThis may be a duplicate."
_PASSING_ATTRIBUTES: Final = frozenset(
    {"approval", "due_at", "expires", "revision", "simulated_at", "trying", "ts", "unsure"}
)
"""The signature covers the end, which is a time; the others are times, count tries, or name the one of two messages
that Slack has confirmed."""


class Ending(Struct, frozen=True, kw_only=True):
    """What is left.

    `ledger` items by key, `iam` principals and policies, `told` every notice once, `unmarked` those that went out
    twice without saying so, `lost` how many dead letters by queue.
    """

    ledger: dict[str, Any]
    iam: dict[str, Any]
    told: frozenset[str]
    unmarked: tuple[str, ...]
    lost: dict[str, int]


def ending(stack: Sandbox, slack: Sequence[Mapping[str, Any]] = ()) -> Ending:
    """What the sandbox holds now. `slack` is what was posted there."""
    news = [*map(_news, stack.outbox.notices), *(each for message in slack for each in _words(message))]
    firsts = Counter(what for what, marked in news if not marked)
    return Ending(
        ledger={f"{item['pk']} {item['sk']}": timeless(_kept(item)) for item in stack.ledger.items() if _counts(item)},
        iam=timeless(in_iam(stack)),
        told=frozenset(what for what, _ in news),
        unmarked=tuple(what for what, times in firsts.items() if times > 1),
        lost=dict(Counter(letter.queue for letter in stack.failures)),
    )


def in_iam(stack: Sandbox) -> dict[str, Any]:
    """Every principal's policies and attachments, and every managed policy, of every account.

    Of a policy of ours the version in force counts, of others' all of them.
    """
    principals = {}
    for arn, _ in stack.world.principals:
        entity = stack.accounts.directory(arn).entity(arn)
        principals[arn] = entity and {
            "own": [list(each) for each in own_policies(entity)],
            "attached": sorted(entity.managed_policies),
        }
    policies = {}
    for arn, policy in _managed(stack):
        versions = {version.version_id: json.loads(version.document) for version in policy.versions}
        ours = OUR_PATH in arn
        policies[arn] = {
            "documents": [versions[policy.default_version_id]] if ours else [*versions.values()],
            "in force": versions[policy.default_version_id],
            "attachments": policy.attachment_count,
            "tags": policy.tags,
        }
    return {"principals": principals, "policies": policies}


def _managed(stack: Sandbox) -> Iterator[tuple[str, Any]]:
    """The customer managed policies, by ARN, as moto has them."""
    for account in stack.accounts.by_id.values():
        found = account.directory.backend.managed_policies.items()
        yield from ((arn, policy) for arn, policy in found if ":iam::aws:" not in arn)


def differences(one: Ending, other: Ending) -> list[str]:
    """In what the second differs from the first, a line each."""
    lines = [
        line
        for part in ("ledger", "iam", "unmarked", "lost")
        for line in _differing(part, getattr(one, part), getattr(other, part))
    ]
    unheard, heard = sorted(one.told - other.told), sorted(other.told - one.told)
    return [*lines, *(f"not told: {each}" for each in unheard), *(f"told instead: {each}" for each in heard)]


def timeless(value: Any) -> Any:
    """The value without its times and links."""
    if isinstance(value, str):
        return _LINK.sub(r"\1LINK", _TIME.sub("TIME", value))
    if isinstance(value, Mapping):
        return {name: timeless(each) for name, each in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [timeless(each) for each in value]
    return value


def _kept(item: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in item.items() if name not in _PASSING_ATTRIBUTES}


def _counts(item: Mapping[str, Any]) -> bool:
    """Whether an item is part of the ending.

    Where upkeep's walk goes on is not, since it goes round; nor is how many notices an hour has seen, since one that
    may go out twice counts twice.
    """
    return item["pk"] not in {"upkeep", "notices"}


def _news(notice: Notice) -> tuple[str, bool]:
    """What a notice says, and whether it says that it may be a copy."""
    text = notice.message["default"]
    try:
        content = json.loads(text)
    except ValueError:
        content = text
    marked = isinstance(content, dict) and bool(content.pop("may_be_duplicate", False))
    told = json.dumps([notice.topic, notice.subject, timeless(content)], sort_keys=True)
    # Amazon Q's form has no field for it.
    return told.replace(_SAID, ""), marked or _SAID in told


def shown(message: Mapping[str, Any]) -> str:
    """What a message in Slack says, but for whether it may be a copy."""
    where, text, blocks, _ = _read(message)
    return json.dumps([where, text, blocks])


def _words(message: Mapping[str, Any]) -> Iterator[tuple[str, bool]]:
    """What a message in Slack says, and whether it says that it may be a copy.

    Steps that a thread tells of are taken apart: one message or several depends on when Slack can be told.
    """
    where, text, blocks, marked = _read(message)
    steps = text.split(", then ") if where == "thread" else [text]
    size = len(blocks) // len(steps)
    for place, step in enumerate(steps):
        yield json.dumps([where, step, blocks[place * size : (place + 1) * size]]), marked


def _read(message: Mapping[str, Any]) -> tuple[str, str, list[str], bool]:
    """A message in Slack: where it is, its text and blocks without times, and whether it says that it may be a copy."""
    blocks = [json.dumps(each, sort_keys=True) for each in message.get("blocks") or ()]
    plain = [timeless(_SLACK_TIME.sub("TIME", each)) for each in blocks if DUPLICATE not in each]
    where = "thread" if message.get("thread_ts") else "channel"
    return where, timeless(message.get("text") or ""), plain, len(plain) < len(blocks)


def _differing(path: str, one: Any, other: Any) -> Iterator[str]:
    if one == other:
        return
    if isinstance(one, dict) and isinstance(other, dict):
        for name in sorted({*one, *other}):
            yield from _differing(f"{path} {name}", one.get(name), other.get(name))
    else:
        yield f"{path}: {str(one)[:300]} -> {str(other)[:300]}"
