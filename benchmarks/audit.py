"""Auditing an account: 5,000 principals as IAM's pages give them, 120 inference profiles in two regions.

Four fifths of the principals have nothing to do with Bedrock, which is much like life; a tenth hold one of twenty
policies that many share, and a tenth a policy of their own, half of those with a condition or a policy variable. Memory
is what Python has allocated at most beyond what there was before, with pages of 500: it must not grow with the account.
The network is left out: GetAccountAuthorizationDetails takes about ten calls for 5,000 principals.
"""

import functools
import time
import timeit
import tracemalloc
from collections.abc import Iterator, Sequence
from typing import Any, Final

from msgspec import Struct

from bedrock_remediator.core.profile import Profile
from bedrock_remediator_cli.audit.account import AccountReader
from bedrock_remediator_cli.audit.audit import Audit
from bedrock_remediator_cli.audit.catalogue import Catalogue
from benchmarks import tell
from tests.builders.iam_pages import ACCOUNT, IamPages

BUDGET: Final = 20
"""Seconds for 5,000 principals."""
SIZES: Final = (5_000, 20_000)
_MODELS: Final = 30
_REGIONS: Final = {"us-east-1": ("us-east-1", "us-east-2", "us-west-2"), "eu-west-1": ("eu-west-1", "eu-north-1")}
_INVOKE: Final = ["bedrock:InvokeModel", "bedrock:InvokeModelWithResponseStream"]
_NOW: Final = "2026-11-26T09:00:00Z"


class Audited(Struct, frozen=True):
    """An audit of so many principals: seconds of the processor, what was found, and MB at most."""

    principals: int
    seconds: float
    findings: int
    megabytes: float


def measure(sizes: Sequence[int] = SIZES) -> Iterator[Audited]:
    """Every size."""
    for size in sizes:
        work = functools.partial(audited, size)
        seconds = min(timeit.repeat(work, number=1, repeat=3, timer=time.process_time))
        tracemalloc.start()
        found = work()
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        yield Audited(size, seconds, found, peak / 1e6)


def audited(principals: int) -> int:
    """Audit an account of so many roles; gives the number of findings, of which none is kept."""
    reader = AccountReader(account(principals))
    for _ in reader.read_policies():
        pass
    audit = Audit(catalogues(), None, _NOW)
    return sum(len(each.findings) for page in audit.of(reader) for each in page)


def account(principals: int) -> IamPages:
    """The account; its roles are made up as they are asked for."""
    shared = {f"shared-{number}": [_allow(_model(number))] for number in range(20)}
    other = {
        f"other-{number}": [{"Effect": "Allow", "Action": ["s3:Get*", "sqs:*"], "Resource": "*"}] * 3
        for number in range(50)
    }
    return IamPages(policies=shared | other, roles=lambda: _roles(principals))


def catalogues() -> tuple[Catalogue, ...]:
    """Two regions with thirty models, each in a geographic and a global profile."""
    return tuple(
        Catalogue(region=region, profiles=tuple(_profiles(region, destinations)), on_demand=frozenset())
        for region, destinations in _REGIONS.items()
    )


def _profiles(region: str, destinations: Sequence[str]) -> Iterator[Profile]:
    for number in range(_MODELS):
        for scope, regions in ((region[:2], destinations), ("global", (region,))):
            name = f"{scope}.vendor.model-{number}-v1:0"
            models = [_model(number, each) for each in regions]
            yield Profile.confirmed(_profile(name, region), name, "SYSTEM_DEFINED", models)


def _roles(principals: int) -> Iterator[tuple[str, Sequence[Any]]]:
    for number in range(principals):
        kind, held = number % 10, [f"other-{number % 50}"]
        if kind == 0:
            yield f"role-{number}", [*held, f"shared-{number // 10 % 20}"]
        elif kind == 1:
            yield f"role-{number}", [*held, _own(number)]
        else:
            yield f"role-{number}", held


def _own(number: int) -> Any:
    """A statement that nobody else has: a profile and its source region's model, half of them under a condition."""
    name = f"us.vendor.model-{number % _MODELS}-v1:0"
    statement = _allow(
        _profile(name, "us-east-1"), _model(number % _MODELS), f"arn:aws:bedrock:*::custom-model/{number}"
    )
    if number % 4 == 1:
        return statement | {"Condition": {"StringEquals": {"aws:PrincipalTag/team": "${aws:ResourceTag/team}"}}}
    return statement


def _allow(*resources: str) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": _INVOKE, "Resource": list(resources)}


def _model(number: int, region: str = "us-east-1") -> str:
    return f"arn:aws:bedrock:{region}::foundation-model/vendor.model-{number}-v1:0"


def _profile(name: str, region: str) -> str:
    return f"arn:aws:bedrock:{region}:{ACCOUNT}:inference-profile/{name}"


def main() -> None:
    """Print the figures."""
    tell(measure())


if __name__ == "__main__":
    main()
