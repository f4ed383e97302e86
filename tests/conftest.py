"""What all tests share: the counts that some of them keep, told at the end of a run."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from sandbox.shell import leave_aws_settings

leave_aws_settings()

Count = Callable[[str, int], None]
"""Takes what was counted, and how many."""

Tell = Callable[[str], None]
"""Takes a sentence that is told at the end of the run."""

_PREFIX = "count: "
_SENTENCE = "sentence"


@pytest.fixture
def count(record_property: Callable[[str, object], None]) -> Count:
    """Adds to the counts that are told at the end of the run."""
    return lambda what, many: record_property(f"{_PREFIX}{what}", many)


@pytest.fixture
def tell(record_property: Callable[[str, object], None]) -> Tell:
    """Adds to the sentences that are told at the end of the run."""
    return lambda sentence: record_property(_SENTENCE, sentence)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Tell how many faults, interleavings and inputs were tried, and what tests had to say."""
    totals: Counter[str] = Counter()
    sentences: list[str] = []
    for report in terminalreporter.getreports("passed") + terminalreporter.getreports("failed"):
        for name, value in getattr(report, "user_properties", ()):
            if name.startswith(_PREFIX) and report.when == "call":
                totals[name.removeprefix(_PREFIX)] += value
            elif name == _SENTENCE and report.when == "call" and value not in sentences:
                sentences.append(value)
    if sentences:
        terminalreporter.section("told")
        for sentence in sorted(sentences):
            terminalreporter.write_line(sentence)
    if totals:
        terminalreporter.section("counts")
        for what, many in sorted(totals.items()):
            terminalreporter.write_line(f"{many:>8,} {what}")
