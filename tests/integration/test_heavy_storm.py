"""A long and heavy storm of denials through triage and the ledger: what it costs, and that nothing piles up.

Five kinds of denial for each principal, 95 in 100 of them repeats, in batches of a hundred as SQS brings them. What a
whole stack makes of a storm is measured by `python -m benchmarks.burst 100000`.
"""

import json
import random
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import pytest

from bedrock_remediator.aws.ledger.items import FIRST_ROW
from bedrock_remediator.aws.ledger.write import Ledger
from sandbox.dynamodb import quickened
from tests.builders import records as make
from tests.builders.aws import FakeProfiles, profile
from tests.builders.clocks import StoppedClock
from tests.builders.triage import Service

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

Count = Callable[[str, int], None]

PROFILES: Final = [profile(f"us.amazon.nova-{number}-v1:0") for number in range(5)]
SCP: Final = "with an explicit deny in a service control policy"
KINDS: Final = len(PROFILES)
NEW: Final = 20
"""One denial in so many is new."""
BATCH: Final = 100
RECENT: Final = 10
"""A program that is denied calls again and again: repeats are of what came a while ago, some ten kinds a batch."""
Key = tuple[int, int]
"""Which principal, and which kind of its denials."""


@cache
def texts(principal: int) -> list[str]:
    """A principal's denials: one of a missing grant, the others refused by a service control policy."""
    name = f"app-{principal}"
    arn = f"arn:aws:sts::{make.ACCOUNT}:assumed-role/{name}/web-1"
    issuer = {"type": "Role", "arn": f"arn:aws:iam::{make.ACCOUNT}:role/{name}", "accountId": make.ACCOUNT}
    identity = make.role_identity(arn=arn, sessionContext={"sessionIssuer": issuer})
    return [
        json.dumps(
            make.event(
                make.record(
                    userIdentity=identity,
                    eventID="EVENT",
                    errorMessage=make.message(arn, resource=each.arn, **({"why": SCP} if number else {})),
                    requestParameters={"modelId": each.id},
                )
            )
        )
        for number, each in enumerate(PROFILES)
    ]


def written(principal: int, kind: int) -> str:
    """A denial as the queue brings it."""
    return texts(principal)[kind]


def storm(denials: int, principals: int) -> Iterator[Key]:
    """Which denial comes when: a new one now and then, between repeats of earlier ones."""
    dice = random.Random(1)  # noqa: S311 - any order will do
    new = [(number % principals, number // principals) for number in range(principals * KINDS)]
    for number in range(denials):
        seen = number // NEW
        yield new[seen] if number % NEW == 0 else new[dice.randrange(max(0, seen - RECENT), seen + 1)]


@pytest.fixture
def _quick() -> Iterator[None]:
    """Keep moto from copying the whole table for each transaction, in case it fails."""
    with quickened():
        yield


@pytest.fixture
def calls(dynamodb: "DynamoDBClient", _quick: None) -> Counter[str]:
    """Counts the ledger's calls by operation."""
    counted: Counter[str] = Counter()
    dynamodb.meta.events.register("before-call.dynamodb.*", lambda model, **_: counted.update([model.name]))
    return counted


def remembered() -> list[int]:
    """How many answers each cache of the core holds, of which each has a bound."""
    caches = [
        value
        for name, module in sorted(sys.modules.items())
        if name.startswith("bedrock_remediator.core.")
        for value in vars(module).values()
        if hasattr(value, "cache_info")
    ]
    sizes = [cache.cache_info() for cache in caches]
    assert all(size.maxsize is not None for size in sizes)
    return [size.currsize - size.maxsize for size in sizes]


@pytest.mark.parametrize(("denials", "principals"), [(1_000, 10), pytest.param(100_000, 1_000, marks=pytest.mark.long)])
def test_a_storm_costs_what_is_new_and_little_else(  # noqa: PLR0917 - fixtures are arguments
    denials: int, principals: int, ledger: Ledger, clock: StoppedClock, calls: Counter[str], count: Count
) -> None:
    """A write for each distinct denial of a batch, IAM for what may be granted alone, and memory that does not grow."""
    service = Service(ledger, clock)
    service.profiles = FakeProfiles(*PROFILES)
    triage = service.triage()
    seen: set[Key] = set()
    repeated = batches = 0
    order = storm(denials, principals)
    for number in range(0, denials, BATCH):
        keys = [next(order) for _ in range(BATCH)]
        repeated += len(seen & set(keys))
        seen |= set(keys)
        batches += 1
        bodies = [written(*key).replace("EVENT", f"event-{number + at}") for at, key in enumerate(keys)]
        assert not triage.handle({str(at): body for at, body in enumerate(bodies)}).failed
    new = len(seen)
    assert new == denials // NEW
    assert calls["TransactWriteItems"] == new
    assert calls["UpdateItem"] == repeated
    assert calls["BatchGetItem"] + calls["GetItem"] <= 2 * batches + new
    assert set(calls) <= {"TransactWriteItems", "UpdateItem", "BatchGetItem", "GetItem"}
    # Of the five kinds one may be granted: a refusal by a service control policy asks nobody.
    assert service.iam.asked.count("identity") == sum(kind == 0 for _, kind in seen)
    assert max(remembered()) <= 0
    count("denials of a heavy storm", denials)


def test_each_denial_of_a_storm_is_counted_once(ledger: Ledger, clock: StoppedClock) -> None:
    """However the batches are cut, and delivered again."""
    service = Service(ledger, clock)
    service.profiles = FakeProfiles(*PROFILES)
    bodies = texts(0)
    keys = list(storm(100, 1))
    messages: dict[str, Any] = {str(at): bodies[kind].replace("EVENT", f"e-{at}") for at, (_, kind) in enumerate(keys)}
    for half in (dict(list(messages.items())[:60]), messages, messages):
        assert not service.triage().handle(half).failed
    arn = f"arn:aws:iam::{make.ACCOUNT}:role/app-0"
    assert sum(ledger.denials(arn, row.sk).count for row in ledger.with_counters(arn, FIRST_ROW).grants) == 100
