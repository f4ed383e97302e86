"""Figures that mean the same on any machine: ratios and counts. `make bench` prints them."""

from collections.abc import Iterable

import msgspec


def tell(figures: Iterable[msgspec.Struct]) -> None:
    """Print each figure's fields as a line, with tabs between them."""
    for each in figures:
        fields = msgspec.structs.astuple(each)
        print(*(f"{value:.2f}" if isinstance(value, float) else value for value in fields), sep="\t", flush=True)
