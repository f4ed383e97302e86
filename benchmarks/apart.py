"""Measurements in a process each, so that a peak of memory is that of one of them alone."""

import multiprocessing
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import TypeVar

Given = TypeVar("Given")
Measured = TypeVar("Measured")


def apart(measure: Callable[[Given], Measured], given: Iterable[Given]) -> Iterator[Measured]:
    """What `measure`, a function of a module, makes of each; one after the other, in order."""
    spawning = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawning, max_tasks_per_child=1) as pool:
        yield from pool.map(measure, given)
