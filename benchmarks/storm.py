"""A storm of denials through triage alone, its ledger in a file: what the function itself takes, however long it lasts.

The same denials as `benchmarks.burst`, in batches of a hundred as the queue gives them. The ledger is a file and not in
this process, IAM and Bedrock are a few values, so that time and memory are the function's own. Nobody else writes, so
conditions are not looked at. `python -m benchmarks.storm` takes 10,000 and 100,000 denials.
"""

import itertools
import json
import pickle
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, cast

from msgspec import Struct

from bedrock_remediator.aws.iam import Identity, Simulated
from bedrock_remediator.aws.ledger.write import Ledger
from bedrock_remediator.core.allowlist import Allowlist
from bedrock_remediator.core.arn import Principal
from bedrock_remediator.core.iam.evaluation import Holdings
from bedrock_remediator.core.profile import FoundationModel, Profile
from bedrock_remediator.flows.triage.investigation import Investigation
from bedrock_remediator.flows.triage.triage import Triage
from bedrock_remediator.settings import Mode, PolicySettings, Strategy
from benchmarks import tell
from benchmarks.apart import apart
from benchmarks.burst import peak, storm
from benchmarks.calls import sample
from sandbox.running import time_after

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

SIZES: Final = (10_000, 100_000)
_BATCH: Final = 100
_KINDS: Final = ("service-control-policy", "global-profile")


class Storm(Struct, frozen=True, kw_only=True):
    """What a storm took of triage: reads and writes of the ledger, milliseconds a denial, MB at the most."""

    denials: int
    new: int
    reads: int
    writes: int
    milliseconds: float
    megabytes: float


class _Table:
    """A table in a file, as far as triage uses one, and how often it was asked."""

    def __init__(self, path: str) -> None:
        self._file = sqlite3.connect(path, isolation_level=None)
        self._file.execute("PRAGMA journal_mode = OFF")
        self._file.execute("PRAGMA synchronous = OFF")
        self._file.execute("CREATE TABLE items (pk TEXT, sk TEXT, item BLOB, PRIMARY KEY (pk, sk))")
        self.asked: Counter[str] = Counter()

    def _get(self, key: Mapping[str, Any]) -> Any:
        found = self._file.execute("SELECT item FROM items WHERE pk = ? AND sk = ?", _key(key)).fetchone()
        return pickle.loads(found[0]) if found else None  # noqa: S301 - what this class wrote

    def _put(self, item: Mapping[str, Any]) -> None:
        self._file.execute("REPLACE INTO items VALUES (?, ?, ?)", (*_key(item), pickle.dumps(item)))

    def get_item(self, *, Key: Mapping[str, Any], **_: Any) -> Any:  # noqa: N803 - AWS's own spelling
        self.asked["reads"] += 1
        found = self._get(Key)
        return {"Item": found} if found else {}

    def batch_get_item(self, *, RequestItems: Mapping[str, Any]) -> Any:  # noqa: N803 - AWS's own spelling
        self.asked["reads"] += 1
        ((table, wanted),) = RequestItems.items()
        return {"Responses": {table: [item for key in wanted["Keys"] if (item := self._get(key))]}}

    def put_item(self, *, Item: Mapping[str, Any], **_: Any) -> None:  # noqa: N803 - AWS's own spelling
        self.asked["writes"] += 1
        self._put(Item)

    def transact_write_items(self, *, TransactItems: Sequence[Mapping[str, Any]]) -> None:  # noqa: N803 - AWS's own
        self.asked["writes"] += 1
        for each in TransactItems:
            self._put(each["Put"]["Item"])

    def update_item(self, *, Key: Mapping[str, Any], **update: Any) -> None:  # noqa: N803 - AWS's own spelling
        self.asked["writes"] += 1
        item = self._get(Key)
        changes = update["UpdateExpression"].partition(" REMOVE ")[0].removeprefix("SET ")
        for change in changes.split(", "):
            name, _, value = change.partition(" = ")
            item[update["ExpressionAttributeNames"][name]] = update["ExpressionAttributeValues"][value]
        self._put(item)


def _key(item: Mapping[str, Any]) -> tuple[str, str]:
    return item["pk"]["S"], item["sk"]["S"]


class _Aws:
    """IAM with any role and no policy, a Bedrock with one profile, no rules, and a clock that stands."""

    def __init__(self, now: datetime) -> None:
        self._now = now

    def now(self) -> datetime:
        return self._now

    def sleep(self, seconds: float) -> None:
        raise NotImplementedError

    def read(self) -> Allowlist:
        return Allowlist()

    def principal(self, principal: Principal) -> tuple[Principal, str]:
        return principal, "AROAEXAMPLE"

    def identity(self, principal: Principal) -> Identity:
        born = datetime(2026, 1, 1, tzinfo=UTC)
        return Identity(principal=principal, id="AROAEXAMPLE", created_at=born, tags={}, holdings=Holdings(policies=()))

    def simulate(self, _arn: str, actions: Sequence[str], resources: Sequence[str], *_: Any) -> list[Simulated]:
        return [
            Simulated(
                action=action,
                resource=resource,
                decision="allowed",
                organizations=True,
                boundary=None,
                missing_context=(),
            )
            for action in actions
            for resource in resources
        ]

    def evaluations(self, *_: str) -> tuple[()]:
        return ()

    def profile(self, _account: str, _region: str, identifier: str) -> Profile:
        model = identifier.rpartition("/global.")[2]
        return Profile.confirmed(
            identifier, f"global.{model}", "SYSTEM_DEFINED", [f"arn:aws:bedrock:us-east-1::foundation-model/{model}"]
        )

    def profiles(self, *_: Any, **__: Any) -> tuple[Profile, ...]:
        return ()

    def model(self, _account: str, _region: str, _model_id: str) -> FoundationModel | None:
        raise NotImplementedError


def measure(sizes: Sequence[int] = SIZES) -> Iterator[Storm]:
    """Storms of these sizes."""
    return apart(_kept_in_a_file, sizes)


def _kept_in_a_file(denials: int) -> Storm:
    with tempfile.TemporaryDirectory() as folder:
        return _measured(denials, f"{folder}/ledger")


def _measured(denials: int, path: str) -> Storm:
    kinds = (sample(_KINDS[0])[0], sample(_KINDS[1])[0])
    table, aws = _Table(path), _Aws(time_after(kinds) + timedelta(hours=1))
    settings = PolicySettings(
        ledger_table="ledger",
        mode=Mode.APPROVE,
        paused=False,
        strategy=Strategy.MANAGED,
        allowlist_path="/allowlist",
        extra_actions=(),
        grantable_principals=("arn:*",),
        default_grant_days=0,
    )
    triage = Triage(
        ledger=Ledger(cast("DynamoDBClient", table), "ledger", aws),
        investigation=Investigation(home="123456789012", iam=aws, profiles=aws, details=aws, policy=settings),
        allowlists=aws,
        refuse=lambda _body, reason: sys.exit(reason),
        settings=settings,
        open_requests=5,
        clock=aws,
    )
    seconds, new = 0.0, 0
    events = storm(kinds, denials)
    while batch := list(itertools.islice(events, _BATCH)):
        messages = {str(number): json.dumps(given.event) for number, given in enumerate(batch)}
        begun = time.process_time()
        summary = triage.handle(messages)
        seconds += time.process_time() - begun
        assert not summary.failed
        new += len(summary.opened)
    asked = table.asked
    return Storm(
        denials=denials,
        new=new,
        reads=asked["reads"],
        writes=asked["writes"],
        milliseconds=seconds / denials * 1e3,
        megabytes=peak(),
    )


def main() -> None:
    """Print what the storms took."""
    print(*Storm.__struct_fields__, sep="\t")
    tell(measure([int(size) for size in sys.argv[1:]] or SIZES))


if __name__ == "__main__":
    main()
