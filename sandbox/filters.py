"""Event patterns, as rules, event-source mappings and pipes have them; matched by moto's EventBridge."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from moto.events.models import EventPattern

from sandbox.intrinsics import TemplateError


def pattern(source: Any, where: str) -> EventPattern:
    """A pattern from the template: an object, or its JSON text.

    Raises:
        TemplateError: It is no pattern; `where` says whose.
    """
    text = source if isinstance(source, str) else json.dumps(source)
    try:
        return EventPattern.load(text)
    except Exception as error:
        raise TemplateError(f"{where}: bad pattern: {error}") from error


def criteria(properties: Mapping[str, Any], where: str) -> tuple[EventPattern, ...]:
    """The patterns of a `FilterCriteria`; an event passes that matches any, and every event where there are none.

    Raises:
        TemplateError: One of them is no pattern.
    """
    filters: Iterable[Mapping[str, Any]] = properties.get("FilterCriteria", {}).get("Filters", ())
    return tuple(pattern(one["Pattern"], where) for one in filters)


def passes(patterns: Sequence[EventPattern], event: Mapping[str, Any]) -> bool:
    """Whether an event gets through the patterns."""
    return not patterns or any(one.matches_event(dict(event)) for one in patterns)  # type: ignore[arg-type]  # any JSON will do
