"""The bill for a month, from the calls that are counted and public list prices: docs/cost.md explains each line.

Prices are list prices of us-east-1 in dollars, of November 2026; docs/cost.md says how they were checked.
No free tier is taken off.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from msgspec import Struct

from benchmarks.calls import KINDS, counted
from sandbox.shell import leave_aws_settings
from sandbox.stack import Options, Sandbox
from sandbox.world import DEFAULT_WORLD, read_world

MONTH: Final = 30 * 86_400  # seconds
LAMBDA_REQUEST: Final = 0.20e-6
LAMBDA_GB_SECOND: Final = 13.3334e-6  # arm64
SQS_REQUEST: Final = 0.40e-6
SQS_FIFO_REQUEST: Final = 0.50e-6
PIPE_REQUEST: Final = 0.40e-6
SNS_PUBLISH: Final = 0.50e-6
EMAIL: Final = 2.00e-5
DYNAMODB_READ: Final = 0.125e-6  # a read unit, on demand: 4 KB, consistently
DYNAMODB_WRITE: Final = 0.625e-6  # a write unit, on demand: 1 KB
SECRETS_CALL: Final = 0.05e-4
LOGS_GB: Final = 0.50
ALARM: Final = 0.10
METRIC: Final = 0.30
DASHBOARD: Final = 3.00
KEY: Final = 1.00
SECRET: Final = 0.40

NEW: Final = 0.01
"""One denial in a hundred is new; half of those are refusals, half end in an automatic grant."""
WINDOW: Final = 5  # seconds in which the queue gathers a batch
BATCH: Final = 100
SAME: Final = 10
"""Denials of a full batch that are the same: a batch of 100 is of ten kinds."""
CALL: Final = 0.02  # seconds a call takes
START: Final = 0.05  # seconds of an invocation beside its calls
MEMORY: Final = 0.5  # GB
VERIFY: Final = 60  # seconds that remediate may wait for IAM to settle
LOG: Final = 2e-6  # GB that an invocation logs
METRICS: Final = 15
SERVICES: Final = ("Lambda", "DynamoDB", "SQS and Pipes", "SNS and e-mail", "Secrets Manager", "Logs")
_ITEMS: Final = 3
"""What is read for each kind in a batch: its counter, its row, and its principal's habits."""
_READ_AT_ONCE: Final = 100 / _ITEMS
_UPKEEP: Final = MONTH / 900
_POLLS: Final = 2 * 5 * 3 * MONTH / 60  # two queues, five pollers, a long poll of twenty seconds each
_UNITS: Final[Mapping[str, float]] = {
    "dynamodb:GetItem": DYNAMODB_READ,
    "dynamodb:Query": DYNAMODB_READ,
    "dynamodb:BatchGetItem": 2 * DYNAMODB_READ,
    "dynamodb:PutItem": DYNAMODB_WRITE,
    "dynamodb:UpdateItem": 4 * DYNAMODB_WRITE,
    "dynamodb:TransactWriteItems": 2 * 4 * DYNAMODB_WRITE,
    "secretsmanager:GetSecretValue": SECRETS_CALL,
    "sns:Publish": SNS_PUBLISH + EMAIL,
}
"""What a call costs. A row is up to 4 KB, a counter with its last 100 event ids too, and a transaction costs twice."""


class Bill(Struct, frozen=True):
    """Dollars for a month of so many denials: whatever their number, by service, and if each were told one by one."""

    denials: int
    fixed: float
    services: Mapping[str, float]
    one_by_one: float

    @property
    def total(self) -> float:
        """All of it."""
        return self.fixed + sum(self.services.values())


def measure() -> Iterator[Bill]:
    """A month of ten thousand, a million and a hundred million denials."""
    refusal, grant = (
        counted(name, KINDS[name]).calls
        for name in ("a refusal (service control policy)", "a first automatic grant, managed")
    )
    fixed = _fixed()
    for denials in (10_000, 1_000_000, 100_000_000):
        yield Bill(denials, fixed, _services(denials, refusal, grant), _one_by_one(denials))


def _fixed() -> float:
    with Sandbox(read_world(DEFAULT_WORLD), Options()) as sandbox:
        stack = sandbox.stack
        watched = ALARM * len(stack.of_type("AWS::CloudWatch::Alarm")) + METRIC * METRICS + DASHBOARD
        kept = KEY * len(stack.of_type("AWS::KMS::Key")) + SECRET * len(stack.of_type("AWS::SecretsManager::Secret"))
    upkeep = _UPKEEP * (LAMBDA_REQUEST + MEMORY * 1 * LAMBDA_GB_SECOND + LOG * LOGS_GB)
    return watched + kept + upkeep + _POLLS * SQS_REQUEST


def _services(denials: int, refusal: Mapping[str, int], grant: Mapping[str, int]) -> Mapping[str, float]:
    batch = min(max(denials / MONTH * WINDOW, 1), BATCH)
    batches = denials / batch
    groups = max(batch / SAME, 1)
    new = denials * NEW
    # A new denial has calls of its own; the batch that it comes in reads and counts the rest.
    each = {
        name: (refusal.get(name, 0) + grant.get(name, 0)) / 2 * new for name in sorted(refusal.keys() | grant.keys())
    }
    reads, counts = batches * max(groups / _READ_AT_ONCE, 1), batches * groups
    calls = sum(each.values()) + reads + counts
    # Triage, notify, and for every second new denial remediate and notify for the grant.
    invocations = batches + new * 2
    waiting = new / 2 * VERIFY
    dollars = (
        invocations * LAMBDA_REQUEST + MEMORY * (invocations * START + calls * CALL + waiting) * LAMBDA_GB_SECOND,
        sum(count * _UNITS[name] for name, count in each.items() if name.startswith("dynamodb:"))
        + counts * _ITEMS * DYNAMODB_READ
        + counts * _UNITS["dynamodb:UpdateItem"],
        (denials + 2 * max(denials / 10, batches)) * SQS_REQUEST + new / 2 * (3 * SQS_FIFO_REQUEST + PIPE_REQUEST),
        each["sns:Publish"] * _UNITS["sns:Publish"],
        each["secretsmanager:GetSecretValue"] * SECRETS_CALL,
        invocations * LOG * LOGS_GB,
    )
    return dict(zip(SERVICES, dollars, strict=True))


def _one_by_one(denials: int) -> float:
    """A rule that invokes a function for every denial, which publishes a message about it, mailed to one person."""
    seconds = START + CALL
    return denials * (
        LAMBDA_REQUEST + seconds * MEMORY / 4 * LAMBDA_GB_SECOND + SNS_PUBLISH + EMAIL + LOG / 2 * LOGS_GB
    )


def main() -> None:
    """Print the bills."""
    for bill in measure():
        lines = {
            "the same every month": bill.fixed,
            **bill.services,
            "total": bill.total,
            "one by one": bill.one_by_one,
        }
        print(f"{bill.denials:,} denials")
        for name, dollars in lines.items():
            print(f"  {name:24}{dollars:12,.2f}")


if __name__ == "__main__":
    leave_aws_settings()
    main()
