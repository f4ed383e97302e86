"""Throw mutated events at triage and mutated requests at the HTTP routes: `python -m tests.fuzz --help`.

Everything is drawn by the seed, portion by portion, so that a run can go on where another one ended, and any portion be
repeated. It ends with 1 at the first thing that must not happen.
"""

import argparse
import resource
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Final

from sandbox.shell import leave_aws_settings
from tests.fuzz import events, requests

_WHAT: Final[dict[str, Callable[[int, int, int], Iterator[tuple[int, Counter[str]]]]]] = {
    "events": events.portions,
    "requests": requests.portions,
}


def main() -> int:
    """Run, and print what became of each portion and of all."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("what", choices=_WHAT)
    parser.add_argument("count", type=int, help="how many, those of skipped portions included")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="the portion to begin with, to go on where a run ended")
    given = parser.parse_args()
    fates: Counter[str] = Counter()
    done, begun = 0, time.process_time()
    try:
        for number, (size, found) in enumerate(_WHAT[given.what](given.count, given.seed, given.first), given.first):
            done += size
            fates += found
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
            spent = time.process_time() - begun
            _say(f"portion {number}: {dict(sorted(found.items()))}; {done:,} {given.what}, {spent:.0f} s, {peak} MB")
    except AssertionError as fault:
        _say(f"FAULT {fault}")
        return 1
    _say(f"{done:,} {given.what}, seed {given.seed}: {dict(sorted(fates.items()))}")
    return 0


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    leave_aws_settings()
    sys.exit(main())
