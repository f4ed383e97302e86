"""Mutated events through triage's handler, thousands at a time; in one portion of ten the rest of the stack follows.

Each portion has a stack of its own, so that memory does not grow, and dice of its own, so that any can be repeated.
"""

import json
import random
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

from bedrock_remediator.flows.triage.batch import Summary
from bedrock_remediator.flows.triage.triage import Triage
from sandbox.output import FUNCTION_OUTPUT
from sandbox.queues import SERVICE
from sandbox.report import policies
from sandbox.running import read_events, time_after
from sandbox.stack import Options, Sandbox
from sandbox.world import DEFAULT_WORLD, World, read_world
from tests.fuzz.mutation import Bender

EVENTS: Final = Path(__file__).parents[2] / "events"
ACCOUNT: Final = "123456789012"
PORTION: Final = 10_000
_WHOLE: Final = 10
"""In one portion of so many, what triage opens is granted and told as well."""
_BATCH: Final = 100
_READS: Final = re.compile(r"iam:(Get|List|Simulate)")
_SENDERS: Final = (SERVICE, SERVICE, SERVICE, "AROAEXAMPLEOPERATOR00:somebody")

ALLOWED: Final[Mapping[str, tuple[str, ...]]] = {
    f"arn:aws:iam::{ACCOUNT}:user/nova-developer": ("us.amazon.nova-2-lite-v1:0",),
    f"arn:aws:iam::{ACCOUNT}:role/service/chat-backend": ("global.amazon.nova-2-lite-v1:0",),
    f"arn:aws:iam::{ACCOUNT}:role/report-writer": ("us.amazon.nova-pro-v1:0", "us.amazon.nova-2-lite-v1:0"),
    f"arn:aws:iam::{ACCOUNT}:role/support-bot": ("us.anthropic.claude-sonnet-4-5-20250929-v1:0",),
}
"""Whom the rules allow which profiles. Nothing else may be in a policy that this service writes."""
RULES: Final = json.dumps(
    {
        "version": 1,
        "rules": [
            {"name": f"rule-{number}", "effect": "auto", "principals": [arn], "profiles": list(profiles)}
            for number, (arn, profiles) in enumerate(ALLOWED.items())
        ],
    }
)


class Fault(AssertionError):  # noqa: N818 - it is what was looked for
    """Something that must not happen did; the message says what, and in which portion."""


def portions(total: int, seed: int, first: int = 0) -> Iterator[tuple[int, Counter[str]]]:
    """Work through so many events, portion by portion, from a portion on; gives how many they were and their fates.

    Raises:
        Fault: It was not as it must be.
    """
    world, given = read_world(DEFAULT_WORLD), read_events(sorted(EVENTS.glob("*.json*")))
    pool = [each.event for each in given]
    options = Options(
        parameters={"Mode": "auto", "MaxGrantsPerPrincipal": "20"}, allowlist={"main": RULES}, now=time_after(given)
    )
    for number in range(first, -(-total // PORTION)):
        size = min(PORTION, total - number * PORTION)
        dice = random.Random(f"{seed}/{number}")  # noqa: S311 - repeatable is what it must be
        with Sandbox(world, options) as sandbox:
            try:
                yield size, _portion(sandbox, Bender(pool, dice), dice, size, whole=number % _WHOLE == 0)
            except Fault as fault:
                raise Fault(f"seed {seed}, portion {number}: {fault}") from fault


def _portion(sandbox: Sandbox, bender: Bender, dice: random.Random, size: int, *, whole: bool) -> Counter[str]:
    fates: Counter[str] = Counter()
    unsure = 0
    held = _ours(sandbox)
    triage = sandbox.functions["TriageFunction"]
    for begin in range(0, size, _BATCH):
        bodies = {}
        for number in range(begin, min(size, begin + _BATCH)):
            body, sure = bender.body(number)
            bodies[f"message-{number}"] = body
            unsure += not sure
        attributes = {"SenderId": dice.choice(_SENDERS), "SentTimestamp": str(int(sandbox.clock.seconds() * 1000))}
        records = [{"messageId": name, "body": body, "attributes": attributes} for name, body in bodies.items()]
        with _summaries() as found:
            answer = triage.invoke({"Records": records})
        if answer["batchItemFailures"]:
            failed = answer["batchItemFailures"][0]["itemIdentifier"]
            raise Fault(f"{failed} is to come again, without any trouble: {bodies[failed]!r}\n{_last_words()}")
        (summary,) = found
        if sum(summary.counts.values()) != len(bodies):
            raise Fault(f"of {len(bodies)} messages {dict(summary.counts)} are accounted for")
        fates += summary.counts
    _accounted(sandbox, fates, unsure)
    _approved(sandbox)
    if whole:
        sandbox.run()
        _accounted(sandbox, fates, unsure)
    for function in sandbox.functions.values():
        if errors := [run.error for run in function.invocations if run.error]:
            raise Fault(f"{function.logical_id} failed: {errors[0]}\n{_last_words()}")
    fates["granted"] = _granted(sandbox, held)
    fates["told"] = len(sandbox.outbox.notices)
    return fates


@contextmanager
def _summaries() -> Iterator[list[Summary]]:
    """Within the block, what triage says of each batch, which its handler only counts in metrics."""
    found: list[Summary] = []
    handle = Triage.handle

    def heard(self: Triage, *given: Any) -> Summary:
        summary = handle(self, *given)
        found.append(summary)
        return summary

    with patch.object(Triage, "handle", heard):
        yield found


def _accounted(sandbox: Sandbox, fates: Counter[str], unsure: int) -> None:
    """Every message is counted in the ledger, or set aside with its reason; only what may be a copy may be neither."""
    letters = sandbox.failures
    if len(letters) != fates["refused"] or not all(letter.attributes.get("reason") for letter in letters):
        raise Fault(f"{fates['refused']} messages were refused, and {len(letters)} set aside: {letters[-1:]}")
    counted = sum(item["count"] for item in sandbox.ledger.items() if item["sk"].startswith("seen#"))
    handled = fates.total() - fates["refused"]
    if not handled - unsure <= counted <= handled:
        raise Fault(f"{counted} of {handled} messages are counted, though {unsure} at the most are copies")


def _approved(sandbox: Sandbox) -> None:
    """What is to be granted is what the rules say: triage writes rows, and no policy."""
    for row in sandbox.ledger.items():
        if row.get("state") == "approved" and not set(row["resources"]) <= set(_allowed(sandbox.world, row["pk"])):
            raise Fault(f"approved without a rule that says so: {row}")
    if written := [
        name for name in sandbox.endpoint.tally.counts if name.startswith("iam:") and not _READS.match(name)
    ]:
        raise Fault(f"triage calls {written}")


def _ours(sandbox: Sandbox) -> dict[tuple[str, str], Any]:
    """Every policy of every principal, as text."""
    return {
        (arn, held["name"]): json.dumps(held["document"], sort_keys=True)
        for arn, some in policies(sandbox).items()
        for held in some
    }


def _granted(sandbox: Sandbox, before: Mapping[tuple[str, str], Any]) -> int:
    """How many policies were written, each of which gives no more than the rules say.

    Raises:
        Fault: One gives more.
    """
    now = _ours(sandbox)
    if lost := before.keys() - now.keys():
        raise Fault(f"policies are gone: {lost}")
    changed = [(arn, text) for (arn, name), text in now.items() if before.get((arn, name)) != text]
    for arn, text in changed:
        allowed = set(_allowed(sandbox.world, arn))
        given = {resource for each in json.loads(text)["Statement"] for resource in each["Resource"]}
        if not given <= allowed:
            raise Fault(f"{arn} was given {sorted(given - allowed)}")
    return len(changed)


def _allowed(world: World, arn: str) -> Iterator[str]:
    """What the rules let a principal have: profiles, and all that they reach."""
    for region, found in world.inference_profiles.items():
        for profile in found:
            if profile.id in ALLOWED.get(arn, ()):
                yield f"arn:aws:bedrock:{region}:{ACCOUNT}:inference-profile/{profile.id}"
                yield from profile.models


def _last_words() -> str:
    return "".join(list(FUNCTION_OUTPUT.lines)[-30:])[-6000:]
