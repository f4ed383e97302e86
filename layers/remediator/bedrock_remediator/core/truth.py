"""Three-valued logic: what a policy says of a request is true, false, or not known (None).

The operations are Kleene's, so learning what was unknown never takes back a true or a false.
"""

from collections.abc import Iterable

Truth = bool | None


def negation(truth: Truth) -> Truth:
    """Not: what is unknown stays unknown."""
    return None if truth is None else not truth


def disjunction(truths: Iterable[Truth]) -> Truth:
    """Or: true if one is true, false if all are false (or there are none), else unknown."""
    outcome: Truth = False
    for truth in truths:
        if truth:
            return True
        if truth is None:
            outcome = None
    return outcome


def conjunction(truths: Iterable[Truth]) -> Truth:
    """And: false if one is false, true if all are true (or there are none), else unknown."""
    return negation(disjunction(negation(truth) for truth in truths))
