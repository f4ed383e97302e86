"""The ledger against a model of it: many workers at once, in any order, with everything that people do in between.

Hypothesis makes up the story: bursts of denials, repeated and shuffled, which several workers take in batches at once
and in turns that a seed decides; decisions, ends, lapses. When all is quiet, each row is where the model has it, and
each principal's policies are exactly what its active grants compile to.
"""

import random
from typing import Any, Final
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from bedrock_remediator.core.grant import State
from sandbox.stack import Options, Sandbox
from tests.builders.endings import ending, in_iam
from tests.builders.repertoire import ROLE
from tests.builders.small_world import APP, BARE, NOW, denial, profile_arn, small_world
from tests.builders.soundness import grants, unsound
from tests.builders.stories import Stage
from tests.conftest import Count

RULES: Final = """
version: 1
rules:
  - {name: a-day, effect: auto, principals: ["arn:aws:iam::*:role/service/*"], profiles: ["*"], expires_after: 1d}
"""
PARAMETERS: Final = {
    "Mode": "auto",
    "ApproverRoleArns": ROLE,
    "UnknownCallerAsks": "false",
    "ProbeProfiles": "20",
    "MaxGrantsPerPrincipal": "1000",
}
TARGETS: Final = st.tuples(st.sampled_from([APP, BARE]), st.integers(0, 3))

Key = tuple[str, int]


class Ledger(RuleBasedStateMachine):
    """The stack, and what its ledger should say: APP gets what it asks for, for a day; about BARE people decide."""

    interleavings = 0
    part = 0

    @initialize(seed=st.integers(0, 2**16), strategy=st.sampled_from(["managed", "inline"]))
    def begin(self, seed: int, strategy: str) -> None:
        """A stack whose queues are worked on by several at once."""
        turns = seed + 100_000 * self.part
        options = Options(
            parameters=PARAMETERS | {"PolicyStrategy": strategy}, allowlist={"main": RULES}, now=NOW, seed=turns
        )
        self.sandbox = Sandbox(small_world(), options).__enter__()
        self.stage = Stage(self.sandbox)
        self.before = in_iam(self.sandbox)
        self.random = random.Random(turns)  # noqa: S311 - nothing secret hangs on it
        self.model: dict[Key, State] = {}
        self.rests: dict[Key, Any] = {}
        self.number = 0

    @rule(denied=st.lists(TARGETS, min_size=1, max_size=4), copies=st.integers(1, 3))
    def burst(self, denied: list[Key], copies: int) -> None:
        """Denials come at once, some as copies, some as repeats, in no order."""
        events = []
        for principal, number in denied:
            self.number += 1
            event = denial(principal, profile_arn(number), self.number, at=self.sandbox.clock.now())
            events += [event] * self.random.randint(1, copies)
            key = principal, number
            if self._is_open_to(key):
                self.model[key] = State.ACTIVE if principal == APP else State.PENDING
        self.random.shuffle(events)
        for event in events:
            self.sandbox.put(event)
        self._come_to_rest()

    @rule(about=TARGETS, decision=st.sampled_from(["approve", "reject", "revoke"]))
    def decide(self, about: Key, decision: str) -> None:
        """Somebody decides about a row, if there is anything to be decided."""
        wanted = State.ACTIVE if decision == "revoke" else State.PENDING
        found = self.stage.call("GET", f"/api/requests?state={wanted}")["requests"]
        for request in found:
            if (request["principal"], request["profile"]) == (about[0], profile_arn(about[1])):
                body = {"decision": decision, "version": request["version"]}
                body |= {"length": "1d"} if decision == "approve" else {}
                assert "error" not in self.stage.call("POST", f"/api/requests/{request['id']}", body)
                after = {"approve": State.ACTIVE, "reject": State.REJECTED, "revoke": State.REVOKED}
                assert self.model[about] is wanted
                self.model[about] = after[decision]
                break
        else:
            assert self.model.get(about) is not wanted
        self._come_to_rest()

    @rule(hours=st.sampled_from([1, 25, 80]))
    def wait(self, hours: int) -> None:
        """Time goes by, and upkeep comes round: grants end after a day, requests lapse after three."""
        self.stage.later(hours=hours)
        now = self.sandbox.clock.now()
        for row in grants(self.sandbox):
            key = self._key(row.sk, row.pk)
            if row.state is State.ACTIVE and row.expires_at and row.expires_at <= now:
                self.model[key] = State.REVOKED
            if row.state is State.PENDING and (now - row.updated_at).total_seconds() >= 72 * 3600:
                self.model[key] = State.LAPSED
        self.stage.round("upkeep")
        self._come_to_rest()

    def _is_open_to(self, key: Key) -> bool:
        """Whether a denial opens the row: there is none, it was revoked, or it has rested."""
        rest = self.rests.get(key)
        return key not in self.model or (
            self.model[key] in {State.REVOKED, State.REJECTED, State.LAPSED}
            and (rest is None or rest <= self.sandbox.clock.now())
        )

    def _come_to_rest(self) -> None:
        self.sandbox.run()
        rows = {self._key(row.sk, row.pk): row for row in grants(self.sandbox) if row.sk.startswith("profile#")}
        assert {key: row.state for key, row in rows.items()} == self.model
        self.rests = {key: row.cool_down_until for key, row in rows.items()}
        assert not unsound(self.sandbox, self.before)
        found = ending(self.sandbox)
        assert not found.unmarked
        assert not found.lost
        type(self).interleavings += 1

    @staticmethod
    def _key(sk: str, pk: str) -> Key:
        return pk, int(sk.rpartition("nova-")[2].partition("-")[0])

    def teardown(self) -> None:
        """Let go of the stack."""
        if hasattr(self, "sandbox"):
            self.sandbox.__exit__(None, None, None)


def _play(examples: int, steps: int, count: Count) -> None:
    Ledger.interleavings = 0
    run_state_machine_as_test(
        Ledger,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            derandomize=True,
        ),
    )
    count("steps of many workers at once, held against the model", Ledger.interleavings)


def test_the_ledger_is_as_its_model(count: Count) -> None:
    """Some made-up stories."""
    _play(4, 5, count)


@pytest.mark.long
@pytest.mark.parametrize("part", range(4))
def test_the_ledger_is_as_its_model_in_many_stories(part: int, count: Count) -> None:
    """Many, and longer ones; each part with other turns and in another order."""
    with patch.object(Ledger, "part", part + 1):
        _play(15, 12, count)
