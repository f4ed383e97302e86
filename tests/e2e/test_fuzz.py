"""The fuzzing that `make fuzz` does at length, a little of it, and that it would notice."""

from unittest.mock import patch

import pytest

from bedrock_remediator.core.decision import Decision
from bedrock_remediator.core.grant import Outcome
from bedrock_remediator.flows.approval.forms import Forms
from bedrock_remediator.flows.slack.trust import SlackSignature
from bedrock_remediator.flows.triage.triage import Triage
from tests.conftest import Count
from tests.fuzz import events, requests


def test_mutated_events_end_where_they_must(count: Count) -> None:
    """Each is in the ledger or set aside with its reason, none fails, and nothing is granted but by a rule."""
    ((size, fates),) = events.portions(300, seed=7)
    assert fates["refused"] > 0 < fates["reported"]
    count("fuzz: mutated events", size)


def test_mutated_requests_decide_nothing(count: Count) -> None:
    """None is answered with a server error, and none that lacks its link, seal, signature or caller changes a row."""
    ((size, answers),) = requests.portions(300, seed=7)
    assert answers["slack 401"] > 0 < answers["page 403"]
    count("fuzz: mutated requests", size)


def test_a_message_that_is_lost_is_noticed() -> None:
    """A triage that forgets what it refuses does not pass."""
    with patch.object(Triage, "_set_aside", lambda *_: None), pytest.raises(events.Fault, match="accounted for"):
        list(events.portions(100, seed=7))


def test_a_grant_without_a_rule_is_noticed() -> None:
    """A triage that approves what no rule says does not pass."""
    always = Decision(outcome=Outcome.AUTO, code="rule_auto", reason="Always.", rule="always")
    where = "bedrock_remediator.flows.triage.judge.decide"
    with patch(where, lambda **_: always), pytest.raises(events.Fault, match="approved without a rule"):
        list(events.portions(300, seed=7))


@pytest.mark.parametrize(
    ("part", "method", "accepts"), [(SlackSignature, "genuine", lambda *_: True), (Forms, "version", lambda *_: 1)]
)
def test_a_decision_that_nobody_made_is_noticed(part: type, method: str, accepts: object) -> None:
    """A page that takes any form's seal, and a route that takes any signature of Slack's, do not pass."""
    with patch.object(part, method, accepts), pytest.raises(events.Fault, match="changed"):
        list(requests.portions(2_500, seed=7))
