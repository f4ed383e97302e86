"""Every call of every story fails in every way that AWS's own description of it lists, and in those that all share.

What passes is tried again, by botocore or by another delivery, and ends as if nothing had been. What is final ends
soundly: nothing half done, nothing lost, nobody left without a word.
"""

from typing import Final

import pytest

from sandbox.catalogue import failures
from sandbox.faults import Fault, Lasting, Way
from tests.builders.repertoire import MEMBER_ACCOUNT, REPERTOIRE, STRATEGIES
from tests.builders.trials import NOT_THERE, STALE, fail, may_be_denied, refusals, split, troubles, undisturbed
from tests.conftest import Count
from tests.faults.test_deaths import FUNCTIONS

LAST_ONES: Final = tuple(f"the last one revoked, {strategy}" for strategy in STRATEGIES)
TAKING_OUT: Final = (
    *(f"one of two revoked, {strategy}" for strategy in STRATEGIES),
    *(f"a grant that does not help, {strategy}" for strategy in STRATEGIES),
    "two policies become one, managed",
)


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
@pytest.mark.parametrize("name", REPERTOIRE)
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
@pytest.mark.parametrize("name", REPERTOIRE)
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


@pytest.mark.parametrize("name", LAST_ONES[:1])
def test_iam_denies_what_is_there(name: str, count: Count) -> None:
    """NoSuchEntity for what was written, at every call of a revocation: the row ends when it is gone."""
    count("errors: NoSuchEntity of what is there", _denied(name, Lasting.ONCE))


@pytest.mark.long
@pytest.mark.parametrize("name", [*LAST_ONES, *TAKING_OUT])
def test_iam_denies_what_is_there_wherever_it_is_taken_out(name: str, count: Count) -> None:
    """The same of one grant of several and of one that is rolled back; for a call, and for a whole invocation."""
    count("errors: NoSuchEntity of what is there", _denied(name, Lasting.ONCE, Lasting.INVOCATION))


@pytest.mark.long
@pytest.mark.parametrize("name", [story.name for story in MEMBER_ACCOUNT])
def test_stale_credentials_change_no_ending(name: str, count: Count) -> None:
    """At every call that is made by a role of a member account: the role is assumed anew."""
    calls = [place for place, call in enumerate(undisturbed(name).calls, 1) if call.role]
    for place in calls:
        fail(name, place, Fault(place=0, way=Way.REFUSED, error=STALE), passing=True)
    assert calls
    count("errors: stale credentials in a member account", len(calls))


def _denied(name: str, *lasting: Lasting) -> int:
    calls = [each for each in enumerate(undisturbed(name).calls, 1) if may_be_denied(each[1])]
    # A grant in place may fail where a policy is denied that it could go into: soundly, as any refusal ends.
    passing = not (name.startswith("a grant") and name.endswith("in-place"))
    for place, _ in calls:
        for each in lasting:
            fail(name, place, Fault(place=0, way=Way.REFUSED, error=NOT_THERE, lasting=each), passing=passing)
    assert calls
    return len(calls) * len(lasting)


def test_the_catalogue_is_aws_own() -> None:
    """It holds what IAM and DynamoDB are known to answer, sorted by whether it passes."""
    attach = {each.error.code: each.passing for each in failures("iam", "AttachRolePolicy")}
    assert (
        attach | {"NoSuchEntity": False, "LimitExceeded": False, "ServiceFailure": True, "Throttling": True} == attach
    )
    update = {each.error.code: each.passing for each in failures("dynamodb", "UpdateItem")}
    assert update | {"ConditionalCheckFailedException": False, "TransactionConflictException": True} == update
