"""Somebody who may write to the ledger's table writes rows of their own: the whole stack believes none of them.

Stream, pipe, remediate and upkeep run as ever. IAM is as it was, to the byte: what two genuine grants compile to, and
other people's policies untouched. And it is told: by a notice, or by the message among the dead letters.
"""

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any, Final

import pytest
from msgspec.structs import replace

from bedrock_remediator.aws.ledger.items import grant_item
from bedrock_remediator.core.grant import DiagnosisKind, Outcome, State, Written
from sandbox.faults import Fault, Way
from sandbox.running import read_events, time_after
from sandbox.stack import Options, Sandbox
from sandbox.world import DEFAULT_WORLD, read_world
from tests.builders.endings import in_iam
from tests.builders.forgeries import FORGERIES, REPLAYS, RULES, forge, genuine, replay
from tests.builders.parts import revoked
from tests.builders.small_world import APP, BARE, DEV, denial, profile_arn
from tests.builders.soundness import grants
from tests.builders.stories import Played, Stage, Story
from tests.conftest import Count

STRATEGIES: Final = ("managed", "inline", "in-place")
BY_A_PERSON: Final = {"managed": (BARE, 1), "inline": (BARE, 1), "in-place": (DEV, 0)}
"""Whose grant a person approves, and of which profile: in place it takes somebody who has the model already."""


def _untouched(strategy: str, names: Collection[str]) -> None:
    """Have the rows written, and let the stack do what it does about them."""
    held: list[Any] = []
    ends: list[Any] = []

    def granted(stage: Stage) -> None:
        """One grant that a rule makes, and one that a person does."""
        asker, number = BY_A_PERSON[strategy]
        stage.deny(denial(APP, profile_arn(0)), denial(asker, profile_arn(number), 2))
        stage.press("approve")

    def attack(stage: Stage) -> None:
        held.append(in_iam(stage.sandbox))
        told, lost = len(stage.sandbox.outbox.notices), len(stage.sandbox.failures)
        rows = [forge(stage, name) for name in names]
        stage.sandbox.run()
        held.append(in_iam(stage.sandbox))
        stage.later(hours=1)
        stage.round("upkeep")
        held.append(in_iam(stage.sandbox))
        news = [str(notice.message) for notice in stage.sandbox.outbox.notices[told:]]
        letters = [str(letter.body) for letter in stage.sandbox.failures[lost:]]
        now = {row.key: row for row in grants(stage.sandbox)}
        for name, row in zip(names, rows, strict=True):
            ends.append((name, now[row.key], any(row.sk in each and row.pk in each for each in (*news, *letters))))

    Story(
        name="forged rows",
        watched="RemediateFunction",
        parameters={"PolicyStrategy": strategy},
        allowlist=RULES,
        before=granted,
        act=attack,
    ).play()
    before, at_once, later = held
    assert len(ends) == len(names)
    assert at_once == before, names
    assert later == before, names
    assert [name for name, row, told in ends if row.state is State.ACTIVE or not told] == []


@pytest.mark.parametrize(
    "strategy", [STRATEGIES[0], pytest.param(STRATEGIES[1], marks=pytest.mark.long), STRATEGIES[2]]
)
def test_forged_rows_never_reach_iam(strategy: str, count: Count) -> None:
    """All of them at once, beside two genuine grants."""
    _untouched(strategy, list(FORGERIES))
    count("forged rows: all at once", len(FORGERIES))


@pytest.mark.long
@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("name", FORGERIES)
def test_a_forged_row_alone_never_reaches_iam(name: str, strategy: str, count: Count) -> None:
    """None of them is held up by another only."""
    _untouched(strategy, [name])
    count("forged rows: one alone", 1)


QUESTIONS: Final = (
    "region-lock",
    "deny-that-may-apply",
    "application-profiles-only",
    "wrong-prefix",
    "guardrail-required",
)
"""Events whose denial is a person's to decide, whatever a rule says: by the principal's own policies."""
EVERYTHING: Final = json.dumps(
    {
        "version": 1,
        "rules": [
            {
                "name": "all",
                "effect": "auto",
                "principals": ["arn:aws:iam::*:role/**", "arn:aws:iam::*:user/**"],
                "models": ["*"],
            }
        ],
    }
)


@pytest.mark.parametrize(
    "strategy", [STRATEGIES[0], pytest.param(STRATEGIES[1], marks=pytest.mark.long), STRATEGIES[2]]
)
@pytest.mark.parametrize("event", QUESTIONS)
def test_a_row_that_passes_over_a_persons_question_gives_nothing(event: str, strategy: str, count: Count) -> None:
    """Triage asks a person; the row is rewritten as if permissions were missing, in each state of one at work."""
    events = read_events([Path("events") / f"{event}.json"])
    parameters = {"Mode": "auto", "PolicyStrategy": strategy}
    options = Options(parameters=parameters, now=time_after(events), allowlist={"main": EVERYTHING})
    with Sandbox(read_world(DEFAULT_WORLD), options) as stack:
        for each in events:
            stack.put(each.event)
        stack.run()
        (asked,) = grants(stack)
        assert asked.state is State.PENDING
        before, stage = in_iam(stack), Stage(stack)
        for state in (State.APPROVED, State.APPLYING, State.ACTIVE):
            now = next(row for row in grants(stack) if row.key == asked.key)
            forged = replace(
                asked,
                state=state,
                decision=Outcome.AUTO,
                rule="all",
                diagnosis=DiagnosisKind.MISSING_GRANT,
                version=now.version + 1,
                updated_at=stack.clock.now(),
                written=None if state is State.APPROVED else Written(strategy=strategy, policies=()),
            )
            stack.ledger.put(grant_item(forged))
            stack.run()
            assert in_iam(stack) == before, state
            stage.later(hours=1)
            stage.round("upkeep")
            assert in_iam(stack) == before, state
            if state is State.APPROVED:
                now = next(row for row in grants(stack) if row.key == asked.key)
                assert (now.state, now.reason_code) == (State.PENDING, "diagnosis_changed")
    count("forged rows: past a person's question", 3)


def _revoked(stage: Stage) -> None:
    stage.press("revoke")


def _rejected(stage: Stage) -> None:
    """Revoked, asked for once more, and refused by a person."""
    stage.press("revoke")
    stage.later(minutes=20)
    asker, number = BY_A_PERSON[str(stage.sandbox.stack.parameters["PolicyStrategy"])]
    stage.deny(denial(asker, profile_arn(number), 9, at=stage.sandbox.clock.now()))
    stage.press("reject")


def _shortened(stage: Stage) -> None:
    """Given another end, and then revoked."""
    stage.press("new_link")
    stage.press("extend")
    stage.press("revoke")


ENDS: Final = {"revoked": _revoked, "revoked and then rejected": _rejected, "extended and revoked": _shortened}


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize(
    ("end", "days"),
    [
        ("revoked and then rejected", 0),
        ("revoked and then rejected", 180),
        *(pytest.param(end, days, marks=pytest.mark.long) for end in ENDS for days in (0, 2) if "rejected" not in end),
    ],
)
def test_a_signature_of_a_grant_that_ended_gives_nothing(strategy: str, end: str, days: int, count: Count) -> None:
    """However the row is put back, before and after the time for which an approval is good, and people are told."""
    held: list[Any] = []
    ends: list[Any] = []

    def attack(stage: Stage) -> None:
        asker, number = BY_A_PERSON[strategy]
        stage.deny(denial(APP, profile_arn(0)), denial(asker, profile_arn(number), 2))
        held.append(in_iam(stage.sandbox)["principals"][asker])
        stage.press("approve")
        stood = genuine(stage)[1]
        assert in_iam(stage.sandbox)["principals"][asker] != held[0]
        ENDS[end](stage)
        assert in_iam(stage.sandbox)["principals"][asker] == held[0]
        stage.later(days=days)
        for name in REPLAYS:
            told, lost = len(stage.sandbox.outbox.notices), len(stage.sandbox.failures)
            row = replay(stage, name, stood)
            stage.sandbox.run()
            held.append(in_iam(stage.sandbox)["principals"][asker])
            stage.later(hours=1)
            stage.round("upkeep")
            held.append(in_iam(stage.sandbox)["principals"][asker])
            news = [str(notice.message) for notice in stage.sandbox.outbox.notices[told:]]
            letters = [str(letter.body) for letter in stage.sandbox.failures[lost:]]
            now = next(each for each in grants(stage.sandbox) if each.key == row.key)
            ends.append((name, now.state, any(row.sk in each and row.pk in each for each in (*news, *letters))))

    Story(
        name="replays",
        watched="RemediateFunction",
        parameters={"PolicyStrategy": strategy, "DefaultGrantDays": "0", "MaxGrantDays": "0"},
        allowlist=RULES,
        act=attack,
    ).play()
    assert [each for each in held if each != held[0]] == []
    assert len(ends) == len(REPLAYS)
    standing = (State.APPROVED, State.APPLYING, State.ACTIVE)
    assert [(name, state) for name, state, _ in ends if state in standing] == []
    # Upkeep takes a copy that is kept for nothing away without a word, as it does when another grant stands instead.
    assert [name for name, _, told in ends if not told] in ([], ["kept, active"])
    count("forged rows: a signature of a grant that ended", len(ends))


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_rules_grant_that_a_person_took_back_stays_away_under_a_never_rule(strategy: str) -> None:
    """Put back as it stood, or as if it were being applied or active, it gives nothing: the rules are asked again."""
    ended = (State.APPROVED, State.APPLYING, State.ACTIVE)
    held: list[Any] = []

    def attack(stage: Stage) -> None:
        held.append(in_iam(stage.sandbox)["principals"][APP])
        stage.deny(denial(APP, profile_arn(0)))
        (stood,) = grants(stage.sandbox)
        assert in_iam(stage.sandbox)["principals"][APP] != held[0]
        path = stage.sandbox.stack.parameters["AllowlistPath"]
        never = RULES.replace("effect: auto", "effect: never")
        stage.sandbox.parameters.put(f"{path}/main", never)
        stage.later(hours=1)
        revoked(1)(stage)
        held.append(in_iam(stage.sandbox)["principals"][APP])
        for state in ended:
            now = next(row for row in grants(stage.sandbox) if row.key == stood.key)
            row = replace(stood, state=state, version=now.version + 1, updated_at=stage.sandbox.clock.now())
            stage.sandbox.ledger.put(grant_item(row))
            stage.sandbox.run()
            stage.later(hours=1)
            stage.round("upkeep")
            held.append(in_iam(stage.sandbox)["principals"][APP])

    Story(
        name="a rule's",
        watched="RemediateFunction",
        parameters={"PolicyStrategy": strategy, "ApproverRoleArns": "arn:aws:iam::123456789012:role/approvers"},
        allowlist=RULES,
        act=attack,
    ).play()
    assert [each for each in held if each != held[0]] == []
    assert len(held) == 2 + len(ended)


def _cut(fault: Fault | None = None) -> Played:
    """Approve and revoke while remediate may die once, and then put the row back as it stood."""
    held: list[Any] = []
    stood: list[Any] = []

    def before(stage: Stage) -> None:
        stage.deny(denial(BARE, profile_arn(1), 2))
        held.append(in_iam(stage.sandbox)["principals"][BARE])

    def act(stage: Stage) -> None:
        stage.press("approve")
        stood.extend(row for row in grants(stage.sandbox) if row.state is State.ACTIVE)
        stage.press("revoke")

    def after(stage: Stage) -> None:
        assert len(stood) == 1
        assert in_iam(stage.sandbox)["principals"][BARE] == held[0]
        for name in ("approved", "approved, to be repaired", "being applied"):
            replay(stage, name, stood[0])
            stage.sandbox.run()
            assert in_iam(stage.sandbox)["principals"][BARE] == held[0], name

    story = Story(
        name="cut", watched="RemediateFunction", allowlist=RULES, before=before, act=act, after=after, parameters={}
    )
    return story.play(fault)


@pytest.mark.parametrize("way", [Way.KILLED_BEFORE, Way.KILLED_AFTER])
@pytest.mark.parametrize("of", ["dynamodb", pytest.param("everything", marks=pytest.mark.long)])
def test_an_approval_is_neither_lost_nor_used_twice_by_a_death(way: Way, of: str, count: Count) -> None:
    """Remediate dies at a call, comes again, grants what was approved and takes it back; put back, it gives nothing."""
    calls = _cut().calls
    places = [
        place
        for place, call in enumerate(calls, start=1)
        if of == "everything" or call.name in ("dynamodb:TransactWriteItems", "dynamodb:UpdateItem")
    ]
    assert {call.name for call in calls} >= {"dynamodb:TransactWriteItems", "dynamodb:GetItem", "kms:VerifyMac"}
    for place in places:
        assert _cut(Fault(place=place, way=way)).spoiled == 1
    count("deaths while an approval is used", len(places))
