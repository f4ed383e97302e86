"""Triage with everything it needs, on a real ledger."""

import json
from typing import TYPE_CHECKING, Any

from bedrock_remediator.aws.ledger.items import FIRST_ROW
from bedrock_remediator.aws.ledger.write import Ledger
from bedrock_remediator.core import allowlist as allowlists
from bedrock_remediator.core.allowlist import Allowlist
from bedrock_remediator.core.grant import Grant
from bedrock_remediator.core.suspicion import ProbeLimits
from bedrock_remediator.flows.triage.investigation import Investigation
from bedrock_remediator.flows.triage.triage import Triage
from bedrock_remediator.settings import Mode, PolicySettings, Strategy
from tests.builders import records as make
from tests.builders.aws import FakeDetails, FakeIam, FakeProfiles, policy, profile, statement
from tests.builders.clocks import StoppedClock

if TYPE_CHECKING:
    from collections.abc import Callable

US = profile()
SK = f"profile#{US.arn}"


class Service:
    """Triage with everything it needs; change a field and call `handle`."""

    def __init__(self, ledger: Ledger, clock: StoppedClock) -> None:
        self.ledger = ledger
        self.clock = clock
        self.iam = FakeIam(policy(statement(make.model())))
        self.profiles = FakeProfiles(US)
        self.details = FakeDetails()
        self.mode = Mode.APPROVE
        self.paused = False
        self.default_grant_days = 0
        self.probes = ProbeLimits()
        self.open_requests = 5
        self.allowlist = Allowlist(rules=(), problems=())
        self.refused: list[tuple[str, str]] = []
        self.on_refusal: Callable[[], None] = lambda: None
        self.home = make.ACCOUNT
        self.enrolled: tuple[str, ...] = ()
        self.reached: set[str] = set()
        self.grantable: tuple[str, ...] = ("arn:aws:iam::*:role/*",)

    def _refuse(self, body: str, reason: str) -> None:
        self.on_refusal()
        self.refused.append((body, reason))

    def read(self) -> Allowlist:
        """The allowlist."""
        return self.allowlist

    def rules(self, *rules: dict[str, Any]) -> None:
        """Set the administrators' rules."""
        self.allowlist = allowlists.parse({"main": json.dumps({"version": 1, "rules": list(rules)})})
        assert not self.allowlist.problems

    def triage(self) -> Triage:
        """The use case, newly built as after a cold start."""
        settings = PolicySettings(
            ledger_table="ledger",
            mode=self.mode,
            paused=self.paused,
            strategy=Strategy.MANAGED,
            allowlist_path="/allowlist",
            extra_actions=(),
            grantable_principals=self.grantable,
            default_grant_days=self.default_grant_days,
            probes=self.probes,
            enrolled_accounts=self.enrolled,
        )
        return Triage(
            ledger=self.ledger,
            investigation=Investigation(
                home=self.home, iam=self.iam, profiles=self.profiles, details=self.details, policy=settings
            ),
            allowlists=self,
            refuse=self._refuse,
            settings=settings,
            open_requests=self.open_requests,
            clock=self.clock,
            reaches=self.reached.__contains__,
        )

    def handle(self, *events: dict[str, Any]) -> dict[str, int]:
        """Triage the events as one batch; none may fail."""
        summary = self.triage().handle({str(number): json.dumps(event) for number, event in enumerate(events)})
        assert not summary.failed
        return dict(summary.counts)

    def rows(self, pk: str = make.ROLE) -> list[Grant]:
        """All of a principal's rows."""
        return self.ledger.with_counters(pk, FIRST_ROW).grants

    def row(self, sk: str = SK) -> Grant:
        """The row."""
        row = self.ledger.grant(make.ROLE, sk)
        assert row is not None
        return row
