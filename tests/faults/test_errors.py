"""Every call of every story fails in every way that AWS's own description of it lists, and in those that all share.

What passes is tried again, by botocore or by another delivery, and ends as if nothing had been. What is final ends
soundly: nothing half done, nothing lost, nobody left without a word.
"""

import pytest

from sandbox.catalogue import failures
from sandbox.faults import Way
from tests.builders.repertoire import REPERTOIRE
from tests.builders.trials import fail, refusals, split, troubles, undisturbed
from tests.conftest import Count
from tests.faults.test_deaths import FUNCTIONS

QUIET = [name for name, story in REPERTOIRE.items() if not story.slack]
"""The stories without Slack, of which one fault an operation is tried: see the test that follows."""


@pytest.mark.parametrize("function", FUNCTIONS)
def test_errors_of_each_operation_end_soundly(function: str, count: Count) -> None:
    """A fault of each operation of a function, where it is first called: now one that passes, now one that does not."""
    seen: set[str] = set()
    for name, story in REPERTOIRE.items():
        for place, call in enumerate(undisturbed(name).calls, 1) if story.watched == function else ():
            if call.name in seen:
                continue
            seen.add(call.name)
            passing = len(seen) % 2 == 0
            faults = list(troubles(call) if passing else refusals(call))
            fail(name, place, faults[len(seen) // 2 % len(faults)], passing=passing)
    count("errors, one an operation", len(seen))


@pytest.mark.long
@pytest.mark.parametrize("name", QUIET)
def test_any_trouble_that_passes_changes_no_ending(name: str, count: Count) -> None:
    """At every call: an answer that is lost, once and for a whole invocation, and one more of what passes in turn."""
    tried = 0
    for place, call in enumerate(undisturbed(name).calls, 1):
        lost, others = split(troubles(call), Way.UNHEARD)
        for fault in (*lost, others[place % len(others)]):
            fail(name, place, fault, passing=True)
            tried += 1
    count("errors: passing, at every call", tried)


@pytest.mark.long
@pytest.mark.parametrize("name", QUIET)
def test_any_refusal_ends_soundly(name: str, count: Count) -> None:
    """At the first call of each operation every final error of AWS's catalogue, at the others one of them in turn."""
    tried = 0
    seen: set[str] = set()
    for place, call in enumerate(undisturbed(name).calls, 1):
        faults = list(refusals(call))
        for fault in faults if call.name not in seen else [faults[place % len(faults)]]:
            fail(name, place, fault, passing=False)
            tried += 1
        seen.add(call.name)
    count("errors: final, at every call", tried)


def test_the_catalogue_is_aws_own() -> None:
    """It holds what IAM and DynamoDB are known to answer, sorted by whether it passes."""
    attach = {each.error.code: each.passing for each in failures("iam", "AttachRolePolicy")}
    assert (
        attach | {"NoSuchEntity": False, "LimitExceeded": False, "ServiceFailure": True, "Throttling": True} == attach
    )
    update = {each.error.code: each.passing for each in failures("dynamodb", "UpdateItem")}
    assert update | {"ConditionalCheckFailedException": False, "TransactionConflictException": True} == update
