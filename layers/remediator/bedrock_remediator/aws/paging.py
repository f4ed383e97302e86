"""Listings, page after page; botocore's own paginators would read a file first, which a cold start pays for."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

_PAGE: Final = 1000


def iam_pages(call: Callable[..., Mapping[str, Any]], **arguments: Any) -> Iterator[Mapping[str, Any]]:
    """The answers to one of IAM's listings."""
    while True:
        answer = call(MaxItems=_PAGE, **arguments)
        yield answer
        if not answer.get("IsTruncated"):
            return
        arguments["Marker"] = answer["Marker"]
