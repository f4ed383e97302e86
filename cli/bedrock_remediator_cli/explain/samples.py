"""The records and the texts in what was read: JSON of any shape, JSON lines, logs with JSON in them, plain text."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from msgspec import Struct

from bedrock_remediator_cli.explain.pasted import find
from bedrock_remediator_cli.explain.sources import Source

_DEEPEST: Final = 12
_DENIED: Final = ("AccessDenied", "Unauthorized", "Client.Unauthorized")
_BEDROCK: Final = "bedrock"


class Sample(Struct, frozen=True, kw_only=True):
    """One place where a refusal may be: a CloudTrail record, or a text.

    `where` says from what and which part of it. `envelope` is what stood around a record (account, region, id).
    `structured`: the text is a value of some JSON, in which most texts are about something else.
    """

    where: str
    text: str = ""
    record: Mapping[str, Any] | None = None
    envelope: Mapping[str, Any] = {}
    structured: bool = False


class Samples(Struct):
    """What is in a source: `samples`, and how many refusals of other services and other records were passed over."""

    samples: list[Sample]
    foreign: int = 0
    other: int = 0


def gather(sources: list[Source]) -> Samples:
    """Everything in the sources that may be a refusal."""
    found = Samples([])
    for source in sources:
        for sample in _of(source):
            record = sample.record
            if record is None:
                found.samples.append(sample)
            elif not _refused(record):
                found.other += 1
            elif not str(record.get("eventSource", _BEDROCK)).startswith(_BEDROCK):
                found.foreign += 1
            else:
                found.samples.append(sample)
    return found


def _refused(record: Mapping[str, Any]) -> bool:
    """Whether it is a denial by its code, or a refusal that comes under another code (docs/aws-facts.md §1)."""
    return str(record.get("errorCode") or "").startswith(_DENIED) or bool(find(str(record.get("errorMessage") or "")))


def _of(source: Source) -> Iterator[Sample]:
    whole = _json(source.text)
    if whole is not None:
        yield from _walk(whole, source.name, _DEEPEST)
        return
    block: list[str] = []
    start = 1
    for number, line in enumerate(source.text.splitlines(), 1):
        value = _json(line)
        if value is None:
            start = start if block else number
            block.append(line)
            continue
        yield from _text(block, source.name, start)
        block = []
        yield from _walk(value, f"{source.name or 'text'}:{number}", _DEEPEST)
    yield from _text(block, source.name, start)


def _text(lines: list[str], name: str, start: int) -> Iterator[Sample]:
    if any(line.strip() for line in lines):
        yield Sample(where=f"{name}:{start}" if name and start > 1 else name, text="\n".join(lines))


def _json(text: str) -> Any:
    """An object or an array; None for what is neither."""
    stripped = text.strip()
    if not stripped.startswith(("{", "[")):
        return None
    try:
        return json.loads(stripped, strict=False)
    except (ValueError, RecursionError):
        return None


def _walk(value: Any, where: str, depth: int) -> Iterator[Sample]:
    """The records in a JSON value, and the texts that are not in one; JSON in a text is looked into."""
    if not depth:
        return
    if isinstance(value, list):
        for number, item in enumerate(value, 1):
            yield from _walk(item, f"{where}[{number}]" if len(value) > 1 else where, depth - 1)
    elif isinstance(value, dict):
        detail = value.get("detail")
        if isinstance(detail, dict) and _is_record(detail):
            yield Sample(where=where, record=detail, envelope=value)
        elif _is_record(value):
            yield Sample(where=where, record=value)
        else:
            for item in value.values():
                yield from _walk(item, where, depth - 1)
    elif isinstance(value, str):
        inner = _json(value)
        if inner is None:
            yield Sample(where=where, text=value, structured=True)
        else:
            yield from _walk(inner, where, depth - 1)


def _is_record(value: Mapping[str, Any]) -> bool:
    return isinstance(value.get("eventName"), str) and ("userIdentity" in value or "eventSource" in value)
