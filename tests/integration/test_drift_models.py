"""AWS routes a profile to other models: what is asked, what is kept, and what stands in the end."""

from datetime import timedelta
from typing import TYPE_CHECKING

import boto3
import pytest

from bedrock_remediator.aws.ledger.write import UpkeepLedger
from bedrock_remediator.core.approval import Answer, Approver, Terms, Verb, decide
from bedrock_remediator.core.grant import Outcome, State
from bedrock_remediator.settings import Mode
from tests.builders.clocks import StoppedClock
from tests.builders.grants import PROFILE
from tests.builders.remediation import nova
from tests.builders.upkeep import Upkept

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


@pytest.fixture
def setup(aws: None, dynamodb: "DynamoDBClient", clock: StoppedClock) -> Upkept:
    """A world in mode auto with a rule that allows everything."""
    return Upkept(boto3.client("iam"), UpkeepLedger(dynamodb, "ledger", clock))


class TestModels:
    """AWS changes what a profile routes to."""

    def test_a_rules_grant_is_brought_up_to_date(self, setup: Upkept) -> None:
        """Decided again with all the models; the old grant stands until the new one does, and is let go then."""
        role = setup.world.role()
        row = setup.world.grant(role)
        setup.route(5)
        assert setup.upkeep() == {"renewed": 1}
        renewed, kept = setup.now(row), setup.kept(row)
        assert kept
        assert (renewed.state, renewed.reason_code, renewed.written) == (State.APPROVED, "models_changed", None)
        assert (kept.state, kept.resources, kept.written) == (State.ACTIVE, row.resources, row.written)
        setup.carry()
        assert setup.now(row).state is State.ACTIVE
        assert setup.world.allows(role, setup.now(row))
        kept = setup.kept(row)
        assert kept
        assert (kept.state, kept.reason_code) == (State.REVOKED, "replaced")
        assert setup.upkeep() == {}
        assert setup.world.allows(role, setup.now(row))

    def test_a_persons_grant_is_asked_for_and_the_old_one_stays(self, setup: Upkept) -> None:
        """Also when the policy is compiled for another grant meanwhile."""
        role = setup.world.role()
        row = setup.by_alice(role, timedelta(days=30))
        setup.route(5)
        assert setup.upkeep() == {"asked": 1}
        asked = setup.now(row)
        assert (asked.state, asked.reason_code, asked.decision) == (State.PENDING, "inputs_changed", Outcome.ASK)
        assert len(asked.resources) == len(row.resources) + 2
        assert asked.allowed == row.resources
        assert (asked.expires_at, asked.written, asked.approval) == (None, None, None)
        setup.world.grant(role, nova(1))
        assert setup.world.allows(role, row)
        assert not setup.world.allows(role, asked)
        assert setup.upkeep() == {}

    def test_when_it_is_approved_the_new_grant_takes_the_place_of_the_old(self, setup: Upkept) -> None:
        """In one go: never is there less than the old one."""
        role = setup.world.role()
        row = setup.by_alice(role)
        setup.route(5)
        setup.upkeep()
        now = setup.approve(setup.now(row))
        assert now.state is State.ACTIVE
        assert setup.world.allows(role, now)
        kept = setup.kept(row)
        assert kept
        assert kept.state is State.REVOKED
        assert setup.upkeep() == {}

    def test_when_it_is_rejected_the_old_grant_stays(self, setup: Upkept) -> None:
        """It can be revoked like any other, and ends when it would have."""
        role = setup.world.role()
        row = setup.by_alice(role)
        setup.route(5)
        setup.upkeep()
        asked, kept = setup.now(row), setup.kept(row)
        assert kept
        no = Answer(verb=Verb.REJECT, version=asked.version, approver=Approver.by_oidc("bob"))
        setup.ledger.decide(asked, decide(asked, no, Terms(longest=None), setup.world.clock.now()))
        setup.world.grant(role, nova(1))
        assert setup.upkeep() == {}
        assert setup.world.allows(role, row)
        setup.world.revoke(kept)
        assert not setup.world.allows(role, row)

    def test_what_is_kept_and_lost_is_let_go(self, setup: Upkept) -> None:
        """It was only there until somebody decides."""
        row = setup.by_alice(setup.world.role())
        setup.route(5)
        setup.upkeep()
        setup.delete()
        assert setup.upkeep() == {"revoked": 1}
        setup.carry()
        kept = setup.kept(row)
        assert kept
        assert (kept.state, kept.reason_code) == (State.REVOKED, "replaced")
        assert setup.now(row).state is State.PENDING

    def test_what_remediate_did_not_let_go_upkeep_does(self, setup: Upkept) -> None:
        """It died in between, say."""
        role = setup.world.role()
        row = setup.world.grant(role)
        setup.route(5)
        setup.upkeep()
        renewed, kept = setup.now(row), setup.kept(row)
        assert kept
        setup.world.remediate(renewed)
        after = setup.kept(row)
        assert after
        # As if it had never been moved.
        setup.put(kept)
        assert setup.upkeep() == {"revoked": 1}
        setup.carry()
        assert setup.world.allows(role, setup.now(row))

    def test_fewer_models_do_no_harm(self, setup: Upkept) -> None:
        """The grant is complete."""
        setup.world.grant(setup.world.role())
        setup.route(2)
        assert setup.upkeep() == {}

    def test_a_profile_that_is_gone_is_reported(self, setup: Upkept) -> None:
        """And nothing is taken away on AWS's word that there is no such thing."""
        row = setup.world.grant(setup.world.role())
        del setup.world.profiles.known[PROFILE]
        assert setup.upkeep() == {"reported": 1}
        assert setup.now(row).state is State.ACTIVE

    def test_while_an_old_grant_is_kept_no_other_is(self, setup: Upkept) -> None:
        """AWS changes the profile again before the first change is through: one at a time."""
        row = setup.world.grant(setup.world.role())
        setup.route(5)
        setup.upkeep()
        kept = setup.kept(row)
        assert kept
        setup.world.remediate(setup.now(row))
        setup.put(kept)
        setup.route(6)
        assert setup.upkeep() == {"overtaken": 1}
        assert setup.now(row).state is State.ACTIVE


class TestAskingAgain:
    """Remediation sends a repair back to be asked about."""

    def test_the_grant_is_kept_meanwhile(self, setup: Upkept) -> None:
        """The rule was taken back in the same moment, and the policy gave too much, not too little."""
        role = setup.world.role()
        row = setup.world.grant(role)
        again = row.moved(State.APPROVED, at=setup.world.clock.now(), by="upkeep", reason="drift")
        setup.ledger.move(row, again)
        setup.set(mode=Mode.APPROVE)
        setup.carry()
        asked, kept = setup.now(row), setup.kept(row)
        assert kept
        assert (asked.state, asked.reason_code, asked.written) == (State.PENDING, "rule_no_longer_allows", None)
        assert (kept.state, kept.written) == (State.ACTIVE, row.written)
        assert setup.upkeep() == {}
        assert setup.world.allows(role, row)
