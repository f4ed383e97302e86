"""A round of upkeep: chores that depend on nothing but the ledger, and on no other chore."""

import pytest

from bedrock_remediator.clock import SystemClock
from bedrock_remediator.environment import SettingError
from bedrock_remediator.flows.upkeep.chores.contract import HasTime, Tally
from bedrock_remediator.flows.upkeep.upkeep import IncompleteError, Upkeep
from bedrock_remediator.flows.upkeep.wiring import upkeep
from bedrock_remediator.settings import UpkeepSettings

VARIABLES = {
    "LEDGER_TABLE": "ledger",
    "MODE": "approve",
    "PAUSED": "false",
    "POLICY_STRATEGY": "managed",
    "ALLOWLIST_PATH": "/bedrock-access-remediator/allowlist",
    "ENROLLED_ACCOUNTS": "",
    "EXTRA_ACTIONS": "",
    "GRANTABLE_PRINCIPALS": "arn:aws:iam::*:role/*",
    "DEFAULT_GRANT_DAYS": "0",
    "PRINCIPAL_GRANTS_PER_DAY": "10",
    "PROBE_PROFILES": "8",
    "PROBE_WINDOW_MINUTES": "60",
    "UNKNOWN_CALLER_ASKS": "true",
    "APPROVAL_LAPSE_HOURS": "72",
    "NOTICES_PER_HOUR": "100",
    "NOTICES_TOPIC_ARN": "arn:aws:sns:us-east-1:123456789012:notices",
    "APPROVALS_TOPIC_ARN": "arn:aws:sns:us-east-1:123456789012:approvals",
    "AMAZON_Q_TOPIC_ARN": "",
    "APPROVALS_EMAIL": "",
    "NOTICES_EMAIL": "ops@example.com",
}


class Job:
    """A chore that does what it is told."""

    def __init__(self, name: str, outcome: Tally | Exception) -> None:
        self.name = name
        self._outcome = outcome

    def run(self, has_time: HasTime) -> Tally:
        """Do it."""
        assert has_time()
        if isinstance(self._outcome, Exception):
            raise self._outcome
        return self._outcome


def test_a_chore_that_fails_does_not_stop_the_others() -> None:
    """Nor is it forgotten: the round says which failed, as a whole or on a row."""
    chores = [
        Job("expire", RuntimeError("what is this?")),
        Job("redrive", Tally({"redriven": 2})),
        Job("drift", Tally({"repaired": 1, "failed": 1})),
    ]
    made = Upkeep(chores).run(lambda: True)
    assert made.tallies == {
        "expire": {"failed": 1},
        "redrive": {"redriven": 2},
        "drift": {"repaired": 1, "failed": 1},
    }
    assert made.failed == ("expire", "drift")
    assert str(IncompleteError(made.failed)) == "failed: expire, drift"


def test_a_round_without_trouble_has_no_failures() -> None:
    """Whatever there was to do."""
    assert Upkeep([Job("expire", Tally())]).run(lambda: True).failed == ()


def test_there_is_no_third_task() -> None:
    """A schedule that asks for something else is a mistake, and shows."""
    settings = UpkeepSettings.read(VARIABLES)
    with pytest.raises(ValueError, match="no task 'tidy'"):
        upkeep("tidy", settings, "123456789012", SystemClock())  # type: ignore[arg-type]  # that is the point


@pytest.mark.parametrize(
    ("name", "value"),
    [("APPROVAL_LAPSE_HOURS", "0"), ("APPROVAL_LAPSE_HOURS", "soon"), ("NOTICES_TOPIC_ARN", ""), ("MODE", "")],
)
def test_a_bad_variable_stops_it_at_the_start(name: str, value: str) -> None:
    """With its name."""
    with pytest.raises(SettingError, match=name):
        UpkeepSettings.read({**VARIABLES, name: value})
